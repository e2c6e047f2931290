"""Alerts on the page: an attack is a row when it falls, one is silenced in a draft, and not knowing is said."""

from __future__ import annotations

import os
import re
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from appliance.lab.csirt import SUSPECT
from appliance.lab.site import Lab
from appliance.lab.topology import PROBERS
from appliance.lab.traffic import LOG_IN
from tests.browser.conftest import PATIENCE, Person
from tests.netns.conftest import reef_says

expect.set_options(timeout=PATIENCE)
pytestmark = pytest.mark.timeout(300)


def attack(lab: Lab, source: str) -> None:
    """The hostile host looks for a way in, from that address."""
    url = f"http://203.0.113.2{LOG_IN}"
    assert lab.run("hostile", "curl", "-s", "-m", "20", "--interface", source, url).returncode == 0


def test_an_attack_is_a_row_when_it_falls(people: Callable[..., Person], lab: Lab) -> None:
    amara = people("amara")
    amara.enter()
    page = amara.page
    page.goto("/alerts")
    rows = page.get_by_role("grid", name="Alerts, the newest first").get_by_role("row")
    expect(page.get_by_text("in the last hour")).to_be_visible()

    attack(lab, PROBERS[0])
    expect(rows.filter(has_text=SUSPECT).filter(has_text=PROBERS[0])).to_have_count(1)

    # What comes while the list is paused waits, and is there once when it goes on.
    page.get_by_role("button", name="Pause").click()
    attack(lab, PROBERS[1])
    page.get_by_role("button", name=re.compile("Go on: [1-9]")).click()
    expect(rows.filter(has_text=SUSPECT).filter(has_text=PROBERS[1])).to_have_count(1)

    # What is marked stays marked when something comes above it, and Enter opens that.
    rows.filter(has_text=SUSPECT).filter(has_text=PROBERS[0]).get_by_role("gridcell").first.click()
    attack(lab, PROBERS[4])
    expect(rows.filter(has_text=SUSPECT).filter(has_text=PROBERS[4])).to_have_count(1)
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary")
    expect(panel.get_by_text("matches the signature").filter(has_text=PROBERS[0])).to_be_visible()
    panel.get_by_role("button", name="Close").click()

    page.get_by_role("textbox", name="Address").fill(PROBERS[1])
    page.get_by_role("button", name="Filter").click()
    expect(rows.filter(has_text=PROBERS[0])).to_have_count(0)
    rows.filter(has_text=SUSPECT).get_by_role("gridcell").first.click()
    page.keyboard.press("Enter")
    expect(panel.get_by_text("matches the signature")).to_be_visible()
    expect(panel.get_by_role("link", name="Why did the gateway decide so?")).to_be_visible()
    expect(panel.get_by_role("link", name="Ban the source")).to_be_visible()
    expect(panel.get_by_role("cell", name=LOG_IN).first).to_be_visible()
    amara.picture("alert")

    panel.get_by_role("button", name="Suppress the signature").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("our own test of the web server")
    dialog.get_by_role("button", name="Begin a draft").click()
    expect(page.get_by_text(re.compile(r"suppression\s+S-[0-9]+")).first).to_be_visible()
    assert not amara.complaints


def test_an_auditor_takes_evidence_away_that_verifies(
    people: Callable[..., Person], lab: Lab, tmp_path: Path
) -> None:
    attack(lab, PROBERS[3])
    olu = people("olu")
    olu.enter()
    page = olu.page
    page.goto(f"/alerts?address={PROBERS[3]}")
    rows = page.get_by_role("grid", name="Alerts, the newest first").get_by_role("row")
    rows.filter(has_text=SUSPECT).get_by_role("gridcell").first.dblclick()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_text("matches the signature")).to_be_visible()
    expect(panel.get_by_role("link", name="Ban the source")).to_have_count(0)
    panel.get_by_role("button", name="Evidence package").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("case 4711")
    with page.expect_download() as coming:
        dialog.get_by_role("button", name="Make and save").click()
    package = tmp_path / "evidence.tar"
    coming.value.save_as(package)
    found = reef_says(lab, "evidence", "verify", str(package))
    assert (found["problems"], found["proofs"] > 0) == ([], True)
    with tarfile.open(package) as archive:
        told = {name.partition("/")[2] for name in archive.getnames()}
        alerts = archive.extractfile(f"{archive.getnames()[0]}/data/alerts.ndjson")
        assert alerts is not None and PROBERS[3].encode() in alerts.read()
    assert {"data/README.txt", "data/events.ndjson", "data/policy/generation-1.yaml"} <= told
    said = reef_says(lab, "audit", "log", "--action", "evidence.make", "--limit", "1")["body"]
    assert (said["actor"], said["why"]) == ("olu", "case 4711")
    assert not olu.complaints


def test_that_nobody_knows_is_said_and_ends_by_itself(people: Callable[..., Person], lab: Lab) -> None:
    ben = people("ben")
    ben.enter()
    page = ben.page
    expect(page.get_by_text("in the last hour")).to_be_visible()
    process = lab.gateway.pid("alertd")
    os.kill(process, signal.SIGSTOP)
    try:
        expect(page.get_by_text("Unknown since")).to_be_visible()
    finally:
        os.kill(process, signal.SIGCONT)
    expect(page.get_by_text("in the last hour")).to_be_visible()
    expect(page.get_by_text("Unknown since")).to_have_count(0)
    attack(lab, PROBERS[2])
    newest = page.get_by_role("region", name="Newest alerts")
    expect(newest.get_by_text(PROBERS[2])).to_be_visible()
