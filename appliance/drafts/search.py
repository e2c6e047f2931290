"""Finds rules as a person asks for them: words, addresses inside objects, ports inside services, owners. Pure.

mail owner:it          both words somewhere in the rule or in what it names; the second in its owner
10.20.3.7              rules whose source or destination holds it, itself or through an object
tcp/443  port:443      rules of this service, themselves or through a named one
from:lan to:dmz        the same in one key; `-` before a word turns it round
is:expired             expired, expiring, review, disabled, inherited, unused, dead, no-effect, conflict, error …
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from appliance.drafts.grid import Grid, Opened, Pair, RowFinding, RowHits, entries, literal
from appliance.policy.model import Range
from appliance.policy.written.document import DocumentText
from appliance.policy.written.services import WELL_KNOWN
from appliance.policy.written.text import Word

MOST = 1_000  # characters of a question
_KEYS = frozenset(
    ["id", "from", "to", "source", "destination", "service", "people", "when", "action", "inspect", "log", "why",
     "owner", "ticket", "expires", "review", "limit", "connections"]
)  # fmt: skip
_PORTED = frozenset([-1, 6, 17, 33, 132, 136])
Test = Callable[[Opened], bool]


class Beside(msgspec.Struct, frozen=True):
    """What is not in the text: what was found, what rules matched; and as dates of the site, `today` and the end of
    what counts as soon."""

    findings: Mapping[str, Sequence[RowFinding]]
    hits: Mapping[str, RowHits]
    today: str
    soon: str


class Contents:
    """What names stand for, in the documents of a policy."""

    def __init__(self, documents: Sequence[DocumentText]) -> None:
        self.ranges: dict[str, list[Range]] = {}
        self.entries: dict[str, list[tuple[int, int, int]]] = {}
        self.words: dict[str, str] = {}
        members: dict[str, list[str]] = {}
        for document in documents:
            for one in document.objects:
                name = _said(one.name)
                said = [word.value for words in (one.networks, one.addresses, one.ranges) for word in words]
                self.ranges[name] = [part for word in said if (part := literal(word)) is not None]
                members[name] = [word.value for word in one.members]
                said += [word.value for word in one.names] + [_said(one.description)]
                self.words[name] = "\n".join([name, *said]).lower()
            for named, words in document.services:
                members[named.value] = [word.value for word in words]
                self.entries[named.value] = [entry for word in words for entry in entries(word.value)]
                self.words[named.value] = "\n".join([named.value, *members[named.value]]).lower()
            for group in document.groups:
                members[_said(group.name)] = [word.value.removeprefix("group:") for word in group.members]
                self.words[_said(group.name)] = _said(group.name).lower()
            for person in document.people:
                said = [_said(person.name), _said(person.full_name), _said(person.email)]
                self.words[_said(person.name)] = "\n".join(said).lower()
        for known, literals in WELL_KNOWN.items():
            if known not in self.entries:
                self.entries[known] = [entry for word in literals for entry in entries(word)]
                self.words[known] = "\n".join([known, *literals]).lower()
        self._holders: dict[str, list[str]] = {}
        for holder, held in members.items():
            for name in held:
                self._holders.setdefault(name, []).append(holder)

    def holding(self, names: list[str]) -> frozenset[str]:
        """These names and all that contain them."""
        found: set[str] = set()
        while names:
            name = names.pop()
            if name not in found:
                found.add(name)
                names.extend(self._holders.get(name, ()))
        return frozenset(found)

    def with_range(self, wanted: Range) -> frozenset[str]:
        return self.holding([n for n, ranges in self.ranges.items() if any(_meet(part, wanted) for part in ranges)])

    def with_entry(self, protocol: int, first: int, last: int) -> frozenset[str]:
        return self.holding(
            [n for n, said in self.entries.items() if any(_speaks(one, protocol, first, last) for one in said)]
        )

    def with_word(self, word: str) -> frozenset[str]:
        return self.holding([name for name, words in self.words.items() if word in words])


class SearchError(ValueError):
    """A question that cannot be asked; `remedy` says what would be right."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def search(
    grid: Grid, contents: Contents, question: str, beside: Beside, pair: tuple[str, str] | None = None
) -> list[int]:
    """The places of the rules that meet every word; `pair` are zones as rules write them. Raises `SearchError`."""
    if len(question) > MOST:
        raise SearchError(f"{len(question):,} characters", f"at most {MOST:,}")
    tests: list[tuple[Test, bool]] = []
    for word in question.split():
        turned = word.startswith("-") and len(word) > 1
        tests.append((_test(word[1:] if turned else word, contents, beside), turned))
    found: list[int] = []
    for number, rule in enumerate(grid.rules):
        if pair is None or _in_pair(rule.pair, pair):
            opened = rule.opened()
            if all(test(opened) != turned for test, turned in tests):
                found.append(number)
    return found


def _in_pair(zones: Pair, pair: tuple[str, str]) -> bool:
    sources, destinations = zones
    return (pair[0] in ("", *sources) or ", ".join(sources) == pair[0]) and (
        pair[1] in ("", *destinations) or ", ".join(destinations) == pair[1]
    )


def _test(word: str, contents: Contents, beside: Beside) -> Test:
    head, colon, rest = word.partition(":")
    if colon and rest:
        if head == "is":
            return _state(rest, beside)
        if head == "port":
            if not rest.isdecimal() or int(rest) > 65535:
                raise SearchError(f"`{rest[:20]}` is no port", "write for example port:443")
            return _service([(-1, int(rest), int(rest))], contents)
        if head in _KEYS:
            return _in_key(head, rest, contents)
    wanted = literal(word)
    if wanted is not None and not (word.isdecimal()):
        return _address(wanted, contents)
    said = entries(word)
    if said:
        return _service(list(said), contents)
    return _anywhere(word.lower(), contents)


def _anywhere(word: str, contents: Contents) -> Test:
    holding = contents.with_word(word)
    if word.isdecimal() and 0 < int(word[:6]) <= 65535:
        service = _service([(-1, int(word), int(word))], contents)
        return lambda rule: word in rule.words or service(rule)
    return lambda rule: word in rule.words or not holding.isdisjoint(rule.names)


def _in_key(key: str, word: str, contents: Contents) -> Test:
    wanted = literal(word) if key in ("source", "destination") else None
    if wanted is not None:
        holding = contents.with_range(wanted)
        parts: dict[str, bool] = {}

        def holds(said: str) -> bool:
            if said not in parts:
                part = literal(said)
                parts[said] = said in holding if part is None else _meet(part, wanted)
            return parts[said]

        return lambda rule: any(holds(said.removeprefix("not ")) for said in rule.keys.get(key, ()))
    said = entries(word) if key == "service" else ()
    if said:
        return _service(list(said), contents)
    low = word.lower()
    inside = contents.with_word(low) if key in ("source", "destination", "service", "people") else frozenset()

    def test(rule: Opened) -> bool:
        values = rule.keys.get(key, ())
        return any(low in value.lower() or value.removeprefix("group:") in inside for value in values)

    return test


def _address(wanted: Range, contents: Contents) -> Test:
    holding = contents.with_range(wanted)
    version, first, last = wanted.version, wanted.first, wanted.last

    def test(rule: Opened) -> bool:
        for part in rule.ranges:
            if part.version == version and part.first <= last and part.last >= first:
                return True
        return not holding.isdisjoint(rule.names)

    return test


def _service(wanted: list[tuple[int, int, int]], contents: Contents) -> Test:
    holding = frozenset().union(*[contents.with_entry(*one) for one in wanted])

    def test(rule: Opened) -> bool:
        for said in rule.entries:
            for one in wanted:
                if _speaks(said, *one):
                    return True
        return not holding.isdisjoint(rule.names)

    return test


def _meet(one: Range, other: Range) -> bool:
    return one.version == other.version and one.first <= other.last and one.last >= other.first


def _speaks(said: tuple[int, int, int], protocol: int, first: int, last: int) -> bool:
    """Whether a service meets ports of a protocol; of any that has ports, where the protocol is -1."""
    same = said[0] == protocol or (protocol == -1 and said[0] in _PORTED) or said[0] == -1
    return same and said[1] <= last and said[2] >= first


def _state(state: str, beside: Beside) -> Test:
    today, soon = beside.today, beside.soon
    known: dict[str, Test] = {
        "expired": lambda rule: "" < rule.one("expires")[:10] < today,
        "expiring": lambda rule: today <= rule.one("expires")[:10] <= soon,
        "review": lambda rule: "" < rule.one("review") <= soon,
        "disabled": lambda rule: rule.one("enabled") == "no",
        "inherited": lambda rule: bool(rule.inherited),
        "published": lambda rule: rule.section == "publish",
        "used": lambda rule: rule.id in beside.hits and beside.hits[rule.id].recent > 0,
        "unused": lambda rule: rule.id in beside.hits and not beside.hits[rule.id].recent,
        "found": lambda rule: rule.id in beside.findings,
    }
    for kind in ("error", "warning", "dead", "no-effect", "conflict", "invariant", "baseline"):
        marked = {name for name, found in beside.findings.items() if any(one.kind == kind for one in found)}
        known[kind] = lambda rule, marked=marked: rule.id in marked  # type: ignore[misc]
    if state not in known:
        raise SearchError(f"`is:{state[:40]}` is not known", f"known are {', '.join(known)}")
    return known[state]


def _said(word: Word | None) -> str:
    return "" if word is None else word.value
