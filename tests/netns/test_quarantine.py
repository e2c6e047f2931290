"""Quarantine: a device that nobody accepted reaches nothing but what the text names, whatever runs or does not."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.control.messages import gateway as messages
from appliance.control.messages.devices import Admit, Expel, Quarantine, QuarantineReport
from appliance.control.messages.readback import Runs
from appliance.control.processes import INSTANCE_VARIABLE
from appliance.events.view import Selection, past
from appliance.lab.netns import inside
from tests.netns.conftest import until
from tests.netns.inlined import run
from tests.netns.stand import ROOT, Stand, rule

GATEWAY, GUEST = "10.20.0.1", "10.20.0.9"
MAC = "02:00:00:00:20:09"
TEXT = """\
reef: 1
site: stand
zones:
  internet: {role: internet, interfaces: [wan0]}
  lan:
    role: internal
    interfaces: [lan0]
    networks: [10.20.0.0/16]
    addresses: {lan0: [10.20.0.1/16]}
connections:
  wan0: {provider: Line, officer: "An Officer <noc@stand.example>"}
detections: {learning: 0}
rules:
"""
RULES = rule("R-1", "tcp/8443", to="gateway") + rule("R-2", "dns", to="gateway")
OPEN = TEXT + RULES
HELD = OPEN.replace("role: internal\n", "role: internal\n    unknown-devices: quarantine\n")


class Guest:
    """A host that comes to the lan, and what it can reach of the gateway."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.host = f"qrn{stand.namespace[-6:]}"
        self._servers: list[socket.socket] = []

    def make(self) -> None:
        run("ip", "netns", "add", self.host)
        self.stand.sh(f"ip link set lan0p netns {self.host} address {MAC}")
        run("ip", "-n", self.host, "address", "add", f"{GUEST}/16", "dev", "lan0p")
        run("ip", "-n", self.host, "link", "set", "lan0p", "up")

    def serve(self) -> None:
        """The gateway answers on its web port and as a name server."""
        with inside(Path("/run/netns") / self.stand.namespace):
            web = socket.create_server(("0.0.0.0", 8443))
            names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            names.bind(("0.0.0.0", 53))
        self._servers = [web, names]
        for work in (self._web, self._names):
            threading.Thread(target=work, daemon=True).start()

    def _web(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._servers[0].accept()
                threading.Thread(target=_echo, args=(peer,), daemon=True).start()

    def _names(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                said, peer = self._servers[1].recvfrom(512)
                self._servers[1].sendto(said, peer)

    def remove(self) -> None:
        for server in self._servers:
            server.close()
        subprocess.run(["ip", "netns", "del", self.host], check=False, stderr=subprocess.DEVNULL)

    def plug(self, kind: int) -> socket.socket:
        with inside(Path("/run/netns") / self.host):
            made = socket.socket(socket.AF_INET, kind)
        made.settimeout(0.5)
        return made

    def connect(self) -> socket.socket | None:
        made = self.plug(socket.SOCK_STREAM)
        try:
            made.connect((GATEWAY, 8443))
        except OSError:
            made.close()
            return None
        return made

    def reaches(self) -> bool:
        made = self.connect()
        if made is not None:
            made.close()
        return made is not None

    def resolves(self) -> bool:
        with self.plug(socket.SOCK_DGRAM) as asker:
            asker.sendto(b"?", (GATEWAY, 53))
            try:
                return asker.recv(16) == b"?"
            except OSError:
                return False

    def report(self) -> QuarantineReport:
        return self.stand.ask(Quarantine(), QuarantineReport)

    def reef(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "appliance.cli", *words, "--json"],
            cwd=ROOT,
            env=os.environ | {INSTANCE_VARIABLE: str(self.stand.file)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def _echo(peer: socket.socket) -> None:
    with contextlib.suppress(OSError), peer:
        while said := peer.recv(64):
            peer.sendall(said)


def echoes(peer: socket.socket) -> bool:
    try:
        peer.sendall(b"x")
        return peer.recv(64) != b""
    except OSError:
        return False


@pytest.fixture(scope="module")
def guest() -> Iterator[Guest]:
    with Stand(("keyd", "applyd", "policyd", "watchd")) as stand:
        made = Guest(stand)
        try:
            made.make()
            stand.apply(OPEN)
            made.serve()
            stand.start("inspectd")
            until(made.reaches, "without quarantine the device reaches the gateway")
            yield made
        finally:
            made.remove()


def test_a_device_that_nobody_accepted_reaches_what_the_text_names_and_nothing_else(guest: Guest) -> None:
    guest.stand.apply(HELD)
    assert not guest.reaches()
    assert guest.resolves()
    [zone] = guest.report().zones
    assert zone.name == "lan"
    assert zone.packets > 0
    said = Selection(types=("drop",), rules=("quarantine",))
    until(lambda: guest.reaches() or past(guest.stand.instance.events, said), "what was dropped is logged")
    [event, *_] = past(guest.stand.instance.events, said)
    assert (event.decision.action, event.decision.source) == ("deny", "lan")
    counted = guest.stand.ask(messages.RuleCounters(), messages.RuleCounterList).counters
    assert any(one.id == "quarantine lan" and one.packets for one in counted)


def test_an_operator_accepts_it_and_it_passes_until_it_is_forgotten(guest: Guest) -> None:
    guest.stand.apply(HELD)

    def listed() -> Any:
        guest.reaches()
        found = [one for one in guest.reef("devices")["devices"] if one["mac"] == MAC]
        return found and found[0]["zone"] == "lan" and found[0]

    until(listed, "the device is in the register", patience=40)
    assert listed()["quarantined"]
    guest.reef("devices", "accept", MAC)
    open_one = guest.connect()
    assert open_one is not None
    with open_one:
        assert echoes(open_one)
        assert not listed()["quarantined"]
        guest.reef("devices", "forget", MAC)
        assert not echoes(open_one), "what it had open ends, too"
    assert not guest.reaches()


def test_who_is_accepted_stays_so_without_watchd_and_over_restart_and_apply(guest: Guest) -> None:
    stand = guest.stand
    stand.apply(HELD)
    assert not guest.reaches()
    stand.ask(Admit((MAC,)), QuarantineReport)
    assert guest.reaches()
    stand.kill("watchd")
    assert guest.reaches()
    stand.kill("applyd")
    assert guest.reaches()
    stand.restart("applyd")
    assert guest.reaches()
    stand.apply(HELD.replace("site: stand", "site: stood"))
    assert guest.reaches()
    stand.restart("watchd")
    assert guest.report().admitted == (MAC,)
    stand.sh("nft flush table inet reef_quarantine; nft delete table inet reef_quarantine")
    stand.ask(Expel((MAC,)), QuarantineReport)
    until(lambda: not guest.reaches(), "who deletes the table by hand opens nothing for long")


def test_who_watches_traffic_may_not_accept_a_device(guest: Guest) -> None:
    for name in ("watchd", "inspectd"):
        refused = guest.stand.ask_as(name, Admit((MAC,)), QuarantineReport)
        assert isinstance(refused, messages.Refused), name
        assert refused.code == "not-allowed"


def test_a_generation_that_is_taken_back_takes_its_quarantine_with_it(guest: Guest) -> None:
    guest.stand.apply(OPEN)
    assert guest.reaches()
    guest.stand.apply(HELD, confirm_within=60)
    assert not guest.reaches()
    guest.stand.ask(messages.Rollback(), messages.Applied)
    assert guest.reaches()
    assert "reef_quarantine" not in guest.stand.sh("nft list tables")


def test_the_kernel_runs_what_the_policy_means_but_for_the_quarantine_and_says_so(guest: Guest) -> None:
    guest.stand.apply(HELD)

    def runs() -> Runs | None:
        report = guest.stand.ask(messages.Doctor(), messages.DoctorReport)
        running = guest.stand.status().running
        return report.runs if report.runs is not None and report.runs.generation == running else None

    until(runs, "what the kernel holds was compared", patience=40)
    found = runs()
    assert found is not None
    assert found.equal, found
    assert any("reef_quarantine" in words for words in found.assumed)
