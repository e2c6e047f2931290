"""inspectd in a gateway: what it writes of real traffic, and that nothing depends on it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from jsonschema.validators import validator_for

from appliance.events.reader import Reader
from appliance.events.record import Event
from appliance.events.view import Selection, past
from appliance.lab.site import POLICIES, Lab
from tests.netns.conftest import until

LAN1 = (ip_network("10.20.0.11/32"),)


def events(lab: Lab, **selection: object) -> list[Event]:
    return past(lab.gateway.instance.events, Selection(**selection))  # type: ignore[arg-type]


def eventually(lab: Lab, holds: Callable[[], list[Event]], what: str) -> list[Event]:
    until(holds, what, lab=lab)
    return holds()


def test_an_allowed_connection_is_seen_with_rule_zones_and_names(lab: Lab) -> None:
    def warm() -> list[Event]:
        """inspectd learns which interfaces the policy has within a second of its start."""
        lab.run("lan2", "curl", "-4", "-sS", "http://www.example.org/")
        return events(lab, types=("http",), networks=(ip_network("10.20.0.12/32"),))

    eventually(lab, warm, "inspectd looks at the zones' interfaces")
    page = lab.run("lan1", "curl", "-4", "-sS", "http://www.example.org/")
    assert page.returncode == 0, page.stderr
    [begun, *_] = eventually(lab, lambda: events(lab, rules=("R-3",), networks=LAN1), "rule R-3 logs the start")
    assert begun.event_type == "flow"
    assert begun.flow is not None
    assert begun.flow["state"] == "new"
    assert (begun.decision.action, begun.decision.source, begun.decision.destination) == ("allow", "lan", "internet")
    assert begun.in_iface == "lan0"
    [http, *_] = eventually(lab, lambda: events(lab, types=("http",), networks=LAN1), "the request is seen")
    assert http.http is not None
    assert http.http["hostname"] == "www.example.org"
    assert http.decision.source == "lan"
    [question, *_] = eventually(lab, lambda: events(lab, types=("dns",), networks=LAN1), "and the question before it")
    assert question.dns is not None
    assert question.dns["rrname"] == "www.example.org"
    # Seen once, where it entered, though it crossed two interfaces.
    assert len(events(lab, types=("http",), networks=LAN1)) == 1


def test_a_new_generation_is_followed_and_ends_of_connections_are_logged(lab: Lab) -> None:
    text = POLICIES["gw"].read_text(encoding="utf-8")
    begun = "service: web\n    action: allow\n    inspect: standard  # without inspection it passes\n    log: start\n"
    assert begun in text
    lab.gateway.apply(text.replace(begun, begun.replace("start", "both")), "log the end of web connections, too")

    def ended() -> list[Event]:
        lab.run("lan1", "curl", "-4", "-sS", "http://www.example.org/again")
        lab.run("gw", "conntrack", "-D", "-s", "10.20.0.11", "-p", "tcp", "--dport", "80")
        return [one for one in events(lab, rules=("R-3",), types=("flow",)) if one.flow and "end" in one.flow]

    [flow, *_] = eventually(lab, ended, "the end of a connection is logged")
    assert flow.flow is not None

    def beginning() -> list[Event]:
        """The kernel collects logged packets, so the first one may be read after the end of its connection."""
        flows = events(lab, rules=("R-3",), types=("flow",))
        return [
            one for one in flows if one.community_id == flow.community_id and one.flow and one.flow["state"] == "new"
        ]

    eventually(lab, beginning, "its beginning is logged as well")
    assert flow.flow["pkts_toclient"] > 3
    assert flow.flow["start"] <= flow.flow["end"]
    assert (flow.decision.action, flow.decision.source, flow.decision.destination) == ("allow", "lan", "internet")


def test_a_dropped_packet_is_seen_with_its_rule(lab: Lab) -> None:
    lab.run("hostile", "nc", "-w", "1", "-z", "203.0.113.2", "22")
    [dropped, *_] = eventually(lab, lambda: events(lab, types=("drop",), rules=("default",)), "the drop is logged")
    assert dropped.dest_port == 22
    assert dropped.drop is not None
    assert dropped.drop["syn"] is True
    assert (dropped.decision.source, dropped.decision.destination) == ("internet", "gateway")
    assert dropped.host == "lab-ministry"


def test_everything_it_wrote_is_valid_eve(lab: Lab, peer_data: Path) -> None:
    schema = json.loads((peer_data / "eve-schema" / "schema.json").read_text(encoding="utf-8"))
    validator = validator_for(schema)(schema)
    lab.run("lan1", "curl", "-4", "-sSk", "https://www.example.org/")
    eventually(lab, lambda: events(lab, types=("tls",)), "the ClientHello is seen")
    reader = Reader(lab.gateway.instance.events_of("inspectd"))
    seen = 0
    while (batch := reader.read()) is not None:
        for line in batch.lines:
            seen += 1
            assert [error.message for error in validator.iter_errors(json.loads(line))] == [], line
    assert seen > 4


def test_killed_it_comes_back_and_traffic_never_noticed(lab: Lab) -> None:
    def request(path: str) -> None:
        page = lab.run("lan1", "curl", "-4", "-sS", f"http://www.example.org/{path}")
        assert page.returncode == 0, page.stderr

    def seen(path: str) -> list[Event]:
        return [one for one in events(lab, types=("http",)) if one.http and one.http["url"] == f"/{path}"]

    request("before")
    eventually(lab, lambda: seen("before"), "the request before")
    first = lab.gateway.pid("inspectd")
    os.kill(first, signal.SIGKILL)
    request("while-it-is-away")

    def again() -> bool:
        return any(row.name == "inspectd" and row.alive for row in lab.gateway.health()) and (
            lab.gateway.pid("inspectd") != first
        )

    until(again, "it is started again", lab=lab)

    def request_is_seen() -> list[Event]:
        request("after")
        return seen("after")

    eventually(lab, request_is_seen, "a request after")
    assert seen("before")  # what was written stayed
    assert Reader(lab.gateway.instance.events_of("inspectd")).read() is not None


def test_it_holds_no_privilege(lab: Lab) -> None:
    status = Path(f"/proc/{lab.gateway.pid('inspectd')}/status").read_text(encoding="ascii")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert int(fields["CapPrm"], 16) == int(fields["CapEff"], 16) == 0
    assert int(fields["Seccomp"]) == 2
    assert 0 not in {int(number) for number in fields["Uid"].split()}


def test_a_clean_stop_writes_down_what_was_seen(lab: Lab) -> None:
    lab.run("lan1", "curl", "-4", "-sS", "http://www.example.org/last")
    os.kill(lab.gateway.pid("inspectd"), signal.SIGTERM)
    eventually(
        lab,
        lambda: [one for one in events(lab, types=("http",)) if one.http and one.http["url"] == "/last"],
        "the last request",
    )
    [counted, *_] = eventually(lab, lambda: events(lab, types=("stats",)), "its counters")
    assert counted.stats is not None
    assert counted.stats["decoder"]["pkts"] > 0


@pytest.mark.parametrize("name", ["inspectd", "applyd"])
def test_spools_are_readable_by_operators_only(lab: Lab, name: str) -> None:
    directory = lab.gateway.instance.events_of(name)
    assert directory.stat().st_mode & 0o7777 == 0o2750
    assert directory.stat().st_gid == lab.gateway.instance.operators
    for path in directory.glob("*.log"):
        assert path.stat().st_mode & 0o777 == 0o640
