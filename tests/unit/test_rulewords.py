"""The words of rules as C reads them, beside what the objects say."""

from __future__ import annotations

import random
import sys
from array import array

import msgspec
import pytest

from appliance.policy.model import EVERYTHING, AddressSet, Range, Rate, Rule, ServiceEntry
from appliance.policy.proving.lower import service_boxes, service_lists
from appliance.policy.proving.space import conditional, conditional_at
from ctypes_ext import _rulewords as rulewords

TOP = 2**128 - 1


def _interval(rng: random.Random, most: int) -> tuple[int, int]:
    first = rng.randrange(most + 1)
    return first, min(most, first + rng.choice((0, 0, 1, 5, most)))


def _entry(rng: random.Random) -> ServiceEntry:
    protocol = rng.choice((6, 6, 6, 17, 17, 1, 58, 132, 47, 255, None))
    source_ports = _interval(rng, 65535) if rng.random() < 0.2 else (0, 65535)
    code = rng.choice((None, 0, 255))
    return ServiceEntry(protocol, _interval(rng, 65535), source_ports, _interval(rng, 255), code)


def _ports(rng: random.Random) -> ServiceEntry:
    return ServiceEntry(rng.choice((6, 17)), _interval(rng, 300))


def _rule(name: str, **fields: object) -> Rule:
    return msgspec.structs.replace(Rule(name, ("lan",), ("dmz",)), **fields)


def test_services_are_what_python_makes_of_them() -> None:
    rng = random.Random(1)
    lists = [tuple(_entry(rng) for _ in range(rng.randrange(4))) for _ in range(400)]
    lists += [tuple(_ports(rng) for _ in range(rng.choice((1, 2, 3, 32, 33)))) for _ in range(400)]
    packed = array("i"), array("I"), array("I")
    for to, data in zip(packed, rulewords.services(lists, service_lists), strict=True):
        to.frombytes(data)
    boxes, four_end, six_end = packed
    begin = 0
    for entries, four, six in zip(lists, four_end, six_end, strict=True):
        assert boxes[4 * begin : 4 * four].tolist() == service_boxes(entries, 4)
        assert boxes[4 * four : 4 * six].tolist() == service_boxes(entries, 6)
        begin = six
    assert begin == len(boxes) // 4


def test_addresses_keep_all_their_bits() -> None:
    given = [
        EVERYTHING.ranges,
        (),
        (Range(4, 0, 0), Range(4, 2**31, 2**32 - 1)),
        (Range(6, 0, 0), Range(6, 1 << 64, (1 << 64) + 7), Range(6, TOP, TOP)),
    ]
    packer = rulewords.packer({}, [])
    assert [rulewords.address(packer, ranges) for ranges in given] == [0, 1, 2, 3]
    assert [rulewords.address(packer, ranges) for ranges in given] == [0, 1, 2, 3]
    four, six, four_end, six_end = rulewords.addresses(packer)
    held = [part for ranges in given for part in ranges]
    assert array("I", four).tolist() == [end for part in held if part.version == 4 for end in (part.first, part.last)]
    wide = [int.from_bytes(six[at : at + 16], sys.byteorder) for at in range(0, len(six), 16)]
    assert wide == [end for part in held if part.version == 6 for end in (part.first, part.last)]
    assert (array("I", four_end).tolist(), array("I", six_end).tolist()) == ([1, 1, 3, 3], [1, 1, 1, 4])


def test_rows_name_equal_zones_and_the_same_lists_once() -> None:
    host = AddressSet((Range(4, 1, 1),))
    https = (ServiceEntry(6, (443, 443)),)
    rules = [
        _rule("a", source=host, services=https),
        _rule("b", destination=host, services=https),
        _rule("c", sources=("".join(("la", "n")),), source=host),
        _rule("d", sources=("dmz",)),
    ]
    pairs: dict[tuple[tuple[str, ...], tuple[str, ...], int], int] = {}
    services: list[tuple[ServiceEntry, ...]] = []
    packer = rulewords.packer(pairs, services)
    rulewords.address(packer, EVERYTHING.ranges)
    rows = array("I", rulewords.rows(packer, rules, 3, array("I", (9, 9, 9, 9, 9, 7)).tobytes()))
    assert [rows[at : at + 6].tolist() for at in range(0, 24, 6)] == [
        [9, 0, 1, 0, 0, 7],
        [9, 0, 0, 1, 0, 7],
        [9, 0, 1, 0, 1, 7],
        [9, 1, 0, 0, 1, 7],
    ]
    assert pairs == {(("lan",), ("dmz",), 3): 0, (("dmz",), ("dmz",), 3): 1}
    assert services == [https, rules[2].services]


def test_rules_with_conditions_are_found() -> None:
    names = AddressSet(dynamic=("www",))
    rules = [
        _rule("plain"),
        _rule("people", people=("staff",)),
        _rule("time", when="office"),
        _rule("end", expires_at=7),
        _rule("rate", rate=Rate(1, 1)),
        _rule("plain too", services=(), inspect="web"),
        _rule("from", source=names),
        _rule("to", destination=names),
    ]
    assert conditional_at(rules) == [1, 2, 3, 4, 6, 7] == [at for at, rule in enumerate(rules) if conditional(rule)]


def test_rules_that_meet_share_a_service() -> None:
    rng = random.Random(2)
    rules = [_rule(str(at), services=tuple(_ports(rng) for _ in range(rng.randrange(3)))) for at in range(300)]
    rules += [_rule("every"), _rule("elsewhere", sources=("dmz",))]
    wanted = [((6 << 16) + 10, (6 << 16) + 20), ((6 << 16) + 100, (6 << 16) + 100), ((17 << 16), (17 << 16) + 3)]
    asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    def ask(sources: tuple[str, ...], destinations: tuple[str, ...]) -> bytes:
        asked.append((sources, destinations))
        return array("i", [end for pair in wanted for end in pair]).tobytes() if sources == ("lan",) else b""

    def meets(entry: ServiceEntry) -> bool:
        base = (entry.protocol or 0) << 16
        return entry.protocol is None or any(
            base + entry.ports[0] <= last and first <= base + entry.ports[1] for first, last in wanted
        )

    found = rulewords.meeting(rules, {}, ask)
    assert found == [rule for rule in rules if rule.sources == ("lan",) and any(map(meets, rule.services))]
    assert 0 < len(found) < 300
    assert asked == [(("lan",), ("dmz",)), (("dmz",), ("dmz",))]


@pytest.mark.parametrize(
    ("part", "error"),
    [
        (Range(4, 0, 2**32), OverflowError),
        (Range(4, -1, 5), OverflowError),
        (Range(6, 0, 2**128), OverflowError),
        (Range(6, -1, 0), (OverflowError, ValueError)),  # as the Python at hand has it
        (Range(6, "::", 0), TypeError),  # type: ignore[arg-type]
        ("10.0.0.1", AttributeError),
    ],
)
def test_what_is_no_address_is_refused(part: Range, error: type[Exception] | tuple[type[Exception], ...]) -> None:
    with pytest.raises(error):
        rulewords.address(rulewords.packer({}, []), (part,))


def test_what_is_no_rule_is_refused() -> None:
    packer = rulewords.packer({}, [])
    with pytest.raises(AttributeError):
        rulewords.rows(packer, ["rule"], 3, bytes(20))  # type: ignore[list-item]
    with pytest.raises(ValueError, match="columns"):
        rulewords.rows(packer, [], 3, bytes(4))
    with pytest.raises(TypeError):
        rulewords.services([(ServiceEntry(6, (1,)),)], service_lists)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        conditional_at([None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="Capsule"):
        rulewords.addresses(object())  # type: ignore[arg-type]
