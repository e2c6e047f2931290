"""Addresses and ports of rules against sets that think of single members; what a rule set says of itself."""

from __future__ import annotations

import ipaddress
import random

import pytest

from dataplane.rules.addresses import Header, joined, without
from dataplane.rules.image import LAYOUT, VERSION
from dataplane.rules.problem import Refused
from dataplane.ruleset import VARIABLES, Source, compile_rules
from tests.imagedump import read

BASE = int(ipaddress.IPv4Address("10.0.0.0"))
ANY = "tcp any any -> any any"
SPAN = 32  # addresses and ports that the twin knows


def members(ranges: tuple[tuple[int, int], ...], base: int) -> set[int]:
    return {number for number in range(SPAN) if any(first <= base + number <= last for first, last in ranges)}


def group(chance: random.Random, depth: int, *, ports: bool) -> tuple[str, set[int]]:
    """A group in words, and its members as the language means them: what is named, less what is negated."""
    words: list[str] = []
    yes: set[int] = set()
    no: set[int] = set()
    positive = False
    for _ in range(chance.randint(1, 4)):
        if depth < 2 and chance.random() < 0.3:
            inside, part = group(chance, depth + 1, ports=ports)
            word = f"[{inside}]"
        else:
            first = chance.randrange(SPAN)
            last = min(SPAN - 1, first + chance.randrange(6))
            part = set(range(first, last + 1))
            if ports:
                word = f"{first}:{last}"
            else:
                word = f"{ipaddress.IPv4Address(BASE + first)}-{ipaddress.IPv4Address(BASE + last)}"
        if chance.random() < 0.3:
            words.append("!" + word)
            no |= part
        else:
            words.append(word)
            yes |= part
            positive = True
    everything = set(range(SPAN))
    return ",".join(words), (yes if positive else everything) - no


@pytest.mark.parametrize("ports", [False, True])
def test_groups_mean_what_their_words_say(ports: bool) -> None:
    chance = random.Random(7)
    header = Header({})
    empty = 0
    for _ in range(3000):
        words, wanted = group(chance, 0, ports=ports)
        try:
            if ports:
                got = members(header.ports(f"[{words}]"), 0)
            else:
                got = members(header.addresses(f"[{words}]").four, BASE)
        except Refused:
            got = set()
            empty += 1
        assert got == wanted, words
    assert empty < 1000


def test_ranges_are_sorted_disjoint_and_joined() -> None:
    assert joined([(5, 9), (1, 2), (3, 4), (8, 12), (20, 20)]) == ((1, 12), (20, 20))
    assert without(((1, 12), (20, 30)), ((0, 1), (5, 6), (12, 25))) == ((2, 4), (7, 11), (26, 30))


def test_variables_lead_to_variables() -> None:
    header = Header({**VARIABLES, "HOME_NET": "[10.0.0.0/8,!10.1.0.0/16]"})
    home = header.addresses("$HOME_NET")
    away = header.addresses("$EXTERNAL_NET")
    for address in ("10.0.0.1", "10.1.0.1", "192.0.2.1"):
        number = int(ipaddress.IPv4Address(address))
        inside = any(first <= number <= last for first, last in home.four)
        assert inside != any(first <= number <= last for first, last in away.four)
    assert not home.six
    assert away.six


def test_a_variable_that_names_itself_is_refused() -> None:
    with pytest.raises(Refused, match="deeper"):
        Header({"A": "$A"}).addresses("$A")
    with pytest.raises(Refused, match="deeper"):
        Header({"A": "[80,$A]"}).ports("$A")


def test_every_problem_of_all_files_is_told_at_once() -> None:
    result = compile_rules(
        [
            Source("a.rules", f"# nothing\nalert {ANY} (sid:1;)\nalert {ANY} (conten:x; sid:2;)\n"),
            Source("b.rules", f"alert {ANY} (sid:1;)\nnonsense\ndrop {ANY} (sid:3; rev:1;)"),
        ]
    )  # fmt: skip
    assert [(problem.file, problem.line, problem.sid) for problem in result.refused] == [
        ("a.rules", 3, 2),
        ("b.rules", 1, 1),
        ("b.rules", 2, 0),
    ]
    assert result.loaded == 2
    assert [row[0] for row in read(result.image).rows[0]] == [1, 3]


def test_the_image_has_the_layout_and_the_digest_it_was_given() -> None:
    result = compile_rules([], engine=bytes(range(32)))
    tables = read(result.image)
    assert tables.engine == bytes(range(32))
    assert VERSION >= 2
    assert all(layout.size % 4 == 0 for layout in LAYOUT.values())
    assert [len(rows) for rows in tables.rows] == [0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]  # the sets 0 are any


def test_bytes_that_are_not_utf8_are_taken_as_they_are() -> None:
    text = b'alert tcp any any -> any any (content:"\xff\xc3\xa9"; sid:1;)'.decode("utf-8", "surrogateescape")
    image = compile_rules([Source("a.rules", text)]).image
    condition = read(image).rows[2][0]
    assert read(image).text(*condition[9:]) == b"\xff\xc3\xa9"
