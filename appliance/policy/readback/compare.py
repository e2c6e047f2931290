"""Two programs of one place: where they decide a packet differently, with a packet that shows it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec

from appliance.policy.boxes import PORT_PROTOCOLS, icmp_protocol
from appliance.policy.decide import Packet
from appliance.policy.readback import packets
from appliance.policy.readback.expected import Case, Decided
from appliance.policy.readback.packets import Interval, Place
from appliance.policy.readback.registers import ROUTED_BACK, Condition, Literals
from ctypes_ext.agree import ENDS, IF_ENDS, IF_SKIPS, ROW, SKIPS, Cell, Space

_pack = struct.Struct(f"={ROW}I").pack
_CONDITIONAL = 1 << 30  # numbers of leaves with conditions, beyond those of decisions
_JUDGED = 4096  # assignments of conditions that are looked at for one cell
Assignment = dict[Condition, bool]


class Differs(msgspec.Struct, frozen=True):
    """In `box` the kernel decides as `found`, the policy as `wanted`, where the conditions are as `given`."""

    place: Place
    box: tuple[Interval, ...]
    given: tuple[tuple[Condition, bool], ...]
    found: Decided
    wanted: Decided


class Undecided(msgspec.Struct, frozen=True):
    """A place whose programs could not be compared to the end."""

    place: Place
    words: str


class Comparison:
    """Compares programs, place after place. Values and deeds have the same numbers at all of them."""

    def __init__(self, period: Interval, budget: int) -> None:
        self._period = period
        self.budget = budget
        self.steps = 0
        self._space = Space()
        self._leaves: dict[tuple[Literals, int], int] = {}
        self._decisions: dict[Decided | None, int] = {}
        self._deeds: dict[int, int] = {}
        self._rows: dict[int, bytes] = {}
        self._kept: list[Case] = []
        self._alike: set[tuple[int, bytes, bytes]] = set()

    def compare(self, place: Place, found: Sequence[Case], wanted: Sequence[Case]) -> list[Differs | Undecided]:
        """What differs at a place; an empty list when every first packet is decided alike there."""
        one, other = self._program(found), self._program(wanted)
        key = (place.version, one, other)
        if key in self._alike:
            return []
        answer = self._space.compare(packets.whole(place.version, self._period), one, other, self.budget)
        self.budget -= answer.steps
        self.steps += answer.steps
        differences: list[Differs | Undecided] = []
        for cell in answer.cells:
            judged = self._judge(place, cell, found, wanted)
            if judged is not None:
                differences.append(judged)
        if not answer.complete:
            differences.append(Undecided(place, "the comparison ran out of its budget of steps"))
        if not differences:
            self._alike.add(key)
        return differences

    def _program(self, cases: Sequence[Case]) -> bytes:
        known = self._rows
        return b"".join([known.get(id(case)) or self._row(case) for case in cases])

    def _row(self, case: Case) -> bytes:
        numbers = self._space.numbers(case.product)
        decided, literals = case.decided, case.literals
        leaf = self._deeds.get(id(decided))
        if leaf is None:
            leaf = self._deeds[id(decided)] = self._decisions.setdefault(decided, len(self._decisions))
        always, sometimes = (SKIPS, IF_SKIPS) if decided is None else (ENDS, IF_ENDS)
        if literals:
            leaf = self._leaves.setdefault((literals, leaf), _CONDITIONAL + len(self._leaves))
            always = sometimes
        row = self._rows[id(case)] = _pack(*numbers, leaf, always, case.skip)
        self._kept.append(case)  # so that its id stays its own
        return row

    def _judge(
        self, place: Place, cell: Cell, found: Sequence[Case], wanted: Sequence[Case]
    ) -> Differs | Undecided | None:
        """Whether what is left in a cell means the same under every assignment of its conditions."""
        one = [(at, found[at]) for at in cell.one]
        other = [(at, wanted[at]) for at in cell.other]
        waiting: list[Assignment] = [{}]
        for _ in range(_JUDGED):
            if not waiting:
                return None
            given = waiting.pop()
            left, right = _walk(one, given), _walk(other, given)
            open_ = left if isinstance(left, tuple) else right if isinstance(right, tuple) else None
            if open_ is not None:
                # The usual case first: nobody is in a set or over a limit, and routes lead back.
                usual = open_ == ROUTED_BACK
                waiting += [{**given, open_: not usual}, {**given, open_: usual}]
            elif left != right and isinstance(left, Decided) and isinstance(right, Decided):
                return Differs(place, cell.box, tuple(given.items()), left, right)
        return Undecided(place, "too many conditions meet in one place")


def _walk(rows: list[tuple[int, Case]], given: Assignment) -> Decided | Condition:
    """What the rows that are left decide, or the next condition that must be known for it."""
    until = 0
    for at, case in rows:
        if at < until:
            continue
        holds = True
        for condition, wanted in case.literals:
            known = given.get(condition)
            if known is None:
                return condition
            if known != wanted:
                holds = False
                break
        if not holds:
            continue
        if case.decided is not None:
            return case.decided
        until = at + case.skip
    return Decided("", "nothing")


def packet_of(differs: Differs, sources: tuple[int, ...], destinations: tuple[int, ...]) -> tuple[Packet, int]:
    """A packet of the difference, with one of these addresses where it has one; and its moment (seconds since the
    epoch)."""
    place, box = differs.place, differs.box
    protocol = _pick(box[packets.PROTOCOL], (6, 17, icmp_protocol(place.version)))
    key = _pick(box[packets.KEY], (443,))
    ported = protocol in PORT_PROTOCOLS
    asked = protocol == icmp_protocol(place.version)
    packet = Packet(
        version=place.version,
        entering=place.entering,
        leaving=place.leaving,
        source=_pick(box[packets.SOURCE], (*sources, box[packets.SOURCE][0] + 1)),
        destination=_pick(box[packets.DESTINATION], (*destinations, box[packets.DESTINATION][0] + 1)),
        protocol=protocol,
        source_port=_pick(box[packets.SOURCE_PORT], (40_000,)) if ported else 0,
        destination_port=key if ported else 0,
        icmp_type=key >> 8 if asked else 0,
        icmp_code=key & 255 if asked else 0,
    )
    return packet, box[packets.TIME][0]


def _pick(interval: Interval, liked: tuple[int, ...]) -> int:
    """A value of the interval: one that reads well where it has one."""
    return next((value for value in liked if interval[0] <= value <= interval[1]), interval[0])
