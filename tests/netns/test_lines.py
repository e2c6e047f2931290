"""The lines of a gateway and what passes them, held to interfaces that go and to bytes that were counted.

The process, the verbs, the API and its live events are asked, and say the same.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.control.messages.lines import LineList, Lines, LineState, Past
from appliance.lab.netns import inside
from tests.netns.stand import ROOT, Stand, reef, until
from tests.netns.test_console_workshop import READY, Console

TEXT = """\
reef: 1
site: clinic
zones:
  internet: {role: internet, interfaces: [wan0]}
  lan: {interfaces: [lan0], networks: [10.20.0.0/16], addresses: {lan0: 10.20.0.1/16}}
  dmz: {interfaces: [dmz0], networks: [10.21.0.0/24]}
connections:
  wan0: {provider: BTL fibre, officer: "H. Officer <noc@health.example>", phone: "+501 555 0100"}
console:
  listen: [lan]
  name: gateway.health.example
  people:
    rita: {name: Rita Moe, mail: rita@health.example, roles: [reader]}
rules:
  - {id: R-1, from: lan, to: dmz, service: https, action: allow, why: w, owner: o}
  - {id: R-2, from: lan, to: gateway, service: tcp/9999, action: allow, why: w, owner: o}
"""
PORT = 9999
pytestmark = pytest.mark.timeout(240)  # events come the less often the longer the kernel takes to answer
FRAME = bytes(6) + bytes(6) + b"\x88\xb5" + bytes(986)  # of the type for local experiments (IEEE 802)


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand() as stand:
        # Nobody but the test speaks on this line.
        for name in ("dmz0", "dmz0p"):
            stand.sh(f"sysctl -qw net.ipv6.conf.{name}.disable_ipv6=1")
        # A host of its own behind lan0.
        host = f"{stand.namespace}-h"
        ip("netns", "add", host)
        try:
            ip("-n", stand.namespace, "link", "set", "lan0p", "netns", host)
            ip("-n", host, "link", "set", "lan0p", "up")
            ip("-n", host, "address", "add", "10.20.0.11/16", "dev", "lan0p")
            stand.apply(TEXT)
            yield stand
        finally:
            ip("netns", "del", host)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=60)


@pytest.fixture(scope="module")
def console(stand: Stand) -> Iterator[Console]:
    with stand.log.open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.consoledoor", str(stand.file), "rita=reader"],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env=os.environ,
        )
    try:
        until(lambda: child.poll() is not None or READY.search(stand.words()), "the console answers")
        ready = READY.search(stand.words())
        assert ready is not None, stand.words()
        found = Console(stand, int(ready[1]))
        until(lambda: found.ask("rita", "GET", "/topology")[0] == 200, "it knows what runs")
        yield found
    finally:
        child.kill()
        child.wait(10)


@contextlib.contextmanager
def events(console: Console, *kinds: str) -> Iterator[Callable[[], tuple[str, Any]]]:
    """The next event of these kinds, again and again."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=60)
    connection.request(
        "GET", "/api/v1/live?" + "&".join(f"kind={kind}" for kind in kinds), headers={"Authorization": "Bearer rita"}
    )
    answer = connection.getresponse()
    assert answer.status == 200

    def following() -> tuple[str, Any]:
        kind = ""
        while True:
            line = answer.readline().decode().rstrip("\n")
            assert line or not answer.closed
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                return kind, json.loads(line.removeprefix("data: "))

    try:
        yield following
    finally:
        connection.close()


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
    wanted = before.received.packets + 50
    until(lambda: line(stand, "dmz0").received.packets >= wanted, "all of them came")
    after = line(stand, "dmz0")
    assert after.received.bytes - before.received.bytes == 50 * len(FRAME)
    assert after.received.packets - before.received.packets == 50
    assert after.sent.bytes - before.sent.bytes == 20 * len(FRAME)
    assert (after.zone, after.state) == ("dmz", "up")
    assert line(stand, "lan0").addresses[0] == "10.20.0.1/16"


def test_the_last_minutes_of_a_line_hold_what_was_sent(stand: Stand) -> None:
    frames = 4000

    def past() -> Past:
        found = stand.ask(Lines("dmz0"), LineList).past
        assert found is not None
        return found

    until(lambda: past().times, "something is kept of the past")
    send(stand, "dmz0p", frames)
    # It stands in one of the stretches between two looks, or in two of them; none is longer than a minute.
    least = frames * len(FRAME) / 2 / 60
    until(lambda: max(past().received) >= least, "what was sent is in the past")
    shown = reef(stand, "show", "lines", "dmz0")["past"]
    assert max(shown["received"]) >= least
    assert len(shown["times"]) == len(shown["received"]) == len(shown["sent"])


def test_the_console_knows_the_zones_and_which_may_reach_which(console: Console) -> None:
    shown = console.made("rita", "GET", "/topology")
    assert [(zone["name"], zone["interfaces"], zone["external"]) for zone in shown["zones"]] == [
        ("internet", ["wan0"], True),
        ("lan", ["lan0"], False),
        ("dmz", ["dmz0"], False),
    ]
    assert shown["pairs"] == [
        {"source": "lan", "destination": "dmz", "rules": 1},
        {"source": "lan", "destination": "gateway", "rules": 1},
    ]
    zones = {zone["name"]: zone["reaches"] for zone in reef(console.stand, "show", "zones")["zones"]}
    assert zones == {"internet": {}, "lan": {"dmz": 1, "gateway": 1}, "dmz": {}}
    assert console.ask("rita", "GET", "/lines/none")[0] == 404
    assert console.made("rita", "GET", "/lines/dmz0")["line"]["zone"] == "dmz"


def test_a_connection_is_told_with_its_rule_and_what_it_carried(console: Console) -> None:
    stand, amount = console.stand, 300_000
    with inside(Path("/run/netns") / stand.namespace):
        server = socket.create_server(("10.20.0.1", PORT))
    with inside(Path("/run/netns") / f"{stand.namespace}-h"):
        client = socket.create_connection(("10.20.0.1", PORT), timeout=60)
    with server, client, server.accept()[0] as accepted:
        client.sendall(bytes(amount))
        left = amount
        while left:
            left -= len(accepted.recv(1 << 16))
        found = console.made("rita", "GET", f"/flows?port={PORT}&zone=lan&rule=R-2&address=10.20.0.0/24")
        (row,) = found["flows"]
        assert (found["total"], found["looked"]) == (1, 0)
        assert (row["rule"], row["source_zone"], row["destination_zone"]) == ("R-2", "lan", "gateway")
        assert (row["source"], row["destination_port"], row["state"]) == ("10.20.0.11", PORT, "established")
        # With the headers of its packets, and what was sent again.
        assert amount < row["sent"] < 1.2 * amount
        assert console.made("rita", "GET", f"/flows/{row['id']}")["source_port"] == row["source_port"]
        assert console.made("rita", "GET", "/flows?zone=dmz")["flows"] == []
        assert console.ask("rita", "GET", "/flows?address=nobody")[0] == 400
        assert console.made("rita", "GET", "/flows?order=newest&limit=1")["total"] >= 1
        (line,) = reef(stand, "show", "flows", "--port", str(PORT), "--sort", "newest")["flows"]
        assert (str(line["flow"]["id"]), line["flow"]["bytes"][0] >= row["sent"]) == (row["id"], True)
        with events(console, "flow") as following:
            kind, told = following()
        assert kind == "flow"
        assert row["id"] in [one["id"] for one in told["biggest"]]
        assert told["total"] >= 1


def test_a_line_that_goes_is_told_with_the_moment(console: Console) -> None:
    """By the process, both verbs, the API and its events: nobody at the other end, switched off, and gone."""
    stand = console.stand
    until(lambda: line(stand, "wan0").state == "up", "the line is up")
    with events(console, "lines") as following:
        _goes(stand, following)
    _registered(console)


def _goes(stand: Stand, following: Callable[[], tuple[str, Any]]) -> None:
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
        _until_told(following, "wan0", state, found.since)


def _until_told(following: Callable[[], tuple[str, Any]], name: str, state: str, since: float) -> None:
    until(lambda: _told(following, name) == (state, since), f"an event says that {name} is {state}")


def _told(following: Callable[[], tuple[str, Any]], name: str) -> tuple[str, float]:
    _, listed = following()
    return next((one["state"], one["since"]) for one in listed["lines"] if one["name"] == name)


def _registered(console: Console) -> None:
    """The register knows who answers for the line that is gone."""
    stand = console.stand
    (registered,) = reef(stand, "show", "connections")["connections"]
    assert registered.pop("since") == line(stand, "wan0").since
    assert registered == {
        "interface": "wan0", "provider": "BTL fibre", "officer": "H. Officer <noc@health.example>",
        "phone": "+501 555 0100", "zone": "internet", "state": "missing",
    }  # fmt: skip
    (registered,) = console.made("rita", "GET", "/connections")["connections"]
    assert (registered["officer"], registered["mail"]) == ("H. Officer", "noc@health.example")
    assert (registered["phone"], registered["state"]) == ("+501 555 0100", "missing")
    assert reef(stand, "show", "lines", "wan1", ends=2)


def test_a_process_that_dies_is_told_with_the_moment(console: Console) -> None:
    """As an event, not only to who asks; and by the verb."""
    stand = console.stand
    with events(console, "health") as following:
        kind, first = following()
        known = {one["name"]: one for one in first["processes"]}
        assert (kind, known["policyd"]["alive"], known["keyd"]["alive"]) == ("health", True, True)
        stand.kill("keyd")
        died = _becomes(following, "keyd", alive=False)
        assert died > first["as_of"]
        shown = next(one for one in reef(stand, "show", "status")["processes"] if one["name"] == "keyd")
        assert (shown["alive"], shown["since"]) == (False, died)
        stand.restart("keyd")
        back = _becomes(following, "keyd", alive=True)
        assert back > died
    told = {one["name"]: one["since"] for one in console.made("rita", "GET", "/health")["processes"]}
    assert told["keyd"] == back


def _becomes(following: Callable[[], tuple[str, Any]], name: str, *, alive: bool) -> float:
    """Since when it is so, by the first event that says it."""
    while True:
        found = next(one for one in following()[1]["processes"] if one["name"] == name)
        if found["alive"] == alive:
            return float(found["since"])
