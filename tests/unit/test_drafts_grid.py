"""The rules of a text as rows, what changed of them, and how they are found."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from appliance.drafts.grid import RowCache, RowFinding, RowHits, change, grid, pairs
from appliance.drafts.operations import Delete, Insert, Move, SetKeys, operate
from appliance.drafts.search import Beside, Contents, SearchError, search
from appliance.policy.addresses import literal, text_of
from appliance.policy.meant import inherit
from appliance.policy.meant.parse import parse
from appliance.policy.written.text import Report
from tests.policies import large_policy_text

ROOT = Path(__file__).resolve().parents[2]
SITE = (ROOT / "examples" / "ministry-health.yaml").read_text()
BASELINES = {"national-baseline": (ROOT / "examples" / "baselines" / "national-baseline.yaml").read_text()}
NOBODY = Beside({}, {}, "2026-11-22", "2026-12-22")


def contents_of(text: str) -> Contents:
    known = grid(text, BASELINES, RowCache())
    assert known.site is not None
    baselines = [one.document for one in inherit.read(known.site, BASELINES, Report("t")) if one.document is not None]
    return Contents([*baselines, known.site])


def found(text: str, question: str, beside: Beside = NOBODY) -> list[str]:
    known = grid(text, BASELINES, RowCache())
    return [known.rules[n].id for n in search(known, contents_of(text), question, beside)]


def test_rows_are_the_rules_in_the_order_in_which_they_are_asked() -> None:
    policy, _ = parse(SITE, "policy.yaml", inherited=BASELINES)
    known = grid(SITE, BASELINES, RowCache())
    ids = [rule.id for rule in policy.rules]
    # A rule of a baseline for roles that no zone has is written all the same.
    assert [rule.id for rule in known.rules if rule.inherited == "" or rule.id in ids] == ids
    lines = SITE.split("\n")
    row = known.row(known.place["R-12"], [RowFinding("dead", "hidden")], RowHits(5, 2, 1.5))
    assert lines[row.line - 1].strip() == "- id: R-12"
    assert (row.pair, row.source, row.service, row.log) == ((("lan",), ("dmz",)), ("clinics",), ("https",), "end")
    assert (row.hits, row.recent, row.last, row.findings[0].kind) == (5, 2, 1.5, "dead")
    assert known.at_line(row.line) == known.at_line(row.line + 4) == "R-12"
    assert known.at_line(3) == ""
    inherited = known.row(0)
    assert (inherited.section, inherited.inherited, inherited.hits) == ("first", "national-baseline", -1)
    assert BASELINES["national-baseline"].split("\n")[inherited.line - 1].strip().startswith(f"- id: {inherited.id}")
    assert pairs(known.rules)[("lan",), ("dmz",)] == 1


@pytest.mark.parametrize(
    "head", ["rules: [{id: R-1, from: lan, to: dmz, action: deny}]", "rules:\n- id: R-1\n- id: R-1"]
)
def test_rules_that_cannot_be_cut_have_rows_all_the_same(head: str) -> None:
    known = grid(f"reef: 1\nsite: s\n{head}\n", {}, RowCache())
    assert {rule.id for rule in known.rules} == {"R-1"}
    assert known.row(0).line == (3 if "[" in head else 4)


def test_a_text_that_is_no_yaml_says_why_it_has_no_rows() -> None:
    known = grid("reef: 1\nrules: ['\n", {}, RowCache())
    assert known.rules == ()
    assert "not closed" in known.broken


def test_what_changed_is_told_by_rule_and_by_line() -> None:
    cache = RowCache()
    text = large_policy_text(50)
    first = grid(text, {}, cache)
    edited = operate(
        text, [SetKeys("R-7", {"log": "end"}), Delete(["R-30"]), Insert("id: N\nfrom: lan", "R-40")]
    ).text
    second = grid(edited, {}, cache)
    told = change(first, second)
    assert [second.rules[n].id for n in told.changed] == ["R-7", "N"]
    assert told.order and told.gone == ("R-30",)
    assert [(second.rules[n].id, by) for n, by in told.shifts] == [("R-8", 1), ("R-31", -8), ("R-41", -6)]
    moved = change(second, grid(operate(edited, [Move(["R-3"], "R-5")]).text, {}, cache))
    assert (moved.changed, moved.order, moved.gone) == ((), True, ())
    assert change(second, second).shifts == ()


@pytest.mark.parametrize(
    ("question", "rules"),
    [
        ("", None),
        ("clinics", ["R-12"]),
        ("10.21.0.10", ["R-12"]),
        ("10.20.64.9", ["R-12"]),
        ("10.20.0.0/16", ["R-12"]),
        ("2001:db8:21::10", ["R-12"]),
        ("destination:10.21.0.10", ["R-12"]),
        ("source:10.21.0.10", []),
        ("updates.example.org", ["R-9"]),
        ("tcp/443 from:lan -R-12", ["R-7"]),
        ("port:80 from:lan", ["R-7"]),
        ("443 from:lan to:internet", ["R-7"]),
        ("nurse people:nurse", ["R-7"]),
        ("owner:records", ["R-12"]),
        ("inspect:strict log:end", ["R-7"]),
        ("is:expiring", []),
        ("is:unused", ["R-9"]),
        ("is:dead", ["R-12"]),
        ("is:found -is:dead", ["R-7"]),
        ("zzz", []),
    ],
)
def test_rules_are_found_by_what_they_say_and_by_what_that_holds(question: str, rules: list[str] | None) -> None:
    beside = Beside(
        {"R-12": [RowFinding("dead", "")], "R-7": [RowFinding("warning", "")]},
        {"R-9": RowHits(4, 0, 1.0), "R-7": RowHits(4, 4, 1.0)},
        "2026-11-22",
        "2026-12-22",
    )
    said = found(SITE, question, beside)
    assert [name for name in said if name.startswith("R-")] == (["R-7", "R-9", "R-12"] if rules is None else rules)


def test_expiry_and_review_are_found_by_the_day() -> None:
    rules = "".join(
        f"  - id: {name}\n    from: lan\n    to: dmz\n    action: deny\n    {more}\n"
        for name, more in [
            ("past", "expires: 2026-11-21"), ("today", "expires: 2026-11-22T10:00"), ("soon", "expires: 2026-12-22"),
            ("later", "expires: 2026-12-23"), ("look", "review: 2026-12-01"), ("off", "enabled: no"),
        ]
    )  # fmt: skip
    text = f"{SITE.split('rules:')[0]}rules:\n{rules}"
    assert found(text, "is:expired") == ["past"]
    assert found(text, "is:expiring") == ["today", "soon"]
    assert found(text, "is:review") == ["look"]
    assert found(text, "is:disabled") == ["off"]


@pytest.mark.parametrize("question", ["is:nothing", "port:x", "port:70000", "a" * 1001])
def test_a_question_that_cannot_be_asked_says_what_would_be_right(question: str) -> None:
    with pytest.raises(SearchError) as error:
        found(SITE, question)
    assert error.value.remedy


def test_an_address_is_found_where_the_policy_means_it() -> None:
    """Against what the parser makes of the rules: a rule holds an address that its source or destination does."""
    rng = random.Random(4)
    text = large_policy_text(300)
    policy, _ = parse(text, "t.yaml", inherited={})
    known, contents = grid(text, {}, RowCache()), contents_of(text)
    said = [part for rule in policy.rules for side in (rule.source, rule.destination) for part in side.ranges]
    for _ in range(40):
        part = rng.choice(said)
        if part.first == 0:
            continue
        wanted = literal(text_of(part.version, rng.randint(part.first, part.last)))
        expected = [
            rule.id
            for rule in policy.rules
            if any(
                one.version == wanted.version and one.first <= wanted.first <= one.last and one.first
                for side in (rule.source, rule.destination)
                for one in side.ranges
            )
        ]
        places = search(known, contents, text_of(wanted.version, wanted.first), NOBODY)
        assert [known.rules[n].id for n in places] == expected


def test_thousands_of_rules_are_found_and_made_again_for_less_than_they_were_read() -> None:
    cache = RowCache()
    text = large_policy_text(2_000)
    begin = time.process_time()
    known = grid(text, {}, cache)
    first = time.process_time() - begin
    contents = contents_of(text)
    for question in ("10.1.16.140", "tcp/443", "need 77", "from:lan to:dmz owner:it", "is:expired"):
        seconds = []
        for _ in range(5):
            begin = time.process_time()
            search(known, contents, question, NOBODY)
            seconds.append(time.process_time() - begin)
        assert min(seconds) < first / 2, question
    seconds = []
    for number in range(3):
        begin = time.process_time()
        again = grid(text.replace("why: need 77\n", f"why: other {number}\n"), {}, cache)
        seconds.append(time.process_time() - begin)
        assert [again.rules[n].id for n in change(known, again).changed] == ["R-77"]
    assert min(seconds) < first / 2
