"""`reef ips top`: what signatures fired, who was touched, and what each costs. From the spools."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from appliance.commands.failure import FORBIDDEN, OK, REFUSED, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.logline import line_of, networks_of, today
from appliance.commands.names import Names
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time, parse_moment
from appliance.control.messages import gateway as messages
from appliance.events import view
from appliance.events.record import ALERTS, COSTS_STATE, CostsState, Event, RuleCostState

SHOWN = 20
_LATEST = 10  # events of one signature that are printed
_TOUCHED = 10  # ends of one signature that are told
_MOST_ENDS = 10_000  # that are told apart for one signature


class Touched(msgspec.Struct, frozen=True):
    """An address, and in how many alerts it was."""

    address: str
    count: int


class Fired(msgspec.Struct, frozen=True):
    """A signature: its alerts, of which it `blocked` so many; seconds since the epoch; who sent and who got what it
    was found in, most first; under which rules of the policy; what it costs, where that is counted."""

    gid: int
    sid: int
    signature: str
    category: str
    severity: int
    count: int
    blocked: int
    first: float
    last: float
    sources: tuple[Touched, ...]
    destinations: tuple[Touched, ...]
    rules: tuple[Touched, ...]
    cost: RuleCostState | None = None


class FiredList(msgspec.Struct, frozen=True):
    """`costs_since` is from when on costs are counted, 0 where they are not."""

    fired: tuple[Fired, ...]
    left_out: int
    costs_since: float


class _Tally:
    """What is counted of one signature."""

    def __init__(self) -> None:
        self.alert: dict[str, object] = {}
        self.count = self.blocked = 0
        self.first = self.last = ""
        self.sources: Counter[str] = Counter()
        self.destinations: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()

    def add(self, event: Event, alert: dict[str, object]) -> None:
        self.alert = alert
        self.count += 1
        self.blocked += alert.get("action") == "blocked"
        self.first = min(self.first or event.timestamp, event.timestamp)
        self.last = max(self.last, event.timestamp)
        for counted, name in (
            (self.sources, event.src_ip),
            (self.destinations, event.dest_ip),
            (self.rules, event.decision.rule),
        ):
            if name and (name in counted or len(counted) < _MOST_ENDS):
                counted[name] += 1


def tally(events: Iterable[Event], costs: CostsState | None) -> list[Fired]:
    """What fired in these events, most first. The gateway's own alerts are no signatures'."""
    found: dict[tuple[int, int], _Tally] = {}
    for event in events:
        alert = event.alert
        if alert is None or alert.get("gid") == ALERTS:
            continue
        key = _number(alert, "gid"), _number(alert, "signature_id")
        found.setdefault(key, _Tally()).add(event, alert)
    by_number = {(cost.gid, cost.sid): cost for cost in costs.costs} if costs is not None else {}
    fired = [_fired(key, one, by_number.get(key)) for key, one in found.items()]
    return sorted(fired, key=lambda one: (-one.count, one.gid, one.sid))


def _fired(key: tuple[int, int], one: _Tally, cost: RuleCostState | None) -> Fired:
    return Fired(
        *key,
        str(one.alert.get("signature", "")),
        str(one.alert.get("category", "")),
        _number(one.alert, "severity"),
        one.count,
        one.blocked,
        Event(one.first, "alert").time.timestamp(),
        Event(one.last, "alert").time.timestamp(),
        _most(one.sources),
        _most(one.destinations),
        _most(one.rules),
        cost,
    )


def _most(counted: Counter[str]) -> tuple[Touched, ...]:
    return tuple(Touched(name, times) for name, times in counted.most_common(_TOUCHED))


def _number(alert: dict[str, object], name: str) -> int:
    value = alert.get(name)
    return value if isinstance(value, int) else 0


def top(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options, patience=5.0)
    names = _names(gateway)
    try:
        selection = view.Selection(
            since=parse_moment(options.since, time.time()) if options.since else None,
            types=("alert",),
            networks=networks_of(options.host, names),
        )
        events = view.past(gateway.instance.events, selection)
    except ValueError as error:
        raise Failure(str(error), code=USAGE, name="usage") from error
    except PermissionError as error:
        remedy = "be root or in the operators' group to read alerts"
        raise Failure(f"{error.filename}: {error.strerror}", remedy, code=FORBIDDEN, name="not-allowed") from error
    costs = read_costs(gateway.instance.events_of("inspectd"))
    fired = tally(events, costs)
    if options.sid:
        return _one(options.sid, fired, events, names, terminal)
    shown = fired if options.all or terminal.json else fired[:SHOWN]
    if terminal.json:
        terminal.data(FiredList(tuple(shown), len(fired) - len(shown), costs.since if costs else 0.0))
        return OK
    rows = [
        (
            f"{one.gid}:{one.sid}",
            escape(one.signature),
            escape(one.category),
            str(one.severity),
            str(one.count),
            str(one.blocked),
            local_time(one.last),
            escape(_ends(one.sources)),
            escape(_ends(one.destinations)),
            _cost(one.cost),
        )
        for one in shown
    ]
    header = ("sid", "signature", "category", "sev", "alerts", "blocked", "last", "from", "to", "time")
    terminal.table(header, rows, right={3, 4, 5, 9}, empty="nothing fired")
    if len(fired) > len(shown):
        terminal.note(f"{count(len(fired) - len(shown), 'signature')} more; --all shows them")
    return OK


def _one(words: str, fired: list[Fired], events: list[Event], names: Names, terminal: Terminal) -> int:
    gid, _, sid = words.rpartition(":")
    if not sid.isdigit() or not (gid or "1").isdigit():
        raise Failure(f"{words!r} is no number of a signature", "write 2019401 or 1:2", code=USAGE, name="usage")
    key = int(gid or 1), int(sid)
    found = next((one for one in fired if (one.gid, one.sid) == key), None)
    if found is None:
        raise Failure(f"{key[0]}:{key[1]} did not fire", "`reef ips top` says what did", code=REFUSED, name="unknown")
    if terminal.json:
        terminal.data(found)
        return OK
    stopped = f", {found.blocked} of them stopped what they were found in" if found.blocked else ""
    terminal.line(f"{key[0]}:{key[1]} {escape(found.signature)}", "bold")
    terminal.line(f"  {escape(found.category)}, severity {found.severity}")
    terminal.line(
        f"  {count(found.count, 'alert')} from {local_time(found.first)} to {local_time(found.last)}{stopped}"
    )
    for title, touched in (("from", found.sources), ("to", found.destinations), ("under rule", found.rules)):
        listed = ", ".join(f"{one.address} ({one.count})" for one in touched)
        terminal.line(f"  {title}: {escape(listed) or '-'}")
    if found.cost is not None:
        cost = found.cost
        per = cost.ns / cost.checks / 1000 if cost.checks else 0.0
        terminal.line(
            f"  costs {cost.ns / 1e6:.1f} ms: checked {cost.checks:,} times, {per:.1f} µs each, at worst "
            f"{cost.worst_ns / 1000:.1f} µs; all of it held {cost.matches:,} times"
        )
    mine = [event for event in events if event.alert and _of(event.alert) == key]
    for event in mine[-_LATEST:]:
        terminal.line(escape(line_of(event, names, today())))
    terminal.note(f"packets that were kept: reef ips evidence; silence it somewhere: reef ips suppress {words}")
    return OK


def _of(alert: dict[str, object]) -> tuple[int, int]:
    return _number(alert, "gid"), _number(alert, "signature_id")


def _names(gateway: Gateway) -> Names:
    """Those of the running generation; none where nobody can be asked: what fired must be readable then too."""
    try:
        return Names(gateway.ask(messages.Names(), messages.NameBook))
    except Failure as failure:
        if failure.name == "no-gateway":
            raise
        return Names()


def read_costs(spool: Path) -> CostsState | None:
    """What the rules cost, where inspectd counts it."""
    try:
        return msgspec.json.decode((spool / COSTS_STATE).read_bytes(), type=CostsState)
    except (OSError, ValueError):
        return None


def _ends(touched: tuple[Touched, ...]) -> str:
    if not touched:
        return ""
    more = f" +{len(touched) - 1}" if len(touched) > 1 else ""
    return touched[0].address + more


def _cost(cost: RuleCostState | None) -> str:
    return f"{cost.ns / 1e6:.1f} ms" if cost is not None else ""
