"""Inspected policies read back from a real kernel that queues with the old target; and what somebody did to that."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest

from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.readback import snapshot
from appliance.control.kernel.xtqueue import XtQueue, missing
from appliance.policy.compiling.delta import delta
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.model import GATEWAY, Policy, Profile, Rule, ServiceEntry
from appliance.policy.readback.equivalence import Equivalence, Intent, equivalence
from tests.netns.wire import Wire
from tests.policies import random_policy, zones
from tests.readback import compiled_intent

POLICIES = 6


def examined(wire: Wire, intent: Intent) -> Equivalence:
    with wire.inside():
        found = snapshot(intent.sysctls)
    return equivalence(found, intent)


def ensure(wire: Wire) -> bool:
    with wire.inside(), Netfilter() as netfilter:
        return XtQueue(netfilter, lambda _: None).ensure()


def inspected(number: int, port: int, profile: str, to: str = "internet") -> Rule:
    return Rule(
        id=f"R-{number}",
        number=number,
        sources=("guest",),
        destinations=(to,),
        services=(ServiceEntry(6, ports=(port, port)),),
        action="allow",
        inspect=profile,
    )


def policy() -> Policy:
    rules = (inspected(1, 80, "closed"), inspected(2, 443, "open"), inspected(3, 22, "closed", GATEWAY))
    profiles = {"open": Profile("open", "fail-open"), "closed": Profile("closed", "fail-closed")}
    return Policy(site="s", zones=zones(), rules=rules, profiles=profiles)


@pytest.fixture
def wire() -> Iterator[Wire]:
    with Wire(raw=False) as made:
        assert ensure(made)
        yield made


def test_random_policies_with_inspection_are_read_back_as_what_they_mean(wire: Wire) -> None:
    old: Ruleset | None = None
    behind = 0
    for seed in range(POLICIES):
        rng = random.Random(9000 + seed)
        compiled, intent = compiled_intent(random_policy(rng, rules=rng.choice((12, 40))), seed, "xt-queue")
        wire.load(delta(old, compiled.ruleset))
        old = compiled.ruleset
        behind += any(name.startswith("judged_") for name in compiled.ruleset.chains)
        found = examined(wire, intent)
        assert found.equal, (seed, [each.words for each in found.differences][:3], found.unknown)
    assert behind > 2


BEHIND = "the table inet reef, chain judged_forward at hook forward: a packet that comes back with "
# What somebody does, and words of the difference that must come of it.
DEEDS = (
    ("delete table inet reef_inspect", "there is no table inet reef_inspect"),
    ("flush chain inet reef_inspect forward", "what it does at hook forward is something else"),
    ("insert rule inet reef_inspect input accept", "what it does at hook input is something else"),
    ("add chain inet reef_inspect more", "its chains are others"),
    ("flush chain inet reef judged_forward", BEHIND),
    ("insert rule inet reef judged_forward accept", BEHIND),
    ("insert rule inet reef judged_forward tcp dport 80 accept", BEHIND),
    ("insert rule inet reef judged_forward meta mark and 0x80000000 != 0 accept", BEHIND + "0x80040005"),
    ("insert rule inet reef judged_forward meta mark 0x1 drop", BEHIND + "0x1 "),
    ("insert rule inet reef inspected accept", "the kernel says allow by R-"),
    ("delete chain inet reef judged_input", "heeds nothing of what inspection says at hook input"),
)


@pytest.mark.parametrize(("deed", "words"), DEEDS, ids=[deed for deed, _ in DEEDS])
def test_what_somebody_does_to_inspection_is_found(wire: Wire, deed: str, words: str) -> None:
    compiled, intent = compiled_intent(policy(), 5, "xt-queue")
    wire.load(delta(None, compiled.ruleset))
    assert examined(wire, intent).equal
    wire.run("nft", deed)
    found = examined(wire, intent)
    assert not found.equal
    assert any(words in difference.words for difference in found.differences), found


def test_the_table_that_queues_is_made_again_where_somebody_changed_it_and_else_left_alone(wire: Wire) -> None:
    assert not ensure(wire)
    wire.run("nft", "insert rule inet reef_inspect forward accept")
    assert ensure(wire)
    assert not ensure(wire)
    wire.run("nft", "delete table inet reef_inspect")
    assert ensure(wire)


def test_what_is_asked_of_the_kernel_leaves_nothing_behind() -> None:
    with Wire(raw=False) as made:
        with made.inside(), Netfilter() as netfilter:
            assert missing(netfilter) == ""
        assert made.run("nft", "list ruleset") == ""


def test_a_generation_for_queues_of_its_own_is_another_than_one_for_the_old_target(wire: Wire) -> None:
    """The flag in a packet's mark means nothing where nobody queues by it."""
    compiled, intent = compiled_intent(policy(), 5, "xt-queue")
    wire.load(delta(None, compiled.ruleset))
    found = examined(wire, msgspec.structs.replace(intent, queue="queue"))
    assert any("and no queue" in difference.words for difference in found.differences)
