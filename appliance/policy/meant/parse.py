"""Policy text -> `Policy`: read, resolve, cross-check. All problems of a text at once.

    text --compose--> nodes --decode--> SiteText --Frame--> names --Resolver--> rules --> Policy

With a `ParseCache` a text that was parsed before, but for a few rules, is not read whole again: only the
pieces that changed are. The result is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import msgspec

from appliance.policy import limits
from appliance.policy.meant.frame import Claims, Frame
from appliance.policy.model import Policy, Rule, Span
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.written.chunks import Cut, cut
from appliance.policy.written.document import RuleText, SiteText
from appliance.policy.written.schema import decode, decode_item
from appliance.policy.written.text import (
    LINE_SHIFT,
    Items,
    Report,
    Table,
    TooManyProblems,
    Word,
    check_characters,
    compose,
    refuse_size,
    unix_lines,
)

NOTHING: Mapping[str, str] = MappingProxyType({})


class ParseCache:
    """What a parse leaves for the next one of nearly the same text. Give one for each text that is edited."""

    def __init__(self) -> None:
        self.kept: _Kept | None = None


class _Known(msgspec.Struct, frozen=True):
    """A rule that was read without a problem.

    Positions in `text` count from line `origin` of its own text: its piece stood there. `rule` has its span
    as if the piece stood at `line`. The piece has `lines` lines and at most `nodes` values.
    """

    text: RuleText
    origin: int
    rule: Rule
    line: int
    lines: int
    nodes: int


class _Kept(msgspec.Struct):
    """The last text that was parsed without error, in parts."""

    file: str
    before: str
    after: str
    lines: int
    frame: Frame
    found: list[tuple[int, Problem]]  # the warnings of the frame
    inherited: dict[str, str | None]
    files: dict[str, str | None]
    rules: dict[str, _Known]


class _Used(Mapping[str, str]):
    """Passes texts on and remembers which were asked for."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.used: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        self.used[name] = None
        found = self.used[name] = self.texts[name]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)


def parse(
    text: str,
    file: str,
    *,
    inherited: Mapping[str, str],
    files: Mapping[str, str] = NOTHING,
    cache: ParseCache | None = None,
    now: float | None = None,
    also: tuple[str, ...] = (),
) -> tuple[Policy, tuple[Problem, ...]]:
    """The policy that a text means, and warnings.

    `inherited` maps the names of baselines to their texts, `files` the paths of list files to their
    contents. With `now` (seconds since the epoch) rules that have expired or wait for a review are warned of.
    `also` are baselines that the text is read under besides those it inherits; then nothing is kept in `cache`.
    Raises `PolicyError` with every problem found, in the order of the text, if one of them is an error.
    """
    refuse_size(text, file)
    text = unix_lines(text)
    reading = None
    if also:
        cache = None
    if cache is not None and cache.kept is not None:
        reading = _Reading(file, _Used(inherited), _Used(files))
        if not reading.again(text, cache.kept, now):
            reading = None
    if reading is None:
        reading = _Reading(file, _Used(inherited), _Used(files))
        reading.whole(text, now, also)
    problems = reading.problems()
    if reading.policy is None or any(problem.severity == "error" for problem in problems):
        raise PolicyError(problems)
    if cache is not None:
        cache.kept = reading.keep(text) or cache.kept
    return reading.policy, problems


class _Reading:
    """One text on its way to a policy: read whole, or again after a change."""

    def __init__(self, file: str, inherited: _Used, files: _Used) -> None:
        self.report = Report(file)
        self.inherited = inherited
        self.files = files
        self.frame: Frame | None = None
        self.frame_found: list[tuple[int, Problem]] = []
        self.texts: list[RuleText] = []
        self.rules: list[Rule] = []
        self.troubled: set[int] = set()  # numbers of rules that had problems or warnings
        self.cut: Cut | None = None
        self.known: dict[str, _Known] = {}
        self.policy: Policy | None = None

    def problems(self) -> tuple[Problem, ...]:
        """Those of the site's text in its order, then those of its baselines."""
        return self.report.problems() + (self.frame.problems() if self.frame is not None else ())

    # --- the plain way -------------------------------------------------------------------------------

    def whole(self, text: str, now: float | None, also: tuple[str, ...] = ()) -> None:
        """Reads everything."""
        try:
            document = _document(text, self.report)
            if document is None:
                return
            if also:
                inherits = (*document.inherits, *(Word(name, document.site.at) for name in also))
                document = msgspec.structs.replace(document, inherits=inherits)
            frame = self._resolve_frame(document)
            if len(document.rules) > limits.MAX_RULES:
                self.report.error(0, f"{len(document.rules):,} rules", f"at most {limits.MAX_RULES:,}")
                return
            self.texts = list(document.rules)
            for number, rule_text in enumerate(self.texts):
                self.rules.append(self._resolve(frame, rule_text, number))
            self._finish(frame, [0] * len(self.texts), now)
        except TooManyProblems:
            self.policy = None  # what was found is told

    def _resolve_frame(self, document: SiteText) -> Frame:
        self.frame = Frame(document, self.inherited, self.files, self.report)
        self.frame_found = list(self.report.found)
        return self.frame

    def _resolve(self, frame: Frame, text: RuleText, number: int) -> Rule:
        before = len(self.report.found)
        rule = frame.resolver.rule(text)
        if not (rule.sources and rule.destinations) and not text.flawed and len(self.report.found) == before:
            self.report.warn(text.at, f"`{rule.id}` says nothing here: no zone has its role", "name a zone")
        if len(self.report.found) != before:
            self.troubled.add(number)
        return rule

    def _finish(self, frame: Frame, bases: list[int], now: float | None) -> None:
        """Cross-checks and the policy. `bases` are what is to be added to the positions of each rule's text."""
        ids = {text.id.value for text in self.texts}
        if len(ids) != len(self.texts) or not ids.isdisjoint(frame.claims.taken):
            claims = Claims(frame.claims.taken)
            for number, text in enumerate(self.texts):
                self.report.base = bases[number]
                if not claims.claim(text.id, self.report):
                    self.troubled.add(number)
            self.report.base = 0
        ids.update(frame.claims.taken)
        own = [rule for rule in self.rules if rule.sources and rule.destinations]
        self.policy = frame.policy(own, ids, self.report, now)

    # --- the same after a change ---------------------------------------------------------------------

    def again(self, text: str, kept: _Kept, now: float | None) -> bool:
        """Reads what changed since `kept`. False when the text must be read whole."""
        if kept.file != self.report.file:
            return False
        self.cut = cut(text, kept.rules)
        if self.cut is None or len(self.cut.pieces) > limits.MAX_RULES:
            return False
        try:
            frame = self._frame_again(self.cut, kept)
            if frame is None:
                return False
            return self._rules_again(self.cut, kept, frame, now)
        except TooManyProblems:
            return False

    def _frame_again(self, parts: Cut, kept: _Kept) -> Frame | None:
        same = parts.before == kept.before and parts.after == kept.after
        if same and parts.lines != kept.lines:
            same = all(not line.strip() or line.lstrip()[0] == "#" for line in parts.after.split("\n"))
        same = same and all(self.inherited.get(name) == text for name, text in kept.inherited.items())
        same = same and all(self.files.get(name) == text for name, text in kept.files.items())
        if same:
            self.frame = kept.frame
            self.frame_found = kept.found
            self.report.found = list(kept.found)
            self.frame.resolver.report = self.report
            return self.frame
        rest = parts.rest
        check_characters(rest, self.report)
        node = None if self.report.found else compose(rest, self.report)
        if not isinstance(node, Table) or self.report.found:
            return None
        empty = node.entries.get("rules")
        if not isinstance(empty, Word) or empty.value or node.keys["rules"] != parts.line << LINE_SHIFT:
            return None
        document = _decode(node, self.report)
        return None if document is None else self._resolve_frame(document)

    def _rules_again(self, parts: Cut, kept: _Kept, frame: Frame, now: float | None) -> bool:
        same_names = frame is kept.frame or frame.names == kept.frame.names
        line = parts.first
        nodes = _nodes_at_most(parts.before) + _nodes_at_most(parts.after)
        bases: list[int] = []
        for number, piece in enumerate(parts.pieces):
            known = kept.rules.get(piece)
            if known is None:
                lines = piece.count("\n")
                self.report.base = line << LINE_SHIFT
                text = self._piece(piece)
                if text is None:
                    return False
                rule = self._resolve(frame, text, number)
                known = _Known(text, 0, rule, line, lines, _nodes_at_most(piece))
            elif not same_names:
                self.report.base = (line - known.origin) << LINE_SHIFT
                rule = self._resolve(frame, known.text, number)
                known = _Known(known.text, known.origin, rule, line, known.lines, known.nodes)
            elif known.line != line:
                moved = _moved(known.rule, line - known.line)
                known = _Known(known.text, known.origin, moved, line, known.lines, known.nodes)
            self.texts.append(known.text)
            self.rules.append(known.rule)
            bases.append((line - known.origin) << LINE_SHIFT)
            if number not in self.troubled:
                self.known[piece] = known
            line += known.lines
            nodes += known.nodes
        self.report.base = 0
        if nodes > limits.MAX_NODES:
            return False
        self._finish(frame, bases, now)
        return True

    def _piece(self, piece: str) -> RuleText | None:
        """The rule of a piece; None when it is not one item of a list, or cannot be read at all."""
        before = len(self.report.found)
        check_characters(piece, self.report)
        node = None if len(self.report.found) != before else compose(piece, self.report, depth=1)
        if not isinstance(node, Items) or len(node.items) != 1 or len(self.report.found) != before:
            return None
        return decode_item(node.items[0], RuleText, self.report, "rules")

    # --- for the next time ---------------------------------------------------------------------------

    def keep(self, text: str) -> _Kept | None:
        """What the next parse can use of this one; None when the text has no rules that can be cut."""
        frame = self.frame
        assert frame is not None
        if self.cut is None:
            # Every item begins a piece. As many pieces as items: every piece is an item.
            self.cut = cut(text, (), count=len(self.texts))
            if self.cut is None or len(self.cut.pieces) != len(self.texts):
                return None
            line = self.cut.first
            for number, piece in enumerate(self.cut.pieces):
                lines = piece.count("\n")
                if number not in self.troubled:
                    self.known[piece] = _Known(
                        self.texts[number], line, self.rules[number], line, lines, _nodes_at_most(piece)
                    )
                line += lines
        used_lists, used_texts = self.files.used, self.inherited.used
        return _Kept(
            self.report.file,
            self.cut.before,
            self.cut.after,
            self.cut.lines,
            frame,
            self.frame_found,
            dict(used_texts),
            dict(used_lists),
            self.known,
        )


def _document(text: str, report: Report) -> SiteText | None:
    check_characters(text, report)
    node = None if report.failed else compose(text, report)
    return None if node is None else _decode(node, report)


def _decode(node: Items | Table | Word, report: Report) -> SiteText | None:
    if isinstance(node, Table) and "baseline" in node.entries and "site" not in node.entries:
        report.error(node.at, "this is a baseline, not the policy of a site", "check a site that inherits it")
        return None
    return decode(node, SiteText, report)


def _nodes_at_most(text: str) -> int:
    """An upper bound of the values in a text: every one of them stands behind one of these, or before a colon."""
    return 2 * sum(text.count(mark) for mark in ":,-[{?") + 2


def _moved(rule: Rule, lines: int) -> Rule:
    span = rule.span
    assert span is not None
    return msgspec.structs.replace(rule, span=Span(span.file, span.line + lines, span.column))
