"""The register of lines, connections in the policy's words, and processes as they are told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from appliance.commands.names import Names
from appliance.console.api.lines import register
from appliance.console.flowrows import FlowRow, between, row
from appliance.console.healthnow import Health, HealthNow
from appliance.console.streams import Live
from appliance.control.deciding.processhealth import Healths
from appliance.control.messages.gateway import NameBook, ProcessHealth, StatusReport
from appliance.control.messages.lines import LineList, LineState
from appliance.control.messages.live import Flow
from appliance.policy.compiling.bundle import RuleInfo, ZoneInfo
from appliance.policy.notices import Officer

BOOK = NameBook(
    generation=7,
    site="clinic",
    zones=(ZoneInfo("internet", ("wan0", "lte0"), external=True), ZoneInfo("dmz", ("dmz0",))),
    rules=(RuleInfo("P-1", 1, "allow", said="internet -> portal web"),),
    objects={"portal": ("10.21.0.10",)},
    services={"web": ("tcp/80",)},
    networks={"dmz": ("10.21.0.0/24",)},
    officers=(
        Officer("wan0", "internet", "H. Officer <noc@health.example>", "BTL fibre", "+501 555 0100"),
        Officer("lte0", "internet", "M. Officer <mobile@health.example>", "LTE"),
        Officer("old0", "", "O. Old <old@health.example>", "gone"),
    ),
)
NAMES = Names(BOOK)


def test_the_register_says_of_each_line_who_to_call_and_how_it_is() -> None:
    listed = LineList(
        7, 1000.0, 0.0, 3,
        (LineState("wan0", "no carrier", 900.0, "internet"), LineState("lte0", "up", 0.0, "internet"),
         LineState("usb0", "up")),
    )  # fmt: skip
    found = register(BOOK, listed)
    assert [(one.line, one.officer, one.mail, one.phone, one.state, one.since) for one in found.connections] == [
        ("wan0", "H. Officer", "noc@health.example", "+501 555 0100", "no carrier", 900.0),
        ("lte0", "M. Officer", "mobile@health.example", "", "up", 0.0),
        ("old0", "O. Old", "old@health.example", "", "", 0.0),
    ]
    assert found.unregistered == ("usb0",)


def flow(**changes: Any) -> Flow:
    of = Flow(
        "tcp", "192.0.2.2", 50000, "203.0.113.2", 80, "10.21.0.10", 80, "192.0.2.2", 50000,
        "established", "P-1", (4, 3), (400, 300), 12, 100, id=(1 << 63) + 1,
    )  # fmt: skip
    return msgspec.structs.replace(of, **changes)


def test_a_connection_is_told_by_whom_it_reached_and_what_it_asked_for() -> None:
    told = row(flow(), NAMES)
    assert (told.id, told.rule, told.said) == ("9223372036854775809", "P-1", "internet -> portal web")
    assert (told.source_zone, told.destination_zone, told.destination_name) == ("internet", "dmz", "portal")
    assert (told.destination, told.destination_port, told.asked) == ("10.21.0.10", 80, "203.0.113.2:80")
    assert (told.service, told.sent, told.received) == ("web(tcp/80)", 400, 300)


@pytest.mark.parametrize(
    ("changes", "asked", "port"),
    [
        ({"destination": "10.21.0.10"}, "", 80),
        ({"destination": "2001:db8::1", "destination_port": 8080}, "[2001:db8::1]:8080", 80),
        # What stands where ports are is the number and kind of an ICMP question.
        ({"protocol": "icmp", "destination": "10.21.0.10", "destination_port": 2048}, "", 0),
        ({"protocol": "icmp", "destination_port": 2048}, "203.0.113.2", 0),
    ],
)
def test_only_what_was_translated_says_what_was_asked_for(changes: dict[str, Any], asked: str, port: int) -> None:
    told = row(flow(**changes), NAMES)
    assert (told.asked, told.destination_port) == (asked, port)


def test_a_zone_finds_connections_with_an_end_in_it() -> None:
    def zones(rows: list[FlowRow]) -> list[tuple[str, str]]:
        return [(one.source_zone, one.destination_zone) for one in rows]

    rows = [row(flow(), NAMES), row(flow(reply_source="198.51.100.1"), NAMES)]
    assert zones(between(rows, "dmz")) == [("internet", "dmz")]
    assert len(between(rows, "internet")) == 2


def test_a_process_is_as_it_is_since_somebody_saw_it_change() -> None:
    seen = Healths()
    assert seen.now("keyd", "", 10.0) == ProcessHealth("keyd", alive=True)
    assert seen.now("keyd", "does not answer", 11.0) == ProcessHealth("keyd", False, "does not answer", 11.0)
    assert seen.now("keyd", "timeout", 12.0).since == 11.0
    assert seen.now("keyd", "", 13.0) == ProcessHealth("keyd", True, "", 13.0)


class Told(Live):
    """What was published."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Health] = []

    def publish(self, kind: Any, value: object, **how: Any) -> None:
        assert (kind, how) == ("health", {"state": True})
        assert isinstance(value, Health)
        self.events.append(value)


def report(*processes: ProcessHealth) -> StatusReport:
    return StatusReport("clinic", 7, 7, 0.0, "", (), processes)


def test_processes_are_told_when_one_changes_and_not_otherwise() -> None:
    health, live = HealthNow(), Told()
    health.know(None, 0.0, "no such file", 1.0, live)
    assert (health.now, live.events) == (None, [])
    fine = report(ProcessHealth("keyd", alive=True))
    for second in (2.0, 3.0):
        health.know(fine, second, "", second, live)
    assert [[one.alive for one in event.processes] for event in live.events] == [[True, True]]
    health.know(report(ProcessHealth("keyd", False, "gone", 4.0)), 4.0, "", 4.0, live)
    health.know(report(ProcessHealth("keyd", False, "gone", 4.0)), 4.0, "policyd broke off", 5.0, live)
    assert [(one.name, one.alive, one.since) for one in live.events[-1].processes] == [
        ("policyd", False, 5.0),
        ("keyd", False, 4.0),
    ]
    assert (live.events[-1].away, live.events[-1].as_of, len(live.events)) == ("policyd broke off", 4.0, 3)
