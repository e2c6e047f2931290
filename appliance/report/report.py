"""The report as a value: every check with its evidence, every clause with its answer, and the page of risks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from appliance.report.catalogue import Catalogue, Clause, Standard, evaluations
from appliance.report.evidence import CannotTell, Evidence, NothingToJudge, Outcome, Result
from appliance.report.facts import Facts, Subject
from appliance.report.figures import Figures, Records, figures
from appliance.report.risk import RiskPage, risk_page

FORMAT = 1
MAX_NAMED = 3  # findings that a clause names; the check has them all


class Judgement(msgspec.Struct, frozen=True):
    """One check: what was asked, what came out, and what it rests on. `mend` says what to do where it fails."""

    check: str
    title: str
    outcome: Outcome
    words: str
    findings: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    mend: str
    absent: bool = False  # this site has nothing of the kind


class Answer(msgspec.Struct, frozen=True):
    """One clause of a standard: `checks` are the judgements that its outcome comes from."""

    clause: str
    title: str
    outcome: Outcome
    words: str
    checks: tuple[str, ...]
    cell: tuple[str, str, str] | None = None


class Section(msgspec.Struct, frozen=True):
    """One standard."""

    id: str
    name: str
    edition: str
    about: str
    answers: tuple[Answer, ...]


class Report(msgspec.Struct, frozen=True):
    """Everything that every format of the report says. `taken` in seconds since the epoch (UTC)."""

    format: int
    subject: Subject
    taken: float
    software: str
    sections: tuple[Section, ...]
    judgements: tuple[Judgement, ...]
    risk: RiskPage
    figures: Figures | None = None  # of a gateway that runs


def tally(outcomes: Iterable[Outcome]) -> dict[Outcome, int]:
    """How many of each outcome, all three named."""
    found: dict[Outcome, int] = {"pass": 0, "fail": 0, "unknown": 0}
    for outcome in outcomes:
        found[outcome] += 1
    return found


def make(facts: Facts, catalogue: Catalogue, standards: Iterable[str] = (), records: Records | None = None) -> Report:
    """The report on `facts`; `standards` are the ids of those that are wanted, none for all. With `records` it has
    figures."""
    wanted = set(standards)
    chosen = [one for one in catalogue.standards if not wanted or one.id in wanted]
    asked = {name for standard in chosen for clause in standard.clauses for name in clause.checks}
    judgements = {name: _judge(name, facts, catalogue) for name in catalogue.checks if name in asked}
    return Report(
        format=FORMAT,
        subject=facts.subject,
        taken=facts.taken,
        software=facts.software,
        sections=tuple(_section(one, judgements, catalogue) for one in chosen),
        judgements=tuple(judgements.values()),
        risk=risk_page(facts),
        figures=None if records is None else figures(facts, records),
    )


def _judge(name: str, facts: Facts, catalogue: Catalogue) -> Judgement:
    check = catalogue.checks[name]
    absent = False
    try:
        result = evaluations()[name](facts, check.threshold)
    except CannotTell as reason:
        absent = isinstance(reason, NothingToJudge)
        result = Result("unknown", f"{_capital(reason.reason)}.", reason.evidence)
    mend = check.mend if result.outcome == "fail" else ""
    return Judgement(name, check.title, result.outcome, result.words, result.findings, result.evidence, mend, absent)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _section(standard: Standard, judgements: dict[str, Judgement], catalogue: Catalogue) -> Section:
    answers = tuple(_answer(clause, judgements, catalogue) for clause in standard.clauses)
    return Section(standard.id, standard.name, standard.edition, standard.about, answers)


def _answer(clause: Clause, judgements: dict[str, Judgement], catalogue: Catalogue) -> Answer:
    """One failure fails a clause; short of that, one thing that cannot be told leaves it open.

    A check that has nothing to judge at this site leaves the answer to the others, if there are any.
    """
    found = [judgements[name] for name in clause.checks]
    failed = [_failure(one) for one in found if one.outcome == "fail"]
    passed = [one.words for one in found if one.outcome == "pass"]
    absent = [one.words for one in found if one.absent]
    untold = [one.words for one in found if one.outcome == "unknown" and not one.absent]
    untold += [catalogue.subjects[name].words for name in clause.lacking]
    outcome: Outcome
    if failed:
        outcome, said = "fail", failed
    elif untold or not passed:
        outcome, said = "unknown", untold + absent
    else:
        outcome, said = "pass", passed + absent
    words = " ".join(dict.fromkeys(said))
    return Answer(clause.clause, clause.title, outcome, words, clause.checks, clause.cell)


def _failure(one: Judgement) -> str:
    """A failed check in one sentence, with the first things that are wrong."""
    more = len(one.findings) - MAX_NAMED
    named = "; ".join(one.findings[:MAX_NAMED]) + (f"; and {more} more" if more > 0 else "")
    return f"{one.words} {named}."
