"""Rules as a spreadsheet (RFC 4180), out and in again: what is different comes back as changes of the text. Pure.

One row is one rule of the text; a cell with several values has commas between them. A cell that a spreadsheet would
take for a formula gets an apostrophe in front (OWASP, CSV Injection), which is taken away on the way in. What is
wrong is told by row and column, all of it at once, and then nothing is changed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO

import msgspec

from appliance.drafts.edits import rising
from appliance.drafts.grid import Grid, RowHits
from appliance.drafts.operations import Delete, Insert, Move, Operation, SetKeys
from appliance.drafts.written import scalar, unfit
from appliance.policy.limits import MAX_RULES, MAX_TEXT_BYTES
from appliance.policy.written.document import RuleText
from appliance.policy.written.kinds import Many, Named, Part, Parts, did_you_mean
from appliance.policy.written.schema import Declared, declared

COLUMNS = tuple(declared(RuleText))
COUNTED = ("hits", "recent", "last")  # for reading; they are passed over on the way in
MOST_PROBLEMS = 200
_MOST_CELL = 20_000  # characters
_FORMULA = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_HARMLESS = re.compile(r"'+[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


class CellProblem(msgspec.Struct, frozen=True):
    """What is wrong with a cell. `row` counts as a spreadsheet does, the heads are row 1; `column` is "" for all."""

    row: int
    column: str
    message: str
    remedy: str = ""


class CsvError(ValueError):
    """A table that cannot be taken; `problems` has everything that is wrong."""

    def __init__(self, problems: Sequence[CellProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"row {one.row} {one.column}: {one.message}" for one in problems[:5]))


# --- out ---------------------------------------------------------------------------------------------------


def table(grid: Grid, hits: Mapping[str, RowHits], places: Sequence[int] | None = None) -> str:
    """The rules of the text itself, or those at `places` of them. A spreadsheet knows by the first character that it
    is UTF-8."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow((*COLUMNS, *COUNTED))
    for number in range(len(grid.rules)) if places is None else places:
        rule = grid.rules[number]
        if rule.section == "rules":
            known = hits.get(rule.id)
            counted = ("", "", "") if known is None else (str(known.hits), str(known.recent), _moment(known.last))
            keys = rule.keys
            writer.writerow([harmless(", ".join(keys.get(key, ()))) for key in COLUMNS] + [*counted])
    return "\ufeff" + out.getvalue()


def harmless(value: str) -> str:
    return f"'{value}" if _FORMULA.match(value) else value


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""


# --- in ----------------------------------------------------------------------------------------------------


def changes(data: bytes, grid: Grid, *, whole: bool = False) -> list[Operation]:
    """What makes the rules of a text those of a table. Columns that it does not have are left as they are. With
    `whole` it has all rules, in their order: others are taken away; else those that it does not have stay.
    Raises `CsvError`."""
    problems: list[CellProblem] = []
    rows = _rows(data, problems)
    known = {rule.id: rule for rule in grid.rules if rule.section == "rules"}
    taken = {rule.id for rule in grid.rules if rule.section != "rules"}
    made: list[Operation] = []
    seen: dict[str, int] = {}
    above = ""
    for number, values in rows:
        name = values.get("id", "")
        if name in seen:
            problems.append(
                CellProblem(number, "id", f"`{name}` stands in row {seen[name]} already", "one row a rule")
            )
        elif name in taken:
            problems.append(CellProblem(number, "id", f"`{name}` is no rule of this text", "change it where it is"))
        seen.setdefault(name, number)
        checked = _checked(number, values, name in known, problems)
        if name in known:
            written = known[name].keys
            keys = {key: value for key, value in checked.items() if _differs(written.get(key, ()), value)}
            if keys:
                made.append(SetKeys(name, keys))
        else:
            made.append(Insert(_rule(checked), above if above or whole else None))
        above = name
    if problems:
        raise CsvError(problems[:MOST_PROBLEMS])
    if whole:
        gone = [name for name in known if name not in seen]
        made += [Delete(gone)] if gone else []
        made += _ordered([name for name in known if name in seen], list(seen))
    return made


def _ordered(old: list[str], wanted: list[str]) -> Iterator[Operation]:
    """Moves that bring what was there into the order of the table; what is new stands where it belongs."""
    place = {name: number for number, name in enumerate(old)}
    shared = [name for name in wanted if name in place]
    stayed = {shared[at] for at in rising([place[name] for name in shared])}
    above = ""
    for name in wanted:
        # What is new stood behind one that may have gone elsewhere.
        if name not in stayed and (name in place or len(stayed) != len(shared)):
            yield Move([name], above)
        above = name


def _rows(data: bytes, problems: list[CellProblem]) -> list[tuple[int, dict[str, str]]]:
    """(row, cells by column) of every row that is not empty."""
    if len(data) > MAX_TEXT_BYTES:
        raise CsvError([CellProblem(1, "", f"{len(data):,} bytes", f"at most {MAX_TEXT_BYTES:,}")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise CsvError([CellProblem(row, "", "not UTF-8", "save it as `CSV UTF-8`")]) from error
    first = text.partition("\n")[0]
    between = next((mark for mark in (",", ";", "\t") if mark in first), ",")
    reader = csv.reader(StringIO(text, newline=""), delimiter=between, strict=True)
    found: list[tuple[int, dict[str, str]]] = []
    heads: list[str] = []
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            if not heads:
                heads = _heads([said.strip() for said in cells])
            elif any(cells):
                found.append((number, _cells(number, heads, cells, problems)))
            if number > MAX_RULES + 1 or len(problems) >= MOST_PROBLEMS:
                problems.append(CellProblem(number, "", "too much to read on", f"at most {MAX_RULES:,} rules"))
                break
    except csv.Error as error:
        raise CsvError(
            [*problems, CellProblem(number + 1, "", str(error), "close every quote, double those inside")]
        ) from error
    if not heads:
        raise CsvError([CellProblem(1, "", "the table is empty", f"the first row is {','.join(COLUMNS[:4])},…")])
    return found


def _heads(heads: list[str]) -> list[str]:
    problems: list[CellProblem] = []
    for at, head in enumerate(heads):
        if head not in COLUMNS and head not in COUNTED:
            guess = did_you_mean(head, list(COLUMNS)) or f"the columns are {', '.join(COLUMNS)}"
            problems.append(CellProblem(1, head[:40], "no such column", guess))
        elif head in heads[:at]:
            problems.append(CellProblem(1, head, "the column stands there twice", "remove one of them"))
    if "id" not in heads:
        problems.append(CellProblem(1, "id", "there is no column `id`", "it says which rule a row is about"))
    if problems:
        raise CsvError(problems)
    return heads


def _cells(number: int, heads: list[str], cells: list[str], problems: list[CellProblem]) -> dict[str, str]:
    if len(cells) != len(heads):
        said = f"{len(cells)} cells under {len(heads)} heads"
        problems.append(CellProblem(number, "", said, "put cells with a comma into quotes"))
        return {"id": cells[0] if heads[0] == "id" else f"row {number}"}
    return {head: _plain(said) for head, said in zip(heads, cells, strict=True) if head in COLUMNS}


def _plain(said: str) -> str:
    value = said.replace("\r\n", "\n")
    return value[1:] if _HARMLESS.match(value) else value


def _checked(
    number: int, values: Mapping[str, str], known: bool, problems: list[CellProblem]
) -> dict[str, str | list[str] | None]:
    """The values of a row as the text would have them."""
    found: dict[str, str | list[str] | None] = {}
    keys = declared(RuleText)
    for key, said in values.items():
        column = keys[key]
        wrong = _wrong(column, said)
        if not said.strip():
            if column.required:
                problems.append(CellProblem(number, key, "is empty", column.declaration.words))
            found[key] = None
        elif wrong is not None:
            problems.append(CellProblem(number, key, *wrong))
        else:
            found[key] = _split(said) if isinstance(column.declaration.shape, Many) else said
    if not known:
        for key, column in keys.items():
            if column.required and key not in values:
                problems.append(CellProblem(number, key, "a new rule has no such cell", column.declaration.words))
    return found


def _wrong(column: Declared, said: str) -> tuple[str, str] | None:
    shape = column.declaration.shape
    if len(said) > _MOST_CELL:
        return f"{len(said):,} characters", f"at most {_MOST_CELL:,}"
    odd = unfit(said)
    if odd is not None:
        return odd
    if isinstance(shape, Many):
        return next((wrong for word in _split(said) if (wrong := shape.kind.wrong(word)) is not None), None)
    return None if isinstance(shape, Part | Parts | Named) else shape.wrong(said)


def _split(said: str) -> list[str]:
    return [word.strip() for word in said.split(",") if word.strip()]


def _differs(written: Sequence[str], value: str | list[str] | None) -> bool:
    said = list(written)
    if isinstance(value, str):
        # A spreadsheet may take the last line feed of a longer text away.
        return not said or said[0].rstrip("\n") != value.rstrip("\n")
    return said != (value or [])


def _rule(values: Mapping[str, str | list[str] | None]) -> str:
    lines = []
    for key in COLUMNS:
        value = values.get(key)
        if isinstance(value, str):
            lines.append(f"{key}: {scalar(value)}")
        elif value and len(value) == 1:
            lines.append(f"{key}: {scalar(value[0])}")
        elif value:
            lines.append(f"{key}: [{', '.join([scalar(word, flow=True) for word in value])}]")
    return "\n".join(lines)
