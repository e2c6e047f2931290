"""Invariants and baselines, judged exactly: held against `decide`, packet by packet, through NAT and at every time.

Where a breach is found its packet is one (`decide` lets it through by that rule); where none is found no packet of a
small world is one.
"""

from __future__ import annotations

import itertools
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.policy.addresses import address
from appliance.policy.decide import Packet, World, decide
from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.model import ANY, GATEWAY, AddressSet, Invariant, Policy, Range
from appliance.policy.proving.examine import Examination, Examiner
from appliance.policy.proving.points import interface
from appliance.policy.proving.proof import Finding
from appliance.policy.proving.verdict import problems

NOW = 1_774_000_000  # a Friday, 2026-03-20 09:46:40 UTC
SATURDAY = NOW + 86_400
LATER = NOW + 10 * 86_400  # after 2026-03-25
HEAD = """reef: 1
site: t
zones:
  internet: {interfaces: [wan0], external: no}
  lan: {interfaces: [lan0], networks: [10.0.0.0/29, 2001:db8::/125], addresses: {lan0: [10.0.0.6/29]}}
  dmz: {interfaces: [dmz0], networks: [10.0.1.0/29]}
  open: {interfaces: [opn0], networks: [10.0.2.0/29], antispoofing: no}
objects:
  desk: {addresses: [10.0.0.1, "2001:db8::1"]}
  servers: {addresses: [10.0.1.1, 10.0.1.2]}
  box: {addresses: [10.0.0.6]}
  named: {names: [updates.example.org], addresses: [10.0.1.2]}
  outer: {addresses: [192.0.2.9]}
schedules: {weekend: sat, never: {times: sat, until: 2020-01-01}}
people: {ann: {name: Ann}, bob: {name: Bob}}
groups: {staff: [ann, bob]}
"""
# Where an address can be: interface ("" is the gateway) -> addresses.
LIVING = {
    "wan0": ("192.0.2.1", "192.0.2.9", "2001:db8:99::1"),
    "lan0": ("10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"),
    "dmz0": ("10.0.1.1", "10.0.1.2", "10.0.1.3"),
    "opn0": ("10.0.2.1", "10.0.0.1"),
    "": ("10.0.0.6",),
}
ZONE = {"wan0": "internet", "lan0": "lan", "dmz0": "dmz", "opn0": "open", "": GATEWAY}
PORTS = ((6, 22), (6, 443), (6, 2222), (17, 53), (47, 0))
TIMES = (NOW, SATURDAY, LATER)

SIDE = st.sampled_from(["internet", "lan", "dmz", "gateway", "any", "[lan, dmz]", "[any, gateway]", "open"])
SPOKEN = st.sampled_from(
    ["internet", "lan", "dmz", "gateway", "any", "desk", "servers", "box", "lan, servers", "open"]
)
SOURCE = st.sampled_from(["any", "any", "desk", "10.0.0.0/30", "not desk", "box"])
DESTINATION = st.sampled_from(["any", "any", "servers", "10.0.1.1", "not servers", "named", "box", "192.0.2.0/24"])
SERVICE = st.sampled_from(["any", "tcp/22", "[tcp/22, udp/53]", "tcp", "tcp/1-1000", "icmp", "gre"])
EXTRA = st.sampled_from(
    ["", "", "", "", ", when: never", ", when: weekend", ", enabled: no", ", expires: 2026-03-25",
     ", expires: 2020-01-01", ", limit: 1/second", ", people: [ann]", ", people: [group:staff]"]
)  # fmt: skip
RULE = st.tuples(
    SIDE, SIDE, SOURCE, DESTINATION, SERVICE, st.sampled_from(["allow", "allow", "deny", "reject"]), EXTRA
).filter(lambda rule: not rule[0] == rule[1] == GATEWAY)
STATEMENT = st.tuples(SPOKEN, SPOKEN, SERVICE, st.sets(st.integers(0, 5), max_size=2))
TRANSLATION = st.tuples(
    st.sampled_from(["internet", "any", "[lan, internet]"]),
    st.sampled_from(["outer", "192.0.2.0/24", "10.0.1.1"]),
    st.sampled_from(["tcp/2222", "tcp/22", "any", "[tcp/443, udp/53]"]),
    st.sampled_from(["10.0.1.1", "10.0.1.3", "10.0.0.2"]),
    st.sampled_from(["", ", port: 22", ", port: 443"]),
)


def text_of(
    rules: list[tuple[str, ...]], statement: tuple[str, str, str, set[int]], translations: list[tuple[str, ...]]
) -> str:
    written = "".join(
        f"  - {{id: R-{number}, from: {source_zone}, to: {zone}, source: {source}, destination: {destination}, "
        f"service: {service}, action: {action}, owner: o, why: w{extra}}}\n"
        for number, (source_zone, zone, source, destination, service, action, extra) in enumerate(rules)
    )
    translated = "".join(
        f"    - {{id: N-{number}, from: {zones}, destination: {outer}, service: {service}, to: {to}{port}}}\n"
        for number, (zones, outer, service, to, port) in enumerate(translations)
        if not (port and service == "any")
    )
    left, right, service, excepted = statement
    known = [f"R-{number}" for number in sorted(excepted) if number < len(rules)]
    spared = f", except: [{', '.join(known)}]" if known else ""
    invariant = f'{{id: I-1, never: "{left} -> {right}", service: {service}{spared}}}'
    nat = f"nat:\n  destination:\n{translated}" if translated else ""
    return f"{HEAD}rules:\n{written}{nat}invariants:\n  - {invariant}\n"


def speaks_of(names: tuple[str, ...], interface: str, version: int, number: int, policy: Policy) -> bool:
    for name in names:
        if name == ZONE[interface] or (name == ANY and interface):
            return True
        if name in policy.objects:
            ranges = policy.objects[name].addresses.ranges
            if any(item.version == version and item.first <= number <= item.last for item in ranges):
                return True
    return False


def living(interface: str, version: int, number: int) -> bool:
    """Whether an address is where its zone says it is (an object's addresses are in no other zone)."""
    homes = [name for name, found in LIVING.items() if (version, number) in map(address, found)]
    return interface in homes


def worlds(policy: Policy, packet: Packet) -> list[World]:
    """Every moment, and everybody who may stand behind the source."""
    source = frozenset({Range(packet.version, packet.source, packet.source)})
    rules = policy.rules
    found = []
    for now in TIMES if any(rule.when or rule.expires_at for rule in rules) else TIMES[:1]:
        for person in ("", "ann", "bob") if any(rule.people for rule in rules) else ("",):
            members = {
                name: source for name, dynamic in policy.dynamics.items() if person and person in dynamic.names
            }
            found.append(World(now, members))
            if any(rule.rate for rule in rules):
                found.append(World(now, members, frozenset(rule.id for rule in rules if rule.rate)))
    return found


def leaks(policy: Policy, statement: Invariant) -> list[str]:
    """Every forbidden packet that an unexcepted rule lets through, by the plain meaning of the policy."""
    found: list[str] = []
    for entering, leaving in itertools.product(LIVING, LIVING):
        for source, destination in itertools.product(LIVING[entering], LIVING[leaving]):
            (version, left), (other, right) = address(source), address(destination)
            if version != other or entering == leaving == "":
                continue
            for protocol, port in PORTS:
                packet = Packet(version, entering, leaving, left, right, protocol, 40000, port)
                for world in worlds(policy, packet):
                    decision = decide(policy, packet, world)
                    meets = speaks_of(statement.sources, entering, version, left, policy) and speaks_of(
                        statement.destinations, leaving, version, decision.destination, policy
                    )
                    # A translated packet leaves where its new destination is.
                    there = not decision.destination_nat or living(leaving, version, decision.destination)
                    spoken = any(
                        entry.protocol in (None, protocol)
                        and (protocol == 47 or entry.ports[0] <= decision.destination_port <= entry.ports[1])
                        for entry in statement.services
                    )
                    if (
                        meets and there and spoken
                        and decision.action == "allow" and decision.rule not in statement.excepted
                    ):  # fmt: skip
                        found.append(
                            f"{decision.rule}: {entering} {source} -> {leaving} {destination} {protocol}/{port}"
                        )
    return found


def confirm(policy: Policy, finding: Finding) -> None:
    """The packet of a finding, as it was sent, is decided as the finding says."""
    witness = finding.witness
    assert witness is not None
    packet = witness.packet
    if witness.published is not None:
        packet = msgspec.structs.replace(packet, destination=witness.published[0])
        if packet.protocol in (6, 17):
            packet = msgspec.structs.replace(packet, destination_port=witness.published[1])
    source = frozenset({Range(packet.version, packet.source, packet.source)})
    there = frozenset({Range(packet.version, witness.packet.destination, witness.packet.destination)})
    members = {
        name: source
        for name, dynamic in policy.dynamics.items()
        if witness.person and witness.person in dynamic.names
    }
    if any("updates.example.org stands" in words for words in witness.assumed):
        members["dns_named"] = there
    over = {rule.id for rule in policy.rules if f"{rule.id} is over its limit" in witness.assumed}
    decision = decide(policy, packet, World(witness.at, members, frozenset(over)))
    assert (decision.action, decision.rule, decision.destination_nat) == ("allow", finding.rule, witness.nat)
    assert (decision.destination, decision.destination_port) == (
        witness.packet.destination,
        witness.packet.destination_port,
    ) or packet.protocol not in (6, 17)
    assert witness.at >= NOW


def examined(text: str) -> tuple[Policy, Examination]:
    policy, _ = parse(text, "t.yaml", inherited={})
    return policy, Examiner().examine(policy, NOW)


def broken(examination: Examination) -> list[Finding]:
    return [finding for finding in examination.proof.findings if finding.kind == "invariant"]


@settings(max_examples=150, deadline=None)
@given(st.lists(RULE, max_size=5), STATEMENT, st.lists(TRANSLATION, max_size=3))
def test_an_invariant_is_broken_just_when_a_packet_breaks_it(
    rules: list[tuple[str, ...]],
    statement: tuple[str, str, str, set[int]],
    translations: list[tuple[str, ...]],
) -> None:
    policy, examination = examined(text_of(rules, statement, translations))
    findings = broken(examination)
    for finding in findings:
        confirm(policy, finding)
        assert finding.rule not in policy.invariants[0].excepted
    if not findings:
        assert leaks(policy, policy.invariants[0]) == []
    assert not examination.open


def refused(rules: str, invariant: str) -> str:
    """The first error, or ""."""
    policy, examination = examined(f"{HEAD}rules:\n{rules}invariants:\n  - {{id: I-1, {invariant}}}\n")
    found = problems(policy, examination.proof, "t.yaml")
    return next((str(problem) for problem in found if problem.severity == "error"), "")


ALLOW = "  - {id: R-1, from: lan, to: any, action: allow, owner: o, why: w}\n"
DENY = "  - {id: R-0, from: lan, to: dmz, action: deny"


@pytest.mark.parametrize(
    ("rules", "invariant", "said"),
    [
        (ALLOW, "never: lan -> dmz", "`R-1` allows lan -> dmz, any service, which `I-1`"),
        (ALLOW, "never: any -> servers", "`R-1` allows lan 10.0.0.0/29 -> dmz servers, any service, which `I-1`"),
        (ALLOW, "never: dmz -> lan", ""),
        (ALLOW, "never: lan -> gateway", ""),
        (ALLOW, "never: lan -> dmz, except: [R-1]", ""),
        (DENY + "}\n" + ALLOW, "never: lan -> dmz", ""),
        (DENY + ", service: tcp}\n" + ALLOW, "never: lan -> dmz", "any service but tcp"),
        (DENY + ", expires: 2030-01-01}\n" + ALLOW, "never: lan -> dmz", "2030-01-02"),
        (DENY + ", when: never}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        (DENY + ", limit: 1/day}\n" + ALLOW, "never: lan -> dmz", "if R-0 is over its limit"),
        (DENY + ", connections: 1}\n" + ALLOW, "never: lan -> dmz", "if R-0 is over its limit"),
        (DENY + ", enabled: no}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        (DENY + ", people: [ann]}\n" + ALLOW, "never: lan -> dmz", "as anyone but ann"),
        (DENY + ", source: desk}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        (DENY + ", source: desk}\n" + ALLOW, "never: desk -> dmz", ""),
        # What anti-spoofing keeps out breaks nothing: these two deny every source that there is.
        (DENY + ", source: [10.0.0.0/29, 2001:db8::/125]}\n" + ALLOW, "never: lan -> dmz", ""),
        (DENY + ", source: 10.0.0.0/30}\n" + DENY.replace("R-0", "R-2") + ", source: 10.0.0.4/30}\n" + ALLOW,
         "never: lan -> servers", ""),
        (DENY + ", destination: servers}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: dmz, to: dmz, action: deny}\n" + ALLOW, "never: lan -> dmz", "R-1"),
        ("  - {id: R-0, from: any, to: any, action: reject}\n" + ALLOW, "never: lan -> dmz", ""),
        (ALLOW + DENY + "}\n", "never: lan -> dmz", "R-1"),
        (ALLOW.replace("any", "internet"), "never: any -> servers", ""),
        (ALLOW.replace("action", "destination: named, action"), "never: any -> desk",
         "updates.example.org stands for the destination"),
        (ALLOW.replace("action", "enabled: no, action"), "never: lan -> dmz", ""),
        (ALLOW.replace("action", "expires: 2026-03-25, action"), "never: lan -> dmz", "before 2026-03-26"),
        (ALLOW.replace("action", "expires: 2026-01-25, action"), "never: lan -> dmz", ""),
        (ALLOW.replace("action", "when: weekend, action"), "never: lan -> dmz", "at Sat 2026-03-21 00:00"),
        (ALLOW.replace("action", "when: never, action"), "never: lan -> dmz", ""),
        (ALLOW.replace("action", "people: [ann], action"), "never: lan -> dmz", ", as ann"),
        # Nothing is what no zone has the role of.
        (ALLOW, "never: role:voice -> dmz", ""),
    ],
)  # fmt: skip
def test_what_breaks_an_invariant_is_told_at_its_rule(rules: str, invariant: str, said: str) -> None:
    found = refused(rules, invariant)
    assert said in found
    assert bool(said) == bool(found)


def test_a_published_service_is_judged_where_it_leads_and_shown_as_it_is_sent() -> None:
    published = (
        "publish:\n"
        "  - {id: P-1, from: internet, address: 192.0.2.9, service: tcp/2222, to: 10.0.1.1, port: 22, "
        "owner: o, why: w}\n"
    )
    policy, examination = examined(HEAD + published + "invariants: [{id: I-1, never: internet -> servers}]\n")
    (finding,) = broken(examination)
    confirm(policy, finding)
    (told,) = [str(problem) for problem in problems(policy, examination.proof, "t.yaml")]
    assert "`P-1` allows internet -> dmz 10.0.1.1, ssh, which `I-1`" in told
    assert "-> 192.0.2.9:2222 (P-1 leads it to 10.0.1.1:22)" in told
    _, other = examined(HEAD + published + "invariants: [{id: I-1, never: internet -> servers, service: tcp/2222}]\n")
    assert not broken(other)  # the server is reached on its own port


def test_hairpin_counts() -> None:
    published = (
        "publish: [{id: P-1, from: internet, address: 192.0.2.9, service: tcp/443, to: 10.0.1.1, hairpin: [lan], "
        "owner: o, why: w}]\n"
    )
    policy, examination = examined(HEAD + published + "invariants: [{id: I-1, never: lan -> servers}]\n")
    (finding,) = broken(examination)
    confirm(policy, finding)
    assert finding.witness is not None and finding.witness.nat == "P-1"


def test_what_an_earlier_translation_takes_never_comes_by_a_later_one() -> None:
    """N-1 takes the whole address; what N-2 would lead to the server never gets there."""
    rules = "rules:\n  - {id: R-1, from: internet, to: [dmz, lan], destination: [10.0.1.1, 10.0.0.2], action: allow, "
    rules += "owner: o, why: w}\n"
    nat = "nat:\n  destination:\n    - {id: N-1, from: internet, destination: 192.0.2.9, to: 10.0.0.2}\n"
    nat += "    - {id: N-2, from: internet, destination: 192.0.2.9, service: tcp/22, to: 10.0.1.1}\n"
    tail = "invariants: [{id: I-1, never: internet -> servers}]\n"
    for text, by in ((HEAD + rules + nat + tail, ""), (HEAD + rules + nat.replace("N-1", "N-3", 1) + tail, "")):
        policy, examination = examined(text)
        (finding,) = broken(examination)  # sent to the inner address itself
        confirm(policy, finding)
        assert finding.witness is not None and finding.witness.nat == by
    turned = "nat:\n  destination:\n" + "\n".join(reversed(nat.splitlines()[2:])) + "\n"
    policy, examination = examined(HEAD + rules + turned + tail)
    (finding,) = broken(examination)
    confirm(policy, finding)
    assert finding.witness is not None and finding.witness.nat == "N-2"


def test_what_is_translated_away_reaches_nobody() -> None:
    """Every packet to the server's address goes elsewhere: nothing reaches it."""
    rules = "rules:\n  - {id: R-1, from: internet, to: dmz, destination: 10.0.1.1, action: allow, owner: o, why: w}\n"
    nat = "nat:\n  destination:\n    - {id: N-1, from: internet, destination: 10.0.1.0/29, to: 10.0.0.2}\n"
    tail = "invariants: [{id: I-1, never: internet -> servers}]\n"
    assert broken(examined(HEAD + rules + tail)[1])
    assert not broken(examined(HEAD + rules + nat + tail)[1])
    assert broken(examined(HEAD + rules + nat.replace("10.0.1.0/29, to", "10.0.1.0/29, service: tcp, to") + tail)[1])


def test_an_invariant_over_nothing_holds() -> None:
    """An empty set of addresses, and a role that no zone has."""
    policy, _ = examined(f"{HEAD}rules:\n{ALLOW}invariants: [{{id: I-1, never: desk -> servers}}]\n")
    assert broken(Examiner().examine(policy, NOW))
    nothing = {**policy.objects, "desk": msgspec.structs.replace(policy.objects["desk"], addresses=AddressSet())}
    assert not broken(Examiner().examine(msgspec.structs.replace(policy, objects=nothing), NOW))
    assert not broken(examined(f"{HEAD}rules:\n{ALLOW}invariants: [{{id: I-1, never: role:voice -> dmz}}]\n")[1])


def test_an_invariant_about_a_dns_name_is_broken_by_who_names_it_or_everybody() -> None:
    """What the name will stand for nobody knows: other addresses are told as not decided, and refuse nothing."""
    tail = "invariants: [{id: I-1, never: lan -> mirror}]\n"
    head = HEAD.replace("  box:", "  mirror: {names: [deb.example.org]}\n  box:")
    rule = "rules:\n  - {id: R-1, from: lan, to: internet, destination: %s, action: allow, owner: o, why: w}\n"
    for destination in ("any", "mirror"):
        (finding,) = broken(examined(head + rule % destination + tail)[1])
        assert finding.rule == "R-1"
    _, examination = examined(head + rule % "192.0.2.0/24" + tail)
    assert not broken(examination) and not examination.open
    assert examination.proof.undecided == ("whether `R-1` breaks `I-1`: that is what deb.example.org will stand for",)


def test_a_zone_without_an_interface_has_no_packets() -> None:
    head = HEAD.replace("  open:", "  planned: {networks: [10.0.3.0/29]}\n  open:")
    rule = "rules:\n  - {id: R-1, from: lan, to: any, action: allow, owner: o, why: w}\n"
    for never, found in (("lan -> planned", []), ("planned -> lan", []), ("any -> any", ["R-1"])):
        assert [
            finding.rule
            for finding in broken(examined(f"{head}{rule}invariants: [{{id: I-1, never: {never}}}]\n")[1])
        ] == found


@pytest.mark.parametrize(
    ("allowed", "never", "found"),
    [
        ("ping", "ping", True),
        ("ping", "icmp/8", True),
        ("icmp/3", "ping", False),
        ("icmpv6", "icmp", False),
        ("gre", "gre", True),
    ],
)
def test_services_without_ports_are_judged_too(allowed: str, never: str, found: bool) -> None:
    rule = f"rules:\n  - {{id: R-1, from: lan, to: internet, service: {allowed}, action: allow, owner: o, why: w}}\n"
    policy, examination = examined(
        f"{HEAD}{rule}invariants: [{{id: I-1, never: lan -> internet, service: {never}}}]\n"
    )
    assert bool(broken(examination)) == found
    for finding in broken(examination):
        confirm(policy, finding)


def test_many_zones_are_asked_about_in_good_time() -> None:
    zones = "".join(f"  z{n}: {{interfaces: [if{n}], networks: [10.{n}.0.0/16]}}\n" for n in range(250))
    rule = "  - {id: R-1, from: z1, to: any, action: allow, owner: o, why: w}\n"
    text = f"reef: 1\nsite: t\nzones:\n{zones}rules:\n{rule}"
    policy, _ = parse(text + "invariants: [{id: I-1, never: any -> any}]\n", "t.yaml", inherited={})
    examiner, started = Examiner(), time.process_time()
    assert [finding.rule for finding in broken(examiner.examine(policy, NOW))] == ["R-1"]
    whole = time.process_time() - started
    started = time.process_time()
    parse(text, "t.yaml", inherited={})
    assert whole < 20 * (time.process_time() - started)


def test_a_breach_is_seen_when_only_a_rule_changed() -> None:
    cache, examiner = ParseCache(), Examiner()
    text = f"{HEAD}invariants: [{{id: I-1, never: lan -> dmz}}]\nrules:\n{DENY}}}\n{ALLOW}"
    worse = text.replace("to: dmz, action: deny", "to: dmz, action: deny, service: tcp")
    for _ in range(3):
        for wanted, rules in (([], text), (["R-1"], worse)):
            policy, _ = parse(rules, "t.yaml", inherited={}, cache=cache)
            assert [finding.rule for finding in broken(examiner.examine(policy, NOW))] == wanted


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(RULE, max_size=4), STATEMENT), min_size=2, max_size=4))
def test_an_examiner_that_saw_other_policies_says_the_same(
    edits: list[tuple[list[tuple[str, ...]], tuple[str, str, str, set[int]]]],
) -> None:
    examiner = Examiner()
    for rules, statement in edits:
        policy, _ = parse(text_of(rules, statement, []), "t.yaml", inherited={})
        fresh, kept = Examiner().examine(policy, NOW), examiner.examine(policy, NOW)
        assert {(one.kind, one.rule, one.others) for one in kept.proof.findings} == {
            (one.kind, one.rule, one.others) for one in fresh.proof.findings
        }


def test_where_the_budget_ends_nothing_is_claimed() -> None:
    policy, _ = parse(f"{HEAD}rules:\n{ALLOW}invariants: [{{id: I-1, never: lan -> dmz}}]\n", "t.yaml", inherited={})
    examination = Examiner(budget=1).examine(policy, NOW)
    assert examination.open and "`I-1`" in examination.open[0]
    assert not examination.proof.decided


def test_the_interface_of_a_zone_is_one_of_its_own() -> None:
    policy, _ = parse(HEAD, "t.yaml", inherited={})
    assert [interface(policy, name) for name in ("lan", GATEWAY)] == ["lan0", ""]
