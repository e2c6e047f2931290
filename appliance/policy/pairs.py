"""The rules of one zone pair and class of traffic, as chain and maps.

A ladder (`levels.py`) says on which level each box stands. Within a level boxes are disjoint, so they are
sorted by shape: boxes that hold single values or everything on each axis go into an exact hash map over the
axes that say something, when there are enough of them to be worth a look-up of their own; the rest share one
interval map; a handful stay plain rules.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.policy import emit
from appliance.policy.boxes import FULL_ADDRESS, FULL_KEY, Area, Box, Interval, Traffic
from appliance.policy.levels import Item, Ladder
from appliance.policy.rulechain import address_set, chain_name
from appliance.policy.ruleset import Chain, Set

HASH_AT_LEAST = 32  # boxes of one shape on one level
MAP_AT_LEAST = 4
KEY_TYPE = {"tcp": "inet_service", "udp": "inet_service", "icmp": "inet_service", "other": "inet_proto"}
L4 = {"tcp": "tcp", "udp": "udp"}


class Emitted(msgspec.Struct, frozen=True):
    chain: Chain
    sets: dict[str, Set]


def chain_of(pair: tuple[str, str], traffic: Traffic) -> str:
    return f"{pair[0]}/{pair[1]}/{traffic.family}{traffic.version}"


class Section:
    """One zone pair and class of traffic, kept from one compilation to the next."""

    def __init__(self, pair: tuple[str, str], traffic: Traffic) -> None:
        self.name = chain_of(pair, traffic)
        self.traffic = traffic
        self.ladder = Ladder()
        self._emitted: Emitted | None = None
        self._areas: dict[str, Area] = {}
        self._order: Mapping[str, int] = {}
        self._shapes: dict[Item, tuple[str, str]] = {}

    def change(self, removed: list[str], added: Mapping[str, Area], order: Mapping[str, int]) -> None:
        """Take rules out and put rules in; a rule in both is one that changed."""
        for rule in removed:
            del self._areas[rule]
            for item in self.ladder.rules[rule]:
                self._shapes.pop(item, None)
        self._areas.update(added)
        self._order = order
        self.ladder.change(removed, {rule: (area.boxes(), area.wide) for rule, area in added.items()}, order)
        self._emitted = None

    @property
    def empty(self) -> bool:
        return not self._areas

    def emit(self) -> Emitted:
        if self._emitted is None:
            self._emitted = self._emit()
        return self._emitted

    def _emit(self) -> Emitted:
        levels: dict[int, dict[str, dict[str, Item]]] = {}
        order = self._order
        for rule in sorted(self.ladder.rules, key=order.__getitem__):
            for item in self.ladder.rules[rule]:
                shape, text = self._shapes.get(item) or self._shape(item)
                levels.setdefault(item.level, {}).setdefault(shape, {})[text] = item
        rules: list[str] = []
        sets: dict[str, Set] = {}
        for level in sorted(levels):
            self._level(level, levels[level], rules, sets)
        return Emitted(Chain(tuple(rules)), sets)

    def _level(self, level: int, shapes: dict[str, dict[str, Item]], rules: list[str], sets: dict[str, Set]) -> None:
        rest: list[Item] = []
        plain: list[str] = []
        for shape, items in sorted(shapes.items(), reverse=True):
            if shape == "wide":
                plain += [self._wide(item, sets) for item in items.values()]
            elif shape == "":
                plain += [f"jump {chain_name(item.rule)}" for item in items.values()]
            elif shape == "-" or len(items) < HASH_AT_LEAST:
                rest += items.values()
            else:
                name = f"{self.name}/{level}-{shape}"
                sets[name] = Set(
                    key=f"type {' . '.join(self._types(shape))}",
                    data="verdict",
                    elements={text: f"jump {chain_name(item.rule)}" for text, item in items.items()},
                )
                rules.append(f"{self._match(shape)} vmap @{name}")
        if len(rest) < MAP_AT_LEAST:
            plain = [self._plain(item) for item in rest] + plain
        else:
            name = f"{self.name}/{level}"
            sets[name] = Set(
                key=f"type {' . '.join(self._types('sdk'))}",
                data="verdict",
                flags=("interval",),
                elements={self._text(item.box, "sdk"): f"jump {chain_name(item.rule)}" for item in rest},
            )
            rules.append(f"{self._match('sdk')} vmap @{name}")
        rules += plain

    def _shape(self, item: Item) -> tuple[str, str]:
        """The axes that say something ("sdk", "dk", …), "-" where one is an interval, and the key's text."""
        if item.wide:
            found = ("wide", item.rule)
        else:
            shape = ""
            for axis, interval, full in zip("sdk", item.box, self._full(), strict=True):
                if interval == full:
                    continue
                if interval[0] != interval[1]:
                    shape = "-"
                    break
                shape += axis
            found = (shape, self._text(item.box, "sdk" if shape == "-" else shape))
        self._shapes[item] = found
        return found

    def _full(self) -> tuple[Interval, Interval, Interval]:
        version, family = self.traffic
        return FULL_ADDRESS[version], FULL_ADDRESS[version], FULL_KEY[family]

    def _text(self, box: Box, shape: str) -> str:
        version = self.traffic.version
        words = []
        if "s" in shape:
            words.append(emit.addresses(box.source, version))
        if "d" in shape:
            words.append(emit.addresses(box.destination, version))
        if "k" in shape:
            words.append(emit.numbers(box.key))
        return " . ".join(words)

    def _types(self, shape: str) -> list[str]:
        version, family = self.traffic
        kinds = {"s": emit.ADDRESS_TYPE[version], "d": emit.ADDRESS_TYPE[version], "k": KEY_TYPE[family]}
        return [kinds[axis] for axis in shape]

    def _expressions(self) -> dict[str, str]:
        version, family = self.traffic
        key = {"icmp": "@th,0,16", "other": "meta l4proto"}.get(family, "ct reply proto-src")
        return {"s": f"ct original {emit.IP[version]} saddr", "d": f"ct reply {emit.IP[version]} saddr", "k": key}

    def _match(self, shape: str) -> str:
        words = self._expressions()
        match = " . ".join(words[axis] for axis in shape)
        # nftables learns the type of a conntrack port only from a match on the protocol.
        need = L4.get(self.traffic.family, "") if "k" in shape else ""
        return f"meta l4proto {need} {match}" if need else match

    def _plain(self, item: Item) -> str:
        source, destination, key = item.box
        return self._rule(item.rule, (source,), (destination,), (key,))

    def _wide(self, item: Item, sets: dict[str, Set]) -> str:
        """A rule with too many boxes: matched by its own sets of sources and destinations."""
        area = self._areas[item.rule]
        version = self.traffic.version
        named = []
        for word, intervals in (("sources", area.sources), ("destinations", area.destinations)):
            if len(intervals) > 8:
                name = f"{word}_{item.rule}_v{version}"
                sets[name] = address_set([emit.addresses(interval, version) for interval in intervals], version)
                named.append(f"@{name}")
            else:
                named.append("")
        return self._rule(item.rule, area.sources, area.destinations, area.keys, named[0], named[1])

    def _rule(
        self,
        rule: str,
        sources: tuple[Interval, ...],
        destinations: tuple[Interval, ...],
        keys: tuple[Interval, ...],
        source_set: str = "",
        destination_set: str = "",
    ) -> str:
        version, family = self.traffic
        words = self._expressions()
        full_source, full_destination, full_key = self._full()
        parts = []
        if source_set or sources != (full_source,):
            listed = source_set or emit.braces(emit.addresses(interval, version) for interval in sources)
            parts.append(f"{words['s']} {listed}")
        if destination_set or destinations != (full_destination,):
            listed = destination_set or emit.braces(emit.addresses(interval, version) for interval in destinations)
            parts.append(f"{words['d']} {listed}")
        if keys != (full_key,):
            if family in L4:
                parts.append(f"meta l4proto {L4[family]}")
            parts.append(f"{words['k']} {emit.braces(emit.numbers(interval) for interval in keys)}")
        parts.append(f"jump {chain_name(rule)}")
        return " ".join(parts)
