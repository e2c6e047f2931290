"""The report as plain text, for a terminal and for mail. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from appliance.report import phrases
from appliance.report.evidence import OUTCOMES, WORDS
from appliance.report.figures import DAY, words_of
from appliance.report.report import Report, Section, tally
from appliance.report.risk import RiskPage

WIDTH = 100


def render(report: Report) -> str:
    """The whole report; control characters in it are the caller's to escape."""
    lines = _head(report)
    for section in report.sections:
        lines += _section(section)
    lines += _risk(report.risk)
    lines += _evidence(report)
    lines += _heading("How to read this")
    for words in phrases.HOW_TO_READ:
        lines += _wrapped(words, "- ")
    return _joined(lines)


def brief(report: Report) -> str:
    """What fits a screen or two: the figures, what to mend first, and what is not covered."""
    return _joined([*_head(report), *_heading("Risks"), *_gaps(report.risk)])


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(report: Report) -> list[str]:
    return [
        f"RISK AND STANDARDS REPORT: {phrases.of(report.subject)}",
        f"taken {phrases.moment(report.taken)} by Reef {report.software}; policy text SHA-256 "
        f"{report.subject.text_digest}",
        "",
        phrases.overall(report),
        *_summary(report),
        *_first(report),
        *_figures(report),
    ]


def _heading(words: str) -> list[str]:
    return ["", words, "=" * len(words)]


def _wrapped(words: str, first: str, rest: str = "") -> list[str]:
    rest = rest or " " * len(first)
    return textwrap.wrap(
        words, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    ) or [first]


def _summary(report: Report) -> Iterator[str]:
    for section in report.sections:
        found = tally(answer.outcome for answer in section.answers)
        counts = ", ".join(f"{found[outcome]} {WORDS[outcome]}" for outcome in OUTCOMES)
        yield f"  {section.name}: {counts}"


def _first(report: Report) -> Iterator[str]:
    failed = phrases.first_things(report)
    if not failed:
        return
    yield from _heading("What to mend first")
    for first in failed:
        one = first.judgement
        yield from _wrapped(f"{one.title} (fails {first.clauses}): {one.words}", "- ")
        for finding in one.findings:
            yield from _wrapped(finding, "    · ")
        yield from _wrapped(one.mend, "    → ")


def _figures(report: Report) -> Iterator[str]:
    if report.figures is None:
        return
    days = round((report.figures.until - report.figures.since) / DAY)
    yield from _heading(f"Figures of the last {days} days")
    for one in report.figures.figures:
        yield from _wrapped(f"{one.title}: {words_of(one)}", "- ")


def _section(section: Section) -> Iterator[str]:
    yield from _heading(f"{section.name} ({section.edition})")
    yield from _wrapped(section.about, "")
    for answer in section.answers:
        where = f"{answer.clause}" + (f" ({', '.join(answer.cell)})" if answer.cell else "")
        yield from _wrapped(f"{WORDS[answer.outcome].upper()}  {where}  {answer.title}", "", "  ")
        yield from _wrapped(answer.words, "    ")


def _risk(page: RiskPage) -> Iterator[str]:
    yield from _heading("Zones, assets, threats and safeguards (ISO/IEC 27033-1)")
    yield "Zones"
    for zone in page.zones:
        networks = ", ".join(zone.networks) or "any network"
        outside = f"; external, {zone.officer or 'nobody'} answers for it" if zone.external else ""
        spoofing = "" if zone.antispoofing else "; anti-spoofing OFF"
        words = f"{zone.name} ({zone.role}): {', '.join(zone.interfaces) or 'no interface'}; {networks}"
        yield from _wrapped(words + outside + spoofing, "- ")
    yield "Assets"
    for asset in page.assets:
        guards = f"invariants {', '.join(asset.invariants) or 'none'}; risks {', '.join(asset.risks) or 'none'}"
        where = f"in {', '.join(asset.zones)}" if asset.zones else "elsewhere"
        yield from _wrapped(f"{asset.name}: {asset.classification or 'NOT CLASSIFIED'}, {where}; {guards}", "- ")
    if not page.assets:
        yield "- none recorded"
    yield "Threats and safeguards"
    for risk in page.risks:
        said = f"likelihood {risk.likelihood}, impact {risk.impact}: {risk.level} risk, to {risk.treatment}"
        yield from _wrapped(f"{risk.id} ({', '.join(risk.assets)}): {risk.threat}; {said}; owner {risk.owner}", "- ")
        for guard in risk.safeguards:
            yield from _wrapped(f"{guard.id}, {guard.kind}, {guard.stand.upper()}: {guard.words}", "    · ")
        for measure in risk.measures:
            yield from _wrapped(f"measure, stated and not checked: {measure}", "    · ")
    if not page.risks:
        yield "- none recorded"
    yield from _gaps(page)


def _gaps(page: RiskPage) -> Iterator[str]:
    yield "What is not covered"
    for gap in page.gaps:
        yield from _wrapped(gap, "- ")
    if not page.gaps:
        yield "- nothing that the policy itself would show"


def _evidence(report: Report) -> Iterator[str]:
    yield from _heading("Checks and their evidence")
    for one in report.judgements:
        yield from _wrapped(f"{WORDS[one.outcome].upper()}  {one.title} [{one.check}]", "", "  ")
        yield from _wrapped(one.words, "    ")
        for finding in one.findings:
            yield from _wrapped(finding, "    · ")
        for shown in one.evidence:
            yield f"    query  {shown.query}"
            yield f"    value  {shown.value}"
            yield f"    time   {phrases.moment(shown.time)}   SHA-256 {shown.digest}"
