"""Packets of running connections that come by a line of another zone: the rules decide about them, not the mark."""

from __future__ import annotations

import random

import msgspec

from appliance.policy.compiling.compile import compile_policy
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.decide import Packet, first_match, spoofed, zone_of
from appliance.policy.model import GATEWAY, Policy, Rule, ServiceEntry, Zone
from tests.model.gateway import pass_again, pass_first
from tests.model.nft_interpreter import Frame, Machine
from tests.model.test_compiled_ruleset import QUEUE, machine, world
from tests.policies import LINES, NOW, host, random_packet, random_policy, route, zones

PASSED = ("accept", "queue")


def test_a_packet_of_a_running_connection_by_another_line_is_decided_by_the_zones_it_crosses() -> None:
    rng = random.Random(20261122)
    same = stopped = allowed = denied = 0
    for serial in range(80):
        policy = random_policy(rng, rules=20, nat=False, conditions=False)
        # Without anti-spoofing it is the rules alone that decide.
        policy = msgspec.structs.replace(policy, zones=zones(antispoofing=serial % 2 == 0))
        known = msgspec.structs.replace(world(rng, policy), over=frozenset())
        loaded = machine(compile_policy(policy, generation=serial, capabilities=QUEUE, now=NOW).ruleset, known)
        for _ in range(60):
            packet = random_packet(rng, policy, spoofed=0)
            passage = pass_first(loaded, packet)
            if passage.verdict not in PASSED or not packet.entering:
                continue
            line = rng.choice([name for name in LINES if name != packet.entering])
            elsewhere = msgspec.structs.replace(
                packet, entering=line, leaving=route(packet.version, packet.destination)
            )
            before = passage.connection.mark
            again = pass_again(loaded, packet, passage.connection, reply=False, line=line)
            if zone_of(policy, line) == zone_of(policy, packet.entering):
                assert again.verdict in PASSED
                same += 1
            elif spoofed(policy, elsewhere, known):
                assert (again.verdict, again.rule) == ("drop", f"spoof_{zone_of(policy, line)}")
                assert passage.connection.mark == before
                stopped += 1
            else:
                rule = first_match(policy, elsewhere, known)
                wanted = rule is not None and rule.action == "allow"
                assert (again.verdict in PASSED) == wanted, (serial, packet, line, rule, again)
                once_more = pass_again(loaded, packet, passage.connection, reply=False, line=line)
                assert (once_more.verdict in PASSED) == wanted
                allowed, denied = allowed + wanted, denied + (not wanted)
            # Whatever came of it, the connection itself goes on.
            assert pass_again(loaded, packet, passage.connection, reply=False).verdict in PASSED
            assert pass_again(loaded, packet, passage.connection, reply=True).verdict in PASSED
    assert min(same, stopped, allowed, denied) > 5, (same, stopped, allowed, denied)


def many_zones(count: int) -> Policy:
    """The zones of `LINES`, and so many more before them."""
    more = {name: Zone(name, (f"more{name[1:]}",)) for name in (f"z{number}" for number in range(count))}
    rule = Rule("R-1", ("lan",), ("dmz",), services=(ServiceEntry(6),), action="allow", number=1)
    to_itself = Rule("R-2", ("lan",), (GATEWAY,), services=(ServiceEntry(6),), action="allow", number=2)
    back = Rule("R-3", ("any",), ("any",), services=(ServiceEntry(17),), action="allow", number=3)
    rules = (rule, to_itself, back) if count else (rule, to_itself)
    return Policy(site="zones", zones={**more, **zones()}, rules=rules)


def ruleset(policy: Policy) -> Ruleset:
    return compile_policy(policy, generation=1, capabilities=frozenset()).ruleset


def test_pairs_beyond_the_room_in_the_mark_are_asked_for_their_source() -> None:
    """With 34 zones and `any -> any` there are more pairs than numbers, and those of the last zones have none."""
    policy = many_zones(30)
    loaded = Machine(ruleset(policy))
    for leaving in ("dmz0", ""):
        destination = host(random.Random(1), 4, "dmz0") if leaving else (10 << 24) + (1 << 16) + 1
        packet = Packet(4, "lan0", leaving, host(random.Random(2), 4, "lan0"), destination, 6, 1025, 443)
        connection = pass_first(loaded, packet).connection
        assert connection.mark >> 22 == 0
        for reply in (False, True):
            passage = pass_again(loaded, packet, connection, reply=reply)
            assert (passage.verdict, passage.counters) == ("accept", [])
        for line in ("gst0", "wan0", "dmz0"):
            stray = pass_again(loaded, packet, connection, reply=False, line=line)
            assert (stray.verdict, stray.rule[:6]) == ("drop", "spoof_")
        assert pass_again(loaded, packet, connection, reply=False).counters == []


def test_numbers_of_pairs_do_not_move() -> None:
    """Neither with the rules nor with a zone that comes behind the others."""

    def begun(policy: Policy) -> dict[str, str]:
        chains = ruleset(policy).chains
        return {name: chain.rules[0] for name, chain in chains.items() if name in ("lan/dmz", "lan/gateway")}

    few = many_zones(0)
    other = msgspec.structs.replace(few, rules=(*few.rules, Rule("R-9", ("dmz",), ("internet",), number=9)))
    more = msgspec.structs.replace(few, zones={**few.zones, "last": Zone("last", ("last0",))})
    assert begun(few) == begun(other) == begun(more)
    assert len(set(begun(few).values())) == 2


def test_an_icmp_error_passes_between_the_zones_of_its_connection_only() -> None:
    policy = many_zones(0)
    loaded = Machine(ruleset(policy))
    rng = random.Random(1)
    packet = Packet(4, "lan0", "dmz0", host(rng, 4, "lan0"), host(rng, 4, "dmz0"), 6, 1025, 80)
    connection = pass_first(loaded, packet).connection

    def error(line: str, source: int) -> tuple[str, list[str]]:
        frame = Frame(
            4, 1, source, packet.source, icmp=(3, 4), iif=line, oif="lan0",
            state="related", connection=connection, reverse=route(4, source),
        )  # fmt: skip
        outcome = loaded.run("forward", frame)
        return outcome.verdict, outcome.counters

    assert error("dmz0", packet.destination) == ("accept", [])
    assert error("gst0", packet.destination) == ("drop", ["spoof_guest"])
    assert error("gst0", host(rng, 4, "gst0")) == ("drop", ["r_invalid"])
    assert error("dmz0", packet.destination) == ("accept", [])
