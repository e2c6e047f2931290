"""Inspection inline in the lab, all of it: the policy, the ruleset, the queues, verdictd, inspectd and its rules."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from appliance.control.kernel.conntrack import Flow, flows
from appliance.events.record import Event
from appliance.events.view import Selection, past
from appliance.lab.netns import inside, path_of
from appliance.lab.site import POLICIES, Lab
from appliance.lab.topology import WEB4
from appliance.policy.compiling.bundle import FLAGS_QUEUE
from tests.netns.conftest import lab_id, reef_says, until

OUTER = "203.0.113.2"
PORT = 5001
EXPLOIT = (
    'drop http any any -> any any (msg:"an exploit"; flow:established,to_server; http.uri; content:"/exploit-me"; '
    "classtype:attempted-admin; sid:9880001; rev:1;)"
)
LATER = (
    'drop http any any -> any any (msg:"another exploit"; flow:established,to_server; http.uri; content:"/later"; '
    "classtype:attempted-admin; sid:9880002; rev:1;)"
)


def inspecting(comment: str, why: str) -> str:
    """The ministry: its published service under a profile that is fail-closed, its browsing under one that is not."""
    text = POLICIES["gw"].read_text(encoding="utf-8")
    assert text.count("\n    inspect: strict ") == text.count("\n    inspect: standard ") == 1
    before, mark, after = text.partition("rules:\n")
    stream = f"service: udp/{PORT}, action: allow, inspect: strict, owner: it@health.example, why: {why}"
    return f"{comment}\n{before}{mark}  - {{id: R-90, from: lan, to: internet, {stream}}}\n{after}"


@pytest.fixture(scope="module")
def site() -> Iterator[Lab]:
    with Lab(lab_id("i"), traffic=False) as running:
        rules(running, "own", EXPLOIT)
        running.gateway.apply(inspecting("# first", "a stream"), "inspection")
        until(lambda: fetch(running, "/ready") == 0, "what is inspected passes", lab=running)
        # The gateway looks at its folder of rules once a second.
        until(lambda: fetch(running, "/exploit-me") == 28, "the rule is loaded", lab=running)
        yield running


def rules(lab: Lab, name: str, *lines: str) -> None:
    file = lab.gateway.instance.rules / f"{name}.rules"
    partial = file.with_suffix(".partial")
    partial.write_text("\n".join((*lines, "")))
    partial.rename(file)


def fetch(lab: Lab, path: str, host: str = "hostile", url: str = OUTER, patience: str = "2") -> int:
    """curl's status: 0, 28 for what never came."""
    done = lab.run(host, "curl", "-4", "-sS", "-o", "/dev/null", "--max-time", patience, f"http://{url}{path}")
    return done.returncode


def alerts(lab: Lab, sid: int) -> list[Event]:
    found = past(lab.gateway.instance.events, Selection(types=("alert",)))
    return [event for event in found if event.alert and event.alert["signature_id"] == sid]


def tracked(lab: Lab, port: int) -> Flow | None:
    """The connection of the hostile host from this port to the published service."""
    with inside(path_of(lab.lab, "gw")):
        found = [
            flow for flow in flows() if flow.original.source_port == port and flow.original.destination_port == 80
        ]
    return found[0] if found else None


class Visit:
    """A connection of the hostile host to the published service that asks for one page after the other."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        with inside(path_of(lab.lab, "hostile")):
            self.socket = socket.create_connection((OUTER, 80), timeout=20)
        self.port = self.socket.getsockname()[1]
        self.file = self.socket.makefile("rb")

    def get(self, path: str) -> int:
        """The length of the page. Raises OSError where it does not come."""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: portal\r\n\r\n".encode())
        length = 0
        while (line := self.file.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if len(self.file.read(length)) != length or not length:
            raise OSError("the connection ended early")
        return length

    def handed_back(self) -> bool:
        flow = tracked(self.lab, self.port)
        assert flow is not None
        return not flow.mark & FLAGS_QUEUE

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def visit(site: Lab) -> Iterator[Visit]:
    made = Visit(site)
    yield made
    made.close()


def test_an_exploit_is_stopped_and_told_and_everything_else_passes(site: Lab) -> None:
    assert fetch(site, "/bytes/200000") == 0
    assert fetch(site, "/exploit-me?now") == 28

    def told() -> bool:
        return any(event.alert and event.alert["action"] == "blocked" for event in alerts(site, 9880001))

    until(told, "the drop is told", lab=site)
    assert fetch(site, "/bytes/200000") == 0


def test_browsing_under_a_profile_that_is_fail_open_is_inspected_too(site: Lab) -> None:
    assert fetch(site, "/", host="lan1", url="www.example.org") == 0
    assert fetch(site, "/exploit-me", host="lan1", url="www.example.org") == 28


def test_a_connection_that_carried_enough_is_handed_back_to_the_kernel(site: Lab, visit: Visit) -> None:
    assert visit.get("/first")
    assert not visit.handed_back()
    assert visit.get("/bytes/6000000") == 6_000_000

    def back() -> bool:
        visit.get("/bytes/100000")
        return visit.handed_back()

    until(back, "it is handed back", lab=site)


def test_other_rules_recall_what_was_handed_back(site: Lab, visit: Visit) -> None:
    visit.get("/bytes/6000000")

    def back() -> bool:
        visit.get("/bytes/100000")
        return visit.handed_back()

    until(back, "it is handed back", lab=site)
    rules(site, "more", LATER)
    until(lambda: not visit.handed_back(), "it is recalled", lab=site)
    assert visit.get("/still-fine")
    (site.gateway.instance.rules / "more.rules").unlink()


@pytest.mark.parametrize("name", ["verdictd", "inspectd"])
def test_nothing_passes_unread_while_a_daemon_is_dead_where_the_profile_is_fail_closed(site: Lab, name: str) -> None:
    pid = site.gateway.pid(name)
    os.kill(pid, signal.SIGKILL)
    assert fetch(site, "/exploit-me", patience="1") == 28
    until(lambda: fetch(site, "/well") == 0, f"{name} is back and what is inspected passes", lab=site)
    assert fetch(site, "/exploit-me") == 28
    assert site.gateway.pid(name) != pid


def test_without_the_table_that_queues_nothing_passes_and_it_comes_back_by_itself(site: Lab) -> None:
    with inside(path_of(site.lab, "gw")):
        subprocess.run(["nft", "delete table inet reef_inspect"], check=True)
    until(lambda: fetch(site, "/well") == 0, "the table is back", lab=site)
    assert fetch(site, "/exploit-me") == 28


class Stream(threading.Thread):
    """Numbered datagrams from a workstation to the web server on the Internet, and which of them came."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(daemon=True)
        with inside(path_of(lab.lab, "lan1")):
            self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with inside(path_of(lab.lab, "web")):
            self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind((WEB4, PORT))
        self.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.receiver.settimeout(0.5)
        self.going = True
        self.sent = 0

    def run(self) -> None:
        while self.going:
            self.sender.sendto(self.sent.to_bytes(4, "big"), (WEB4, PORT))
            self.sent += 1
            time.sleep(0.002)

    def came(self) -> set[int]:
        """What came until nothing came for half a second."""
        found = set()
        while True:
            try:
                found.add(int.from_bytes(self.receiver.recv(64)[:4], "big"))
            except TimeoutError:
                return found


def test_applies_lose_no_packet_of_what_is_inspected(site: Lab) -> None:
    stream = Stream(site)
    stream.start()
    for number in range(15):
        text = inspecting(f"# {number}", f"a thing that changes {number} times")
        site.gateway.apply(text, "again")
        site.poll(0.05)
    stream.going = False
    stream.join()
    came = stream.came()
    assert stream.sent > 100
    assert came == set(range(stream.sent))


def test_doctor_says_which_way_packets_are_queued(site: Lab) -> None:
    found = {one["name"]: one for one in reef_says(site, "doctor", ends_well=False)["capabilities"]}
    ways = [name for name in ("queue", "xt-queue") if found[name]["available"]]
    assert ways
    assert found[ways[0]]["needed_by"]
    assert not any("inspection" in one["what"] for one in reef_says(site, "doctor", ends_well=False)["findings"])
