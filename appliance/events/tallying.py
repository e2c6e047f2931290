"""How many alerts came in the last hour and day, and which signatures raised the most. Pure.

Counted by when they came into the outbox, whose clock never goes back: all together by the minute, each signature by
the quarter of an hour, so that a flood of alerts fills no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from appliance.control.messages.alerts import AlertCountsAre, AlertKind, FiredSignature
from appliance.events.record import ALERTS, INDICATORS

DAY = 86_400
HOUR = 3_600
_FINDINGS = 100  # numbers of the gateway's own generator beyond that are detections'
_MINUTE = 60
_QUARTER = 900
_MOST_SIGNATURES = 2_000


class Told(msgspec.Struct):
    """What is asked of an alert's line."""

    alert: dict[str, Any]
    src_ip: str = ""
    dest_ip: str = ""


def kind_of(gid: int, sid: int) -> AlertKind:
    """What raises alerts of that number."""
    if gid == INDICATORS:
        return "indicator"
    if gid != ALERTS:
        return "signature"
    return "finding" if sid > _FINDINGS else "gateway"


def number(alert: Mapping[str, Any], name: str) -> int:
    """A number of an alert; 0 where it is none."""
    value = alert.get(name)
    return value if isinstance(value, int) else 0


def severity_of(body: bytes) -> int:
    """What the line of an alert says; 0 where it says nothing."""
    try:
        return number(_decoder.decode(body).alert, "severity")
    except msgspec.DecodeError:
        return 0


class _Steps:
    """Counts of the last day, in steps of so many seconds."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._steps: deque[list[int]] = deque()  # [when it began, how many], rising
        self.day = 0

    def add(self, seconds: float) -> None:
        begun = int(seconds) // self._step * self._step
        if self._steps and self._steps[-1][0] >= begun:
            self._steps[-1][1] += 1
        else:
            self._steps.append([begun, 1])
        self.day += 1

    def forget(self, now: float) -> None:
        while self._steps and self._steps[0][0] <= now - DAY:
            self.day -= self._steps.popleft()[1]

    def hour(self, now: float) -> int:
        found = 0
        for begun, count in reversed(self._steps):
            if begun <= now - HOUR:
                break
            found += count
        return found


class _Signature:
    def __init__(self) -> None:
        self.steps = _Steps(_QUARTER)
        self.blocked = _Steps(_QUARTER)
        self.told = Told({})
        self.last = 0.0

    def add(self, told: Told, seconds: float) -> None:
        self.steps.add(seconds)
        if told.alert.get("action") == "blocked":
            self.blocked.add(seconds)
        self.told, self.last = told, seconds

    def forget(self, now: float) -> None:
        self.steps.forget(now)
        self.blocked.forget(now)


class Tally:
    """The counts. Alerts are added in the order in which they came; seconds are since the epoch."""

    def __init__(self, since: float) -> None:
        self._since = since
        self._all = _Steps(_MINUTE)
        self._signatures: dict[tuple[int, int], _Signature] = {}

    def add(self, body: bytes, seconds: float) -> None:
        """One more alert, by its line."""
        self._all.add(seconds)
        try:
            told = _decoder.decode(body)
        except msgspec.DecodeError:
            return
        key = number(told.alert, "gid"), number(told.alert, "signature_id")
        found = self._signatures.get(key)
        if found is None:
            if len(self._signatures) >= _MOST_SIGNATURES:
                return
            found = self._signatures[key] = _Signature()
        found.add(told, seconds)

    def counts(self, now: float, limit: int) -> AlertCountsAre:
        self._all.forget(now)
        for one in self._signatures.values():
            one.forget(now)
        self._signatures = {key: one for key, one in self._signatures.items() if one.steps.day}
        noisy = sorted(self._signatures.items(), key=lambda item: (-item[1].steps.day, item[0]))
        return AlertCountsAre(
            self._all.hour(now),
            self._all.day,
            max(self._since, now - DAY),
            tuple(_fired(key, one, now) for key, one in noisy[:limit]),
            max(0, len(noisy) - limit),
        )


def _fired(key: tuple[int, int], one: _Signature, now: float) -> FiredSignature:
    alert = one.told.alert
    return FiredSignature(
        *key,
        kind_of(*key),
        str(alert.get("signature", "")),
        str(alert.get("category", "")),
        number(alert, "severity"),
        one.steps.day,
        one.steps.hour(now),
        one.blocked.day,
        one.last,
        one.told.src_ip,
        one.told.dest_ip,
    )


_decoder = msgspec.json.Decoder(Told)
