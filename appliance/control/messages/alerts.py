"""What is asked of alertd about the alerts that it keeps: which there are, one with what belongs to it, how many."""

from __future__ import annotations

from typing import Literal

import msgspec

MOST_ALERTS = 500  # of one answer
MOST_COMING = 50  # of one answer to who waits for them
MOST_AROUND = 1_000  # events of one answer

# What raised it: a rule of inspection, a detection over many packets, an indicator that others gave, the gateway.
AlertKind = Literal["signature", "finding", "indicator", "gateway"]


class Alerts(msgspec.Struct, frozen=True, tag=True):
    """The newest `limit` alerts before number `before` (0: from the end) that are chosen, newest first.

    "" and 0 choose all. `severity`: this severe or worse (1 is the worst). `rule` is one of the policy, `signature`
    a number (2019401, 1:2019401) or words of its title, `address` an address or a network; moments are seconds since
    the epoch, `since` <= moment < `until`.
    """

    before: int = 0
    limit: int = 100
    severity: int = 0
    kind: AlertKind | Literal[""] = ""
    rule: str = ""
    signature: str = ""
    address: str = ""
    since: float = 0.0
    until: float = 0.0


class KeptEvent(msgspec.Struct, frozen=True):
    """An event as consumers get it: EVE JSON, with pseudonyms where the policy asks for them. `tlp` is its label."""

    number: int
    tlp: str
    body: bytes


class AlertsAre(msgspec.Struct, frozen=True, tag=True):
    """`next` is where to go on looking, 0 when everything was looked at; `last` the newest number there is."""

    alerts: tuple[KeptEvent, ...]
    next: int
    last: int


class AlertWith(msgspec.Struct, frozen=True, tag=True):
    """One alert, and what else was seen of its connection (else of its hosts) within `seconds` of it."""

    number: int
    seconds: float = 300.0
    limit: int = 100


class AlertIs(msgspec.Struct, frozen=True, tag=True):
    """`events` are in their order. `left_out` of them found no place; `whole` says that everything in that time was
    looked at."""

    alert: KeptEvent
    events: tuple[KeptEvent, ...]
    left_out: int
    whole: bool


class AlertsBehind(msgspec.Struct, frozen=True, tag=True):
    """What came behind number `after` (below 0: nothing, only say where the end is); waits up to `seconds` for it."""

    after: int
    seconds: float = 0.0


class AlertsCame(msgspec.Struct, frozen=True, tag=True):
    """The newest `MOST_COMING` of them, oldest first; `skipped` came before these. Go on behind `through`."""

    alerts: tuple[KeptEvent, ...]
    skipped: int
    through: int


class AlertCounts(msgspec.Struct, frozen=True, tag=True):
    """How many alerts came, and which signatures raised the most."""

    limit: int = 100


class FiredSignature(msgspec.Struct, frozen=True):
    """What one signature raised in the last day: `count` alerts, `hour` of them in the last hour, `blocked` of them
    with what they were found in stopped. `last` is when, from whom to whom."""

    gid: int
    sid: int
    kind: AlertKind
    title: str
    category: str
    severity: int
    count: int
    hour: int
    blocked: int
    last: float
    source: str = ""
    destination: str = ""


class AlertCountsAre(msgspec.Struct, frozen=True, tag=True):
    """Alerts of the last hour and day, in steps of a minute, and of the last day by signature, the noisiest first;
    `others` signatures are not listed. Nothing is known of before `since` (seconds since the epoch)."""

    hour: int
    day: int
    since: float
    signatures: tuple[FiredSignature, ...]
    others: int


class AlertTrend(msgspec.Struct, frozen=True, tag=True):
    """How many alerts came each day, `since` <= moment < `until` (0: now), in seconds since the epoch."""

    since: float
    until: float = 0.0


class DayOfAlerts(msgspec.Struct, frozen=True):
    """`count` alerts of a severity on the day (UTC) that began at `day`."""

    day: int
    severity: int
    count: int


class AlertTrendIs(msgspec.Struct, frozen=True, tag=True):
    """Days and severities without alerts are left out. `whole` says that all were counted."""

    days: tuple[DayOfAlerts, ...]
    whole: bool
