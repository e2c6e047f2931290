"""Rules go into a spreadsheet and come back as changes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.drafts.csvrules import COLUMNS, CsvError, changes, table
from appliance.drafts.grid import Grid, RowCache, RowHits, grid
from appliance.drafts.operations import Delete, Insert, Move, SetKeys, operate
from appliance.policy.meant.parse import parse

TEXT = """\
reef: 1
site: s
zones: {lan: {interfaces: [lan0]}, dmz: {interfaces: [dmz0]}}
rules:
  - id: R-1  # stays
    from: lan
    to: [dmz, lan]
    service: [tcp/443, udp/53]
    action: allow
    why: |
      one, "two"

      three
    owner: it@s.example
  # about the second
  - {id: R-2, from: lan, to: dmz, action: deny, why: "=HYPERLINK(1)"}
  - id: R-3
    from: dmz
    to: lan
    action: deny
"""
KNOWN = grid(TEXT, {}, RowCache())


def sheet_of(rows: list[list[str]], **how: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, **how).writerows(rows)  # type: ignore[arg-type]
    return out.getvalue().encode()


def rows_of(known: Grid = KNOWN) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table(known, {}).removeprefix("\ufeff"), newline="")))


def test_a_table_that_comes_back_changes_nothing() -> None:
    data = table(KNOWN, {"R-1": RowHits(7, 3, 1_800_000_000.0)}).encode()
    assert changes(data, KNOWN) == changes(data, KNOWN, whole=True) == []
    assert b"7,3,2027-01-15T08:00:00Z\r\n" in data
    assert changes(sheet_of(rows_of(), delimiter=";"), KNOWN) == [], "as a spreadsheet in Spanish writes it"


def test_what_looks_like_a_formula_is_none() -> None:
    (row,) = [row for row in rows_of() if row[0] == "R-2"]
    assert row[COLUMNS.index("why")] == "'=HYPERLINK(1)"


def test_what_is_different_comes_back_as_changes() -> None:
    rows = rows_of()
    rows[1][COLUMNS.index("service")] = "tcp/443, udp/53, ping"
    rows[2][COLUMNS.index("log")] = "end"
    rows[3][COLUMNS.index("owner")] = "'@home"
    new = ["R-9", "lan", "dmz", *[""] * (len(rows[0]) - 3)]
    new[COLUMNS.index("action")] = "deny"
    made = changes(sheet_of([*rows[:3], new, rows[3]]), KNOWN)
    assert made == [
        SetKeys("R-1", {"service": ["tcp/443", "udp/53", "ping"]}),
        SetKeys("R-2", {"log": "end"}),
        Insert("id: R-9\nfrom: lan\nto: dmz\naction: deny", "R-2"),
        SetKeys("R-3", {"owner": "@home"}),
    ]
    policy, _ = parse(operate(TEXT, made).text, "t.yaml", inherited={})
    assert [rule.id for rule in policy.rules] == ["R-1", "R-2", "R-9", "R-3"]


def test_a_part_of_a_table_leaves_the_rest_and_a_whole_one_is_all_there_is() -> None:
    data = b"id,owner\nR-3,a@b.example\nR-1,it@s.example\n"
    assert changes(data, KNOWN) == [SetKeys("R-3", {"owner": "a@b.example"})]
    made = changes(data, KNOWN, whole=True)
    assert made[0] == SetKeys("R-3", {"owner": "a@b.example"})
    assert Delete(["R-2"]) in made and any(isinstance(one, Move) for one in made)
    policy, _ = parse(operate(TEXT, made).text, "t.yaml", inherited={})
    assert [rule.id for rule in policy.rules] == ["R-3", "R-1"]


@pytest.mark.parametrize(
    ("data", "row", "column", "said"),
    [
        (b"", 1, "", "is empty"),
        (b"id,sevrice\n", 1, "sevrice", "no such column"),
        (b"id,id\n", 1, "id", "stands there twice"),
        (b"owner\nx\n", 1, "id", "no column `id`"),
        (b"id,log\nR-1,sometimes\n", 2, "log", "not known here"),
        (b"id,service\nR-1,end\nR-2,tcp\xc3\xb6\n", 3, "service", "is not a service"),
        (b"id,action\nR-1,\n", 2, "action", "is empty"),
        (b"id,log\nR-1,end\n\nR-1,end\n", 4, "id", "row 2 already"),
        (b"id,log\nR-7,end\n", 2, "from", "a new rule has no such cell"),
        (b"id,log\nR-1,end,more\n", 2, "", "3 cells under 2 heads"),
        (b'id,log\nR-1,"end\n', 2, "", "unexpected end of data"),
        (b"id,why\nR-1,\xff\n", 2, "", "not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_by_row_and_column(data: bytes, row: int, column: str, said: str) -> None:
    with pytest.raises(CsvError) as error:
        changes(data, KNOWN)
    assert any((one.row, one.column) == (row, column) and said in one.message for one in error.value.problems)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(CsvError) as error:
        changes(b"id,log,action\nR-1,x,y\nR-2,z,deny\n", KNOWN)
    assert [(one.row, one.column) for one in error.value.problems] == [(2, "log"), (2, "action"), (3, "log")]


WORDS = st.text("ab,;\"'=+@-\n #:é", max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(WORDS, min_size=3, max_size=3), st.permutations(["R-1", "R-2", "R-3", "N-1"]), st.booleans())
def test_any_words_survive_the_way_through_a_table(words: list[str], order: list[str], whole: bool) -> None:
    heads = ["id", "from", "to", "action", "why"]
    wanted = dict(zip(["R-1", "R-2", "N-1"], words, strict=True))
    rows = [[name, "lan", "dmz", "deny", wanted.get(name, "same").strip() or "x"] for name in order]
    try:
        made = changes(sheet_of([heads, *[[guarded(one) for one in row] for row in rows]]), KNOWN, whole=whole)
    except CsvError as error:
        assert all(one.column == "why" for one in error.problems)
        return
    after = grid(operate(TEXT, made).text, {}, RowCache())
    assert not after.broken
    for row in rows:
        rule = after.rules[after.place[row[0]]].opened()
        assert rule.one("why").rstrip("\n") == row[4].rstrip("\n")
    if whole:
        assert [rule.id for rule in after.rules] == order
    again = table(after, {}).encode()
    assert changes(again, after, whole=True) == []


def guarded(value: str) -> str:
    """As a table has a value: this is what `harmless` promises, said otherwise."""
    return "'" + value if value.lstrip("'")[:1] in tuple("=+-@\t\r") and value else value


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text("id,log;\"'\r\nR-1=end\ufeff", max_size=40).map(str.encode))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    for start in (b"", b"id,log,why\r\n"):
        try:
            made = changes(start + data, KNOWN, whole=True)
        except CsvError as error:
            assert error.problems
            continue
        operate(TEXT, made)
