"""What ends, and what waits for somebody's look: every date of a text, in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from appliance.drafts.grid import Written
from appliance.policy.times import TimeError, day_end, moment
from appliance.policy.written.document import SiteText
from appliance.policy.written.keys import Record
from appliance.policy.written.text import Word

# expires    it ends by itself; ended: it has
# review     somebody must look at it again
# scheduled  a proposal is applied then, if it is approved
# horizon    until then schedules and expiries are compiled; the gateway compiles on before
# confirm    what runs is rolled back unless it is confirmed by then
Kind = Literal["expires", "ended", "review", "scheduled", "horizon", "confirm"]


class Entry(msgspec.Struct, frozen=True):
    """`at` is seconds since the epoch. `id` names what it is about, `what` says so to people."""

    at: float
    kind: Kind
    id: str
    what: str
    owner: str = ""
    why: str = ""


_CALLED = {
    "suppressions": "suppression",
    "risks": "risk",
    "schedules": "schedule",
    "consumers": "consumer",
    "feeds": "feed",
    "objects": "object",
    "profiles": "profile",
    "people": "person",
}


def entries(rules: Iterable[Written], site: SiteText | None, timezone: ZoneInfo, now: float) -> list[Entry]:
    """Every date that the text names, the earliest first. Dates that are none are left out: the parser says so."""
    found = list(_of_rules(rules, timezone, now))
    for field in site.__struct_fields__ if site is not None else ():
        called = _CALLED.get(field)
        for one in getattr(site, field) if called else ():
            if isinstance(one, Record):
                found.extend(_of_record(one, called or "", timezone, now))
    return sorted(found, key=lambda entry: (entry.at, entry.id))


def _of_rules(rules: Iterable[Written], timezone: ZoneInfo, now: float) -> Iterator[Entry]:
    for written in rules:
        rule = written.opened()
        what = f"published service {rule.id}" if rule.section == "publish" else f"rule {rule.id}"
        yield from _dated(
            rule.id, what, rule.one("expires"), rule.one("review"), rule.one("owner"), rule.one("why"), timezone, now
        )


def _of_record(one: Record, called: str, timezone: ZoneInfo, now: float) -> Iterator[Entry]:
    ident = _said(getattr(one, "id", None)) or _said(one.name)
    ends = _said(getattr(one, "expires", None)) or _said(getattr(one, "last", None))
    why = _said(getattr(one, "why", None)) or _said(getattr(one, "threat", None))
    review, owner = _said(getattr(one, "review", None)), _said(getattr(one, "owner", None))
    yield from _dated(ident, f"{called} {ident}", ends, review, owner, why, timezone, now)


def _dated(
    ident: str, what: str, ends: str, review: str, owner: str, why: str, timezone: ZoneInfo, now: float
) -> Iterator[Entry]:
    try:
        at = moment(ends, timezone)[1] if ends else 0
        if at:
            yield Entry(at, "expires" if at > now else "ended", ident, what, owner, why)
        if review and not 0 < at <= now:
            yield Entry(day_end(review, timezone), "review", ident, what, owner, why)
    except TimeError:
        return


def _said(word: object) -> str:
    return word.value if isinstance(word, Word) else ""
