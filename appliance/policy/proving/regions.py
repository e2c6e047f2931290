"""Boxes of a space as values for people: regions in the policy's names, and packets that lie in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice, product

from appliance.policy.boxes import PORT_PROTOCOLS, TCP, UDP, icmp_protocol
from appliance.policy.decide import Packet, World
from appliance.policy.model import ANY, GATEWAY, Policy, Range, Rule
from appliance.policy.proving.proof import Region, Witness
from appliance.policy.proving.space import Condition, Vocabulary, conditions, dns_condition, over_condition
from appliance.policy.times import zone as time_zone
from ctypes_ext import boxes
from ctypes_ext.boxes import Box, Space

MAX_REGIONS = 4096  # of one box
Interval = tuple[int, int]


class View:
    """A space seen with the words of a policy."""

    def __init__(self, vocabulary: Vocabulary, space: Space, policy: Policy) -> None:
        self.vocabulary = vocabulary
        self.space = space
        self.policy = policy
        self._conditions = {bit: condition for condition, bit in vocabulary.bits.items()}

    # --- regions -------------------------------------------------------------------------------------

    def regions(self, box: Box, own: Sequence[Condition] = ()) -> Iterator[Region]:
        """A box as regions of one zone pair and plain services each; at most `MAX_REGIONS`.

        `own` are conditions without a bit that must hold besides.
        """
        version, *source = self.space.addresses(*box.axes[boxes.SOURCE])
        _, *destination = self.space.addresses(*box.axes[boxes.DESTINATION])
        low, high = box.axes[boxes.PERSON]
        people = self.vocabulary.people[max(low, 1) : high + 1]
        anybody = low == 0 and high == len(self.vocabulary.people) - 1
        assumed = self.assumed(box, own)
        if low == 0 and not anybody:
            # Whom no rule names is in it, too: everybody but those who are left out.
            known = dict.fromkeys((*self.vocabulary.people[1:], *self.policy.people))
            people = tuple(name for name in known if name not in self.vocabulary.people[high + 1 :])
            assumed += () if people else ("nobody known is behind the source",)
        parts = product(self._zone_pairs(box), services(box.axes[boxes.SERVICE]), self.times(box))
        for sides, (protocol, key), schedules in islice(parts, MAX_REGIONS):
            yield Region(
                *sides,
                source=Range(version, source[0], source[1]),
                destination=Range(version, destination[0], destination[1]),
                protocol=protocol,
                key=key,
                source_ports=box.axes[boxes.SOURCE_PORT],
                people=() if anybody else people,
                nobody=low == 0,
                schedules=schedules,
                assumed=assumed,
            )

    def _zone_pairs(self, box: Box) -> Iterator[tuple[str, str]]:
        left = self._zone_words(box.axes[boxes.FROM])
        right = self._zone_words(box.axes[boxes.TO])
        return ((a, b) for a in left for b in right if not a == b == GATEWAY)

    def _zone_words(self, interval: Interval) -> tuple[str, ...]:
        low, high = interval
        count = len(self.vocabulary.zones)
        if low <= 1 and high == count - 1 and count > 2:
            return (GATEWAY, ANY) if low == 0 else (ANY,)
        return self.vocabulary.zones[low : high + 1]

    def times(self, box: Box) -> list[tuple[str, ...]]:
        """Words on the time of a box: together they say exactly its kinds and its seconds."""
        line = self.vocabulary.timeline
        low, high = box.axes[boxes.SECOND]
        bounds: list[str] = []
        if low > 0:
            bounds.append(f"from {self._moment(line.now + low)}")
        if high < line.last:
            bounds.append(f"before {self._moment(line.now + high + 1)}")
        return [(*cube, *bounds) for cube in self._cubes(box.times & line.every, 0, line.every)]

    def _cubes(self, mask: int, number: int, among: int) -> Iterator[tuple[str, ...]]:
        """The kinds of `mask` as few products of "on" and "not on"."""
        line = self.vocabulary.timeline
        if mask == among:
            yield ()
            return
        if not mask:
            return
        schedule = line.schedules[number]
        on = line.when(schedule) & among
        if mask & on == on and mask & ~on == among & ~on:
            yield ()
            return
        if on in (0, among):
            yield from self._cubes(mask, number + 1, among)
            return
        for cube in self._cubes(mask & on, number + 1, on):
            yield (schedule.name, *cube)
        for cube in self._cubes(mask & ~on, number + 1, among & ~on):
            yield (f"not {schedule.name}", *cube)

    def _moment(self, second: int) -> str:
        return datetime.fromtimestamp(second, time_zone(self.policy.settings.timezone)).strftime("%Y-%m-%dT%H:%M")

    def assumed(self, box: Box, own: Sequence[Condition] = ()) -> tuple[str, ...]:
        """What must hold for a box besides what a packet can show, in words."""
        words = [_words(condition, condition[0] != "over") for condition in own]
        for bit, condition in self._conditions.items():
            if box.yes >> bit & 1:
                words.append(_words(condition, True))
            elif box.no >> bit & 1:
                words.append(_words(condition, False))
        return tuple(words)

    # --- witnesses -----------------------------------------------------------------------------------

    def witness(self, box: Box, own: Sequence[Condition] = ()) -> Witness:
        """A packet of a box: one that a person would think of, where the box has it."""
        packet, from_zone, to_zone = self._packet(box)
        second = self.space.moment(box)
        return Witness(
            packet,
            from_zone,
            to_zone,
            at=self.vocabulary.timeline.now + (0 if second is None else second),
            person=self.vocabulary.people[box.axes[boxes.PERSON][0]],
            assumed=self.assumed(box, own),
        )

    def _packet(self, box: Box) -> tuple[Packet, str, str]:
        from_zone = self._zone(box, boxes.FROM)
        to_zone = self._zone(box, boxes.TO)
        if from_zone == to_zone == GATEWAY:
            to_zone = self.vocabulary.zones[1]  # a box has no packet from the gateway to itself
        version, *source = self.space.addresses(*box.axes[boxes.SOURCE])
        _, *destination = self.space.addresses(*box.axes[boxes.DESTINATION])
        sender, receiver = _host(*source), _host(*destination)
        if sender == receiver:
            receiver += 1 if receiver < destination[1] else -1 if receiver > destination[0] else 0
            if sender == receiver:
                sender += 1 if sender < source[1] else -1 if sender > source[0] else 0
        protocol, key = _service(box.axes[boxes.SERVICE], version)
        ported = protocol in PORT_PROTOCOLS
        icmp = protocol == icmp_protocol(version)
        low, high = box.axes[boxes.SOURCE_PORT]
        return (
            Packet(
                version,
                self._interface(from_zone),
                self._interface(to_zone),
                sender,
                receiver,
                protocol,
                source_port=(min(max(low, 50_000), high) if ported else 0),
                destination_port=key if ported else 0,
                icmp_type=key >> 8 if icmp else 0,
                icmp_code=key & 0xFF if icmp else 0,
            ),
            from_zone,
            to_zone,
        )

    def _zone(self, box: Box, axis: int) -> str:
        low, high = box.axes[axis]
        return self.vocabulary.zones[max(low, 1) if high > 0 else low]

    def _interface(self, zone: str) -> str:
        return "" if zone == GATEWAY else self.policy.zones[zone].interfaces[0]

    # --- the world in which a witness is one -----------------------------------------------------------

    def world(self, box: Box, witness: Witness, rule: Rule | None, row: int) -> World:
        """What holds besides the packet, so that `decide.first_match` finds `rule` (None: the default)."""
        policy, packet = self.policy, witness.packet
        source = Range(packet.version, packet.source, packet.source)
        destination = Range(packet.version, packet.destination, packet.destination)
        members: dict[str, set[Range]] = {}
        for name, dynamic in policy.dynamics.items():
            if dynamic.kind != "dns" and witness.person and witness.person in dynamic.names:
                members[name] = {source}
        own = () if rule is None else row_conditions(rule, row, policy)
        for other in policy.rules:
            for side, where, address in (
                ("source", other.source, source),
                ("destination", other.destination, destination),
            ):
                for name in where.dynamic:
                    condition = dns_condition(side, name, policy)
                    if self._true(box, condition) or condition in own:
                        members.setdefault(name, set()).add(address)
        over = {
            other.id for other in policy.rules if (other.rate or other.connections) and self._over(box, other, rule)
        }
        frozen: Mapping[str, frozenset[Range]] = {name: frozenset(found) for name, found in members.items()}
        return World(now=witness.at, members=frozen, over=frozenset(over))

    def _true(self, box: Box, condition: Condition) -> bool:
        bit = self.vocabulary.bits.get(condition)
        return bit is not None and bool(box.yes >> bit & 1)

    def _over(self, box: Box, rule: Rule, decider: Rule | None) -> bool:
        bit = self.vocabulary.bits.get(over_condition(rule))
        if bit is None:
            return decider is None or rule.id != decider.id
        return bool(box.yes >> bit & 1)


def row_conditions(rule: Rule, row: int, policy: Policy) -> tuple[Condition, ...]:
    """The conditions that row `row` of a rule needs (`lower.py` says how rows are numbered)."""
    found: list[Condition] = []
    sides = []
    for side, where in (("source", rule.source), ("destination", rule.destination)):
        plain: list[Condition | None] = [None] if where.ranges else []
        sides.append([*plain, *(dns_condition(side, name, policy) for name in where.dynamic)])
    pairs = list(product(*sides))
    if row < len(pairs):
        found.extend(condition for condition in pairs[row] if condition is not None)
    if rule.rate or rule.connections:
        found.append(over_condition(rule))
    return tuple(found)


def own_conditions(rule: Rule, row: int, policy: Policy, vocabulary: Vocabulary) -> list[Condition]:
    """Those of a row that have no bit."""
    if not conditions(rule, policy):
        return []
    return [item for item in row_conditions(rule, row, policy) if item not in vocabulary.bits]


def _words(condition: Condition, holds: bool) -> str:
    kind, what, *_ = condition
    if kind == "over":
        return f"{what} is {'' if holds else 'not '}over its limit"
    names = " or ".join(what[1:] or what[:1]) if isinstance(what, tuple) else what
    return f"{names} {'stands' if holds else 'does not stand'} for the {kind}"


def services(interval: Interval) -> list[tuple[Interval, Interval]]:
    """An interval of the service axis as (protocols, keys)."""
    low, high = interval
    first, first_key = divmod(low, 1 << 16)
    last, last_key = divmod(high, 1 << 16)
    if first == last:
        return [((first, first), (first_key, last_key))]
    found: list[tuple[Interval, Interval]] = []
    if first_key > 0:
        found.append(((first, first), (first_key, 65535)))
        first += 1
    tail = last_key < 65535
    if first <= last - tail:
        found.append(((first, last - tail), (0, 65535)))
    if tail:
        found.append(((last, last), (0, last_key)))
    return found


def _service(interval: Interval, version: int) -> Interval:
    """(protocol, key) of a packet: one that people know, if the interval has it."""
    low, high = interval
    echo = (8 if version == 4 else 128) << 8
    for protocol, key in ((TCP, 443), (TCP, 80), (UDP, 53), (icmp_protocol(version), echo)):
        if low <= protocol << 16 | key <= high:
            return protocol, key
    for protocol in (TCP, UDP):
        first, last = max(low, (protocol << 16) + 1), min(high, (protocol << 16) + 65535)
        if first <= last:
            return divmod(first, 1 << 16)
    return divmod(low, 1 << 16)


def _host(first: int, last: int) -> int:
    """An address inside of an interval, not the first of a network where there is another."""
    return first + 1 if last - first > 1 else first
