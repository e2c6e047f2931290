"""`reef check`, `reef fmt`, `reef schema`: the verbs that need nothing but a text."""

from __future__ import annotations

import argparse
import difflib
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from appliance.commands.failure import OK, REFUSED, Failure
from appliance.commands.files import (
    STDIN,
    Baselines,
    ListFiles,
    baselines,
    folder_of,
    read_text,
    shown_name,
    write_text,
)
from appliance.commands.gateway import own_baselines, own_required
from appliance.commands.problems import finding, show_findings, summary
from appliance.commands.proven import Proven
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, took
from appliance.control.messages.gateway import Finding
from appliance.policy.model import Policy
from appliance.policy.problem import PolicyError


class Verdict(msgspec.Struct, frozen=True):
    """What `reef check --json` says of one file: of the policy of a `site`, or of a `baseline`.

    `proof` is None for a text that could not be read.
    """

    file: str
    ok: bool
    site: str
    baseline: str
    zones: int
    rules: int
    seconds: float
    findings: tuple[Finding, ...]
    proof: Proven | None = None


def parse_text(
    text: str,
    name: str,
    inherited: Baselines,
    files: Mapping[str, str],
    now: float | None = None,
    *,
    baseline: bool = False,
) -> tuple[Policy, tuple[Finding, ...]]:
    """The policy of a text and its warnings. Raises `Failure` with every problem, ready to be shown.

    With `now` (seconds since the epoch) rules that have expired or wait for a review are warned of. With
    `baseline` the text is a baseline and the policy what it makes of a site that says nothing else.
    """
    from appliance.policy.meant.alone import check_baseline
    from appliance.policy.meant.parse import parse

    read = check_baseline if baseline else parse
    try:
        policy, warnings = read(text, name, inherited=inherited, files=files, now=now)
    except PolicyError as error:
        findings = [finding(problem) for problem in error.problems]
        raise Failure(
            f"{name}: refused, {summary(findings)}", findings=findings, texts=_texts(text, name, inherited.read)
        ) from error
    return policy, tuple(finding(problem) for problem in warnings)


def _texts(text: str, name: str, inherited: Mapping[str, str]) -> dict[str, str]:
    # A problem inside an inherited text names it with or without its suffix; both find the text.
    found = {f"{stem}{suffix}": said for stem, said in inherited.items() for suffix in ("", ".yaml")}
    return found | {name: text}


def check(options: argparse.Namespace, terminal: Terminal) -> int:
    _refuse_double_stdin(options.files)
    verdicts = [_check_one(file, options, terminal) for file in options.files]
    if terminal.json:
        terminal.data({"files": verdicts})
    return OK if all(verdict.ok for verdict in verdicts) else REFUSED


def _check_one(file: str, options: argparse.Namespace, terminal: Terminal) -> Verdict:
    from appliance.policy.meant.alone import name_of_baseline

    name, baseline = shown_name(file), ""
    started = time.perf_counter()
    try:
        text = read_text(file)
        baseline = name_of_baseline(text)
        inherited = baselines(file, options.baselines, own_baselines(options))
        lists = ListFiles(folder_of(file))
        policy, findings = parse_text(text, name, inherited, lists, time.time(), baseline=bool(baseline))
        required = () if baseline else (*own_required(options), *options.require)
        found, proof = _proven(policy, text, name, required, inherited, lists, baseline)
    except Failure as failure:
        findings = failure.findings or (
            Finding(name, 0, 0, failure.message.removeprefix(f"{name}: "), failure.remedy),
        )
        if not terminal.json:
            show_findings(terminal, findings, failure.texts, everything=options.all)
            terminal.note(f"{escape(name)}: refused, {summary(findings)}", "bold red")
        return Verdict(name, False, "", baseline, 0, 0, round(time.perf_counter() - started, 6), findings)
    findings = (*findings, *found)
    ok = all(item.severity != "error" for item in findings)
    seconds = round(time.perf_counter() - started, 6)
    if not terminal.json:
        show_findings(terminal, findings, _texts(text, name, inherited.read), everything=options.all)
    if not terminal.json and not ok:
        terminal.note(f"{escape(name)}: refused, {summary(findings)}", "bold red")
    elif not terminal.json:
        also = f", {summary(findings)}" if findings else ""
        parts = f"site {policy.site}, {count(len(policy.rules), 'rule')}, {count(len(policy.zones), 'zone')}"
        if baseline:
            parts = f"baseline {baseline}, {count(len(policy.rules), 'rule')} for a site with every role"
        terminal.line(f"{escape(name)}: ok, {parts}{also} ({took(seconds)})", "green")
    site = "" if baseline else policy.site
    return Verdict(name, ok, site, baseline, len(policy.zones), len(policy.rules), seconds, findings, proof)


def _proven(
    policy: Policy,
    text: str,
    name: str,
    required: tuple[str, ...],
    inherited: Baselines,
    lists: Mapping[str, str],
    baseline: str,
) -> tuple[tuple[Finding, ...], Proven]:
    from appliance.commands.proof import left_out, prove

    found, proof = prove(policy, name, baseline)
    return (*left_out(policy, text, name, required, inherited, lists), *found), proof


def fmt(options: argparse.Namespace, terminal: Terminal) -> int:
    from appliance.policy.written.fmt import fmt as canonical

    _refuse_double_stdin(options.files)
    only_look = options.check or options.diff
    code = OK
    for file in options.files:
        name = shown_name(file)
        text = read_text(file)
        try:
            wanted = canonical(text)
        except PolicyError as error:
            findings = [finding(problem) for problem in error.problems]
            for_file = [msgspec.structs.replace(item, file=name) for item in findings]
            raise Failure(f"{name}: refused, {summary(findings)}", findings=for_file, texts={name: text}) from error
        if file == STDIN and not only_look:
            sys.stdout.write(wanted)
        elif wanted != text:
            if options.diff:
                _show_diff(text, wanted, name, terminal)
            elif options.check:
                terminal.line(f"{escape(name)}: not in canonical form; reef fmt {escape(name)} writes it so")
            else:
                write_text(file, wanted)
                terminal.line(f"{escape(name)}: formatted")
            code = REFUSED if only_look else OK
    return code


def _show_diff(old: str, new: str, name: str, terminal: Terminal) -> None:
    show_lines(
        list(difflib.unified_diff(old.splitlines(), new.splitlines(), name, f"{name} (canonical)", lineterm="")),
        terminal,
    )


def show_lines(lines: Sequence[str], terminal: Terminal) -> None:
    """The lines of a unified diff, coloured where colour is wanted."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in lines:
        style = "bold" if line.startswith(("---", "+++")) else styles.get(line[:1], "")
        terminal.line(escape(line), style)


def schema(_: argparse.Namespace, terminal: Terminal) -> int:
    from appliance.policy.written.schema import json_schema

    terminal.data(json_schema())
    return OK


def _refuse_double_stdin(files: Sequence[str]) -> None:
    if files.count(STDIN) > 1:
        raise Failure("- is standard input and can be read once", "name it once", code=2, name="usage")
