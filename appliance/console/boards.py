"""A text that somebody works at, in parts: its newest version, what was typed since, and rows of those before it."""

from __future__ import annotations

import zlib
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from appliance.control.messages.changes import DraftChecked
from appliance.drafts.completion import Vocabulary
from appliance.drafts.edits import Edit, applied
from appliance.drafts.grid import Grid, Pair, RowFinding, RowHits, pairs
from appliance.drafts.search import Beside, Contents
from appliance.policy.meant import inherit
from appliance.policy.written.document import DocumentText
from appliance.policy.written.text import Report

FILE = "policy.yaml"  # what the text of a draft is called in what is found in it
SOON = timedelta(days=30)
_PAST = 3  # versions before the newest that somebody may have on the screen
_MOST_TYPED = 1_000  # batches; who types more than that without looking at rows costs one whole text
_MOST_INSERTED = 1 << 20  # characters


class Board:
    """One version of a text, and what is known of it."""

    def __init__(self, text: str, inherited: Mapping[str, str], files: Mapping[str, str], known: Grid) -> None:
        self._text: str | None = text
        self._packed = b""
        self.inherited = inherited
        self.files = files
        self.grid = known
        self.checked: DraftChecked | None = None
        self.documents: tuple[DocumentText, ...] = ()
        if known.site is not None:
            read = inherit.read(known.site, inherited, Report(FILE))
            self.documents = (known.site, *[one.document for one in read if one.document is not None])
        self._findings: dict[str, list[RowFinding]] | None = None

    @property
    def text(self) -> str:
        text = self._text
        if text is None:
            text = self._text = zlib.decompress(self._packed).decode("utf-8", "surrogatepass")
        return text

    @property
    def rests(self) -> bool:
        return self._text is None

    def rest(self) -> None:
        """Nobody works at it just now: its text is kept packed."""
        if not self._packed:
            self._packed = zlib.compress((self._text or "").encode("utf-8", "surrogatepass"), 1)
        self._text = None

    @cached_property
    def contents(self) -> Contents:
        return Contents(self.documents[::-1])

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.documents, [rule.id for rule in self.grid.rules])

    @property
    def findings(self) -> Mapping[str, Sequence[RowFinding]]:
        """What was found, by rule."""
        if self._findings is None:
            self._findings = _by_rule(self.checked, self.grid) if self.checked is not None else {}
        return self._findings

    @property
    def timezone(self) -> ZoneInfo:
        """The site's. A draft may say anything; then it is UTC."""
        name = self.grid.site.timezone if self.grid.site is not None else None
        try:
            return ZoneInfo(name.value if name is not None else "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")

    def beside(self, hits: Mapping[str, RowHits]) -> Beside:
        now = datetime.now(self.timezone)
        return Beside(self.findings, hits, now.date().isoformat(), (now + SOON).date().isoformat())

    @cached_property
    def pairs(self) -> Mapping[Pair, int]:
        return pairs(self.grid.rules)

    @property
    def named(self) -> Counter[str]:
        """How many rules name what."""
        return Counter(name for rule in self.grid.rules for name in rule.opened().names)


class Past(msgspec.Struct, frozen=True):
    """What is left of a version: enough to tell what is different in another."""

    grid: Grid
    findings: Mapping[str, Sequence[RowFinding]]


class Typed(msgspec.Struct, frozen=True):
    """Edits that were taken, and what was found then."""

    edits: tuple[Edit, ...]
    checked: DraftChecked


class Shelf:
    """One text. Nothing is read while somebody types: what was typed is put into the text when its rows are asked
    for. `used` is when that was last."""

    def __init__(self, version: int, board: Board, used: float) -> None:
        self.version = version
        self.board = board
        self.used = used
        self.typed: list[Typed] = []
        self._past: OrderedDict[int, Past] = OrderedDict()

    @property
    def newest(self) -> int:
        """The version with all that was typed."""
        return self.typed[-1].checked.draft.version if self.typed else self.version

    def add(self, edits: tuple[Edit, ...], checked: DraftChecked) -> bool:
        """Whether there is room for that."""
        self.typed.append(Typed(edits, checked))
        inserted = sum(len(edit.insert) for one in self.typed for edit in one.edits)
        return len(self.typed) <= _MOST_TYPED and inserted <= _MOST_INSERTED

    def put(self, version: int, board: Board) -> None:
        """A newer version; of the one before only rows are left."""
        # A new value of the grid, without what was made to look into it.
        self._past[self.version] = Past(msgspec.structs.replace(self.board.grid), self.board.findings)
        while len(self._past) > _PAST:
            self._past.popitem(last=False)
        self.version, self.board = version, board
        self.typed = [one for one in self.typed if one.checked.draft.version > version]

    def past(self, version: int) -> Past | None:
        """A version, where it is still known."""
        if version == self.version:
            return Past(self.board.grid, self.board.findings)
        return self._past.get(version)

    @property
    def grids(self) -> list[Grid]:
        return [self.board.grid, *[one.grid for one in self._past.values()]]


def after(text: str, typed: Iterable[Typed]) -> str:
    """A text with what was typed. Raises `EditsError`."""
    for one in typed:
        text = applied(text, one.edits)
    return text


def _by_rule(checked: DraftChecked, known: Grid) -> dict[str, list[RowFinding]]:
    found: dict[str, list[RowFinding]] = {}
    for one in checked.findings:
        rule = known.at_line(one.line) if one.file == FILE else ""
        if rule:
            words = f"{one.message}; {one.remedy}" if one.remedy else one.message
            found.setdefault(rule, []).append(RowFinding("error" if one.severity == "error" else "warning", words))
    for proven in checked.proof.shown if checked.proof is not None else ():
        words = proven.name or ", ".join(proven.others)
        found.setdefault(proven.rule, []).append(RowFinding(proven.kind, words, proven.others, proven.example))
    return found
