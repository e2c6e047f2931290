"""The rules of one zone pair and class of traffic, as chains and maps.

First come the points: one source, one destination, one port. Which rules hold there, and in what order, is known
when compiling, so one look-up in a hash map decides; one more does where two boxes cross. What is left are boxes
with room in them; they stand on levels (`levels.py`), and on each level there is one map per shape: exact where every
box says single values or everything on each axis, an interval map for the others, plain rules where there are
only a few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

import msgspec

from appliance.policy.boxes import FULL_ADDRESS, FULL_KEY, Area, Box, Interval, Traffic, is_point, shape, volume
from appliance.policy.compiling import emit
from appliance.policy.compiling.cover import Cover
from appliance.policy.compiling.levels import Index, Item, Ladder, contains
from appliance.policy.compiling.rulechain import address_set, chain_name
from appliance.policy.compiling.ruleset import Chain, Set

MAP_AT_LEAST = 4  # fewer boxes than this are plain rules
KEY_TYPE = {"tcp": "inet_service", "udp": "inet_service", "icmp": "inet_service", "other": "inet_proto"}
PORTED = frozenset({"tcp", "udp"})
LONGEST_NAME = 120


class Part(msgspec.Struct, frozen=True):
    """What a rule has in a section: its area, whether it is certain to decide, whether its boxes are too many."""

    area: Area
    certain: bool
    wide: bool


class Emitted(msgspec.Struct, frozen=True):
    """`paths` are chains that may serve more than one section: their names say all that is in them."""

    chain: Chain
    sets: dict[str, Set]
    paths: dict[str, Chain]


def chain_of(pair: tuple[str, str], traffic: Traffic) -> str:
    return f"{pair[0]}/{pair[1]}/{traffic.family}{traffic.version}"


class Section:
    """One zone pair and class of traffic, kept from one compilation to the next."""

    def __init__(self, pair: tuple[str, str], traffic: Traffic) -> None:
        self.name = chain_of(pair, traffic)
        self.traffic = traffic
        self.ladder = Ladder()
        self._cover = Cover()
        self._parts: dict[str, Part] = {}
        self._order: Mapping[str, int] = {}
        # Points: which rules say them, the index over them, and what is decided at each.
        self._owners: dict[Box, list[str]] = {}
        self._points: dict[Box, Item] = {}
        self._near = Index()
        self._decided: dict[Box, tuple[str, ...]] = {}
        self._emitted: Emitted | None = None

    @property
    def empty(self) -> bool:
        return not self._parts

    def change(self, removed: Iterable[str], added: Mapping[str, Part], order: Mapping[str, int]) -> None:
        """Take rules out and put rules in; a rule in both is one that changed."""
        self._emitted = None
        self._order = order
        stale: set[Box] = set()
        room: list[Box] = []
        removed = list(removed)
        for rule in removed:
            part = self._parts.pop(rule)
            for box in part.area.boxes():
                if self._is_point(part, box):
                    self._owners[box].remove(rule)
                    if not self._owners[box]:
                        del self._owners[box]
                    stale.add(box)
                else:
                    room.append(box)
        items: dict[str, tuple[Item, ...]] = {}
        for rule, part in added.items():
            self._parts[rule] = part
            boxes = []
            for box in part.area.boxes():
                if self._is_point(part, box):
                    self._owners.setdefault(box, []).append(rule)
                    stale.add(box)
                else:
                    boxes.append(self._item(rule, box))
                    room.append(box)
            if boxes:
                items[rule] = tuple(boxes)
        reached = self._cover.change(removed, items, order)
        stale |= self.ladder.change(reached, {rule: kept for rule, kept in reached.items() if kept}, order)
        if len(stale) < len(self._points):
            for box in room:
                stale.update(item.box for item in self._near.meeting(box))
        else:
            stale.update(self._points)
        self._decide(stale)

    def _item(self, rule: str, box: Box) -> Item:
        part = self._parts[rule]
        if part.wide:
            return Item(rule, box, "wide")
        return Item(rule, box, shape(box, self.traffic), certain=part.certain)

    @staticmethod
    def _is_point(part: Part, box: Box) -> bool:
        return not part.wide and is_point(box)

    def _decide(self, stale: set[Box]) -> None:
        """Find again what holds at points: every rule there in order, up to the first that is certain."""
        order, parts = self._order, self._parts
        bulk = len(stale) > 64
        for point in stale:
            wanted = point in self._owners or point in self.ladder.crossings
            if not wanted:
                if point in self._points:
                    self._near.take(self._points.pop(point))
                    del self._decided[point]
                continue
            if point not in self._points:
                self._points[point] = item = Item("", point, "sdk")
                self._near.put(item, bulk=bulk)
            rules = {item.rule for item in self.ladder.index.meeting(point) if contains(item.box, point)}
            rules.update(self._owners.get(point, ()))
            held: list[str] = []
            for rule in sorted(rules, key=order.__getitem__) if len(rules) > 1 else rules:
                held.append(rule)
                if parts[rule].certain and not parts[rule].wide:
                    break
            self._decided[point] = tuple(held)

    # --- as nftables ------------------------------------------------------------------------------------

    def emit(self) -> Emitted:
        if self._emitted is None:
            self._emitted = self._emit()
        return self._emitted

    def _emit(self) -> Emitted:
        rules: list[str] = []
        sets: dict[str, Set] = {}
        order = self._order
        self._known("points", [point for point in self._points if is_point(point)], rules, sets)
        for serial, crossings in enumerate(self._disjoint(point for point in self._points if not is_point(point))):
            self._known("crossings" if not serial else f"crossings-{serial + 1}", crossings, rules, sets)
        levels: dict[int, dict[str, list[Item]]] = {}
        for rule in sorted(self.ladder.rules, key=order.__getitem__):
            for item in self.ladder.rules[rule]:
                levels.setdefault(item.level, {}).setdefault(item.shape, []).append(item)
        for level in sorted(levels):
            for name, items in sorted(levels[level].items(), reverse=True):
                self._shaped(level, name, items, rules, sets)
        paths = {
            _path(decided): Chain(tuple(f"jump {chain_name(rule)}" for rule in decided))
            for decided in sorted(set(self._decided.values()))
            if len(decided) > 1
        }
        return Emitted(Chain(tuple(rules)), sets, paths)

    def _known(self, name: str, boxes: list[Box], rules: list[str], sets: dict[str, Set]) -> None:
        """Boxes of which it is known what holds there."""
        decided = self._decided
        if len(boxes) < MAP_AT_LEAST:
            for box in sorted(boxes, key=lambda box: (self._order[decided[box][0]], box)):
                rules.append(self._plain(box, f"goto {_path(decided[box])}"))
            return
        elements = {self._text(box, "sdk"): f"goto {_path(decided[box])}" for box in boxes}
        sets[f"{self.name}/{name}"] = self._map("sdk", elements, interval=name != "points")
        rules.append(f"{self._match('sdk')} vmap @{self.name}/{name}")

    def _disjoint(self, boxes: Iterable[Box]) -> list[list[Box]]:
        """Boxes in as many lists as it takes to have no two of one list overlap.

        Where two overlap both say what holds there, so it is no matter which is looked up first, and one inside
        another that says the same is left out.
        """
        lists: list[list[Box]] = []
        indices: list[Index] = []
        for box in sorted(boxes, key=lambda box: (-volume(box), box)):
            for kept, index in zip(lists, indices, strict=True):
                met = [item.box for item in index.meeting(box)]
                if not met:
                    break
                if any(contains(other, box) and self._decided[other] == self._decided[box] for other in met):
                    kept, index = [], Index()
                    break
            else:
                kept, index = [], Index()
                lists.append(kept)
                indices.append(index)
            kept.append(box)
            index.put(Item("", box, ""))
        return lists

    def _shaped(self, level: int, name: str, items: list[Item], rules: list[str], sets: dict[str, Set]) -> None:
        if name == "wide":
            rules += [self._wide(item, sets) for item in items]
        elif len(items) < MAP_AT_LEAST or not name:
            rules += [self._plain(item.box, f"jump {chain_name(item.rule)}") for item in items]
        else:
            axes = "sdk" if name == "-" else name
            elements = {self._text(item.box, axes): f"jump {chain_name(item.rule)}" for item in items}
            kept = f"{self.name}/{level}" if name == "-" else f"{self.name}/{level}-{name}"
            sets[kept] = self._map(axes, elements, interval=name == "-")
            rules.append(f"{self._match(axes)} vmap @{kept}")

    def _map(self, axes: str, elements: dict[str, str], *, interval: bool = False) -> Set:
        version, family = self.traffic
        kinds = {"s": emit.ADDRESS_TYPE[version], "d": emit.ADDRESS_TYPE[version], "k": KEY_TYPE[family]}
        return Set(
            key=f"type {' . '.join(kinds[axis] for axis in axes)}",
            data="verdict",
            flags=("interval",) if interval else (),
            elements=elements,
        )

    def _text(self, box: Box, axes: str) -> str:
        version = self.traffic.version
        words = []
        if "s" in axes:
            words.append(emit.addresses(box.source, version))
        if "d" in axes:
            words.append(emit.addresses(box.destination, version))
        if "k" in axes:
            words.append(emit.numbers(box.key))
        return " . ".join(words)

    def _full(self) -> Box:
        version, family = self.traffic
        return Box(FULL_ADDRESS[version], FULL_ADDRESS[version], FULL_KEY[family])

    def _expressions(self) -> dict[str, str]:
        version, family = self.traffic
        key = {"icmp": "@th,0,16", "other": "meta l4proto"}.get(family, "ct reply proto-src")
        return {"s": f"ct original {emit.IP[version]} saddr", "d": f"ct reply {emit.IP[version]} saddr", "k": key}

    def _match(self, axes: str) -> str:
        words = self._expressions()
        match = " . ".join(words[axis] for axis in axes)
        # nftables learns the type of a conntrack port only from a match on the protocol.
        return f"meta l4proto {self.traffic.family} {match}" if "k" in axes and self._ported else match

    @property
    def _ported(self) -> bool:
        return self.traffic.family in PORTED

    def _plain(self, box: Box, verdict: str) -> str:
        return self._rule(verdict, (box.source,), (box.destination,), (box.key,))

    def _wide(self, item: Item, sets: dict[str, Set]) -> str:
        """A rule with too many boxes: matched by its own sets of sources and destinations."""
        area = self._parts[item.rule].area
        version = self.traffic.version
        named = []
        for word, intervals in (("sources", area.sources), ("destinations", area.destinations)):
            if len(intervals) > 8:
                name = f"{word}_{item.rule}_v{version}"
                sets[name] = address_set([emit.addresses(interval, version) for interval in intervals], version)
                named.append(f"@{name}")
            else:
                named.append("")
        verdict = f"jump {chain_name(item.rule)}"
        return self._rule(verdict, area.sources, area.destinations, area.keys, named[0], named[1])

    def _rule(
        self,
        verdict: str,
        sources: tuple[Interval, ...],
        destinations: tuple[Interval, ...],
        keys: tuple[Interval, ...],
        source_set: str = "",
        destination_set: str = "",
    ) -> str:
        version, family = self.traffic
        words, full = self._expressions(), self._full()
        parts = []
        if source_set or sources != (full.source,):
            listed = source_set or emit.braces(emit.addresses(interval, version) for interval in sources)
            parts.append(f"{words['s']} {listed}")
        if destination_set or destinations != (full.destination,):
            listed = destination_set or emit.braces(emit.addresses(interval, version) for interval in destinations)
            parts.append(f"{words['d']} {listed}")
        if keys != (full.key,):
            if self._ported:
                parts.append(f"meta l4proto {family}")
            parts.append(f"{words['k']} {emit.braces(emit.numbers(interval) for interval in keys)}")
        return " ".join([*parts, verdict])


def _path(rules: tuple[str, ...]) -> str:
    """The chain that tries rules one after another: a single rule's own, or one named after all of them."""
    if len(rules) == 1:
        return chain_name(rules[0])
    name = "path/" + "/".join(rules)
    return name if len(name) <= LONGEST_NAME else f"path/{sha256(name.encode()).hexdigest()[:32]}"
