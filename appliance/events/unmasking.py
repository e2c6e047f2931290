"""Two persons ask whom a pseudonym stands for: the first asks, the second agrees, and both are told. Nobody else is.

What was asked is kept in memory: after a restart both ask again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from appliance.control.auditing import Write, origin_of
from appliance.control.ipc import Peer
from appliance.control.messages.gateway import Refused
from appliance.control.messages.privacy import Unmask, Unmasked
from crypto.pseudonyms import canonical

PATIENCE = 3600.0  # seconds for the second to agree, and then for both to ask again
_MOST = 100  # pseudonyms that are asked about at a time
_MOST_WHY = 500

Find = Callable[[str], tuple[str, int]]  # the address of a pseudonym and the number of its key; ("", 0): not known


class UnmaskingRefused(Exception):
    """The text says why."""


class Asked(msgspec.Struct, frozen=True):
    first: str
    second: str
    until: float


class Unmasking:
    """`clock` never goes back."""

    def __init__(self, find: Find, clock: Callable[[], float] = time.monotonic) -> None:
        self._find = find
        self._clock = clock
        self._asked: dict[str, Asked] = {}

    def ask(self, pseudonym: str, person: str) -> Unmasked:
        """Raises `UnmaskingRefused`."""
        now = self._clock()
        self._asked = {name: one for name, one in self._asked.items() if one.until > now}
        try:
            name = canonical(pseudonym)
        except ValueError as error:
            raise UnmaskingRefused(f"{pseudonym} is no pseudonym: those look like addresses") from error
        address, key = self._find(name)
        if not address:
            raise UnmaskingRefused(f"no key that is left knows {name}: it is no pseudonym, or its key was destroyed")
        asked = self._decide(self._asked.get(name), name, person, now)
        self._asked[name] = asked
        told = address if asked.second else ""
        return Unmasked(name, asked.first, asked.second, told, key, int(asked.until - now))

    def _decide(self, before: Asked | None, name: str, person: str, now: float) -> Asked:
        if before is None:
            if len(self._asked) >= _MOST:
                raise UnmaskingRefused(f"{_MOST} pseudonyms are asked about already; wait until some of it is over")
            return Asked(person, "", now + PATIENCE)
        if before.second:
            if person not in (before.first, before.second):
                raise UnmaskingRefused(f"{before.first} and {before.second} were told whom {name} stands for")
            return before
        if before.first == person:
            raise UnmaskingRefused(f"{person} asked for it; another person must agree")
        return Asked(before.first, person, now + PATIENCE)


def answer(unmasking: Unmasking, request: Unmask, peer: Peer, write: Write) -> Unmasked | Refused:
    """What is audited never holds the address."""
    why = request.why.strip()
    if not why or len(why) > _MOST_WHY:
        return Refused("bad-request", f"say why, in at most {_MOST_WHY} letters")
    origin = origin_of(peer)
    try:
        found = unmasking.ask(request.pseudonym, peer.name)
    except UnmaskingRefused as error:
        write(peer.name, "unmask.refuse", request.pseudonym, why=why, origin=origin, detail={"because": str(error)})
        return Refused("unmask", str(error))
    action = "unmask.tell" if found.second else "unmask.ask"
    detail = {"first": found.first, "second": found.second, "key": f"{found.key}"}
    write(peer.name, action, found.pseudonym, why=why, origin=origin, detail=detail)
    return found
