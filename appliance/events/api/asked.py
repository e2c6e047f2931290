"""What a request asks for, from its query: every value checked, nothing that is not known passed over. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from multidict import MultiMapping

from appliance.events import stix
from appliance.events.api.problems import bad

MAX_NUMBER = 2**63 - 1
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_MOST_KINDS = 64


class Asked:
    """The parameters of a query. A name that is not in `known`, or given twice, is refused: a slip of the pen must
    not look like an answer."""

    def __init__(self, query: MultiMapping[str], known: Collection[str]) -> None:
        for name in query:
            if name not in known:
                raise bad(f"`{name[:64]}` is not asked for here; known are {', '.join(sorted(known)) or 'none'}")
            if len(query.getall(name)) > 1:
                raise bad(f"`{name}` is given more than once")
        self._query: Mapping[str, str] = query

    def text(self, name: str) -> str | None:
        return self._query.get(name)

    def number(self, name: str, default: int, *, least: int = 0, most: int = MAX_NUMBER) -> int:
        """A whole number; above `most` is refused."""
        text = self._query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 19 and least <= int(text) <= most):
            raise bad(f"`{name}` is a whole number from {least} to {most}")
        return int(text)

    def limit(self, default: int, most: int) -> int:
        """How many are asked for; who asks for more than are given at once gets what there is."""
        return min(self.number("limit", default, least=1), most)

    def moment(self, name: str) -> int | None:
        """Microseconds since the epoch of a time stamp."""
        text = self._query.get(name)
        if text is None:
            return None
        try:
            return stix.time_of(text)
        except stix.StixError as error:
            raise bad(f"`{name}`: {error}") from error

    def kinds(self, name: str) -> frozenset[str]:
        """Words with commas between them; none where it is not given."""
        text = self._query.get(name)
        if text is None:
            return frozenset()
        found = text.split(",")
        if len(found) > _MOST_KINDS or not all(_KIND.match(one) for one in found):
            raise bad(f"`{name}` is a list of event types, such as alert,dns")
        return frozenset(found)
