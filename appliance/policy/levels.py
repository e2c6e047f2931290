"""Levels: where each box of one zone pair and class of traffic is looked up.

A box stands one level above every earlier rule's box that it overlaps, or on level 0. So two boxes of
different rules that share a packet are never on one level, and the earlier rule's is the lower: looking
through the levels in order meets the rules in order, and within a level no order is needed.

The levels are kept, and a change of a few rules moves only what it touches. `Ladder` finds overlaps
through an index of the distinct intervals of sources and destinations; the tests hold it to the plain
comparison of every box with every other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from heapq import heapify, heappop, heappush

from appliance.policy.boxes import Box, Interval


class Item:
    """One box of a rule and its level."""

    __slots__ = ("box", "level", "rule", "wide")

    def __init__(self, rule: str, box: Box, wide: bool) -> None:
        self.rule = rule
        self.box = box
        self.wide = wide
        self.level = -1


class Axis:
    """The distinct intervals in use on one axis, and which of them meet a given one."""

    def __init__(self) -> None:
        self._uses: dict[Interval, int] = {}
        self._sorted: list[Interval] = []
        # Intervals longer than one value by the smallest aligned block around them: (bits, block) -> intervals.
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
        # What begins inside: single values at `first`, and everything that begins after it.
        if (first, first) in self._uses:
            found.append((first, first))
        after = bisect_right(self._sorted, (first, 1 << 129))
        until = bisect_right(self._sorted, (last, 1 << 129))
        found.extend(self._sorted[after:until])
        return found


class Ladder:
    """The boxes of one zone pair and class of traffic, each on its level."""

    def __init__(self) -> None:
        self.rules: dict[str, tuple[Item, ...]] = {}
        self._sources = Axis()
        self._destinations = Axis()
        # Either way round, so that a search can begin at the axis that says more.
        self._cells: dict[Interval, dict[Interval, list[Item]]] = {}
        self._turned: dict[Interval, dict[Interval, list[Item]]] = {}

    def items(self) -> Iterator[Item]:
        for items in self.rules.values():
            yield from items

    def change(
        self,
        removed: Iterable[str],
        added: Mapping[str, tuple[tuple[Box, ...], bool]],
        order: Mapping[str, int],
    ) -> set[Item]:
        """Take out and put in rules, and settle the levels.

        `added` maps rule ids to their boxes and whether they are wide; `order` says which rule comes first and
        knows every rule that stays or comes. The order of the rules that stay must be what it was. Returns the
        items whose level is new or another than before.
        """
        touched: set[Item] = set()
        for rule in removed:
            for item in self.rules.pop(rule):
                self._take(item)
                touched.update(other for other in self._meeting(item.box) if order[other.rule] > order.get(rule, -1))
        bulk = len(added) > 64
        fresh: list[Item] = []
        for rule, (boxes, wide) in added.items():
            items = tuple(Item(rule, box, wide) for box in boxes)
            self.rules[rule] = items
            for item in items:
                self._put(item, bulk)
            fresh.extend(items)
        if len(fresh) == sum(len(items) for items in self.rules.values()):
            return self._settle_all(fresh, order)
        touched.update(fresh)
        for item in fresh:
            touched.update(other for other in self._meeting(item.box) if order[other.rule] > order[item.rule])
        return self._settle(touched, order)

    def _settle_all(self, items: list[Item], order: Mapping[str, int]) -> set[Item]:
        """Levels for a ladder whose every box is new: earlier ones first, so each is settled once."""
        items.sort(key=lambda item: order[item.rule])
        for item in items:
            level = -1
            rule = item.rule
            for other in self._meeting(item.box):
                # What is not settled yet has level -1, so later rules do not count.
                if other.level > level and other.rule != rule:
                    level = other.level
            item.level = level + 1
        return set(items)

    def _settle(self, touched: set[Item], order: Mapping[str, int]) -> set[Item]:
        """Levels again for `touched` and for what follows from them, earlier rules first."""
        serial = {item: number for number, item in enumerate(touched)}
        waiting = [(order[item.rule], number, item) for item, number in serial.items()]
        heapify(waiting)
        queued = set(touched)
        moved: set[Item] = set()
        while waiting:
            position, _, item = heappop(waiting)
            queued.discard(item)
            level = -1
            later = []
            for other in self._meeting(item.box):
                where = order[other.rule]
                if where < position:
                    level = max(level, other.level)
                elif where > position:
                    later.append(other)
            if item.level == level + 1:
                continue
            item.level = level + 1
            moved.add(item)
            for other in later:
                if other not in queued:
                    queued.add(other)
                    serial.setdefault(other, len(serial))
                    heappush(waiting, (order[other.rule], serial[other], other))
        return moved

    def _put(self, item: Item, bulk: bool) -> None:
        source, destination, _ = item.box
        self._sources.add(source, bulk)
        self._destinations.add(destination, bulk)
        self._cells.setdefault(destination, {}).setdefault(source, []).append(item)
        self._turned.setdefault(source, {}).setdefault(destination, []).append(item)

    def _take(self, item: Item) -> None:
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

    def _meeting(self, box: Box) -> Iterator[Item]:
        """Every item whose box shares a packet with `box`."""
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
