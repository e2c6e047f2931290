"""The lines of a gateway and what passes them, held to interfaces that go and frames that were counted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control.messages_lines import LineList, Lines, LineState
from appliance.lab.netns import inside
from tests.netns.stand import Stand, reef, until

TEXT = """\
reef: 1
site: clinic
zones:
  internet: {role: internet, interfaces: [wan0]}
  lan: {interfaces: [lan0], networks: [10.20.0.0/16], addresses: {lan0: 10.20.0.1/16}}
  dmz: {interfaces: [dmz0], networks: [10.21.0.0/24]}
connections:
  wan0: {provider: BTL fibre, officer: "H. Officer <noc@health.example>", phone: "+501 555 0100"}
rules:
  - {id: R-1, from: lan, to: dmz, service: https, action: allow, why: w, owner: o}
"""
FRAME = bytes(6) + bytes(6) + b"\x88\xb5" + bytes(986)  # of the type for local experiments (IEEE 802)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand() as stand:
        # Nobody but the test speaks on this line.
        for name in ("dmz0", "dmz0p"):
            stand.sh(f"sysctl -qw net.ipv6.conf.{name}.disable_ipv6=1")
        stand.apply(TEXT)
        yield stand


def line(stand: Stand, name: str) -> LineState:
    listed = stand.ask(Lines(), LineList)
    return next(one for one in listed.lines if one.name == name)


def send(stand: Stand, name: str, frames: int) -> None:
    with inside(Path("/run/netns") / stand.namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((name, 0))
        for _ in range(frames):
            out.send(FRAME)


def test_what_passes_a_line_is_what_was_sent_over_it(stand: Stand) -> None:
    before = line(stand, "dmz0")
    send(stand, "dmz0p", 50)
    send(stand, "dmz0", 20)
    after = line(stand, "dmz0")
    assert after.received.bytes - before.received.bytes == 50 * len(FRAME)
    assert after.received.packets - before.received.packets == 50
    assert after.sent.bytes - before.sent.bytes == 20 * len(FRAME)
    assert (after.zone, after.state) == ("dmz", "up")
    assert line(stand, "lan0").addresses[0] == "10.20.0.1/16"


def test_the_last_minutes_of_a_line_hold_what_was_sent(stand: Stand) -> None:
    def kept() -> int:
        past = stand.ask(Lines("dmz0"), LineList).past
        return len(past.times) if past is not None else 0

    until(lambda: kept() > 0, "something is kept of the past")
    looks = kept()
    send(stand, "dmz0p", 400)
    until(lambda: kept() > looks, "what was sent is in the past")
    past = stand.ask(Lines("dmz0"), LineList).past
    assert past is not None
    assert max(past.received) > 0
    shown = reef(stand, "show", "lines", "dmz0")
    assert len(shown["past"]["times"]) >= looks + 1


def test_a_line_that_goes_is_told_with_the_moment(stand: Stand) -> None:
    """By the process, and by both verbs: nobody at the other end, switched off, and gone."""
    until(lambda: line(stand, "wan0").state == "up", "the line is up")
    for command, state in (
        ("ip link set wan0p down", "no carrier"),
        ("ip link set wan0 down", "off"),
        ("ip link set wan0 up; ip link set wan0p up", "up"),
        ("ip link del wan0", "missing"),
    ):
        stand.sh(command)
        found = line(stand, "wan0")
        assert found.state == state
        shown = reef(stand, "show", "lines")["lines"]
        assert [one["state"] for one in shown if one["name"] == "wan0"] == [state]
        assert stand.ask(Lines(), LineList).watched < found.since <= stand.ask(Lines(), LineList).at
    (registered,) = reef(stand, "show", "connections")["connections"]
    assert registered.pop("since") == found.since
    assert registered == {
        "interface": "wan0", "provider": "BTL fibre", "officer": "H. Officer <noc@health.example>",
        "phone": "+501 555 0100", "zone": "internet", "state": "missing",
    }  # fmt: skip
    assert reef(stand, "show", "lines", "wan1", ends=2)
