"""What rules matched, as `reef suggest` and `where-used --seen` take it from the flow log."""

from __future__ import annotations

from appliance.commands.names import Names
from appliance.commands.observed import seen_in_log
from appliance.control.messages.gateway import NameBook
from appliance.control.messages.hits import MatchedFlows
from appliance.policy.compiling.bundle import ZoneInfo
from appliance.policy.model import InterfaceAddress

LAN, INTERNET, DMZ = (ZoneInfo(name, (f"{name}0",)) for name in ("lan", "internet", "dmz"))
NETWORKS: dict[str, tuple[str, ...]] = {"lan": ("10.20.0.0/16",), "dmz": ("10.21.0.0/24",)}


def zones(names: Names, from_zone: str, to_zone: str, source: str, destination: str) -> tuple[str, str]:
    seen = seen_in_log(MatchedFlows("R-1", from_zone, to_zone, 6, 443, source, destination, 1, 0), names)
    return seen.origin, seen.target


def test_a_zone_that_the_log_does_not_have_is_that_of_the_address() -> None:
    names = Names(
        NameBook(
            1, "s", (LAN, INTERNET, DMZ), (), networks=NETWORKS, addresses=(InterfaceAddress("lan0", "10.20.0.1/16"),)
        )
    )
    assert zones(names, "lan", "", "10.20.0.5", "198.51.100.80") == ("lan", "internet")
    assert zones(names, "", "", "10.21.0.10", "10.20.0.1") == ("dmz", "gateway")
    # What the log has is what was: today's networks may be others.
    assert zones(names, "dmz", "internet", "10.20.0.5", "10.21.0.10") == ("dmz", "internet")


def test_of_two_zones_without_networks_neither_is_guessed() -> None:
    names = Names(NameBook(1, "s", (LAN, INTERNET, ZoneInfo("partner", ("wan1",))), (), networks=NETWORKS))
    assert zones(names, "lan", "", "10.20.0.5", "198.51.100.80") == ("lan", "")
