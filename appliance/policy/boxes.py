"""What a rule covers, as boxes: closed intervals of source, destination and a third key.

The third key depends on the class of the packet:

    tcp, udp   the destination port
    icmp       type * 256 + code (ICMP on IPv4, ICMPv6 on IPv6), an answer's counting as its request's
    other      the protocol number

A rule's boxes are a superset of what it matches: what a box cannot hold (people, DNS names, source ports,
ports of SCTP, time, limits) is a condition of its chain (`rulechain.py`). Boxes of one rule are disjoint.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from appliance.policy.model import AddressSet, Rule, ServiceEntry

Version = Literal[4, 6]
Family = Literal["tcp", "udp", "icmp", "other"]
Interval = tuple[int, int]

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PORT_PROTOCOLS = frozenset({TCP, UDP, 33, 132, 136})  # DCCP, SCTP and UDP-Lite have ports too
# What connection tracking knows as request and answer: echo, timestamp, information, mask; echo, node information.
ICMP_ANSWERS: dict[int, dict[int, int]] = {4: {8: 0, 13: 14, 15: 16, 17: 18}, 6: {128: 129, 139: 140}}
FULL_PORTS: Interval = (0, 65535)
FULL_ADDRESS: dict[int, Interval] = {4: (0, 2**32 - 1), 6: (0, 2**128 - 1)}
FULL_KEY: dict[str, Interval] = {"tcp": FULL_PORTS, "udp": FULL_PORTS, "icmp": (0, 65535), "other": (0, 255)}

# More boxes than this from one rule, and the rule is matched by its own sets instead ("wide").
MAX_BOXES = 256


class Traffic(NamedTuple):
    """A class of packets that has its own levels."""

    version: int
    family: str


TRAFFIC: tuple[Traffic, ...] = tuple(
    Traffic(version, family) for version in (4, 6) for family in ("tcp", "udp", "icmp", "other")
)


class Box(NamedTuple):
    """A product of three closed intervals: source, destination, third key."""

    source: Interval
    destination: Interval
    key: Interval


def is_point(box: Box) -> bool:
    (a, b), (c, d), (e, f) = box
    return a == b and c == d and e == f


def volume(box: Box) -> int:
    (a, b), (c, d), (e, f) = box
    return (b - a + 1) * (d - c + 1) * (f - e + 1)


def shape(box: Box, traffic: Traffic) -> str:
    """The axes on which a box says one value, "sdk" at most; "-" when it says an interval that is not everything."""
    version, family = traffic
    said = ""
    for axis, interval, full in zip(
        "sdk", box, (FULL_ADDRESS[version], FULL_ADDRESS[version], FULL_KEY[family]), strict=True
    ):
        if interval == full:
            continue
        if interval[0] != interval[1]:
            return "-"
        said += axis
    return said


class Area(NamedTuple):
    """What a rule covers of one class: the product of its intervals; `wide` when it has too many boxes."""

    sources: tuple[Interval, ...]
    destinations: tuple[Interval, ...]
    keys: tuple[Interval, ...]

    @property
    def wide(self) -> bool:
        return len(self.sources) * len(self.destinations) * len(self.keys) > MAX_BOXES

    def boxes(self) -> tuple[Box, ...]:
        """Every box of the area; for a wide one the single box around all of it."""
        if self.wide:
            return (Box(hull(self.sources), hull(self.destinations), hull(self.keys)),)
        return tuple(Box(s, d, k) for s in self.sources for d in self.destinations for k in self.keys)


def hull(intervals: tuple[Interval, ...]) -> Interval:
    return (min(first for first, _ in intervals), max(last for _, last in intervals))


def merge(intervals: list[Interval]) -> tuple[Interval, ...]:
    """Disjoint, sorted, not adjacent intervals of the same union."""
    merged: list[Interval] = []
    for first, last in sorted(intervals):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def addresses(where: AddressSet, version: int) -> tuple[Interval, ...]:
    """The intervals of one version; everything where a dynamic set may add addresses."""
    if where.dynamic:
        return (FULL_ADDRESS[version],)
    return tuple((part.first, part.last) for part in where.ranges if part.version == version)


def icmp_protocol(version: int) -> int:
    return ICMP if version == 4 else ICMPV6


def keys(entry: ServiceEntry, traffic: Traffic) -> list[Interval]:
    """The intervals of the third key that an entry may match in `traffic`."""
    version, family = traffic
    protocol = entry.protocol
    if protocol is None:
        return [FULL_KEY[family]]
    if family == "tcp":
        return [entry.ports] if protocol == TCP else []
    if family == "udp":
        return [entry.ports] if protocol == UDP else []
    if family == "icmp":
        if protocol != icmp_protocol(version):
            return []
        return _icmp_keys(entry, version)
    if protocol in (TCP, UDP, ICMP, ICMPV6):
        # ICMP over IPv6 and ICMPv6 over IPv4 are nothing a service can name.
        return []
    return [(protocol, protocol)]


def _icmp_keys(entry: ServiceEntry, version: int) -> list[Interval]:
    """Type and code of requests; an answer's type belongs to what its request's does.

    Connection tracking lets nothing begin with an answer, so that key is free to mean the connection.
    """
    first, last = entry.icmp
    kinds = {kind for kind in range(first, last + 1) if kind not in ICMP_ANSWERS[version].values()}
    kinds |= {answer for request, answer in ICMP_ANSWERS[version].items() if request in kinds}
    if entry.code is None:
        return [(kind * 256, kind * 256 + 255) for kind in sorted(kinds)]
    return [(kind * 256 + entry.code, kind * 256 + entry.code) for kind in sorted(kinds)]


def areas(rule: Rule) -> dict[Traffic, Area]:
    """What `rule` covers of each class of traffic that it can match at all."""
    found: dict[Traffic, Area] = {}
    protocols = {entry.protocol for entry in rule.services}
    for version in (4, 6):
        sources = addresses(rule.source, version)
        destinations = addresses(rule.destination, version)
        if not sources or not destinations:
            continue
        for traffic in TRAFFIC:
            if traffic.version != version or not _possible(protocols, traffic):
                continue
            wanted = merge([part for entry in rule.services for part in keys(entry, traffic)])
            if wanted:
                found[traffic] = Area(sources, destinations, wanted)
    return found


def _possible(protocols: set[int | None], traffic: Traffic) -> bool:
    """Whether any of the protocols is of this class: spares most rules most classes."""
    if None in protocols:
        return True
    if traffic.family == "tcp":
        return TCP in protocols
    if traffic.family == "udp":
        return UDP in protocols
    if traffic.family == "icmp":
        return icmp_protocol(traffic.version) in protocols
    return not protocols <= {TCP, UDP, ICMP, ICMPV6}


def needs_entries(entry: ServiceEntry) -> bool:
    """Whether an entry says more than its key: source ports, or ports of a protocol whose key holds none."""
    if entry.protocol not in PORT_PROTOCOLS:
        return False
    if entry.source_ports != FULL_PORTS:
        return True
    return entry.protocol not in (TCP, UDP) and entry.ports != FULL_PORTS
