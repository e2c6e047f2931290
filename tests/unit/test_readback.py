"""The kernel's own bytes: what they mean, and what is not understood stays unknown."""

from __future__ import annotations

import struct

import msgspec
import pytest

from appliance.policy.compiling.rulechain import chain_name
from appliance.policy.model import Policy
from appliance.policy.readback import expressions as nft
from appliance.policy.readback import packets
from appliance.policy.readback.equivalence import equivalence
from appliance.policy.readback.expressions import Malformed, Unknown, attributes, expression, expressions
from appliance.policy.readback.kernel import read
from appliance.policy.readback.packets import EVERY, Place
from appliance.policy.readback.registers import axis, compare, constant, masked, name_bytes, read_field
from tests.policies import zones
from tests.readback import recorded, small

FORWARD = Place("forward", "lan0", "wan0", 4)


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) & 3)


def written(name: str, *parts: bytes) -> bytes:
    """An expression as the kernel writes it."""
    return attribute(1, name.encode() + b"\0") + attribute(2 | 0x8000, b"".join(parts))


def word(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "big"))


def test_a_recorded_table_is_what_its_policy_means() -> None:
    _, intent = small()
    found = equivalence(recorded(), intent)
    assert found.equal, (found.differences, found.unknown, "record again: python -m tests.readback")
    assert found.places > 100
    # The comparison does not say so of any policy.
    for policy in (Policy(site="none", zones=zones()), Policy(site="open", zones=zones(antispoofing=False))):
        other = equivalence(recorded(), msgspec.structs.replace(intent, policy=policy))
        assert not other.equal
        assert other.differences


def test_a_recorded_table_has_its_hooks_rules_and_elements() -> None:
    table = read(recorded())["inet", "reef"]
    hooks = {
        chain.hook.name: (chain.hook.kind, chain.hook.priority, chain.hook.policy)
        for chain in table.bases
        if chain.hook
    }
    assert hooks == dict.fromkeys(("input", "forward", "output"), ("filter", 0, 0))
    points = table.sets["guest/internet/tcp4/points"]
    assert len(points.elements) == 5
    assert {each.data.chain for each in points.elements if isinstance(each.data, nft.Verdict)} == {
        chain_name(f"R-{number}") for number in range(1, 6)
    }
    rules = [each for chain in table.chains.values() for rule in chain.rules for each in rule]
    assert len(rules) > 60
    assert not [each for each in rules if isinstance(each, Unknown)]


def test_an_expression_of_another_version_is_unknown() -> None:
    assert expression(written("quantum", word(1, 1))) == Unknown("the expression quantum")
    assert expression(
        written("cmp", word(1, 1), word(2, 0), attribute(3, attribute(1, b"\0")), word(9, 1))
    ) == Unknown("attribute 9 of the expression cmp")
    assert expression(written("bitwise", word(1, 1), word(2, 1), word(3, 4), word(6, 1))) == Unknown(
        "bitwise operation 1"
    )
    assert isinstance(expression(written("cmp", word(1, 1), word(2, 9), attribute(3, attribute(1, b"\0")))), Unknown)


@pytest.mark.parametrize(
    "data",
    [b"\x01", b"\x03\0\x01\0", b"\x40\0\x01\0abcd", b"\x08\0\x01\0abcd\x01\0"],
    ids=("one", "small", "long", "rest"),
)
def test_torn_attributes_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(attributes(data))


def test_an_expression_without_its_attributes_is_refused() -> None:
    with pytest.raises(Malformed, match="lacks attribute"):
        expression(written("cmp", word(1, 1)))
    assert expressions(b"") == []


def test_a_comparison_of_the_first_bytes_is_a_prefix() -> None:
    """nft writes 10.1.0.0/16 as two bytes of an address."""
    source = axis(packets.SOURCE, 4)
    held = compare(source, "==", b"\x0a\x01", EVERY).product
    assert held is not None
    assert held[packets.SOURCE] == ((0x0A010000, 0x0A01FFFF),)
    held = compare(source, "!=", b"\x0a\x01", EVERY).product
    assert held is not None
    assert held[packets.SOURCE] == ((0, 0x0A00FFFF), (0x0A020000, 0xFFFFFFFF))
    held = compare(masked(source, b"\xff\xff\xff\xe0", b"\0" * 4), "==", b"\x0a\x01\x00\x20", EVERY).product
    assert held is not None
    assert held[packets.SOURCE] == ((0x0A010020, 0x0A01003F),)
    # What is no prefix is a condition with a name, and no interval.
    outcome = compare(masked(source, b"\0\0\0\x01", b"\0" * 4), "==", b"\0\0\0\x01", EVERY)
    assert outcome.product == EVERY
    assert outcome.condition is not None


def test_interface_names_may_be_given_by_their_beginning() -> None:
    name = constant(name_bytes("eth12"))
    assert compare(name, "==", b"eth", EVERY).product == EVERY
    assert compare(name, "==", name_bytes("eth1"), EVERY).product is None
    assert compare(name, "!=", name_bytes("eth1"), EVERY).product == EVERY


def test_a_transport_field_is_read_by_protocol() -> None:
    fields = read_field(("payload", "transport", "2"), 2, FORWARD, (0, 0xFFFFFFFF), None)
    assert fields is not None
    kinds = {value.kind: protocols for protocols, value in fields}
    assert kinds["axis"] == packets.PORTED
    assert kinds["asked"] is not None
    tcp = read_field(("payload", "transport", "2"), 2, FORWARD, (0, 0xFFFFFFFF), ((6, 6),))
    assert tcp is not None
    assert [value.axis for _, value in tcp] == [packets.KEY]
    # A field of the other IP version is not there, and the rule breaks off.
    assert read_field(("ct", "ip6 saddr", "original"), 0, FORWARD, (0, 0xFFFFFFFF), None) is None


def test_the_mark_is_known_bit_by_bit() -> None:
    alternatives = read_field(("ct", "mark"), 4, FORWARD, (0x20, 0xFFFFFFF0), None)
    assert alternatives is not None
    mark = alternatives[0][1]
    assert compare(masked(mark, b"\xf0\0\0\0", b"\0" * 4), "==", b"\x20\0\0\0", EVERY).product == EVERY
    assert compare(mark, "==", b"\x30\0\0\0", EVERY).product is None
    assert compare(mark, "==", b"\x21\0\0\0", EVERY).condition is not None
