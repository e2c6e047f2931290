"""Bridges: what the kernel is told of them, who carries which, and what they are to inspection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.control.applying.shape import ShapeError, check
from appliance.control.deciding.numbering import Numbers
from appliance.control.kernel import bridges
from appliance.control.messages.gateway import NameBook
from appliance.policy.compiling.bundle import BridgeInfo, Bundle, ZoneInfo
from appliance.policy.compiling.reactions import variants
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.meant.parse import parse
from appliance.policy.model import Protection
from dataplane import carried
from dataplane.gate import BridgeLines, Wanted, places
from dataplane.naming import place_of_interface, zone_of_interface

EDGE = BridgeInfo("edge", ("ens1", "ens2"), 7, "strict", open=True)
CORE = BridgeInfo("core", ("ens3", "ens4"), 8, "standard")
TEXT = """\
reef: 1
site: bridged
zones: {lan: {interfaces: [lan0], networks: [10.20.0.0/16]}}
bridges:
  edge: {between: [ens1, ens2], inspect: strict, owner: it, why: a test}
rules:
  - {id: R-1, from: lan, to: gateway, service: ssh, action: allow, owner: it, why: a test}
"""


def test_the_kernel_forwards_what_is_fail_open_and_drops_the_rest() -> None:
    told = bridges.commands((EDGE, CORE)).splitlines()
    assert told[:3] == [
        "add table netdev reef_bridge",
        "delete table netdev reef_bridge",
        "add table netdev reef_bridge",
    ]
    hook = "type filter hook ingress device"
    assert told[3:] == [
        f'add chain netdev reef_bridge edge_0 {{ {hook} "ens1" priority 0; policy drop; }}',
        'add rule netdev reef_bridge edge_0 counter fwd to "ens2"',
        f'add chain netdev reef_bridge edge_1 {{ {hook} "ens2" priority 0; policy drop; }}',
        'add rule netdev reef_bridge edge_1 counter fwd to "ens1"',
        f'add chain netdev reef_bridge core_0 {{ {hook} "ens3" priority 0; policy drop; }}',
        f'add chain netdev reef_bridge core_1 {{ {hook} "ens4" priority 0; policy drop; }}',
    ]


def test_without_bridges_the_table_goes() -> None:
    told = bridges.commands(()).splitlines()
    assert told == ["add table netdev reef_bridge", "delete table netdev reef_bridge"]


def test_who_carries_a_bridge_is_told_of_by_a_table_that_its_process_owns() -> None:
    told = carried.commands(carried.Line("edge", ("ens1", "ens2")))
    assert told.startswith("add table netdev reef_carried_edge { flags owner; }\n")
    assert told.count("priority -10; policy drop; }") == 2


def test_only_bridges_that_run_can_be_carried(tmp_path: Path) -> None:
    running = tmp_path / "running.json"
    lines = [{"name": "edge", "between": ["ens1", "ens2"], "open": True, "number": 7}]
    running.write_text(json.dumps({"site": "s", "bridges": lines}))
    assert carried.bridge_of(running, "edge") == carried.Line("edge", ("ens1", "ens2"), open=True)
    assert carried.bridge_of(running, "core") is None


def test_a_bridge_keeps_its_number_like_a_rule(tmp_path: Path) -> None:
    policy, _ = parse(TEXT, "site.yaml", inherited={})
    numbers = Numbers(tmp_path / "numbers.json", pytest.fail)
    first = numbers.number(policy)
    again = Numbers(tmp_path / "numbers.json", pytest.fail).number(policy)
    assert first.bridges["edge"].number == again.bridges["edge"].number != first.rules[0].number != 0


def test_what_a_profile_says_for_any_direction_holds_on_a_bridge() -> None:
    [variant], of_rule = variants((EDGE.rule,))
    assert (variant.profile, variant.directions) == ("strict", ("inbound", "outbound"))
    assert of_rule == {7: 1}


def test_events_name_the_bridge_where_there_is_no_zone() -> None:
    book = NameBook(1, "s", (ZoneInfo("lan", ("lan0",)),), (), bridges=(EDGE,))
    assert place_of_interface(book) == {"lan0": "lan", "ens1": "edge", "ens2": "edge"}
    assert zone_of_interface(book) == {"lan0": "lan"}, "taps look at zones only"


def test_the_gate_stands_at_both_lines_of_a_protected_bridge() -> None:
    lines = (
        BridgeLines("edge", ("ens1", "ens2"), Protection(malformed=False)),
        BridgeLines("core", ("ens3", "ens4")),
    )
    found = places(Wanted(bridges=lines), {"ens1": 4})
    assert [(place.interface, place.zone, place.index) for place in found] == [
        ("ens1", "edge", 4),
        ("ens2", "edge", 0),
    ]
    assert not found[0].way.malformed


@pytest.mark.parametrize(
    "bad",
    [
        BridgeInfo("edge; flush ruleset", ("ens1", "ens2"), 1, "strict"),
        BridgeInfo("edge", ("ens1", 'ens2" }; add'), 1, "strict"),
    ],
)
def test_no_name_of_a_bundle_ends_its_statement(bad: BridgeInfo) -> None:
    bundle = Bundle("s", 1, 0, "a", "b", 0.0, "", {}, Ruleset("reef"), bridges=(bad,))
    with pytest.raises(ShapeError):
        check(bundle)
