"""`reef report`: what holds of standards and risks, on a gateway or in a text, as text, JSON, HTML or PDF."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from appliance.commands.failure import AWAY, OK, REFUSED, USAGE, Failure
from appliance.commands.files import (
    STDIN,
    Baselines,
    ListFiles,
    baselines,
    folder_of,
    read_text,
    shown_name,
)
from appliance.commands.gateway import SCHEME, Gateway, own_baselines
from appliance.commands.terminal import Terminal, escape_json, escape_lines
from appliance.commands.text import parse_text
from appliance.control.messages import gateway as messages
from appliance.durable import replace
from appliance.policy.model import Policy
from appliance.policy.proving.examine import Examiner
from appliance.policy.proving.proof import Proof
from appliance.report import collect, phrases, render_csv, render_html, render_pdf, render_text
from appliance.report.catalogue import load
from appliance.report.evidence import Reading, digest_of
from appliance.report.facts import Facts
from appliance.report.figures import DAY, MOST_DAYS
from appliance.report.report import FORMAT, Report, make, tally

_PATIENCE = 150.0
_MODE = 0o600  # a report says where a site is weak
MAX_REPORT = 256 * 1024 * 1024  # bytes of a report that is read again


def report(options: argparse.Namespace, terminal: Terminal) -> int:
    wanted = "json" if terminal.json else options.format
    if wanted == "pdf" and not options.output and terminal.tty:
        raise Failure("a PDF is nothing for a terminal", "say --output FILE", code=USAGE, name="usage")
    if options.brief and wanted != "text":
        raise Failure("--brief shortens the text", "leave it out, or --format", code=USAGE, name="usage")
    if options.read and (options.file or options.standard):
        raise Failure(
            "--read takes a report as it was made", "leave POLICY and --standard out", code=USAGE, name="usage"
        )
    told = _progress(terminal)
    made = _again(options.read) if options.read else _made(options, told)
    told(f"writing {wanted}")
    data = _rendered(made, wanted, brief=options.brief)
    if options.output:
        try:
            replace(Path(options.output), data, mode=_MODE)
        except OSError as error:
            raise Failure(f"{options.output}: cannot be written: {error.strerror}", name="unwritable") from error
        terminal.note(f"{options.output}: {phrases.overall(made)}")
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    return REFUSED if _fails(made, options.fail_on) else OK


def _progress(terminal: Terminal) -> Callable[[str], None]:
    """Says each step to a person who watches; programs are not disturbed."""
    watched = terminal.err.isatty()

    def told(words: str) -> None:
        if watched:
            terminal.note(f"{words} …")

    return told


def _fails(made: Report, fail_on: str) -> bool:
    found = tally(answer.outcome for section in made.sections for answer in section.answers)
    return (fail_on in ("fail", "open") and found["fail"] > 0) or (fail_on == "open" and found["unknown"] > 0)


def _made(options: argparse.Namespace, told: Callable[[str], None]) -> Report:
    if (options.gateway or "").startswith(SCHEME) and not options.file:
        return _afar(options, told)
    if options.file:
        facts, records = _of_text(options), None
    else:
        facts = _of_gateway(options, told)
        since = facts.taken - min(options.days, MOST_DAYS) * DAY
        records = collect.records(Gateway(options).instance, since, time.time)
    told("judging")
    return make(facts, load(), options.standard, records)


def _afar(options: argparse.Namespace, told: Callable[[str], None]) -> Report:
    """As the console of that gateway makes it."""
    from appliance.client.transport import RefusedError as FarRefused
    from appliance.client.transport import Unreachable
    from appliance.commands import overhttps

    told("asking the console of the gateway")
    asked = [("days", str(min(options.days, MOST_DAYS))), *(("standard", one) for one in options.standard)]
    way = overhttps.transport(options.gateway, _PATIENCE)
    try:
        got = way.ask("GET", f"/api/v1/report?{urlencode(asked)}", patience=_PATIENCE)
        return msgspec.json.decode(got.data, type=Report)
    except FarRefused as error:
        raise Failure(str(error), name=error.refusal.code) from error
    except Unreachable as error:
        raise Failure(f"the gateway cannot be reached: {error}", code=AWAY, name="away") from error
    except msgspec.DecodeError as error:
        words = f"the gateway answered what this version does not understand: {error}"
        raise Failure(words, "use the reef of that gateway's version", code=AWAY, name="version") from error


def _of_text(options: argparse.Namespace) -> Facts:
    name = options.called or shown_name(options.file)
    text = read_text(options.file)
    inherited = baselines(options.file, options.baselines, own_baselines(options))
    now = time.time()
    policy, _ = parse_text(text, name, inherited, ListFiles(folder_of(options.file)), now)
    used = {stem: said for stem, said in inherited.read.items() if said is not None}
    return collect.of_text(policy, name, text, used, _proof(policy, f"reef check {name}"), now)


def _of_gateway(options: argparse.Namespace, told: Callable[[str], None]) -> Facts:
    gateway = Gateway(options)
    told("reading what runs")
    try:
        shown = gateway.ask(messages.Show(), messages.Shown)
    except Failure as failure:
        if failure.code != REFUSED or failure.name == "nothing-runs":
            raise
        running = _unreadable(gateway, failure.message)
    else:
        told("proving")
        running = _running(shown)
    return collect.of_gateway(gateway.instance, running, time.time, told)


def _running(shown: messages.Shown) -> collect.Running:
    """What runs, from its text: parsed with the baselines of its own generation, and proven."""
    generation = shown.summary.generation
    inherited = Baselines([])
    inherited.read.update(shown.inherited)
    policy, _ = parse_text(shown.text, f"generation {generation}", inherited, shown.files)
    query, now = collect.text_of(generation), time.time()
    return collect.Running(
        policy.site,
        generation,
        digest_of(shown.text),
        Reading(query, now, policy),
        Reading(query, now, collect.digests(shown.inherited)),
        _proof(policy, f"{query} | reef check -"),
    )


def _unreadable(gateway: Gateway, reason: str) -> collect.Running:
    """A generation runs whose text cannot be had: that is told, and everything that does not need it is judged."""
    status = gateway.ask(messages.Status(), messages.StatusReport)
    query, now = collect.text_of(status.running), time.time()
    return collect.Running(
        status.site,
        status.running,
        "",
        Reading(query, now, None, reason),
        Reading(query, now, None, reason),
        Reading(query, now, None, reason),
    )


def _proof(policy: Policy, query: str) -> Reading[Proof]:
    at = time.time()
    return Reading(query, at, Examiner().examine(policy, int(at)).proof)


def _rendered(made: Report, wanted: str, *, brief: bool) -> bytes:
    if wanted == "json":
        return (escape_json(msgspec.json.format(msgspec.json.encode(made), indent=2).decode()) + "\n").encode()
    if wanted == "text":
        return escape_lines(render_text.brief(made) if brief else render_text.render(made)).encode()
    page = render_html.render(made)
    if wanted == "csv":
        return render_csv.render(made).encode()
    if wanted == "html":
        return page.encode()
    try:
        return render_pdf.render(page)
    except render_pdf.NoTypesetter as error:
        message, _, remedy = str(error).partition("; ")
        raise Failure(message, remedy, name="no-typesetter") from error


def _again(file: str) -> Report:
    """A report that was kept as JSON, with every digest checked."""
    name = shown_name(file)
    try:
        with sys.stdin.buffer if file == STDIN else Path(file).open("rb") as stream:
            data = stream.read(MAX_REPORT + 1)
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}", "give a file of reef report --json", name="unreadable") from error
    try:
        found = msgspec.json.decode(data, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Failure(
            f"{name}: no report: {error}", "give a file of reef report --json", name="unreadable"
        ) from error
    if found.format != FORMAT:
        raise Failure(f"{name}: a report of format {found.format}; this reads format {FORMAT}", name="unreadable")
    changed = [one.check for one in found.judgements if not all(shown.genuine for shown in one.evidence)]
    if changed:
        raise Failure(
            f"{name}: the evidence of {', '.join(changed)} is not what its digest says",
            "somebody changed the report; make it again",
            name="changed",
        )
    return found
