"""`reef show status|zones|bridges|sets`: what runs now."""

from __future__ import annotations

import argparse
import time

import msgspec

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.health import runs_lines, with_silent
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, duration, local_time
from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live
from appliance.control.messages.lines import CrossingList, Crossings


def status(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    report = with_silent(gateway.ask(messages.Status(), messages.StatusReport), gateway.instance)
    if terminal.json:
        terminal.data(report)
        return OK
    if not report.running:
        terminal.line("Nothing is applied: nothing is forwarded. `reef apply FILE` begins.", "yellow bold")
    elif report.confirmed == report.running:
        terminal.line(f"{escape(report.site)}: generation {report.running} runs, confirmed.", "green bold")
    else:
        left = f" within {duration(report.confirm_by - time.time())}" if report.confirm_by else ""
        back = f"generation {report.confirmed}" if report.confirmed else "the closed gateway"
        terminal.line(f"{escape(report.site)}: generation {report.running} runs, unconfirmed.", "yellow bold")
        terminal.line(f"Run `{gateway.command('confirm')}`{left}, or {back} comes back.", "yellow")
    if report.drift:
        terminal.line(f"drift: {escape(report.drift)}", "red bold")
    for line, style in runs_lines(report.runs):
        terminal.line(escape(line), style)
    for words in report.omitted:
        terminal.line(f"left out here: {escape(words)}", "yellow")
    for bridge in report.bridges:
        words = bridge.words or "every frame is inspected"
        terminal.line(f"bridge {escape(bridge.name)}: {escape(words)}", "red" if bridge.words else "")
    for process in report.processes:
        state = "runs" if process.alive else "DEAD"
        state += f" since {local_time(process.since)}" if process.since else ""
        terminal.line(
            f"  {process.name:<10} {state}  {escape(process.words)}".rstrip(), "" if process.alive else "red"
        )
    return OK


class ZoneLine(msgspec.Struct, frozen=True):
    """`reaches`: where rules in force allow something from it, and how many."""

    name: str
    interfaces: tuple[str, ...]
    networks: tuple[str, ...]
    antispoofing: bool
    reaches: dict[str, int]


def zones(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    book = gateway.ask(messages.Names(), messages.NameBook)
    pairs = gateway.ask(Crossings(), CrossingList).pairs
    lines = [
        ZoneLine(
            zone.name,
            zone.interfaces,
            book.networks.get(zone.name, ()),
            zone.antispoofing,
            {pair.destination: pair.rules for pair in pairs if pair.source == zone.name},
        )
        for zone in book.zones
    ]
    if terminal.json:
        terminal.data({"zones": lines})
        return OK
    rows = [
        (
            line.name,
            " ".join(line.interfaces),
            " ".join(line.networks) or "any",
            "on" if line.antispoofing else "OFF",
            ", ".join(f"{name} ({count(rules, 'rule')})" for name, rules in line.reaches.items()) or "nothing",
        )
        for line in lines
    ]
    terminal.table(("zone", "interfaces", "networks", "anti-spoofing", "may reach"), rows, empty="no zones")
    return OK


def bridges(options: argparse.Namespace, terminal: Terminal) -> int:
    report = Gateway(options).ask(messages.Status(), messages.StatusReport)
    if terminal.json:
        terminal.data({"bridges": report.bridges})
        return OK
    rows = [
        (one.name, " <-> ".join(one.between), one.inspect, one.unavailable, one.words or "every frame is inspected")
        for one in report.bridges
    ]
    styles = ["red" if one.words else "" for one in report.bridges]
    terminal.table(("bridge", "between", "inspect", "unavailable", "now"), rows, styles=styles, empty="no bridges")
    return OK


def sets(options: argparse.Namespace, terminal: Terminal) -> int:
    listed = Gateway(options).ask(messages_live.Sets(options.name), messages_live.SetList)
    if terminal.json:
        terminal.data(listed)
        return OK
    if options.name:
        for one in listed.sets:
            terminal.line(f"{escape(one.name)}: {one.kind}, {count(one.size, 'element')}", "bold")
            for element in one.elements:
                terminal.line(f"  {escape(element)}")
            if one.size > len(one.elements):
                terminal.line(f"  … and {one.size - len(one.elements)} more", "dim")
        return OK
    rows = [
        (one.name, one.kind, str(one.size), " ".join(one.names), local_time(one.filled_at), one.error)
        for one in listed.sets
    ]
    styles = ["red" if one.error else "" for one in listed.sets]
    heads = ("set", "kind", "size", "of", "filled", "trouble")
    terminal.table(heads, rows, right={2}, styles=styles, empty="no live sets")
    return OK
