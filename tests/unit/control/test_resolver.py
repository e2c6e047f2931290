"""Which DNS answers are believed, and when a name is asked for again."""

from __future__ import annotations

import pytest

from appliance.control.resolver import LEAST_SECONDS, RETRY_SECONDS, Answer, Book, lie
from appliance.policy.model import Dynamic

SET = Dynamic("dns_mirrors", "dns", ("a.example", "b.example"), cap=4, refresh=120)
OWN = ("10.20.0.1", "2001:db8::1")


@pytest.fixture
def book() -> Book:
    found = Book()
    found.want((SET, Dynamic("group_staff", "group", ("someone",))))
    return found


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "0/8"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("::ffff:192.0.2.1", "disguise"),
        ("10.20.0.1", "gateway itself"),
        ("2001:db8::1", "gateway itself"),
    ],
)
def test_no_name_stands_for_these(address: str, words: str) -> None:
    assert words in lie(address, OWN)


@pytest.mark.parametrize("address", ["192.0.2.1", "10.20.0.2", "2001:db8::2", "203.0.113.255"])
def test_other_addresses_are_believed(address: str) -> None:
    assert lie(address, OWN) == ""


def test_a_set_may_lose_nothing_until_every_name_of_it_was_answered(book: Book) -> None:
    assert book.due(0.0) == ("a.example", "b.example")
    assert book.learn("a.example", Answer(("192.0.2.1",), 60), 0.0, OWN) == ("dns_mirrors",)
    filling = book.filling("dns_mirrors")
    assert (filling.addresses, filling.complete, filling.change) == (("192.0.2.1",), False, True)
    book.learn("b.example", Answer(("2001:db8::2",), 60), 0.0, OWN)
    filling = book.filling("dns_mirrors")
    assert (filling.addresses, filling.complete) == (("192.0.2.1", "2001:db8::2"), True)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer((), 60), "no address"),
        (Answer(error="a.example A: SERVFAIL"), "SERVFAIL"),
        (Answer(tuple(f"192.0.2.{number}" for number in range(1, 6)), 60), "5 addresses, at most 4"),
        (Answer(("192.0.2.7", "127.0.0.1"), 60), "lie"),
    ],
)
def test_the_last_good_answer_stays(book: Book, answer: Answer, words: str) -> None:
    for name in SET.names:
        book.learn(name, Answer(("192.0.2.1",), 60), 0.0, OWN)
    book.learn("a.example", answer, 100.0, OWN)
    filling = book.filling("dns_mirrors")
    assert filling.addresses == ("192.0.2.1",)
    assert words in filling.error
    assert "a.example" not in book.due(100.0 + RETRY_SECONDS - 1)
    assert "a.example" in book.due(100.0 + RETRY_SECONDS)
    book.learn("a.example", Answer(("192.0.2.9",), 60), 120.0, OWN)
    assert book.filling("dns_mirrors").error == ""


def test_the_cap_counts_all_names_of_a_set_together(book: Book) -> None:
    book.learn("a.example", Answer(("192.0.2.1", "192.0.2.2", "192.0.2.3"), 60), 0.0, OWN)
    book.learn("b.example", Answer(("192.0.2.4", "192.0.2.5"), 60), 0.0, OWN)
    filling = book.filling("dns_mirrors")
    assert len(filling.addresses) == 3
    assert "5 addresses" in filling.error


@pytest.mark.parametrize(("ttl", "seconds"), [(0, LEAST_SECONDS), (60, 60), (86400, 120)])
def test_a_ttl_counts_within_bounds(book: Book, ttl: int, seconds: int) -> None:
    book.learn("a.example", Answer(("192.0.2.1",), ttl), 1000.0, OWN)
    assert "a.example" not in book.due(1000.0 + seconds - 0.5)
    assert "a.example" in book.due(1000.0 + seconds)


def test_kept_answers_fill_the_sets_after_a_start() -> None:
    first = Book()
    first.want((SET,))
    for name in SET.names:
        first.learn(name, Answer(("192.0.2.1",), 60), 0.0, OWN)
    second = Book(first.kept())
    second.want((SET,))
    assert second.filling("dns_mirrors").addresses == ("192.0.2.1",)
    assert second.due(0.0) == SET.names  # and every name is asked for all the same


def test_names_that_no_set_has_are_forgotten(book: Book) -> None:
    book.learn("a.example", Answer(("192.0.2.1",), 60), 0.0, OWN)
    book.want((Dynamic("dns_other", "dns", ("b.example",)),))
    assert book.due(0.0) == ("b.example",)
    assert book.learn("a.example", Answer(("192.0.2.2",), 60), 0.0, OWN) == ()
