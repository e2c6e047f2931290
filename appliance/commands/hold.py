"""`reef audit hold`, `reef audit witnesses`: records kept beyond their time, and who vouches for the trail."""

from __future__ import annotations

import argparse

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import local_time
from appliance.control.messages.audit import HoldList, HoldRecords, Holds, ReleaseRecords, Witnesses, WitnessList

_OF = "recordd"
_DAY = 86_400


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    return _show(Gateway(options).ask(Holds(), HoldList, of=_OF), terminal)


def hold(options: argparse.Namespace, terminal: Terminal) -> int:
    asked = HoldRecords(options.name, options.words, options.why)
    return _show(Gateway(options).ask(asked, HoldList, of=_OF), terminal)


def release(options: argparse.Namespace, terminal: Terminal) -> int:
    return _show(Gateway(options).ask(ReleaseRecords(options.name), HoldList, of=_OF), terminal)


def _show(answer: HoldList, terminal: Terminal) -> int:
    if terminal.json:
        terminal.data(answer)
        return OK
    rows = [
        (escape(one.name), escape(one.words) or "all records", escape(one.by), local_time(one.since), escape(one.why))
        for one in answer.holds
    ]
    terminal.table(("hold", "words", "set by", "since", "why"), rows, empty="nothing is held beyond its time")
    terminal.note("kept: " + ", ".join(f"{name} {seconds // _DAY} days" for name, seconds in answer.kept.items()))
    return OK


def witnesses(options: argparse.Namespace, terminal: Terminal) -> int:
    answer = Gateway(options).ask(Witnesses(), WitnessList, of=_OF)
    if terminal.json:
        terminal.data(answer)
        return OK
    rows = [
        (one.name, str(one.size), local_time(one.time) if one.time else "", one.address, escape(one.words))
        for one in answer.witnesses
    ]
    styles = ["red" if one.words else "" for one in answer.witnesses]
    heads = ("witness", "entries", "cosigned", "address", "trouble")
    terminal.table(heads, rows, right={1}, styles=styles, empty="the policy names no witness (audit.witnesses)")
    return OK
