"""What changed in a text, as an editor in a browser counts: places are UTF-16 code units of the old text. Pure.

`minimal` finds few and small changes by lines that stand once in both texts (patience diff), so that a text of a
hundred thousand lines of which most look alike is compared in time that grows with its length.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

import msgspec


class Edit(msgspec.Struct, frozen=True):
    """`insert` stands where `start` to `end` stood."""

    start: int
    end: int
    insert: str


class EditsError(ValueError):
    """The edits are not sorted, overlap, or lie outside of the text."""


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text after edits that are sorted and do not overlap. Raises `EditsError`."""
    # In UTF-16 every code unit has two bytes, so that cutting needs no table of where characters are.
    wide = not text.isascii()
    units = text.encode("utf-16-le", "surrogatepass") if wide else text.encode()
    width = 2 if wide else 1
    parts: list[str] = []
    at = 0
    for edit in edits:
        if not at <= edit.start <= edit.end <= len(units) // width:
            raise EditsError(f"the edit at {edit.start} to {edit.end} overlaps another, or is not in the text")
        parts.append(_decoded(units[at * width : edit.start * width], wide))
        parts.append(edit.insert)
        at = edit.end
    parts.append(_decoded(units[at * width :], wide))
    return "".join(parts)


def _decoded(units: bytes, wide: bool) -> str:
    if not wide:
        return units.decode()
    try:
        return units.decode("utf-16-le")
    except UnicodeDecodeError as error:
        raise EditsError("an edit cuts a character in two") from error


def minimal(old: str, new: str) -> tuple[Edit, ...]:
    """Edits that lead from one text to another and leave every line alone that stayed."""
    if old == new:
        return ()
    return in_units(old, _by_line(old, new))


def _by_line(old: str, new: str) -> list[Edit]:
    """The lines that differ; places are characters."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    changed: list[tuple[int, int, int, int]] = []
    _differing(before, after, changed)
    starts = [0, *accumulate(map(len, before))]
    return [Edit(starts[first], starts[last], "".join(after[low:high])) for first, last, low, high in changed]


def between(before: Sequence[str], after: Sequence[str]) -> tuple[Edit, ...]:
    """As `minimal`, of two texts that are known in parts."""
    changed: list[tuple[int, int, int, int]] = []
    _differing(before, after, changed)
    starts = [0, *accumulate(map(len, before))]
    found: list[Edit] = []
    for first, last, low, high in changed:
        old, new = "".join(before[first:last]), "".join(after[low:high])
        found.extend(
            Edit(starts[first] + edit.start, starts[first] + edit.end, edit.insert) for edit in _by_line(old, new)
        )
    return in_units("".join(before), found)


def in_units(text: str, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Edits whose places are characters of the text, in code units, and without what they leave as it is."""
    found: list[Edit] = []
    at = units = 0
    for edit in edits:
        edit = _trimmed(text, edit)
        if edit.start == edit.end and not edit.insert:
            continue
        start = units + _units(text[at : edit.start])
        end = start + _units(text[edit.start : edit.end])
        found.append(Edit(start, end, edit.insert))
        at, units = edit.end, end
    return tuple(found)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _trimmed(text: str, edit: Edit) -> Edit:
    """Without the characters at both ends that are the same."""
    start, end, insert = edit.start, edit.end, edit.insert
    most = min(end - start, len(insert))
    front = next((n for n in range(most) if text[start + n] != insert[n]), most)
    start, insert = start + front, insert[front:]
    most = min(end - start, len(insert))
    back = next((n for n in range(most) if text[end - 1 - n] != insert[len(insert) - 1 - n]), most)
    return Edit(start, end - back, insert[: len(insert) - back])


# --- lines ------------------------------------------------------------------------------------------------


def _differing(before: Sequence[str], after: Sequence[str], found: list[tuple[int, int, int, int]]) -> None:
    """Appends what differs: lines `first` to `last` of the one are `low` to `high` of the other."""
    waiting = [(0, len(before), 0, len(after))]
    while waiting:
        first, last, low, high = waiting.pop()
        while first < last and low < high and before[first] == after[low]:
            first, low = first + 1, low + 1
        while first < last and low < high and before[last - 1] == after[high - 1]:
            last, high = last - 1, high - 1
        if first == last and low == high:
            continue
        anchors = _anchors(before, after, first, last, low, high) if first < last and low < high else []
        if not anchors:
            found.append((first, last, low, high))
            continue
        # The gaps between the anchors, the last one first: it is taken from the end.
        bounds = [(first - 1, low - 1), *anchors, (last, high)]
        gaps = [(a + 1, c, b + 1, d) for (a, b), (c, d) in pairwise(bounds)]
        waiting.extend(reversed(gaps))


def _anchors(
    before: Sequence[str], after: Sequence[str], first: int, last: int, low: int, high: int
) -> list[tuple[int, int]]:
    """Lines that stand once in both parts, those of them that are in the same order."""
    once = {line for line, count in Counter(before[first:last]).items() if count == 1}
    places = {line: at for at, line in enumerate(after[low:high], low) if line in once}
    twice = {line for line, count in Counter(after[low:high]).items() if count > 1}
    pairs = [
        (at, places[line])
        for at, line in enumerate(before[first:last], first)
        if line in places and line not in twice
    ]
    return [pairs[number] for number in rising([at for _, at in pairs])]


def rising(numbers: Sequence[int]) -> list[int]:
    """The indices of a longest part of the numbers that rises."""
    tails: list[int] = []  # the lowest last number of a rising part of each length
    ends: list[int] = []  # its index
    back: list[int] = []
    for index, number in enumerate(numbers):
        at = bisect_left(tails, number)
        back.append(ends[at - 1] if at else -1)
        if at == len(tails):
            tails.append(number)
            ends.append(index)
        else:
            tails[at], ends[at] = number, index
    found: list[int] = []
    index = ends[-1] if ends else -1
    while index >= 0:
        found.append(index)
        index = back[index]
    return found[::-1]
