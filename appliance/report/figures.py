"""The figures that an office asks for (R28): what changed, how quickly, what is kept in order, what was averted.

Each is counted from the gateway's own records, of a window of days, and says from which; where these could not be
read it says so and is no number. Pure.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from appliance.control.messages.alerts import AlertTrendIs
from appliance.control.messages.audit import AuditHealthIs
from appliance.control.messages.changes import Proposal, ProposalList
from appliance.control.messages.gateway import BanList, GenerationSummary
from appliance.control.messages.indicators import IndicatorList
from appliance.control.messages.watch import DeviceList
from appliance.policy import times
from appliance.policy.model import Policy
from appliance.report.evidence import CannotTell, Reading
from appliance.report.facts import Facts

DAY = 86_400
DAYS = 30  # of a window that nobody chose
MOST_DAYS = 366
_WATCHED = 0.9  # of the window, for a rule to count as unused in it

Unit = Literal["count", "seconds", "percent"]
Group = Literal["changes", "rules", "alerts", "protection"]
SEVERITIES = {1: "high", 2: "medium", 3: "low", 4: "information"}


class Figure(msgspec.Struct, frozen=True):
    """`value` is None where `missing` says why there is none. `of` is what it is a part of, 0 for nothing."""

    id: str
    group: Group
    title: str
    unit: Unit
    value: float | None
    of: int = 0
    missing: str = ""
    query: str = ""  # what it was counted from


class Line(msgspec.Struct, frozen=True):
    """A number for each day of the window."""

    id: str
    title: str
    values: tuple[int, ...]


class Trend(msgspec.Struct, frozen=True):
    id: str
    title: str
    days: tuple[int, ...]  # when each began, in seconds since the epoch (UTC)
    lines: tuple[Line, ...]


class Figures(msgspec.Struct, frozen=True):
    """`since` to `until` in seconds since the epoch."""

    since: float
    until: float
    figures: tuple[Figure, ...]
    trends: tuple[Trend, ...]


class Records(msgspec.Struct, frozen=True):
    """What is counted, beside the facts of the report. `since` is where the window begins."""

    since: float
    proposals: Reading[ProposalList]
    alerts: Reading[AlertTrendIs]
    indicators: Reading[IndicatorList]
    devices: Reading[DeviceList]
    bans: Reading[BanList]
    audit: Reading[AuditHealthIs]


def figures(facts: Facts, records: Records) -> Figures:
    """All of them."""
    counting = _Counting(facts, records)
    found = (*counting.changes(), *counting.rules(), *counting.alerts(), *counting.protection())
    return Figures(records.since, facts.taken, found, tuple(counting.trends()))


class _Counting:
    def __init__(self, facts: Facts, records: Records) -> None:
        self._facts = facts
        self._records = records
        self._now = facts.taken
        first = int(records.since // DAY)
        self._days = tuple(day * DAY for day in range(first, int(self._now // DAY) + 1))

    def _figure(
        self,
        id_: str,
        group: Group,
        title: str,
        count: Callable[[], tuple[float | None, int]],
        query: str,
        unit: Unit = "count",
        none: str = "",
    ) -> Figure:
        """`count` gives the value and what it is a part of; None where there is `none` to count."""
        try:
            value, of = count()
        except CannotTell as error:
            return Figure(id_, group, title, unit, None, 0, error.reason, query)
        return Figure(id_, group, title, unit, value, of, none if value is None else "", query)

    # --- changes --------------------------------------------------------------------------------------

    def _applied(self) -> list[GenerationSummary]:
        """Those of the window that ran."""
        history = self._facts.history.known()
        return [one for one in history if one.created >= self._records.since and one.state != "failed"]

    def _proposals(self) -> tuple[Proposal, ...]:
        return self._records.proposals.known().proposals

    def changes(self) -> Iterator[Figure]:
        query, proposals = self._facts.history.query, self._records.proposals.query

        def back() -> tuple[float, int]:
            ran = self._applied()
            return sum(one.state == "rolled-back" for one in ran), len(ran)

        def agreed() -> tuple[float, int]:
            ran = self._applied()
            return sum(bool(one.approvers) for one in ran), len(ran)

        def to_confirm() -> tuple[float | None, int]:
            waits = [one.confirmed_at - one.created for one in self._applied() if one.confirmed_at >= one.created]
            return _middle(waits), len(waits)

        def to_apply() -> tuple[float | None, int]:
            made = {one.number: one.created for one in self._proposals()}
            waits = [one.created - made[one.proposal] for one in self._applied() if one.proposal in made]
            return _middle(waits), len(waits)

        def waiting() -> tuple[float, int]:
            return sum(one.state in ("proposed", "approved", "scheduled") for one in self._proposals()), 0

        none = "there was none in this time"
        yield self._figure("applied", "changes", "Changes applied", lambda: (len(self._applied()), 0), query)
        yield self._figure("rolled-back", "changes", "Changes rolled back", back, query)
        yield self._figure("agreed", "changes", "Changes that others approved", agreed, query)
        yield self._figure(
            "to-apply", "changes", "From proposal to apply (median)", to_apply, proposals, "seconds", none
        )
        yield self._figure(
            "to-confirm", "changes", "From apply to confirm (median)", to_confirm, query, "seconds", none
        )
        yield self._figure("waiting", "changes", "Proposals that wait now", waiting, proposals)

    # --- rules ----------------------------------------------------------------------------------------

    def rules(self) -> Iterator[Figure]:
        policy, hits = self._facts.policy, self._facts.hits

        def of_rules(count: Callable[[Policy], int]) -> Callable[[], tuple[float, int]]:
            return lambda: (count(policy.known()), len(policy.known().rules))

        def overdue(known: Policy) -> int:
            zone = times.zone(known.settings.timezone)
            return sum(bool(rule.review) and times.day_end(rule.review, zone) <= self._now for rule in known.rules)

        def unused() -> tuple[float, int]:
            enabled = {rule.id for rule in policy.known().rules if rule.enabled}
            found = [one for one in hits.known().rules if one.id in enabled]
            window = hits.known().window
            long = [one for one in found if one.watched >= _WATCHED * window]
            if found and not long:
                longest = max(one.watched for one in found)
                raise CannotTell(f"no rule was watched for longer than {lasting(longest)}")
            return sum(not one.recent for one in long), len(enabled)

        now = self._now
        yield self._figure("rules", "rules", "Rules", lambda: (len(policy.known().rules), 0), policy.query)
        for id_, title, count in (
            (
                "expired",
                "Rules that have expired",
                lambda known: sum(0 < one.expires_at <= now for one in known.rules),
            ),
            ("overdue", "Rules whose review is overdue", overdue),
            ("without-owner", "Rules without an owner", lambda known: sum(not one.owner for one in known.rules)),
            (
                "undated",
                "Rules without an end or a review",
                lambda known: sum(not one.expires and not one.review for one in known.rules),
            ),
        ):
            yield self._figure(id_, "rules", title, of_rules(count), policy.query)
        days = f"{(hits.value.window if hits.value else 0) // DAY}"
        yield self._figure("unused", "rules", f"Rules that matched nothing in {days} days", unused, hits.query)

    # --- alerts ---------------------------------------------------------------------------------------

    def alerts(self) -> Iterator[Figure]:
        alerts = self._records.alerts

        def of(severity: int) -> Callable[[], tuple[float, int]]:
            def count() -> tuple[float, int]:
                found = self._in_window()
                return sum(one[2] for one in found if one[1] == severity), sum(one[2] for one in found)

            return count

        for severity, words in SEVERITIES.items():
            yield self._figure(f"alerts-{words}", "alerts", f"Alerts, severity {words}", of(severity), alerts.query)

    def _in_window(self) -> list[tuple[int, int, int]]:
        """(day, severity, count)"""
        least = int(self._records.since // DAY) * DAY
        return [(one.day, one.severity, one.count) for one in self._records.alerts.known().days if one.day >= least]

    # --- protection -----------------------------------------------------------------------------------

    def protection(self) -> Iterator[Figure]:
        records, status = self._records, self._facts.status

        def enforced() -> tuple[float, int]:
            found = records.indicators.known()
            return found.in_force.get("block", 0), sum(found.in_force.values())

        def unknown() -> tuple[float, int]:
            found = records.devices.known().devices
            return sum(one.state == "unknown" for one in found), len(found)

        def alive() -> tuple[float, int]:
            found = status.known().processes
            return sum(one.alive for one in found), len(found)

        yield self._figure("blocked", "protection", "Indicators that block", enforced, records.indicators.query)
        yield self._figure(
            "bans",
            "protection",
            "Addresses banned now",
            lambda: (len(records.bans.known().bans), 0),
            records.bans.query,
        )
        yield self._figure("devices", "protection", "Devices nobody accepted", unknown, records.devices.query)
        yield self._figure("alive", "protection", "Processes that answer", alive, status.query)
        yield self._figure(
            "drift", "protection", "Changes behind the policy's back now",
            lambda: (1 if status.known().drift else 0, 0), status.query,
        )  # fmt: skip
        yield self._figure(
            "audit", "protection", "Troubles of the audit trail",
            lambda: (len(records.audit.known().troubles), 0), records.audit.query,
        )  # fmt: skip

    # --- trends ---------------------------------------------------------------------------------------

    def trends(self) -> Iterator[Trend]:
        """What cannot be told has none."""
        if self._facts.history.value is not None:
            ran = self._applied()
            lines = (
                self._line("applied", "Applied", ((one.created, 1) for one in ran)),
                self._line(
                    "rolled-back", "Rolled back", ((one.created, 1) for one in ran if one.state == "rolled-back")
                ),
            )
            yield Trend("changes", "Changes", self._days, lines)
        if self._records.alerts.value is not None:
            found = self._in_window()
            severities = tuple(
                self._line(
                    f"alerts-{words}", words.capitalize(), ((day, n) for day, of, n in found if of == severity)
                )
                for severity, words in SEVERITIES.items()
            )
            yield Trend("alerts", "Alerts by severity", self._days, severities)

    def _line(self, id_: str, title: str, counted: Iterable[tuple[float, int]]) -> Line:
        found: Counter[int] = Counter()
        for at, count in counted:
            found[int(at // DAY) * DAY] += count
        return Line(id_, title, tuple(found[day] for day in self._days))


def _middle(waits: list[float]) -> float | None:
    return round(statistics.median(waits), 1) if waits else None


def words_of(figure: Figure) -> str:
    """`3 of 41`, `4 min`, or why there is no number."""
    if figure.value is None:
        return f"not known: {figure.missing}"
    if figure.unit == "seconds":
        return lasting(figure.value)
    said = f"{figure.value:,.0f}"
    return f"{said} of {figure.of:,}" if figure.of else said


def lasting(seconds: float) -> str:
    for size, name in ((DAY, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
