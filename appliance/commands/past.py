"""`reef history`, `reef show generation`, `reef diff`: what ran, who wanted it, and what differs."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from appliance.commands.change import show_changes
from appliance.commands.failure import OK, REFUSED, Failure
from appliance.commands.files import Baselines, ListFiles, baselines, folder_of, read_text, shown_name
from appliance.commands.gateway import Gateway, own_baselines
from appliance.commands.terminal import Terminal, escape
from appliance.commands.text import parse_text, show_lines
from appliance.commands.traffic import show_traffic
from appliance.commands.words import count, local_time
from appliance.control.messages import gateway as messages
from appliance.control.messages.seals import MOST_SEALS, SealList, Seals, SealState
from appliance.control.messages.traffic import TrafficDifference
from appliance.policy.model import Policy

_STYLES = {"running": "yellow bold", "confirmed": "green", "rolled-back": "red", "failed": "red"}


_SEALS = {"good": "good", "bad": "NOT BY THIS GATEWAY", "unreadable": "UNREADABLE", "gone": "not kept"}


class Verified(msgspec.Struct, frozen=True):
    """What `reef history --verify --json` prints."""

    generations: tuple[messages.GenerationSummary, ...]
    seals: tuple[SealState, ...]


def history(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    listed = gateway.ask(messages.History(options.limit), messages.HistoryList)
    seals = _seals(gateway, listed) if options.verify else {}
    code = REFUSED if any(one.state in ("bad", "unreadable") for one in seals.values()) else OK
    if terminal.json:
        terminal.data(Verified(listed.generations, tuple(seals.values())) if options.verify else listed)
        return code
    rows = [
        (
            str(summary.generation),
            _state(summary),
            local_time(summary.created),
            summary.author,
            str(summary.rules),
            *([_SEALS[seals[summary.generation].state]] if options.verify else []),
            "; ".join(_why(summary)),
        )
        for summary in listed.generations
    ]
    styles = [_STYLES.get(summary.state, "") for summary in listed.generations]
    heads = ("generation", "state", "when", "who", "rules", *(["signature"] if options.verify else []), "why")
    terminal.table(heads, rows, right={0, 4}, styles=styles, empty="no generation was applied yet")
    for one in seals.values():
        if one.words and one.state != "gone":
            terminal.note(f"generation {one.generation}: {one.words}")
    return code


def _why(summary: messages.GenerationSummary) -> Iterator[str]:
    """The reason, whose proposal it was, who approved, and what became of it."""
    if summary.reason:
        yield summary.reason
    if summary.proposer:
        yield f"proposed by {summary.proposer}" + (f" because {summary.why}" if summary.why else "")
    if summary.approvers:
        yield f"approved by {', '.join(summary.approvers)}"
    if summary.note:
        yield summary.note


def _seals(gateway: Gateway, listed: messages.HistoryList) -> dict[int, SealState]:
    """Whether each is what was signed, by its number."""
    numbers = [summary.generation for summary in listed.generations]
    found: dict[int, SealState] = {}
    for first in range(0, len(numbers), MOST_SEALS):
        asked = Seals(tuple(numbers[first : first + MOST_SEALS]))
        found |= {one.generation: one for one in gateway.ask(asked, SealList).seals}
    return found


def _state(summary: messages.GenerationSummary) -> str:
    return "running, unconfirmed" if summary.state == "running" else summary.state


def generation(options: argparse.Namespace, terminal: Terminal) -> int:
    shown = Gateway(options).ask(messages.Show(options.generation), messages.Shown)
    if terminal.json:
        terminal.data(shown)
        return OK
    one = shown.summary
    facts = [
        f"generation {one.generation}, {_state(one)}, edited from {one.parent or 'nothing'}",
        f"applied {local_time(one.created)} by {one.author}: {one.reason or '(no reason given)'}",
        f"digest {one.digest}",
    ]
    if one.confirmed_at:
        facts.append(f"confirmed {local_time(one.confirmed_at)} by {one.confirmed_by}")
    if one.proposal:
        facts.append(f"proposal {one.proposal} by {one.proposer}: {one.why or '(no reason given)'}")
        facts += [f"ticket {one.ticket}"] if one.ticket else []
        facts += [f"approved by {', '.join(one.approvers)}"] if one.approvers else []
    facts += [f"inherits {name}" for name in shown.inherited]
    facts += [one.note] if one.note else []
    # The facts are comments of the text, so that the output is itself a policy text.
    for fact in facts:
        terminal.line(f"# {escape(fact)}", "dim")
    for line in shown.text.rstrip("\n").split("\n"):
        terminal.line(escape(line))
    return OK


class Difference(msgspec.Struct, frozen=True):
    """What `reef diff --json` prints: a unified diff, what it means, and the traffic that is decided otherwise."""

    old: str
    new: str
    lines: tuple[str, ...]
    changes: tuple[messages.Change, ...]
    traffic: TrafficDifference


class _Side(msgspec.Struct, frozen=True):
    name: str
    text: str
    policy: Policy


def diff(options: argparse.Namespace, terminal: Terminal) -> int:
    from appliance.commands.proof import difference
    from appliance.policy.answering.plan import plan

    old, new = (_side(which, options) for which in (options.old, options.new))
    lines = tuple(
        difflib.unified_diff(old.text.splitlines(), new.text.splitlines(), old.name, new.name, lineterm="", n=3)
    )
    changes = tuple(
        messages.Change(change.kind, change.what, change.words) for change in plan(old.policy, new.policy)
    )
    traffic = difference(old.policy, new.policy)
    if terminal.json:
        terminal.data(Difference(old.name, new.name, lines, changes, traffic))
        return OK
    show_lines(lines, terminal)
    if lines:
        terminal.line()
    if changes:
        terminal.line(f"In words, {count(len(changes), 'change')}:", "bold")
        show_changes(changes, terminal, everything=options.all)
    else:
        terminal.line("Nothing changes in what the gateway does.", "bold")
    if changes:
        show_traffic(traffic, terminal, everything=options.all)
    return OK


def _side(which: str, options: argparse.Namespace) -> _Side:
    """A generation by its number, or a file."""
    if which.isascii() and which.isdigit() and not Path(which).exists():
        shown = Gateway(options).ask(messages.Show(int(which)), messages.Shown)
        name, text = f"generation {which}", shown.text
        inherited = Baselines([])
        inherited.read.update(shown.inherited)
        files: Mapping[str, str] = shown.files
    else:
        name, text = shown_name(which), read_text(which)
        inherited = baselines(which, options.baselines, own_baselines(options))
        files = ListFiles(folder_of(which))
    try:
        policy, _ = parse_text(text, name, inherited, files)
    except Failure as failure:
        raise Failure(
            failure.message, "mend it first: a text that is refused means nothing",
            code=REFUSED, findings=failure.findings, texts=failure.texts,
        ) from failure  # fmt: skip
    return _Side(name, text, policy)
