"""The packets that are spoken of: first packets of connections, as products of intervals on seven axes, at one place.

source, destination   addresses of one version; the destination after destination NAT
protocol              IANA number
key                   destination port (after NAT) of a protocol with ports; type * 256 + code of ICMP and ICMPv6
source port           of a protocol with ports
time                  seconds since the epoch
original              the destination before destination NAT, where source NAT asks for it
"""

from __future__ import annotations

from typing import NamedTuple

from appliance.policy.boxes import FULL_ADDRESS, FULL_PORTS, ICMP_ANSWERS, PORT_PROTOCOLS, icmp_protocol

AXES = 7
SOURCE, DESTINATION, PROTOCOL, KEY, SOURCE_PORT, TIME, ORIGINAL = range(AXES)
Interval = tuple[int, int]
Values = tuple[Interval, ...]
# None where an axis says nothing.
Product = tuple[Values | None, ...]
EVERY: Product = (None,) * AXES
FULL_PROTOCOL: Interval = (0, 255)
PORTED: Values = tuple((number, number) for number in sorted(PORT_PROTOCOLS))
# What an interface of no zone is called: no device can have this name.
OTHER = "another interface"


class Place(NamedTuple):
    """Where a packet is looked at. An interface "" is the gateway itself."""

    hook: str
    entering: str
    leaving: str
    version: int

    @property
    def words(self) -> str:
        ends = f"{self.entering or 'the gateway'} -> {self.leaving or 'the gateway'}"
        return f"{ends}, IPv{self.version}"


def whole(version: int, period: Interval) -> tuple[Interval, ...]:
    """Every packet of a version within a period of time."""
    return (
        FULL_ADDRESS[version],
        FULL_ADDRESS[version],
        FULL_PROTOCOL,
        FULL_PORTS,
        FULL_PORTS,
        period,
        FULL_ADDRESS[version],
    )


def common(one: Values | None, other: Values | None) -> Values | None:
    """The values that both hold; () for none."""
    if one is None or one == other:
        return other
    if other is None:
        return one
    found: list[Interval] = []
    i = j = 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first <= last:
            found.append((first, last))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def without(values: Values, full: Interval) -> Values:
    """What `full` holds and `values` does not."""
    found: list[Interval] = []
    at = full[0]
    for first, last in values:
        if first > at:
            found.append((at, first - 1))
        at = max(at, last + 1)
    if at <= full[1]:
        found.append((at, full[1]))
    return tuple(found)


def joined(intervals: list[Interval]) -> Values:
    """Disjoint, ascending, not adjacent intervals of the same union."""
    found: list[Interval] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1] + 1:
            if last > found[-1][1]:
                found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return tuple(found)


def narrowed(product: Product, axis: int, values: Values) -> Product | None:
    """The part of `product` with these values on an axis; None when that is nothing."""
    held = common(product[axis], values)
    if not held:
        return None
    if held is product[axis]:
        return product
    return (*product[:axis], held, *product[axis + 1 :])


def beginnings(version: int) -> list[Product]:
    """What no connection begins with: connection tracking takes an answer without its request for invalid."""
    protocol = icmp_protocol(version)
    answers = joined([(answer * 256, answer * 256 + 255) for answer in ICMP_ANSWERS[version].values()])
    return [(None, None, ((protocol, protocol),), answers, None, None, None)]
