"""The log prefix and its reader."""

from __future__ import annotations

import pytest

from appliance.policy.logprefix import MAX_PREFIX, LogPrefix, build, parse


def test_what_is_built_is_read_back() -> None:
    assert parse(build("R-7", "allow", ("lan",), ("internet",))) == LogPrefix("R-7", "allow", "lan", "internet")
    assert build("R-7", "allow", ("lan",), ("internet",)) == "R-7 allow lan internet "


def test_more_than_one_zone_is_left_to_the_interface() -> None:
    assert parse(build("R-7", "deny", ("lan", "dmz"), ())) == LogPrefix("R-7", "deny")


def test_a_prefix_that_is_too_long_gives_up_the_zones_first() -> None:
    long = "z" * 48
    prefix = build("R" * 48, "reject", (long,), (long,))
    assert len(prefix) <= MAX_PREFIX
    assert parse(prefix) == LogPrefix("R" * 48, "reject")
    with pytest.raises(ValueError, match="too long"):
        build("R" * 125, "deny")


@pytest.mark.parametrize("prefix", ["", "x", "R-7 allow a b", "R-7 permit a b ", "R-7 allow  b "])
def test_other_prefixes_are_nobodys(prefix: str) -> None:
    assert parse(prefix) is None


def test_the_kernels_terminating_nul_does_not_matter() -> None:
    assert parse("default deny - - \0") == LogPrefix("default", "deny")


@pytest.mark.parametrize("rule", ["two words", 'quo"te', ""])
def test_a_rule_id_that_cannot_be_said_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        build(rule, "deny")
