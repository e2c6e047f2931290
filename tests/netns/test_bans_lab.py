"""Bans on real packets: at once, over a kill and an apply, never for who is allowed; and by itself after a scan
where the text says so."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from appliance.lab.site import Lab
from tests.netns.conftest import until, without
from tests.netns.test_cli_gateway import Reef

SERVER = "198.51.100.80"
BANS = """
bans:
  automatic:
    - id: A-1
      after: port-scan
      from: internet
      for: [1 hour, 1 day]
      owner: soc@health.example
      why: who scans us has no business here
"""


@pytest.fixture
def reef(lab: Lab, tmp_path: Path) -> Reef:
    return Reef(lab, tmp_path)


def reached(lab: Lab, host: str = "lan1", address: str = SERVER) -> bool:
    return lab.run(host, "ping", "-c", "1", "-W", "1", address).returncode == 0


def banned(reef: Reef) -> dict[str, dict[str, object]]:
    listed = reef.data("ban", "list")["bans"]
    assert isinstance(listed, list)
    return {entry["address"]: entry for entry in listed}


def applyd_runs_anew(lab: Lab, first: int) -> bool:
    alive = any(row.name == "applyd" and row.alive for row in lab.gateway.health())
    return alive and lab.gateway.pid("applyd") != first


def test_a_banned_host_gets_nothing_at_once_and_after_a_restart_and_an_apply(reef: Reef) -> None:
    lab = reef.lab
    assert reached(lab)
    assert reef("ban", SERVER, "--reason", "a test", "--owner", "soc", "--for", "1h").returncode == 0
    assert not reached(lab)
    first = lab.gateway.pid("applyd")
    os.kill(first, signal.SIGKILL)
    until(lambda: applyd_runs_anew(lab, first), "applyd runs again", lab=lab, patience=30)
    assert not reached(lab)
    assert reef.apply(lambda text: text + "\n", "--confirm-within", "0").returncode == 0
    assert not reached(lab)
    assert banned(reef)[SERVER]["owner"] == "soc"
    assert reef("unban", SERVER).returncode == 0
    assert reached(lab)


def test_who_is_allowed_passes_whoever_bans(reef: Reef) -> None:
    lab = reef.lab
    assert reef("ban", "198.51.100.0/25", "--reason", "a test").returncode == 1, "a resolver of the gateway is in it"
    assert reef("ban", "198.51.100.64/26", "--reason", "a test").returncode == 0
    assert not reached(lab)
    unsaid = reef("allow", SERVER)
    assert (unsaid.returncode, "--reason" in unsaid.stderr) == (2, True)
    assert reef("allow", SERVER, "--reason", "our web", "--owner", "web@health.example").returncode == 0
    until(lambda: reached(lab), "who is allowed passes, the gate too", lab=lab)
    assert "our web" in reef("allow").stdout
    why = reef("why", "--from", "10.20.0.11", "--to", SERVER, "tcp/80").stdout
    assert "is banned" not in why
    assert reef("ban", SERVER).returncode == 1, "it would have no effect"
    assert reef("allow", "remove", SERVER).returncode == 0
    assert not reached(lab)
    text = f"\nbans: {{allow: [{SERVER}]}}\n"
    assert reef.apply(lambda policy: without(policy, "bans") + text, "--confirm-within", "0").returncode == 0
    until(lambda: reached(lab), "who is allowed passes, the gate too", lab=lab)
    assert reef.apply(lambda policy: policy, "--confirm-within", "0").returncode == 0
    assert not reached(lab)
    assert reef("unban", "198.51.100.64/26").returncode == 0
    until(lambda: reached(lab), "who is allowed passes, the gate too", lab=lab)


# Connects to each port in turn, from an address that nobody has seen yet.
_SCAN = """
import socket
for port in range(20, 60):
    with socket.socket() as one:
        one.bind(("203.0.113.67", 0))
        one.settimeout(0.05)
        one.connect_ex(("203.0.113.2", port))
"""
SCANNER = "203.0.113.67"


def test_a_scan_is_banned_by_itself_only_where_the_text_says_so(reef: Reef) -> None:
    """Also one that was told of before the text said so."""
    lab = reef.lab
    assert lab.run("hostile", "ip", "address", "add", f"{SCANNER}/24", "dev", "eth0").returncode == 0
    assert reef.apply(lambda text: without(text, "bans"), "--confirm-within", "0").returncode == 0

    def found() -> bool:
        lab.run("hostile", sys.executable, "-c", _SCAN)
        return bool(reef.data("findings", "--kind", "port-scan", "--host", SCANNER)["findings"])

    until(found, "the scan is found", lab=lab, patience=40)
    assert banned(reef) == {}
    assert reef.apply(lambda text: without(text, "bans") + BANS, "--confirm-within", "0").returncode == 0
    until(lambda: banned(reef), "the scanner is banned", lab=lab, patience=40)
    ((scanner, entry),) = banned(reef).items()
    assert (scanner, entry["by"]) == (SCANNER, "detection port-scan")
    assert str(entry["reason"]).startswith(f"A-1: {scanner}")
    said = reef("log", "--type", "alert", "--host", scanner).stdout
    assert f"reef unban {scanner}" in said
    assert reef("unban", scanner).returncode == 0
    assert scanner not in banned(reef)
