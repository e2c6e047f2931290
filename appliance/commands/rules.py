"""`reef show rules`, `reef show counters`: the rules that run, and what they matched since they are watched."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import msgspec

from appliance.commands.failure import OK, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time, size, span
from appliance.control.messages import gateway as messages
from appliance.control.messages.hits import Gap, HitList, Hits, RuleHits
from appliance.policy.compiling.bundle import RuleInfo

DAY = 86_400
WINDOW = 90 * DAY
# What a rule may lack of the time it was to be watched and still be called unused: a boot takes a minute or two.
LACK = 0.01
_MANY = 20
_STYLES = {"allow": "", "deny": "red", "reject": "red"}


class RuleLine(msgspec.Struct, frozen=True):
    """One rule with its history, as `reef show rules --json` and `counters --json` print it.

    Moments are seconds since the epoch, 0 for never. `recent`, `watched` speak of the window, `worded` of the
    rule as it is worded now.
    """

    id: str
    action: str
    said: str
    hits: int
    bytes: int
    first: float
    last: float
    recent: int
    watched: float
    worded: float
    worded_hits: int
    log: str
    owner: str
    why: str
    expires_at: int
    review: str


class RuleList(msgspec.Struct, frozen=True):
    """`begin` is when the history begins; `watched` how many seconds of the `window` the counters were observed."""

    window: int
    begin: float
    watched: float
    gaps: tuple[Gap, ...]
    rules: tuple[RuleLine, ...]
    too_short: tuple[RuleLine, ...] = ()  # with --unused: without a hit, but not watched long enough to say so


def read(gateway: Gateway, window: int) -> RuleList:
    """The rules in their order, then the counters of what is no rule of the text."""
    book = gateway.ask(messages.Names(), messages.NameBook)
    found = _hits(gateway, window)
    by_id = {one.id: one for one in found.rules}
    infos = {rule.id: rule for rule in book.rules}
    extra = [RuleInfo(name, 0, "") for name in by_id if name not in infos]
    lines = tuple(_line(info, by_id.get(info.id) or _unknown(info.id)) for info in (*book.rules, *extra))
    return RuleList(window, found.begin, found.watched, found.gaps, lines)


def _hits(gateway: Gateway, window: int) -> HitList:
    """The history; where none can be kept, what the kernel counts now, of which nothing is known to be watched."""
    try:
        return gateway.ask(Hits(window), HitList)
    except Failure as failure:
        if failure.name != "store":
            raise
    counted = gateway.ask(messages.RuleCounters(), messages.RuleCounterList)
    rules = tuple(RuleHits(one.id, one.packets, one.bytes, 0.0, 0.0, 0, 0.0, 0.0, 0) for one in counted.counters)
    return HitList(counted.generation, time.time(), window, 0.0, 0.0, (), rules)


def _unknown(name: str) -> RuleHits:
    return RuleHits(name, 0, 0, 0.0, 0.0, 0, 0.0, 0.0, 0)


def _line(rule: RuleInfo, one: RuleHits) -> RuleLine:
    return RuleLine(
        rule.id, rule.action, rule.said, one.hits, one.bytes, one.first, one.last, one.recent, one.watched,
        one.worded, one.worded_hits, rule.log, rule.owner, rule.why, rule.expires_at, rule.review,
    )  # fmt: skip


def rules(options: argparse.Namespace, terminal: Terminal) -> int:
    window = options.unused or WINDOW
    found = read(Gateway(options), window)
    now = time.time()
    lines, short = list(found.rules), []
    if options.unused is not None or options.never_hit or options.expiring is not None:
        lines = [line for line in lines if line.action]
    if options.expiring is not None:
        lines = [line for line in lines if _ends(line, now) <= now + options.expiring]
        lines.sort(key=lambda line: _ends(line, now))
    if options.never_hit:
        lines = [line for line in lines if not line.hits]
    if options.unused is not None:
        silent = [line for line in lines if line.last < now - window]
        lines = [line for line in silent if line.watched >= window * (1 - LACK)]
        short = [line for line in silent if line.watched < window * (1 - LACK)]
    if options.sort:
        lines.sort(key=_ORDERS[options.sort])
    found = msgspec.structs.replace(found, rules=tuple(lines), too_short=tuple(short))
    if terminal.json:
        terminal.data(found)
    elif options.csv:
        _csv(lines)
    else:
        _show(found, options, terminal, now)
    return OK


_ORDERS: dict[str, Callable[[RuleLine], tuple[float, str] | tuple[str, str]]] = {
    "hits": lambda line: (-line.hits, line.id),
    "recent": lambda line: (-line.recent, line.id),
    "last": lambda line: (-line.last, line.id),
    "until": lambda line: (_ends(line, 0.0), line.id),
    "owner": lambda line: (line.owner, line.id),
    "id": lambda line: (line.id, ""),
}


def _ends(line: RuleLine, now: float) -> float:
    """When somebody must act: at the end or, where it comes first, at the review. What has ended needs no review."""
    ends = float(line.expires_at) if line.expires_at else float("inf")
    if not line.review or ends <= now:
        return ends
    day_after = date.fromisoformat(line.review) + timedelta(1)
    return min(ends, datetime.combine(day_after, datetime.min.time()).timestamp())


def _show(found: RuleList, options: argparse.Namespace, terminal: Terminal, now: float) -> None:
    rows = [
        (
            line.id,
            line.action,
            line.said,
            number(line.hits),
            number(line.recent),
            last_hit(line.last, now) if line.last or not line.hits else "?",
            _until(line, now),
            line.owner,
            line.why,
        )
        for line in found.rules
    ]
    styles = ["dim" if 0 < line.expires_at <= now else _STYLES.get(line.action, "") for line in found.rules]
    heads = ("rule", "action", "what", "hits", f"in {span(found.window)}", "last hit", "until", "owner", "why")
    terminal.table(heads, rows, right={3, 4}, styles=styles, empty=_nothing(options))
    if found.too_short:
        terminal.line()
        terminal.line("Without a hit too, but not watched, as they are worded now, for all of that time:", "yellow")
        for line in found.too_short[:_MANY]:
            watched = f"watched {span(line.watched)} of {span(found.window)}"
            terminal.line(f"  {escape(line.id)}: {watched}, {_silent_since(line, now)}")
        if len(found.too_short) > _MANY:
            terminal.line(f"  … and {len(found.too_short) - _MANY} more (--json names them)", "dim")
    terminal.note(_watched(found, now), "dim")


def _nothing(options: argparse.Namespace) -> str:
    if options.unused is not None:
        return f"no rule was watched for {span(options.unused)} without a hit"
    if options.expiring is not None:
        return f"no rule ends or waits for its review within {span(options.expiring)}"
    return "every rule was hit" if options.never_hit else "no rules"


def _watched(found: RuleList, now: float) -> str:
    """How good the figures are: since when, and what is missing of the window."""
    if not found.begin:
        return (
            "No history can be kept (`reef log` says why): these are the kernel's own counters since the last boot."
        )
    words = f"Hits are counted since {local_time(found.begin)[:16]}"
    since = max(found.begin, now - found.window)
    lack = max(now - since - found.watched, 0.0)
    broken = [gap for gap in found.gaps if gap.end > since and gap.begin >= found.begin]
    if not broken or lack < 1:
        return f"{words}, without a gap."
    worst = max(broken, key=lambda gap: gap.end - gap.begin)
    return (
        f"{words}; {span(lack)} of the last {span(now - since)} were not watched ({count(len(broken), 'gap')}, the "
        f"longest {span(worst.end - worst.begin)} until {local_time(worst.end)[:16]}: {worst.why})."
    )


def last_hit(last: float, now: float) -> str:
    return f"{span(now - last)} ago" if last else "never"


def _silent_since(line: RuleLine, now: float) -> str:
    return f"last hit {span(now - line.last)} ago" if line.last else "never hit"


def _until(line: RuleLine, now: float) -> str:
    ends = "expired" if 0 < line.expires_at <= now else local_time(line.expires_at)[:16] if line.expires_at else ""
    review = f"review {line.review}" if line.review else ""
    return ", ".join(words for words in (ends, review) if words)


_MOMENTS = frozenset({"first", "last", "worded", "expires_at"})  # UTC in a table, empty for never


def _csv(lines: list[RuleLine]) -> None:
    """For a spreadsheet, which must not take what others wrote for a formula."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    fields = RuleLine.__struct_fields__
    out.writerow(fields)
    for line in lines:
        out.writerow([_cell(field, getattr(line, field)) for field in fields])


def _cell(field: str, value: str | float) -> str | float:
    if field in _MOMENTS and isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S") if value else ""
    if not isinstance(value, str):
        return value
    return f"'{escape(value)}" if value[:1] in ("=", "+", "-", "@") else escape(value)


def counters(options: argparse.Namespace, terminal: Terminal) -> int:
    found = read(Gateway(options), WINDOW)
    lines = sorted(found.rules, key=lambda line: (-line.hits, line.id))
    if terminal.json:
        terminal.data(msgspec.structs.replace(found, rules=tuple(lines)))
        return OK
    rows = [(line.id, line.action, number(line.hits), size(line.bytes), line.said) for line in lines]
    terminal.table(("rule", "action", "hits", "bytes", "what"), rows, right={2, 3}, empty="no rules")
    return OK


def number(amount: int) -> str:
    return f"{amount:,}".replace(",", " ")
