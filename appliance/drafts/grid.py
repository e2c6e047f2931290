"""The rules of a text as rows of a table: as they are written, with their lines, those of the baselines too. Pure.

    text ──sheet──▶ parts ──read once each──▶ Written ──▶ Grid: rows of a window, what changed since another grid

A rule that is the same lines is the same `Written`, so that a table of ten thousand rows is made again after a change
in milliseconds, and what changed is what is not the same value.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from sys import intern
from typing import Literal

import msgspec

from appliance.drafts.sheet import PieceCache, sheet
from appliance.policy import addresses
from appliance.policy.addresses import AddressError
from appliance.policy.meant import inherit
from appliance.policy.model import Range
from appliance.policy.written import services
from appliance.policy.written.document import PublishText, RuleText, SiteText
from appliance.policy.written.edit import EditError
from appliance.policy.written.kinds import Many
from appliance.policy.written.schema import declared, decode
from appliance.policy.written.services import ServiceError
from appliance.policy.written.text import LINE_SHIFT, Items, Node, Report, Table, Word, compose

Where = Literal["rules", "publish", "first", "last"]
Pair = tuple[tuple[str, ...], tuple[str, ...]]  # zones as a rule writes them: from, to
Found = Literal["error", "warning", "dead", "no-effect", "conflict", "invariant", "baseline"]


class RowFinding(msgspec.Struct, frozen=True):
    """Something that is wrong with a rule, or was proven of it. `others` are the rules that it has to do with."""

    kind: Found
    words: str
    others: tuple[str, ...] = ()
    example: str = ""


class RowHits(msgspec.Struct, frozen=True):
    """What a rule matched: ever, in the window; and when last (seconds since the epoch, 0: never)."""

    hits: int
    recent: int
    last: float


class RuleRow(msgspec.Struct, frozen=True):
    """A rule as it is written. `pair` is (from, to). `inherited` is the baseline that it comes from; `line`, from 1,
    is where it begins in the text of that. `hits` and `recent` are -1 where nothing is known of what it matched."""

    id: str
    pair: Pair
    source: tuple[str, ...]
    destination: tuple[str, ...]
    service: tuple[str, ...]
    people: tuple[str, ...]
    when: str
    action: str
    inspect: str
    log: str
    why: str
    owner: str
    ticket: str
    limit: str
    connections: str
    expires: str
    review: str
    enabled: bool
    line: int
    section: Where
    inherited: str
    hits: int
    recent: int
    last: float
    findings: tuple[RowFinding, ...]


class Written(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A rule as it is written, read once. There are tens of thousands: what it says is kept packed."""

    id: str
    section: Where
    inherited: str
    pair: Pair
    packed: bytes

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """What is written under each key."""
        return _KEYS.decode(self.packed)

    def opened(self) -> Opened:
        return Opened(self.id, self.section, self.inherited, self.pair, self.keys)


class Opened(msgspec.Struct, frozen=True, eq=False, dict=True):
    """A rule to look into."""

    id: str
    section: Where
    inherited: str
    pair: Pair
    keys: dict[str, tuple[str, ...]]

    def one(self, key: str) -> str:
        found = self.keys.get(key, ())
        return found[0] if found else ""

    @cached_property
    def words(self) -> str:
        """All of it in lower case."""
        return "\n".join([word for words in self.keys.values() for word in words]).lower()

    @cached_property
    def names(self) -> frozenset[str]:
        """What its lists name."""
        keys = self.keys
        said = [word for key in _NAMING for word in keys.get(key, ())]
        return frozenset([word.removeprefix("not ").removeprefix("group:") for word in said])

    @cached_property
    def ranges(self) -> tuple[Range, ...]:
        """The addresses that it says itself."""
        keys = self.keys
        said = [word.removeprefix("not ") for key in _ADDRESSES for word in keys.get(key, ())]
        return tuple([part for word in said if (part := literal(word)) is not None])

    @cached_property
    def entries(self) -> tuple[tuple[int, int, int], ...]:
        """(protocol, first port, last port) that it says itself."""
        return tuple([entry for word in self.keys.get("service", ()) for entry in entries(word)])


_KEYS = msgspec.msgpack.Decoder(dict[str, tuple[str, ...]])


class RowCache:
    """What was read before: pieces of texts, rules by their lines, sections that are no rules. Bounded."""

    def __init__(self, most: int = 250_000) -> None:
        self.pieces = PieceCache()
        self._written: dict[Where, dict[str, Written]] = {"rules": {}, "publish": {}}
        self._baselines: dict[tuple[Where, str, str], list[tuple[Written, int]]] = {}
        self._sites: dict[str, SiteText | None] = {}
        self._most = most

    def read(self, section: Where, body: str) -> Written:
        """A rule by its lines."""
        known = self._written[section]
        found = known.get(body)
        if found is None:
            if len(known) >= self._most:
                known.clear()
            node = compose(body, Report("rule"), depth=1)
            item = node.items[0] if isinstance(node, Items) and node.items else None
            found = known[body] = written(item, section, "")
        return found

    def __len__(self) -> int:
        return sum(map(len, self._written.values()))

    def sweep(self, grids: Iterable[Grid]) -> None:
        """Forget what is in none of these."""
        live = {id(rule) for known in grids for rule in known.rules}
        for section, known in self._written.items():
            self._written[section] = {body: rule for body, rule in known.items() if id(rule) in live}
        self.pieces.sweep(self._written["rules"])

    def site(self, text: str) -> SiteText | None:
        """A text without its rules; what is wrong in it is left out."""
        if text not in self._sites:
            if len(self._sites) >= _MOST_TEXTS:
                self._sites.clear()
            report = Report("policy.yaml")
            node = compose(text, report)
            self._sites[text] = decode(node, SiteText, report) if isinstance(node, Table) else None
        return self._sites[text]

    def baseline(self, section: Where, name: str, text: str) -> list[tuple[Written, int]]:
        """The rules of a baseline, and their lines in its text."""
        key = (section, name, text)
        if key not in self._baselines:
            if len(self._baselines) >= _MOST_TEXTS:
                self._baselines.clear()
            node = compose(text, Report(name))
            items = node.entries.get(section) if isinstance(node, Table) else None
            self._baselines[key] = [
                (written(item, section, name), (item.at >> LINE_SHIFT) + 1)
                for item in (items.items if isinstance(items, Items) else ())
            ]
        return self._baselines[key]


_MOST_TEXTS = 64


class Grid(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Every rule in the order in which they are asked, and the line where each begins. `broken` says why a text has
    none: it is no YAML."""

    rules: tuple[Written, ...]
    lines: Sequence[int]
    site: SiteText | None
    own: tuple[int, int]  # the rules of the text itself: the first, and the first behind them
    broken: str = ""

    @cached_property
    def place(self) -> dict[str, int]:
        return {rule.id: number for number, rule in enumerate(self.rules)}

    @cached_property
    def _by_line(self) -> tuple[list[int], list[str]]:
        first, last = self.own
        known = sorted(zip(self.lines[first:last], [rule.id for rule in self.rules[first:last]], strict=True))
        return [line for line, _ in known], [name for _, name in known]

    def at_line(self, line: int) -> str:
        """The rule of the text itself that begins there or next above; "" for none."""
        lines, names = self._by_line
        number = bisect_right(lines, line) - 1
        return names[number] if number >= 0 else ""

    def row(self, number: int, findings: Sequence[RowFinding] = (), hits: RowHits | None = None) -> RuleRow:
        rule = self.rules[number].opened()
        keys = rule.keys
        publish = rule.section == "publish"
        return RuleRow(
            id=rule.id,
            pair=rule.pair,
            source=keys.get("source", ()),
            destination=keys.get("to" if publish else "destination", ()),
            service=keys.get("service", ()),
            people=keys.get("people", ()),
            when=rule.one("when"),
            action="allow" if publish else rule.one("action"),
            inspect=rule.one("inspect"),
            log=rule.one("log"),
            why=rule.one("why"),
            owner=rule.one("owner"),
            ticket=rule.one("ticket"),
            limit=rule.one("limit"),
            connections=rule.one("connections"),
            expires=rule.one("expires"),
            review=rule.one("review"),
            enabled=rule.one("enabled") != "no",
            line=self.lines[number],
            section=rule.section,
            inherited=rule.inherited,
            hits=-1 if hits is None else hits.hits,
            recent=-1 if hits is None else hits.recent,
            last=0.0 if hits is None else hits.last,
            findings=tuple(findings),
        )


class Change(msgspec.Struct, frozen=True):
    """How a grid differs from another. `changed` are places of rules that are new or written otherwise; `order` says
    that they are others, or stand otherwise, `gone` which are no longer there. From the place `at` of each of
    `shifts` on, lines are `by` more than they were."""

    changed: tuple[int, ...]
    order: bool
    gone: tuple[str, ...]
    shifts: tuple[tuple[int, int], ...]


def grid(text: str, inherited: Mapping[str, str], cache: RowCache) -> Grid:
    """The rules of a text that may be wrong, as far as it can be read."""
    try:
        cut = sheet(text, cache.pieces)
    except EditError as error:
        return Grid((), array("I"), None, (0, 0), str(error))
    found: dict[Where, list[tuple[Written, int]]] = {"rules": [], "publish": []}
    line = cut.preamble.count("\n") + 1
    frame: list[str] = [cut.preamble]
    for section in cut.sections:
        name: Where | None = "rules" if section.name == "rules" else "publish" if section.name == "publish" else None
        if name is None:
            frame.append(section.text)
        if name is None or section.whole:
            if name is not None:
                found[name] = _whole(name, section.text, line)
            line += section.text.count("\n")
            continue
        line += (section.above + section.head + section.gap).count("\n")
        rows = found[name]
        for part in section.parts:
            line += part.above.count("\n") if part.above else 0
            rows.append((cache.read(name, part.body), line))
            line += part.body.count("\n") + (part.below.count("\n") if part.below else 0)
        line += section.foot.count("\n")
    site = cache.site("".join(frame))
    first, last = _inherited(site, inherited, cache)
    own = found["rules"] + found["publish"]
    every = [*first, *own, *last]
    bounds = len(first), len(first) + len(own)
    return Grid(tuple([rule for rule, _ in every]), array("I", [at for _, at in every]), site, bounds)


def change(old: Grid, new: Grid) -> Change:
    """What is different in `new`; rules are compared by what is written."""
    known = {rule.id: rule for rule in old.rules}
    changed = [number for number, rule in enumerate(new.rules) if known.get(rule.id) is not rule]
    order = [rule.id for rule in old.rules] != [rule.id for rule in new.rules]
    gone = [name for name in known if name not in new.place]
    shifts: list[tuple[int, int]] = []
    places = {rule.id: number for number, rule in enumerate(old.rules)}
    by = 0
    for number, rule in enumerate(new.rules):
        at = places.get(rule.id)
        if at is not None and new.lines[number] - old.lines[at] != by:
            by = new.lines[number] - old.lines[at]
            shifts.append((number, by))
    return Change(tuple(changed), order, tuple(gone), tuple(shifts))


def pairs(rules: Iterable[Written]) -> dict[Pair, int]:
    """How many rules each pair of zones has, as they are written, in the order of the first."""
    found: dict[Pair, int] = {}
    for rule in rules:
        found[rule.pair] = found.get(rule.pair, 0) + 1
    return found


# --- reading -----------------------------------------------------------------------------------------------


def _whole(section: Where, text: str, line: int) -> list[tuple[Written, int]]:
    """The items of a section that cannot be cut: it is written on one line, or two have one id."""
    node = compose(text, Report("rules"))
    items = node.entries.get(section) if isinstance(node, Table) else None
    if not isinstance(items, Items):
        return []
    return [(written(item, section, ""), line + (item.at >> LINE_SHIFT)) for item in items.items]


def _inherited(
    site: SiteText | None, inherited: Mapping[str, str], cache: RowCache
) -> tuple[list[tuple[Written, int]], list[tuple[Written, int]]]:
    """The rules of baselines before and after those of the site."""
    first: list[tuple[Written, int]] = []
    last: list[tuple[Written, int]] = []
    if site is not None:
        for baseline in inherit.read(site, inherited, Report("policy.yaml")):
            first += cache.baseline("first", baseline.name, inherited.get(baseline.name, ""))
            last = [*cache.baseline("last", baseline.name, inherited.get(baseline.name, "")), *last]
    return first, last


_RECORDS = {"rules": RuleText, "publish": PublishText, "first": RuleText, "last": RuleText}
# What names something that has contents, and where addresses and services are said.
_NAMING = ("source", "destination", "service", "people", "when", "from", "to", "zone")
_ADDRESSES = ("source", "destination", "address", "to")


def written(node: Node | None, section: Where, inherited_from: str) -> Written:
    """A rule as it is written; keys that are not known are passed over, and values that are none."""
    declarations = declared(_RECORDS[section])
    keys: dict[str, tuple[str, ...]] = {}
    for key, value in node.entries.items() if isinstance(node, Table) else ():
        if key not in declarations:
            continue
        if isinstance(value, Word):
            keys[key] = (value.value,) if value.value else ()
        elif isinstance(value, Items) and isinstance(declarations[key].declaration.shape, Many):
            keys[key] = tuple([item.value for item in value.items if isinstance(item, Word)])
    name = intern(keys["id"][0]) if keys.get("id") else ""
    pair = _pair(keys.get("from", ()), keys.get("zone" if section == "publish" else "to", ()))
    return Written(name, section, inherited_from, pair, msgspec.msgpack.encode(keys))


@lru_cache(4096)
def _pair(sources: tuple[str, ...], destinations: tuple[str, ...]) -> Pair:
    """Thousands of rules have the same pair: each is kept once."""
    return sources, destinations


@lru_cache(4096)
def literal(word: str) -> Range | None:
    """The addresses that a word says itself; None for a name, and for what is none."""
    if not addresses.looks_literal(word):
        return None
    try:
        return addresses.literal(word)
    except AddressError:
        return None


@lru_cache(4096)
def entries(word: str) -> tuple[tuple[int, int, int], ...]:
    """(protocol, first port, last port) of what a word says itself; the protocol -1 is all of them."""
    if not services.looks_literal(word):
        return ()
    try:
        known = services.entries_of(word)
    except ServiceError:
        return ()
    return tuple([(-1 if one.protocol is None else one.protocol, *one.ports) for one in known])
