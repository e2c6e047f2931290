"""The lab's policy on real packets: curl, nc, ssh and forged frames between the hosts, through the real daemons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from appliance.control.ipc import call
from appliance.control.messages.gateway import RuleCounterList, RuleCounters
from appliance.control.processes import PROCESSES, Process
from appliance.control.sandbox import mask_of
from appliance.lab.netns import path_of
from appliance.lab.site import POLICY, Lab
from appliance.lab.topology import DMZ, GATEWAY4, GATEWAY6, LAN1, LAN2
from appliance.lab.traffic import Person
from crypto.selfsigned import client_context
from tests.netns.conftest import until

DMZ6 = "2001:db8:20:2::10"
LAN6 = "2001:db8:20:1::11"
WEB = "http://www.example.org/"


def counter(lab: Lab, rule: str) -> int:
    """Packets that the rule has counted so far."""
    answer = call(lab.gateway.instance.socket("policyd"), RuleCounters(), RuleCounterList)
    return {one.id: one.packets for one in answer.counters}.get(rule, 0)


def get(lab: Lab, host: str, *arguments: str) -> str:
    """What curl got; "" when it got nothing within two seconds."""
    return lab.run(host, "curl", "-s", "--max-time", "2", "--cacert", str(lab.certificate), *arguments).stdout


def connects(lab: Lab, host: str, address: str, port: int) -> str:
    """What came of a TCP connection: "open", "refused" or "silence"."""
    done = lab.run(host, "nc", "-z", "-w", "1", "-v", address, str(port))
    if done.returncode == 0:
        return "open"
    return "refused" if "refused" in done.stderr else "silence"


def pings(lab: Lab, host: str, address: str) -> bool:
    return lab.run(host, "ping", "-c", "1", "-W", "1", address).returncode == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("family", "seen"), [("-4", GATEWAY4), ("-6", LAN6)])
def test_staff_reach_the_web_over_both_families(lab: Lab, scheme: str, family: str, seen: str) -> None:
    """IPv4 hides behind the gateway's address, IPv6 does not; R-3 counts."""
    before = counter(lab, "R-3")
    assert get(lab, "lan1", family, f"{scheme}://www.example.org/") == f"web serves / to {seen}\n"
    assert counter(lab, "R-3") > before


@pytest.mark.parametrize(
    ("host", "address", "port", "came"),
    [
        ("lan1", "198.51.100.25", 25, "refused"),  # reject
        ("lan1", "2001:db8:5::25", 25, "refused"),
        ("lan1", "198.51.100.80", 23, "silence"),  # nothing allows it
        ("lan1", "2001:db8:5::80", 23, "silence"),
        ("dmz", LAN1, 22, "silence"),
        ("dmz", LAN6, 22, "silence"),
        ("hostile", GATEWAY4, 22, "silence"),
        ("hostile", GATEWAY6, 22, "silence"),
        ("hostile", LAN1, 80, "silence"),
        ("hostile", LAN6, 80, "silence"),
        ("m2", GATEWAY4, 2222, "silence"),
    ],
)
def test_what_the_policy_does_not_allow_does_not_happen(
    lab: Lab, host: str, address: str, port: int, came: str
) -> None:
    assert connects(lab, host, address, port) == came


def test_only_the_second_ministry_may_ping_the_gateway(lab: Lab) -> None:
    assert pings(lab, "m2", GATEWAY4)
    assert pings(lab, "m2", GATEWAY6)
    assert not pings(lab, "hostile", GATEWAY4)
    assert not pings(lab, "hostile", GATEWAY6)


def test_the_web_site_is_published_to_both_families(lab: Lab) -> None:
    before = counter(lab, "P-1")
    assert get(lab, "m2", "-4", "http://www.health.example/") == "dmz serves / to 192.0.2.2\n"
    assert get(lab, "m2", "-6", "https://www.health.example/") == "dmz serves / to 2001:db8:30:1::11\n"
    assert counter(lab, "P-1") > before
    assert connects(lab, "m2", GATEWAY4, 8080) == "silence"


def test_the_lan_reaches_the_web_site_by_its_outer_address(lab: Lab) -> None:
    """Hairpin: the name that the Internet knows works inside too."""
    assert get(lab, "lan2", "-4", "http://www.health.example/").startswith("dmz serves / to ")
    assert get(lab, "lan2", "-6", "http://www.health.example/").startswith("dmz serves / to ")


def test_the_web_server_reaches_its_updates_by_name_and_nothing_else(lab: Lab) -> None:
    """R-5 allows a DNS name; namesd fills it in."""
    until(lambda: get(lab, "dmz", "https://updates.example.org/"), "the name is resolved", lab=lab)
    assert connects(lab, "dmz", "198.51.100.25", 443) == "silence"


@pytest.mark.parametrize(("source", "destination"), [(LAN2, DMZ), ("2001:db8:20:1::12", DMZ6)], ids=["IPv4", "IPv6"])
def test_a_forged_source_is_dropped_and_counted(lab: Lab, source: str, destination: str) -> None:
    """From outside, a packet that claims to come from the LAN, to a service that is published."""
    hostile = Person("hostile", path_of(lab.lab, "hostile"), client_context(lab.certificate))
    dmz_before = received(lab, "dmz")
    before = counter(lab, "antispoofing internet")
    for _ in range(5):
        hostile.spoof(source, destination, 80)
    until(lambda: counter(lab, "antispoofing internet") >= before + 5, "the forged packets are counted", lab=lab)
    assert received(lab, "dmz") < dmz_before + 5


def received(lab: Lab, host: str) -> int:
    """Packets that the host's interface got, apart from what the neighbours say to each other."""
    links = json.loads(lab.run(host, "ip", "-s", "-j", "link", "show", "eth0").stdout)
    return int(links[0]["stats64"]["rx"]["packets"])


@pytest.mark.parametrize("name", ["policyd", "keyd", "inspectd", "namesd", "applyd"])
def test_traffic_goes_on_while_a_daemon_is_dead(lab: Lab, name: str) -> None:
    pid = lab.gateway.pid(name)
    os.kill(pid, signal.SIGKILL)
    assert get(lab, "lan1", "-4", WEB) == f"web serves / to {GATEWAY4}\n"
    assert connects(lab, "hostile", GATEWAY4, 22) == "silence"
    until(
        lambda: any(one.alive and one.name == name for one in lab.gateway.health()) and lab.gateway.pid(name) != pid,
        f"{name} comes back",
        lab=lab,
    )
    assert get(lab, "lan1", "-6", WEB) == f"web serves / to {LAN6}\n"


@pytest.mark.parametrize("row", PROCESSES, ids=lambda row: row.name)
def test_each_daemon_runs_with_what_its_row_lists_and_no_more(lab: Lab, row: Process) -> None:
    """As the kernel tells it of the running processes, not as they say."""
    pid = lab.gateway.pid(row.name)
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    identity = lab.gateway.instance.identity(row.name)
    assert status["Uid"] == [str(identity.uid)] * 4
    assert status["Gid"] == [str(identity.gid)] * 4
    lent = [str(lab.gateway.instance.operators)] if row.reads_spools else []
    assert status["Groups"] == lent
    for capabilities in ("CapPrm", "CapEff", "CapBnd"):
        assert int(status[capabilities][0], 16) == mask_of(row.keeps), capabilities
    assert (status["CapInh"], status["CapAmb"]) == ([f"{0:016x}"], [f"{0:016x}"])
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]
    assert Path(f"/proc/{pid}/ns/net").stat().st_ino == path_of(lab.lab, "gw").stat().st_ino


def test_what_somebody_changed_while_applyd_was_dead_is_repaired(lab: Lab) -> None:
    """Drift is what differs from what was loaded, whether or not anybody watched when it came."""
    chain = ("nft", "list", "chain", "inet", "reef", "forward")
    whole = lab.run("gw", *chain).stdout
    pid = lab.gateway.pid("applyd")
    os.kill(pid, signal.SIGKILL)
    lab.run("gw", "nft", "flush", "chain", "inet", "reef", "forward")
    assert lab.run("gw", *chain).stdout != whole
    until(lambda: lab.run("gw", *chain).stdout == whole, "the chain is as it was loaded", lab=lab)
    assert get(lab, "lan1", "-4", WEB) == f"web serves / to {GATEWAY4}\n"
    until(lambda: lab.gateway.status().drift == "", "nothing is reported any more", lab=lab)


# --- the way in ------------------------------------------------------------------------------------------


def over_ssh(lab: Lab, command: str, stdin: str = "") -> tuple[int, str]:
    """Run a command on the gateway as its officer; (exit code, everything it said)."""
    done = lab.command(lab.ssh_command(command), stdin=stdin, timeout=30)
    return done.returncode, done.stdout + done.stderr


def running(lab: Lab) -> int:
    return lab.gateway.status().running


def test_the_officer_sees_the_gateway_over_ssh(lab: Lab) -> None:
    code, said = over_ssh(lab, "reef show status && reef history")
    assert code == 0, said
    assert "lab-ministry" in said
    assert "the lab's first policy" in said


def test_only_the_administrators_workstation_gets_in(lab: Lab) -> None:
    assert connects(lab, "lan1", "10.20.0.1", 22) == "open"
    assert connects(lab, "lan2", "10.20.0.1", 22) == "silence"
    assert connects(lab, "lan2", "2001:db8:20:1::1", 22) == "silence"


def test_the_officer_is_no_root_and_reaches_only_policyd(lab: Lab) -> None:
    instance = lab.gateway.instance
    code, said = over_ssh(lab, f"id -un; cat {instance.state_of('keyd')}/signing.key")
    assert code != 0
    assert "officer" in said
    assert "Permission denied" in said


def test_an_apply_over_ssh_is_confirmed_from_a_new_session_only(lab: Lab) -> None:
    """The session that applied proves nothing: it was there before. A new one had to pass the new rules."""
    text = POLICY.read_text().replace("web access for staff", "web access for staff and guests")
    base = running(lab)
    apply = "reef apply - --yes --no-wait --confirm-within 30 --reason words"
    code, said = over_ssh(lab, f"{apply} && reef confirm", stdin=text)
    assert code == 4, said
    assert "log in again" in said
    assert lab.gateway.status().confirmed == base
    code, said = over_ssh(lab, "reef confirm")
    assert code == 0, said
    code, said = over_ssh(lab, "reef --json history")
    newest = next(one for one in json.loads(said)["generations"] if one["generation"] == base + 1)
    assert (newest["author"], newest["state"], newest["confirmed_by"]) == ("officer", "confirmed", "officer")


def test_a_policy_that_locks_the_officer_out_is_taken_back_by_itself(lab: Lab) -> None:
    """Without R-1 no session comes in and the open one stalls; when the time to confirm is over, both are back."""
    confirmed = running(lab)
    text = POLICY.read_text().replace("  - id: R-1\n", "  - id: R-1\n    enabled: no\n", 1)
    apply = "reef apply - --yes --no-wait --confirm-within 4 --reason lock-out"
    with subprocess.Popen(
        lab.ssh_command(f"{apply}; echo exit $?; echo still here"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as session:
        assert session.stdin is not None
        session.stdin.write(text)
        session.stdin.close()
        until(lambda: running(lab) == confirmed + 1, "the new generation runs", lab=lab)
        assert connects(lab, "lan1", "10.20.0.1", 22) == "silence"
        assert session.poll() is None
        assert get(lab, "lan1", "-4", WEB)  # the rest of the policy is in force
        until(lambda: running(lab) == confirmed, "the old generation is back", lab=lab)
        until(lambda: connects(lab, "lan1", "10.20.0.1", 22) == "open", "the officer gets in again", lab=lab)
        until(lambda: session.poll() is not None, "the session goes on where it stalled", lab=lab)
        assert session.stdout is not None
        said = session.stdout.read()
    assert "exit 0" in said, said
    assert "still here" in said, said
    _, history = over_ssh(lab, "reef --json history")
    locked = next(one for one in json.loads(history)["generations"] if one["generation"] == confirmed + 1)
    assert (locked["state"], locked["author"]) == ("rolled-back", "officer")
