"""watchd in a gateway: a scan, guessing and a new device are found by real packets, explained, and
known after a kill.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from appliance.control.ipc import call
from appliance.control.messages.watch import DeviceInfo, DeviceList, Devices
from appliance.control.processes import INSTANCE_VARIABLE
from appliance.events.view import Selection, past
from appliance.lab.site import POLICIES, Lab
from dataplane.detections.finding import Finding, of_event
from tests.netns.conftest import until, without

# Connects to each port in turn; what answers is closed again at once.
_SCAN = """
import socket, sys
for port in range(int(sys.argv[2]), int(sys.argv[3])):
    with socket.socket() as one:
        one.settimeout(0.05)
        one.connect_ex((sys.argv[1], port))
"""
ROOT = Path(__file__).resolve().parents[2]


def reef(lab: Lab, *words: str) -> Any:
    """What the command line answers, as data."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "--json", *words],
        cwd=ROOT,
        env=os.environ | {INSTANCE_VARIABLE: str(lab.gateway.file)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def findings(lab: Lab, kind: str) -> list[Finding]:
    events = past(lab.gateway.instance.events, Selection(types=("alert",)))
    return [found for found in map(of_event, events) if found is not None and found.kind == kind]


def devices(lab: Lab) -> dict[str, DeviceInfo]:
    answer = call(lab.gateway.instance.socket("watchd"), Devices(), DeviceList, timeout=10)
    return {device.mac: device for device in answer.devices}


def test_a_scan_from_outside_is_found_and_explained(lab: Lab) -> None:
    def scanned() -> list[Finding]:
        lab.run("hostile", sys.executable, "-c", _SCAN, "203.0.113.2", "20", "60")
        return findings(lab, "port-scan")

    until(scanned, "the scan is found", lab=lab, patience=30)
    found = findings(lab, "port-scan")[0]
    assert found.outside
    assert found.victim == "203.0.113.2"
    assert found.offender in found.words
    assert "zone internet" in found.words
    assert found.seen >= found.threshold
    assert found.offender.startswith("203.0.113.")
    shown = reef(lab, "findings", "--kind", "port-scan", "--host", found.offender)["findings"]
    assert shown[0]["words"] == found.words
    assert shown[0]["technique"] == "T1046"


def test_devices_of_the_site_are_in_the_register(lab: Lab) -> None:
    def seen() -> bool:
        lab.run("lan1", "curl", "-4", "-sS", "http://www.example.org/")
        return any("10.20.0.11" in device.addresses for device in devices(lab).values())

    until(seen, "the device of lan1 is in the register", lab=lab, patience=30)
    device = next(one for one in devices(lab).values() if "10.20.0.11" in one.addresses)
    assert device.zone == "lan"
    learning_until = call(lab.gateway.instance.socket("watchd"), Devices(), DeviceList, timeout=10).learning_until
    assert device.state == ("learned" if device.first < learning_until else "unknown")
    assert device.how in ("arp", "nd", "dhcp")


def test_a_device_is_accepted_by_name_and_still_is_after_a_kill(lab: Lab) -> None:
    mac = next(one.mac for one in devices(lab).values() if "10.20.0.11" in one.addresses)
    answer = reef(lab, "devices", "accept", mac.upper())
    assert [(device["mac"], device["state"]) for device in answer["devices"]] == [(mac, "accepted")]
    first = lab.gateway.pid("watchd")
    os.kill(first, signal.SIGKILL)

    def back() -> bool:
        alive = any(row.name == "watchd" and row.alive for row in lab.gateway.health())
        return alive and lab.gateway.pid("watchd") != first

    until(back, "watchd runs again", lab=lab, patience=30)
    until(lambda: devices(lab)[mac].state == "accepted", "and knows the device", lab=lab, patience=30)


def test_a_new_device_is_told_when_the_policy_does_not_wait(lab: Lab) -> None:
    text = without(POLICIES["gw"].read_text(encoding="utf-8"), "detections")
    text += "\ndetections:\n  learning: 0\n  again: 1\n"
    lab.gateway.apply(text, "tell of new devices at once")

    def followed() -> bool:
        lab.run("lan1", "ping", "-c", "1", "-W", "1", "10.20.0.1")
        answer = call(lab.gateway.instance.socket("watchd"), Devices(), DeviceList, timeout=10)
        return 0 < answer.learning_until <= time.time()

    until(followed, "watchd follows the new generation", lab=lab, patience=30)
    lab.run("lan2", "ip", "link", "set", "eth0", "address", "b8:27:eb:0a:0b:0c")

    def told() -> list[Finding]:
        lab.run("lan2", "ip", "neigh", "flush", "dev", "eth0")
        lab.run("lan2", "ping", "-c", "1", "-W", "1", "10.20.0.1")
        return [one for one in findings(lab, "new-device") if one.device == "b8:27:eb:0a:0b:0c"]

    until(told, "the new device is told", lab=lab, patience=30)
    assert "zone lan" in told()[0].words
    assert len(told()) == 1
    device = devices(lab)["b8:27:eb:0a:0b:0c"]
    assert (device.state, device.zone, device.maker) == ("unknown", "lan", "Raspberry Pi Foundation")


def test_guessing_by_failed_logins_is_found(lab: Lab) -> None:
    def guessed() -> list[Finding]:
        for _ in range(20):
            lab.run(
                "lan1", "curl", "-4", "-sS", "-o", "/dev/null", "--data", "user=a", "http://www.example.org/login"
            )
        return findings(lab, "guessing")

    until(guessed, "the guessing is found", lab=lab, patience=30)
    found = findings(lab, "guessing")[0]
    assert found.offender == "10.20.0.11"
    assert not found.outside
    assert "failed 15 times to log in at web login" in found.words
