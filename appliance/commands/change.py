"""`reef plan`, `apply`, `confirm`, `rollback`: the verbs that change what runs, or say what would change."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from appliance.commands.failure import AWAY, CONFLICT, OK, USAGE, Failure
from appliance.commands.files import list_files, read_text, shown_name
from appliance.commands.gateway import Gateway
from appliance.commands.impact import show_in_plan
from appliance.commands.problems import SHOWN, show_findings, summary
from appliance.commands.terminal import Terminal, escape
from appliance.commands.traffic import show_traffic
from appliance.commands.words import count, duration, local_time, took
from appliance.control.messages import gateway as messages
from appliance.control.messages.changes import ApplyProposal, ProposalShown, ShowProposal

_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow"), "moved": (">", "cyan")}
_STAGES = ("parse", "prove", "compile", "plan", "sign", "load")
# How often a waiting `reef apply` asks whether the generation was confirmed.
_POLL = 0.5


def session() -> str:
    """The SSH connection of this session, which says through which rules the person came in."""
    return os.environ.get("SSH_CONNECTION", "")


def plan(options: argparse.Namespace, terminal: Terminal) -> int:
    text, name = read_text(options.file), options.called or shown_name(options.file)
    planned = _planned(Gateway(options), text, name, list_files(text, options.file))
    if terminal.json:
        terminal.data(planned)
        return OK
    show_findings(terminal, planned.findings, {name: text}, everything=options.all)
    _show_plan(planned, terminal, everything=options.all)
    show_in_plan(Gateway(options), text, name, list_files(text, options.file), terminal)
    return OK


def _planned(gateway: Gateway, text: str, name: str, files: dict[str, str]) -> messages.Planned:
    return gateway.ask(messages.Plan(text, name, files), messages.Planned, texts={name: text})


def _show_plan(planned: messages.Planned, terminal: Terminal, *, everything: bool) -> None:
    against = f"against generation {planned.base}" if planned.base else "for the first generation"
    if not planned.changes:
        terminal.line(f"Plan {against}: nothing changes.", "bold")
    else:
        terminal.line(f"Plan {against}:", "bold")
        show_changes(planned.changes, terminal, everything=everything)
        changes, statements = count(len(planned.changes), "change"), count(planned.statements, "nftables statement")
        terminal.line(f"{changes}, one transaction of {statements}.")
        show_traffic(planned.traffic, terminal, everything=everything)
    _show_omitted(planned.omitted, terminal)


def show_changes(changes: Sequence[messages.Change], terminal: Terminal, *, everything: bool) -> None:
    """One line per change: its mark and the words, which name what changes; `SHOWN` of them unless `everything`."""
    for change in changes if everything else changes[:SHOWN]:
        mark, style = _MARKS[change.kind]
        terminal.line(f"  {mark} {escape(change.words)}", style)
    if not everything and len(changes) > SHOWN:
        terminal.line(f"  … and {len(changes) - SHOWN} more (--all shows them)", "bold")


def _show_omitted(omitted: Sequence[str], terminal: Terminal) -> None:
    for words in omitted:
        terminal.note(f"left out here: {escape(words)}", "yellow")


def apply(options: argparse.Namespace, terminal: Terminal) -> int:
    if (options.file is None) == (options.proposal is None):
        raise Failure("apply what?", "name a FILE, or a proposal with --proposal N", code=USAGE, name="usage")
    if options.proposal is not None:
        return _apply_proposal(options, terminal)
    text, name = read_text(options.file), options.called or shown_name(options.file)
    gateway = Gateway(options)
    files = list_files(text, options.file)
    base = _base_without_asking(gateway) if options.yes else _ask_for(gateway, text, name, files, options, terminal)
    base = options.base or base
    request = messages.Apply(
        text, base, options.reason, name, files, options.confirm_within, session(), options.break_glass
    )
    applied = gateway.ask(request, messages.Applied, texts={name: text})
    if terminal.json:
        terminal.data(applied)
    else:
        if options.yes:
            show_findings(terminal, applied.findings, {name: text}, everything=options.all)
            show_changes(applied.changes, terminal, everything=options.all)
            show_traffic(applied.traffic, terminal, everything=options.all)
        _say_applied(applied, base, gateway, terminal)
    return _stay(gateway, applied, base, options, terminal)


def _apply_proposal(options: argparse.Namespace, terminal: Terminal) -> int:
    from appliance.commands.proposals import show_proposal

    gateway = Gateway(options)
    base = _base_without_asking(gateway)
    found = gateway.ask(ShowProposal(options.proposal), ProposalShown)
    if not options.yes:
        _somebody_to_ask(terminal)
        show_proposal(found, terminal, everything=options.all)
        if not terminal.ask("Apply this?"):
            raise Failure("not applied, nothing changed", name="declined")
    request = ApplyProposal(options.proposal, found.proposal.digest, options.confirm_within, session())
    applied = gateway.ask(request, messages.Applied, texts={"policy.yaml": found.text})
    if terminal.json:
        terminal.data(applied)
    else:
        _say_applied(applied, base, gateway, terminal)
    return _stay(gateway, applied, base, options, terminal)


def _stay(
    gateway: Gateway, applied: messages.Applied, base: int, options: argparse.Namespace, terminal: Terminal
) -> int:
    wait = terminal.tty and not terminal.json if options.wait is None else options.wait
    if wait and applied.confirm_by:
        return _wait(gateway, applied, base, terminal)
    return OK


def _base_without_asking(gateway: Gateway) -> int:
    """Nobody reads a plan, so none is made: what changed is in the answer to the apply."""
    return gateway.ask(messages.Status(), messages.StatusReport).running


def _somebody_to_ask(terminal: Terminal) -> None:
    if terminal.json or not sys.stdin.isatty():
        raise Failure(
            "nobody to ask: standard input is no terminal", "say --yes to do it without a question", code=USAGE
        )


def _ask_for(
    gateway: Gateway, text: str, name: str, files: dict[str, str], options: argparse.Namespace, terminal: Terminal
) -> int:
    """Show the plan and ask. Returns the generation it was made against; raises `Failure` when the answer is no."""
    planned = _planned(gateway, text, name, files)
    show_findings(terminal, planned.findings, {name: text}, everything=options.all)
    _somebody_to_ask(terminal)
    _show_plan(planned, terminal, everything=options.all)
    show_in_plan(gateway, text, name, files, terminal)
    if not terminal.ask("Apply this?"):
        raise Failure("not applied, nothing changed", name="declined")
    return planned.base


def _say_applied(applied: messages.Applied, base: int, gateway: Gateway, terminal: Terminal) -> None:
    stages = [stage for stage in _STAGES if stage in applied.seconds]
    stages += [stage for stage in applied.seconds if stage not in stages]
    times = ", ".join(f"{stage} {took(applied.seconds[stage])}" for stage in stages)
    total = took(sum(applied.seconds.values()))
    terminal.line(f"Generation {applied.generation} runs after {total} ({times}).", "green bold")
    _show_omitted(applied.omitted, terminal)
    if applied.confirm_by:
        left = duration(applied.confirm_by - time.time())
        back = f"generation {base} comes back" if base else "nothing is forwarded any more"
        terminal.line(
            f"Run `{gateway.command('confirm')}` within {left} from a new session, or {back}.", "yellow bold"
        )
    else:
        terminal.line("It is confirmed; `reef rollback` takes it back.")


def _wait(gateway: Gateway, applied: messages.Applied, base: int, terminal: Terminal) -> int:
    """Stay until the generation is confirmed (0) or the old one came back (5), counting down on a terminal."""
    generation, end = applied.generation, applied.confirm_by
    terminal.out.flush()  # into a pipe, too, before the long silence: it says what to do in it
    live = terminal.err.isatty() and not terminal.json
    try:
        while True:
            try:
                report = gateway.ask(messages.Status(), messages.StatusReport)
            except Failure as failure:
                # The daemon may be starting again; the clock of the confirm runs on without it.
                if failure.code != AWAY or time.time() > end + 30:
                    raise
                report = None
            if report is not None and (report.running != generation or report.confirmed == generation):
                break
            if live:
                print(
                    f"\r\x1b[Kwaiting for the confirm: {duration(end - time.time())} left", end="", file=terminal.err
                )
                terminal.err.flush()
            time.sleep(_POLL)
    except KeyboardInterrupt:
        terminal.note(f"\nNo longer waiting; the confirm is open until {local_time(end)}.")
        raise
    finally:
        if live:
            print("\r\x1b[K", end="", file=terminal.err, flush=True)
    if report.confirmed == generation:
        terminal.note(f"Generation {generation} is confirmed.", "green")
        return OK
    again = f"Generation {report.running} runs" if report.running else "Nothing is applied"
    closed = "" if report.running else " nothing is forwarded."
    terminal.note(f"{again} again:{closed} Generation {generation} was not confirmed.", "red bold")
    return CONFLICT


def confirm(options: argparse.Namespace, terminal: Terminal) -> int:
    confirmed = Gateway(options).ask(messages.Confirm(session()), messages.Confirmed)
    if terminal.json:
        terminal.data(confirmed)
    else:
        terminal.line(f"Generation {confirmed.generation} is confirmed; it is what this gateway boots.", "green")
    return OK


def rollback(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    if not options.yes:
        target = f"generation {options.generation}" if options.generation else "the generation before"
        _somebody_to_ask(terminal)
        if not terminal.ask(f"Go back to {target}?"):
            raise Failure("not rolled back, nothing changed", name="declined")
    request = messages.Rollback(options.generation, options.reason, session())
    applied = gateway.ask(request, messages.Applied)
    if terminal.json:
        terminal.data(applied)
        return OK
    show_changes(applied.changes, terminal, everything=options.all)
    if applied.findings:
        terminal.note(summary(applied.findings))
    _say_applied(applied, 0, gateway, terminal)
    return OK
