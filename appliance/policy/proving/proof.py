"""What a proof says: the values that prover, commands, plan and console share.

A proof speaks of first packets of connections, after destination NAT, as `decide.first_match` does. It is exact for
addresses, protocols, ports, ICMP types, zones, people and time. What the text alone cannot know (the addresses
behind a DNS name, whether a limit is exceeded) stands as a named assumption, and is said.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.policy.decide import Packet
from appliance.policy.model import Range

Interval = tuple[int, int]


class Region(msgspec.Struct, frozen=True):
    """A box of packets of one zone pair and one IP version; every interval is closed.

    A zone may be "any": every zone but the gateway, as in the text.

    `key` is the destination port where `protocol` has ports, and type * 256 + code for ICMP and ICMPv6; where
    `protocol` is more than one number it is full. `people` are ids of persons, () for anyone or nobody in
    particular; `nobody` says that a source that no person stands behind is in it, too. `schedules` are words on time
    ("office", "not office", "before 2027-03-31T17:00"), () for any time. `assumed` are what must hold besides
    ("updates.example.org stands for the destination", "R-7 is over its limit").
    """

    from_zone: str
    to_zone: str
    source: Range
    destination: Range
    protocol: Interval = (0, 255)
    key: Interval = (0, 65535)
    source_ports: Interval = (0, 65535)
    people: tuple[str, ...] = ()
    nobody: bool = True
    schedules: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()


class Witness(msgspec.Struct, frozen=True):
    """One concrete first packet that shows a finding.

    `at` is a moment (seconds since the epoch, UTC), `person` who is behind the source, "" for nobody. For a packet
    that destination NAT changed, `published` is the address and port it was sent to and `nat` the rule that did it.
    """

    packet: Packet
    from_zone: str
    to_zone: str
    at: int = 0
    person: str = ""
    assumed: tuple[str, ...] = ()
    published: tuple[int, int] | None = None
    nat: str = ""


Kind = Literal["dead", "no-effect", "conflict", "invariant", "baseline"]


class Finding(msgspec.Struct, frozen=True):
    """One thing proven about one rule.

    dead        `rule` can never match: `others` hide it (or () when nothing can match its own fields)
    no-effect   `rule` matches, but without it every packet is decided alike: `others` decide them then
    conflict    `rule` and `others[0]` cross with different actions, neither inside the other; the upper wins
    invariant   `rule` lets through what invariant `name` never allows
    baseline    `rule` changes what the baseline `name` demands; `others` are the baseline's rules
    `witness` is a packet that shows it; None only for "dead" and "no-effect" without a packet to show. It lies in
    `region`; `regions` are all of an invariant's or a baseline's finding, `region` among them.
    """

    kind: Kind
    rule: str
    others: tuple[str, ...] = ()
    name: str = ""
    witness: Witness | None = None
    region: Region | None = None
    regions: tuple[Region, ...] = ()


class Proof(msgspec.Struct, frozen=True):
    """All findings of a policy. `decided` is False when the budget of steps ended before the answer was complete.

    `undecided` then names what could not be decided, in words that a person can act on. `conflicts` counts all pairs
    in conflict; of each rule only the first ones are findings.
    """

    findings: tuple[Finding, ...]
    decided: bool = True
    undecided: tuple[str, ...] = ()
    steps: int = 0
    conflicts: int = 0


class Change(msgspec.Struct, frozen=True):
    """Traffic that two policies decide differently: `region` was decided by `old_rule` and is now by `new_rule`."""

    region: Region
    old_action: str
    new_action: str
    old_rule: str
    new_rule: str
    witness: Witness


class Difference(msgspec.Struct, frozen=True):
    """The semantic difference of two policies. `opened` is newly allowed, `closed` newly denied or rejected.

    `other` is denied by both, but otherwise (reject instead of deny). `decided` as in `Proof`.
    """

    opened: tuple[Change, ...]
    closed: tuple[Change, ...]
    other: tuple[Change, ...] = ()
    decided: bool = True
    undecided: tuple[str, ...] = ()
    steps: int = 0
