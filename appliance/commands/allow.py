"""`reef allow`: whom no ban stops, whoever made it."""

from __future__ import annotations

import argparse
import time

from appliance.commands.ban import by_and_owner, whole
from appliance.commands.failure import OK, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal
from appliance.commands.words import duration, local_time
from appliance.control.messages.bans import Allow, Allowed, AllowList, Disallow


def add(options: argparse.Namespace, terminal: Terminal) -> int:
    addresses = whole(options.addresses)
    if not addresses:
        raise Failure("nobody is named", "name addresses or networks", code=USAGE, name="usage")
    if not options.reason.strip():
        words = "who is allowed passes every ban, so somebody must be able to read why"
        raise Failure(words, "give --reason WORDS", code=USAGE, name="usage")
    request = Allow(addresses, options.seconds, options.reason, options.owner)
    done = Gateway(options).ask(request, Allowed)
    how_long = f"for {duration(options.seconds)}" if options.seconds else "until it is taken back"
    _say(done, f"allowed {_of(done)} {how_long}", terminal)
    return OK


def remove(options: argparse.Namespace, terminal: Terminal) -> int:
    done = Gateway(options).ask(Disallow(whole(options.addresses)), Allowed)
    _say(done, f"no longer allowed: {_of(done)}", terminal)
    return OK


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    listed = Gateway(options).ask(AllowList(), Allowed)
    if terminal.json:
        terminal.data(listed)
        return OK
    now = time.time()
    rows = [
        (
            entry.address,
            duration(entry.until - now) if entry.until else "no end",
            local_time(entry.since) if entry.since else "",
            by_and_owner(entry.by, entry.owner),
            entry.reason,
        )
        for entry in listed.entries
    ]
    terminal.table(("address", "left", "since", "who", "why"), rows, right={1}, empty="nobody is allowed")
    return OK


def _say(done: Allowed, words: str, terminal: Terminal) -> None:
    if terminal.json:
        terminal.data(done)
    else:
        terminal.line(words, "green")


def _of(done: Allowed) -> str:
    return ", ".join(entry.address for entry in done.entries)
