"""`reef propose`, `proposals`, `approve`, `reject`: changes that others must agree to before they run."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from appliance.commands.change import show_changes
from appliance.commands.failure import OK, USAGE, Failure
from appliance.commands.files import list_files, read_text, shown_name
from appliance.commands.gateway import Gateway
from appliance.commands.problems import show_findings
from appliance.commands.terminal import Terminal, escape
from appliance.commands.traffic import show_traffic
from appliance.commands.words import local_time
from appliance.control.messages.changes import (
    AmendProposal,
    ApproveProposal,
    CommentProposal,
    Draft,
    DropDraft,
    OpenDraft,
    Proposal,
    ProposalList,
    Proposals,
    ProposalShown,
    Propose,
    RejectProposal,
    ScheduleProposal,
    ShowProposal,
    WithdrawProposal,
)
from appliance.control.messages.why import Noted

_THERE = "policy.yaml"
_FORMS = ("%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d")


def propose(options: argparse.Namespace, terminal: Terminal) -> int:
    text, name = read_text(options.file), options.called or shown_name(options.file)
    gateway = Gateway(options)
    opened = OpenDraft(options.title, options.base, text, list_files(text, options.file))
    draft = gateway.ask(opened, Draft)
    try:
        asked = Propose(draft.id, options.title, options.why, options.ticket)
        with _called(name, text):
            found = gateway.ask(asked, Proposal)
    finally:
        gateway.ask(DropDraft(draft.id), Noted)  # the file is what is worked at
    return _tell(found, terminal, f"Proposal {found.number} waits for {_waits_for(found)}.")


@contextmanager
def _called(name: str, text: str) -> Iterator[None]:
    """The gateway has a text of its own name: what it finds there is told of the file that the person named."""
    try:
        yield
    except Failure as failure:
        failure.findings = tuple(
            msgspec.structs.replace(one, file=name) if one.file == _THERE else one for one in failure.findings
        )
        failure.texts = {name: text}
        raise


def _waits_for(one: Proposal) -> str:
    missing = one.needed - one.approvals
    if missing > 0:
        return f"{missing} approval{'s' if missing != 1 else ''} of others"
    return "somebody to apply it"


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(Proposals(options.state, options.limit), ProposalList)
    if terminal.json:
        terminal.data(found)
        return OK
    terminal.table(
        ("number", "state", "who", "when", "approved by", "title", "note"),
        [_row(one) for one in found.proposals],
        empty="there are no proposals",
    )
    return OK


def _row(one: Proposal) -> tuple[str, ...]:
    note = f"at {local_time(one.at)}" if one.at else one.note
    approved = f"{one.approvals} of {one.needed}"
    fields = (str(one.number), one.state, one.author, local_time(one.created), approved, one.title, note)
    return tuple(escape(field) for field in fields)


def show(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(ShowProposal(options.number), ProposalShown)
    if terminal.json:
        terminal.data(found)
    elif options.text:
        terminal.line(found.text.rstrip("\n"))
    else:
        show_proposal(found, terminal, everything=options.all)
    return OK


def show_proposal(found: ProposalShown, terminal: Terminal, *, everything: bool) -> None:
    """All that somebody needs to decide."""
    one = found.proposal
    ticket = f" ({one.ticket})" if one.ticket else ""
    terminal.line(f"Proposal {one.number}: {escape(one.title + ticket)}, by {escape(one.author)}", "bold")
    terminal.line(f"{one.state}, {one.approvals} of {one.needed} approvals; made from generation {one.base}")
    for words in filter(None, (one.why, one.note, f"to run at {local_time(one.at)}" if one.at else "")):
        terminal.line(escape(words))
    show_findings(terminal, found.findings, {"policy.yaml": found.text}, everything=everything)
    if found.planned is None:
        terminal.line("As it is it would not run.", "red")
    else:
        show_changes(found.planned.changes, terminal, everything=everything)
        show_traffic(found.planned.traffic, terminal, everything=everything)
    for comment in found.comments:
        about = f" on {comment.rule}" if comment.rule else ""
        terminal.line(escape(f"  {local_time(comment.at)} {comment.person}{about}: {comment.words}"))
    _steps([(step.at, f"{step.person}: {step.action}", step.words) for step in found.history], terminal)


def _steps(steps: Sequence[tuple[float, str, str]], terminal: Terminal) -> None:
    for at, who, words in steps:
        terminal.line(escape(f"  {local_time(at)} {who}{f', {words}' if words else ''}"))


def approve(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    found = gateway.ask(ShowProposal(options.number), ProposalShown)
    if not options.yes:
        if terminal.json or not sys.stdin.isatty():
            raise Failure("nobody to ask: standard input is no terminal", "say --yes", code=USAGE)
        show_proposal(found, terminal, everything=True)
        if not terminal.ask("Approve this?"):
            raise Failure("not approved, nothing changed", name="declined")
    asked = ApproveProposal(options.number, found.proposal.digest, options.words)
    done = gateway.ask(asked, Proposal)
    return _tell(done, terminal, f"Proposal {done.number} waits for {_waits_for(done)}.")


def reject(options: argparse.Namespace, terminal: Terminal) -> int:
    done = Gateway(options).ask(RejectProposal(options.number, options.why), Proposal)
    return _tell(done, terminal, f"Proposal {done.number} is rejected.")


def comment(options: argparse.Namespace, terminal: Terminal) -> int:
    done = Gateway(options).ask(CommentProposal(options.number, options.words, options.rule), Proposal)
    return _tell(done, terminal, f"Proposal {done.number} has your words.")


def amend(options: argparse.Namespace, terminal: Terminal) -> int:
    text, name = read_text(options.file), options.called or shown_name(options.file)
    gateway = Gateway(options)
    before = gateway.ask(ShowProposal(options.number), ProposalShown).proposal
    asked = AmendProposal(
        options.number, before.digest, text, options.words, list_files(text, options.file), options.base
    )
    with _called(name, text):
        done = gateway.ask(asked, Proposal)
    return _tell(done, terminal, f"Proposal {done.number} is another text now and waits for {_waits_for(done)}.")


def withdraw(options: argparse.Namespace, terminal: Terminal) -> int:
    done = Gateway(options).ask(WithdrawProposal(options.number, options.why), Proposal)
    return _tell(done, terminal, f"Proposal {done.number} is withdrawn.")


def schedule(options: argparse.Namespace, terminal: Terminal) -> int:
    at = 0.0 if options.when == "never" else _moment(options.when)
    done = Gateway(options).ask(ScheduleProposal(options.number, at, options.confirm_within), Proposal)
    words = f"runs at {local_time(done.at)}, if it is approved" if done.at else "does not run by itself"
    return _tell(done, terminal, f"Proposal {done.number} {words}.")


def _moment(words: str) -> float:
    for form in _FORMS:
        try:
            return time.mktime(time.strptime(words, form))
        except ValueError:
            continue
    raise Failure(f"`{words}` is no moment", "write for example 2026-03-01T22:30", code=USAGE, name="usage")


def _tell(done: Proposal, terminal: Terminal, words: str) -> int:
    if terminal.json:
        terminal.data(done)
    else:
        terminal.line(words)
    return OK
