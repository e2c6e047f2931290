"""`reef why`: why a packet passes or does not: by the policy, of a line of the log, and in the kernel itself."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence

import msgspec

from appliance.asking.loglines import LineError, Logged, parse_line
from appliance.asking.questions import Named, at_moment_of, named, of_flow, of_logged
from appliance.asking.refusal import CannotAsk
from appliance.commands.asked import Asked, asked
from appliance.commands.failure import FORBIDDEN, OK, REFUSED, USAGE, Failure
from appliance.commands.followed import Kernel, follow, send
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import local_time, parse_moment
from appliance.control.messages import live as messages_live
from appliance.control.messages.why import MOST_SECONDS
from appliance.events import view
from appliance.events.record import encode
from appliance.policy import addresses
from appliance.policy.answering.packetwords import end_words, service_words
from appliance.policy.answering.why import Answer, Question, Situation, why
from appliance.policy.decide import Packet

_STYLES = {"allow": "green", "deny": "red", "reject": "red"}
# What keeps a rule from holding only for now.
_PASSING = {"limit", "when", "expires", "people"}


class Reason(msgspec.Struct, frozen=True):
    """What `reef why --json` prints: the policy's `answer`; what the line `logged` as decision where there was one;
    and what the `kernel` did with a real packet, with the `differences` between the two (none: they agree)."""

    answer: Answer
    logged: str = ""
    kernel: Kernel | None = None
    differences: tuple[str, ...] = ()


def why_verb(options: argparse.Namespace, terminal: Terminal) -> int:
    _check_usage(options)
    known = asked(options)
    try:
        return _answered(options, known, terminal)
    except CannotAsk as error:
        raise Failure(str(error), error.remedy, name=error.code) from error


def _answered(options: argparse.Namespace, known: Asked, terminal: Terminal) -> int:
    if options.live or options.follow:
        return _live(options, known, terminal)
    code = OK
    for question, situation, logged in _questions(options, known):
        reason = Reason(why(known.book, question, situation), _decision(logged))
        if options.what == "-" and terminal.json:
            terminal.record(reason)
        elif terminal.json:
            terminal.data(reason)
        else:
            _print(reason, question.packet, logged, terminal)
            terminal.out.flush()
    return code


def _check_usage(options: argparse.Namespace) -> None:
    ends = [options.from_, options.to]
    if any(ends) and not all(ends):
        raise Failure("--from and --to belong together", "name both ends", code=USAGE, name="usage")
    if options.flow and any(ends):
        raise Failure("--flow already says from where to where", "give one of them", code=USAGE, name="usage")
    if not options.flow and not options.what:
        raise Failure(
            "there is nothing to explain",
            "write reef why --from 10.20.0.12 --to 198.51.100.80 tcp/443, or a line of the log in quotes",
            code=USAGE,
            name="usage",
        )
    if (options.live or options.follow) and (options.file or not all(ends)):
        raise Failure(
            "--live asks the running kernel about --from, --to and a service",
            "leave --file out and name both ends",
            code=USAGE,
            name="usage",
        )
    if options.wait > MOST_SECONDS:
        raise Failure(f"a trace lasts {MOST_SECONDS} s at most", "give --wait less", code=USAGE, name="usage")
    if (options.live or options.follow) and (options.at or options.as_):
        raise Failure(
            "the kernel decides now, for who is there now", "leave --at and --as out", code=USAGE, name="usage"
        )


def _questions(options: argparse.Namespace, known: Asked) -> Iterator[tuple[Question, Situation, Logged | None]]:
    """What is asked, each with its moment: one connection, or one for every line."""
    if options.from_:
        packet, situation, note = _named(options, known)
        if note:
            print(escape(note), file=sys.stderr)
        yield Question(packet), situation, None
        return
    if options.flow:
        yield _of_logged(_flow(options, known), options, known)
        return
    # Line by line, so that `reef log --follow | reef why -` answers as they come.
    for line in filter(str.strip, sys.stdin if options.what == "-" else [options.what]):
        try:
            yield _of_logged(parse_line(line, time.time()), options, known)
        except LineError as error:
            if options.what != "-":
                raise Failure(
                    str(error), "quote a whole line of `reef log` or `reef log --json`", name="bad-line"
                ) from error
            print(f"left out: {escape(str(error))}", file=sys.stderr)


# --- from what a person names ---------------------------------------------------------------------------


def _named(options: argparse.Namespace, known: Asked) -> tuple[Packet, Situation, str]:
    asked_for = Named(options.from_, options.to, options.what, options.in_ or "", options.as_ or "")
    return named(asked_for, known.policy, _moved(options, known.situation), known.own)


def _moved(options: argparse.Namespace, situation: Situation) -> Situation:
    if not options.at:
        return situation
    try:
        moment = parse_moment(options.at, time.time())
    except ValueError as error:
        raise Failure(str(error), code=USAGE, name="usage") from error
    return msgspec.structs.replace(situation, now=int(moment))


# --- from what was logged -------------------------------------------------------------------------------


def _of_logged(
    logged: Logged, options: argparse.Namespace, known: Asked
) -> tuple[Question, Situation, Logged | None]:
    situation = _moved(options, at_moment_of(logged, known.situation))
    question, situation = of_logged(
        logged, known.policy, situation, entering=options.in_ or "", person=options.as_ or ""
    )
    return question, situation, logged


def _flow(options: argparse.Namespace, known: Asked) -> Logged:
    """The flow of that number: one that passes now, else the last event that names it."""
    if known.gateway is None:
        raise Failure("--flow asks the running gateway", "leave --file out", code=USAGE, name="usage")
    asked_for = messages_live.Flows(limit=1, id=options.flow)
    for flow in known.gateway.ask(asked_for, messages_live.FlowList).flows:
        return of_flow(flow, known.own)
    chosen = view.Selection(types=("flow", "drop"), flow=options.flow)
    events = view.past(known.gateway.instance.events, chosen, limit=1)
    if not events:
        raise Failure(
            f"no flow {options.flow} passes now, and none is in the log",
            "see the column ID of reef show flows, or flow_id in reef log --json",
            name="no-flow",
        )
    return parse_line(encode(events[-1]).decode(), time.time())


# --- the running kernel ---------------------------------------------------------------------------------


def _live(options: argparse.Namespace, known: Asked, terminal: Terminal) -> int:
    if not options.follow and os.geteuid():
        raise Failure(
            "only root may send a packet of somebody else's", "--follow waits for a real one",
            code=FORBIDDEN, name="not-allowed",
        )  # fmt: skip
    packet, situation, note = _named(options, known)
    if note:
        terminal.note(escape(note))
    assert known.gateway is not None
    if options.follow:
        terminal.note(f"waiting up to {options.wait} s for a packet {_ends(packet)} …")
        kernel, packet = follow(known, packet, options.wait)
    else:
        kernel = send(known, packet, deliver=options.deliver)
    situation = msgspec.structs.replace(situation, now=int(time.time()))
    answer = why(known.book, Question(packet), situation)
    differences = kernel.differences(answer)
    if differences and (exceeded := kernel.exceeded(known.policy)):
        # What the policy cannot know: how many came before. The kernel went on below such a rule.
        over = msgspec.structs.replace(situation, over=exceeded)
        below = why(known.book, Question(packet), over)
        if not kernel.differences(below):
            answer, differences = below, ()
    reason = Reason(answer, kernel=kernel, differences=differences)
    if differences:
        words = f"{_ends(packet)}: {'; '.join(differences)}"
        known.gateway.report(words)
    if terminal.json:
        terminal.data(reason)
    else:
        _print(reason, packet, None, terminal)
    return REFUSED if differences else OK


# --- words ----------------------------------------------------------------------------------------------


def _ends(packet: Packet) -> str:
    source = addresses.text_of(packet.version, packet.source)
    target = end_words(packet.version, packet.destination, packet.destination_port)
    return f"{source} → {target}  {service_words(packet)}"


def _decision(logged: Logged | None) -> str:
    return f"{logged.action} {logged.rule}".strip() if logged is not None else ""


def _print(reason: Reason, packet: Packet, logged: Logged | None, terminal: Terminal) -> None:
    answer = reason.answer
    zones = f"{answer.source_zone or 'no zone'} → {answer.destination_zone or 'no zone'}"
    terminal.line(f"{_ends(packet)}  ({zones})", "bold")
    decided = next(step for step in answer.steps if step.kind in ("decision", "ban"))
    terminal.line(escape(decided.words), _STYLES[answer.action])
    for step in answer.steps:
        if step is not decided:
            terminal.line(f"  {step.kind:<10} {escape(step.words)}", "yellow" if step.kind == "inspection" else "")
    # Of what passes it is worth telling what may end it by itself; every denial that is for somebody else is not.
    shown = [near for near in answer.near if answer.action != "allow" or set(near.missed) <= _PASSING]
    for near in shown:
        terminal.line(f"  nearly     {escape(near.words)}", "yellow")
    if answer.action != "allow" and answer.near_count > len(answer.near):
        terminal.line(f"  nearly     and {answer.near_count - len(answer.near)} more rules", "yellow")
    if logged is not None and logged.rule:
        _print_logged(answer, logged, terminal)
    if reason.kernel is not None:
        _print_kernel(reason.kernel, reason.differences, terminal)


def _print_logged(answer: Answer, logged: Logged, terminal: Terminal) -> None:
    if (logged.rule, logged.action) == (answer.rule, answer.action):
        terminal.line(f"  logged     as it is decided now: {escape(_decision(logged))}", "dim")
        return
    when = f" at {local_time(logged.at)}" if logged.at else ""
    terminal.line(
        f"  logged     {escape(_decision(logged))}{when}; the policy or a set has changed since, or it was an answer",
        "yellow",
    )


def _print_kernel(kernel: Kernel, differences: Sequence[str], terminal: Terminal) -> None:
    terminal.line(f"  kernel     {escape(kernel.words)}")
    if not differences:
        terminal.line("  agreed     the kernel does what the policy says", "green")
    for words in differences:
        terminal.line(f"DISAGREED: {escape(words)}", "red bold")
