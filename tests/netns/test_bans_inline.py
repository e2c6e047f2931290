"""Who sends what a signature stops is banned by itself, where the text says so, and not where it only alerts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.control.ipc import call
from appliance.control.messages import gateway as messages
from appliance.lab.site import Lab
from tests.netns.conftest import lab_id, until, without
from tests.netns.test_inline_lab import EXPLOIT, alerts, fetch, inspecting, rules

SEEN = (
    'alert http any any -> any any (msg:"a look"; flow:established,to_server; http.uri; content:"/look-at-me"; '
    "classtype:attempted-admin; sid:9880007; rev:1;)"
)
BANS = """
bans:
  automatic:
    - {id: A-1, after: [category attempted-admin], from: internet, owner: soc@health.example, why: a test}
"""


PROFILE = "\nprofiles:\n  watching: {extends: strict, actions: {sid 9880007: alert}}\n"


def text(comment: str) -> str:
    first = without(inspecting(comment, "a stream"), "bans")
    return first.replace("inspect: strict ", "inspect: watching ") + PROFILE


@pytest.fixture(scope="module")
def site() -> Iterator[Lab]:
    with Lab(lab_id("b"), traffic=False) as running:
        rules(running, "own", EXPLOIT, SEEN)
        running.gateway.apply(text("# first"), "inspection")
        until(lambda: fetch(running, "/ready") == 0, "what is inspected passes", lab=running)
        yield running


def banned(lab: Lab) -> dict[str, messages.BanEntry]:
    answer = call(lab.gateway.instance.socket("applyd"), messages.Bans(), messages.BanList, timeout=10)
    return {entry.address: entry for entry in answer.bans}


def test_an_alert_alone_bans_nobody_and_what_is_stopped_does(site: Lab) -> None:
    def looks() -> int:
        """Looks that were alerted of and passed: before the profile is in force they are stopped."""
        fetch(site, "/look-at-me", patience="1")
        return sum(event.alert is not None and event.alert["action"] == "allowed" for event in alerts(site, 9880007))

    until(looks, "an alert that stops nothing", lab=site, patience=40)
    site.gateway.apply(text("# second") + BANS, "bans")
    before = looks()
    until(lambda: looks() > before + 2, "more of them", lab=site, patience=40)
    assert banned(site) == {}

    def stopped() -> bool:
        fetch(site, "/exploit-me", patience="1")
        return bool(banned(site))

    until(stopped, "the ban", lab=site, patience=40)
    (entry,) = banned(site).values()
    assert (entry.address, entry.by, entry.owner) == ("203.0.113.66", "signature 1:9880001", "soc@health.example")
    assert entry.reason == "A-1: it stopped “an exploit”."
    assert fetch(site, "/ready", patience="1") != 0
