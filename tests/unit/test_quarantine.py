"""Quarantine as the kernel is told of it, and what the text means."""

from __future__ import annotations

import pytest

from appliance.control.applying.quarantine import commands
from appliance.control.applying.shape import ShapeError, check
from appliance.policy.answering.plan import plan
from appliance.policy.compiling.bundle import Bundle, QuarantineInfo
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.meant.parse import parse
from appliance.policy.model import ServiceEntry

LAN = QuarantineInfo(
    "lan", ("lan0", "lan1"), (ServiceEntry(17, (67, 67), (68, 68)), ServiceEntry(58, icmp=(128, 128)))
)
MAC = "b8:27:eb:01:02:03"
TEXT = "reef: 1\nsite: s\nzones: {lan: {interfaces: [lan0]}}\n"
HELD = "reef: 1\nsite: s\nzones: {lan: {interfaces: [lan0], unknown-devices: quarantine}}\n"


def test_who_is_accepted_passes_what_is_named_passes_and_nothing_else() -> None:
    told = commands((LAN,), (MAC,), {"quarantine_lan": (5, 300)}).splitlines()
    assert told[0:2] == ["add table inet reef_quarantine", "delete table inet reef_quarantine"]
    rules = [
        line.partition("zone_lan ")[2] for line in told if line.startswith("add rule inet reef_quarantine zone_")
    ]
    assert rules[:3] == [
        "ether saddr @accepted return",
        "meta l4proto 17 th sport 68 th dport 67 return",
        "meta l4proto 58 icmpv6 type 128 return",
    ]
    assert rules[-1].startswith("counter name quarantine_lan log prefix ")
    assert rules[-1].endswith(" drop")
    assert f"add set inet reef_quarantine accepted {{ type ether_addr; elements = {{ {MAC} }}; }}" in told
    assert "add counter inet reef_quarantine quarantine_lan { packets 5 bytes 300 }" in told
    assert told[-1] == 'add rule inet reef_quarantine early iifname { "lan0", "lan1" } goto zone_lan'


def test_without_a_zone_there_is_no_table_whoever_is_accepted() -> None:
    assert commands((), (MAC,)).splitlines()[-1] == "delete table inet reef_quarantine"


def test_unless_the_text_says_else_addresses_and_names_are_left() -> None:
    policy, _ = parse(HELD, "s.yaml", inherited={})
    may = policy.zones["lan"].quarantined_may
    assert may is not None
    assert {(entry.protocol, entry.ports) for entry in may} == {
        (17, (67, 67)), (17, (547, 547)), (17, (53, 53)), (6, (53, 53)),
    }  # fmt: skip
    assert parse(TEXT, "s.yaml", inherited={})[0].zones["lan"].quarantined_may is None


def test_a_plan_says_that_a_quarantine_begins() -> None:
    before, after = (parse(text, "s.yaml", inherited={})[0] for text in (TEXT, HELD))
    [change] = plan(before, after)
    assert "no quarantine" in change.words
    assert "udp/67" in change.words


@pytest.mark.parametrize("bad", [QuarantineInfo("lan }", ("lan0",)), QuarantineInfo("lan", ('lan0" accept',))])
def test_no_name_of_a_bundle_ends_its_statement(bad: QuarantineInfo) -> None:
    bundle = Bundle("s", 1, 0, "a", "b", 0.0, "", {}, Ruleset("reef"), quarantines=(bad,))
    with pytest.raises(ShapeError):
        check(bundle)
