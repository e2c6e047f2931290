"""`reef show lines|connections`: how the lines are, what passes them, and who answers for those that leave the
house."""

from __future__ import annotations

import argparse
from typing import Literal

import msgspec

from appliance.commands.failure import OK, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal
from appliance.commands.words import local_time, size
from appliance.control.messages.gateway import NameBook, Names
from appliance.control.messages.lines import LineIs, LineList, Lines, LineState, Side

_STYLES = {"up": "", "no carrier": "red", "missing": "red", "off": "yellow"}


def lines(options: argparse.Namespace, terminal: Terminal) -> int:
    listed = Gateway(options).ask(Lines(options.name), LineList)
    if options.name and listed.past is None:
        known = ", ".join(one.name for one in listed.lines)
        raise Failure(f"no line `{options.name}`", f"there are {known}", code=USAGE, name="usage")
    if terminal.json:
        terminal.data(listed)
        return OK
    shown = [one for one in listed.lines if options.name in ("", one.name)]
    rows = [
        (
            one.name, _belongs(one), one.state, _since(one.since), " ".join(one.addresses),
            _speed(one.received), _speed(one.sent), size(one.received.bytes), size(one.sent.bytes), _wrong(one),
        )
        for one in shown
    ]  # fmt: skip
    heads = ("line", "zone", "state", "since", "addresses", "in", "out", "received", "sent", "errors")
    styles = [_STYLES[one.state] for one in shown]
    terminal.table(heads, rows, right={5, 6, 7, 8, 9}, styles=styles, empty="no lines")
    if listed.total > len(listed.lines):
        terminal.note(f"{len(listed.lines)} of {listed.total} lines")
    if listed.past is not None:
        past = zip(listed.past.times, listed.past.received, listed.past.sent, strict=True)
        table = [(local_time(at), f"{size(round(came))}/s", f"{size(round(went))}/s") for at, came, went in past]
        terminal.table(("until", "in", "out"), table, right={1, 2}, empty="nothing is known of the last minutes yet")
    return OK


class ConnectionLine(msgspec.Struct, frozen=True):
    """A line of the register. `state` is "" where the policy has the line in no zone and no bridge."""

    interface: str
    provider: str
    officer: str
    phone: str
    zone: str
    state: LineIs | Literal[""]
    since: float


def connections(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    officers = gateway.ask(Names(), NameBook).officers
    states = {one.name: one for one in gateway.ask(Lines(), LineList).lines}
    register = []
    for officer in officers:
        line = states.get(officer.line)
        state: LineIs | Literal[""] = line.state if line is not None else ""
        since = line.since if line is not None else 0.0
        register.append(
            ConnectionLine(officer.line, officer.provider, officer.who, officer.phone, officer.zone, state, since)
        )
    if terminal.json:
        terminal.data({"connections": register})
        return OK
    rows = [
        (one.interface, one.state or "?", _since(one.since), one.provider, one.officer, one.phone) for one in register
    ]
    styles = [_STYLES.get(one.state, "") for one in register]
    heads = ("line", "state", "since", "provider", "officer", "phone")
    terminal.table(heads, rows, styles=styles, empty="no external line is registered")
    return OK


def _belongs(one: LineState) -> str:
    if one.bridge:
        return f"bridge {one.bridge}"
    return one.zone or "NOT REGISTERED"


def _since(since: float) -> str:
    return local_time(since) if since else ""


def _speed(side: Side) -> str:
    return f"{size(round(side.byte_rate))}/s" if side.byte_rate >= 0 else "?"


def _wrong(one: LineState) -> str:
    return str(sum(side.errors + side.dropped for side in (one.received, one.sent)))
