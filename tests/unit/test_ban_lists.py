"""What a list of prefixes holds of the gateway is found among a million, and nothing else is taken for it."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest

from appliance.control.bandesk import holding
from appliance.control.messages_gate import GateList
from ctypes_ext.gate import PrefixList


def packed(*words: str) -> GateList:
    found, _ = PrefixList.read("\n".join(words).encode())
    return GateList("x", found.packed(4), found.packed(6))


@pytest.mark.parametrize(
    ("prefixes", "address", "held"),
    [
        (["10.20.0.0/16"], "10.20.0.1", "10.20.0.0/16"),
        (["10.20.0.1"], "10.20.0.1", "10.20.0.1/32"),
        (["10.20.0.2", "10.21.0.0/16"], "10.20.0.1", ""),
        (["10.0.0.0/8", "10.20.0.1"], "10.20.0.1", "10.0.0.0/8"),
        (["2001:db8::/32"], "2001:db8::1", "2001:db8::/32"),
        (["2001:db8::/32"], "10.20.0.1", ""),
        ([], "10.20.0.1", ""),
    ],
)
def test_the_prefix_that_holds_an_address(prefixes: list[str], address: str, held: str) -> None:
    assert holding(packed(*prefixes), address) == held


def test_it_is_what_looking_at_each_prefix_says() -> None:
    chance = random.Random(7)
    words = [f"{chance.randrange(1, 4)}.{chance.randrange(3)}.{chance.randrange(3)}.0/24" for _ in range(60)]
    words += [f"{chance.randrange(1, 4)}.{chance.randrange(3)}.0.{chance.randrange(9)}" for _ in range(60)]
    networks = [ip_network(word) for word in words]
    request = packed(*words)
    for _ in range(300):
        address = f"{chance.randrange(1, 4)}.{chance.randrange(3)}.{chance.randrange(3)}.{chance.randrange(9)}"
        assert bool(holding(request, address)) is any(ip_address(address) in network for network in networks)
