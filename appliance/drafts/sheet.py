"""A policy text in parts: sections and their entries, with the comments that belong to each. Every line is in one.

    preamble ─ section: above, head, gap ─ entry: above, body, below ─ entry … ─ foot ─ section …

A section is cut into entries where each has a name: an item with an `id`, or the key of a mapping. Any other section
is one part. The comment lines directly above something belong to it; blank lines and what else stands between two
entries belong to the first of them, or at the end of a section to that.

The rules are cut by line structure (`chunks.py`): a piece is read once, then known by its text. So a text of ten
thousand rules of which one changed is in parts in milliseconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from itertools import accumulate
from sys import intern

import msgspec

from appliance.policy.written.chunks import Cut, cut
from appliance.policy.written.edit import EditError
from appliance.policy.written.layout import Branch, Entry, Leaf, last_of, tree_of
from appliance.policy.written.text import (
    LINE_SHIFT,
    Items,
    Report,
    Table,
    Word,
    check_characters,
    compose,
    unix_lines,
)

_MOST_CUT = 2  # the text before a change and the one after it


class Part(msgspec.Struct, frozen=True, gc=False):
    """One entry. `body` is whole lines."""

    name: str
    above: str
    body: str
    below: str = ""

    @property
    def text(self) -> str:
        return self.above + self.body + self.below


class Section(msgspec.Struct, frozen=True):
    """`head` is the line of its name, or with `whole` all of it; `gap` stands between that and the first entry.

    `column` is where its entries begin.
    """

    name: str
    above: str
    head: str
    gap: str
    parts: tuple[Part, ...]
    foot: str
    whole: bool
    column: int = 0

    @property
    def text(self) -> str:
        return f"{self.above}{self.head}{self.gap}{''.join([part.text for part in self.parts])}{self.foot}"

    @property
    def empty(self) -> bool:
        """Whether it is written as one without entries, so that there is nothing behind its name or `[]`, `{}`."""
        return not self.whole and not self.parts


class Known(msgspec.Struct, frozen=True, gc=False):
    """What is known of a piece of the rules: its id, and how many of its characters are the rule itself. Where it is
    nothing else it is the same `part` in every text."""

    id: str
    length: int
    part: Part | None


class PieceCache:
    """Pieces that were read before, `most` of them, and the texts that were cut last."""

    def __init__(self, most: int = 400_000) -> None:
        self.known: dict[str, Known] = {}
        self.cut: OrderedDict[str, Sheet] = OrderedDict()
        self._most = most

    def add(self, piece: str, known: Known) -> None:
        if len(self.known) >= self._most:
            self.known.clear()
        self.known[piece] = known

    def sweep(self, bodies: Container[str]) -> None:
        """Forget pieces that are none of these rules, and the texts."""
        self.cut.clear()
        self.known = {piece: known for piece, known in self.known.items() if piece[: known.length] in bodies}

    def keep(self, made: Sheet) -> None:
        self.cut[made.text] = made
        while len(self.cut) > _MOST_CUT:
            self.cut.popitem(last=False)


class Sheet(msgspec.Struct, frozen=True):
    text: str
    preamble: str
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section | None:
        return next((section for section in self.sections if section.name == name), None)

    def places(self, name: str) -> dict[str, tuple[int, int, int]]:
        """Of each entry of a section: where its `above`, its `body` and what follows the body begin."""
        at = len(self.preamble)
        found: dict[str, tuple[int, int, int]] = {}
        for section in self.sections:
            if section.name == name:
                at += len(section.above) + len(section.head) + len(section.gap)
                for part in section.parts:
                    body = at + len(part.above)
                    end = body + len(part.body)
                    found[part.name] = (at, body, end)
                    at = end + len(part.below)
                return found
            at += len(section.text)
        return found

    def begin(self, name: str) -> int:
        """Where the head of a section begins; the end of the text where there is none."""
        at = len(self.preamble)
        for section in self.sections:
            if section.name == name:
                return at + len(section.above)
            at += len(section.text)
        return at


def sheet(text: str, cache: PieceCache | None = None) -> Sheet:
    """A text in parts; every line ends with a line feed, the last one too. Raises `EditError` when it is no YAML."""
    text = unix_lines(text)
    if not text.endswith("\n"):
        text += "\n"
    cache = PieceCache() if cache is None else cache
    made = cache.cut.get(text)
    if made is not None:
        return made
    parts = cut(text, cache.known)
    anchors = _with_rules(text, parts, cache) if parts is not None else None
    if anchors is None:
        anchors = _anchors(text, _root(text))
    made = _sheet(text, anchors)
    cache.keep(made)
    return made


class _Anchor(msgspec.Struct, frozen=True, gc=False):
    """A section (`name` "") or an entry of one: its first character, and the first behind its last line."""

    section: str
    name: str
    start: int
    end: int
    whole: bool = False
    column: int = 0
    part: Part | None = None


# --- where things are --------------------------------------------------------------------------------------


def _root(text: str) -> Branch:
    report = Report("policy.yaml")
    check_characters(text, report)
    node = None if report.failed else compose(text, report)
    if report.failed or not isinstance(node, Table):
        said = report.problems()
        raise EditError(str(said[0]) if said else "the text is not a policy", "correct the text first")
    root, _ = tree_of(text)
    if root.flow:
        raise EditError("the text is written as one mapping in braces", "bring it into its form with `reef fmt`")
    if root.column:
        raise EditError("the sections of the text are indented", "bring it into its form with `reef fmt`")
    return root


def _anchors(text: str, root: Branch) -> list[_Anchor]:
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    found: list[_Anchor] = []
    for entry in root.entries:
        assert entry.key is not None
        name, start = entry.key.value, starts[entry.key.line]
        entries = _entries(entry, starts, text)
        if entries is None:
            end = _line_end(text, max(last_of(entry.value, text), entry.key.last - 1))
            found.append(_Anchor(name, "", start, end, whole=True))
            continue
        column = entry.value.column if entries and isinstance(entry.value, Branch) else 2
        found.append(_Anchor(name, "", start, _line_end(text, start), column=column))
        found.extend(entries)
    return found


def _entries(section: Entry, starts: list[int], text: str) -> list[_Anchor] | None:
    """The entries of a section; None where it cannot be cut into entries with names of their own."""
    value = section.value
    if isinstance(value, Leaf):
        return [] if not value.value and not value.style else None
    if not value.entries:
        return [] if value.flow and value.line == section.line else None
    if value.flow or value.line == section.line:
        return None
    found: list[_Anchor] = []
    named: set[str] = set()
    assert section.key is not None
    for entry in value.entries:
        name = entry.key.value if entry.key is not None else _id(entry)
        line = entry.line
        while not value.mapping and not text.startswith("-", starts[line] + value.column):
            line -= 1  # the dash stands alone above
        if not name or name in named or (found and starts[line] < found[-1].end):
            return None
        named.add(name)
        last = last_of(entry.value, text)
        if entry.key is not None:
            last = max(last, entry.key.last - 1)
        found.append(_Anchor(section.key.value, name, starts[line], _line_end(text, last)))
    return found


def _id(entry: Entry) -> str:
    if isinstance(entry.value, Branch):
        for inner in entry.value.entries:
            if inner.key is not None and inner.key.value == "id" and isinstance(inner.value, Leaf):
                return inner.value.value
    return ""


def _line_end(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)


# --- rules by their pieces ---------------------------------------------------------------------------------


def _with_rules(text: str, parts: Cut, cache: PieceCache) -> list[_Anchor] | None:
    """As `_anchors`, reading only pieces that are not known; None when the text must be read whole."""
    rest = parts.before + parts.after  # that no line is where it was matters to nobody here
    report = Report("policy.yaml")
    check_characters(rest, report)
    node = None if report.failed else compose(rest, report)
    if report.failed or not isinstance(node, Table):
        return None
    empty = node.entries.get("rules")
    if not isinstance(empty, Word) or empty.value or node.keys["rules"] != parts.line << LINE_SHIFT:
        return None
    root, _ = tree_of(rest)
    if root.flow:
        return None
    rules = _rule_anchors(parts, cache)
    if rules is None:
        return None
    border = len(parts.before)
    shift = sum(map(len, parts.pieces))
    found: list[_Anchor] = []
    for anchor in _anchors(rest, root):
        if anchor.section == "rules" and not anchor.name:
            anchor = msgspec.structs.replace(anchor, column=len(parts.pieces[0]) - len(parts.pieces[0].lstrip(" ")))
        elif anchor.start >= border:
            anchor = msgspec.structs.replace(anchor, start=anchor.start + shift, end=anchor.end + shift)
        found.append(anchor)
        if anchor.section == "rules" and not anchor.name:
            found.extend(rules)
    return found


def _rule_anchors(parts: Cut, cache: PieceCache) -> list[_Anchor] | None:
    at = len(parts.before)
    found: list[_Anchor] = []
    named: set[str] = set()
    for piece in parts.pieces:
        known = cache.known.get(piece) or _known(piece, cache)
        if known is None or not known.id or known.id in named:
            return None
        named.add(known.id)
        found.append(_Anchor("rules", known.id, at, at + known.length, part=known.part))
        at += len(piece)
    return found


def _known(piece: str, cache: PieceCache) -> Known | None:
    """What a piece is; None when it is not exactly one item."""
    report = Report("policy.yaml")
    check_characters(piece, report)
    node = None if report.failed else compose(piece, report, depth=1)
    if report.failed or not isinstance(node, Items) or len(node.items) != 1:
        return None
    item = node.items[0]
    ident = item.entries.get("id") if isinstance(item, Table) else None
    if not isinstance(ident, Word):
        return None
    last = len(piece.rstrip()) - 1
    if piece[piece.rfind("\n", 0, last) + 1 :].lstrip(" ").startswith("#"):
        # It ends with a comment line, or with a line of a text that looks like one.
        tree, _ = tree_of(piece)
        last = last_of(tree.entries[0].value, piece)
    name, end = intern(ident.value), _line_end(piece, last)
    known = Known(name, end, Part(name, "", piece) if end == len(piece) else None)
    cache.add(piece, known)
    return known


# --- lines to parts ----------------------------------------------------------------------------------------


def _sheet(text: str, anchors: list[_Anchor]) -> Sheet:
    sections: list[Section] = []
    parts: list[Part] = []
    preamble, above = _shared(text[: anchors[0].start] if anchors else text)
    head: tuple[_Anchor, str, str] | None = None  # the open section, its `above` and `gap`
    for number, anchor in enumerate(anchors):
        end = anchors[number + 1].start if number + 1 < len(anchors) else len(text)
        below, after = _shared(text[anchor.end : end]) if anchor.end != end else ("", "")
        if number + 1 == len(anchors):
            below, after = below + after, ""
        if not anchor.name:
            if head is not None:
                sections.append(_section(text, head, parts))
                parts = []
            head = anchor, above, below
        else:
            same = anchor.part if not above and not below else None
            parts.append(same or Part(anchor.name, above, text[anchor.start : anchor.end], below))
        above = after
    if head is not None:
        sections.append(_section(text, head, parts))
    return Sheet(text, preamble, tuple(sections))


def _section(text: str, head: tuple[_Anchor, str, str], parts: list[Part]) -> Section:
    anchor, above, gap = head
    foot = ""
    if parts:
        foot = parts[-1].below
        parts[-1] = msgspec.structs.replace(parts[-1], below="")
    else:
        gap, foot = "", gap
    name = anchor.section
    return Section(name, above, text[anchor.start : anchor.end], gap, tuple(parts), foot, anchor.whole, anchor.column)


def _shared(gap: str) -> tuple[str, str]:
    """What stands between two parts: what belongs to the first, and the comments that belong to the second."""
    if "#" not in gap:
        return gap, ""
    lines = gap.splitlines(keepends=True)
    number = len(lines)
    while number and lines[number - 1].lstrip(" ").startswith("#"):
        number -= 1
    return "".join(lines[:number]), "".join(lines[number:])
