"""Where the gate stands, what it does there, whom it spares; what it keeps on disk."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from appliance.policy.meant.parse import parse
from appliance.policy.model import InterfaceAddress, Protection, Rate
from ctypes_ext.gate import LISTS, Limit, PrefixList, Way
from dataplane.banlists import Lists, NoRoom
from dataplane.gate import (
    MOST_RATE,
    Wanted,
    ZoneLines,
    is_list_name,
    limit,
    networks_of,
    own_networks,
    places,
    spared,
    way,
)

PROTECTED = Protection(bogons=("martians", "private"), syn=Rate(200, 1, 400, "source"), strangers=Rate(5000, 1, 5000))
WANTED = Wanted(
    7,
    (ZoneLines("internet", ("wan0", "lte*", "ppp0")), ZoneLines("lan", ("lan0",))),
    {"internet": PROTECTED},
    {"internet": (), "lan": ("10.20.0.0/16", "10.30.0.1-10.30.0.2"), "any": ("0.0.0.0/0",)},
    (InterfaceAddress("wan0", "192.0.2.9/24"), InterfaceAddress("wan0", "2001:db8::9/64")),
)


def test_the_gate_stands_at_the_lines_of_protected_zones_only() -> None:
    found = places(WANTED, {"wan0": 3, "lan0": 4})
    assert [(place.interface, place.zone, place.index) for place in found] == [
        ("wan0", "internet", 3),
        ("ppp0", "internet", 0),
    ]
    assert {place.way for place in found} == {way(PROTECTED)}


def test_what_the_policy_says_is_what_the_gate_does() -> None:
    assert way(PROTECTED) == Way(
        malformed=True, martians=True, private_sources=True, syn=Limit(200, 400), syn_total=Limit(5000, 5000)
    )
    assert way(Protection(malformed=False, bogons=("documentation",))) == Way(malformed=False, examples=True)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (None, Limit()),
        (Rate(10, 60, 5), Limit(1, 5)),
        (Rate(10, 1, 0), Limit(10, 1)),
        (Rate(10 * MOST_RATE, 1, 9), Limit(MOST_RATE, 9)),
    ],
)
def test_a_rate_is_never_no_limit_by_rounding(rate: Rate | None, expected: Limit) -> None:
    assert limit(rate) == expected


def test_own_addresses_and_networks_are_spared_bans_but_not_limits() -> None:
    own = {
        *(ip_network(words) for words in ("10.20.0.0/16", "10.30.0.1/32", "10.30.0.2/32")),
        *(ip_network(words) for words in ("192.0.2.9/32", "2001:db8::9/128")),
    }
    assert own_networks(WANTED) == own, "everybody is not among them"
    assert spared(WANTED, ()) == dict.fromkeys(own, False)


def test_the_allow_list_wins_over_what_lies_in_it() -> None:
    found = spared(WANTED, (ip_network("10.20.0.0/15"), ip_network("203.0.113.0/24"), ip_network("192.0.2.9/32")))
    assert found[ip_network("10.20.0.0/16")] is True
    assert found[ip_network("192.0.2.9/32")] is True
    assert found[ip_network("203.0.113.0/24")] is True
    assert found[ip_network("10.30.0.1/32")] is False


def test_ranges_are_networks() -> None:
    assert networks_of("10.0.0.1-10.0.0.3") == (ip_network("10.0.0.1/32"), ip_network("10.0.0.2/31"))
    for wrong in ("10.0.0.1/24", "nobody", "10.0.0.9-10.0.0.1", "10.0.0.1-2001:db8::"):
        with pytest.raises(ValueError):
            networks_of(wrong)


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("spamhaus-drop", True),
        ("a", True),
        ("bans", False),
        ("", False),
        ("../x", False),
        ("A", False),
        ("a" * 64, False),
    ],
)
def test_the_names_of_lists(name: str, holds: bool) -> None:
    assert is_list_name(name) is holds


def test_lists_are_kept_by_number_and_damaged_ones_are_left_out(tmp_path: Path) -> None:
    said: list[str] = []
    lists = Lists(tmp_path, said.append)
    for name in ("one", "two"):
        lists.keep(name, lists.number(name), b"\x0a\0\0\1\x20", b"")
    assert lists.kept.numbers == {"one": 2, "two": 3}
    lists.allow(("192.0.2.1",))
    again = Lists(tmp_path, said.append)
    assert again.kept == lists.kept
    assert {number: len(entries) for number, entries in again.load().items()} == {2: 1, 3: 1}
    (tmp_path / "2.list").write_bytes(b"\0\0\0\x05\0\0\0\0\0")
    (tmp_path / "3.list").write_bytes(b"\0\0\1")
    assert again.load() == {}
    assert len(said) == 2 and "list one" in said[0]
    assert again.forget("one") == 2
    assert again.number("three") == 2, "the number is free again"
    assert again.forget("one") is None
    (tmp_path / "lists.json").write_bytes(b"{")
    assert Lists(tmp_path, said.append).kept.numbers == {}


def test_there_are_as_many_lists_as_numbers(tmp_path: Path) -> None:
    lists = Lists(tmp_path, lambda _: None)
    for number in range(2, LISTS + 1):
        lists.kept.numbers[f"list-{number}"] = number
    with pytest.raises(NoRoom, match="as many as there can be"):
        lists.number("one-more")


def test_a_million_bad_lines_are_counted_and_the_good_ones_read() -> None:
    entries, report = PrefixList.read(b"no address\n" * 1_000_000 + b"0.0.0.0/0\n192.0.2.0/24\n192.0.2.7\n")
    assert (report.lines, report.bad, len(entries)) == (1_000_003, 1_000_001, 2)
    assert len(report.notes) == 16 and report.notes[0] == (1, False)


def test_what_the_text_says_is_what_the_model_has() -> None:
    text = """\
reef: 1
site: s
zones:
  internet:
    interfaces: [wan0]
    protect: {bogons: [private, martians], syn: 200/second burst 400, strangers: 5000/second}
  lan: {interfaces: [lan0], protect: {malformed: no}}
  dmz: {interfaces: [dmz0]}
connections: {wan0: {provider: P, officer: "O <o@example.org>"}}
"""
    policy, _ = parse(text, "s.yaml", inherited={})
    assert policy.zones["internet"].protect == Protection(
        bogons=("martians", "private"), syn=Rate(200, 1, 400, "source"), strangers=Rate(5000, 1, 5000, "source")
    )
    assert policy.zones["lan"].protect == Protection(malformed=False)
    assert policy.zones["dmz"].protect is None
