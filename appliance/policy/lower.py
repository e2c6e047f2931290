"""Rules into rows of packed lists, as the box algebra takes them.

A rule becomes one row, or several: addresses in a DNS name are a row of their own with a condition. A row names lists
(zone pairs, sources, destinations, services, people) whose product the C side makes; equal lists are packed once.
This is the part of a proof that costs Python time, so it is flat: per rule a few look-ups, no object for each box.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import chain, compress, repeat
from operator import attrgetter

from appliance.policy.boxes import ICMP, ICMPV6, PORT_PROTOCOLS
from appliance.policy.model import EVERYTHING, Policy, Range, Rule, ServiceEntry
from appliance.policy.space import (
    PORTS,
    SERVICES,
    Condition,
    Entry,
    Vocabulary,
    conditional,
    dns_condition,
    merged,
    over_condition,
    people_intervals,
    zone_pairs,
)
from appliance.policy.timeline import ALL_KINDS
from ctypes_ext.boxes import Lists, words

FOREVER = 2**31 - 1
PLAIN, OPTIONAL, UNSURE = range(3)
_PLAIN = (0, FOREVER, 0, *words(ALL_KINDS), *words(0), *words(0))  # people, until, optional, times, yes, no
_RANGES = attrgetter("ranges")
_FIRST, _LAST = attrgetter("first"), attrgetter("last")


class Lowering:
    """Collects the rows of rules and the lists they name."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.rows = array("I")
        self._addresses: list[tuple[Range, ...]] = [EVERYTHING.ranges]
        self._address_number: dict[int, int] = {id(EVERYTHING.ranges): 0}
        self._pairs: dict[tuple[tuple[str, ...], tuple[str, ...], int], int] = {}
        self._services: list[tuple[ServiceEntry, ...]] = []
        self._service_number: dict[int, int] = {}
        self._people: dict[tuple[tuple[str, ...], int], int] = {}
        self._people_lists: list[list[tuple[int, int]]] = [[(0, len(vocabulary.people) - 1)]]
        self._policies: dict[int, Policy] = {}

    def add(self, number: int, entry: Entry) -> None:
        """The rows of a rule that stands at position `number`."""
        rule = entry.rule
        pair = self._pair(rule, entry.side)
        service = self._service(rule.services)
        if not conditional(rule):
            source = self._address(rule.source.ranges)
            destination = self._address(rule.destination.ranges)
            self.rows.extend((number, pair, source, destination, service, *_PLAIN))
            return
        self._conditional(number, entry, pair, service)

    def add_all(self, numbers: Sequence[int], entries: Sequence[Entry]) -> None:
        """The same for many rules, without a call for each."""
        pairs, services, addresses = self._pairs, self._service_number, self._address_number
        address_lists = self._addresses
        extend = self.rows.extend
        for number, (rule, side, _) in zip(numbers, entries, strict=True):
            source, destination = rule.source, rule.destination
            if (
                rule.people
                or rule.when
                or rule.expires_at
                or rule.rate
                or rule.connections
                or source.dynamic
                or destination.dynamic
            ):
                self.add(number, Entry(rule, side, _))
                continue
            pair = pairs.get((rule.sources, rule.destinations, side))
            if pair is None:
                pair = self._pair(rule, side)
            service = services.get(id(rule.services))
            if service is None:
                service = self._service(rule.services)
            left = source.ranges
            a = addresses.get(id(left))
            if a is None:
                addresses[id(left)] = a = len(address_lists)
                address_lists.append(left)
            right = destination.ranges
            b = addresses.get(id(right))
            if b is None:
                addresses[id(right)] = b = len(address_lists)
                address_lists.append(right)
            extend((number, pair, a, b, service, *_PLAIN))

    def _conditional(self, number: int, entry: Entry, pair: int, service: int) -> None:
        rule, policy, vocabulary = entry.rule, entry.policy, self.vocabulary
        line = vocabulary.timeline
        people = self._person(rule.people, policy)
        until = FOREVER if not rule.expires_at else rule.expires_at - line.now - 1
        if until < 0:
            return
        times, no, doubt = ALL_KINDS, 0, PLAIN
        if rule.when:
            schedule = policy.schedules[rule.when]
            if schedule in line.schedules:
                times = line.when(schedule)
            else:
                doubt = UNSURE
        if rule.rate or rule.connections:
            no, limited = self._condition(over_condition(rule))
            doubt = max(doubt, limited)
        for source, source_yes, source_doubt in self._sides("source", rule, policy):
            for destination, other_yes, other_doubt in self._sides("destination", rule, policy):
                self.rows.extend(
                    (
                        number, pair, source, destination, service, people, min(until, FOREVER),
                        max(doubt, source_doubt, other_doubt),
                        *words(times), *words(source_yes | other_yes), *words(no),
                    )
                )  # fmt: skip

    def _condition(self, condition: Condition) -> tuple[int, int]:
        """The bit that stands for a condition, as a mask, or what the row is without one."""
        bit = self.vocabulary.bits.get(condition)
        if bit is not None:
            return 1 << bit, PLAIN
        return 0, UNSURE if condition in self.vocabulary.crowded else OPTIONAL

    def _sides(self, side: str, rule: Rule, policy: Policy) -> list[tuple[int, int, int]]:
        """The lists of addresses of one side of a rule, with the condition each needs: (list, bit, kind of row)."""
        where = rule.source if side == "source" else rule.destination
        found: list[tuple[int, int, int]] = []
        if where.ranges:
            found.append((self._address(where.ranges), 0, PLAIN))
        found.extend((0, *self._condition(dns_condition(side, name, policy))) for name in where.dynamic)
        return found

    # --- lists ---------------------------------------------------------------------------------------

    def _pair(self, rule: Rule, side: int) -> int:
        return self._pairs.setdefault((rule.sources, rule.destinations, side), len(self._pairs))

    def _service(self, entries: tuple[ServiceEntry, ...]) -> int:
        found = self._service_number.get(id(entries))
        if found is None:
            found = self._service_number[id(entries)] = len(self._services)
            self._services.append(entries)
        return found

    def _address(self, ranges: tuple[Range, ...]) -> int:
        found = self._address_number.get(id(ranges))
        if found is None:
            found = self._address_number[id(ranges)] = len(self._addresses)
            self._addresses.append(ranges)
        return found

    def _person(self, stems: tuple[str, ...], policy: Policy) -> int:
        if not stems:
            return 0
        key = (stems, id(policy))
        found = self._people.get(key)
        if found is None:
            found = self._people[key] = len(self._people_lists)
            self._people_lists.append(people_intervals(self.vocabulary, stems, policy))
            self._policies[id(policy)] = policy
        return found

    def lists(self) -> Lists:
        """Everything that the rows name, packed."""
        versions, four, six, four_end, six_end = _packed_addresses(self._addresses)
        del versions
        pair, pair_end = array("i"), array("I")
        for sources, destinations, side in self._pairs:
            pair.extend(zone_pairs(self.vocabulary, sources, destinations, side))
            pair_end.append(len(pair) // 4)
        service, service4_end, service6_end = array("i"), array("I"), array("I")
        for entries in self._services:
            service.extend(service_boxes(entries, 4))
            service4_end.append(len(service) // 4)
            service.extend(service_boxes(entries, 6))
            service6_end.append(len(service) // 4)
        people, people_end = array("i"), array("I")
        for intervals in self._people_lists:
            for interval in intervals:
                people.extend(interval)
            people_end.append(len(people) // 2)
        return Lists(
            four, six, four_end, six_end, pair, pair_end, service, service4_end, service6_end, people, people_end
        )


def _packed_addresses(
    lists: Sequence[tuple[Range, ...]],
) -> tuple[list[bool], array[int], bytes, array[int], array[int]]:
    """Intervals of IPv4 and of IPv6, and where each list ends in both. Within a list IPv4 comes first."""
    ranges = list(chain.from_iterable(lists))
    wide = [part.version == 6 for part in ranges]
    narrow = [not item for item in wide]
    four = array("I", chain.from_iterable(zip(
        map(_FIRST, compress(ranges, narrow)), map(_LAST, compress(ranges, narrow)), strict=True
    )))  # fmt: skip
    bounds = chain.from_iterable(
        zip(map(_FIRST, compress(ranges, wide)), map(_LAST, compress(ranges, wide)), strict=True)
    )
    six = b"".join(map(int.to_bytes, bounds, repeat(16), repeat(sys.byteorder)))
    four_end, six_end = array("I"), array("I")
    at = fours = 0
    for part in lists:
        end = at + len(part)
        fours += sum(narrow[at:end])
        at = end
        four_end.append(fours)
        six_end.append(at - fours)
    return wide, four, six, four_end, six_end


def service_boxes(entries: Sequence[ServiceEntry], version: int) -> list[int]:
    """Boxes (service low, high, source port low, high) of the packets of one version that entries match."""
    plain: list[tuple[int, int]] = []
    found: list[int] = []
    for entry in entries:
        protocol = entry.protocol
        if protocol is None:
            return [*SERVICES, *PORTS]
        base = protocol << 16
        if protocol in PORT_PROTOCOLS:
            interval = (base + entry.ports[0], base + entry.ports[1])
            if entry.source_ports == PORTS:
                plain.append(interval)
            else:
                found += (*interval, *entry.source_ports)
        elif protocol in (ICMP, ICMPV6):
            if (protocol == ICMP) != (version == 4):
                continue  # ICMP over IPv6 is nothing a service can name
            first, last = entry.icmp
            if entry.code is None:
                plain.append((base + first * 256, base + last * 256 + 255))
            else:
                plain.extend(
                    (base + kind * 256 + entry.code, base + kind * 256 + entry.code)
                    for kind in range(first, last + 1)
                )
        else:
            plain.append((base, base + 65535))
    for interval in merged(plain):
        found += (*interval, *PORTS)
    return found
