"""`reef show status|rules|counters|zones|connections|sets`: what runs now."""

from __future__ import annotations

import argparse
import time

import msgspec

from appliance.commands.failure import OK
from appliance.commands.files import Baselines
from appliance.commands.gateway import Gateway
from appliance.commands.health import with_silent
from appliance.commands.terminal import Terminal, escape
from appliance.commands.text import parse_text
from appliance.commands.words import count, duration, local_time, size
from appliance.control import messages
from appliance.policy.bundle import RuleInfo

_ACTION_STYLES = {"allow": "", "deny": "red", "reject": "red"}


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
    for words in report.omitted:
        terminal.line(f"left out here: {escape(words)}", "yellow")
    for process in report.processes:
        state = "runs" if process.alive else "DEAD"
        terminal.line(
            f"  {process.name:<10} {state}  {escape(process.words)}".rstrip(), "" if process.alive else "red"
        )
    return OK


class RuleLine(msgspec.Struct, frozen=True):
    """One rule with what it matched, as `reef show rules --json` and `counters --json` print it."""

    id: str
    action: str
    said: str
    packets: int
    bytes: int
    log: str
    owner: str
    why: str
    expires_at: int


def _rule_lines(options: argparse.Namespace) -> list[RuleLine]:
    gateway = Gateway(options)
    book = gateway.ask(messages.Names(), messages.NameBook)
    counters = gateway.ask(messages.RuleCounters(), messages.RuleCounterList).counters
    counted = {counter.id: (counter.packets, counter.bytes) for counter in counters}
    known = {rule.id for rule in book.rules}
    lines = [_rule_line(rule, *counted.get(rule.id, (0, 0))) for rule in book.rules]
    # Counters of what is no rule of the text (the default, anti-spoofing) stand at the end.
    extra = [_rule_line(RuleInfo(name, 0, ""), *pair) for name, pair in counted.items() if name not in known]
    return lines + extra


def _rule_line(rule: RuleInfo, packets: int, octets: int) -> RuleLine:
    return RuleLine(
        rule.id, rule.action, rule.said, packets, octets, rule.log, rule.owner, rule.why, rule.expires_at
    )  # fmt: skip


def rules(options: argparse.Namespace, terminal: Terminal) -> int:
    lines = _rule_lines(options)
    if options.unused:
        lines = [line for line in lines if not line.packets]
    if terminal.json:
        terminal.data({"rules": lines})
        return OK
    now = time.time()
    rows = [
        (line.id, line.action, line.said, _number(line.packets), size(line.bytes), _ends(line, now), line.why)
        for line in lines
    ]
    styles = ["dim" if 0 < line.expires_at <= now else _ACTION_STYLES.get(line.action, "") for line in lines]
    heads = ("rule", "action", "what", "packets", "bytes", "until", "why")
    terminal.table(heads, rows, right={3, 4}, styles=styles, empty="no such rule")
    return OK


def _ends(line: RuleLine, now: float) -> str:
    if not line.expires_at:
        return ""
    return "expired" if line.expires_at <= now else local_time(line.expires_at)[:16]


def counters(options: argparse.Namespace, terminal: Terminal) -> int:
    lines = sorted(_rule_lines(options), key=lambda line: (-line.packets, line.id))
    if terminal.json:
        terminal.data({"rules": lines})
        return OK
    rows = [(line.id, line.action, _number(line.packets), size(line.bytes), line.said) for line in lines]
    terminal.table(("rule", "action", "packets", "bytes", "what"), rows, right={2, 3}, empty="no rules")
    return OK


def _number(amount: int) -> str:
    return f"{amount:,}".replace(",", " ")


class ZoneLine(msgspec.Struct, frozen=True):
    name: str
    interfaces: tuple[str, ...]
    networks: tuple[str, ...]
    antispoofing: bool


def zones(options: argparse.Namespace, terminal: Terminal) -> int:
    book = Gateway(options).ask(messages.Names(), messages.NameBook)
    lines = [
        ZoneLine(zone.name, zone.interfaces, book.networks.get(zone.name, ()), zone.antispoofing)
        for zone in book.zones
    ]
    if terminal.json:
        terminal.data({"zones": lines})
        return OK
    rows = [
        (line.name, " ".join(line.interfaces), " ".join(line.networks) or "any", "on" if line.antispoofing else "OFF")
        for line in lines
    ]
    terminal.table(("zone", "interfaces", "networks", "anti-spoofing"), rows, empty="no zones")
    return OK


class ConnectionLine(msgspec.Struct, frozen=True):
    interface: str
    provider: str
    officer: str
    phone: str


def connections(options: argparse.Namespace, terminal: Terminal) -> int:
    """The register is read from the running text: nothing that runs needs it."""
    shown = Gateway(options).ask(messages.Show(), messages.Shown)
    inherited = Baselines([])
    inherited.read.update(shown.inherited)
    policy, _ = parse_text(shown.text, f"generation {shown.summary.generation}", inherited, shown.files)
    register = [
        ConnectionLine(line.interface, line.provider, line.officer, line.phone)
        for line in policy.connections.values()
    ]
    if terminal.json:
        terminal.data({"connections": register})
        return OK
    rows = [(line.interface, line.provider, line.officer, line.phone) for line in register]
    terminal.table(("line", "provider", "officer", "phone"), rows, empty="no external line is registered")
    return OK


def sets(options: argparse.Namespace, terminal: Terminal) -> int:
    listed = Gateway(options).ask(messages.Sets(options.name), messages.SetList)
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
