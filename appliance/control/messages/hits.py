"""The messages about what rules matched: their history, and single connections."""

from __future__ import annotations

import msgspec


class Hits(msgspec.Struct, frozen=True, tag=True):
    """What rules matched since they are watched; `window` is how many seconds back the recent past reaches."""

    window: int = 90 * 86400


class RuleHits(msgspec.Struct, frozen=True):
    """The history of one counter. Moments are seconds since the epoch, 0 for never, and not later than they say by
    more than the time between two readings.

    `hits` are all since it is known, `recent` those of the days of the window. `watched` says for how many seconds of
    the window the rule was in the kernel, as it is worded now, and its counter observed; `worded` since when this
    wording is known, `worded_hits` what it matched.
    """

    id: str
    hits: int
    bytes: int
    first: float
    last: float
    recent: int
    watched: float
    worded: float
    worded_hits: int


class Gap(msgspec.Struct, frozen=True):
    """A time of the window in which nobody watched, and why not."""

    begin: float
    end: float
    why: str


class HitList(msgspec.Struct, frozen=True, tag=True):
    """`begin` is when the history begins, `watched` how many seconds of the window were observed at all."""

    generation: int
    at: float
    window: int
    begin: float
    watched: float
    gaps: tuple[Gap, ...]
    rules: tuple[RuleHits, ...]


class Matched(msgspec.Struct, frozen=True, tag=True):
    """What the flow log of the last `seconds` has of these rules. It names hosts, which is written down (R30)."""

    rules: tuple[str, ...]
    seconds: int


class MatchedFlows(msgspec.Struct, frozen=True):
    """`flows` connections that agree in everything else; `last` is when the last of them was logged, to the hour.

    The destination is that after translation; of ICMP `port` is type << 8 | code.
    """

    rule: str
    from_zone: str
    to_zone: str
    protocol: int
    port: int
    source: str
    destination: str
    flows: int
    last: int


class MatchedList(msgspec.Struct, frozen=True, tag=True):
    """The log reaches from `since` to `until` and has `logged` flows of all rules; with none, `since` is 0.

    `missing` says in words what could not be looked at.
    """

    since: int
    until: int
    logged: int
    flows: tuple[MatchedFlows, ...]
    missing: tuple[str, ...] = ()
