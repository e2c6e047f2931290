"""Problems of a text, each with its source line and a caret under the place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from appliance.commands.failure import Failure
from appliance.commands.terminal import Terminal, cells, cut, escape, escape_lines
from appliance.commands.words import count
from appliance.control.messages.gateway import Finding
from appliance.policy.problem import Problem

SHOWN = 50
_TOKEN = re.compile(r"[^\s,:#\[\]{}\"']+")
_STYLES = {"error": "red", "warning": "yellow"}


def finding(problem: Problem) -> Finding:
    """A problem, flat."""
    span = problem.span
    return Finding(span.file, span.line, span.column, problem.message, problem.remedy, problem.severity)


def show_findings(
    terminal: Terminal, findings: Sequence[Finding], texts: Mapping[str, str], *, everything: bool = False
) -> None:
    """Print `findings` to standard error, at most `SHOWN` of them unless `everything`.

    `texts` are the texts they point into, by file name; a finding without its text is printed without a caret.
    """
    # Warnings must not hide errors behind the limit; within one severity the order of the text stays.
    ordered = sorted(findings, key=lambda finding: finding.severity != "error")
    shown = ordered if everything else ordered[:SHOWN]
    lines = {name: text.split("\n") for name, text in texts.items() if any(f.file == name for f in shown)}
    for finding in shown:
        for row, style in excerpt(finding, lines.get(finding.file), terminal.width or 160):
            terminal.note(row, style)
    if len(ordered) > len(shown):
        terminal.note(f"… and {len(ordered) - len(shown)} more (--all shows them)", "bold")


def excerpt(finding: Finding, lines: Sequence[str] | None, width: int) -> list[tuple[str, str]]:
    """(line, style) pairs: `file:line:column: what; what would be right`, the source line, the caret."""
    mark = "" if finding.severity == "error" else f"{finding.severity}: "
    tail = f"; {finding.remedy}" if finding.remedy else ""
    place = f"{finding.file}:{finding.line}:{finding.column}" if finding.line else finding.file
    style = _STYLES.get(finding.severity, "")
    rows = [(escape(f"{place}: {mark}{finding.message}{tail}"), f"{style} bold".strip())]
    if lines is None or not 1 <= finding.line <= len(lines):
        return rows
    source = lines[finding.line - 1].removesuffix("\r")
    start = min(max(finding.column, 1) - 1, len(source))
    token = _TOKEN.match(source, start)
    marked = escape(token.group() if token else source[start : start + 1]) or " "
    before, after = escape(source[:start]), escape(source[start:])
    room = max(20, width - 10)
    if cells(before) > room // 2:
        before = "…" + before[-(room // 2) :]
    gutter = f"{finding.line:>6} | "
    rows.append((gutter + cut(before + after, room), ""))
    underline = "^" + "~" * (min(cells(marked), max(1, room - cells(before))) - 1)
    rows.append((" " * (len(gutter) + cells(before)) + underline, style))
    return rows


def show_failure(terminal: Terminal, failure: Failure, *, everything: bool = False) -> None:
    """Print why a verb ended: its findings with carets, then one line; under `--json` one object."""
    if terminal.json:
        findings = [structs.asdict(finding) for finding in failure.findings]
        said = {"code": failure.name, "message": failure.message, "remedy": failure.remedy, "findings": findings}
        terminal.data({"error": said})
        return
    show_findings(terminal, failure.findings, failure.texts, everything=everything)
    tail = f"; {failure.remedy}" if failure.remedy else ""
    terminal.note(f"reef: {escape_lines(failure.message + tail)}", "bold red")


def summary(findings: Iterable[Finding]) -> str:
    """`3 errors, 1 warning`; "" for none."""
    severities = [finding.severity for finding in findings]
    errors, warnings = severities.count("error"), len(severities) - severities.count("error")
    parts = [count(errors, "error")] if errors else []
    parts += [count(warnings, "warning")] if warnings else []
    return ", ".join(parts)
