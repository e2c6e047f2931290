"""Levels: where each box of one zone pair and class of traffic is looked up.

A box stands one level above every earlier rule's box that it overlaps, or on level 0. So the earlier of two
rules that share a packet is always on the lower level: looking through the levels in order meets the rules in
order, and within a level no order is needed.

One kind of overlap costs no level. Where a rule for some sources and every destination meets a rule for some
destinations and every source, neither holds the other: they cross in a small box. Such crossings are few enough to be
listed, and what is decided there is written down for each (`pairs.py`); the two boxes may then stand side by
side, in maps of different shapes. It needs that one decision holds in all of the crossing: the earlier rule is
certain, and what is earlier still has either all of the crossing or nothing of it.

The levels are kept, and a change of a few rules moves only what it touches. The tests hold this to the plain
comparison of every box with every other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush

from appliance.policy.boxes import Box, Interval, is_point

# A box with more crossings than this stands above the boxes that it crosses instead.
MAX_CROSSINGS = 48


class Item:
    """One box of a rule, its shape (`shape` of `boxes.py`, "wide" for a box that is only a hull) and its level.

    `certain` is whether the rule decides every packet of the box.
    """

    __slots__ = ("box", "certain", "crossings", "level", "rule", "shape")

    def __init__(self, rule: str, box: Box, shape: str, *, certain: bool = False) -> None:
        self.certain = certain
        self.rule = rule
        self.box = box
        self.shape = shape
        self.level = -1
        self.crossings: tuple[Box, ...] = ()


class Axis:
    """The distinct intervals in use on one axis, and which of them meet a given one."""

    def __init__(self) -> None:
        self._uses: dict[Interval, int] = {}
        self._sorted: list[Interval] = []
        # Intervals longer than one value by the smallest aligned block around them: bits -> block -> intervals.
        self._blocks: dict[int, dict[int, list[Interval]]] = {}
        self._dirty = False

    def add(self, interval: Interval, bulk: bool) -> None:
        uses = self._uses.get(interval, 0)
        self._uses[interval] = uses + 1
        if uses:
            return
        if bulk:
            self._dirty = True
        else:
            self._settle()
            insort(self._sorted, interval)
        first, last = interval
        if first != last:
            bits = (first ^ last).bit_length()
            self._blocks.setdefault(bits, {}).setdefault(first >> bits, []).append(interval)

    def remove(self, interval: Interval) -> None:
        self._settle()
        uses = self._uses[interval] - 1
        if uses:
            self._uses[interval] = uses
            return
        del self._uses[interval]
        del self._sorted[bisect_left(self._sorted, interval)]
        first, last = interval
        if first != last:
            bits = (first ^ last).bit_length()
            block = self._blocks[bits]
            block[first >> bits].remove(interval)
            if not block[first >> bits]:
                del block[first >> bits]
            if not block:
                del self._blocks[bits]

    def _settle(self) -> None:
        if self._dirty:
            # Appended unsorted by a bulk of additions; insertions keep it sorted from here on.
            self._sorted = sorted(self._uses)
            self._dirty = False

    def meeting(self, interval: Interval) -> list[Interval]:
        """Every interval in use that shares a value with `interval`."""
        first, last = interval
        found = []
        for bits, blocks in self._blocks.items():
            for other in blocks.get(first >> bits, ()):
                if other[0] <= first <= other[1]:
                    found.append(other)
        if first == last:
            if interval in self._uses:
                found.append(interval)
            return found
        self._settle()
        # What begins inside: the single value at `first`, and everything that begins after it.
        if (first, first) in self._uses:
            found.append((first, first))
        after = bisect_right(self._sorted, (first, 1 << 129))
        until = bisect_right(self._sorted, (last, 1 << 129))
        found.extend(self._sorted[after:until])
        return found


class Index:
    """Items by their boxes: which of them share a packet with a given box."""

    def __init__(self) -> None:
        self._sources = Axis()
        self._destinations = Axis()
        # Either way round, so that a search can begin at the axis that says more.
        self._cells: dict[Interval, dict[Interval, list[Item]]] = {}
        self._turned: dict[Interval, dict[Interval, list[Item]]] = {}

    def put(self, item: Item, *, bulk: bool = False) -> None:
        source, destination, _ = item.box
        self._sources.add(source, bulk)
        self._destinations.add(destination, bulk)
        self._cells.setdefault(destination, {}).setdefault(source, []).append(item)
        self._turned.setdefault(source, {}).setdefault(destination, []).append(item)

    def take(self, item: Item) -> None:
        source, destination, _ = item.box
        self._sources.remove(source)
        self._destinations.remove(destination)
        for index, outer, inner in ((self._cells, destination, source), (self._turned, source, destination)):
            row = index[outer]
            row[inner].remove(item)
            if not row[inner]:
                del row[inner]
            if not row:
                del index[outer]

    def meeting(self, box: Box) -> Iterator[Item]:
        source, destination, (first, last) = box
        sources = self._sources.meeting(source)
        destinations = self._destinations.meeting(destination)
        if len(sources) < len(destinations):
            index, outer, inner = self._turned, sources, destinations
        else:
            index, outer, inner = self._cells, destinations, sources
        among: set[Interval] | None = None
        for value in outer:
            row = index[value]
            if len(row) < len(inner):
                if among is None:
                    among = set(inner)
                cells = [cell for key, cell in row.items() if key in among]
            else:
                cells = [row[key] for key in inner if key in row]
            for cell in cells:
                for item in cell:
                    key = item.box[2]
                    if key[0] <= last and first <= key[1]:
                        yield item


class Ladder:
    """The boxes of one zone pair and class of traffic, each on its level."""

    def __init__(self) -> None:
        self.rules: dict[str, tuple[Item, ...]] = {}
        self.index = Index()
        # How many boxes cross where.
        self.crossings: dict[Box, int] = {}

    def items(self) -> Iterator[Item]:
        for items in self.rules.values():
            yield from items

    def change(
        self, removed: Iterable[str], added: Mapping[str, tuple[Item, ...]], order: Mapping[str, int]
    ) -> set[Box]:
        """Take out and put in rules, and settle the levels.

        `order` says which rule comes first and knows every rule that stays or comes; the order of those that stay
        must be what it was. Returns the crossings that came or went.
        """
        before: dict[Box, int] = {}
        touched: set[Item] = set()
        for rule in removed:
            for item in self.rules.pop(rule, ()):
                self.index.take(item)
                self._cross(item, (), before)
                touched.discard(item)
                touched.update(self.index.meeting(item.box))
        fresh: list[Item] = []
        for rule, items in added.items():
            self.rules[rule] = items
            fresh.extend(items)
        for item in fresh:
            self.index.put(item, bulk=len(fresh) > 64)
        if len(fresh) == sum(map(len, self.rules.values())):
            touched = set(fresh)
        else:
            touched.update(fresh)
            for item in fresh:
                position = order[item.rule]
                touched.update(other for other in self.index.meeting(item.box) if order[other.rule] > position)
        self._settle(touched, order, before)
        return {point for point, count in before.items() if (count > 0) != (point in self.crossings)}

    def _settle(self, touched: set[Item], order: Mapping[str, int], before: dict[Box, int]) -> None:
        """Levels again for `touched` and for what follows from them, earlier rules first."""
        serial = {item: number for number, item in enumerate(touched)}
        waiting = [(order[item.rule], number, item) for item, number in serial.items()]
        heapify(waiting)
        queued = set(touched)
        while waiting:
            position, _, item = heappop(waiting)
            queued.discard(item)
            earlier: list[Item] = []
            later: list[Item] = []
            for other in self.index.meeting(item.box):
                where = order[other.rule]
                if where < position:
                    earlier.append(other)
                elif where > position and other.level >= 0:
                    later.append(other)
            level, crossings = _place(item, earlier, order)
            self._cross(item, crossings, before)
            if item.level == level:
                continue
            item.level = level
            for other in later:
                if other not in queued:
                    queued.add(other)
                    serial.setdefault(other, len(serial))
                    heappush(waiting, (order[other.rule], serial[other], other))

    def _cross(self, item: Item, crossings: tuple[Box, ...], before: dict[Box, int]) -> None:
        """Note where an item crosses earlier ones now."""
        if item.crossings == crossings:
            return
        for points, change in ((item.crossings, -1), (crossings, 1)):
            for point in points:
                count = self.crossings.get(point, 0)
                before.setdefault(point, count)
                if count + change:
                    self.crossings[point] = count + change
                else:
                    del self.crossings[point]
        item.crossings = crossings


def _place(item: Item, earlier: list[Item], order: Mapping[str, int]) -> tuple[int, tuple[Box, ...]]:
    """The level of an item over the earlier ones that it meets, and the boxes where it crosses some of them."""
    level = 0
    boxes: set[Box] = set()
    crossed = -1
    for other in earlier:
        box = crossing(item, other, earlier, order)
        if box is None:
            level = max(level, other.level + 1)
        else:
            boxes.add(box)
            crossed = max(crossed, other.level)
    if len(boxes) > MAX_CROSSINGS:
        return max(level, crossed + 1), ()
    return level, tuple(sorted(boxes))


def crossing(item: Item, other: Item, earlier: Iterable[Item], order: Mapping[str, int]) -> Box | None:
    """The box that an item shares with an earlier one, where all of it is decided alike; None for nested boxes."""
    if item.shape == other.shape or "wide" in (item.shape, other.shape):
        return None
    box = common(item.box, other.box)
    if is_point(box):
        return box
    if not other.certain or box in (item.box, other.box):
        return None
    position = order[other.rule]
    for before in earlier:
        if order[before.rule] >= position or not meets(before.box, box):
            continue
        if before.shape == "wide" or not contains(before.box, box):
            return None
    return box


def common(one: Box, other: Box) -> Box:
    """What two boxes share that do share something."""
    (a, b), (c, d), (e, f) = one
    (g, h), (i, j), (k, m) = other
    return Box((max(a, g), min(b, h)), (max(c, i), min(d, j)), (max(e, k), min(f, m)))


def meets(one: Box, other: Box) -> bool:
    (a, b), (c, d), (e, f) = one
    (g, h), (i, j), (k, m) = other
    return a <= h and g <= b and c <= j and i <= d and e <= m and k <= f


def contains(outer: Box, inner: Box) -> bool:
    (a, b), (c, d), (e, f) = outer
    (g, h), (i, j), (k, m) = inner
    return a <= g and h <= b and c <= i and j <= d and e <= k and m <= f
