"""`reef draft`: the texts that people work at, before they propose them."""

from __future__ import annotations

import argparse

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import local_time
from appliance.control.messages.changes import Draft, DraftList, Drafts, DraftText, DraftTextIs, DropDraft
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
