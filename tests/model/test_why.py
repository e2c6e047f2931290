"""`why` says what `decide` says, and its near misses are near: change the one thing that it names, and it decides."""

from __future__ import annotations

import random

import msgspec

from appliance.policy.answering.nearly import Near, Rulebook
from appliance.policy.answering.reach import Hop
from appliance.policy.answering.why import Question, Situation, why
from appliance.policy.decide import DEFAULT, SPOOFED, Packet, World, decide, first_match, holds, zone_of
from appliance.policy.model import EVERYTHING, Policy, Range, Rule, ServiceEntry
from tests.policies import LINES, NOW, ZONES, gateway_address, host, random_packet, random_policy, route

POLICIES = 150
PACKETS = 30


def world(rng: random.Random, policy: Policy) -> World:
    members = {
        name: frozenset(
            Range(version, address, address)
            for version in (4, 6)
            for address in {host(rng, version) for _ in range(6)}
        )
        for name in policy.dynamics
    }
    over = frozenset(rule.id for rule in policy.rules if (rule.rate or rule.connections) and rng.random() < 0.5)
    own = {(interface, version): gateway_address(interface, version) for interface in LINES for version in (4, 6)}
    return World(NOW, members, over, route, own)


def situation(known: World) -> Situation:
    return Situation(
        known.now,
        lambda version, address: Hop(route(version, address)),
        known.interface_addresses,
        known.members,
        known.over,
    )


def test_the_answer_is_the_decision() -> None:
    rng = random.Random(41)
    rules = defaults = spoofed = translated = 0
    for _ in range(POLICIES):
        policy = random_policy(rng, rules=rng.choice((6, 15, 40)))
        book = Rulebook(policy)
        known = world(rng, policy)
        for _ in range(PACKETS):
            packet = random_packet(rng, policy)
            said = decide(policy, packet, known)
            answer = why(book, Question(packet), situation(known))
            assert (answer.rule, answer.action) == (said.rule, said.action), (packet, answer)
            assert (answer.source_nat, answer.destination_nat) == (said.source_nat, said.destination_nat)
            rules += said.rule not in (DEFAULT, SPOOFED)
            defaults += said.rule == DEFAULT
            spoofed += said.rule == SPOOFED
            translated += bool(said.source_nat or said.destination_nat)
    assert min(rules, defaults) > 500
    assert min(spoofed, translated) > 50


def mended(rule: Rule, field: str, packet: Packet, policy: Policy) -> Rule:
    """The rule without the condition that it missed."""
    change = msgspec.structs.replace
    match field:
        case "when":
            return change(rule, when="")
        case "expires":
            return change(rule, expires_at=0)
        case "enabled":
            return change(rule, enabled=True)
        case "people":
            return change(rule, people=())
        case "source":
            return change(rule, source=EVERYTHING)
        case "destination":
            return change(rule, destination=EVERYTHING)
        case "from":
            return change(rule, sources=(zone_of(policy, packet.entering),))
        case "to":
            return change(rule, destinations=(zone_of(policy, packet.leaving),))
        case "port" | "source port" | "service":
            return change(rule, services=(ServiceEntry(None),))
        case _:
            raise AssertionError(field)


def decides_when_mended(near: Near, packet: Packet, known: World, policy: Policy) -> None:
    source, destination = zone_of(policy, packet.entering), zone_of(policy, packet.leaving)
    rule, before = near.rule, policy.rules[: near.place]
    for field in near.missed:
        # Nothing but the last one mended is enough.
        if field != "order":
            assert not (rule.enabled and holds(policy, rule, packet, source, destination, known)), near
        if field == "limit":
            known = msgspec.structs.replace(known, over=known.over - {rule.id})
        elif field == "order":
            before = ()
        else:
            rule = mended(rule, field, packet, policy)
    changed = msgspec.structs.replace(policy, rules=(*before, rule, *policy.rules[near.place + 1 :]))
    # What stood before it did not match either, unless order is what it missed.
    assert first_match(changed, packet, known) == rule


def test_a_near_miss_decides_once_what_it_missed_is_mended() -> None:
    rng = random.Random(43)
    seen: dict[str, int] = {}
    for _ in range(POLICIES):
        policy = random_policy(rng, rules=25)
        book = Rulebook(policy)
        known = world(rng, policy)
        for _ in range(PACKETS):
            packet = random_packet(rng, policy)
            packet = msgspec.structs.replace(packet, leaving=route(packet.version, packet.destination))
            found = book.find(packet, known, most=len(policy.rules))
            assert found.rule == first_match(policy, packet, known)
            assert found.count == len(found.near) == len({near.place for near in found.near})
            for near in found.near:
                denied = found.rule is None or found.rule.action != "allow"
                assert (near.rule.action == "allow") == denied
                decides_when_mended(near, packet, known, policy)
                for field in near.missed:
                    seen[field] = seen.get(field, 0) + 1
    assert min(seen.values()) > 3, seen
    assert len(seen) == 13, seen


def test_no_near_miss_is_left_out() -> None:
    """Against the plain way: every rule of another action that fails exactly one condition."""
    rng = random.Random(47)
    told = 0
    for _ in range(40):
        policy = random_policy(rng, rules=25)
        book = Rulebook(policy)
        known = world(rng, policy)
        for _ in range(PACKETS):
            packet = random_packet(rng, policy)
            packet = msgspec.structs.replace(packet, leaving=route(packet.version, packet.destination))
            rule = first_match(policy, packet, known)
            denied = rule is None or rule.action != "allow"
            end = len(policy.rules) if rule is None else policy.rules.index(rule)
            wanted = {
                other.id
                for place, other in enumerate(policy.rules)
                if (other.action == "allow") == denied and failing(policy, other, packet, known) == (place < end)
            }
            wanted -= {other.id for other in policy.rules[end:]} if not denied else set()
            found = book.find(packet, known, most=len(policy.rules))
            if wanted:
                told += len(wanted)
                assert {near.rule.id for near in found.near} == wanted
            else:
                assert all(len(near.missed) == 2 for near in found.near)
    assert told > 200


def failing(policy: Policy, rule: Rule, packet: Packet, known: World) -> int:
    """How many conditions of a rule the packet misses."""
    source, destination = zone_of(policy, packet.entering), zone_of(policy, packet.leaving)
    assert source in (*ZONES, "gateway")
    plain = ("when", "expires", "people", "source", "destination", "from", "to", "service")
    free = known if rule.id not in known.over else msgspec.structs.replace(known, over=frozenset())
    count = (rule.id in known.over) + (not rule.enabled)
    for field in plain:
        blank = rule
        for other in plain:
            if other != field:
                blank = mended(blank, other, packet, policy)
        count += not holds(policy, blank, packet, source, destination, free)
    return count
