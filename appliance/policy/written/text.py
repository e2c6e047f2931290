"""Strict YAML: a text becomes nodes that know where they were written.

Strict means: one document; every scalar is a string (`no` is a string, `0644` is a string); no anchors,
aliases, tags or merge keys; no key twice; no tab and no control character. libyaml does the scanning,
what is built here from its events is three small types. A position is one integer, `line << 20 | column`,
both from 0, so that moving a part of a text down by n lines is one addition.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import yaml
from yaml.cyaml import CBaseLoader

from appliance.policy.limits import MAX_DEPTH, MAX_LINE, MAX_NODES, MAX_PROBLEMS, MAX_TEXT_BYTES
from appliance.policy.model import Span
from appliance.policy.problem import PolicyError, Problem

LINE_SHIFT = 20
COLUMN_MASK = (1 << LINE_SHIFT) - 1


class Word(msgspec.Struct, frozen=True, gc=False):
    """A scalar. `at` is its position."""

    value: str
    at: int


def value_of(word: Word | None) -> str:
    """What was written, "" where nothing was."""
    return "" if word is None else word.value


class Items(msgspec.Struct, frozen=True):
    """A sequence."""

    items: list[Node]
    at: int


class Table(msgspec.Struct, frozen=True):
    """A mapping. `keys` holds the position of each key, in the order of the text."""

    entries: dict[str, Node]
    keys: dict[str, int]
    at: int


Node = Word | Items | Table


class TooManyProblems(Exception):
    """So many problems were found that reading on is of no use."""


class Report:
    """Collects the problems of one file. `base` (a position) is added to every position it is given."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.base = 0
        self.found: list[tuple[int, Problem]] = []

    def span(self, at: int) -> Span:
        where = self.base + at
        return Span(self.file, (where >> LINE_SHIFT) + 1, (where & COLUMN_MASK) + 1)

    def line(self, at: int) -> int:
        """The line, from 1, of a position that `base` was added to."""
        return (at >> LINE_SHIFT) + 1

    def add(self, problem: Problem) -> None:
        """Takes over a problem of this file that is whole."""
        at = (problem.span.line - 1) << LINE_SHIFT | (problem.span.column - 1)
        self._keep(at, problem)

    def error(self, at: int, message: str, remedy: str = "") -> None:
        self._add(at, message, remedy, "error")

    def warn(self, at: int, message: str, remedy: str = "") -> None:
        self._add(at, message, remedy, "warning")

    def _add(self, at: int, message: str, remedy: str, severity: str) -> None:
        self._keep(self.base + at, Problem(self.span(at), message, remedy, severity))

    def _keep(self, at: int, problem: Problem) -> None:
        if len(self.found) >= MAX_PROBLEMS:
            raise TooManyProblems
        self.found.append((at, problem))

    def include(self, at: int, other: Report) -> None:
        """Takes over the problems of another file that this one names at `at`."""
        self.found.extend((self.base + at, problem) for _, problem in other.found)

    def problems(self) -> tuple[Problem, ...]:
        """Every problem, in the order of the text."""
        return tuple(problem for _, problem in sorted(self.found, key=lambda pair: pair[0]))

    @property
    def failed(self) -> bool:
        return any(problem.severity == "error" for _, problem in self.found)


# What may stand in a text: printable characters and line feeds. libyaml would also take U+0085, U+2028 and
# U+2029 as line ends, which no editor shows as such, and U+202A..U+202E and U+2066..U+2069 turn the direction of
# writing: they are refused, so that what is read is what a person sees.
_REFUSED = re.compile(
    "[^\n -~\u00a0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_ALLOWED_ASCII = bytes([10, *range(32, 127)])


def refuse_size(text: str, file: str) -> None:
    """Raises `PolicyError` at once for a text that is too big to read."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        message = f"the text has {size:,} bytes, the limit is {MAX_TEXT_BYTES:,}"
        remedy = "put long address lists into a file and name it in an object (`file: lists/name.txt`)"
        raise PolicyError([Problem(Span(file, 1, 1), message, remedy)])


def unix_lines(text: str) -> str:
    """The text with line feeds only; editors on Windows write carriage return and line feed."""
    return text.replace("\r\n", "\n") if "\r" in text else text


def check_characters(text: str, report: Report) -> None:
    """Reports tabs, control characters and lines too long to be meant."""
    if text.isascii() and not text.encode("ascii").translate(None, _ALLOWED_ASCII):
        refused = None
    else:
        refused = _REFUSED.search(text)
    while refused is not None:
        at = position(text, refused.start())
        character = refused.group()
        if character == "\t":
            report.error(at, "a tab character", "indent and separate with spaces")
        else:
            report.error(at, f"the character U+{ord(character):04X} may not stand in a policy", "remove it")
        refused = _REFUSED.search(text, refused.end())
    if len(text) > MAX_LINE:
        for number, line in enumerate(text.split("\n")):
            if len(line) > MAX_LINE:
                report.error(number << LINE_SHIFT, f"a line longer than {MAX_LINE} characters", "fold it")


def position(text: str, index: int) -> int:
    """The position of a character of the text."""
    line = text.count("\n", 0, index)
    column = index - (text.rfind("\n", 0, index) + 1)
    return line << LINE_SHIFT | min(column, COLUMN_MASK)


def compose(text: str, report: Report, depth: int = 0) -> Node | None:
    """The nodes of a text that `check_characters` found clean; None (and a problem) when it is not YAML.

    `depth` is how deep the text stands in a greater one.
    Duplicate keys, anchors, aliases and tags are reported and reading goes on; a syntax error ends it.
    """
    loader = CBaseLoader(text)
    before = len(report.found)
    try:
        node = _build(loader, report, MAX_DEPTH - depth)
        if node is None and len(report.found) == before:
            report.error(0, "the text is empty", "begin with `reef: 1` and `site: <name>`")
        return node
    except yaml.MarkedYAMLError as error:
        _report_syntax(error, text, report)
        return None
    finally:
        loader.dispose()


def _build(loader: CBaseLoader, report: Report, deepest: int) -> Node | None:
    """Drives libyaml's events into nodes, with a stack of its own so that depth costs no recursion."""
    get: Callable[[], Any] = loader.get_event
    scalar_event, mapping_start, sequence_start = yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent
    stack: list[tuple[Items | Table, Word | None]] = []
    table: Table | None = None  # the open mapping, or
    items: list[Node] | None = None  # the open sequence's items
    key: Word | None = None  # the key whose value comes next
    root: Node | None = None
    count = 0
    while True:
        event = get()
        kind = type(event)
        if kind is scalar_event:
            mark = event.start_mark
            value: str = event.value
            node: Node = Word(value, mark.line << LINE_SHIFT | mark.column)
            if event.anchor is not None or event.tag is not None:
                _report_decoration(event, node.at, report)
            if event.style == '"' and _REFUSED.search(value) is not None:
                # What may not stand in a text may not come in by an escape either.
                report.error(node.at, "an escape for a character that may not stand in a policy", "remove it")
        elif kind is mapping_start or kind is sequence_start:
            mark = event.start_mark
            at = mark.line << LINE_SHIFT | mark.column
            if event.anchor is not None or event.tag is not None:
                _report_decoration(event, at, report)
            if len(stack) >= deepest:
                report.error(at, f"nested more than {MAX_DEPTH} deep", "a policy needs far less; unfold it")
                return None
            node = Table({}, {}, at) if kind is mapping_start else Items([], at)
            stack.append((node, key))
            if len(stack) > 1 and table is not None and key is None:
                report.error(at, "a mapping or list as a key", "a key is one word")
                return None
            key = None
            table, items = (node, None) if isinstance(node, Table) else (None, node.items)
            continue
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            node, key = stack.pop()
            parent = stack[-1][0] if stack else None
            table = parent if isinstance(parent, Table) else None
            items = parent.items if isinstance(parent, Items) else None
        elif kind is yaml.AliasEvent:
            mark = event.start_mark
            at = mark.line << LINE_SHIFT | mark.column
            report.error(at, f"the alias `*{event.anchor}`", "write the value itself, or name an object or service")
            node = Word(event.anchor, at)
        elif kind is yaml.DocumentStartEvent:
            if root is not None:
                mark = event.start_mark
                report.error(mark.line << LINE_SHIFT | mark.column, "a second document", "one text is one policy")
                return None
            if event.version is not None or event.tags:
                report.error(0, "a YAML directive", "remove the line that begins with %")
            continue
        elif kind is yaml.StreamEndEvent:
            return root
        else:
            continue

        count += 1
        if count > MAX_NODES:
            report.error(node.at, f"more than {MAX_NODES:,} values", "put long lists into a file")
            return None
        if table is not None:
            if key is None:
                if type(node) is not Word:
                    report.error(node.at, "a mapping or list as a key", "a key is one word")
                    return None
                key = node
            else:
                name = key.value
                if name in table.entries:
                    first = report.span(table.keys[name])
                    report.error(key.at, f"the key `{name}` a second time", f"it stands in line {first.line} already")
                else:
                    table.entries[name] = node
                    table.keys[name] = key.at
                key = None
        elif items is not None:
            items.append(node)
        else:
            root = node


def _report_decoration(event: yaml.NodeEvent, at: int, report: Report) -> None:
    if event.anchor is not None:
        report.error(at, f"the anchor `&{event.anchor}`", "name an object or service and use its name")
    else:
        tag = getattr(event, "tag", "")
        report.error(at, f"the tag `{tag}`", "remove it; every value is read as it is written")


# libyaml's words (scanner.c, parser.c) and what a person should do about them.
_SYNTAX = {
    "mapping values are not allowed in this context": (
        "a second `: ` in one line, or a wrong indent",
        'put a value that holds ": " into quotes, or align this line with its neighbours',
    ),
    "did not find expected key": (
        "this line does not fit in here",
        "align it with the keys above, or close the quote or bracket before it",
    ),
    "did not find expected '-' indicator": (
        "this line is neither an item of the list nor a key of its own",
        "align it with the `- ` above, or with the section's name",
    ),
    "could not find expected ':'": ("a key without `:`", "write `key: value`"),
    "found unexpected end of stream": ("a quote that is not closed", "close it"),
    "did not find expected ',' or ']'": ("a list `[` that is not closed", "separate with `,` and close with `]`"),
    "did not find expected ',' or '}'": ("a mapping `{` that is not closed", "separate with `,` and close with `}`"),
    "found character that cannot start any token": (
        "a character that cannot begin a value",
        "put the value into quotes",
    ),
    "did not find expected alphabetic or numeric character": (
        "`*` or `&` at the begin of a value",
        "put the value into quotes",
    ),
    "found unknown escape character": (
        "an unknown escape in a double-quoted value",
        "write `\\\\` for a backslash, or use single quotes",
    ),
    "block sequence entries are not allowed in this context": (
        "`- ` where no list can begin",
        "put the list on the lines below its key",
    ),
    "did not find expected node content": ("a value is missing", "write one between the commas"),
    "did not find expected <document start>": (
        "text after the end of the policy",
        "one text is one policy: align the line with the keys above, or remove it",
    ),
}


def _report_syntax(error: yaml.MarkedYAMLError, text: str, report: Report) -> None:
    mark = error.problem_mark or error.context_mark
    unclosed = error.problem == "found unexpected end of stream" or (error.problem or "").startswith(
        "did not find expected ',' or"
    )
    # For what is not closed the place to look at is where it was opened, not where the text ended.
    if unclosed and error.context_mark is not None:
        mark = error.context_mark
    at = 0 if mark is None else min(mark.line, text.count("\n")) << LINE_SHIFT | mark.column
    words = error.problem or error.context or "not YAML"
    if (
        words == "did not find expected node content"
        and mark is not None
        and text[mark.index : mark.index + 1] == ":"
    ):
        message = "a value that begins with `:` inside `[ ]` or `{ }`"
        report.error(at, message, 'put it into quotes: "::/0"')
        return
    message, remedy = _SYNTAX.get(words, (f"not YAML: {words}", "see docs/policy.md for how a policy is written"))
    report.error(at, message, remedy)
