"""Addresses as set elements, SSH_CONNECTION as a tuple, and numbers that stay with their rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.control.deciding.numbering import Numbers
from appliance.control.kernel.conntrack import session_tuple
from appliance.control.kernel.netlink import attribute_map, attributes
from appliance.control.kernel.nfsets import (
    ELEM_KEY,
    SET_FLAG_TIMEOUT,
    Element,
    ElementError,
    SetInfo,
    encoded,
    format_element,
    parse_address,
)
from appliance.policy.compiling.bundle import RuleInfo
from appliance.policy.model import Policy, Rule


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0-10.255.255.255", "10.0.0.0/8"),
        ("10.0.0.1-10.0.0.2", "10.0.0.1-10.0.0.2"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_an_element_is_said_as_it_was_meant(words: str, said: str) -> None:
    version, element = parse_address(words)
    assert format_element(element, 4 if version == 4 else 16) == said


@pytest.mark.parametrize(
    "words", ["", "10.0.0.1/8", "10.0.0.2-10.0.0.1", "10.0.0.1-2001:db8::1", "example.org", "1.2.3"]
)
def test_what_is_no_address_is_refused_in_words(words: str) -> None:
    with pytest.raises(ElementError, match=r"is neither an address|write the lower"):
        parse_address(words)


@pytest.mark.parametrize(("length", "key"), [(4, 0), (4, 0xC0000201), (16, 1), (16, (0x20010DB8 << 96) + 7)])
def test_an_element_that_is_only_a_key_is_written_as_the_others_are(length: int, key: int) -> None:
    timed = encoded(SetInfo("x", SET_FLAG_TIMEOUT, length), Element(key, key, 5.0))
    plain = encoded(SetInfo("x", SET_FLAG_TIMEOUT, length), Element(key, key))
    assert attributes_of(plain) == {ELEM_KEY: attributes_of(timed)[ELEM_KEY]}
    with pytest.raises(ElementError, match="does not fit"):
        encoded(SetInfo("x", 0, length), Element(1 << length * 8, 1 << length * 8))
    with pytest.raises(ElementError, match="single addresses"):
        encoded(SetInfo("x", 0, length), Element(0, 1))


def attributes_of(element: bytes) -> dict[int, bytes]:
    ((_, inner),) = attributes(element)
    return attribute_map(inner)


def test_ssh_connections_are_read() -> None:
    found = session_tuple("192.0.2.7 50022 10.20.0.1 22")
    assert found is not None
    assert (str(found.source), found.source_port, str(found.destination), found.destination_port) == (
        "192.0.2.7",
        50022,
        "10.20.0.1",
        22,
    )
    mapped = session_tuple("::ffff:192.0.2.7 1 ::ffff:10.0.0.1 22")
    assert mapped is not None
    assert mapped.source.version == 4
    scoped = session_tuple("fe80::1%lan0 1 fe80::2%lan0 22")
    assert scoped is not None
    assert str(scoped.source) == "fe80::1"
    for wrong in ("", "1 2 3 4", "192.0.2.7 x 10.0.0.1 22", "192.0.2.7 1 10.0.0.1"):
        assert session_tuple(wrong) is None


def rules(*ids: str) -> Policy:
    return Policy(site="s", rules=tuple(Rule(name, ("a",), ("b",)) for name in ids))


def test_numbers_stay_and_are_never_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    numbers = Numbers(path, print)
    first = {rule.id: rule.number for rule in numbers.number(rules("R-1", "R-2")).rules}
    again = Numbers(path, print)
    second = {rule.id: rule.number for rule in again.number(rules("R-3", "R-2")).rules}
    assert second["R-2"] == first["R-2"]
    assert second["R-3"] not in first.values()


def test_unchanged_rules_stay_the_same_objects(tmp_path: Path) -> None:
    """That is how the compiler knows them again."""
    numbers = Numbers(tmp_path / "numbers.json", print)
    policy = rules("R-1", "R-2")
    once, twice = numbers.number(policy), numbers.number(policy)
    assert all(one is two for one, two in zip(once.rules, twice.rules, strict=True))


def test_numbers_are_learned_from_a_generation_when_the_file_is_lost(tmp_path: Path) -> None:
    numbers = Numbers(tmp_path / "numbers.json", print)
    numbers.learn((RuleInfo("R-9", 40, "allow"),))
    found = {rule.id: rule.number for rule in numbers.number(rules("R-9", "R-10")).rules}
    assert found == {"R-9": 40, "R-10": 41}


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    path.write_text("{")
    told: list[str] = []
    Numbers(path, told.append)
    assert len(told) == 1
    assert "taken from the running generation" in told[0]
