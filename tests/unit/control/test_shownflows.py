"""Connections as `reef show flows` tells them: one that the running generation forbids is not said to pass."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from appliance.control.applying.shownflows import CUT, shown_flows
from appliance.control.kernel.conntrack import Flow, Tuple
from appliance.control.messages.live import Flows
from appliance.policy.compiling.bundle import FLAG_QUEUE_CLOSED, FLAG_QUEUE_OPEN, RuleInfo, generation_mark

RULES = (
    RuleInfo("R-1", 1, "allow"),
    RuleInfo("R-2", 2, "deny"),
    RuleInfo("R-4", 4, "allow", inspect="strict"),
)
CLIENT, SERVER = ip_address("10.20.0.11"), ip_address("198.51.100.80")


def flow(mark: int) -> Flow:
    return Flow(Tuple(CLIENT, SERVER, 17, 40000, 53), Tuple(SERVER, CLIENT, 17, 53, 40000), mark)


@pytest.mark.parametrize(
    ("mark", "cut"),
    [
        (generation_mark(8) | 1, False),  # decided by the generation that runs
        (generation_mark(7) | 1, False),  # decided before, and quiet since; its rule still allows it
        (generation_mark(7) | 2, True),  # its rule denies now
        (generation_mark(7) | 3, True),  # its rule is gone
        (generation_mark(8) | 3, False),  # a number that is not known, but this generation let it in
        (1, True),  # rule 1 let it in once; it was decided anew since then, and not let in
        (0, False),  # never decided: of the box itself before any policy
    ],
)
def test_a_connection_that_is_forbidden_now_is_cut(mark: int, cut: bool) -> None:
    (shown,) = shown_flows([flow(mark)], Flows(), 8, RULES).flows
    assert (shown.state == CUT) is cut


@pytest.mark.parametrize(
    ("mark", "inspection"),
    [
        (generation_mark(8) | 1, ""),
        (generation_mark(8) | 4 | FLAG_QUEUE_CLOSED, "judged"),
        (generation_mark(8) | 4 | FLAG_QUEUE_OPEN, "judged"),
        (generation_mark(8) | 4, "handed back"),
        (generation_mark(7) | 4, "judged"),  # its next packet is decided anew
    ],
)
def test_a_connection_says_whether_it_is_judged_or_was_handed_back(mark: int, inspection: str) -> None:
    (shown,) = shown_flows([flow(mark)], Flows(), 8, RULES).flows
    assert shown.inspection == inspection


def carried(source_port: int, octets: int, started: int, protocol: int = 6) -> Flow:
    there = Tuple(CLIENT, SERVER, protocol, source_port, 443)
    back = Tuple(SERVER, ip_address("203.0.113.2"), protocol, 8443, source_port)
    return Flow(there, back, generation_mark(8) | 1, bytes=(octets, octets), started=started)


FLOWS = [carried(1001, 50, 3), carried(1002, 900, 1), carried(1003, 100, 9), carried(443, 7, 2, protocol=1)]


def sources(**asked: Any) -> list[int]:
    return [one.source_port for one in shown_flows(FLOWS, Flows(**asked), 8, RULES).flows]


def test_what_carried_most_or_began_last_comes_first_and_a_page_goes_on_behind_another() -> None:
    assert sources(order="biggest") == [1002, 1003, 1001, 443]
    assert sources(order="newest") == [1003, 1001, 443, 1002]
    assert sources(order="biggest", limit=2, skip=1) == [1003, 1001]
    assert shown_flows(FLOWS, Flows(limit=1, skip=3), 8, RULES).total == 4


def test_a_port_is_that_of_either_end_before_and_behind_translation_and_nothing_of_icmp() -> None:
    assert sources(port=443) == [1001, 1002, 1003]
    assert sources(port=8443) == [1001, 1002, 1003]
    assert sources(port=1002) == [1002]
    assert sources(port=22) == []


def test_a_network_finds_what_has_an_end_in_it() -> None:
    assert sources(host="10.20.0.0/16") == [1001, 1002, 1003, 443]
    assert sources(host="203.0.113.2") == [1001, 1002, 1003, 443]
    assert sources(host="2001:db8::/32") == []
    with pytest.raises(ValueError, match="nobody"):
        sources(host="nobody")


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (("10.20.0.11",), 4),
        (("10.20.0.0/28", "198.51.100.80"), 4),  # each counts once, whatever holds it
        (("203.0.113.1-203.0.113.2",), 4),
        (("192.0.2.1", "10.20.0.9-10.20.0.10", "203.0.113.0/31", "2001:db8::/32"), 0),
        (("2001:db8::/32", "10.20.0.12", "10.20.0.11"), 4),
    ],
)
def test_connections_of_any_of_several_hosts_are_found(hosts: tuple[str, ...], found: int) -> None:
    assert shown_flows(FLOWS, Flows(hosts=hosts, limit=1), 8, RULES).total == found


def test_hosts_of_both_versions_are_told_apart() -> None:
    there, back = (ip_address(words) for words in ("2001:db8::5", "2001:db8:1::5"))
    mixed = [*FLOWS, Flow(Tuple(there, back, 6, 1, 2), Tuple(back, there, 6, 2, 1))]
    for hosts, total in ((("2001:db8::/64",), 1), (("10.20.0.11", "2001:db8::5"), 5), (("::/96",), 0)):
        assert shown_flows(mixed, Flows(hosts=hosts), 8, RULES).total == total


def test_what_is_no_host_is_refused() -> None:
    with pytest.raises(ValueError, match="no address, network or range"):
        shown_flows(FLOWS, Flows(hosts=("10.20.0.11", "kiosk")), 8, RULES)
