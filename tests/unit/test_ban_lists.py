"""What a list of prefixes holds of the gateway is found among a million, and nothing else is taken for it."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import msgspec
import pytest

from appliance.commands.ban import in_parts
from appliance.control.deciding.bandesk import holding
from appliance.control.ipc import LIMIT
from appliance.control.messages.gate import GateList
from ctypes_ext.gate import PrefixList
from dataplane.banlists import Staged, TooMuch


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


def test_a_long_list_is_cut_into_messages_that_are_taken_and_together_are_the_list() -> None:
    found = PrefixList()
    packed6 = bytes(17) * 700_001
    made = in_parts("x", found.packed(4), packed6)
    assert len(made) == 3
    assert all(len(msgspec.json.encode(part)) < LIMIT for part in made)
    assert b"".join(part.packed6 for part in made) == packed6
    assert in_parts("x", bytes(5), b"") == [GateList("x", bytes(5))]


def test_what_comes_in_parts_is_bounded_and_forgotten_when_it_is_none() -> None:
    staged = Staged()
    staged.put("a", 0, b"1", b"2")
    staged.put("a", 1, b"3", b"")
    assert staged.take("a", 2) == (b"13", b"2")
    assert staged.take("", 0) == (b"", b"")
    with pytest.raises(TooMuch, match="0 of 2"):
        staged.take("a", 2)
    for ticket in "abcd":
        staged.put(ticket, 0, b"", b"")
    with pytest.raises(TooMuch, match="without"):
        staged.put("a", 1, b"", b"")
    part = bytes(40 << 20)
    staged.put("d", 1, part, b"")
    with pytest.raises(TooMuch, match="64 MiB"):
        staged.put("d", 2, part, b"")
    with pytest.raises(TooMuch):
        staged.take("d", 2)
