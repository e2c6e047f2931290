"""Sources that are behind an interface whatever the routing table says."""

from __future__ import annotations

import msgspec

from appliance.policy.compiling.emit import addresses
from appliance.policy.compiling.onlink import onlink
from appliance.policy.model import InterfaceAddress, Policy, Route, Zone
from tests.policies import network

LAN = Zone(
    "lan",
    ("lan0", "lan1"),
    networks=(network("10.1.0.0/16"), network("10.2.0.0/16"), network("2001:db8:1::/64")),
    addresses=(
        InterfaceAddress("lan0", "10.1.0.1/16"),
        InterfaceAddress("lan0", "2001:db8:1::1/64"),
        InterfaceAddress("lan0", "fe80::1/64"),
        InterfaceAddress("lan1", "10.2.0.200/24"),
    ),
)


def said(policy: Policy) -> list[tuple[str, str]]:
    found = onlink(policy, policy.zones["lan"])
    return [(interface, addresses((part.first, part.last), part.version)) for interface, part in found]


def test_hosts_of_an_interfaces_own_networks_are_behind_it() -> None:
    assert said(Policy("here", zones={"lan": LAN})) == [
        ("lan0", "10.1.0.2-10.1.255.254"),
        ("lan0", "2001:db8:1::2-2001:db8:1:0:ffff:ffff:ffff:ffff"),
        ("lan1", "10.2.0.1-10.2.0.199"),
        ("lan1", "10.2.0.201-10.2.0.254"),
    ]


def test_a_route_into_the_network_makes_it_worth_a_look() -> None:
    inside = Policy("here", zones={"lan": LAN}, routes=(Route("10.1.5.0/24", via="10.2.0.9"),))
    assert ("lan0", "10.1.0.2-10.1.255.254") not in said(inside)
    around = Policy("here", zones={"lan": LAN}, routes=(Route("10.0.0.0/8", via="10.2.0.9"), Route("0.0.0.0/0")))
    assert ("lan0", "10.1.0.2-10.1.255.254") in said(around)


def test_another_interface_inside_the_network_makes_it_worth_a_look() -> None:
    other = Zone("lab", ("lab0",), addresses=(InterfaceAddress("lab0", "10.1.9.1/24"),))
    assert "10.1.0.2-10.1.255.254" not in [word for _, word in said(Policy("here", zones={"lan": LAN, "lab": other}))]


def test_only_what_the_zone_says_it_holds() -> None:
    few = msgspec.structs.replace(LAN, networks=(network("10.1.4.0/24"),))
    assert said(Policy("here", zones={"lan": few})) == [("lan0", "10.1.4.0/24")]
    assert said(Policy("here", zones={"lan": msgspec.structs.replace(LAN, networks=())})) == []
