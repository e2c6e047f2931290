"""What a replay takes from the log, what it cannot know, and how it is said."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

import msgspec

from appliance.policy.answering.classifier import Encoder
from appliance.policy.answering.comparison import Comparison, Places
from appliance.policy.model import AddressSet, Object, Policy, Range, Rule, Service, ServiceEntry
from ctypes_ext.flowtable import FlowTable, Seen
from ctypes_ext.replay import Heads
from tests.policies import NOW, zones

WEB = ServiceEntry(6, ports=(443, 443))
MAIL = Range(4, 0xC6336419, 0xC6336419)
HOST, OTHER = IPv4Address("10.1.0.10"), IPv4Address("10.1.0.11")
OUT = IPv4Address("198.51.100.25")


def policy(*rules: Rule) -> Policy:
    return Policy(
        site="s",
        zones=zones(),
        rules=rules,
        objects={"mail": Object("mail", AddressSet((MAIL,)))},
        services={"web": Service("web", (WEB,))},
    )


def rule(name: str, **changes: object) -> Rule:
    made: dict[str, object] = {
        "sources": ("lan",),
        "destinations": ("internet",),
        "services": (WEB,),
        "action": "allow",
        "owner": "it@s.example",
    }
    return Rule(name, **(made | changes))  # type: ignore[arg-type]


def flow(name: str = "R-1", **changes: object) -> Seen:
    made: dict[str, object] = {
        "source": HOST,
        "destination": OUT,
        "protocol": 6,
        "port": 443,
        "rule": name,
        "action": "allow",
        "from_zone": "lan",
        "to_zone": "internet",
        "minute": NOW // 60,
        "bytes": 64,
    }
    return Seen(**(made | changes))  # type: ignore[arg-type]


def compared(
    running: Policy, candidate: Policy, *flows: Seen, members: Mapping[str, tuple[Range, ...]] | None = None
) -> Comparison:
    table = FlowTable(64)
    for one in flows:
        assert table.add(one)
    columns = table.take()
    comparison = Comparison(running, candidate, Encoder(), members=members or {}, first=NOW - 86400, last=NOW + 86400)
    comparison.feed(Heads(columns.heads), columns.body, columns.addresses)
    return comparison


def test_a_group_says_who_answers_for_the_rule_and_between_which_places() -> None:
    found = compared(policy(rule("R-1")), policy(), flow(), flow(source=OTHER, count=4)).groups()
    [group] = found
    assert (group.kind, group.flows, group.rule, group.owner, group.rule_now) == (
        "denied", 5, "R-1", "it@s.example", "default",
    )  # fmt: skip
    assert [tally.words for tally in group.from_places] == ["10.1.0.0/16"]
    assert (group.sources, group.destinations) == (2, 1)
    assert group.services[0].words == "web (tcp/443)"
    assert group.example == "10.1.0.0/16 -> mail web (tcp/443)"
    assert group.last == NOW // 60 * 60
    [named] = compared(policy(rule("R-1")), policy(), flow()).groups(addresses=True)
    assert named.from_places[0].words == "10.1.0.0/16 (10.1.0.10)"


def test_services_are_called_as_the_policy_and_else_everybody_calls_them() -> None:
    both = Policy(
        "s", services={"site": Service("site", (WEB, ServiceEntry(6, ports=(80, 80)))), "odd": Service("odd", (WEB,))}
    )
    places = Places(both)
    assert [places.service(6, port, 4) for port in (443, 80, 23, 8446)] == [
        "odd (tcp/443)", "site (tcp/80)", "telnet (tcp/23)", "tcp/8446",
    ]  # fmt: skip
    assert [places.service(protocol, 8 << 8, 4) for protocol in (1, 50)] == [
        "ping (icmp/echo-request)", "ipsec (esp)",
    ]  # fmt: skip


def test_a_rule_that_asks_for_source_ports_is_never_guessed() -> None:
    narrow = rule("R-1", services=(msgspec.structs.replace(WEB, source_ports=(1024, 2000)),))
    comparison = compared(policy(rule("R-1")), policy(narrow), flow(), flow(count=2))
    assert comparison.groups() == ()
    assert comparison.sum().unsure == 3


def test_who_was_let_through_as_a_person_counts_as_that_person() -> None:
    """The set is empty now; the flow's own rule says that the host was in it."""
    people = rule("R-1", people=("group_staff",))
    running, candidate = policy(people), policy()
    [group] = compared(running, candidate, flow()).groups()
    assert (group.kind, group.rule) == ("denied", "R-1")
    assert compared(running, candidate, flow("default", action="deny")).groups() == ()
    member = {"group_staff": (Range(4, int(HOST), int(HOST)),)}
    [group] = compared(running, candidate, flow("default", action="deny"), members=member).groups()
    assert group.rule == "R-1"


def test_bans_and_invalid_packets_are_refused_whatever_the_policy_says() -> None:
    opened = policy(rule("R-1"))
    assert compared(policy(), opened, flow("banned", action="deny"), flow("invalid", action="deny")).groups() == ()
    [group] = compared(policy(), opened, flow("default", action="deny")).groups()
    assert (group.kind, group.owner_now) == ("allowed", "it@s.example")


def test_flows_that_no_differing_rule_speaks_of_are_passed_over() -> None:
    running = policy(rule("R-1"), rule("R-2", services=(ServiceEntry(6, ports=(25, 25)),)))
    candidate = policy(running.rules[0])
    table = FlowTable(64)
    table.add(flow())
    heads = Heads(table.take().heads)
    comparison = Comparison(running, candidate, Encoder(), members={}, first=NOW, last=NOW)
    assert not comparison.wants(heads)
    table.add(flow("R-2", port=25))
    assert comparison.wants(Heads(table.take().heads))


def test_a_zone_that_is_not_known_is_where_routing_has_the_address() -> None:
    unknown = flow(from_zone="", to_zone="")
    [group] = compared(policy(rule("R-1")), policy(), unknown).groups()
    assert (group.from_zone, group.to_zone, group.kind) == ("lan", "internet", "denied")


def test_what_the_running_policy_decides_otherwise_than_the_log_is_said_and_no_impact() -> None:
    comparison = compared(policy(), policy(rule("R-9", sources=("lan",))), flow("R-1"))
    [group] = comparison.groups()
    assert (group.kind, group.rule) == ("allowed", "default")
    gone = compared(policy(rule("R-2")), policy(), flow("R-1"), flow("default", action="deny", source=OTHER))
    assert gone.sum().unlike_log == 1
