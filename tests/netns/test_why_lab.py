"""`reef why` in a whole site: every line of its log, its flows, and packets through its kernel."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.commands.why import Reason
from appliance.control import ipc
from appliance.control.messages.why import WayList, Ways
from appliance.control.processes import load_instance
from appliance.lab.registry import instance_file
from appliance.lab.site import POLICY, Lab
from tests.netns.conftest import until
from tests.netns.test_cli_gateway import Reef

FOREIGN = """table inet elsewhere {
  chain forward {
    type filter hook forward priority 10; policy accept;
    tcp dport 443 drop
  }
}
"""


@pytest.fixture
def reef(lab: Lab, tmp_path: Path) -> Reef:
    return Reef(lab, tmp_path)


def events(reef: Reef, *choice: str) -> list[dict[str, Any]]:
    said = reef("log", "--json", "--limit", "1000", *choice).stdout
    return [json.loads(line) for line in said.splitlines()]


def traffic(lab: Lab) -> None:
    """Something of every kind: allowed, rejected, dropped, published, hairpinned, of both IP versions."""
    lab.run("lan2", "curl", "-sS", "-4", "-o", "/dev/null", "http://www.example.org/")
    lab.run("lan2", "curl", "-sS", "-6", "-o", "/dev/null", "http://www.example.org/")
    lab.run("lan2", "nc", "-4", "-w", "1", "-z", "mail.example.org", "25")
    lab.run("lan2", "curl", "-sS", "-o", "/dev/null", "http://203.0.113.2/")
    lab.run("hostile", "nc", "-w", "1", "-z", "203.0.113.2", "22")
    lab.run("hostile", "curl", "-sS", "-m", "2", "-o", "/dev/null", "http://203.0.113.2/")


def test_every_line_of_the_log_is_answered_as_it_was_decided(reef: Reef, lab: Lab) -> None:
    traffic(lab)
    rules = {"R-3", "R-6", "default", "P-1"}
    decided: list[dict[str, Any]] = []

    def all_there() -> bool:
        decided[:] = [one for one in events(reef, "--type", "drop", "--type", "flow") if one.get("metadata")]
        return rules <= {one["metadata"]["flowvars"][0]["rule"] for one in decided}

    until(all_there, f"events of {rules}", lab=lab, patience=60)
    lines = "".join(json.dumps(one) + "\n" for one in decided)
    answered = reef("why", "-", "--json", stdin=lines)
    assert answered.returncode == 0, answered.stderr
    reasons = [msgspec.json.decode(line, type=Reason) for line in answered.stdout.splitlines()]
    assert len(reasons) == len(decided)
    for event, reason in zip(decided, reasons, strict=True):
        logged = event["metadata"]["flowvars"][0]
        assert (reason.answer.rule, reason.answer.action) == (logged["rule"], logged["action"]), (event, reason)
    assert {reason.answer.rule for reason in reasons} >= rules
    # The same from the lines that a person sees.
    shown = reef("log", "--type", "drop", "--type", "flow", "--limit", "200").stdout
    told = reef("why", "-", "--json", stdin=shown)
    spoken = [msgspec.json.decode(line, type=Reason) for line in told.stdout.splitlines()]
    assert len(spoken) == len(shown.splitlines()), told.stderr
    assert all(f"{one.answer.action} {one.answer.rule}" == one.logged for one in spoken)


def test_a_flow_is_explained_by_its_number(reef: Reef, lab: Lab) -> None:
    lab.run("lan2", "curl", "-sS", "-4", "-o", "/dev/null", "http://www.example.org/")
    flows: Any = reef.data("show", "flows", "--all", "--rule", "R-3", "--host", "198.51.100.80")["flows"]
    number = flows[0]["flow"]["id"]
    assert str(number) in reef("show", "flows", "--all").stdout
    answer = msgspec.convert(reef.data("why", "--flow", str(number)), Reason).answer
    assert (answer.rule, answer.action, answer.leaves_to) == ("R-3", "allow", "198.51.100.80:80")
    unknown = reef("why", "--flow", "9223372036854775807")
    assert (unknown.returncode, "no flow" in unknown.stderr) == (1, True)


LIVE = [
    ("--from 10.20.0.12 --to example-web https", "allow", "R-3"),
    ("--from 10.20.0.12 --to 198.51.100.25 smtp", "reject", "R-6"),
    ("--from 203.0.113.66 --to 203.0.113.2 ssh", "deny", "default"),
    ("--from 192.0.2.2 --to 203.0.113.2 http", "allow", "P-1"),
    ("--from 10.20.0.12 --to 203.0.113.2 http", "allow", "P-1"),
    ("--from 10.20.0.11 --to gateway ssh", "allow", "R-1"),
    ("--from gateway --to 198.51.100.53 dns", "allow", "R-7"),
    ("--from 2001:db8:20:1::12 --to 2001:db8:5::80 https", "allow", "R-3"),
    ("--from 2001:db8:20:1::12 --to 2001:db8:5::25 smtp", "reject", "R-6"),
    ("--in internet --from 10.20.0.12 --to 203.0.113.2 http", "deny", "antispoofing"),
    ("--from 10.20.0.12 --to 10.20.0.1 ping", "allow", "R-4"),
]


@pytest.mark.parametrize(("question", "action", "rule"), LIVE, ids=[one[0] for one in LIVE])
def test_the_running_kernel_agrees(reef: Reef, question: str, action: str, rule: str) -> None:
    reason = msgspec.convert(reef.data("why", "--live", *question.split()), Reason)
    assert (reason.answer.action, reason.answer.rule) == (action, rule)
    assert reason.kernel is not None
    assert (reason.kernel.traced.verdict, reason.kernel.traced.rule) == (action, rule)
    assert reason.differences == ()


def test_a_real_packet_is_followed(reef: Reef, lab: Lab) -> None:
    client = subprocess.Popen(
        ["ip", "netns", "exec", lab.namespace("lan2"), "sh", "-c",
         "while :; do curl -4 -s -m 2 -o /dev/null http://198.51.100.80/; sleep 0.2; done"],
    )  # fmt: skip
    try:
        asked = reef.data("why", "--follow", "--wait", "60", "--from", "10.20.0.12", "--to", "198.51.100.80", "http")
    finally:
        client.kill()
        client.wait()
    reason = msgspec.convert(asked, Reason)
    assert reason.kernel is not None
    traced = reason.kernel.traced
    assert (traced.verdict, traced.rule, traced.leaves_from) == ("allow", "R-3", "203.0.113.2")
    assert traced.source_port != 49152, "the packet that came, not the one that was asked about"
    assert reason.answer.source == f"10.20.0.12:{traced.source_port}"


def test_an_echo_is_followed_through_its_translation(reef: Reef, lab: Lab) -> None:
    client = subprocess.Popen(
        ["ip", "netns", "exec", lab.namespace("lan2"), "ping", "-n", "-i", "0.3", "198.51.100.80"],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        asked = reef.data("why", "--follow", "--wait", "60", "--from", "10.20.0.12", "--to", "198.51.100.80", "ping")
    finally:
        client.kill()
        client.wait()
    reason = msgspec.convert(asked, Reason)
    assert reason.kernel is not None
    traced = reason.kernel.traced
    assert (traced.verdict, traced.rule, traced.leaves_from) == ("allow", "R-4", "203.0.113.2")


def test_an_operator_may_follow_and_not_send(reef: Reef) -> None:
    question = ("--from", "10.20.0.12", "--to", "198.51.100.80", "udp/4000")
    group = reef.lab.gateway.instance.operators
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", f"--groups={group}")
    sent = reef("why", "--live", *question, prefix=prefix)
    assert (sent.returncode, "only root may send" in sent.stderr) == (4, True), sent
    followed = reef("why", "--follow", "--wait", "1", *question, prefix=prefix)
    assert (followed.returncode, "no such packet came within 1 s" in followed.stderr) == (1, True), followed


def test_a_ban_is_the_answer(reef: Reef) -> None:
    assert reef("ban", "add", "10.20.0.12", "--for", "5m", "--reason", "a test", "--yes").returncode == 0
    try:
        said = reef("why", "--live", "--from", "10.20.0.12", "--to", "198.51.100.80", "https")
        assert (said.returncode, "10.20.0.12 is banned by root: a test" in said.stdout) == (0, True), said
        assert "agreed     the kernel does what the policy says" in said.stdout
    finally:
        assert reef("ban", "remove", "10.20.0.12").returncode == 0


def test_a_kernel_that_does_otherwise_is_said_loudly_and_written_down(reef: Reef, lab: Lab) -> None:
    inside = ["ip", "netns", "exec", lab.namespace("gw"), "nft"]
    subprocess.run([*inside, "-f", "-"], input=FOREIGN, text=True, check=True)
    try:
        said = reef("why", "--live", "--from", "10.20.0.12", "--to", "198.51.100.80", "https")
    finally:
        subprocess.run([*inside, "delete", "table", "inet", "elsewhere"], check=True)
    assert said.returncode == 1
    assert "DISAGREED: the policy says allow, the kernel deny" in said.stdout
    assert "the kernel other elsewhere forward" in said.stdout

    def alerted() -> bool:
        return any("the kernel deny" in one["alert"]["category"] + one["alert"]["signature"]
                   for one in events(reef, "--type", "alert"))  # fmt: skip

    until(alerted, "an alert of the disagreement", lab=lab, patience=60)


def test_ways_are_those_of_the_kernel(lab: Lab) -> None:
    socket = load_instance(instance_file(lab.lab)).socket("policyd")
    known = ipc.call(socket, Ways(("10.20.0.12", "203.0.113.2", "198.51.100.80")), WayList)
    inner, own, outer = known.ways
    assert (inner.interface, inner.via, inner.reachable) == ("lan0", "", True)
    assert (own.interface, own.reachable) == ("", True)
    assert (outer.interface, outer.via, outer.source) == ("wan0", "203.0.113.1", "203.0.113.2")
    assert "203.0.113.2/24" in {address.address for address in known.own if address.interface == "wan0"}


def test_a_line_that_takes_no_probe_leaves_the_kernel_free_to_follow(reef: Reef, lab: Lab) -> None:
    lab.run(
        "gw", "sh", "-ec", "ip tuntap add dev tun9 mode tun; ip addr add 10.99.0.1/24 dev tun9; ip link set tun9 up"
    )
    try:
        asked = ("why", "--from", "10.99.0.7", "--to", "10.21.0.10", "http", "--in", "tun9")
        text = POLICY.read_text().replace(
            "\nconnections:\n", "  vpn: {interfaces: [tun9], networks: [10.99.0.0/24]}\n\nconnections:\n", 1
        )
        lab.gateway.apply(text, "a tunnel")
        refused = reef(*asked, "--live")
        assert "tun9 is no Ethernet line" in refused.stderr
        followed = reef(*asked, "--follow", "--wait", "1s")
        assert "no such packet came within 1 s" in followed.stderr
    finally:
        lab.gateway.apply(POLICY.read_text(), "without the tunnel")
        lab.run("gw", "ip", "link", "delete", "tun9")
