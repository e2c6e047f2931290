"""An accepted policy keeps its invariants: held against `decide`, packet by packet."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.policy.addresses import address
from appliance.policy.decide import Packet, World, first_match
from appliance.policy.model import ANY, GATEWAY, Invariant, Policy
from appliance.policy.parse import ParseCache, parse
from appliance.policy.problem import PolicyError

HEAD = """reef: 1
site: t
zones:
  internet: {interfaces: [wan0], external: no}
  lan: {interfaces: [lan0], networks: [10.0.0.0/29, 2001:db8::/125], addresses: {lan0: [10.0.0.6/29]}}
  dmz: {interfaces: [dmz0], networks: [10.0.1.0/29]}
objects:
  desk: {addresses: [10.0.0.1, "2001:db8::1"]}
  servers: {addresses: [10.0.1.1, 10.0.1.2]}
  box: {addresses: [10.0.0.6]}
  named: {names: [updates.example.org], addresses: [10.0.1.2]}
schedules: {never: {times: sat, until: 2020-01-01}}
"""
# Where an address can be: interface ("" is the gateway) -> addresses.
LIVING = {
    "wan0": ("192.0.2.1", "2001:db8:99::1"),
    "lan0": ("10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"),
    "dmz0": ("10.0.1.1", "10.0.1.2", "10.0.1.3"),
    "": ("10.0.0.6",),
}
ZONE = {"wan0": "internet", "lan0": "lan", "dmz0": "dmz", "": GATEWAY}
PORTS = ((6, 22), (6, 443), (17, 53))

SIDE = st.sampled_from(["internet", "lan", "dmz", "gateway", "any", "[lan, dmz]", "[any, gateway]"])
SPOKEN = st.sampled_from(["internet", "lan", "dmz", "gateway", "any", "desk", "servers", "box", "lan, servers"])
SOURCE = st.sampled_from(["any", "desk", "10.0.0.0/30", "not desk", "box"])
DESTINATION = st.sampled_from(["any", "servers", "10.0.1.1", "not servers", "named", "box", "192.0.2.0/24"])
SERVICE = st.sampled_from(["any", "tcp/22", "[tcp/22, udp/53]", "tcp", "tcp/1-1000", "icmp"])
EXTRA = st.sampled_from(["", "", "", ", when: never", ", enabled: no", ", expires: 2020-01-01", ", limit: 1/second"])
RULE = st.tuples(
    SIDE, SIDE, SOURCE, DESTINATION, SERVICE, st.sampled_from(["allow", "allow", "deny", "reject"]), EXTRA
)
STATEMENT = st.tuples(SPOKEN, SPOKEN, SERVICE, st.sets(st.integers(0, 5), max_size=2))


def text_of(rules: list[tuple[str, ...]], statement: tuple[str, str, str, set[int]]) -> str:
    written = "".join(
        f"  - {{id: R-{number}, from: {source_zone}, to: {zone}, source: {source}, destination: {destination}, "
        f"service: {service}, action: {action}, owner: o, why: w{extra}}}\n"
        for number, (source_zone, zone, source, destination, service, action, extra) in enumerate(rules)
    )
    left, right, service, excepted = statement
    known = [f"R-{number}" for number in sorted(excepted) if number < len(rules)]
    spared = f", except: [{', '.join(known)}]" if known else ""
    invariant = f'{{id: I-1, never: "{left} -> {right}", service: {service}{spared}}}'
    return f"{HEAD}rules:\n{written}invariants:\n  - {invariant}\n"


def speaks_of(names: tuple[str, ...], interface: str, version: int, number: int, policy: Policy) -> bool:
    for name in names:
        if name == ZONE[interface] or (name == ANY and interface):
            return True
        if name in policy.objects:
            ranges = policy.objects[name].addresses.ranges
            if any(item.version == version and item.first <= number <= item.last for item in ranges):
                return True
    return False


def leaks(policy: Policy, statement: Invariant) -> list[str]:
    """Every forbidden packet that an unexcepted rule lets through, by the plain meaning of the policy."""
    found: list[str] = []
    for entering, leaving in itertools.product(LIVING, LIVING):
        for source, destination in itertools.product(LIVING[entering], LIVING[leaving]):
            (version, left), (other, right) = address(source), address(destination)
            forbidden = speaks_of(statement.sources, entering, version, left, policy) and speaks_of(
                statement.destinations, leaving, version, right, policy
            )
            if version != other or not forbidden or entering == leaving == "":
                continue
            for protocol, port in PORTS:
                if not any(
                    entry.protocol in (None, protocol) and entry.ports[0] <= port <= entry.ports[1]
                    for entry in statement.services
                ):
                    continue
                packet = Packet(version, entering, leaving, left, right, protocol, 40000, port)
                rule = first_match(policy, packet, World(now=1_500_000_000))
                if rule is not None and rule.action == "allow" and rule.id not in statement.excepted:
                    found.append(f"{rule.id}: {entering} {source} -> {leaving} {destination} {protocol}/{port}")
    return found


@settings(max_examples=400, deadline=None)
@given(st.lists(RULE, max_size=5), STATEMENT)
def test_no_accepted_policy_breaks_its_invariant(
    rules: list[tuple[str, ...]], statement: tuple[str, str, str, set[int]]
) -> None:
    try:
        policy, _ = parse(text_of(rules, statement), "t.yaml", inherited={})
    except PolicyError as error:
        assert all("is never to pass" in problem.message or "itself" in problem.message for problem in error.problems)
        return
    assert leaks(policy, policy.invariants[0]) == []


def refused(rules: str, invariant: str) -> str:
    """The first problem, or ""."""
    try:
        parse(f"{HEAD}rules:\n{rules}invariants:\n  - {{id: I-1, {invariant}}}\n", "t.yaml", inherited={})
    except PolicyError as error:
        return str(error.problems[0])
    return ""


ALLOW = "  - {id: R-1, from: lan, to: any, action: allow, owner: o, why: w}\n"


@pytest.mark.parametrize(
    ("rules", "invariant", "said"),
    [
        (ALLOW, "never: lan -> dmz", "`R-1` allows lan -> dmz, which `I-1`"),
        (ALLOW, "never: any -> servers", "`R-1` allows lan -> dmz 10.0.1.1-10.0.1.2, which `I-1`"),
        (ALLOW, "never: dmz -> lan", ""),
        (ALLOW, "never: lan -> gateway", ""),
        (ALLOW, "never: lan -> dmz, except: [R-1]", ""),
        ("  - {id: R-0, from: lan, to: dmz, action: deny}\n" + ALLOW, "never: lan -> dmz", ""),
        ("  - {id: R-0, from: lan, to: dmz, action: deny, service: tcp}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        (
            "  - {id: R-0, from: lan, to: dmz, action: deny, expires: 2030-01-01}\n" + ALLOW,
            "never: lan -> dmz",
            "R-1",
        ),
        ("  - {id: R-0, from: lan, to: dmz, action: deny, when: never}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: lan, to: dmz, action: deny, limit: 1/day}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: lan, to: dmz, action: deny, connections: 1}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: lan, to: dmz, action: deny, enabled: no}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: lan, to: dmz, action: deny, source: desk}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: lan, to: dmz, action: deny, source: desk}\n" + ALLOW, "never: desk -> dmz", ""),
        (
            "  - {id: R-0, from: lan, to: dmz, action: deny, destination: servers}\n" + ALLOW,
            "never: lan -> dmz",
            "R-1",
        ),
        ("  - {id: R-0, from: dmz, to: dmz, action: deny}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: lan, to: lan, action: deny}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: any, to: any, action: reject}\n" + ALLOW, "never: lan -> dmz", ""),
        (ALLOW + "  - {id: R-0, from: lan, to: dmz, action: deny}\n", "never: lan -> dmz", "R-1"),
        (ALLOW.replace("any", "internet"), "never: any -> servers", ""),
        (ALLOW.replace("action", "destination: named, action"), "never: any -> desk", "R-1"),
        (ALLOW.replace("action", "enabled: no, action"), "never: lan -> dmz", ""),
    ],
)
def test_what_breaks_an_invariant_is_refused_at_its_rule(rules: str, invariant: str, said: str) -> None:
    found = refused(rules, invariant)
    assert said in found
    assert bool(said) == bool(found)


def test_a_published_service_is_judged_where_it_leads() -> None:
    published = (
        "publish: [{id: P-1, from: internet, address: 192.0.2.9, service: tcp/443, to: 10.0.1.1, owner: o, why: w}]\n"
    )
    with pytest.raises(PolicyError, match=r"`P-1` allows internet -> dmz 10\.0\.1\.1, which `I-1`"):
        parse(HEAD + published + "invariants: [{id: I-1, never: internet -> servers}]\n", "t.yaml", inherited={})


def test_a_breach_is_seen_when_only_a_rule_changed() -> None:
    cache = ParseCache()
    text = (
        HEAD
        + "invariants: [{id: I-1, never: lan -> dmz}]\nrules:\n  - {id: R-0, from: lan, to: dmz, action: deny}\n"
        + ALLOW
    )
    for _ in range(2):
        parse(text, "t.yaml", inherited={}, cache=cache)
        with pytest.raises(PolicyError, match="`R-1` allows lan -> dmz"):
            parse(
                text.replace("to: dmz, action: deny", "to: dmz, action: deny, service: tcp"),
                "t.yaml",
                inherited={},
                cache=cache,
            )


def test_a_rule_that_was_clean_and_is_widened_is_judged_again() -> None:
    cache = ParseCache()
    head = (
        HEAD
        + "invariants: [{id: I-1, never: lan -> dmz, service: ssh}, {id: I-2, never: any -> servers, service: dns}]\n"
    )
    rule = "  - {id: R-1, from: lan, to: dmz, source: desk, destination: 10.0.1.3, service: https, "
    rule += "action: allow, owner: o, why: w}\n"
    for good, bad in (
        ("service: https", "service: any"),
        ("destination: 10.0.1.3, service: https", "service: dns"),
        ("to: dmz, source: desk, destination: 10.0.1.3, service: https", "to: [lan, dmz]"),
    ):
        parse(head + "rules:\n" + rule, "t.yaml", inherited={}, cache=cache)
        with pytest.raises(PolicyError, match="is never to pass"):
            parse(head + "rules:\n" + rule.replace(good, bad), "t.yaml", inherited={}, cache=cache)
