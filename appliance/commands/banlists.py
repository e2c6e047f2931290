"""`reef ban find`: which prefixes of ban lists hold an address."""

from __future__ import annotations

import argparse

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal
from appliance.control.messages.gate import GateFind, GateFound


def find(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(GateFind(options.word, options.list, 0, options.limit), GateFound)
    if terminal.json:
        terminal.data(found)
        return OK
    rows = [(entry.address, entry.list) for entry in found.entries]
    terminal.table(("prefix", "list"), rows, empty="no list has it")
    if found.after:
        terminal.note(f"these are {len(rows):,} of {found.total:,}; --limit shows more")
    return OK
