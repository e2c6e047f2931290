"""Who may ask, and how often: credentials, buckets, guessers; and what headers mean."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from appliance.events.api import taxii
from appliance.events.api.access import Access, Refused, Told
from appliance.events.api.asked import Asked
from appliance.events.api.problems import Problem
from appliance.events.classes import Class
from appliance.events.tlp import Tlp
from appliance.policy.consumers import Consumer
from appliance.serving.bucket import Bucket
from appliance.serving.packing import encoding, packed
from tests.alertapi import consumer

CERTIFICATE = b"a certificate as DER"
PRINT = sha256(CERTIFICATE).hexdigest()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def access(clock: Clock | None = None, told: list[Told] | None = None) -> Access:
    consumers = (
        consumer("one", "token-1", rate=10, burst=3, tlp="green", names="intelmq", collections=("alerts",)),
        consumer("two", "token-2", certificate=PRINT),
        Consumer(name="three", collections=("audit",), certificate=sha256(b"other").hexdigest()),
    )
    return Access(consumers, clock or Clock(), (told if told is not None else []).append)


def basic(password: str, user: str = "any") -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("shown", "certificate", "name"),
    [
        ("Bearer token-1", b"", "one"), ("bearer token-1", b"", "one"), ("Token token-1", b"", "one"),
        (basic("token-1"), b"", "one"), (basic("token-1", ""), b"", "one"), ("Bearer token-1", CERTIFICATE, "one"),
        ("Bearer token-2", CERTIFICATE, "two"), ("Bearer token-2", b"", None), ("", CERTIFICATE, None),
        ("Bearer token-2", b"other", "three"), ("", b"other", "three"), ("", b"", None), ("Bearer ", b"", None),
        ("Bearer token-3", b"", None), ("Digest token-1", b"", None), ("Basic ???", b"", None),
        ("token-1", b"", None), (basic(""), b"", None), ("Bearer " + "x" * 10_000, b"", None),
        ("Bearer token-1 ", b"", "one"),
    ],
)  # fmt: skip
def test_who_is_recognised(shown: str, certificate: bytes, name: str | None) -> None:
    found = access().identify(shown, certificate)
    assert (found.name if found else None) == name


@given(st.text(max_size=60), st.binary(max_size=20))
def test_no_header_breaks_it_and_none_is_recognised_by_chance(header: str, certificate: bytes) -> None:
    assert access().identify(header, certificate) is None


def test_a_guest_has_what_the_policy_says() -> None:
    guest = access().identify("Bearer token-1", b"")
    assert guest is not None
    assert (guest.highest, guest.classes) == (Tlp.GREEN, frozenset((Class.ALERT,)))
    assert guest.reads("alerts")
    assert not guest.reads("indicators")
    assert [guest.label(level) for level in Tlp] == ["WHITE", "GREEN", "AMBER", "RED", "RED"]
    other = access().identify("Bearer token-2", CERTIFICATE)
    assert other is not None
    assert [other.label(level) for level in Tlp] == [level.label for level in Tlp]


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_a_bucket_gives_its_rate_and_no_more(pauses: list[float], rate: int, burst: int) -> None:
    bucket, now, given_out = Bucket(rate, burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        waits = bucket.take(now)
        given_out += waits == 0.0
        assert given_out <= burst + rate * now + 1e-6
        if waits:
            assert waits <= 1 / rate
            assert bucket.take(now + waits + 1e-9) == 0.0
            now += waits + 1e-9
            given_out += 1


def test_who_asks_too_often_is_told_how_long_to_wait() -> None:
    clock = Clock()
    door = access(clock)
    guest = door.identify("Bearer token-1", b"")
    assert guest is not None
    for _ in range(3):
        door.enter(guest)
        door.leave(guest)
    with pytest.raises(Refused) as refused:
        door.enter(guest)
    assert refused.value.wait == 1
    clock.now += 0.11
    door.enter(guest)


def test_only_so_many_requests_of_one_are_answered_at_once() -> None:
    door = access()
    guest = door.identify("Bearer token-2", CERTIFICATE)
    assert guest is not None
    for _ in range(16):
        door.enter(guest)
    with pytest.raises(Refused, match="at once"):
        door.enter(guest)
    door.leave(guest)
    door.enter(guest)


def test_a_new_policy_keeps_the_rate_of_who_did_not_change_and_forgets_who_went() -> None:
    clock = Clock()
    door = access(clock)
    guest = door.identify("Bearer token-1", b"")
    assert guest is not None
    door.renew((guest.consumer, consumer("four", "token-4")))
    assert door.identify("Bearer token-1", b"") is guest
    assert door.identify("Bearer token-2", CERTIFICATE) is None
    door.renew((consumer("one", "token-1", tlp="clear"),))
    assert door.guest("one") is not guest


def test_who_guesses_waits_longer_and_longer_and_is_told_of() -> None:
    clock, told = Clock(), list[Told]()
    door = access(clock, told)
    waits = [door.failed("2001:db8::1") for _ in range(12)]
    assert waits[:5] == [0.0] * 5
    assert waits[5:] == sorted(waits[5:])
    assert (waits[5], waits[-1]) == (2.0, 60.0)
    assert door.has_to_wait("2001:db8::ffff") > 0, "the same network of a provider's customer"
    assert door.has_to_wait("2001:db8:0:1::1") == 0
    assert [one.what for one in told] == ["guessing"]
    clock.now += 61
    assert door.has_to_wait("2001:db8::1") == 0
    clock.now += 3600
    assert door.failed("2001:db8::1") == 0.0, "forgiven"


def test_guessers_are_bounded() -> None:
    door = access()
    for number in range(20_000):
        door.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(door._guesses) == 4096


@pytest.mark.parametrize(
    ("header", "how"),
    [
        ("gzip, deflate", "gzip"), ("zstd, gzip", "zstd"), ("gzip;q=0", ""), ("zstd;q=0.1, gzip;q=0.9", "gzip"),
        ("", ""), ("br", ""), ("identity, gzip;q=0.5", ""), ("GZIP", "gzip"), ("gzip;q=x", ""), ("*", ""),
    ],
)  # fmt: skip
def test_packing_is_what_the_client_wants_most(header: str, how: str) -> None:
    assert encoding(header) == how
    assert len(packed(b"x" * 5000, how)) == 5000 if not how else len(packed(b"x" * 5000, how)) < 500


@given(st.text(max_size=80))
def test_no_accept_header_breaks_anything(header: str) -> None:
    assert taxii.accepts(header) in (True, False)
    assert encoding(header) in ("", "gzip", "zstd")
    assert taxii.is_taxii(header) in (True, False)


def test_a_query_is_understood_whole_or_refused() -> None:
    asked = Asked(
        MultiDict({"limit": "7", "since": "2026-01-01T00:00:00.5Z", "kinds": "alert,dns"}),
        ("limit", "since", "kinds"),
    )
    assert (asked.limit(10, 5), asked.moment("since")) == (5, 1_767_225_600_500_000)
    assert sorted(asked.kinds("kinds")) == ["alert", "dns"]
    for query in ({"x": "1"}, {"limit": "0"}, {"limit": "1e3"}, {"limit": "٣"}, {"since": "now"}, {"kinds": "a b"}):
        with pytest.raises(Problem):
            asked = Asked(MultiDict(query), ("limit", "since", "kinds"))
            asked.limit(10, 10)
            asked.moment("since")
            asked.kinds("kinds")
    with pytest.raises(Problem, match="more than once"):
        Asked(MultiDict([("limit", "1"), ("limit", "2")]), ("limit",))
