"""Boxes of any number of axes: products of closed intervals of whole numbers. For a few boxes at a time.

Thousands of boxes at once are the work of the box algebra in C.
"""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[int, int]
Cuboid = tuple[Interval, ...]


def common(left: Cuboid, right: Cuboid) -> Cuboid | None:
    """What both hold; None when that is nothing."""
    found = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(left, right, strict=True))
    return None if any(first > last for first, last in found) else found


def minus(whole: Cuboid, taken: Cuboid) -> list[Cuboid]:
    """What `whole` holds and `taken` does not, as disjoint boxes: two at most for each axis."""
    if common(whole, taken) is None:
        return [whole]
    found: list[Cuboid] = []
    rest = list(whole)
    for axis, ((first, last), (begins, ends)) in enumerate(zip(whole, taken, strict=True)):
        if first < begins:
            found.append((*rest[:axis], (first, begins - 1), *whole[axis + 1 :]))
            first = begins
        if last > ends:
            found.append((*rest[:axis], (ends + 1, last), *whole[axis + 1 :]))
            last = ends
        rest[axis] = (first, last)
    return found


def minus_all(wholes: Iterable[Cuboid], taken: Iterable[Cuboid]) -> list[Cuboid]:
    """What is left of `wholes` without any of `taken`."""
    left = list(wholes)
    for box in taken:
        left = [part for whole in left for part in minus(whole, box)]
    return left


def joined(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The union: disjoint, sorted, not adjacent."""
    found: list[Interval] = []
    for first, last in sorted(intervals):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def fused(boxes: Iterable[Cuboid]) -> tuple[Cuboid, ...]:
    """The same union in fewer boxes: those that differ on one axis only become one where they touch."""
    left = list(dict.fromkeys(boxes))
    axes = len(left[0]) if left else 0
    before = -1
    while before != len(left):
        before = len(left)
        for axis in range(axes):
            rows: dict[Cuboid, list[Interval]] = {}
            for box in left:
                rows.setdefault((*box[:axis], *box[axis + 1 :]), []).append(box[axis])
            left = [
                (*rest[:axis], interval, *rest[axis:]) for rest, found in rows.items() for interval in joined(found)
            ]
    return tuple(sorted(left))
