"""Feeds of the policy on a running gateway: what they give is looked for, and goes back with one word."""

from __future__ import annotations

from appliance.events.record import Event
from appliance.lab.site import POLICIES, Lab
from tests.netns.conftest import reef_says, until
from tests.netns.test_alerts import alerts


def pings(lab: Lab, sid: int) -> list[Event]:
    lab.run("lan1", "ping", "-4", "-c", "1", "-W", "1", "10.20.0.1")
    return alerts(lab, sid)


def test_a_feed_is_looked_for_and_taken_back(lab: Lab) -> None:
    folder = lab.gateway.instance.rules / "own"
    folder.mkdir()
    rule = 'alert icmp any any -> any any (msg:"a ping"; itype:8; sid:{}; rev:1;)\n'
    (folder / "a.rules").write_text(rule.format(9875001))
    text = POLICIES["gw"].read_text(encoding="utf-8")
    lab.gateway.apply(f"{text}\nfeeds:\n  own: {{file: own, trial: 14}}\n", "our own signatures")

    first = reef_says(lab, "ips", "update")
    assert [(row["feed"], row["revision"], row["error"]) for row in first] == [("own", 1, "")]
    assert [one["sid"] for one in first[0]["added"]] == [9875001]
    until(lambda: pings(lab, 9875001), "the feed's signature alerts", lab=lab)

    (folder / "a.rules").write_text(rule.format(9875002))
    assert reef_says(lab, "ips", "update", "own")[0]["revision"] == 2
    until(lambda: pings(lab, 9875002), "the new signature alerts", lab=lab)
    assert [row["on_trial"] for row in reef_says(lab, "ips", "feeds")] == [1]
    told = reef_says(lab, "ips", "difference", "own")
    assert [one["sid"] for one in told["removed"]] == [9875001]

    assert reef_says(lab, "ips", "take", "own")["serial"] == 1
    seen = len(alerts(lab, 9875001))
    until(lambda: len(pings(lab, 9875001)) > seen, "the old signature is back", lab=lab)

    assert reef_says(lab, "ips", "feeds", "--forget") == [], "the policy names it"
    lab.gateway.apply(text, "no feed of our own")
    assert [(row["feed"], row["named"]) for row in reef_says(lab, "ips", "feeds")] == [("own", False)]
    assert reef_says(lab, "ips", "feeds", "--forget") == ["own"]
    assert reef_says(lab, "ips", "feeds") == []
    assert (folder / "a.rules").exists(), "what the feed was made of is not its"
