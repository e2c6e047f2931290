"""What fired, who was touched and what it costs, counted out of events."""

from __future__ import annotations

import json
import time
from pathlib import Path

from appliance.commands.ipstop import Touched, read_costs, tally
from appliance.events import record
from appliance.events.record import CostsState, Decision, Event, RuleCostState
from ctypes_ext.engine import RuleCost
from dataplane.costs import MOST, Costs, together


def alert(sid: int, second: int, source: str = "203.0.113.9", *, action: str = "allowed", gid: int = 1) -> Event:
    body = {"action": action, "gid": gid, "signature_id": sid, "signature": f"s{sid}", "category": "c", "severity": 2}
    return Event(
        record.format_time(second), "alert", src_ip=source, dest_ip="10.20.0.9", alert=body,
        metadata=record.metadata(Decision("reef", "R-1", "allow", "internet", "lan")),
    )  # fmt: skip


def test_what_fired_most_comes_first_with_its_ends_and_times() -> None:
    events = [alert(7, 100), alert(5, 90), alert(7, 80, action="blocked"), alert(7, 110, "203.0.113.10")]
    events += [alert(4, 1, gid=record.ALERTS), record.notice("x", "y", seconds=1)]
    costs = CostsState(1.0, 2.0, (RuleCostState(1, 7, 10, 3, 5000, 900),))
    first, second = tally(events, costs)
    assert (first.sid, first.count, first.blocked, first.first, first.last) == (7, 3, 1, 80.0, 110.0)
    assert first.sources == (Touched("203.0.113.9", 2), Touched("203.0.113.10", 1))
    assert first.destinations == (Touched("10.20.0.9", 3),)
    assert first.rules == (Touched("R-1", 3),)
    assert first.cost is not None
    assert first.cost.ns == 5000
    assert (second.sid, second.cost) == (5, None)
    assert tally([], None) == []


def test_a_signature_that_meets_a_million_hosts_costs_bounded_memory() -> None:
    events = (alert(7, 1, f"2001:db8::{number:x}") for number in range(20_000))
    (found,) = tally(events, None)
    assert found.count == 20_000
    assert len(found.sources) == 10


def test_costs_are_told_the_dearest_first_and_read_again(tmp_path: Path) -> None:
    said: list[str] = []
    costs = Costs(tmp_path / record.COSTS_STATE, said.append)
    costs.begin(50.0)
    told = [RuleCost(1, number, 1, "m", 10, 2, 9000 - number, 40) for number in range(MOST + 5)]
    costs.tell(told, time.time())
    found = read_costs(tmp_path)
    assert found is not None
    assert (found.since, len(found.costs), found.costs[0].ns) == (50.0, MOST, 9000)
    (tmp_path / record.COSTS_STATE).write_text(json.dumps({"since": "x"}))
    assert read_costs(tmp_path) is None
    lost = Costs(tmp_path / "nowhere" / "costs.json", said.append)
    lost.tell(told, 1.0)
    lost.tell(told, 2.0)
    assert len(said) == 1


def test_what_several_workers_spent_on_a_rule_is_one_sum() -> None:
    taps = [RuleCost(1, 7, 1, "seven", 10, 2, 500, 90), RuleCost(1, 8, 1, "eight", 1, 0, 400, 400)]
    lane = [RuleCost(1, 7, 1, "seven", 5, 1, 100, 95), RuleCost(3, 7, 1, "another seven", 1, 1, 9000, 9000)]
    found = together([taps, [], lane])
    assert [(one.gid, one.sid, one.checks, one.matches, one.ns, one.worst_ns) for one in found] == [
        (3, 7, 1, 1, 9000, 9000),
        (1, 7, 15, 3, 600, 95),
        (1, 8, 1, 0, 400, 400),
    ]
