"""What stands in for the gate in nft: its table as a value, lists as ranges."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from appliance.control.applying.standin import _ranges
from appliance.control.kernel.standintable import TABLES, chain, line_of, standin
from appliance.policy.model import Protection, Rate
from ctypes_ext.gate import PrefixList
from dataplane.standin import MOST, request

EVERYTHING = Protection(
    bogons=("martians", "private", "documentation"),
    syn=Rate(200, 1, 400),
    udp=Rate(60, 60, 5),
    icmp=Rate(1, 3600, 1),
    strangers=Rate(5000, 1, 5000),
)


def test_lists_become_few_ranges_and_spared_networks_stand_apart() -> None:
    lists = {
        "one": PrefixList.read(b"192.0.2.0/25\n192.0.2.128/25\n192.0.2.7\n2001:db8::/32\n")[0],
        "two": PrefixList.read(b"192.0.3.0/24\n")[0],
    }
    spared = {ip_network("192.0.2.9"): True, ip_network("10.0.0.0/8"): False, ip_network("2001:db8:1::/48"): True}
    made, too_long = request(("wan0",), lists, spared)
    assert too_long == ()
    assert made.listed4 == bytes([192, 0, 2, 0, 192, 0, 3, 255])
    assert [(e.first >> 96, e.last >> 96) for e in _ranges(made.listed6, 6)] == [(0x20010DB8, 0x20010DB8)]
    assert made.allowed4 == bytes([192, 0, 2, 9]) * 2
    assert made.own4 == bytes([10, 0, 0, 0, 10, 255, 255, 255])
    assert len(list(_ranges(made.allowed6, 6))) == 1 and made.own6 == b""


def test_a_list_that_is_too_long_is_left_out_whole_and_named() -> None:
    long, _ = PrefixList.read("\n".join(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(MOST)).encode())
    short, _ = PrefixList.read(b"192.0.2.1\n192.0.2.3\n")
    made, too_long = request(("wan0",), {"a": short, "b": long, "c": short}, {})
    assert too_long == ("b",)
    assert len(list(_ranges(made.listed4, 4))) == 2


@pytest.mark.parametrize(
    "packed",
    [
        b"\0\0\0\1",
        bytes([0, 0, 0, 2, 0, 0, 0, 1]),
        bytes([0, 0, 0, 1] * 4),
        bytes([0, 0, 0, 5] * 2 + [0, 0, 0, 4] * 2),
    ],
)
def test_ranges_that_are_none_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="IPv4"):
        list(_ranges(packed, 4))


def test_the_gates_order_is_kept_at_a_line() -> None:
    rules = standin(TABLES[0], {"wan0": Protection(), "lan0": EVERYTHING}).chains[chain(1, "lan0")].rules
    assert line_of(chain(1, "lan0")) == {1: "lan0"} and line_of("early") == {}
    order = ["@allowed_v4", "@listed_v4", "bogons1", "@syn1_v4", "@udp1_v4", "@icmp1_v4", "strangers1"]
    places = [next(at for at, rule in enumerate(rules) if word in rule) for word in order]
    assert places == sorted(places)
    assert "limit rate over 1/second burst 5 packets" in rules[places[4]]
