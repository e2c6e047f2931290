"""The rules of a draft as a table, changes as forms make them, spreadsheets, and what may be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from appliance.console.api.drafts import TEXT
from appliance.console.boards import FILE, Board, Past
from appliance.console.context import Ctx
from appliance.console.problems import bad, not_found
from appliance.console.registry import Answer, Raw, endpoint
from appliance.console.workshop import refused
from appliance.control.messages.changes import Draft, DraftChecked, EditDraft, Proof
from appliance.control.messages.text import Finding
from appliance.drafts import csvrules
from appliance.drafts.completion import Completion, complete, of_key
from appliance.drafts.csvrules import COLUMNS, CsvError
from appliance.drafts.edits import Edit
from appliance.drafts.grid import RowCache, RowHits, RuleRow, change
from appliance.drafts.objects import ObjectRow, objects
from appliance.drafts.operations import MOST, Operated, Operation, OperationError, operate
from appliance.drafts.search import SearchError, search
from appliance.policy.addresses import AddressError
from appliance.policy.meant.uses import UnknownName, Uses
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.written.edit import EditError

CSV = "text/csv"
MOST_ROWS = 20_000


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a table: what `search` finds, of the `pair` `lan>dmz`, at most `limit` from `offset` on. `since` asks
    for what changed since a version that one has; then nothing else is chosen. Hits are those of `days`."""

    limit: Annotated[int, msgspec.Meta(ge=0, le=MOST_ROWS)] = MOST_ROWS
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    search: str = ""
    pair: str = ""
    since: int | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=1830)] = 90


class PairCount(msgspec.Struct, frozen=True):
    """How many rules are written for a pair of zones."""

    sources: tuple[str, ...] = msgspec.field(name="from")
    destinations: tuple[str, ...] = msgspec.field(name="to")
    count: int


class RulesPage(msgspec.Struct, frozen=True):
    """Rows of a table of `total` rules, of which `matched` were found. `broken` says why a text has none.

    Where `whole` is False these are only the rows that changed since the version that was asked with: `gone` are
    rules that are no longer there, `order` all ids where they are others or stand otherwise. From the row `index` of
    each of `shifts` (index, by) on, lines are `by` more than they were.
    """

    version: int
    total: int
    matched: int
    broken: str
    rows: tuple[RuleRow, ...]
    pairs: tuple[PairCount, ...]
    whole: bool = True
    order: tuple[str, ...] | None = None
    gone: tuple[str, ...] = ()
    shifts: tuple[tuple[int, int], ...] = ()


class Forms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of the text of `version`, all of them or none."""

    version: int
    operations: Annotated[tuple[Operation, ...], msgspec.Meta(max_length=MOST)]
    label: str = ""


class FormsMade(msgspec.Struct, frozen=True):
    """The draft after changes, as `DraftChecked` says it; `rows` are the rules that are new or written otherwise,
    `order` all ids where rules came, went or moved."""

    draft: Draft
    version: int
    ok: bool
    findings: tuple[Finding, ...]
    edits: tuple[Edit, ...]
    proof: Proof | None
    rules: int
    seconds: float
    rows: tuple[RuleRow, ...]
    order: tuple[str, ...] | None


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place of the text in UTF-16 code units, or a `key` of a rule and what is written there so far."""

    at: Annotated[int, msgspec.Meta(ge=0)] | None = None
    key: str = ""
    prefix: str = ""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With `whole` the table has every rule, in its order: rules that it does not have are taken away."""

    whole: bool = False


class Chosen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only the rules that this finds."""

    search: str = ""


class UsedAt(msgspec.Struct, frozen=True):
    """A place that names something. `through` are the names between, nearest first."""

    kind: str
    file: str
    line: int
    column: int
    holder: str
    holder_id: str
    key: str
    through: tuple[str, ...]
    taken: bool
    off: bool


# --- rows --------------------------------------------------------------------------------------------------


@endpoint("GET", "/drafts/{id}/rules", permission="look", answers=RulesPage)
async def rows(ctx: Ctx, id: str, query: Window) -> object:
    """The rules of a draft as rows."""
    workshop = ctx.console.workshop
    draft, board = await workshop.checked(ctx, id)
    hits = await workshop.hits(ctx, query.days)
    return await workshop.aside(page, board, draft.version, query, hits, workshop.past(id, query.since))


def page(
    board: Board, version: int, query: Window, hits: Mapping[str, RowHits], before: Past | None = None
) -> RulesPage:
    """The part of a table that a query asks for. Raises `Problem`."""
    known = board.grid
    counted = tuple(PairCount(*pair, count) for pair, count in board.pairs.items())
    if query.since is not None and (query.search or query.pair or query.offset):
        raise bad("`since` stands alone: what changed is told of the whole table")
    if before is not None:
        told = change(before.grid, known)
        other = {
            known.place[name]
            for name in {*board.findings, *before.findings}
            if name in known.place and board.findings.get(name) != before.findings.get(name)
        }
        order = tuple(rule.id for rule in known.rules) if told.order else None
        found = tuple([_row(board, number, hits) for number in sorted({*told.changed, *other})])
        total = len(known.rules)
        return RulesPage(version, total, total, known.broken, found, counted, False, order, told.gone, told.shifts)
    places = found_places(board, query.search, query.pair, hits)
    found = tuple([_row(board, number, hits) for number in places[query.offset : query.offset + query.limit]])
    return RulesPage(version, len(known.rules), len(places), known.broken, found, counted)


def found_places(board: Board, question: str, pair: str, hits: Mapping[str, RowHits]) -> Sequence[int]:
    """The places of the rules that are asked for. Raises `Problem`."""
    if not question.strip() and not pair:
        return range(len(board.grid.rules))
    sides = pair.partition(">")
    between = (sides[0].strip(), sides[2].strip()) if pair else None
    try:
        return search(board.grid, board.contents, question, board.beside(hits), between)
    except SearchError as error:
        raise bad(f"{error}; {error.remedy}") from error


def _row(board: Board, number: int, hits: Mapping[str, RowHits]) -> RuleRow:
    name = board.grid.rules[number].id
    return board.grid.row(number, tuple(board.findings.get(name, ())), hits.get(name))


# --- changes -----------------------------------------------------------------------------------------------


@endpoint(
    "POST", "/drafts/{id}/operations", permission="edit", answers=FormsMade, match=True, tagged=True, largest=TEXT
)
async def operations(ctx: Ctx, id: str, body: Forms) -> object:
    """Change rules and objects as a form does. Only the lines that a change is about are different after it."""
    ctx.match(str(body.version))
    workshop = ctx.console.workshop
    draft, board = await _at(ctx, id, body.version)
    try:
        made = await workshop.aside(operate, board.text, body.operations, workshop.cache.pieces)
    except EditError as error:
        number = error.number + 1 if isinstance(error, OperationError) else 0
        finding = Finding("operations", number, 0, str(error), error.remedy)
        raise refused(f"{error}; {error.remedy}", "operation", [finding]) from error
    return await _made(ctx, draft, board, made, body.label or _label(len(body.operations)))


def _label(count: int) -> str:
    return "a change in a form" if count == 1 else f"{count} changes in a form"


async def _at(ctx: Ctx, id: str, version: int) -> tuple[Draft, Board]:
    """The draft, when it is at that version. Raises `Problem`."""
    draft, board = await ctx.console.workshop.draft(ctx, id)
    ctx.match(str(draft.version))
    if draft.version != version:
        raise bad("`version` and If-Match name two versions")
    return draft, board


async def _made(ctx: Ctx, draft: Draft, board: Board, made: Operated, label: str) -> Answer:
    """The draft with these edits, which its owner asked for."""
    workshop = ctx.console.workshop
    checked = await ctx.ask(EditDraft(draft.id, draft.version, made.edits, label), DraftChecked)
    after = await workshop.changed(draft.id, board, made.text, checked)
    hits = await workshop.hits(ctx)
    told = tuple([_row(after, after.grid.place[name], hits) for name in made.changed if name in after.grid.place])
    answer = FormsMade(
        checked.draft, checked.draft.version, checked.ok, checked.findings, made.edits, checked.proof, checked.rules,
        checked.seconds, told, tuple(rule.id for rule in after.grid.rules) if made.moved else None,
    )  # fmt: skip
    return Answer(answer, tag=str(checked.draft.version), changed=bool(made.edits))


# --- spreadsheets ------------------------------------------------------------------------------------------


@endpoint("GET", "/drafts/{id}/rules.csv", permission="look", answers=CSV)
async def out(ctx: Ctx, id: str, query: Chosen) -> object:
    """The rules of a draft for a spreadsheet (RFC 4180)."""
    draft, board = await ctx.console.workshop.checked(ctx, id)
    hits = await ctx.console.workshop.hits(ctx)
    written = await ctx.console.workshop.aside(table, board, query.search, hits)
    return Raw(written, f"{CSV}; charset=utf-8", f"rules-{draft.version}.csv", tag=str(draft.version))


def table(board: Board, question: str, hits: Mapping[str, RowHits]) -> bytes:
    """The rules that are asked for, as a spreadsheet. Raises `Problem`."""
    return csvrules.table(board.grid, hits, found_places(board, question, "", hits)).encode()


@endpoint(
    "PUT", "/drafts/{id}/rules.csv", permission="edit", answers=FormsMade, takes=CSV, match=True, tagged=True,
    largest=TEXT,
)  # fmt: skip
async def back(ctx: Ctx, id: str, query: Table, body: bytes) -> object:
    """Take the rules of a spreadsheet. What differs from the draft becomes changes of its text; nothing is taken
    where anything is wrong, and all of that is told by row and column."""
    workshop = ctx.console.workshop
    draft, board = await workshop.draft(ctx, id)
    ctx.match(str(draft.version))
    try:
        made = await workshop.aside(csvrules.changes, body, board.grid, whole=query.whole)
        done = await workshop.aside(operate, board.text, made, workshop.cache.pieces)
    except CsvError as error:
        raise refused(str(error), "csv", [_cell(one) for one in error.problems]) from error
    except EditError as error:
        raise refused(f"{error}; {error.remedy}", "csv") from error
    return await _made(ctx, draft, board, done, f"{len(made)} changes from a spreadsheet")


def _cell(one: csvrules.CellProblem) -> Finding:
    column = COLUMNS.index(one.column) + 1 if one.column in COLUMNS else 0
    return Finding("rules.csv", one.row, column, f"{one.column}: {one.message}".lstrip(": "), one.remedy)


# --- names -------------------------------------------------------------------------------------------------


@endpoint("GET", "/drafts/{id}/objects", permission="look", answers=tuple[ObjectRow, ...])
async def named(ctx: Ctx, id: str) -> object:
    """What a draft and its baselines define, and how often it is named."""
    _, board = await ctx.console.workshop.draft(ctx, id)
    return await object_rows(ctx, board)


async def object_rows(ctx: Ctx, board: Board) -> tuple[ObjectRow, ...]:
    workshop = ctx.console.workshop
    return await workshop.aside(_objects, board, workshop.cache)


def _objects(board: Board, cache: RowCache) -> tuple[ObjectRow, ...]:
    return objects(board.text, board.documents, board.named, cache.pieces)


@endpoint("GET", "/drafts/{id}/uses/{name}", permission="look", answers=tuple[UsedAt, ...])
async def uses(ctx: Ctx, id: str, name: str) -> object:
    """Every place that names something, also through what contains it."""
    _, board = await ctx.console.workshop.draft(ctx, id)
    return await ctx.console.workshop.aside(used, board, name)


def used(board: Board, name: str) -> tuple[UsedAt, ...]:
    """Where a name or an address is used. Raises `Problem`."""
    try:
        known = Uses(board.text, FILE, inherited=board.inherited, files=board.files)
        kinds = known.kinds_of(name)
    except PolicyError as error:
        first = error.problems[0]
        raise refused(str(first), "policy", [_finding(one) for one in error.problems[:50]]) from error
    except (UnknownName, AddressError) as error:
        raise not_found(f"{error}; {error.remedy}") from error
    plain = name.removeprefix("group:")
    return tuple(
        UsedAt(
            kind, one.span.file, one.span.line, one.span.column, one.holder, one.holder_id, one.key, one.through,
            one.taken, one.off,
        )
        for kind in kinds
        for one in known.of(kind, plain)
    )  # fmt: skip


def _finding(one: Problem) -> Finding:
    return Finding(one.span.file, one.span.line, one.span.column, one.message, one.remedy, one.severity)


@endpoint("GET", "/drafts/{id}/completion", permission="look", answers=Completion)
async def completion(ctx: Ctx, id: str, query: Place) -> object:
    """What may be written at a place of the text, or under a key of a rule."""
    _, board = await ctx.console.workshop.draft(ctx, id)
    if query.at is not None:
        return complete(board.text, query.at, board.vocabulary)
    if not query.key:
        raise bad("say `at` which place of the text, or which `key`")
    return Completion(0, len(query.prefix), of_key(query.key, query.prefix, board.vocabulary))
