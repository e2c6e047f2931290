"""The report as a table for a spreadsheet (RFC 4180): a row for every figure, day, clause and check. Pure."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from appliance.report import phrases
from appliance.report.report import Report

HEADS = ("kind", "of", "id", "title", "value", "unit", "outcome", "words", "evidence")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would compute
_SEPARATOR = " | "


def render(report: Report) -> str:
    table = _Table()
    writer = csv.writer(table)
    writer.writerow(HEADS)
    for row in _rows(report):
        writer.writerow([_plain(cell) for cell in row])
    return "".join(table.lines)


class _Table:
    """What a writer of csv writes to."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line)


def _plain(cell: str) -> str:
    """Words are words: a spreadsheet must not take somebody's comment for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _rows(report: Report) -> Iterator[tuple[str, ...]]:
    moment = phrases.moment(report.taken)
    yield (
        "report",
        "",
        report.subject.site,
        phrases.of(report.subject),
        "",
        "",
        "",
        moment,
        report.subject.text_digest,
    )
    if report.figures is not None:
        for one in report.figures.figures:
            value = "" if one.value is None else f"{one.value:g}"
            part = f"of {one.of}" if one.of else one.missing
            yield "figure", one.group, one.id, one.title, value, one.unit, "", part, one.query
        for trend in report.figures.trends:
            for line in trend.lines:
                for day, count in zip(trend.days, line.values, strict=True):
                    yield "day", trend.id, line.id, line.title, f"{count}", "count", "", phrases.moment(day), ""
    for section in report.sections:
        for answer in section.answers:
            checks = _SEPARATOR.join(answer.checks)
            yield "clause", section.id, answer.clause, answer.title, "", "", answer.outcome, answer.words, checks
    for judgement in report.judgements:
        words = _SEPARATOR.join((judgement.words, *judgement.findings))
        digests = _SEPARATOR.join(shown.digest for shown in judgement.evidence)
        yield "check", "", judgement.check, judgement.title, "", "", judgement.outcome, words, digests
