"""A word finds its entries among very many without looking at the others, page by page, and while they change."""

from __future__ import annotations

import random

import pytest

from appliance.control.applying.banlist import BanRegister
from appliance.control.messages.gateway import BanEntry
from appliance.policy import addresses
from appliance.searching import Searched

MANY = 100_000


def _text(number: int) -> str:
    return f"entry {number} of {'monday' if number % 7 == 0 else 'another day'}"


@pytest.fixture(scope="module")
def many() -> Searched[int]:
    found = Searched[int](_text)
    for number in range(MANY):
        found.put(number)
    while found.warm():
        pass
    return found


def _pages(found: Searched[int], *words: str, limit: int, most: int = 20_000) -> list[int]:
    keys: list[int] = []
    after = 0
    while True:
        page = found.find(words, after=after, limit=limit, most=most)
        keys += page.keys
        after = page.after
        if not after:
            return keys


def test_a_rare_word_touches_the_lines_that_hold_it_and_no_others(many: Searched[int]) -> None:
    before = many.looked
    found = many.find(["entry 77777 "], limit=100)
    assert (found.keys, found.total, found.exact, found.after) == ([77_777], 1, True, 0)
    assert many.find(["not there"], limit=100).keys == []
    assert many.looked - before == 1


def test_the_first_page_of_everything_touches_only_itself(many: Searched[int]) -> None:
    before = many.looked
    found = many.find([], limit=100)
    assert found.keys == list(range(MANY - 1, MANY - 101, -1))
    assert (found.total, found.exact) == (MANY, True)
    assert many.looked - before <= 101


def test_a_common_word_is_looked_for_no_further_than_the_bound(many: Searched[int]) -> None:
    before = many.looked
    found = many.find(["entry"], limit=100)
    assert found.keys == list(range(MANY - 1, MANY - 101, -1))
    assert not found.exact
    assert 100 <= found.total < MANY
    assert many.looked - before <= 20_000 + 4_096


def test_pages_hold_each_entry_once_and_newest_first(many: Searched[int]) -> None:
    mondays = [number for number in range(MANY - 1, -1, -1) if number % 7 == 0]
    assert _pages(many, "monday", limit=5_000) == mondays
    nines = [number for number in mondays if "99" in str(number)]
    # Words that are common one by one and rare together: a page may be short, and the next goes on behind it.
    assert _pages(many, "99", "MONDAY", limit=50, most=2_000) == nines


def test_it_finds_what_a_plain_look_finds_after_any_changes() -> None:
    chance = random.Random(7)
    texts: dict[int, str] = {}
    found = Searched[int](lambda key: texts[key])
    order: list[int] = []
    for step in range(6_000):
        key = chance.randrange(300)
        if chance.random() < 0.6:
            texts[key] = chance.choice(["one two", "two\nthree", "Three four", "ü five"])
            found.put(key)
            order = [*(one for one in order if one != key), key]
        elif key in order and chance.random() < 0.5:
            texts[key] = chance.choice(["six", "one"])
            found.changed(key)
        else:
            found.drop(key)
            order = [one for one in order if one != key]
        if step % 50 == 0:
            word = chance.choice(["two", "three", "one", "ü", "six", "seven", ""])
            wanted = [one for one in reversed(order) if word in texts[one].lower()]
            assert _pages(found, word, limit=chance.randrange(1, 40)) == wanted
            assert len(found) == len(order)


def _ban(address: str, reason: str = "", until: float = 0.0, by: str = "amara") -> BanEntry:
    return BanEntry(address, by, reason, 1.0, until)


def test_a_line_break_in_a_word_is_a_blank_as_in_what_is_found() -> None:
    found = Searched[str](lambda key: key)
    for key in ("Monday", "Tuesday\nnight", "Tuesday night"):
        found.put(key)
    assert found.find(["y\nn"], limit=9).keys == ["Tuesday night", "Tuesday\nnight"]
    assert found.find(["\n"], limit=9).total == 2


def test_an_address_finds_the_bans_that_hold_it_the_narrowest_first() -> None:
    bans = BanRegister()
    bans.put(
        map(_ban, ("10.0.0.0/8", "10.1.2.3", "10.1.0.0/16", "10.1.2.1-10.1.2.9", "192.0.2.1", "2001:db8::/32")),
    )
    bans.put([_ban("198.51.100.7", "came from 10.1.2.3")])
    shown, found = bans.find("10.1.2.3", 0, 10)
    addressed = ["10.1.2.3", "10.1.0.0/16", "10.0.0.0/8", "10.1.2.1-10.1.2.9", "198.51.100.7"]
    assert [entry.address for entry in shown] == addressed
    assert (found.total, found.after) == (5, 0)
    assert [entry.address for entry in bans.find("10.1.2.0/24", 0, 10)[0]] == ["10.1.0.0/16", "10.0.0.0/8"]
    assert [entry.address for entry in bans.find("2001:db8:7::1", 0, 10)[0]] == ["2001:db8::/32"]
    assert [entry.address for entry in bans.find("AMARA", 0, 3)[0]] == ["198.51.100.7", "2001:db8::/32", "192.0.2.1"]


def test_bans_end_at_their_time_and_a_renewed_one_at_its_new_time() -> None:
    bans = BanRegister()
    bans.put([_ban("192.0.2.1", until=10), _ban("192.0.2.2", until=20, by="detection port-scan"), _ban("192.0.2.3")])
    bans.put([_ban("192.0.2.1", until=30)])
    assert bans.automatic == 1
    bans.end(20)
    assert [entry.address for entry in bans.all()] == ["192.0.2.3", "192.0.2.1"]
    assert bans.automatic == 0
    bans.end(31)
    assert [entry.address for entry in bans.find("", 0, 9)[0]] == ["192.0.2.3"]


def test_what_is_renewed_again_and_again_takes_no_more_room() -> None:
    bans = BanRegister()
    bans.put([_ban("192.0.2.2", until=500), _ban("192.0.2.3")])
    for until in range(1_000, 11_000):
        bans.put([_ban("192.0.2.1", until=until)])
    assert len(bans._ends) < 2_000
    bans.end(10_998)
    assert [entry.address for entry in bans.all()] == ["192.0.2.3", "192.0.2.1"]
    bans.end(10_999)
    assert [entry.address for entry in bans.all()] == ["192.0.2.3"]


def test_an_address_is_found_among_very_many_bans_without_looking_at_them() -> None:
    bans = BanRegister()
    first = addresses.literal("10.0.0.0").first
    bans.put(_ban(addresses.text_of(4, first + number), f"case {number}") for number in range(MANY))
    while bans.warm():
        pass
    before = bans.looked
    shown, _ = bans.find(addresses.text_of(4, first + 4_711), 0, 100)
    assert [entry.reason for entry in shown] == ["case 4711"]
    assert bans.looked - before <= 100  # other addresses that are written with the same digits
