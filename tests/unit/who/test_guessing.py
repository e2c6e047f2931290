"""Who guesses waits, and nobody else: with a clock of the test's."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.console.who.device import words_of
from appliance.console.who.failures import Failures
from appliance.console.who.guessing import LONGEST, SLOWEST, Guessing
from appliance.console.who.tickets import Tickets, read, written


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_waits_longer_and_longer() -> None:
    clock = Clock()
    guessing = Guessing(clock)
    waits = []
    for _ in range(14):
        waits.append(guessing.failed("192.0.2.1", "amara"))
        clock.now += waits[-1]
    assert waits[:5] == [0.0] * 5
    assert all(later >= sooner for sooner, later in pairwise(waits))
    assert waits[6] > 1 and LONGEST / 2 < waits[-1] <= LONGEST


def test_a_million_guesses_take_years() -> None:
    """An address that never rests gets about one try a minute."""
    clock = Clock()
    guessing = Guessing(clock)
    began, tries = clock.now, 0
    while clock.now < began + 86_400:
        clock.now += max(guessing.waits("192.0.2.1"), 0.05)
        guessing.failed("192.0.2.1", "amara")
        tries += 1
    assert tries < 4000


def test_others_do_not_wait_for_what_an_address_did() -> None:
    clock = Clock()
    guessing = Guessing(clock)
    for _ in range(1000):
        guessing.failed("192.0.2.1", "amara")
    assert guessing.waits("192.0.2.1") > 0
    assert guessing.waits("192.0.2.2") == 0
    assert 0 < guessing.slow("amara") <= SLOWEST, "whoever tries this name is answered later, and is answered"
    assert guessing.slow("ben") == 0


def test_what_is_held_against_somebody_is_forgotten_with_time() -> None:
    clock = Clock()
    guessing = Guessing(clock)
    for _ in range(30):
        guessing.failed("192.0.2.1", "amara")
    clock.now += 7200
    assert guessing.waits("192.0.2.1") == 0 and guessing.slow("amara") == 0
    assert guessing.failed("192.0.2.1", "amara") == 0


def test_who_was_right_begins_anew() -> None:
    clock = Clock()
    guessing = Guessing(clock)
    for _ in range(5):
        guessing.failed("192.0.2.1", "amara")
    guessing.right("192.0.2.1", "amara")
    assert guessing.failed("192.0.2.1", "amara") == 0


def test_networks_of_ipv6_are_one() -> None:
    guessing = Guessing(Clock())
    for number in range(9):
        guessing.failed(f"2001:db8::{number}", "amara")
    assert guessing.waits("2001:db8::ffff") > 0
    assert guessing.waits("2001:db8:0:1::1") == 0
    for _ in range(9):
        guessing.failed("::ffff:192.0.2.1", "amara")
    assert guessing.waits("192.0.2.1") > 0


@given(st.lists(st.tuples(st.integers(0, 1 << 32), st.text(max_size=80)), max_size=50))
def test_what_is_remembered_is_bounded(tries: list[tuple[int, str]]) -> None:
    guessing = Guessing(Clock())
    for address, name in tries:
        wait = guessing.failed(str(IPv4Address(address % (1 << 32))), name)
        assert 0 <= wait <= LONGEST and guessing.slow(name) <= SLOWEST
    assert guessing.remembered <= 2 * len(tries)


def test_a_flood_of_addresses_and_names_fills_nothing() -> None:
    guessing = Guessing(Clock())
    for number in range(10_000):
        guessing.failed(f"10.{number >> 8 & 255}.{number & 255}.1", f"name {number}")
    assert guessing.remembered <= 2 * 4096


# --- tickets --------------------------------------------------------------------------------------------------------


def test_a_ticket_is_good_once_for_its_purpose_and_browser_and_for_some_minutes() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    ticket = tickets.make("log-in", "cookie", b"content")
    assert tickets.read(ticket, "log-in", "cookie") == b"content"
    assert tickets.read(ticket, "enrol", "cookie") is None
    assert tickets.read(ticket, "log-in", "another") is None
    assert Tickets(clock).read(ticket, "log-in", "cookie") is None
    assert tickets.take(ticket, "log-in", "cookie") == b"content"
    assert tickets.take(ticket, "log-in", "cookie") is None
    late = tickets.make("log-in", "cookie")
    clock.now += 301
    assert tickets.read(late, "log-in", "cookie") is None


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(1, 255))
def test_a_ticket_that_was_changed_is_none(content: bytes, at: int, change: int) -> None:
    tickets = Tickets(Clock())
    ticket = bytearray(tickets.make("a", "b", content))
    assert read(written(bytes(ticket))) == bytes(ticket)
    ticket[at % len(ticket)] ^= change
    assert tickets.read(bytes(ticket), "a", "b") is None


@pytest.mark.parametrize("text", ["", "!", "a" * 100_000, "é", "A"])
def test_what_is_no_ticket_is_none(text: str) -> None:
    assert Tickets(Clock()).read(read(text), "a", "b") is None


# --- telling --------------------------------------------------------------------------------------------------------


def test_failures_are_told_together() -> None:
    failures = Failures()
    assert failures.take() == {}
    for number in range(1000):
        failures.add("passphrase", "amara" if number % 2 else f"name {number}", f"10.0.{number >> 8}.{number & 255}")
    for _ in range(40):
        failures.add("passphrase", "ben", "192.0.2.1")
        failures.add("passphrase", "", "192.0.2.1")
    told = failures.take()
    assert told["failures"] == "1080"
    assert "more" in told["what"] and len(told["what"]) < 2000
    assert failures.take() == {}
    failures.add("passkey", "", "192.0.2.1")
    assert failures.take() == {"failures": "1", "what": "nobody named from 192.0.2.1 by passkey: 1"}


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 "
         "Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Mobile Safari/537.36",
         "Chrome on Android"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0",
         "Edge on Windows"),
        ("", "a browser"), ("<script>", "a browser"),
    ],
)  # fmt: skip
def test_a_device_in_words(agent: str, words: str) -> None:
    assert words_of(agent) == words
