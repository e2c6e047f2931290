"""Whether two first-match programs decide every packet alike: typed calls over `_agree`.

A program is rows over seven axes (`dataplane/include/reef/agree.h`). Values on an axis are numbered in a `Space`, so
that equal values have equal numbers; what a row does is a number that the caller gives, for equal deeds the same.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, chain, repeat
from typing import Literal

import msgspec

from ctypes_ext._agree import ffi, lib

AXES = 7
ENDS, SKIPS, IF_ENDS, IF_SKIPS = 1, 2, 3, 4
ROW = 10  # numbers of a row: seven of values, leaf, what it does, how far it skips
Interval = tuple[int, int]
Values = tuple[Interval, ...]
EVERY: Values = ((0, (1 << 128) - 1),)

_CELLS = 256
_RESIDUE = 65_536
_BIG: Literal["big"] = "big"


class Cell(msgspec.Struct, frozen=True):
    """A box in which the programs are left with different rows, given by their places."""

    box: tuple[Interval, ...]
    one: tuple[int, ...]
    other: tuple[int, ...]


class Answer(msgspec.Struct, frozen=True):
    """`complete` is False when the budget or the room ended before all was compared. `steps` were taken."""

    cells: tuple[Cell, ...]
    complete: bool
    steps: int


class _Numbers(dict[Values | None, int]):
    """Gives values numbers as they come; None and `EVERY` are 0. `fresh` are those that are not packed yet."""

    def __init__(self) -> None:
        super().__init__({None: 0, EVERY: 0})
        self.fresh: list[Values] = [EVERY]

    def __missing__(self, values: Values) -> int:
        number = self[values] = len(self) - 1
        self.fresh.append(values)
        return number


class Space:
    """The values that rows hold on their axes, by number: disjoint, ascending closed intervals."""

    def __init__(self) -> None:
        self._numbers = _Numbers()
        self._intervals = bytearray()
        self._values = array("I")
        self._count = 0

    def numbers(self, product: Sequence[Values | None]) -> list[int]:
        """The numbers of the values on several axes; None is every value."""
        return list(map(self._numbers.__getitem__, product))

    def _pack(self) -> None:
        """What got a number since the last comparison: all of it at once, for there is much at first."""
        fresh, self._numbers.fresh = self._numbers.fresh, []
        bounds = chain.from_iterable(chain.from_iterable(fresh))
        self._intervals += b"".join(map(int.to_bytes, bounds, repeat(16), repeat(_BIG)))
        counts = array("I", map(len, fresh))
        packed = array("I", bytes(8 * len(fresh)))
        ends = array("I", accumulate(counts, initial=self._count))
        self._count = ends.pop()
        packed[0::2], packed[1::2] = ends, counts
        self._values += packed

    def compare(self, whole: Sequence[Interval], one: bytes, other: bytes, budget: int) -> Answer:
        """Compare two programs, each of rows of `ROW` numbers of 32 bits. Raises ValueError for rows that name
        values which this space does not have."""
        self._pack()
        intervals = ffi.from_buffer("struct reef_agree_interval[]", self._intervals)
        values = ffi.from_buffer("struct reef_agree_values[]", self._values)
        space = ffi.new("struct reef_agree_space *")
        space.intervals, space.interval_count = intervals, self._count
        space.values, space.values_count = values, len(self._values) // 2
        for axis, (first, last) in enumerate(whole):
            space.whole[axis].first = first.to_bytes(16, "big")
            space.whole[axis].last = last.to_bytes(16, "big")
        programs = ffi.new("struct reef_agree_program[2]")
        kept = [ffi.from_buffer("struct reef_agree_row[]", rows) for rows in (one, other)]
        for program, rows in zip(programs, kept, strict=True):
            program.rows, program.count = rows, len(rows)
        cells = ffi.new("struct reef_agree_cell[]", _CELLS)
        residue = ffi.new("uint32_t[]", _RESIDUE)
        answer = ffi.new("struct reef_agree_answer *")
        answer.cells, answer.cell_room = cells, _CELLS
        answer.residue, answer.residue_room = residue, _RESIDUE
        answer.budget = budget
        status = lib.reef_agree(space, programs, programs + 1, answer)
        if status:
            raise ValueError(ffi.string(lib.reef_status_text(status)).decode())
        found = []
        for cell in cells[0 : answer.cell_count]:
            box = tuple(
                (int.from_bytes(bytes(span.first), "big"), int.from_bytes(bytes(span.last), "big"))
                for span in cell.box
            )
            begin, middle = cell.start, cell.start + cell.counts[0]
            end = middle + cell.counts[1]
            found.append(Cell(box, tuple(residue[begin:middle]), tuple(residue[middle:end])))
        return Answer(tuple(found), bool(answer.complete), budget - answer.budget)
