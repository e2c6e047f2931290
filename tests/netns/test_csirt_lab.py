"""The whole way in the lab, with public tools: an attack is read through the OASIS client for TAXII, what the CSIRT
answers blocks the attacker, and the evidence of it verifies without us."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import bagit
import pytest
import requests

from appliance.lab.csirt import CERTIFICATE, SUSPECT, Csirt, CsirtError, Sighting
from appliance.lab.netns import inside, path_of
from appliance.lab.site import Lab
from appliance.lab.topology import BY_HAND, PROBERS
from appliance.lab.traffic import LOG_IN
from tests.netns.conftest import ROOT, reef_says, until

PATIENCE = 30.0


@pytest.fixture(scope="module")
def csirt(lab: Lab) -> Csirt:
    """A consumer who sits where the CSIRT sits; it pulls with taxii2-client."""
    made: list[Csirt] = []

    def connected() -> bool:
        try:
            with inside(path_of(lab.lab, "csirt")):
                made.append(Csirt(lab.directory / CERTIFICATE))
        except CsirtError:
            return False
        return True

    until(connected, "the gateway answers its consumer", lab=lab, patience=PATIENCE)
    return made[0]


def asks(lab: Lab, source: str, path: str = "/", seconds: int = 15) -> bool:
    """Does the hostile host get a page of the ministry's web site from that address, within that time?"""
    url = f"http://203.0.113.2{path}"
    return lab.run("hostile", "curl", "-s", "-m", str(seconds), "--interface", source, url).returncode == 0


def read(lab: Lab, csirt: Csirt, source: str) -> tuple[Sighting, float]:
    """The alert of that source's attack, and how many seconds after it fell it was read."""
    found: list[tuple[Sighting, float]] = []

    def there() -> bool:
        with inside(path_of(lab.lab, "csirt")):
            new = csirt.new()
        late = time.time()
        found.extend((one, late - one.time) for one in new if one.source == source and SUSPECT in one.words)
        return bool(found)

    until(there, f"the alert of {source} is read", lab=lab, patience=PATIENCE)
    return found[0]


def at_the_gate(lab: Lab) -> dict[str, int]:
    """The lists of the XDP gate, and how many entries each has."""
    return {one["name"]: one["entries"] for one in reef_says(lab, "ban", "gate")["lists"]}


@pytest.fixture(scope="module")
def attacked(lab: Lab, csirt: Csirt) -> str:
    """The address of an attacker whose alert was read within a second. On a busy machine one of several."""
    delays: list[float] = []
    for source in PROBERS:
        assert asks(lab, source, LOG_IN), "nobody stops it yet"
        sighting, late = read(lab, csirt, source)
        assert sighting.words.endswith("(allowed)"), "the gateway only told of it"
        delays.append(late)
        if late < 1.0:
            return source
    pytest.fail(f"no alert was read within a second: {delays}")


def test_an_attack_is_read_within_a_second_and_an_indicator_blocks_the_attacker(
    lab: Lab, csirt: Csirt, attacked: str
) -> None:
    assert asks(lab, attacked)
    with inside(path_of(lab.lab, "csirt")):
        identifier = csirt.warn(attacked, "it looks for a way in")
    until(lambda: not asks(lab, attacked, seconds=1), "the attacker gets nothing", lab=lab, patience=PATIENCE)
    assert asks(lab, BY_HAND[-1]), "others are served"
    until(lambda: "indicators" in at_the_gate(lab), "the gate at the line knows it too", lab=lab, patience=PATIENCE)
    why = reef_says(lab, "why", "--live", "--from", attacked, "--to", "203.0.113.2", "http")
    assert '"rule": "indicator"' in json.dumps(why), "and why says so, as the kernel does"
    shown = reef_says(lab, "indicators", "list", "--word", attacked)["indicators"]
    assert [(one["id"], one["source"]) for one in shown] == [(identifier, "csirt")]

    def sighted() -> bool:
        with inside(path_of(lab.lab, "csirt")):
            return bool(csirt.sightings_of(identifier))

    until(sighted, "its giver reads that it was met", lab=lab, patience=PATIENCE)


def test_the_console_names_the_indicator_too(lab: Lab, attacked: str) -> None:
    door = [sys.executable, "-m", "tests.consoledoor", str(lab.gateway.file), "olu=auditor"]
    with subprocess.Popen(door, cwd=ROOT, stdout=subprocess.PIPE, text=True) as console:
        try:
            assert console.stdout is not None
            port = console.stdout.readline().removeprefix("ready ").strip()
            url = f"http://127.0.0.1:{port}/api/v1/why"
            question = {"source": attacked, "destination": "203.0.113.2", "service": "http"}
            asked = requests.post(url, json=question, headers={"Authorization": "Bearer olu"}, timeout=60)
        finally:
            console.kill()
    answer = asked.json()["answer"]
    assert (answer["rule"], answer["action"]) == ("indicator", "deny")
    assert "it looks for a way in" in json.dumps(answer)


def test_where_something_of_the_attacker_lies_is_found(lab: Lab, attacked: str) -> None:
    found = reef_says(lab, "privacy", "find", attacked, "--why", "a test")
    held = {one["what"]: one["count"] for one in found["held"]}
    assert {"log: inspectd/alerts", "outbox: alerts", "objects: alerts"} <= held.keys()
    rows = {row["store"]: row for row in reef_says(lab, "privacy")}
    assert rows["outbox: alerts"]["kept"] == "90 days"
    assert rows["outbox: alerts"]["who"] == "csirt (up to amber+strict)"
    assert not rows["outbox: alerts"]["now"].startswith("0 ")


def flow_of(lab: Lab, source: str) -> str:
    """What names the alert to `reef evidence`."""
    command = [sys.executable, "-m", "appliance.cli", "log", "--type", "alert", "--host", source, "--json"]
    lines = lab.command(["env", f"PYTHONPATH={ROOT}", f"REEF_LAB={lab.lab}", *command]).stdout.splitlines()
    events: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return next(str(one["flow_id"]) for one in events if SUSPECT in one["alert"]["signature"])


def test_the_evidence_of_that_attack_verifies_with_public_tools(lab: Lab, attacked: str, tmp_path: Path) -> None:
    folder = tmp_path / "case"
    told = reef_says(lab, "evidence", "make", "--alert", flow_of(lab, attacked), "--out", str(folder))
    assert told["alerts"] >= 1
    assert told["generation"] == 1
    assert attacked in (folder / "data" / "alerts.ndjson").read_text()
    bagit.Bag(str(folder)).validate()
    text = (folder / "data" / "README.txt").read_text().replace("\\\n", " ")
    shown = [line.strip() for line in text.splitlines()]
    steps = [line for line in shown if line.startswith(("ssh-keygen -Y", "sha512sum", "(printf", "openssl pkeyutl"))]
    assert len(steps) == 4
    script = "\n".join(("sha256sum --check --strict --quiet manifest-sha256.txt", *steps))
    done = subprocess.run(["bash", "-ec", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
