"""Packets that come back from inspection, through the emitted statements: what each judgement leads to."""

from __future__ import annotations

import msgspec
import pytest

from appliance.policy.compiling.bundle import (
    FLAG_QUEUE_CLOSED,
    FLAG_QUEUE_OPEN,
    FLAGS_QUEUE,
    MARK_RULE,
    VERDICT_DONE,
    VERDICT_GO_ON,
    VERDICT_REJECT,
)
from appliance.policy.compiling.compile import compile_policy
from appliance.policy.decide import Packet
from appliance.policy.model import GATEWAY, Policy, Profile, Rule, ServiceEntry
from tests.model.gateway import Passage, judged, pass_again, pass_first
from tests.model.nft_interpreter import Machine
from tests.policies import NOW, line_network, zones

WAYS = ("queue", "xt-queue")
GUEST, FAR = (line_network(line, 4).first + 10 for line in ("gst0", "wan0"))
PACKET = Packet(
    version=4,
    entering="gst0",
    leaving="wan0",
    source=GUEST,
    destination=FAR,
    protocol=6,
    source_port=40_000,
    destination_port=80,
    icmp_type=0,
    icmp_code=0,
)


def policy(*, inspect: str = "p", unavailable: str = "fail-closed", to: str = "internet", number: int = 1) -> Policy:
    rule = Rule(
        id="R-1",
        number=number,
        sources=("guest",),
        destinations=(to,),
        services=(ServiceEntry(6),),
        action="allow",
        inspect=inspect,
    )
    profile = Profile("p", "fail-open" if unavailable == "fail-open" else "fail-closed")
    return Policy(site="s", zones=zones(), rules=(rule,), profiles={"p": profile})


def loaded(wanted: Policy, way: str, generation: int = 1, more: frozenset[str] = frozenset()) -> Machine:
    compiled = compile_policy(wanted, generation=generation, capabilities=frozenset({way}) | more, now=NOW)
    return Machine(compiled.ruleset, now=NOW)


@pytest.fixture(params=WAYS)
def machine(request: pytest.FixtureRequest) -> Machine:
    return loaded(policy(number=2), request.param)


@pytest.fixture
def queued(machine: Machine) -> Passage:
    passage = pass_first(machine, PACKET)
    assert passage.verdict == "queue" and not passage.bypass
    return passage


def test_who_judges_sees_the_mark_of_the_connection(queued: Passage) -> None:
    assert queued.mark == queued.connection.mark
    assert queued.mark & MARK_RULE == 2 and queued.mark & FLAG_QUEUE_CLOSED


def test_a_packet_that_may_go_on_does_and_the_next_one_is_judged_too(machine: Machine, queued: Passage) -> None:
    before = queued.connection.mark
    assert judged(machine, queued, VERDICT_GO_ON).verdict == "accept"
    assert queued.connection.mark == before
    assert pass_again(machine, PACKET, queued.connection, reply=True).verdict == "queue"
    assert pass_again(machine, PACKET, queued.connection, reply=False).verdict == "queue"


def test_a_connection_that_is_handed_back_is_decided_and_comes_to_no_queue_again(
    machine: Machine, queued: Passage
) -> None:
    before = queued.connection.mark
    assert judged(machine, queued, VERDICT_DONE).verdict == "accept"
    assert queued.frame is not None and queued.frame.mark == 0
    assert queued.connection.mark == before & ~FLAGS_QUEUE
    for reply in (True, False):
        passage = pass_again(machine, PACKET, queued.connection, reply=reply)
        assert passage.verdict == "accept" and passage.counters == []


def test_a_new_generation_wants_what_was_handed_back_again(machine: Machine, queued: Passage) -> None:
    judged(machine, queued, VERDICT_DONE)
    again = loaded(policy(number=2), "queue", generation=2)
    assert pass_again(again, PACKET, queued.connection, reply=False).verdict == "queue"


def test_a_recalled_connection_is_queued_again(machine: Machine, queued: Passage) -> None:
    judged(machine, queued, VERDICT_DONE)
    queued.connection.mark |= FLAG_QUEUE_CLOSED
    assert pass_again(machine, PACKET, queued.connection, reply=True).verdict == "queue"


def test_what_is_refused_is_told_to_the_sender(machine: Machine, queued: Passage) -> None:
    outcome = judged(machine, queued, VERDICT_REJECT)
    assert outcome.verdict == "drop" and outcome.reject == "tcp reset"


def test_what_nobody_judged_does_not_go_on_where_the_profile_is_fail_closed(
    machine: Machine, queued: Passage
) -> None:
    assert judged(machine, queued, queued.mark).verdict == "drop"


@pytest.mark.parametrize("number", [1, 2, 3, 0x3FFFF])
@pytest.mark.parametrize("way", WAYS)
def test_what_nobody_judged_goes_on_where_the_profile_is_fail_open(way: str, number: int) -> None:
    """The low bits of its mark are the number of a rule, and no verdict."""
    machine = loaded(policy(unavailable="fail-open", number=number), way)
    passage = pass_first(machine, PACKET)
    assert passage.verdict == "queue" and passage.bypass and passage.mark & FLAG_QUEUE_OPEN
    before = passage.connection.mark
    assert judged(machine, passage, passage.mark).verdict == "accept"
    assert passage.connection.mark == before
    assert passage.frame is not None and passage.frame.mark == 0


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("way", WAYS)
def test_the_number_of_a_rule_is_never_taken_for_a_verdict(way: str, number: int) -> None:
    machine = loaded(policy(number=number), way)
    passage = pass_first(machine, PACKET)
    assert judged(machine, passage, passage.mark).verdict == "drop"
    assert passage.connection.mark & FLAG_QUEUE_CLOSED


@pytest.mark.parametrize("way", WAYS)
def test_marks_of_others_pass(way: str) -> None:
    """A packet that is not to be inspected may carry a mark of routing or of a tunnel: it is left alone."""
    machine = loaded(policy(number=2), way)
    passage = pass_first(machine, msgspec.structs.replace(PACKET, protocol=17))
    assert passage.verdict == "drop"  # no rule allows it
    passage.hook = "forward"
    assert judged(machine, passage, 0x1234).verdict == "accept"
    assert passage.frame is not None and passage.frame.mark == 0x1234


@pytest.mark.parametrize("way", WAYS)
def test_only_the_hooks_that_inspected_packets_pass_have_a_chain_behind(way: str) -> None:
    through = loaded(policy(), way)
    own = loaded(policy(to=GATEWAY), way)
    nothing = loaded(policy(inspect=""), way)
    names = [{name for name in each.ruleset.chains if name.startswith("judged_")} for each in (through, own, nothing)]
    assert names == [{"judged_forward"}, {"judged_input", "judged_output"}, set()]
    assert "inspected" not in nothing.ruleset.chains


def test_only_what_needs_no_inspection_is_offloaded() -> None:
    machine = loaded(policy(number=2), "queue", more=frozenset({"flowtable"}))
    rules = {name: chain.rules for name, chain in machine.ruleset.chains.items()}
    adds = [name for name, lines in rules.items() if any("flow add" in line for line in lines)]
    assert adds == ["to_flowtable"]
    ways = [line for lines in rules.values() for line in lines if "to_flowtable" in line]
    # The first rule of the hook: this generation has decided, and no flag is set.
    assert ways == [rules["forward"][0]]
    assert "ct mark and 0xe03c0000 == " in ways[0]
