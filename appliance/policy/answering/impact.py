"""What a candidate would have decided otherwise of the logged flows: the values (`comparison.py` finds them)."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["denied", "allowed", "elsewhere", "refused", "another-rule"]


class Tally(msgspec.Struct, frozen=True):
    """How many flows of a group had one service or one end."""

    words: str
    flows: int


class ImpactGroup(msgspec.Struct, frozen=True):
    """Flows that are decided otherwise in the same way. `kind` is what the candidate makes of them:

    denied, allowed, elsewhere (let through to another destination), refused (denied both times, and told to
    the sender by one only), another-rule (decided alike, by another rule).

    `rule` and `rule_now` are ids, "default" or "antispoofing"; `owner` and `owner_now` who answers for them.
    `sources` and `destinations` count hosts; `from_places` and `to_places` say where most flows had their ends.
    Times are seconds since the epoch, exact to the minute.
    """

    kind: Kind
    from_zone: str
    to_zone: str
    rule: str
    rule_now: str
    action: str
    action_now: str
    owner: str
    owner_now: str
    flows: int
    bytes: int
    first: int
    last: int
    services: tuple[Tally, ...]
    sources: int
    from_places: tuple[Tally, ...]
    destinations: int
    to_places: tuple[Tally, ...]
    example: str
