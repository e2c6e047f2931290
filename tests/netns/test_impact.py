"""Real flows in the flow log, and what a candidate would have made of them: `reef impact` and a gateway."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.control.ipc import RefusedError, call
from appliance.control.messages.impact import FlowKey, FlowKeyIs, Impact, Impacted
from appliance.events import flowfile
from appliance.events.flowfile import Block
from appliance.events.view import Selection, past
from appliance.lab.site import POLICY, Lab
from tests.netns.conftest import until
from tests.netns.test_cli_gateway import Reef

PATIENCE = 30.0


@pytest.fixture
def reef(lab: Lab, tmp_path: Path) -> Reef:
    return Reef(lab, tmp_path)


@pytest.fixture(scope="module")
def logged(lab: Lab) -> Iterator[Lab]:
    """A lab whose flow log holds web connections of lan1, a port that was denied, and mail that was rejected."""
    for path in ("one", "two", "three"):
        page = lab.run("lan1", "curl", "-4", "-sS", f"http://www.example.org/{path}")
        assert page.returncode == 0, page.stderr
    lab.run("lan2", "nc", "-4", "-w", "1", "-z", "mail.example.org", "25")
    lab.run("hostile", "nc", "-w", "1", "-z", "203.0.113.2", "2323")
    # Connections are logged when they end.
    lab.run("gw", "conntrack", "-D", "-s", "10.20.0.11", "-p", "tcp", "--dport", "80")
    until(
        lambda: past(lab.gateway.instance.events, Selection(types=("drop",), rules=("default",))),
        "the drop is logged", lab=lab, patience=PATIENCE,
    )  # fmt: skip
    write(lab)
    yield lab


def write(lab: Lab) -> None:
    """Have inspectd write down what it has: it does when it ends."""
    pid = lab.gateway.pid("inspectd")
    os.kill(pid, signal.SIGTERM)
    back(lab, pid)


def back(lab: Lab, pid: int) -> None:
    """Wait for another inspectd than this one."""

    def again() -> bool:
        alive = any(row.name == "inspectd" and row.alive for row in lab.gateway.health())
        return alive and lab.gateway.pid("inspectd") != pid

    until(again, "inspectd is started again", lab=lab, patience=PATIENCE)


def without(rule: str) -> str:
    """The lab's policy without one rule."""
    head, found, rest = POLICY.read_text(encoding="utf-8").partition(f"  - id: {rule}\n")
    assert found
    return head + "  - id: " + rest.split("\n  - id: ", 1)[1]


def impact(lab: Lab, text: str, *, addresses: bool = False) -> Impacted:
    return call(lab.gateway.instance.socket("policyd"), Impact(text, addresses=addresses), Impacted, timeout=60)


def test_a_rule_that_goes_shows_its_real_flows(logged: Lab, reef: Reef) -> None:
    found = impact(logged, without("R-3"))
    [denied] = [group for group in found.groups if group.kind == "denied" and group.rule == "R-3"]
    assert (denied.from_zone, denied.to_zone) == ("lan", "internet")
    assert denied.flows >= 3
    assert (denied.owner, denied.rule_now, denied.action_now) == ("it@health.example", "default", "deny")
    assert denied.services[0].words == "web (tcp/80)"
    assert [tally.words for tally in denied.to_places] == ["example-web"]
    assert denied.bytes > 1000
    assert found.logged >= 5
    file = reef.folder / "candidate.yaml"
    file.write_text(without("R-3"), encoding="utf-8")
    said = reef("impact", str(file)).stdout
    assert "lan -> internet" in said
    assert "allow by R-3 of it@health.example; now deny by default" in said
    assert "10.20.0.11" not in said  # who it was is not said (R30)
    assert msgspec.convert(reef.data("impact", str(file), "--days", "2"), Impacted).groups == found.groups


def test_the_plan_shows_it_too(logged: Lab, reef: Reef) -> None:
    file = reef.folder / "candidate.yaml"
    file.write_text(without("R-3"), encoding="utf-8")
    said = reef("plan", str(file)).stdout
    assert "Real traffic:" in said
    assert "would be denied" in said
    same = reef("plan", str(POLICY)).stdout
    assert "would be decided otherwise" in same
    assert "none of" in same


def test_what_was_denied_and_would_pass_is_shown(logged: Lab) -> None:
    rule = (
        "  - id: R-0\n    from: internet\n    to: gateway\n    service: tcp/2323\n    action: allow\n"
        "    why: a test\n    owner: it@health.example\n"
    )
    text = POLICY.read_text(encoding="utf-8").replace("rules:\n", f"rules:\n{rule}", 1)
    found = impact(logged, text)
    [allowed] = [group for group in found.groups if group.kind == "allowed"]
    assert (allowed.from_zone, allowed.to_zone, allowed.rule, allowed.rule_now) == (
        "internet", "gateway", "default", "R-0",
    )  # fmt: skip
    refused = impact(logged, without("R-6"))
    assert [(group.kind, group.rule) for group in refused.groups] == [("refused", "R-6")]


def test_asking_for_addresses_names_hosts_and_is_written_down(logged: Lab) -> None:
    found = impact(logged, without("R-3"), addresses=True)
    assert "(10.20.0.11)" in found.groups[0].from_places[0].words
    until(
        lambda: [
            event
            for event in past(logged.gateway.instance.events, Selection(types=("engine",)))
            if event.engine and "--addresses" in str(event.engine.get("message"))
        ],
        "who asked is in the log", lab=logged, patience=PATIENCE,
    )  # fmt: skip


def test_the_files_name_nobody_and_are_for_policyd_alone(logged: Lab) -> None:
    directory = logged.gateway.instance.shared_of("inspectd")
    found = directory.stat()
    assert stat.S_IMODE(found.st_mode) == 0o2750
    assert found.st_uid == logged.gateway.instance.identity("inspectd").uid
    assert found.st_gid == logged.gateway.instance.identity("policyd").gid
    paths = flowfile.files(directory)
    assert paths
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for block in flowfile.read(path):
            assert isinstance(block, Block)
            plain = flowfile.heads_of(block) + flowfile.body_of(block) + path.read_bytes()
            assert bytes((10, 20, 0, 11)) not in plain
            assert b"R-3" in flowfile.heads_of(block) or b"lan" in flowfile.heads_of(block)


def test_keys_are_given_to_nobody_else(logged: Lab) -> None:
    """Root may talk to keyd, but gets no key of the flow log."""
    with pytest.raises(RefusedError) as refused:
        call(logged.gateway.instance.socket("keyd"), FlowKey(20_000), FlowKeyIs, timeout=10)
    assert refused.value.reply.code == "not-allowed"


def test_a_log_cut_in_mid_record_is_read_to_the_cut_and_goes_on(logged: Lab) -> None:
    before = impact(logged, without("R-3"))
    path = flowfile.files(logged.gateway.instance.shared_of("inspectd"))[-1]
    pid = logged.gateway.pid("inspectd")
    os.kill(pid, signal.SIGKILL)  # the supervisor is this process: nothing starts it again yet
    with path.open("ab") as file:
        file.write(path.read_bytes()[:100])  # as a power cut leaves it
    cut = impact(logged, without("R-3"))
    assert cut.groups == before.groups
    assert any("100 bytes of the flow log" in words for words in cut.missing)
    back(logged, pid)

    def said() -> bool:
        events = past(logged.gateway.instance.events, Selection(types=("engine",)))
        return any(event.engine and "100 bytes at the end" in str(event.engine.get("message")) for event in events)

    until(said, "what was cut off is said", lab=logged, patience=PATIENCE)

    def logged_again() -> bool:
        logged.run("lan1", "curl", "-4", "-sS", "http://www.example.org/after-the-cut")
        logged.run("gw", "conntrack", "-D", "-s", "10.20.0.11", "-p", "tcp", "--dport", "80")
        write(logged)
        return impact(logged, without("R-3")).groups[0].flows > before.groups[0].flows

    until(logged_again, "writing goes on behind the cut", lab=logged, patience=2 * PATIENCE)
    assert impact(logged, without("R-3")).missing == before.missing
