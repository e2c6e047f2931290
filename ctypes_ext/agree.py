"""Whether two first-match programs decide every packet alike: typed calls over `_agree`.

A program is rows over seven axes (`dataplane/include/reef/agree.h`). Values on an axis are numbered in a `Space`, so
that equal values have equal numbers; what a row does is a number that the caller gives, for equal deeds the same.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

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


class Space:
    """The values that rows hold on their axes, by number."""

    def __init__(self) -> None:
        self._numbers: dict[Values | None, int] = {}
        self._intervals = bytearray()
        self._values = array("I")
        self._count = 0
        self._numbers[None] = self.number(EVERY)

    def number(self, values: Values) -> int:
        """The number of disjoint, ascending closed intervals."""
        found = self._numbers.get(values)
        if found is None:
            found = self._numbers[values] = len(self._values) // 2
            self._values.extend((self._count, len(values)))
            for first, last in values:
                self._intervals += first.to_bytes(16, "big")
                self._intervals += last.to_bytes(16, "big")
            self._count += len(values)
        return found

    def numbers(self, product: Sequence[Values | None]) -> list[int]:
        """The numbers of the values on several axes; None is every value."""
        known = self._numbers
        if product[4] is product[5] is product[6] is None:  # nearly always
            found = [known.get(values, -1) for values in product[:4]]
            found += (0, 0, 0)
        else:
            found = [known.get(values, -1) for values in product]
        if -1 in found:
            for axis, values in enumerate(product):
                if found[axis] < 0 and values is not None:
                    found[axis] = self.number(values)
        return found

    def compare(self, whole: Sequence[Interval], one: array[int], other: array[int], budget: int) -> Answer:
        """Compare two programs, each an array ("I") of rows of `ROW` numbers. Raises ValueError for rows that name
        values which this space does not have."""
        intervals = ffi.from_buffer("struct reef_agree_interval[]", bytes(self._intervals))
        values = ffi.from_buffer("struct reef_agree_values[]", self._values.tobytes())
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
