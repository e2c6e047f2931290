"""What surrounds the prover: narrowed comparisons, baselines that are weakened, and words that say all of it."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.policy.addresses import address
from appliance.policy.decide import Packet, World, decide, first_match
from appliance.policy.meant.parse import parse
from appliance.policy.meant.required import under
from appliance.policy.model import GATEWAY, AddressSet, Policy, Range, Rule, ServiceEntry
from appliance.policy.proving.examine import Examiner
from appliance.policy.proving.lexicon import Lexicon
from appliance.policy.proving.narrowed import narrowed
from appliance.policy.proving.proof import Change, Finding
from appliance.policy.proving.traffic import Traffic, alike, lines_of, natural
from appliance.policy.proving.verdict import problems
from tests.policies import NOW, random_packet, random_policy


def edited(rng: random.Random, policy: Policy, other: Policy) -> Policy:
    """A policy after a few edits: rules that go, come, change and move."""
    rules = list(policy.rules)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(rules))
        kind = rng.randrange(4)
        if kind == 0:
            del rules[at]
        elif kind == 1:
            fresh = rng.choice(other.rules)
            rules.insert(at, msgspec.structs.replace(fresh, id=f"{fresh.id}-new-{len(rules)}-{at}"))
        elif kind == 2:
            rules[at] = msgspec.structs.replace(rules[at], action=rng.choice(("allow", "deny", "reject")))
        else:
            rules.insert(rng.randrange(len(rules)), rules.pop(at))
        if not rules:
            break
    return msgspec.structs.replace(policy, rules=tuple(rules))


def decided(policy: Policy, packet: Packet, world: World) -> tuple[str, str]:
    rule = first_match(policy, packet, world)
    return ("deny", "default") if rule is None else (rule.action, rule.id)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_left_out_of_a_comparison_decides_nothing_that_differs(seed: int) -> None:
    rng = random.Random(seed)
    old = random_policy(rng)
    new = edited(rng, old, random_policy(rng))
    small_old, small_new = narrowed(old, new)
    assert set(small_old.rules) <= set(old.rules) and set(small_new.rules) <= set(new.rules)
    for _ in range(150):
        packet, world = random_packet(rng, new), World(now=NOW)
        before, after = decided(old, packet, world), decided(new, packet, world)
        if before == after:
            left = decided(small_old, packet, world), decided(small_new, packet, world)
            assert left[0] == left[1]
        else:
            assert (decided(small_old, packet, world), decided(small_new, packet, world)) == (before, after)


def of_line(traffic: Traffic, packet: Packet, policy: Policy) -> bool:
    """Whether a packet is of the traffic of a line, people, time and conditions aside."""
    zones = {interface: zone.name for zone in policy.zones.values() for interface in zone.interfaces}
    entering, leaving = zones.get(packet.entering, GATEWAY), zones.get(packet.leaving, GATEWAY)
    key = packet.destination_port
    if packet.protocol in (1, 58):
        key = packet.icmp_type * 256 + packet.icmp_code
    return (
        (entering in traffic.sources or ("any" in traffic.sources and entering != GATEWAY))
        and (leaving in traffic.destinations or ("any" in traffic.destinations and leaving != GATEWAY))
        and any(
            part.version == packet.version and part.first <= packet.source <= part.last for part in traffic.source
        )
        and any(
            part.version == packet.version and part.first <= packet.destination <= part.last
            for part in traffic.destination
        )
        and any(
            a <= packet.protocol <= b and c <= key <= d and e <= packet.source_port <= f
            for (a, b), (c, d), (e, f) in traffic.services
        )
    )


@pytest.mark.parametrize("seed", range(25))
def test_the_lines_hold_just_the_packets_that_are_decided_otherwise(seed: int) -> None:
    """Policies without people, names, limits and times, so that a packet says all."""
    rng = random.Random(1000 + seed)
    old, other = (plain(random_policy(rng)) for _ in range(2))
    new = edited(rng, old, other)
    difference = Examiner().difference(old, new, NOW)
    assert difference.decided
    lexicon = Lexicon(new)
    found = [
        (kind, line)
        for kind, changes in (
            ("opened", difference.opened),
            ("closed", difference.closed),
            ("other", difference.other),
        )
        for group in alike(changes)
        for line in lines_of(group, lexicon)
    ]
    for kind, line in found:
        assert of_line(line.traffic, line.witness.packet, new), line.words
        assert decided(old, line.witness.packet, World(NOW)) == (line.old_action, line.old_rule), kind
        assert decided(new, line.witness.packet, World(NOW)) == (line.new_action, line.new_rule), kind
    for _ in range(200):
        packet = random_packet(rng, new)
        before, after = decided(old, packet, World(NOW)), decided(new, packet, World(NOW))
        hit = [line for _, line in found if of_line(line.traffic, packet, new)]
        if before[0] == after[0]:
            assert not hit
        else:
            (line,) = hit
            assert (line.old_action, line.new_action) == (before[0], after[0])
            assert (line.old_rule, line.new_rule) == (before[1], after[1])


def plain(policy: Policy) -> Policy:
    def without(rule: Rule) -> Rule:
        return msgspec.structs.replace(
            rule, people=(), when="", rate=None, connections=None, expires="", expires_at=0,
            source=msgspec.structs.replace(rule.source, dynamic=()),
            destination=msgspec.structs.replace(rule.destination, dynamic=()),
        )  # fmt: skip

    return msgspec.structs.replace(policy, rules=tuple(map(without, policy.rules)))


def test_a_policy_of_too_many_boxes_gets_an_honest_answer_and_the_next_one_a_proof() -> None:
    text = site([("lan", "dmz", "any", "any", "any", "allow", "")]) + "invariants: [{id: I-1, never: dmz -> lan}]\n"
    policy, _ = parse(text, "t.yaml", inherited={})
    left = AddressSet(tuple(Range(4, 4 * n, 4 * n) for n in range(256)))
    right = AddressSet(tuple(Range(4, 8 * n, 8 * n) for n in range(255)))
    huge = msgspec.structs.replace(
        policy,
        rules=tuple(
            msgspec.structs.replace(
                policy.rules[0], id=f"R-{n}", source=left, destination=right, services=(ServiceEntry(6, (n, n)),)
            )
            for n in range(70)
        ),
    )
    examiner = Examiner()
    assert examiner.examine(policy, NOW).open == ()
    examination = examiner.examine(huge, NOW)
    assert not examination.proof.decided and "more than a proof can hold" in examination.open[0]
    without = examiner.examine(msgspec.structs.replace(huge, invariants=()), NOW)
    assert not without.proof.decided and without.open == ()
    assert examiner.examine(policy, NOW).proof.decided
    difference = examiner.difference(policy, huge, NOW)
    assert not difference.decided and not difference.opened


# --- baselines ----------------------------------------------------------------------------------------

SITE = """reef: 1
site: t
zones:
  internet: {interfaces: [wan0], external: no}
  lan: {interfaces: [lan0], networks: [10.0.0.0/29], addresses: {lan0: [10.0.0.6/29]}}
  dmz: {interfaces: [dmz0], role: dmz, networks: [10.0.1.0/29]}
objects:
  desk: {addresses: [10.0.0.1]}
  servers: {addresses: [10.0.1.1, 10.0.1.2]}
schedules: {office: mon-fri 08:00-17:00}
"""
BASELINE = """reef: 1
baseline: country
first:
  - {id: B-1, from: role:internet, to: [role:internal, gateway], service: [telnet, smb], action: deny, why: never}
  - {id: B-2, from: role:internal, to: role:dmz, service: ssh, action: allow, owner: o, why: help}
  - {id: B-3, from: role:internal, to: role:internet, service: smtp, when: work, action: deny, why: not at work}
  - {id: B-4, from: any, to: any, service: http, limit: 5/minute, action: deny, why: demands nothing}
last:
  - {id: B-9, from: any, to: any, action: deny, log: start}
schedules: {work: mon-fri 09:00-16:00}
"""
SIDE = st.sampled_from(["internet", "lan", "dmz", "gateway", "any"])
RULE = st.tuples(
    SIDE, SIDE, st.sampled_from(["any", "desk"]), st.sampled_from(["any", "servers"]),
    st.sampled_from(["any", "tcp", "telnet", "ssh", "smtp", "http"]),
    st.sampled_from(["allow", "deny"]), st.sampled_from(["", ", when: office"]),
).filter(lambda rule: not rule[0] == rule[1] == GATEWAY)  # fmt: skip
PLACES = {"wan0": "192.0.2.1", "lan0": "10.0.0.1", "dmz0": "10.0.1.1", "": "10.0.0.6"}


def site(rules: list[tuple[str, ...]], inherits: str = "") -> str:
    written = "".join(
        f"  - {{id: R-{number}, from: {left}, to: {right}, source: {source}, destination: {destination}, "
        f"service: {service}, action: {action}, owner: o, why: w{extra}}}\n"
        for number, (left, right, source, destination, service, action, extra) in enumerate(rules)
    )
    return f"{SITE}{inherits}rules:\n{written}"


def weak(policy: Policy, demanding: Policy) -> list[Finding]:
    return list(Examiner().against(policy, demanding, NOW).findings)


@settings(max_examples=80, deadline=None)
@given(st.lists(RULE, min_size=1, max_size=4))
def test_a_site_without_its_baseline_weakens_it_just_when_a_packet_shows_it(rules: list[tuple[str, ...]]) -> None:
    policy, _ = parse(site(rules), "t.yaml", inherited={})
    demanding, _ = under(site(rules), "t.yaml", ("country",), {"country": BASELINE}, {})
    assert demanding is not None
    required = [rule for rule in demanding.rules if rule.origin == "baseline-first" and not rule.rate]
    alone = msgspec.structs.replace(demanding, rules=tuple(required), destination_nat=())
    findings = weak(policy, demanding)
    for finding in findings:
        assert finding.witness is not None
        world = World(finding.witness.at)
        wanted, got = decided(alone, finding.witness.packet, world), decided(policy, finding.witness.packet, world)
        assert got[1] == finding.rule and wanted[1] == finding.others[0]
        assert (wanted[0] == "allow") != (got[0] == "allow")
    pairs = {(finding.rule, finding.others[0]) for finding in findings}
    for entering, source in PLACES.items():
        for leaving, target in PLACES.items():
            for port in (22, 23, 25, 80, 445):
                packet = Packet(4, entering, leaving, address(source)[1], address(target)[1], 6, 40000, port)
                for now in (NOW, NOW + 86_400, NOW + 3 * 3_600):
                    wanted, got = decided(alone, packet, World(now)), decided(policy, packet, World(now))
                    if wanted[1] != "default" and (wanted[0] == "allow") != (got[0] == "allow"):
                        assert (got[1], wanted[1]) in pairs


@settings(max_examples=25, deadline=None)
@given(st.lists(RULE, max_size=4))
def test_a_site_that_inherits_weakens_nothing(rules: list[tuple[str, ...]]) -> None:
    policy, _ = parse(site(rules, "inherits: [country]\n"), "t.yaml", inherited={"country": BASELINE})
    examination = Examiner().examine(policy, NOW)
    assert not [finding for finding in examination.proof.findings if finding.kind == "baseline"]
    assert not examination.open


def test_a_translation_that_leads_help_elsewhere_weakens_the_baseline() -> None:
    nat = "nat:\n  destination:\n    - {id: N-1, from: lan, destination: 10.0.1.2, service: ssh, to: 10.0.1.3}\n"
    text = site([], "inherits: [country]\n").replace("rules:\n", "") + nat
    policy, _ = parse(text, "t.yaml", inherited={"country": BASELINE})
    (finding,) = [one for one in Examiner().examine(policy, NOW).proof.findings if one.kind == "baseline"]
    assert (finding.rule, finding.others, finding.name) == ("N-1", ("B-2",), "country")
    assert finding.witness is not None
    assert decide(policy, finding.witness.packet, World(finding.witness.at)).destination_nat == "N-1"
    (told,) = [
        str(one)
        for one in problems(policy, Examiner().examine(policy, NOW).proof, "t.yaml")
        if one.severity == "error"
    ]
    assert "`N-1` leads elsewhere what `B-2` of the baseline `country` (country.yaml:5:5) allows" in told
    other = text.replace("service: ssh", "service: tcp/2022")
    policy, _ = parse(other, "t.yaml", inherited={"country": BASELINE})
    assert not [one for one in Examiner().examine(policy, NOW).proof.findings if one.kind == "baseline"]


def test_a_natural_witness_is_of_the_same_region() -> None:
    policy, _ = parse(site([("lan", "internet", "any", "any", "tcp", "allow", "")]), "t.yaml", inherited={})
    empty = msgspec.structs.replace(policy, rules=())
    for change in Examiner().difference(empty, policy, NOW).opened:
        shown = natural(change.witness, change.region, policy)
        assert _in_region(shown.packet, change)
        assert decided(policy, shown.packet, World(shown.at)) == ("allow", "R-0")


def _in_region(packet: Packet, change: Change) -> bool:
    region = change.region
    return (
        region.source.first <= packet.source <= region.source.last
        and region.destination.first <= packet.destination <= region.destination.last
    )
