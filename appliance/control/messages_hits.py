"""The messages about single connections that rules matched; those about their history are in `messages.py`."""

from __future__ import annotations

import msgspec


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
