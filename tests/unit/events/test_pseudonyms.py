"""Pseudonyms on the way into the outbox: hosts of the zones in question leave under other addresses."""

from __future__ import annotations

import base64
import json
import random
import re
import sqlite3
import stat
from ipaddress import IPv6Network, ip_address
from pathlib import Path
from typing import Any

import pytest

from appliance.events.classes import Class
from appliance.events.hiding import Hider, Hosts
from appliance.events.marking import Generations, Marker
from appliance.events.pseudonyms import NAME, Hiding, Keys
from appliance.policy.consumers import AlertSettings
from crypto import pseudonyms

DAY = 86_400
NETWORKS = {
    "lan": ("10.20.0.0/16", "2001:db8:20::/48"),
    "servers": ("10.20.9.0/24",),
    "internet": ("0.0.0.0/0", "::/0"),
}
HOSTS = Hosts(("lan",), NETWORKS, ("10.20.0.1/16",))
KEY = bytes(range(32))
OTHER = bytes(32)


def hider(key: bytes = KEY) -> Hider:
    return Hider(HOSTS, key, lambda pseudonym, address: None)


def hidden(text: str, key: bytes = KEY) -> str:
    return hider(key).hide(text.encode(), ("", "")).decode()


def of(address: str, key: bytes = KEY) -> str:
    return pseudonyms.of_address(key, ip_address(address))


def test_one_key_gives_one_pseudonym_and_another_key_another() -> None:
    assert of("10.20.3.4") == of("10.20.3.4")
    assert len({of("10.20.3.4"), of("10.20.3.5"), of("10.20.3.4", OTHER)}) == 3
    assert ip_address(of("10.20.3.4")) in IPv6Network("fd00::/8")
    assert not ip_address(of("10.20.3.4")).is_global


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"src_ip":"10.20.3.4"', '"src_ip":"<10.20.3.4>"'),
        ("blocked 10.20.3.4.", "blocked <10.20.3.4>."),
        ("http://10.20.3.4:8080/a", "http://<10.20.3.4>:8080/a"),
        ("http://10.20.3.4/5", "http://<10.20.3.4>/5"),
        ("10.20.3.4, 192.0.2.7", "<10.20.3.4>, 192.0.2.7"),
        ("face:10.20.3.4", "face:<10.20.3.4>"),
        ("2001:db8:20::7", "<2001:db8:20::7>"),
        ("2001:0db8:0020:0000:0000:0000:0000:0007", "<2001:db8:20::7>"),
        ("[2001:db8:20::7]:443", "[<2001:db8:20::7>]:443"),
        ("host 2001:db8:20::7: late", "host <2001:db8:20::7>: late"),
        ("dead:2001:db8:20::7", "dead:<2001:db8:20::7>"),
        ("::ffff:10.20.3.4", "<10.20.3.4>"),
        ("fe80::1234", "<fe80::1234>"),
    ],
)
def test_an_address_is_found_wherever_it_stands(text: str, expected: str) -> None:
    for part in expected.split("<")[1:]:
        address = part.partition(">")[0]
        expected = expected.replace(f"<{address}>", of(address))
    assert hidden(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "10.20.0.1", "10.20.9.7", "192.0.2.7", "2001:db8:21::7", "10.20.0.0/16", "1.10.20.3.4", "10.20.3.400",
        "2027-01-15T08:00:00.000000+0000", "aa:bb:cc:dd:ee:ff:00:11:22:33", "v10.20.3",
    ],
)  # fmt: skip
def test_what_is_no_host_of_the_zone_stays(text: str) -> None:
    """The gateway, a zone within with longer networks, strangers, networks, times, fingerprints."""
    assert hidden(text) == text


def test_names_for_reverse_lookup_and_macs_are_hidden() -> None:
    assert hidden("4.3.20.10.in-addr.arpa") == ip_address(of("10.20.3.4")).reverse_pointer
    six = ip_address("2001:db8:20::7")
    assert hidden(six.reverse_pointer) == ip_address(of(str(six))).reverse_pointer
    mac = hidden("52:54:00:12:34:56")
    assert mac == hidden("52:54:00:12:34:56")
    assert mac != "52:54:00:12:34:56"
    assert int(mac[:2], 16) & 3 == 2, "locally administered, of one device"


def test_what_could_give_the_address_away_goes_with_it() -> None:
    packet = base64.b64encode(bytes.fromhex("4500001c000000004011")).decode()
    named = base64.b64encode(b"Host: 10.20.3.4\r\n").decode()
    plain = base64.b64encode(b"Host: example.org\r\n").decode()
    line = json.dumps(
        {"src_ip": "10.20.3.4", "dest_ip": "192.0.2.7", "community_id": "1:abc=", "packet": packet, "payload": named},
        separators=(",", ":"),
    ).encode()
    found = json.loads(hider().hide(line, ("10.20.3.4", "192.0.2.7")))
    assert found["community_id"] == pseudonyms.of_flow(KEY, "1:abc=")
    assert len(base64.b64decode(found["community_id"].removeprefix("1:"))) == 20
    assert (found["packet"], found["payload"]) == ("", "")
    kept = json.dumps({"payload": plain, "community_id": "1:abc="}, separators=(",", ":"))
    assert hider().hide(kept.encode(), ("192.0.2.1", "192.0.2.7")).decode() == kept, "of strangers"


@pytest.mark.parametrize("letter", ["\b", "\f", "\u00e9", "\\", "\u0001", '"', "a"])
@pytest.mark.parametrize("word", ["b:cc:dd:ee:ff:00", "bb:cc:dd:ee:ff:00", "10.20.3.4", "d12::1", "2001:db8:20::7"])
def test_a_line_stays_json_whatever_stands_before_an_address(letter: str, word: str) -> None:
    line = json.dumps({"url": letter + word}).encode()
    assert isinstance(json.loads(hider().hide(line, ("", ""))), dict)


PIECES = (
    b"10.20.3.4", b"10.20.0.0/16", b"192.0.2.1", b"1.2.3", b"1234", b"2001:db8:20::7", b"2001:db8:20:", b"fe80::1",
    b"::ffff:10.20.3.4", b"52:54:00:ab:cd:ef", b"ab:", b"2026-01-02T10:11:12.123456", b"T10:11:12", b"/24", b"/",
    b".", b":", b"::", b"-", b'"', b" ", b"1", b"25", b"b", b"\\", b"\\\\",
)  # fmt: skip
OCTETS = rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
FOUR = re.compile(rb"(?<![0-9.])(" + OCTETS + rb")(?![0-9]|\.[0-9])(/[0-9]{1,2}(?![0-9]))?")
MAC = re.compile(rb"(?<![0-9A-Fa-f:])(?<!(?<!\\)\\)(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])")
SIX = re.compile(
    rb"[0-9A-Fa-f]{0,4}:(?<!-[0-9]{2}T[0-9]{2}:)[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{0,40}(?:\.[0-9]{1,3}){0,3}"
)


def naive(hider: Hider, text: bytes) -> bytes:
    """Every digit is tried."""

    def four(match: re.Match[bytes]) -> bytes:
        if match[2] is not None and HOSTS.is_network(match[0].decode()):
            return match[0]
        made = hider._of(match[1])
        return match[0] if made is None else made + (match[2] or b"")

    text = MAC.sub(lambda match: hider._mac(match[0]), text)
    return FOUR.sub(four, SIX.sub(lambda match: hider._six(match[0]), text))


def test_what_is_searched_by_its_first_dot_or_colon_is_what_every_digit_tried_finds() -> None:
    chance = random.Random(5)
    made, changed = hider(), 0
    for _ in range(20_000):
        text = b"".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 9)))
        found = made.hide(text, ("", ""))
        assert found == naive(made, text), text
        changed += found != text
    assert changed > 2_000


def test_a_long_word_is_looked_through_once() -> None:
    for unit in ("a", "a:", "1.", "0.", "1:", ":"):
        hidden(unit * 20_000)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def line(**more: Any) -> bytes:
    event = {"timestamp": "2027-01-15T08:00:00.000000+0000", "event_type": "alert", "src_ip": "10.20.3.4"} | more
    return json.dumps(event, separators=(",", ":")).encode()


def marker(keys: Keys) -> Marker:
    return Marker(AlertSettings(), "clinic", Generations(), Hiding(HOSTS, 7 * DAY, keys))


def test_the_marker_hides_and_says_so(tmp_path: Path) -> None:
    keys = Keys(tmp_path / NAME, Clock())
    one = marker(keys)
    one.turn(0)
    new = one.new(line(dest_ip="192.0.2.7"))
    event = json.loads(new.body)
    (key,) = keys.all()
    assert (event["src_ip"], event["dest_ip"]) == (of("10.20.3.4", key.secret), "192.0.2.7")
    assert event["metadata"]["flowvars"] == [{"gid": "reef", "tlp": "amber", "pseudonyms": True, "key": key.number}]
    stranger = json.loads(one.new(line(src_ip="192.0.2.1")).body)
    assert stranger["metadata"]["flowvars"] == [{"gid": "reef", "tlp": "amber"}]
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    keys.settle()
    assert keys.find(event["src_ip"]) == ("10.20.3.4", key.number)
    keys.close()


def test_a_key_lasts_over_restarts_and_no_longer_than_its_period(tmp_path: Path) -> None:
    clock = Clock()
    keys = Keys(tmp_path / NAME, clock)
    first = keys.current(DAY, 0)
    keys.close()
    keys = Keys(tmp_path / NAME, clock)
    clock.now += DAY - 1
    assert keys.current(DAY, 10) == first
    clock.now += 1
    second = keys.current(DAY, 20)
    assert (second.number, second.last) == (first.number + 1, None)
    assert keys.all()[0].last == 20
    clock.now -= 400 * DAY
    assert keys.current(DAY, 30).number == second.number + 1, "a clock that is set back keeps no key alive"
    keys.close()


def test_a_key_is_destroyed_with_the_last_event_made_under_it(tmp_path: Path) -> None:
    clock = Clock()
    keys = Keys(tmp_path / NAME, clock)
    one = marker(keys)
    one.turn(0)
    pseudonym = json.loads(one.new(line()).body)["src_ip"]
    keys.settle()
    clock.now += 7 * DAY
    one.turn(100)
    (old, new) = keys.all()
    secret = old.secret
    assert keys.destroy({Class.ALERT: 100, Class.TELEMETRY: 1}) == 0, "the alert may be there still"
    assert keys.destroy({Class.ALERT: 101, Class.TELEMETRY: 1}) == 1, "no telemetry was made under it"
    assert keys.all() == (new,)
    assert keys.find(pseudonym) == ("", 0)
    keys.close()
    data = (tmp_path / NAME).read_bytes()
    assert secret not in data
    assert pseudonym.encode() not in data
    assert new.secret in data


def test_a_number_is_never_given_to_another_key(tmp_path: Path) -> None:
    clock = Clock()
    keys = Keys(tmp_path / NAME, clock)
    first = keys.current(DAY, 0).number
    for step in range(1, 4):
        clock.now += DAY
        assert keys.current(DAY, 0).number == first + step
        assert keys.destroy({}) == 1
    keys.close()


def test_what_cannot_be_kept_is_not_forgotten(tmp_path: Path) -> None:
    keys = Keys(tmp_path / NAME, Clock())
    one = marker(keys)
    one.turn(0)
    pseudonym = json.loads(one.new(line()).body)["src_ip"]
    holder = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    keys._db.execute("PRAGMA busy_timeout=1")
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        keys.settle()
    holder.execute("ROLLBACK")
    holder.close()
    keys.settle()
    assert keys.find(pseudonym)[0] == "10.20.3.4"
    keys.close()
