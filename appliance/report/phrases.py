"""Words that every format of the report shares. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from appliance.report.evidence import WORDS, Outcome
from appliance.report.facts import Subject
from appliance.report.report import Judgement, Report, tally

MARKS: dict[Outcome, str] = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "– not evaluated"}
SHORT_MARKS: dict[Outcome, str] = {"pass": "✓ pass", "fail": "✗ fail", "unknown": "– open"}
HOW_TO_READ = (
    "Each clause of a standard is answered by checks. A check passes only on what was read for this report: "
    "its evidence is the question, the answer, when, and a digest of the answer.",
    "“Cannot be evaluated” is no pass and no failure: what the clause speaks of is not there, could not be read, or "
    "is not for a machine to say. The reason stands beside it.",
    "A clause fails when one of its checks fails. It passes when all of them pass; a check that has nothing to judge "
    "at this site (no guests, no published service) leaves the answer to the others.",
    "The report speaks of this gateway and its policy. It is no certificate: standards are named by clause and said "
    "in words of our own, and whoever certifies reads the standard itself.",
)


class First(msgspec.Struct, frozen=True):
    """A failed check, and how many clauses it fails."""

    judgement: Judgement
    clauses: int


def moment(seconds: float) -> str:
    """`2026-11-22 01:02:03 UTC`: a report is read in other time zones than it was made in."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def of(subject: Subject) -> str:
    """What the report is of, in one line."""
    if subject.kind == "running":
        return f"{subject.site}, {subject.words}, as it runs"
    return f"{subject.site}, the text {subject.words} (it runs nowhere)"


def overall(report: Report) -> str:
    """`Of 163 clauses 70 pass, 12 fail and 81 cannot be evaluated.`"""
    found = tally(answer.outcome for section in report.sections for answer in section.answers)
    total = sum(found.values())
    return f"Of {total} clauses {found['pass']} pass, {found['fail']} fail and {found['unknown']} {WORDS['unknown']}."


def first_things(report: Report) -> list[First]:
    """The failed checks, those that fail most clauses first."""
    failed = [one for one in report.judgements if one.outcome == "fail"]
    asked = [name for section in report.sections for answer in section.answers for name in answer.checks]
    return sorted((First(one, asked.count(one.check)) for one in failed), key=lambda first: -first.clauses)
