"""The compiled ruleset against the model: thousands of packets through the interpreter and through `decide`."""

from __future__ import annotations

import random

import msgspec
import pytest

from appliance.policy.boxes import FULL_ADDRESS
from appliance.policy.compiling import emit
from appliance.policy.compiling.compile import CompileCache, compile_policy
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.decide import Decision, Packet, World, decide, first_match
from appliance.policy.logprefix import parse
from appliance.policy.model import Policy, Range, Rule, ServiceEntry
from tests.model.gateway import Passage, pass_again, pass_first
from tests.model.nft_interpreter import Frame, Machine, interval, within
from tests.policies import LINES, NOW, gateway_address, host, random_packet, random_policy, route

POLICIES = 50
PACKETS = 60
QUEUE = frozenset({"queue"})
WAYS = {"without queue": "", "with queue": "queue", "with the old target": "xt-queue"}


def world(rng: random.Random, policy: Policy, now: int = NOW) -> World:
    """People logged in, names resolved, limits exceeded: at random."""

    def some() -> frozenset[Range]:
        return frozenset(
            Range(version, address, address)
            for version in (4, 6)
            for address in {host(rng, version) for _ in range(6)}
        )

    limited = [rule.id for rule in policy.rules if rule.rate is not None or rule.connections is not None]
    return World(
        now=now,
        members={name: some() for name in policy.dynamics},
        over=frozenset(rule for rule in limited if rng.random() < 0.5),
        route=route,
        interface_addresses={
            (interface, version): gateway_address(interface, version) for interface in LINES for version in (4, 6)
        },
    )


def members(known: World) -> dict[str, list[str]]:
    """The world's dynamic sets as elements of kernel sets."""
    return {
        emit.member_set(name, version): [
            emit.addresses((part.first, part.last), version) for part in ranges if part.version == version
        ]
        for name, ranges in known.members.items()
        for version in (4, 6)
    }


def machine(ruleset: Ruleset, known: World) -> Machine:
    return Machine(ruleset, now=known.now, members=members(known), over=known.over)


def edited(rng: random.Random, policy: Policy) -> Policy:
    """The policy with a few rules changed, and some moved."""
    rules = list(policy.rules)
    for at in rng.sample(range(len(rules)), 4):
        other = random_policy(rng, rules=1).rules[0]
        rules[at] = msgspec.structs.replace(other, id=rules[at].id, number=rules[at].number)
    rules.insert(rng.randrange(len(rules)), rules.pop())
    return msgspec.structs.replace(policy, rules=tuple(rules))


def inspection(policy: Policy, rule: str) -> str:
    found = next((each for each in policy.rules if each.id == rule), None)
    return policy.profiles[found.inspect].unavailable if found is not None and found.inspect else ""


def agree(policy: Policy, packet: Packet, said: Decision, passage: Passage, *, queue: bool) -> None:
    """What `decide` says is what happened."""
    expected = f"r_{said.rule}" if said.rule != "antispoofing" else passage.rule
    assert passage.rule == expected
    if said.rule == "antispoofing":
        assert passage.rule.startswith("spoof_")
    inspected = inspection(policy, said.rule)
    verdict = "drop" if said.action != "allow" else "accept"
    if said.action == "allow" and inspected:
        if queue:
            verdict = "queue"
            assert passage.bypass == (inspected == "fail-open")
        elif inspected == "fail-closed":
            verdict = "drop"
    assert passage.verdict == verdict
    if said.action == "reject":
        assert passage.reject == ("tcp reset" if packet.protocol == 6 else "icmpx admin-prohibited")
    else:
        assert passage.reject == ""
    if verdict == "drop":
        return
    connection = passage.connection
    assert connection.reply.source == said.destination
    assert connection.reply.source_port == said.destination_port
    assert connection.reply.destination == said.source
    assert passage.source_ports == said.source_ports
    nat = {name for name in passage.counters if name.startswith("n_")}
    assert nat == {f"n_{rule}" for rule in (said.destination_nat, said.source_nat) if rule}


@pytest.mark.parametrize("queue", WAYS.values(), ids=WAYS)
def test_first_packets_meet_the_rule_that_the_model_names(queue: str) -> None:
    rng = random.Random(20260321 + bool(queue))
    met: set[str] = set()
    for serial in range(POLICIES):
        policy = random_policy(rng, rules=rng.choice((3, 12, 12, 40)))
        compiled = compile_policy(policy, generation=serial, capabilities=frozenset({queue}), now=NOW)
        known = world(rng, policy)
        loaded = machine(compiled.ruleset, known)
        for _ in range(PACKETS):
            packet = random_packet(rng, policy)
            said = decide(policy, packet, known)
            passage = pass_first(loaded, packet)
            try:
                agree(policy, packet, said, passage, queue=queue != "")
            except AssertionError as wrong:
                raise AssertionError(f"policy {serial}: {packet}\nsaid {said}\ngot {passage}") from wrong
            met.add(said.rule)
    assert len(met) > 30  # the packets do reach the rules


def test_logs_name_rule_and_action() -> None:
    rng = random.Random(5)
    seen = 0
    for serial in range(20):
        policy = random_policy(rng)
        compiled = compile_policy(policy, generation=serial, capabilities=QUEUE, now=NOW)
        known = world(rng, policy)
        loaded = machine(compiled.ruleset, known)
        rules = {rule.id: rule for rule in policy.rules}
        for _ in range(PACKETS):
            packet = random_packet(rng, policy, spoofed=0)
            said = decide(policy, packet, known)
            passage = pass_first(loaded, packet)
            wants = said.rule in ("default", "antispoofing") or rules[said.rule].log in ("start", "both")
            assert len(passage.logs) == wants
            for prefix in passage.logs:
                read = parse(prefix)
                assert read is not None
                assert (read.rule, read.action) == (said.rule, said.action)
                seen += 1
    assert seen > 100


@pytest.mark.parametrize("reply", [False, True], ids=["original direction", "reply direction"])
def test_a_new_generation_decides_running_connections_again(reply: bool) -> None:
    """A connection that an old generation accepted goes on exactly when the new one would allow it."""
    rng = random.Random(77 + reply)
    kept = cut = 0
    for serial in range(POLICIES):
        old_policy = random_policy(rng, rules=20)
        new_policy = edited(rng, old_policy)
        old = compile_policy(old_policy, generation=serial, capabilities=QUEUE, now=NOW)
        new = compile_policy(new_policy, generation=serial + 1, capabilities=QUEUE, now=NOW)
        # Limits are about new connections: a running one is never measured again.
        known = msgspec.structs.replace(world(rng, old_policy), over=frozenset())
        before, after = machine(old.ruleset, known), machine(new.ruleset, known)
        for _ in range(PACKETS):
            packet = random_packet(rng, old_policy, spoofed=0)
            passage = pass_first(before, packet)
            if passage.verdict == "drop":
                continue
            connection = passage.connection
            assert pass_again(before, packet, connection, reply=True).verdict in ("accept", "queue")
            real = msgspec.structs.replace(
                packet,
                destination=connection.reply.source,
                destination_port=connection.reply.source_port,
                leaving=route(packet.version, connection.reply.source),
            )
            rule = first_match(new_policy, real, known)
            allowed = rule is not None and rule.action == "allow"
            again = pass_again(after, packet, connection, reply=reply)
            assert (again.verdict in ("accept", "queue")) == allowed, (serial, packet, rule, again)
            if not allowed:
                assert pass_again(after, packet, connection, reply=not reply).verdict == "drop"
            kept, cut = kept + allowed, cut + (not allowed)
            if allowed and rule is not None:
                # From now on it is on the fast path, in both directions, and is not counted again.
                for way in (False, True):
                    once_more = pass_again(after, packet, connection, reply=way)
                    assert once_more.verdict == again.verdict
    assert kept > 20
    assert cut > 20


@pytest.mark.parametrize("reply", [False, True], ids=["original direction", "reply direction"])
def test_what_ends_by_itself_ends_running_connections(reply: bool) -> None:
    """People leave, schedules and rules end inside one generation: a connection lives while its decision does."""
    rng = random.Random(99 + reply)
    kept = cut = 0
    for serial in range(POLICIES):
        policy = random_policy(rng, rules=20, nat=False, timed_share=0.8)
        compiled = compile_policy(policy, generation=serial, capabilities=QUEUE, now=NOW)
        first = msgspec.structs.replace(world(rng, policy), over=frozenset())
        moment = NOW + rng.choice((0, 7200, 36000, 86400))
        later = msgspec.structs.replace(world(rng, policy, moment), over=frozenset())
        # The addresses of names may change: what was allowed to the old ones goes on.
        later = msgspec.structs.replace(later, members={**later.members, "dns_mirror": first.members["dns_mirror"]})
        before, after = machine(compiled.ruleset, first), machine(compiled.ruleset, later)
        for _ in range(PACKETS):
            packet = random_packet(rng, policy, spoofed=0)
            passage = pass_first(before, packet)
            if passage.verdict == "drop":
                continue
            rule = first_match(policy, packet, later)
            allowed = rule is not None and rule.action == "allow"
            again = pass_again(after, packet, passage.connection, reply=reply)
            assert (again.verdict in ("accept", "queue")) == allowed, (serial, packet, rule, again, passage)
            once_more = pass_again(after, packet, passage.connection, reply=not reply)
            assert (once_more.verdict in ("accept", "queue")) == allowed, (serial, packet, rule, once_more, passage)
            kept, cut = kept + allowed, cut + (not allowed)
    assert kept > 20
    assert cut > 20


def test_an_icmp_error_never_decides_about_its_connection() -> None:
    """Where everything of ICMP is allowed back, an error must not revive a TCP connection that is allowed no more."""
    echo = Rule("R-1", ("dmz",), ("lan",), services=(ServiceEntry(1),), action="allow", number=1)
    web = Rule("R-2", ("lan",), ("dmz",), services=(ServiceEntry(6),), action="allow", number=2)
    policy = msgspec.structs.replace(random_policy(random.Random(1), rules=0, nat=False), rules=(echo, web))
    ends = (host(random.Random(1), 4, "lan0"), host(random.Random(1), 4, "dmz0"))
    packet = Packet(4, "lan0", "dmz0", *ends, 6, 1025, 80)
    old = Machine(compile_policy(policy, generation=1, capabilities=QUEUE).ruleset)
    without = msgspec.structs.replace(policy, rules=(echo,))
    new = Machine(compile_policy(without, generation=2, capabilities=QUEUE).ruleset)
    connection = pass_first(old, packet).connection

    def error(loaded: Machine) -> str:
        # Sent by the server about a packet of the client: it travels back, under the direction of what it quotes.
        frame = Frame(
            4, 1, packet.destination, packet.source, icmp=(3, 4), iif="dmz0", oif="lan0",
            state="related", direction="original", connection=connection, reverse="dmz0",
        )  # fmt: skip
        return loaded.run("forward", frame).verdict

    assert error(old) == "accept"
    before = connection.mark
    assert error(new) == "drop"
    assert connection.mark == before
    assert pass_again(new, packet, connection, reply=False).verdict == "drop"


def test_interval_maps_hold_no_overlap() -> None:
    """The kernel refuses overlapping elements of a concatenation; here they are refused before it sees them."""
    rng = random.Random(4)
    maps = 0
    for serial in range(12):
        policy = random_policy(rng, rules=60, conditions=False)
        ruleset = compile_policy(policy, generation=serial, capabilities=frozenset()).ruleset
        for name, declared in ruleset.sets.items():
            if not declared.elements or "time" in declared.key:
                continue
            keys = [tuple(interval(word) for word in key.split(" . ")) for key in declared.elements]
            maps += len(keys) > 3
            for index, one in enumerate(keys):
                for other in keys[:index]:
                    disjoint = any(not (within(a[0], b) or within(b[0], a)) for a, b in zip(one, other, strict=True))
                    assert disjoint, (name, one, other)
    assert maps > 20


def test_an_edit_through_the_cache_gives_what_a_cold_compilation_gives() -> None:
    rng = random.Random(8)
    cache = CompileCache()
    policy = random_policy(rng, rules=80)
    for serial in range(40):
        warm = compile_policy(policy, generation=serial, capabilities=QUEUE, cache=cache, now=NOW)
        cold = compile_policy(policy, generation=serial, capabilities=QUEUE, now=NOW)
        assert warm == cold
        other = random_policy(rng, rules=80)
        rules = list(policy.rules)
        for _ in range(rng.choice((1, 1, 2, 5))):
            kind = rng.random()
            at = rng.randrange(len(rules))
            if kind < 0.5:
                rules[at] = msgspec.structs.replace(other.rules[at % 80], id=rules[at].id, number=rules[at].number)
            elif kind < 0.7:
                del rules[at]
            elif kind < 0.9:
                number = 1000 + serial * 10 + len(rules)
                rules.insert(at, msgspec.structs.replace(other.rules[at % 60], id=f"R-{number}", number=number))
            else:
                rules.insert(rng.randrange(len(rules)), rules.pop(at))
        policy = msgspec.structs.replace(policy, rules=tuple(rules))


def test_a_clock_that_jumps_fails_safe() -> None:
    """Before and after the time that was compiled, timed rules that allow are off and those that deny are on."""
    rng = random.Random(31)
    for serial in range(POLICIES):
        policy = random_policy(rng)
        timed = {rule.id: rule for rule in policy.rules if rule.when or rule.expires_at}
        compiled = compile_policy(policy, generation=serial, capabilities=QUEUE, now=NOW)
        for moment in (0, 86_400, compiled.horizon + 10**6, 2**33):
            known = msgspec.structs.replace(world(rng, policy), now=moment)
            loaded = machine(compiled.ruleset, known)
            for _ in range(10):
                passage = pass_first(loaded, random_packet(rng, policy))
                rule = timed.get(passage.rule.removeprefix("r_"))
                assert rule is None or rule.action != "allow"


def test_wide_rules_cover_what_they_name() -> None:
    """A rule with more products than a map should hold is matched by its own sets."""
    rng = random.Random(12)
    policy = random_policy(rng, rules=6, conditions=False, nat=False)
    hosts = tuple(Range(4, FULL_ADDRESS[4][0] + (10 << 24) + n * 2 + 1, (10 << 24) + n * 2 + 1) for n in range(40))
    wide = msgspec.structs.replace(
        policy.rules[0],
        sources=("lan",),
        destinations=("dmz",),
        source=msgspec.structs.replace(policy.rules[0].source, ranges=hosts),
        destination=msgspec.structs.replace(policy.rules[0].source, ranges=hosts),
        enabled=True,
    )
    policy = msgspec.structs.replace(policy, rules=(wide, *policy.rules[1:]))
    ruleset = compile_policy(policy, generation=1, capabilities=frozenset()).ruleset
    assert any(name.startswith("sources_R-1") for name in ruleset.sets)
    known = world(rng, policy)
    loaded = machine(ruleset, known)
    for _ in range(500):
        packet = random_packet(rng, policy, spoofed=0)
        said = decide(policy, packet, known)
        assert pass_first(loaded, packet).rule == f"r_{said.rule}"
