"""From an alert to the edit that answers it: what fired, a suppression, an escalation, applied as any change is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.lab.site import Lab
from tests.netns.conftest import until
from tests.netns.test_cli_gateway import Reef

SID = "990001"
RULE = f'alert icmp any any -> any any (msg:"an echo request"; itype:8; classtype:misc-activity; sid:{SID}; rev:1;)\n'
SERVER = "198.51.100.80"


@pytest.fixture
def reef(lab: Lab, tmp_path: Path) -> Reef:
    return Reef(lab, tmp_path)


def fired(reef: Reef, *more: str) -> dict[str, Any]:
    found: Any = reef.data("ips", "top", *more)["fired"]
    return next((one for one in found if one["sid"] == int(SID)), {})


def ping(lab: Lab, host: str) -> None:
    lab.run(host, "ping", "-c", "1", "-W", "1", SERVER)


def test_what_fired_is_told_with_who_was_touched(reef: Reef) -> None:
    lab = reef.lab
    rules = lab.gateway.instance.rules
    rules.mkdir(parents=True, exist_ok=True)
    (rules / "test.rules").write_text(RULE)

    def told() -> bool:
        ping(lab, "lan1")
        return bool(fired(reef))

    until(told, "the rule fires", lab=lab, patience=40)
    one = fired(reef)
    assert (one["signature"], one["category"], one["blocked"]) == ("an echo request", "Misc activity", 0)
    assert "10.20.0.11" in {end["address"] for end in one["sources"]}
    assert SERVER in {end["address"] for end in one["destinations"]}
    detail = reef("ips", "top", "--sid", SID)
    assert detail.returncode == 0
    assert "an echo request" in detail.stdout
    assert SERVER in detail.stdout
    assert fired(reef, "--host", "192.0.2.77") == {}
    assert reef("ips", "top", "--sid", "1").returncode == 1


def test_a_suppression_is_shown_and_silences_when_it_is_applied(reef: Reef) -> None:
    lab = reef.lab
    file = reef.folder / "candidate.yaml"
    words = ("--why", 'its "monitor" pings', "--owner", "noc@health.example", "--expires", "2099-01-01")
    before = reef.data("show")["running"]
    shown = reef("ips", "suppress", SID, "--for", "10.20.0.11", *words, "--output", str(file))
    assert shown.returncode == 0, shown.stderr
    assert "+  - id: S-1" in shown.stdout
    assert "reef plan" in shown.stderr + shown.stdout
    assert reef.data("show")["running"] == before, "nothing was applied"
    assert f"suppression S-1 is new: sid {SID}" in reef("plan", str(file)).stdout
    assert reef("apply", str(file), "--yes", "--confirm-within", "0").returncode == 0

    # What was seen before the new reactions were in force is still written down for a moment: when the
    # one counts no more and the other does, it is silent.
    def silent() -> bool:
        first = fired(reef)
        ping(lab, "lan1")
        ping(lab, "lan2")
        then = fired(reef)
        return counted(then, "10.20.0.12") > counted(first, "10.20.0.12") and counted(then, "10.20.0.11") == counted(
            first, "10.20.0.11"
        )

    until(silent, "the one is silent, the other is not", lab=lab, patience=40)


def counted(one: dict[str, Any], address: str) -> int:
    return sum(end["count"] for end in one["sources"] if end["address"] == address)


def test_an_escalation_gives_rules_a_profile_of_their_own(reef: Reef) -> None:
    done = reef("ips", "escalate", SID, "--profile", "strict", "--action", "drop", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["changed"] == "strict-here-1"
    assert f"+      sid {SID}: drop" in found["diff"]
    file = reef.folder / "candidate.yaml"
    file.write_text(found["text"])
    assert "profile strict-here-1 is new" in reef("plan", str(file)).stdout
    # Once it is the text's own, that one is changed.
    again = reef("ips", "escalate", SID, "--profile", "strict-here-1", "--action", "alert", "--file", str(file))
    assert again.returncode == 0, again.stderr
    assert f"-      sid {SID}: drop" in again.stdout
    assert f"+      sid {SID}: alert" in again.stdout
    assert file.read_text() == found["text"]


def test_what_is_wrong_is_said_and_nothing_is_written(reef: Reef) -> None:
    words = ("--why", "w", "--owner", "o")
    file = str(reef.folder / "candidate.yaml")
    for wrong in (
        ("ips", "suppress", SID, "--for", "nowhere", *words, "--expires", "2099-01-01", "--output", file),
        ("ips", "suppress", SID, "--for", "lan", *words, "--expires", "soon", "--output", file),
        ("ips", "escalate", SID, "--profile", "nobody", "--output", file),
    ):
        assert reef(*wrong).returncode == 1, wrong
    assert reef("ips", "escalate", "five").returncode == 2
    assert not Path(file).exists()
