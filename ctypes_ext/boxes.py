"""The box algebra of the C core (dataplane/include/reef/boxes.h): a list of rules as exact unions of boxes.

A thin border: arrays in, small values out. Long calls run with the GIL released.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ctypes_ext._boxes import ffi, lib

FROM, TO, SOURCE, DESTINATION, SERVICE, SOURCE_PORT, PERSON, SECOND = range(8)
AXES = 8
OLD, NEW, BOTH = 1, 2, 3
NO_RULE = -1
ALL_TIMES = (1 << 64) - 1
ANY_ACTION = 256
EMPTY, DEAD, NO_EFFECT, CONFLICT, UNDECIDED = range(1, 6)
_OK, _END, _FULL = 0, 1, 8
Interval = tuple[int, int]


class BoxError(Exception):
    """The algebra could not do what was asked: no memory, or an argument out of its bounds."""


class BudgetEnded(Exception):
    """A question took more steps than it was given; nothing is known."""


class Box(NamedTuple):
    """Closed intervals on all axes (`FROM`, ...), kinds of time, conditions that must hold and that must not."""

    axes: tuple[Interval, ...]
    times: int = ALL_TIMES
    yes: int = 0
    no: int = 0


class Finding(NamedTuple):
    """What was proven of a rule. `others` is how many rules it names; `named` has the first ones."""

    rule: int
    kind: int
    others: int
    named: tuple[int, ...]
    row: int
    witness: Box | None


class Part(NamedTuple):
    """A box that one rule decides; in a comparison what the old and the new list say of it."""

    box: Box
    old_rule: int
    new_rule: int
    old_row: int
    new_row: int
    unsure: bool


class Lists(NamedTuple):
    """The lists that rows are products of, packed: see `struct reef_box_lists`."""

    four: array[int]
    six: bytes
    four_end: array[int]
    six_end: array[int]
    pair: array[int]
    pair_end: array[int]
    service: array[int]
    service4_end: array[int]
    service6_end: array[int]
    people: array[int]
    people_end: array[int]


ROW_WORDS = 14  # of 32 bits: rule, five lists, until, optional, then times, yes and no as two words each


def words(mask: int) -> tuple[int, int]:
    """A mask of 64 bits as two words in the order of this machine."""
    low, high = mask & 0xFFFFFFFF, mask >> 32
    return (low, high) if sys.byteorder == "little" else (high, low)


class Space:
    """An ordered list of rules that can be asked and changed."""

    def __init__(self, stretches: Sequence[tuple[int, int]], last: int, effect: int, action: int) -> None:
        """`stretches` are (second, kind of time); `effect` and `action` those of what no rule decides."""
        out = ffi.new("reef_space **")
        packed = ffi.new("reef_box_stretch[]", list(stretches))
        fallback = ffi.new("reef_box_rule *", {"effect": effect, "action": action, "side": BOTH})
        _check(lib.reef_space_new(packed, len(stretches), last, fallback[0], out))
        self._space: Any = ffi.gc(out[0], lib.reef_space_free)

    @property
    def rules(self) -> int:
        return int(lib.reef_space_rules(self._space))

    @property
    def boxes(self) -> int:
        return int(lib.reef_space_boxes(self._space))

    @property
    def crossings(self) -> int:
        """How many pairs of rules are in conflict, as far as rules were proven."""
        return int(lib.reef_space_crossings(self._space))

    def change(self, moved: array[int], rules: array[int], lists: Lists, rows: array[int]) -> None:
        """`moved` (i) says where each rule stands now; `rules` (i) has effect and action | side << 8 of each."""
        count = len(rules) // 2
        if len(moved) != self.rules:
            raise BoxError(f"{len(moved)} places for {self.rules} rules")
        packed = ffi.new("reef_box_lists *")
        held = [packed]
        for name in ("four", "four_end", "six_end", "pair", "pair_end", "service", "service4_end", "service6_end"):
            held.append(_borrow(packed, name, getattr(lists, name)))
        for name in ("people", "people_end"):
            held.append(_borrow(packed, name, getattr(lists, name)))
        held.append(ffi.from_buffer("uint8_t[]", lists.six))
        packed.six = held[-1]
        packed.addresses = len(lists.four_end)
        packed.pairs = len(lists.pair_end)
        packed.services = len(lists.service4_end)
        packed.peoples = len(lists.people_end)
        _check(
            lib.reef_space_change(
                self._space,
                ffi.from_buffer("int32_t[]", moved),
                ffi.cast("reef_box_rule *", ffi.from_buffer(rules)),
                count,
                packed,
                ffi.cast("reef_box_row *", ffi.from_buffer(rows)),
                len(rows) // ROW_WORDS,
            )
        )

    def cut(self, ranges: Iterable[tuple[int, int, int]]) -> None:
        """Make borders of (version, first, last), so that questions may name them."""
        four, six = array("I"), bytearray()
        for version, first, last in ranges:
            if version == 4:
                four.extend((first, last))
            else:
                six += first.to_bytes(16, sys.byteorder) + last.to_bytes(16, sys.byteorder)
        _check(
            lib.reef_space_cut(
                self._space,
                ffi.from_buffer("uint32_t[]", four),
                len(four) // 2,
                ffi.from_buffer("uint8_t[]", six),
                len(six) // 32,
            )
        )

    def ranks(self, version: int, first: int, last: int) -> Interval:
        """The ranks of an interval of addresses whose borders are known."""
        low, high = ffi.new("int32_t *"), ffi.new("int32_t *")
        given = first.to_bytes(16, sys.byteorder), last.to_bytes(16, sys.byteorder)
        _check(lib.reef_space_ranks(self._space, version, *given, low, high))
        return int(low[0]), int(high[0])

    def addresses(self, low: int, high: int) -> tuple[int, int, int]:
        """(version, first, last) of an interval of ranks."""
        version, first, last = ffi.new("int *"), ffi.new("uint8_t[16]"), ffi.new("uint8_t[16]")
        _check(lib.reef_space_addresses(self._space, low, high, version, first, last))
        return (
            int(version[0]),
            int.from_bytes(bytes(first), sys.byteorder),
            int.from_bytes(bytes(last), sys.byteorder),
        )

    def whole(self, version: int) -> Interval:
        """The ranks of every address of a version."""
        low, high = ffi.new("int32_t *"), ffi.new("int32_t *")
        lib.reef_space_whole(self._space, version, low, high)
        return int(low[0]), int(high[0])

    def moment(self, box: Box) -> int | None:
        """A second of the box."""
        second = ffi.new("int32_t *")
        found = lib.reef_space_moment(self._space, _packed([box]), second)
        return int(second[0]) if found else None

    def prove(self, budget: int, share: int, conflicts: int) -> tuple[list[Finding], bytes, int]:
        """Findings about the rules that changed, one byte for each rule (was it looked at), and steps."""
        used, found, count = ffi.new("uint64_t *"), ffi.new("reef_finding **"), ffi.new("uint32_t *")
        proven = ffi.new("uint8_t[]", self.rules + 1)
        _check(lib.reef_space_prove(self._space, budget, share, conflicts, used, proven, found, count))
        findings = [_finding(found[0][i]) for i in range(count[0])]
        return findings, bytes(ffi.buffer(proven, self.rules)), int(used[0])

    def decide(
        self, boxes: Sequence[Box], *, side: int = BOTH, action: int = ANY_ACTION, default: bool = True, budget: int
    ) -> tuple[list[Part], int]:
        """Which rule decides which part of `boxes`, and steps. Raises `BudgetEnded`."""
        used, found, count = ffi.new("uint64_t *"), ffi.new("reef_part **"), ffi.new("uint32_t *")
        status = lib.reef_space_decide(
            self._space, _packed(boxes), len(boxes), side, action, default, budget, used, found, count
        )
        return _parts(status, found, count), int(used[0])

    def compare(self, budget: int) -> tuple[list[Part], int]:
        """Where the old and the new rules act differently, and steps. Raises `BudgetEnded`."""
        used, found, count = ffi.new("uint64_t *"), ffi.new("reef_part **"), ffi.new("uint32_t *")
        status = lib.reef_space_compare(self._space, budget, used, found, count)
        return _parts(status, found, count), int(used[0])


def _check(status: int) -> None:
    if status in (_END, _FULL):
        raise BudgetEnded(ffi.string(lib.reef_status_text(status)).decode())
    if status != _OK:
        raise BoxError(ffi.string(lib.reef_status_text(status)).decode())


def _borrow(packed: Any, name: str, values: array[int]) -> Any:
    kind = "int32_t[]" if values.typecode == "i" else "uint32_t[]"
    view = ffi.from_buffer(kind, values)
    setattr(packed, name, view)
    return view


def _packed(boxes: Sequence[Box]) -> Any:
    return ffi.new(
        "reef_box[]",
        [
            (
                [low for low, _ in box.axes],
                [high for _, high in box.axes],
                box.times,
                box.yes,
                box.no,
            )
            for box in boxes
        ],
    )


def _box(packed: Any) -> Box:
    axes = tuple(zip(ffi.unpack(packed.low, AXES), ffi.unpack(packed.high, AXES), strict=True))
    return Box(axes, packed.times, packed.yes, packed.no)


def _finding(packed: Any) -> Finding:
    return Finding(
        packed.rule,
        packed.kind,
        packed.others,
        tuple(packed.other[i] for i in range(min(packed.others, len(packed.other)))),
        packed.row,
        _box(packed.witness) if packed.witness.low[0] <= packed.witness.high[0] else None,
    )


def _parts(status: int, found: Any, count: Any) -> list[Part]:
    _check(status)
    parts = []
    for i in range(count[0]):
        part = found[0][i]
        parts.append(
            Part(_box(part.box), part.old_rule, part.new_rule, part.old_row, part.new_row, bool(part.unsure))
        )
    return parts
