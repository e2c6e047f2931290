"""What a real kernel holds, read back and compared with the policy; and what somebody did to it behind our back."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest

from appliance.control.kernel.readback import snapshot
from appliance.policy.compiling.delta import delta
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.decide import Packet, World, decide
from appliance.policy.readback.equivalence import Equivalence, Intent, equivalence
from appliance.policy.readback.registers import ROUTED_BACK
from tests.netns.wire import Wire
from tests.policies import NOW, random_policy
from tests.readback import FAR, GUEST, compiled_intent, small

POLICIES = 14


def examined(wire: Wire, intent: Intent) -> Equivalence:
    with wire.inside():
        found = snapshot(intent.sysctls)
    return equivalence(found, intent)


def test_random_policies_are_read_back_as_what_they_mean() -> None:
    old: Ruleset | None = None
    with Wire(raw=False) as wire:
        for seed in range(POLICIES):
            rng = random.Random(7000 + seed)
            policy = random_policy(rng, rules=rng.choice((0, 3, 12, 40)), antispoofing=rng.random() < 0.7)
            compiled, intent = compiled_intent(policy, seed)
            wire.load(delta(old, compiled.ruleset))
            old = compiled.ruleset
            found = examined(wire, intent)
            assert found.equal, (seed, [each.words for each in found.differences][:3], found.unknown)
            assert found.places > 100


def changed_element(wire: Wire) -> str:
    """One element of a map leads to the chain of another rule."""
    key = f"{ip(GUEST)} . {ip(FAR)} . 9000"
    where = 'inet reef "guest/internet/tcp4/points"'.replace('"', "")
    wire.run("nft", f"delete element {where} {{ {key} }}")
    wire.run("nft", f"add element {where} {{ {key} : goto r_R-1 }}")
    return "allow by R-1"


def ip(value: int) -> str:
    return ".".join(str(byte) for byte in value.to_bytes(4, "big"))


def test_a_changed_element_is_found_with_a_packet_that_shows_it() -> None:
    compiled, intent = small()
    with Wire() as wire:
        wire.load(delta(None, compiled.ruleset))
        assert examined(wire, intent).equal
        said = changed_element(wire)
        found = examined(wire, intent)
        assert not found.equal
        (difference,) = found.differences
        assert (difference.found, difference.wanted) == (said, "deny by R-5"), difference
        assert difference.witness is not None
        packet = difference.witness.packet
        assert (packet.entering, packet.leaving, packet.destination_port) == ("gst0", "wan0", 9000)
        # The model denies this very packet, and the kernel lets it through.
        assert decide(intent.policy, packet, World(now=difference.witness.at)).rule == "R-5"
        assert counted(wire, packet) == {"r_R-1"}


def counted(wire: Wire, packet: Packet) -> set[str]:
    """Send a packet; the counters that it raised."""
    before = wire.counters()
    wire.drain()
    wire.send(packet.entering, wire.frame(packet, 1))

    def risen() -> set[str]:
        after = wire.counters()
        return {name for name, value in after.items() if value != before[name]}

    wire.collect(lambda _: bool(risen()), seconds=30)
    return risen()


ELSEWHERE = (
    "add table inet other\nadd chain inet other early { type filter hook forward priority -10; policy accept; }\n"
    "add rule inet other early %s"
)
ACCEPTS = "the kernel says allow by no rule"
# What somebody does with nft, and words of the difference that must come of it.
DEEDS = (
    ("insert rule inet reef forward tcp dport 23 accept", ACCEPTS),
    ("insert rule inet reef decide_forward ip saddr 10.4.0.0/16 ip daddr 203.0.113.7 accept", ACCEPTS),
    ("insert rule inet reef decide_forward iifname lan0 tcp dport 20-30 accept", ACCEPTS),
    ('insert rule inet reef decide_forward iifname "eth*" accept', ACCEPTS),
    ("insert rule inet reef forward ip6 saddr 2001:db8:4::/64 udp dport != 53 accept", ACCEPTS),
    ("insert rule inet reef decide_input icmp type echo-request accept", ACCEPTS),
    ("insert rule inet reef decide_output meta l4proto 47 accept", ACCEPTS),
    ("insert rule inet reef decide_forward tcp dport 443 drop", "the kernel says deny by no rule"),
    ("flush chain inet reef r_R-2\nadd rule inet reef r_R-2 drop", "the policy allow by R-2"),
    ("flush chain inet reef guest/internet", "the kernel says deny by default, the policy allow by R-"),
    ("add rule inet reef r_R-1 drop\nflush chain inet reef default_deny\nadd rule inet reef default_deny accept",
     "the policy deny by default"),
    ("add chain inet reef forward { policy accept; }\nflush chain inet reef decide_forward\n"
     "add rule inet reef decide_forward return", ACCEPTS),
    ("add chain inet reef extra { type filter hook forward priority 5; policy drop; }", "does not belong there"),
    ("add table inet reef { flags dormant; }", "is dormant"),
    ("delete table inet reef", "there is no table inet reef"),
    (ELSEWHERE % "ip saddr 10.4.0.0/16 tcp dport 80 drop", "deny by table inet other, chain early"),
    ("add table ip other\nadd chain ip other nat { type nat hook prerouting priority -110; }",
     "may change where packets go"),
    ("insert rule inet reef source_guest return", "the policy deny by antispoofing"),
    ("add chain inet reef prerouting_nat { type nat hook prerouting priority dstnat; }\n"
     "add rule inet reef prerouting_nat tcp dport 8080 dnat ip to 10.4.0.9:80",
     "dnat to 0a040009-0a040009:0050-0050"),
    ("add chain inet reef postrouting_nat { type nat hook postrouting priority srcnat; }\n"
     "add rule inet reef postrouting_nat oifname wan0 masquerade", "the kernel says masquerade"),
)  # fmt: skip
# What is not understood or not known is never equal, and is named.
RIDDLES = (
    ("insert rule inet reef decide_forward numgen random mod 2 0 accept", "the expression numgen"),
    ("insert rule inet reef decide_forward tcp option maxseg size 1-500 drop", "the expression exthdr"),
    (ELSEWHERE % "ct mark set 0x5", "writes the connection's mark"),
    (ELSEWHERE % "meta mark set 0x5", "writes meta mark"),
    ("add table bridge other\nadd chain bridge other b { type filter hook forward priority 0; }", "a bridge chain"),
)
# What changes nothing is not called a difference.
HARMLESS = (
    ELSEWHERE % "ip saddr 10.4.0.0/16 accept",
    ELSEWHERE % 'counter log prefix "seen" tcp dport 443 accept',
    "insert rule inet reef decide_forward counter",
    "add chain inet reef idle\nadd rule inet reef idle accept",
    "insert rule inet reef decide_forward ct state established accept",
)  # fmt: skip


@pytest.fixture(scope="module")
def stand() -> Iterator[Wire]:
    with Wire(raw=False) as wire:
        yield wire


@pytest.mark.parametrize(("deed", "words"), DEEDS)
def test_what_somebody_did_is_told(stand: Wire, deed: str, words: str) -> None:
    found = after(stand, deed)
    told = [each.words for each in found.differences]
    assert not found.equal
    assert any(words in each for each in told), (told[:5], found.unknown)
    for each in found.differences:
        witness = each.witness
        if witness is None or "translation" in each.wanted:
            continue
        if all(words == " ".join(ROUTED_BACK) for words in witness.assumed):
            asserted(each.wanted, witness.packet)


def asserted(wanted: str, packet: Packet) -> None:
    """The naive reference says of the witness what the answer says of the policy."""
    _, intent = small()
    said = decide(intent.policy, packet, World(now=NOW, route=lambda version, value: reached(packet, value)))
    assert wanted == f"{said.action} by {said.rule}", (wanted, said, packet)


def reached(packet: Packet, value: int) -> str:
    """Routes as the witness has them: back to its source by the way it came."""
    return packet.entering if value == packet.source else packet.leaving


@pytest.mark.parametrize(("deed", "words"), RIDDLES)
def test_what_is_not_understood_is_named_and_never_equal(stand: Wire, deed: str, words: str) -> None:
    found = after(stand, deed)
    assert not found.equal
    assert any(words in each for each in found.unknown), found.unknown


@pytest.mark.parametrize("deed", HARMLESS)
def test_what_changes_nothing_is_no_difference(stand: Wire, deed: str) -> None:
    found = after(stand, deed)
    assert found.equal, ([each.words for each in found.differences][:3], found.unknown)


def after(wire: Wire, deed: str) -> Equivalence:
    """The small policy loaded afresh, then what somebody does."""
    compiled, intent = small()
    wire.run("nft", "flush", "ruleset")
    wire.load(delta(None, compiled.ruleset))
    wire.load(f"{deed}\n")
    return examined(wire, intent)


def test_a_system_setting_that_is_another_is_told(stand: Wire) -> None:
    compiled, intent = small()
    wire = stand
    wire.run("nft", "flush", "ruleset")
    wire.load(delta(None, compiled.ruleset))
    wanted = msgspec.structs.replace(intent, sysctls={"net.ipv4.ip_forward": "1"})
    assert examined(wire, wanted).equal
    wire.sysctl("net.ipv4.ip_forward", "0")
    try:
        assert [each.words for each in examined(wire, wanted).differences] == ["net.ipv4.ip_forward is 0, not 1"]
    finally:
        wire.sysctl("net.ipv4.ip_forward", "1")
