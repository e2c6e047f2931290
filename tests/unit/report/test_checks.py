"""Every check passes on a sound gateway and fails on one that is wrong in just that; without facts it says so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.control.messages import live as messages_live
from appliance.control.messages.readback import Runs
from appliance.control.processes import PROCESSES
from appliance.report.catalogue import DIMENSIONS, LAYERS, PLANES, CatalogueError, Clause, evaluations, load, verify
from appliance.report.evidence import CannotTell, NothingToJudge, Reading, judged
from appliance.report.facts import RUNNING, Facts, Seal
from appliance.report.report import make, tally
from tests.unit.report.cases import FAILURES, NOW, SITE, fact, facts_of, hit, read, spool, text, within

CHECKS = tuple(load().checks)
SOUND = facts_of(SITE)


def of_text() -> Facts:
    """The same site as a text that runs nowhere."""
    none: dict[str, Any] = {name: Reading("reef report", NOW, None, "a text alone") for name in RUNNING}
    return msgspec.structs.replace(SOUND, **none)


def evaluate(check: str, facts: Facts) -> str:
    return evaluations()[check](facts, load().checks[check].threshold).outcome


def test_each_check_has_a_case_in_which_it_fails() -> None:
    assert set(FAILURES) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_gateway_passes(check: str) -> None:
    result = evaluations()[check](SOUND, load().checks[check].threshold)
    assert result.outcome == "pass", (result.words, result.findings)
    assert result.evidence and all(shown.genuine for shown in result.evidence)
    assert result.words.endswith(".")


@pytest.mark.parametrize("check", CHECKS)
def test_what_is_wrong_fails_and_is_named(check: str) -> None:
    change, words = FAILURES[check]
    result = evaluations()[check](change(SOUND), load().checks[check].threshold)
    assert result.outcome == "fail", result.words
    assert any(words in finding for finding in result.findings), result.findings
    assert result.evidence and all(shown.genuine for shown in result.evidence)


@pytest.mark.parametrize("check", CHECKS)
def test_without_facts_nothing_passes(check: str) -> None:
    fields = [name for name in Facts.__struct_fields__ if isinstance(getattr(SOUND, name), Reading)]
    blind = msgspec.structs.replace(SOUND, **{name: Reading("?", NOW, None, "not here") for name in fields})
    with pytest.raises(CannotTell, match="not here"):
        evaluate(check, blind)


def test_a_text_alone_says_nothing_of_what_runs() -> None:
    judgements = {one.check: one for one in make(of_text(), load()).judgements}
    assert judgements["hooks_drop"].outcome == "unknown"
    assert judgements["no_way_in"].outcome == "pass"
    passed = {one.check for one in judgements.values() if one.outcome == "pass"}
    queries = {shown.query for name in passed for shown in judgements[name].evidence}
    assert "a text alone" in judgements["clock_set"].words.lower()
    assert not any("nft" in query or "sysctl" in query for query in queries)


@pytest.mark.parametrize(
    ("check", "facts"),
    [
        ("guests_apart", text("{role: guest, ", "{role: management, ")),
        ("sensitive_guarded", text("classification: secret", "classification: public")),
        ("fails_closed", text(" inspect: careful,", "")),
        ("people_known", text(" people: [h.officer],", "")),
        ("names_filled", within("sets", sets=())),
    ],
)
def test_a_site_that_has_nothing_of_the_kind_is_not_judged_by_it(check: str, facts: object) -> None:
    with pytest.raises(NothingToJudge):
        evaluate(check, facts(SOUND))  # type: ignore[operator]


def test_records_that_are_young_neither_pass_nor_fail() -> None:
    with pytest.raises(CannotTell, match="10 days, and nothing had to go yet"):
        evaluate("records_kept", fact("spools", (spool(days=10, size=1000),))(SOUND))


def test_permits_that_were_not_watched_for_long_are_not_called_unused() -> None:
    with pytest.raises(CannotTell, match="watched for 3 days at most"):
        evaluate("used", within("hits", rules=(hit("R-2", recent=0, days=3),))(SOUND))


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (None, "not read back"),
        (Runs(6, NOW, equal=True), "not read back"),
        (Runs(7, NOW, equal=False, unread=("a set of DNS names",)), "could be compared: a set of DNS names"),
    ],
)
def test_what_was_not_compared_is_not_equal(runs: Runs | None, said: str) -> None:
    with pytest.raises(CannotTell, match=said):
        evaluate("runs_as_meant", within("status", runs=runs)(SOUND))


def test_people_that_nobody_feeds_are_not_a_pass() -> None:
    empty = messages_live.LiveSet("person_h.officer", "person", ("h.officer",), 0)
    with pytest.raises(CannotTell, match="nothing tells this gateway"):
        evaluate("people_known", within("sets", sets=(empty,))(SOUND))


@pytest.mark.parametrize(
    "check", ["no_way_in", "gateway_shut", "mail_by_relay", "icmp_narrow", "shares", "guests_apart"]
)
def test_what_was_asked_of_the_prover_can_be_asked_again(check: str) -> None:
    """The invariant in the evidence, put into the policy, is understood as it stands."""
    shown = evaluations()[check](SOUND, 0).evidence[0]
    asked = msgspec.json.decode(shown.value)["asked"]
    facts = facts_of(SITE.replace("invariants:\n", f"invariants:\n  - {{id: Q-1, {asked[1:]}\n"))
    assert "Q-1" in [item.id for item in facts.policy.known().invariants]


def test_a_judgement_without_evidence_is_an_error() -> None:
    with pytest.raises(ValueError, match="without evidence"):
        judged([], "good", "bad")


def test_long_lists_are_cut_and_say_so() -> None:
    result = judged([f"R-{number}" for number in range(60)], "good", "bad", read("q", 1).shows(1))
    assert result.findings[-1] == "and 10 more"


# --- the catalogue ------------------------------------------------------------------------------------


def test_x805_has_seventy_two_cells() -> None:
    cells = [clause.cell for standard in load().standards for clause in standard.clauses if clause.cell]
    assert len(cells) == len(set(cells)) == len(LAYERS) * len(PLANES) * len(DIMENSIONS) == 72


def test_what_is_said_not_to_be_there_is_not_there() -> None:
    """When a process comes that a subject waits for, its clauses must get checks."""
    running = {row.name for row in PROCESSES}
    for name, subject in load().subjects.items():
        assert not running & set(subject.until), f"{name} is there now: give its clauses checks"


def test_no_clause_stands_twice_and_all_subjects_are_asked_for() -> None:
    lacking: set[str] = set()
    for standard in load().standards:
        numbers = [clause.clause for clause in standard.clauses]
        assert len(numbers) == len(set(numbers)), standard.id
        lacking.update(name for clause in standard.clauses for name in clause.lacking)
    assert lacking == set(load().subjects)


def test_every_function_is_in_the_catalogue() -> None:
    assert set(evaluations()) == set(CHECKS)


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        (Clause("1", "t"), "neither checks nor lacking"),
        (Clause("1", "t", ("no_such",)), "no check 'no_such'"),
        (Clause("1", "t", (), ("no_such",)), "no subject 'no_such'"),
        (Clause("1", "t", ("owned",), cell=(LAYERS[0], PLANES[0], DIMENSIONS[0])), "not every cell"),
    ],
)
def test_a_wrong_catalogue_is_refused(clause: Clause, said: str) -> None:
    catalogue = load()
    wrong = msgspec.structs.replace(catalogue.standards[0], clauses=(clause,))
    with pytest.raises(CatalogueError, match=said):
        verify(msgspec.structs.replace(catalogue, standards=(wrong,)))


# --- the report ---------------------------------------------------------------------------------------


def test_one_failure_fails_a_clause_and_one_gap_leaves_it_open() -> None:
    answers = {
        answer.clause: answer
        for section in make(SOUND, load(), ("iso-27033-4",)).sections
        for answer in section.answers
    }
    assert answers["9.2"].outcome == "pass"
    assert answers["9.4"].outcome == "unknown"
    assert "The mail relay is not there yet." in answers["9.4"].words
    broken = make(within("table", hooks=())(SOUND), load(), ("iso-27033-4",))
    failed = {answer.clause: answer for section in broken.sections for answer in section.answers}
    assert failed["9.2"].outcome == "fail"
    assert "no chain of this gateway" in failed["9.2"].words


def test_a_check_with_nothing_to_judge_leaves_the_answer_to_the_others() -> None:
    facts = facts_of(SITE.replace("{role: guest, ", "{role: management, "))
    answers = {a.clause: a for section in make(facts, load(), ("iso-27033-4",)).sections for a in section.answers}
    assert answers["8 a"].outcome == "pass"
    assert "No zone has the role guest." in answers["8 a"].words


def test_only_the_standards_that_are_asked_for() -> None:
    made = make(SOUND, load(), ("x805",))
    assert [section.id for section in made.sections] == ["x805"]
    assert sum(tally(answer.outcome for answer in made.sections[0].answers).values()) == 72
    asked = {name for answer in made.sections[0].answers for name in answer.checks}
    assert {one.check for one in made.judgements} == asked


def test_every_pass_rests_on_checks_and_every_check_on_evidence() -> None:
    made = make(SOUND, load())
    judgements = {one.check: one for one in made.judgements}
    for section in made.sections:
        for answer in section.answers:
            if answer.outcome == "pass":
                assert any(judgements[name].outcome == "pass" for name in answer.checks), answer
    assert all(one.evidence for one in made.judgements if one.outcome != "unknown")


# --- risks --------------------------------------------------------------------------------------------


def test_safeguards_stand_only_where_they_hold() -> None:
    (risk,) = make(SOUND, load()).risk.risks
    assert [(guard.id, guard.stand) for guard in risk.safeguards] == [("I-1", "in force"), ("B-1", "in force")]
    assert risk.level == "medium"


@pytest.mark.parametrize(
    ("change", "gap"),
    [
        (FAILURES["invariants_hold"][0], "T-1: safeguard I-1 is broken"),
        (
            lambda facts: fact("proof", None)(facts),
            "T-1: safeguard I-1 is open",
        ),
        (text("[I-1, B-1]", "[I-1, R-2]"), ""),
        (
            text("likelihood: low", "likelihood: high"),
            "T-1 is a high risk, also with what stands against it (reduce)",
        ),
        (
            text("owner: director}", "owner: director, review: 2027-01-01}"),
            "T-1 waits for its review since 2027-01-01",
        ),
        (text("assets: [records, internet]", "assets: internet"), "records is secret and no risk of it is recorded"),
        (FAILURES["sensitive_guarded"][0], "records is secret and no invariant stands before it"),
        (FAILURES["classified"][0], "admin lives here and has no classification"),
    ],
)
def test_gaps_are_told(change: object, gap: str) -> None:
    gaps = make(change(SOUND), load()).risk.gaps  # type: ignore[operator]
    assert gap in gaps if gap else gaps == ()


@pytest.mark.parametrize(
    ("words", "stand"),
    [("enabled: no", "off"), ("expires: 2027-01-01", "off"), ("expires: 2099-01-01", "in force")],
)
def test_a_rule_that_does_nothing_safeguards_nothing(words: str, stand: str) -> None:
    changed = SITE.replace("[I-1, B-1]", "R-0").replace(
        "rules:\n", f"rules:\n  - {{id: R-0, from: hall, to: dmz, action: deny, {words}}}\n"
    )
    (risk,) = make(facts_of(changed), load()).risk.risks
    assert [(guard.id, guard.stand) for guard in risk.safeguards] == [("R-0", stand)]


def test_a_site_without_anything_wrong_has_no_gaps() -> None:
    assert make(SOUND, load()).risk.gaps == ()


def test_the_seal_of_a_damaged_generation_names_it() -> None:
    result = evaluations()["sealed"](fact("seal", Seal(7, "damaged on disk", False))(SOUND), 0)
    assert result.findings == ("generation 7: damaged on disk",)
