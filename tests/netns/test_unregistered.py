"""A line that carries traffic and is not registered is itself an alert (R2): logged once, named by doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from appliance.control.processes import INSTANCE_VARIABLE
from appliance.events.view import Selection, past
from appliance.lab.site import Lab
from tests.netns.conftest import until

ROOT = Path(__file__).resolve().parents[2]


def doctor(lab: Lab) -> tuple[int, list[str]]:
    """The exit code of `reef doctor`, and what it found wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "--json", "doctor"],
        cwd=ROOT,
        env=os.environ | {INSTANCE_VARIABLE: str(lab.gateway.file)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.returncode, [one["what"] for one in json.loads(done.stdout)["findings"] if one["severity"] == "wrong"]


def test_a_line_that_nobody_registered_is_an_alert_until_it_is_gone(lab: Lab) -> None:
    until(lambda: doctor(lab)[0] == 0, "the lab's gateway is well", lab=lab)
    # A modem that somebody plugged in: its other end speaks as soon as it is up.
    lab.run("gw", "ip", "link", "add", "usb0", "type", "veth", "peer", "name", "modem")
    for name in ("modem", "usb0"):
        lab.run("gw", "ip", "link", "set", name, "up")

    def alerts() -> list[str]:
        return [event.in_iface for event in past(lab.gateway.instance.events, Selection(types=("alert",)))]

    until(lambda: "usb0" in alerts(), "an alert names the line", lab=lab)
    code, wrong = doctor(lab)
    assert code == 1
    assert any("usb0" in words and "unregistered line" in words for words in wrong)
    assert not any("wan0" in words or "lan0" in words for words in wrong)
    assert alerts().count("usb0") == 1, "told once, not at every look"

    lab.run("gw", "ip", "link", "del", "usb0")
    until(lambda: doctor(lab)[0] == 0, "all is well again", lab=lab)
