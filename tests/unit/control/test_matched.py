"""What rules matched, read from a flow log that was really written."""

from __future__ import annotations

import asyncio
import time
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from appliance.control.deciding.matched import MatchedReader
from appliance.control.messages.hits import Matched, MatchedFlows, MatchedList
from appliance.events import flowfile
from ctypes_ext.flowtable import Seen
from dataplane.flowlog import FlowLog

KEY = bytes(range(32))
DAY = 86_400


def seen(rule: str, source: str, port: int, at: float, flows: int = 1, **more: object) -> Seen:
    version6 = ":" in source
    made: dict[str, object] = {
        "source": IPv6Address(source) if version6 else IPv4Address(source),
        "destination": IPv6Address("2001:db8::80") if version6 else IPv4Address("10.21.0.10"),
        "protocol": 6, "port": port, "rule": rule, "action": "allow", "from_zone": "lan", "to_zone": "dmz",
        "minute": int(at) // 60, "count": flows,
    }  # fmt: skip
    return Seen(**(made | more))  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path) -> FlowLog:
    opened = FlowLog(tmp_path, lambda _: KEY, rows=4096)
    opened.days = 30
    return opened


def write(log: FlowLog, at: float, *flows: Seen) -> None:
    for one in flows:
        assert log.table.add(one)
    log.write(at)


def read(directory: Path, *rules: str, seconds: int = 30 * DAY, key: bytes | None = KEY) -> MatchedList:
    return asyncio.run(MatchedReader(directory, lambda _: key).read(Matched(rules, seconds)))


def test_alike_flows_of_different_hours_are_one_row(log: FlowLog, tmp_path: Path) -> None:
    now = time.time()
    for hours in (50, 26, 2):
        at = now - hours * 3600
        write(log, at, seen("R-1", "10.20.0.5", 443, at, 3), seen("R-2", "10.20.0.6", 22, at))
    found = read(tmp_path, "R-1")
    last = int(now - 2 * 3600) // 60 * 60
    assert found.flows == (MatchedFlows("R-1", "lan", "dmz", 6, 443, "10.20.0.5", "10.21.0.10", 9, last),)
    assert (found.logged, found.missing) == (12, ())
    assert found.since <= now - 50 * 3600 + 60
    assert {flow.rule for flow in read(tmp_path, "R-1", "R-2").flows} == {"R-1", "R-2"}


def test_the_destination_is_that_after_translation_and_both_versions_are_told(log: FlowLog, tmp_path: Path) -> None:
    now = time.time()
    outer = seen("P-1", "192.0.2.7", 8443, now, asked=IPv4Address("203.0.113.2"), asked_port=443)
    write(log, now, outer, seen("P-1", "2001:db8::7", 128 << 8, now, protocol=58))
    found = {(one.source, one.destination, one.protocol, one.port) for one in read(tmp_path, "P-1").flows}
    assert found == {("192.0.2.7", "10.21.0.10", 6, 8443), ("2001:db8::7", "2001:db8::80", 58, 128 << 8)}


def test_only_the_asked_time_is_read(log: FlowLog, tmp_path: Path) -> None:
    now = time.time()
    for days in (20, 3):
        at = now - days * DAY
        write(log, at, seen("R-1", f"10.20.0.{days}", 443, at))
    assert [one.source for one in read(tmp_path, "R-1", seconds=7 * DAY).flows] == ["10.20.0.3"]
    assert read(tmp_path, "R-1", seconds=60).logged == 0


def test_what_cannot_be_read_is_said_and_blocks_of_other_rules_are_not_opened(log: FlowLog, tmp_path: Path) -> None:
    now = time.time()
    write(log, now, seen("R-1", "10.20.0.5", 443, now, 4))
    closed = read(tmp_path, "R-1", key=None)
    assert closed.flows == ()
    assert closed.missing == ("4 flows cannot be read: their keys are gone, or their blocks damaged",)
    assert "cannot be read" in read(tmp_path, "R-1", key=bytes(32)).missing[0]
    assert read(tmp_path, "R-2", key=None).missing == ()


def test_a_log_cut_in_mid_record_gives_what_is_whole(log: FlowLog, tmp_path: Path) -> None:
    now = time.time()
    write(log, now, seen("R-1", "10.20.0.5", 443, now))
    write(log, now, seen("R-1", "10.20.0.6", 443, now))
    (path,) = flowfile.files(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    found = read(tmp_path, "R-1")
    assert [one.source for one in found.flows] == ["10.20.0.5"]
    (words,) = found.missing
    assert words.endswith("bytes of the flow log are damaged or were not written whole")


def test_without_a_log_there_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "none", "R-1") == MatchedList(0, 0, 0, ())
