"""`reef inspect`: captures through the inspection engine; what is in them, for people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.commands.failure import OK, REFUSED, Failure
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, size, took

if TYPE_CHECKING:
    from ctypes_ext.engine import RuleCost, Rules
    from dataplane.inspection import Progress
    from dataplane.tally import Bar, Found, Summary

SHOWN = 10  # rows of a table; `--all` and `--json` have the rest


def inspect(options: argparse.Namespace, terminal: Terminal) -> int:
    from ctypes_ext.engine import EngineError, Evidence, Options
    from dataplane.inspection import InspectionError, Outputs, captures, open_eve, open_store
    from dataplane.inspection import inspect as run

    shown = _Shown(terminal)
    try:
        files = captures([Path(name) for name in options.files])
        rules = _rules(options, terminal)
        store = open_store(Path(options.files_to)) if options.files_to else None
        kept = open_store(Path(options.evidence)) if options.evidence else None
        evidence = Evidence(kept) if kept is not None else None
        eve = open_eve(Path(options.eve)) if options.eve else None
        engine = Options(
            checksums=options.checksums == "all",
            act=options.simulate_ips,
            midstream=options.midstream,
            payload=options.payload,
            feeds=not options.quiet,
            rule_costs=options.rule_costs,
            places=options.geoip,
        )
        told = shown.told if shown.wanted else None
        paths = tuple(Path(name) for name in (options.files_to, options.evidence, options.eve) if name)
        summary = run(files, engine, rules, Outputs(eve, store, evidence, paths), told, tally=not options.quiet)
    except (InspectionError, EngineError) as error:
        raise Failure(str(error), "reef inspect --help says what is read", name="capture") from error
    shown.over()
    if terminal.json:
        terminal.data(summary)
    elif summary.found is not None:
        _show(summary, summary.found, terminal, sys.maxsize if options.all else SHOWN)
    if summary.rule_costs and not terminal.json:
        _rule_costs(summary.rule_costs, terminal, sys.maxsize if options.all else SHOWN)
    for words in summary.broken:
        terminal.note(f"not read to its end: {escape(words)}", "yellow")
    if summary.events_lost:
        terminal.note(f"{count(summary.events_lost, 'event')} did not fit and are missing", "yellow")
    return REFUSED if summary.broken and not summary.packets else OK


def _rules(options: argparse.Namespace, terminal: Terminal) -> Rules | None:
    """The rules that are wanted, in the engine; those that it refuses are said."""
    if not options.rules:
        return None
    from dataplane.rulefiles import RulesError, load, user_cache, variables_of

    try:
        loaded = load([Path(name) for name in options.rules], variables_of(options.set), user_cache())
    except RulesError as error:
        raise Failure(str(error), name="rules") from error
    for problem in loaded.refused[:SHOWN]:
        terminal.note(f"refused: {escape(str(problem))}", "yellow")
    if len(loaded.refused) > SHOWN:
        names = " ".join(options.rules)
        terminal.note(
            f"… and {len(loaded.refused) - SHOWN} more; reef ips check {escape(names)} lists them", "yellow"
        )
    if not loaded.loaded:
        raise Failure(f"{' '.join(options.rules)}: no rule could be loaded", name="rules")
    return loaded.rules


class _Shown:
    """How far it is, on one line of a terminal that is written again and again."""

    def __init__(self, terminal: Terminal) -> None:
        self._err = terminal.err
        self.wanted = self._err.isatty()
        self._last = -1

    def told(self, progress: Progress) -> None:
        share = 100 * progress.done // max(1, progress.size)
        if share != self._last:
            self._last = share
            self._err.write(f"\r{share:3d} %  {size(progress.done)}, {count(progress.alerts, 'alert')} ")
            self._err.flush()

    def over(self) -> None:
        if self._last >= 0:
            self._err.write("\r\x1b[K")
            self._err.flush()


def _show(summary: Summary, found: Found, terminal: Terminal, most: int) -> None:
    what = summary.captures[0] if len(summary.captures) == 1 else count(len(summary.captures), "capture")
    terminal.line(
        f"{escape(what)}: {count(summary.packets, 'packet')}, {size(summary.bytes)}, {count(found.flows, 'flow')}, "
        f"{count(found.hosts_seen, 'host')}, {count(found.alerts, 'alert')} ({took(summary.seconds)})",
        "bold",
    )
    if found.first:
        terminal.line(f"from {_moment(found.first)} to {_moment(found.last)} UTC", "dim")
    _alerts(found, terminal, most)
    _findings(summary, terminal, most)
    _section(
        terminal,
        "protocols",
        ("protocol", "flows", "packets", "bytes"),
        [(one.name, str(one.flows), str(one.packets), size(one.bytes)) for one in found.protocols],
        most,
        right={1, 2, 3},
    )
    _section(
        terminal,
        "hosts",
        ("host", "opened", "answered", "sent", "received", "alerts"),
        [
            (one.address, str(one.opened), str(one.answered), size(one.sent), size(one.received), _some(one.alerts))
            for one in found.hosts
        ],
        most,
        right={1, 2, 3, 4, 5},
        seen=found.hosts_seen,
    )
    _section(
        terminal,
        "conversations",
        ("client", "server", "service", "flows", "sent", "received"),
        [
            (one.client, one.server, one.service, str(one.flows), size(one.sent), size(one.received))
            for one in found.talks
        ],
        most,
        right={3, 4, 5},
    )
    _section(
        terminal,
        "names",
        ("name", "in", "times"),
        [(one.name, one.how, str(one.count)) for one in found.names],
        most,
        right={2},
    )
    _section(
        terminal,
        "files",
        ("file", "size", "kind", "from", "to", "over", "state", "sha256"),
        [
            (one.name, size(one.size), one.kind, one.source, one.destination, one.protocol, one.state, one.sha256)
            for one in found.files
        ],
        most,
        right={1},
        seen=found.files_seen,
    )
    _section(
        terminal,
        "anomalies",
        ("anomaly", "times"),
        [(one.what, str(one.count)) for one in found.anomalies],
        most,
        right={1},
    )
    _timeline(found.timeline, terminal)


def _findings(summary: Summary, terminal: Terminal, most: int) -> None:
    from appliance.commands.findings import show

    if not summary.findings:
        return
    terminal.line()
    terminal.line("findings", "bold")
    show(summary.findings[:most], terminal)
    if len(summary.findings) > most:
        terminal.line(f"… and {len(summary.findings) - most} more (--all shows them)", "dim")


def _alerts(found: Found, terminal: Terminal, most: int) -> None:
    styles = {1: "red", 2: "yellow"}
    _section(
        terminal,
        "alerts",
        ("severity", "times", "rule", "what", "from", "to", "first"),
        [
            (
                str(rule.severity),
                str(rule.count),
                f"{rule.gid}:{rule.sid}",
                rule.signature + (" (blocked)" if rule.action == "blocked" else ""),
                _and_others(rule.source, rule.sources),
                _and_others(rule.destination, rule.destinations),
                _moment(rule.first),
            )
            for rule in found.rules
        ],
        most,
        right={0, 1},
        styles=[styles.get(rule.severity, "") for rule in found.rules],
    )


def _rule_costs(costs: list[RuleCost], terminal: Terminal, most: int) -> None:
    every = sum(cost.ns for cost in costs) or 1
    _section(
        terminal,
        f"cost of rules: {_brief(every)}",
        ("share", "time", "checks", "matches", "mean", "longest", "rule", "what"),
        [
            (
                f"{100 * cost.ns / every:.1f} %",
                _brief(cost.ns),
                str(cost.checks),
                _some(cost.matches),
                _brief(cost.ns // cost.checks),
                _brief(cost.worst_ns),
                f"{cost.gid}:{cost.sid}",
                cost.message,
            )
            for cost in costs
        ],
        most,
        right={0, 1, 2, 3, 4, 5},
    )


def _section(
    terminal: Terminal,
    title: str,
    heads: Sequence[str],
    rows: list[tuple[str, ...]],
    most: int,
    *,
    right: set[int],
    styles: list[str] | None = None,
    seen: int = 0,
) -> None:
    if not rows:
        return
    terminal.line()
    terminal.line(title, "bold")
    terminal.table(heads, rows[:most], right=right, styles=styles[:most] if styles else None)
    hidden = max(seen, len(rows)) - min(most, len(rows))
    if hidden:
        terminal.line(
            f"… and {hidden} more (--all shows them)" if most < len(rows) else f"… and {hidden} more", "dim"
        )


def _timeline(bars: Sequence[Bar], terminal: Terminal) -> None:
    if len(bars) < 2:
        return
    highest = max(bar.bytes for bar in bars) or 1
    terminal.line()
    terminal.line("timeline", "bold")
    terminal.table(
        ("from", "flows", "alerts", "bytes", ""),
        [
            (
                _clock(bar.start),
                str(bar.flows),
                _some(bar.alerts),
                size(bar.bytes),
                "█" * round(30 * bar.bytes / highest),
            )
            for bar in bars
        ],
        right={1, 2, 3},
    )


def _clock(seconds: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _moment(timestamp: str) -> str:
    return timestamp[:19].replace("T", " ")


def _brief(ns: int) -> str:
    if ns < 1000:
        return f"{ns} ns"
    return f"{ns / 1000:.1f} µs" if ns < 1_000_000 else f"{ns / 1_000_000:.1f} ms"


def _some(amount: int) -> str:
    return str(amount) if amount else ""


def _and_others(address: str, distinct: int) -> str:
    return f"{address} +{distinct - 1}" if distinct > 1 else address
