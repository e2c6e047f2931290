"""What the running generation calls things, as inspectd takes it."""

from __future__ import annotations

import pytest

from appliance.control.messages.gateway import NameBook
from appliance.policy import logprefix
from appliance.policy.compiling.bundle import RuleInfo, ZoneInfo
from ctypes_ext.engine import EngineError, Names, RuleName
from dataplane.naming import names_of, rule_of_prefix, zone_of_interface

BOOK = NameBook(
    generation=3,
    site="health",
    zones=(ZoneInfo("lan", ("lan0", "lan1")), ZoneInfo("internet", ("wan0",))),
    rules=(
        RuleInfo("R-1", 1, "allow", log="end", said="lan -> internet web"),
        RuleInfo("R-2", 2, "deny", log="start", said="any -> lan,dmz"),
    ),
    networks={"lan": ("10.20.0.0/16", "2001:db8::/32")},
)


def test_interfaces_belong_to_zones() -> None:
    assert zone_of_interface(BOOK) == {"lan0": "lan", "lan1": "lan", "wan0": "internet"}
    assert zone_of_interface(None) == {}


def test_names_are_made_of_a_generation_and_of_none() -> None:
    assert isinstance(names_of(BOOK, {1: "lo", 2: "lan0"}), Names)
    assert isinstance(names_of(None, {1: "lo"}), Names)


def test_a_rule_number_beyond_the_mark_is_refused() -> None:
    with pytest.raises(EngineError, match="rule R-9"):
        Names().rule(1 << 18, RuleName("R-9", "allow"))


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        (logprefix.build("R-7", "deny", ("lan",), ("dmz",)), RuleName("R-7", "deny", "lan", "dmz", log_start=True)),
        (logprefix.build("default", "deny"), RuleName("default", "deny", log_start=True)),
        ("another table: ", RuleName("", "")),
    ],
)
def test_prefixes_are_read_as_the_compiler_wrote_them(prefix: str, expected: RuleName) -> None:
    assert rule_of_prefix(prefix.encode()) == expected
