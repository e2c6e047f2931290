"""Rules into rows of packed lists, as the box algebra takes them.

A rule becomes one row, or several: addresses in a DNS name are a row of their own with a condition. A row names lists
(zone pairs, sources, destinations, services, people) whose product the C side makes; equal lists are packed once.
This touches every object of a policy, so `ctypes_ext._rulewords` does it in C, in one pass; what only a few rules say
(people, times, limits, DNS names) is done here.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import compress

from appliance.policy.boxes import ICMP, ICMPV6, PORT_PROTOCOLS
from appliance.policy.model import EVERYTHING, Policy, Rule, ServiceEntry
from appliance.policy.proving.space import (
    PORTS,
    SERVICES,
    Condition,
    Entry,
    Vocabulary,
    conditional_at,
    dns_condition,
    merged,
    over_condition,
    people_intervals,
    zone_pairs,
)
from appliance.policy.proving.timeline import ALL_KINDS
from ctypes_ext import _rulewords as rulewords
from ctypes_ext.boxes import ROW_WORDS, Lists, words

FOREVER = 2**31 - 1
PLAIN, OPTIONAL, UNSURE = range(3)
# rule, pair, source, destination, service are set; people, until, kind, times, yes, no
_PLAIN_ROW = array("I", (0, 0, 0, 0, 0, 0, FOREVER, PLAIN, *words(ALL_KINDS), *words(0), *words(0))).tobytes()
_ALWAYS, _NONE = words(ALL_KINDS), words(0)


class Lowering:
    """Collects the rows of rules and the lists they name."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.rows = array("I")
        self._pairs: dict[tuple[tuple[str, ...], tuple[str, ...], int], int] = {}
        self._services: list[tuple[ServiceEntry, ...]] = []
        self._packer = rulewords.packer(self._pairs, self._services)
        rulewords.address(self._packer, EVERYTHING.ranges)  # it is list 0
        self._held: list[Sequence[Rule]] = []  # lists are known by identity: they must not go
        self._people: dict[tuple[tuple[str, ...], int], int] = {}
        self._times: dict[tuple[str, int], tuple[tuple[int, int], int]] = {}
        self._people_lists: list[list[tuple[int, int]]] = [[(0, len(vocabulary.people) - 1)]]

    def add(self, rules: Sequence[Rule], numbers: Sequence[int], side: int, policy: Policy) -> None:
        """The rows of rules that stand at positions `numbers`: the plain ones in one pass, the others one by one."""
        special = conditional_at(rules)
        named = [at for at in special if rules[at].source.dynamic or rules[at].destination.dynamic]
        if named:
            plain = bytearray(b"\1") * len(rules)
            for at in named:
                plain[at] = 0
            self.add(list(compress(rules, plain)), list(compress(numbers, plain)), side, policy)
            for at in named:
                self._named(numbers[at], Entry(rules[at], side, policy))
            return
        rows = self._plain(rules, numbers, side)
        for at in special:
            start = at * ROW_WORDS
            rows[start + 5 : start + ROW_WORDS] = array("I", self._tail(rules[at], policy))
        self.rows.extend(rows)

    def _plain(self, rules: Sequence[Rule], numbers: Sequence[int], side: int) -> array[int]:
        held = list(rules)
        self._held.append(held)
        rows = array("I")
        rows.frombytes(rulewords.rows(self._packer, held, side, _PLAIN_ROW))
        rows[0::ROW_WORDS] = array("I", numbers)
        return rows

    def _tail(self, rule: Rule, policy: Policy) -> tuple[int, ...]:
        """People, until, kind of row, times, yes and no of a rule, its addresses aside."""
        times, no, doubt = _ALWAYS, _NONE, PLAIN
        if rule.when:
            key = (rule.when, id(policy))
            known = self._times.get(key)
            if known is None:
                line = self.vocabulary.timeline
                schedule = policy.schedules[rule.when]
                exact = schedule in line.schedules
                known = words(line.when(schedule)) if exact else _ALWAYS, PLAIN if exact else UNSURE
                self._times[key] = known
            times, doubt = known
        if rule.rate or rule.connections:
            mask, limited = self._condition(over_condition(rule))
            no, doubt = words(mask), max(doubt, limited)
        until = FOREVER
        if rule.expires_at:
            until = min(max(rule.expires_at - self.vocabulary.timeline.now, 0), FOREVER) - 1
            if until < 0:
                times, until = _NONE, 0  # it has expired
        return self._person(rule.people, policy), until, doubt, *times, *_NONE, *no

    def _named(self, number: int, entry: Entry) -> None:
        """A rule with DNS names: a row for each way in which both of its sides can hold."""
        rule, policy = entry.rule, entry.policy
        pair = self._pairs.setdefault((rule.sources, rule.destinations, entry.side), len(self._pairs))
        service = rulewords.service(self._packer, rule.services)
        people, until, doubt, *rest = self._tail(rule, policy)
        times, no = rest[:2], rest[4:]
        for source, source_yes, source_doubt in self._sides("source", rule, policy):
            for destination, other_yes, other_doubt in self._sides("destination", rule, policy):
                kind = max(doubt, source_doubt, other_doubt)
                yes = words(source_yes | other_yes)
                row = (number, pair, source, destination, service, people, until, kind, *times, *yes, *no)
                self.rows.extend(row)

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
            found.append((rulewords.address(self._packer, where.ranges), 0, PLAIN))
        found.extend((0, *self._condition(dns_condition(side, name, policy))) for name in where.dynamic)
        return found

    # --- lists ---------------------------------------------------------------------------------------

    def _person(self, stems: tuple[str, ...], policy: Policy) -> int:
        if not stems:
            return 0
        key = (stems, id(policy))
        found = self._people.get(key)
        if found is None:
            found = self._people[key] = len(self._people_lists)
            self._people_lists.append(people_intervals(self.vocabulary, stems, policy))
        return found

    def lists(self) -> Lists:
        """Everything that the rows name, packed."""
        four, six, four_end, six_end = rulewords.addresses(self._packer)
        pair, pair_end = array("i"), array("I")
        for sources, destinations, side in self._pairs:
            pair.extend(zone_pairs(self.vocabulary, sources, destinations, side))
            pair_end.append(len(pair) // 4)
        service, service4_end, service6_end = rulewords.services(self._services, service_lists)
        people, people_end = array("i"), array("I")
        for intervals in self._people_lists:
            for interval in intervals:
                people.extend(interval)
            people_end.append(len(people) // 2)
        services = array("i", service), array("I", service4_end), array("I", service6_end)
        addresses = array("I", four), six, array("I", four_end), array("I", six_end)
        return Lists(*addresses, pair, pair_end, *services, people, people_end)


def service_lists(entries: Sequence[ServiceEntry]) -> tuple[list[int], list[int]]:
    """`service_boxes` of IPv4 and of IPv6."""
    found = service_boxes(entries, 4)
    if any(entry.protocol in (ICMP, ICMPV6) for entry in entries):
        return found, service_boxes(entries, 6)
    return found, found


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
    for interval in merged(plain) if len(plain) > 1 else plain:
        found += (*interval, *PORTS)
    return found
