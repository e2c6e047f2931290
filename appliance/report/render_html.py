"""The report as one HTML page: no script, nothing from elsewhere, readable without colour, made for print. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import resources

from appliance.report import phrases
from appliance.report.catalogue import DIMENSIONS, LAYERS, PLANES
from appliance.report.evidence import OUTCOMES, Outcome
from appliance.report.figures import DAY, words_of
from appliance.report.report import Answer, Judgement, Report, Section, tally
from appliance.report.risk import RiskPage

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STANDS: dict[str, Outcome] = {"in force": "pass", "off": "fail", "broken": "fail", "open": "unknown"}


def render(report: Report) -> str:
    """The whole page."""
    title = f"Risk and standards report: {escape(report.subject.site)}"
    style = resources.files("appliance.report").joinpath("page.css").read_text(encoding="utf-8")
    created = datetime.fromtimestamp(int(report.taken), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta name="dcterms.created" content="{created}">',
        f'<meta name="dcterms.modified" content="{created}">',
        f'<meta name="generator" content="Reef {escape(report.software)}">',
        f"<title>{title}</title>",
        f"<style>\n{style}</style>",
        "</head>",
        "<body>",
        "<header>",
        f"<h1>{title}</h1>",
        f'<p class="subject">{escape(phrases.of(report.subject))}, {phrases.moment(report.taken)}</p>',
        "</header>",
        *_contents(report),
        "<main>",
        *_summary(report),
        *_figures(report),
        *_grid(report),
        *(line for section in report.sections for line in _section(section)),
        *_risk(report.risk),
        *_checks(report.judgements),
        *_how(),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Words as HTML text. What cannot be printed (control characters, turns of direction) is shown as `\\x1b`."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)
    return html.escape(text)


def _mark(outcome: Outcome, words: str = "") -> str:
    return f'<td class="mark {outcome}">{words or phrases.MARKS[outcome]}</td>'


def _cells(*words: str) -> str:
    return "".join(f"<td>{escape(word)}</td>" for word in words)


def _head(*words: str) -> str:
    return "<thead><tr>" + "".join(f'<th scope="col">{escape(word)}</th>' for word in words) + "</tr></thead>"


def _row_head(words: str, inner: str = "") -> str:
    return f'<th scope="row">{inner or escape(words)}</th>'


def _table(caption: str, head: str, rows: Sequence[str], kind: str = "") -> Iterator[str]:
    yield f'<table class="{kind}">' if kind else "<table>"
    yield f"<caption>{escape(caption)}</caption>"
    yield head
    yield "<tbody>"
    yield from (f"<tr>{row}</tr>" for row in rows)
    yield "</tbody>"
    yield "</table>"


def _list(words: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(word)}</li>" for word in words)
    return f"<ul>{items}</ul>" if items else ""


def _contents(report: Report) -> Iterator[str]:
    yield '<nav aria-label="Contents">'
    yield "<ul>"
    yield '<li><a href="#summary">Summary</a></li>'
    if report.figures is not None:
        yield '<li><a href="#figures">Figures</a></li>'
    for section in report.sections:
        yield f'<li><a href="#{escape(section.id)}">{escape(section.name)}</a></li>'
    yield '<li><a href="#risk">Zones, assets, threats and safeguards</a></li>'
    yield '<li><a href="#checks">Checks and their evidence</a></li>'
    yield "</ul>"
    yield "</nav>"


def _summary(report: Report) -> Iterator[str]:
    yield '<section id="summary">'
    yield "<h2>Summary</h2>"
    yield f"<p><strong>{escape(phrases.overall(report))}</strong></p>"
    rows = []
    for section in report.sections:
        found = tally(answer.outcome for answer in section.answers)
        link = f'<a href="#{escape(section.id)}">{escape(section.name)}</a>'
        numbers = "".join(f'<td class="number {outcome}">{found[outcome]}</td>' for outcome in OUTCOMES)
        rows.append(_row_head("", link) + numbers)
    head = _head("Standard", *(phrases.MARKS[outcome] for outcome in OUTCOMES))
    yield from _table("Clauses by standard", head, rows, "summary")
    failed = phrases.first_things(report)
    if failed:
        rows = [
            _row_head("", f'<a href="#check-{escape(one.judgement.check)}">{escape(one.judgement.title)}</a>')
            + f'<td class="number">{one.clauses}</td>'
            + _cells(one.judgement.mend)
            for one in failed
        ]
        head = _head("What fails", "Clauses", "What to do")
        yield from _table("What to mend first", head, rows, "mend")
    yield "<dl>"
    yield f"<dt>Policy text</dt><dd>SHA-256 <code>{escape(report.subject.text_digest)}</code>; to see it: "
    yield f"<code>{escape(report.subject.query)}</code></dd>"
    yield f"<dt>Made by</dt><dd>Reef {escape(report.software)}</dd>"
    yield "</dl>"
    yield "</section>"


_GROUPS = {"changes": "Changes", "rules": "Rules", "alerts": "Alerts", "protection": "Protection"}


def _figures(report: Report) -> Iterator[str]:
    found = report.figures
    if found is None:
        return
    yield '<section id="figures">'
    yield f"<h2>Figures of the last {round((found.until - found.since) / DAY)} days</h2>"
    for group, title in _GROUPS.items():
        rows = [
            _row_head(one.title)
            + f'<td class="number">{escape(words_of(one))}</td>'
            + f"<td><code>{escape(one.query)}</code></td>"
            for one in found.figures
            if one.group == group
        ]
        if rows:
            yield from _table(title, _head("Figure", "Value", "Counted from"), rows)
    yield "</section>"


def _grid(report: Report) -> Iterator[str]:
    """X.805 as one table: dimensions down, layers and planes across; every cell says its outcome in words."""
    cells = {answer.cell: answer for section in report.sections for answer in section.answers if answer.cell}
    if not cells:
        return
    yield '<section id="grid">'
    yield "<h2>Seventy-two cells: ITU-T X.805</h2>"
    yield '<div class="wide" role="region" aria-labelledby="grid-caption" tabindex="0">'
    yield '<table class="grid">'
    yield '<caption id="grid-caption">Security dimensions by layer and plane</caption>'
    yield '<thead><tr><th rowspan="2" scope="col">Dimension</th>'
    yield "".join(f'<th colspan="3" scope="colgroup">{layer.capitalize()} layer</th>' for layer in LAYERS) + "</tr>"
    planes = "".join(f'<th scope="col">{plane}</th>' for _ in LAYERS for plane in PLANES)
    yield f"<tr>{planes}</tr></thead>"
    yield "<tbody>"
    for dimension in DIMENSIONS:
        row = [_row_head(dimension.capitalize())]
        for layer in LAYERS:
            for plane in PLANES:
                answer = cells[layer, plane, dimension]
                mark = phrases.SHORT_MARKS[answer.outcome]
                link = f'<a href="#{_anchor("x805", answer.clause)}">{mark}</a>'
                row.append(f'<td class="{answer.outcome}" title="{escape(answer.title)}">{link}</td>')
        yield f"<tr>{''.join(row)}</tr>"
    yield "</tbody>"
    yield "</table>"
    yield "</div>"
    yield "</section>"


def _anchor(section: str, clause: str) -> str:
    return escape(f"{section}-{clause.replace(' ', '-').replace('.', '-')}")


def _section(section: Section) -> Iterator[str]:
    yield f'<section id="{escape(section.id)}">'
    yield f"<h2>{escape(section.name)}</h2>"
    yield f'<p class="quiet">{escape(section.about)} Edition: {escape(section.edition)}.</p>'
    heads = ("Clause", "What it asks", "Answer", "Why", "Checks")
    rows = [_answer(section, answer) for answer in section.answers]
    yield from _table("Clauses", _head(*heads), rows, "clauses")
    yield "</section>"


def _answer(section: Section, answer: Answer) -> str:
    where = f"<br>{escape(', '.join(answer.cell))}" if answer.cell else ""
    links = ", ".join(f'<a href="#check-{escape(name)}">{escape(name)}</a>' for name in answer.checks)
    return (
        f'<th scope="row" id="{_anchor(section.id, answer.clause)}">{escape(answer.clause)}</th>'
        f"<td>{escape(answer.title)}{where}</td>{_mark(answer.outcome)}<td>{escape(answer.words)}</td>"
        f"<td>{links or 'none'}</td>"
    )


def _risk(page: RiskPage) -> Iterator[str]:
    yield '<section id="risk">'
    yield "<h2>Zones, assets, threats and safeguards</h2>"
    yield '<p class="quiet">As ISO/IEC 27033-1 asks: recorded beside the policy, judged by what really stands.</p>'
    zones = [
        _row_head(zone.name)
        + _cells(
            zone.role,
            ", ".join(zone.interfaces) or "none",
            ", ".join(zone.networks) or "any",
            "on" if zone.antispoofing else "OFF",
            zone.officer or ("nobody" if zone.external else "not external"),
        )
        for zone in page.zones
    ]
    heads = ("Zone", "Role", "Interfaces", "Networks", "Anti-spoofing", "Officer of its lines")
    yield from _table("Zones", _head(*heads), zones)
    assets = [
        _row_head(asset.name)
        + _cells(
            asset.classification or "not classified",
            ", ".join(asset.zones) or "elsewhere",
            ", ".join(asset.addresses) or "by DNS name",
            ", ".join(asset.invariants) or "none",
            ", ".join(asset.risks) or "none",
        )
        for asset in page.assets
    ]
    heads = ("Asset", "Classification", "Zone", "Addresses", "Invariants before it", "Risks recorded")
    yield from _table("Assets", _head(*heads), assets or ['<td colspan="6">No asset is recorded.</td>'])
    yield from _risks(page)
    yield "<h3>What is not covered</h3>"
    yield _list(page.gaps) or "<p>Nothing that the policy itself would show.</p>"
    yield "</section>"


def _risks(page: RiskPage) -> Iterator[str]:
    rows = []
    for risk in page.risks:
        guards = "".join(
            f'<li><span class="mark {_STANDS[one.stand]}">{escape(one.id)}: {one.stand}</span> '
            f"{escape(one.kind)}, {escape(one.words)}</li>"
            for one in risk.safeguards
        )
        guards += "".join(f"<li>measure, not checked: {escape(words)}</li>" for words in risk.measures)
        level = {"low": "pass", "medium": "unknown", "high": "fail"}[risk.level]
        rows.append(
            _row_head(risk.id)
            + _cells(risk.threat, ", ".join(risk.assets))
            + f'<td class="{level}">{risk.level}<br>likelihood {risk.likelihood}, impact {risk.impact}</td>'
            + f"<td>{'<ul>' + guards + '</ul>' if guards else 'none'}</td>"
            + _cells(risk.treatment, f"{risk.owner}{f'; review {risk.review}' if risk.review else ''}")
        )
    heads = ("Risk", "Threat", "Assets", "Level", "Safeguards", "Decision", "Owner")
    yield from _table(
        "Threats and safeguards", _head(*heads), rows or ['<td colspan="7">No risk is recorded.</td>'], "threats"
    )


def _checks(judgements: Sequence[Judgement]) -> Iterator[str]:
    yield '<section id="checks">'
    yield "<h2>Checks and their evidence</h2>"
    for one in judgements:
        yield f'<h3 id="check-{escape(one.check)}">{escape(one.title)}</h3>'
        mark = f'<span class="mark {one.outcome}">{phrases.MARKS[one.outcome]}</span>'
        yield f"<p>{mark} {escape(one.words)} <code>{escape(one.check)}</code></p>"
        if one.findings:
            yield _list(one.findings)
        if one.mend:
            yield f"<p>What to do: {escape(one.mend)}</p>"
        for shown in one.evidence:
            yield '<dl class="evidence">'
            yield f"<dt>Query</dt><dd><code>{escape(shown.query)}</code></dd>"
            yield f"<dt>Value</dt><dd><code>{escape(shown.value)}</code></dd>"
            yield f"<dt>Time</dt><dd>{phrases.moment(shown.time)}</dd>"
            yield f"<dt>SHA-256</dt><dd><code>{escape(shown.digest)}</code></dd>"
            yield "</dl>"
    yield "</section>"


def _how() -> Iterator[str]:
    yield '<section id="how">'
    yield "<h2>How to read this</h2>"
    yield _list(phrases.HOW_TO_READ)
    yield "</section>"
