"""An outbox with alerts in it, and the desk that answers from it, for tests."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path

from appliance.control.messages.alerts import AlertCounts, AlertCountsAre, Alerts, AlertsAre
from appliance.events import record
from appliance.events.alerts import AlertDesk
from appliance.events.classes import Class
from appliance.events.outbox import New, Outbox
from appliance.events.tlp import Tlp

NOW = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Kept:
    """An outbox, and the desk that answers from it."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.outbox = Outbox(folder / "outbox.db", lambda words: None, clock=self.clock)
        self.desk = AlertDesk(self.outbox, self.clock)

    def alert(
        self, sid: int = 1000, *, gid: int = 1, severity: int = 2, source: str = "203.0.113.66", flow: int = 0,
        rule: str = "R-1", action: str = "allowed", title: str = "", community: str = "",
    ) -> int:  # fmt: skip
        alert = {"gid": gid, "signature_id": sid, "signature": title or f"Title {sid}", "severity": severity}
        return self._take("alert", source, flow, rule, {**alert, "action": action}, community)

    def other(
        self, kind: str, *, source: str = "203.0.113.66", flow: int = 0, rule: str = "R-1", community: str = ""
    ) -> int:
        return self._take(kind, source, flow, rule, None, community)

    def _take(
        self, kind: str, source: str, flow: int, rule: str, alert: dict[str, object] | None, community: str = ""
    ) -> int:
        event = record.Event(
            timestamp=record.format_time(self.clock.now),
            event_type=kind,
            flow_id=flow or None,
            src_ip=ip_address(source).exploded,
            dest_ip="10.20.0.12",
            community_id=community,
            alert=alert,
            metadata=record.metadata(record.Decision(record.GID, rule, "allow", "internet", "lan")),
        )
        class_ = Class.ALERT if kind == "alert" else Class.TELEMETRY
        new = New(record.encode(event).rstrip(), kind, class_, Tlp.AMBER, int(self.clock.now * 1e6))
        return self.outbox.append([new])[1]

    def asked(self, asked: Alerts) -> AlertsAre:
        found = asyncio.run(self.desk.answer(asked))
        assert isinstance(found, AlertsAre)
        return found

    def numbers(self, asked: Alerts) -> list[int]:
        return [one.number for one in self.asked(asked).alerts]

    def counts(self) -> AlertCountsAre:
        found = asyncio.run(self.desk.answer(AlertCounts()))
        assert isinstance(found, AlertCountsAre)
        return found
