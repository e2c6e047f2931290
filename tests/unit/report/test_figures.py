"""Figures: each counted from records as they are, and no number where they could not be read."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest

from appliance.control.messages.gateway import GenerationSummary
from appliance.report import render_csv, render_text
from appliance.report.catalogue import load
from appliance.report.evidence import Reading
from appliance.report.facts import Facts
from appliance.report.figures import DAY, Figure, figures, words_of
from appliance.report.report import make
from tests.unit.report.cases import NOW, SITE, facts_of, hit, records_of, within


def generation(number: int, state: str, ago: float, **more: object) -> GenerationSummary:
    one = GenerationSummary(number, state, "ben", "a reason", NOW - ago, "d" * 64, number - 1, 7)
    return msgspec.structs.replace(one, **more)


HISTORY = (
    generation(10, "confirmed", 60, confirmed_at=NOW - 50, proposal=3, approvers=("ben",)),
    generation(9, "rolled-back", 2 * DAY),
    generation(8, "failed", 3 * DAY),
    generation(7, "superseded", 4 * DAY, confirmed_at=NOW - 4 * DAY + 30),
    generation(1, "superseded", 200 * DAY, confirmed_at=NOW - 199 * DAY),
)


@pytest.fixture(scope="module")
def facts() -> Facts:
    found = facts_of(SITE)
    return msgspec.structs.replace(found, history=Reading("reef history", NOW, HISTORY))


def by_id(facts: Facts) -> dict[str, Figure]:
    return {one.id: one for one in figures(facts, records_of()).figures}


@pytest.mark.parametrize(
    ("id_", "value", "of", "words"),
    [
        ("applied", 3, 0, "3"),
        ("rolled-back", 1, 3, "1 of 3"),
        ("agreed", 1, 3, "1 of 3"),
        ("to-confirm", 20, 2, "20 s"),
        ("to-apply", 3600, 1, "60 min"),
        ("waiting", 1, 0, "1"),
        ("rules", 8, 0, "8"),
        ("expired", 0, 8, "0 of 8"),
        ("overdue", 0, 8, "0 of 8"),
        ("unused", 0, 8, "0 of 8"),
        ("alerts-high", 2, 42, "2 of 42"),
        ("alerts-low", 40, 42, "40 of 42"),
        ("blocked", 7, 9, "7 of 9"),
        ("devices", 1, 2, "1 of 2"),
        ("alive", 5, 5, "5 of 5"),
        ("drift", 0, 0, "0"),
    ],
)
def test_a_figure_is_what_the_records_say(facts: Facts, id_: str, value: float, of: int, words: str) -> None:
    one = by_id(facts)[id_]
    assert (one.value, one.of, one.missing, words_of(one)) == (value, of, "", words)


def test_what_could_not_be_read_is_no_number(facts: Facts) -> None:
    one = by_id(facts)["audit"]
    assert (one.value, one.missing) == (None, "recordd is away")
    assert words_of(one) == "not known: recordd is away"
    silent = msgspec.structs.replace(facts, history=Reading("reef history", NOW, None, "policyd is away"))
    found = figures(silent, records_of())
    assert [trend.id for trend in found.trends] == ["alerts"]
    assert {one.id for one in found.figures if one.missing == "policyd is away"} == {
        "applied", "rolled-back", "agreed", "to-apply", "to-confirm",
    }  # fmt: skip


def test_nothing_to_measure_is_no_number_either(facts: Facts) -> None:
    still = msgspec.structs.replace(facts, history=Reading("reef history", NOW, (HISTORY[-1],)))
    one = by_id(still)["to-confirm"]
    assert (one.value, one.missing) == (None, "there was none in this time")


def test_a_rule_counts_as_unused_only_where_it_was_watched(facts: Facts) -> None:
    known = facts.hits.known()
    idle, young = hit("R-1", recent=0), hit("R-2", recent=0, days=10)
    rules = (idle, young, *(one for one in known.rules if one.id not in ("R-1", "R-2")))
    seen = within("hits", rules=rules)(facts)
    assert by_id(seen)["unused"].value == 1
    fresh = within("hits", rules=tuple(hit(one.id, recent=0, days=10) for one in known.rules))(facts)
    one = by_id(fresh)["unused"]
    assert (one.value, one.missing) == (None, "no rule was watched for longer than 10 d")


def test_a_trend_has_every_day_and_all_that_was_counted(facts: Facts) -> None:
    changes, alerts = figures(facts, records_of()).trends
    assert len(changes.days) in (31, 32)
    assert all(after - before == DAY for before, after in zip(changes.days, changes.days[1:], strict=False))
    assert {line.id: sum(line.values) for line in changes.lines} == {"applied": 3, "rolled-back": 1}
    assert {line.id: sum(line.values) for line in alerts.lines if any(line.values)} == {
        "alerts-high": 2, "alerts-low": 40,
    }  # fmt: skip


def test_a_spreadsheet_has_all_of_it_and_computes_nothing(facts: Facts) -> None:
    subject = msgspec.structs.replace(facts.subject, site="=cmd|' /C calc'!A0")
    report = make(msgspec.structs.replace(facts, subject=subject), load(), ("cis-8.1",), records_of())
    table = render_csv.render(report)
    rows = list(csv.DictReader(io.StringIO(table)))
    counted: dict[str, int] = {}
    for row in rows:
        counted[row["kind"]] = counted.get(row["kind"], 0) + 1
    assert counted["clause"] == len(report.sections[0].answers)
    assert counted["check"] == len(report.judgements)
    assert counted["figure"] == len(report.figures.figures if report.figures else ())
    assert rows[0]["id"] == "'=cmd|' /C calc'!A0"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_the_text_says_the_figures(facts: Facts) -> None:
    said = render_text.brief(make(facts, load(), (), records_of()))
    assert "Figures of the last 30 days" in said
    assert "- Changes rolled back: 1 of 3" in said
