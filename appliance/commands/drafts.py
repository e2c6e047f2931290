"""`reef draft`: the texts that people work at, before they propose them."""

from __future__ import annotations

import argparse

from appliance.commands.change import show_changes
from appliance.commands.failure import OK, REFUSED
from appliance.commands.files import list_files, read_text
from appliance.commands.gateway import Gateway
from appliance.commands.problems import show_findings
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import local_time
from appliance.control.messages.changes import (
    CheckDraft,
    Draft,
    DraftChecked,
    DraftList,
    Drafts,
    DraftText,
    DraftTextIs,
    DropDraft,
    Merged,
    MergeDraft,
    NameDraft,
    OpenDraft,
    PlanDraft,
    Proposal,
    Propose,
    RedoDraft,
    SetDraft,
    UndoDraft,
)
from appliance.control.messages.text import Planned
from appliance.control.messages.why import Noted


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(Drafts(), DraftList)
    if terminal.json:
        terminal.data(found)
        return OK
    terminal.table(
        ("id", "whose", "title", "from", "changed", "worth"),
        [_row(one) for one in found.drafts],
        empty="nobody works at a draft",
    )
    return OK


def _row(one: Draft) -> tuple[str, ...]:
    worth = "ready" if one.ok else f"{one.findings} findings"
    fields = one.id, one.person, one.title, f"generation {one.base}", local_time(one.changed), worth
    return tuple(escape(field) for field in fields)


def show(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(DraftText(options.id), DraftTextIs)
    if terminal.json:
        terminal.data(found)
    else:
        terminal.line(found.text.rstrip("\n"))
    return OK


def drop(options: argparse.Namespace, terminal: Terminal) -> int:
    Gateway(options).ask(DropDraft(options.id), Noted)
    if terminal.json:
        terminal.data({"id": options.id})
    else:
        terminal.line(f"Draft {escape(options.id)} is gone.")
    return OK


def begin(options: argparse.Namespace, terminal: Terminal) -> int:
    text = read_text(options.file) if options.file else None
    files = list_files(text, options.file) if text is not None else {}
    made = Gateway(options).ask(OpenDraft(options.title, options.base, text, files), Draft)
    return _told(made, terminal, f"Draft {made.id} begins.")


def put(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway, text = Gateway(options), read_text(options.file)
    asked = SetDraft(options.id, _version(gateway, options.id), text, "reef", list_files(text, options.file))
    return _checked(gateway.ask(asked, DraftChecked), text, terminal)


def name(options: argparse.Namespace, terminal: Terminal) -> int:
    made = Gateway(options).ask(NameDraft(options.id, options.title, options.ticket), Draft)
    return _told(made, terminal, f"Draft {made.id} is called {escape(made.title)}.")


def undo(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    done = gateway.ask(UndoDraft(options.id, _version(gateway, options.id)), DraftChecked)
    return _checked(done, _text(gateway, options.id), terminal)


def redo(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    done = gateway.ask(RedoDraft(options.id, _version(gateway, options.id)), DraftChecked)
    return _checked(done, _text(gateway, options.id), terminal)


def check(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    return _checked(gateway.ask(CheckDraft(options.id), DraftChecked), _text(gateway, options.id), terminal)


def plan(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(PlanDraft(options.id), Planned)
    if terminal.json:
        terminal.data(found)
    elif found.changes:
        show_changes(found.changes, terminal, everything=True)
    else:
        terminal.line("It says what runs.")
    return OK


def merge(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    done = gateway.ask(MergeDraft(options.id, _version(gateway, options.id), options.other), Merged)
    if terminal.json:
        terminal.data(done)
    else:
        for one in done.conflicts:
            terminal.line(f"Both changed {escape(one.what)}; the draft has its own.", "yellow")
        terminal.line(f"Draft {escape(options.id)} has what {escape(options.other) or 'runs'} changed.")
    return REFUSED if done.conflicts else OK


def propose(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(Propose(options.id, options.title, options.why, options.ticket), Proposal)
    if terminal.json:
        terminal.data(found)
    else:
        terminal.line(f"Proposal {found.number} is made.")
    return OK


def _version(gateway: Gateway, ident: str) -> int:
    return gateway.ask(DraftText(ident), DraftTextIs).draft.version


def _text(gateway: Gateway, ident: str) -> str:
    return gateway.ask(DraftText(ident), DraftTextIs).text


def _told(draft: Draft, terminal: Terminal, words: str) -> int:
    if terminal.json:
        terminal.data(draft)
    else:
        terminal.line(words)
    return OK


def _checked(done: DraftChecked, text: str, terminal: Terminal) -> int:
    """What is found in it; exit 1 where it could not be applied."""
    if terminal.json:
        terminal.data(done)
        return OK if done.ok else REFUSED
    show_findings(terminal, done.findings, {"policy.yaml": text})
    for proven in done.proof.shown if done.proof is not None else ():
        others = f" ({', '.join(proven.others)})" if proven.others else ""
        terminal.line(escape(f"{proven.rule}: {proven.kind}{others}"))
    terminal.line(f"Draft {escape(done.draft.id)} is {'ready' if done.ok else 'not ready'}: {done.rules} rules.")
    return OK if done.ok else REFUSED
