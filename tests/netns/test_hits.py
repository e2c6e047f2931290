"""The history of hits on a real kernel: applies, restarts, kill -9 and a table put in place anew leave it whole."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.control.messages import gateway as messages
from appliance.control.messages.hits import HitList, Hits
from appliance.events import record
from appliance.events.record import Decision, Event
from appliance.events.spool import Spool
from tests.netns.stand import ROOT, Stand, policy, rule, until

PORTS = {"R-1": 4001, "R-2": 4002, "R-3": 4003}


def text(*names: str, **more: str) -> str:
    return policy(*(rule(name, f"udp/{PORTS[name]}", origin="gateway", **more) for name in names))


class Watched(Stand):
    """A stand whose gateway opens connections itself: each is one hit."""

    def hit(self, name: str, times: int = 1) -> None:
        send = f"echo hit > /dev/udp/192.0.2.9/{PORTS[name]}"
        self.sh(f"bash -c '{'; '.join([send] * times)}'")

    def hits(self) -> dict[str, int]:
        return {one.id: one.hits for one in self.history().rules if one.id in PORTS}

    def history(self) -> HitList:
        return self.ask(Hits(), HitList)

    def reef(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "appliance.cli", "--instance", str(self.file), *arguments],
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def stand() -> Iterator[Watched]:
    found = Watched()
    with found:
        found.sh("ip addr add 192.0.2.1/24 dev wan0")
        yield found


def test_hits_outlive_applies_restarts_and_kills(stand: Watched) -> None:
    stand.apply(text("R-1", "R-2"))
    stand.hit("R-1", 3)
    assert stand.hits() == {"R-1": 3, "R-2": 0}
    stand.hit("R-2", 2)
    stand.apply(text("R-1"))  # R-2 and its counter go; what it counted until then was read before
    stand.hit("R-1")
    assert stand.hits() == {"R-1": 4}
    stand.kill("policyd")
    stand.hit("R-1", 2)  # nobody reads, the kernel counts
    stand.restart("policyd")
    assert stand.hits() == {"R-1": 6}
    stand.kill("applyd")
    stand.hit("R-1")
    stand.restart("applyd")
    assert stand.hits() == {"R-1": 7}
    stand.apply(text("R-2", "R-1"))
    stand.hit("R-2")
    found = stand.hits()
    assert found["R-2"] == 3  # of its first time too
    # Packets of connections that go on are decided anew by a new generation: at most one more each.
    assert 7 <= found["R-1"] <= 14
    # No boot, no gap: it was watched all the time.
    assert [gap.why for gap in stand.history().gaps] == ["the history begins there"]


def test_a_table_that_is_put_in_place_anew_goes_on_counting(stand: Watched) -> None:
    stand.apply(text("R-1"))
    stand.hit("R-1", 2)
    assert stand.hits() == {"R-1": 2}
    stand.sh("nft delete chain inet reef r_R-1 2>/dev/null || nft add chain inet reef stranger")
    until(lambda: "stranger" not in stand.sh("nft -t list table inet reef"), "the drift is repaired")
    stand.hit("R-1")
    until(lambda: stand.hits() == {"R-1": 3}, "the hits go on")
    stand.sh("nft flush ruleset")
    until(lambda: stand.marker() != "", "the table is there again")
    stand.hit("R-1")
    until(lambda: stand.hits() == {"R-1": 4}, "counters that began again are added")


def test_what_nobody_confirmed_is_taken_back_and_its_rules_are_watched_as_they_were(stand: Watched) -> None:
    stand.apply(text("R-1", "R-2"))
    before = {one.id: one.worded for one in stand.history().rules}
    stand.apply(text("R-1"), confirm_within=1)
    until(lambda: stand.status().running == 1, "the first generation runs again")
    stand.hit("R-2")
    until(lambda: stand.hits() == {"R-1": 0, "R-2": 1}, "R-2 is there again, with its history")
    assert {one.id: one.worded for one in stand.history().rules} == before


def test_an_edited_rule_is_watched_anew(stand: Watched) -> None:
    stand.apply(text("R-1", "R-2"))
    first = {one.id: one for one in stand.history().rules}
    stand.hit("R-1")
    stand.apply(text("R-1", "R-2").replace("udp/4001", "[udp/4001, udp/5001]"))
    until(lambda: stand.history().generation == 2, "the second generation runs")
    second = {one.id: one for one in stand.history().rules}
    assert second["R-1"].worded > first["R-1"].worded
    assert (second["R-1"].hits >= 1, second["R-2"].worded) == (True, first["R-2"].worded)


def test_the_command_line_tells_the_history(stand: Watched) -> None:
    stand.apply(text("R-1", "R-2", "R-3", expires="2099-01-01", review="2098-12-31"))
    stand.hit("R-1", 5)
    data = json.loads(stand.reef("show", "rules", "--json"))
    by_id = {line["id"]: line for line in data["rules"]}
    assert (by_id["R-1"]["hits"], by_id["R-1"]["recent"], by_id["R-2"]["last"]) == (5, 5, 0)
    assert by_id["R-1"]["last"] >= data["begin"]
    assert by_id["R-1"]["review"] == "2098-12-31"
    table = stand.reef("show", "rules", "--sort", "hits")
    assert table.split("\n")[1].startswith("R-1 ")
    unused = json.loads(stand.reef("show", "rules", "--unused", "90d", "--json"))
    assert unused["rules"] == []  # nothing was watched for that long
    assert [line["id"] for line in unused["too_short"]] == ["R-2", "R-3"]
    never = json.loads(stand.reef("show", "rules", "--never-hit", "--json"))
    assert [line["id"] for line in never["rules"]] == ["R-2", "R-3"]
    assert json.loads(stand.reef("show", "rules", "--expiring", "30d", "--json"))["rules"] == []
    assert len(json.loads(stand.reef("show", "rules", "--expiring", "50000d", "--json"))["rules"]) == 3
    rows = list(csv.DictReader(io.StringIO(stand.reef("show", "rules", "--csv"))))
    assert [row["hits"] for row in rows][:3] == ["5", "0", "0"]
    assert rows[0]["last"][:2] == "20" and rows[1]["last"] == ""  # moments as dates
    used = json.loads(stand.reef("where-used", "internet", "--json"))["names"][0]
    assert [(place["holder"], place["hits"], place["exact"]) for place in used["places"]] == [
        ("rule R-1", 5, True),
        ("rule R-2", 0, True),
        ("rule R-3", 0, True),
    ]


def logged(stand: Watched, name: str, destination: str, port: int, times: int = 1) -> None:
    """What inspectd writes of connections that a rule with `log: end` allowed."""
    decision = Decision("reef", name, "allow", "gateway", "internet")
    lines = [
        record.encode(
            Event(
                timestamp=record.format_time(time.time()),
                event_type="flow",
                src_ip="192.0.2.1",
                src_port=40_000 + number,
                dest_ip=destination,
                dest_port=port,
                proto="TCP",
                flow={"state": "closed", "end": record.format_time(time.time())},
                metadata=record.metadata(decision),
            )
        )
        for number in range(times)
    ]
    spool = Spool(stand.instance.events_of("inspectd"), source="inspectd")
    spool.append(b"".join(lines), times)
    spool.close()


def suggestions(stand: Watched, *arguments: str) -> dict[str, dict[str, Any]]:
    found = json.loads(stand.reef("suggest", *arguments, "--json"))["suggestions"]
    return {one["rule"]: one for one in found}


def test_a_rule_is_narrowed_to_what_the_log_has_of_it_and_only_in_words(stand: Watched) -> None:
    wide = text("R-1", "R-2").replace("    service: udp/4001\n", "", 1)  # R-1 is for every service
    stand.apply(wide)
    stand.hit("R-1")
    logged(stand, "R-1", "198.51.100.80", 443, 3)
    logged(stand, "R-1", "198.51.100.81", 443, 2)
    (one,) = suggestions(stand, "R-1", "--at-least", "0s").values()
    assert (one["kind"], one["seen"]) == ("narrow", 5)
    changes = {change["field"]: change["after"] for change in one["changes"]}
    assert changes == {"source": ["192.0.2.1"], "destination": ["198.51.100.80/31"], "service": ["https"]}
    assert "+    service: https" in one["diff"]
    before = stand.ask(messages.Show(), messages.Shown)
    assert (before.text, before.summary.generation) == (wide, 1)
    # A week is asked for where nothing else is.
    assert "less than 7 d" in suggestions(stand, "R-1")["R-1"]["why"]
    # What the rule matched in another wording does not count any more.
    stand.apply(wide.replace("    to: internet\n", "    to: internet\n    destination: 198.51.100.0/24\n", 1))
    until(lambda: stand.history().generation == 2, "the second generation runs")
    assert suggestions(stand, "R-1", "--at-least", "0s")["R-1"]["kind"] == "none"
    logged(stand, "R-1", "203.0.113.9", 443)  # as a translated connection is logged: not where the rule says
    assert "translation" in suggestions(stand, "R-1", "--at-least", "0s")["R-1"]["why"]


def test_a_rule_without_a_hit_is_proposed_to_go_only_when_it_was_watched(stand: Watched) -> None:
    stand.apply(
        text("R-1", "R-2").replace("rules:\n", "invariants:\n  - {id: I-1, never: lan -> internet}\nrules:\n")
    )
    assert "only" in suggestions(stand, "R-2")["R-2"]["why"]
    until(lambda: suggestions(stand, "R-2", "--window", "1s")["R-2"]["kind"] == "remove", "R-2 was watched for 1 s")
    diff = stand.reef("suggest", "R-2", "--window", "1s", "--diff")
    assert [line for line in diff.split("\n") if line.startswith("-  -")] == ["-  - id: R-2"]
    stand.hit("R-1")
    found = suggestions(stand, "--window", "1d", "--at-least", "0s")
    assert found == {}


def test_what_passed_of_an_object_is_counted_exactly_beside_a_rule_that_names_more(stand: Watched) -> None:
    objects = "objects:\n  one: {addresses: [192.0.2.9]}\n  other: {addresses: [192.0.2.10]}\nrules:\n"
    both = text("R-1").replace("rules:\n", objects).replace(
        "    service:", "    destination: [one, other]\n    service:"
    )  # fmt: skip
    stand.apply(both)
    stand.hit("R-1", 3)  # to the one
    stand.sh(f"bash -c 'echo hit > /dev/udp/192.0.2.10/{PORTS['R-1']}'")
    found = {
        name: json.loads(stand.reef("where-used", name, "--seen", "--json"))["names"][0]["places"][0]
        for name in ("one", "other")
    }
    assert {name: (place["hits"], place["exact"]) for name, place in found.items()} == {
        "one": (4, False),
        "other": (4, False),
    }
    assert {name: place["seen"] for name, place in found.items()} == {"one": 3, "other": 1}


def test_without_a_place_for_the_history_the_kernels_counters_are_shown(stand: Watched) -> None:
    stand.apply(text("R-1"))
    stand.hit("R-1", 2)
    stand.stop("policyd")
    kept = stand.instance.state_of("policyd") / "hits.db"
    for path in kept.parent.glob("hits.db*"):
        path.unlink()
    kept.mkdir()
    stand.restart("policyd")
    assert "is not kept" in stand.words()
    data = json.loads(stand.reef("show", "rules", "--json"))
    assert [(line["id"], line["hits"], line["last"]) for line in data["rules"][:1]] == [("R-1", 2, 0)]
    assert [line["id"] for line in json.loads(stand.reef("show", "rules", "--unused", "--json"))["rules"]] == []
    stand.apply(text("R-1", "R-2"))  # and everything else goes on
