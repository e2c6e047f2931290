"""What `reef doctor` makes of what it is told and of what it sees by itself."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.commands.health import from_runs, from_status, runs_lines, with_silent
from appliance.control.messages.gateway import ProcessHealth, StatusReport
from appliance.control.messages.readback import Runs
from appliance.control.processes import PROCESSES, Identity, Instance

NOW = 1_800_000_000.0
WELL = StatusReport("health", 7, 7, 0.0, "", (), (ProcessHealth("keyd", True),))


def instance(tmp_path: Path) -> Instance:
    identities = {row.name: Identity(61000 + number, 61000) for number, row in enumerate(PROCESSES)}
    return Instance("box", str(tmp_path), str(tmp_path), str(tmp_path), identities, 61000)


def process(proc: Path, pid: int, uid: int, state: str = "S (sleeping)") -> None:
    (proc / str(pid)).mkdir(parents=True)
    (proc / str(pid) / "status").write_text(f"Name:\tpython\nState:\t{state}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")


def test_all_is_well_says_nothing() -> None:
    assert from_status(WELL, NOW) == []


def test_each_trouble_is_one_finding_with_what_to_do() -> None:
    omitted = ("queue: R-9 is not inspected",)
    dead = (ProcessHealth("keyd", False),)
    troubled = StatusReport("health", 8, 7, NOW + 90, "rule added by hand", omitted, dead)
    found = {finding.what: finding for finding in from_status(troubled, NOW)}
    assert [(finding.severity, what) for what, finding in found.items()] == [
        ("note", "generation 8 is not confirmed; 1:30 left"),
        ("wrong", "the kernel holds something else than the generation says: rule added by hand"),
        ("wrong", "keyd is dead"),
        ("note", "left out here: queue: R-9 is not inspected"),
    ]
    assert all(finding.mend for what, finding in found.items() if finding.severity == "wrong")


def test_a_clock_that_was_never_set_and_a_box_without_policy_are_wrong() -> None:
    found = from_status(StatusReport("", 0, 0, 0.0, "", ()), 86_400.0)
    assert [(one.severity, one.what.split(":")[0]) for one in found] == [
        ("wrong", "the clock was never set"),
        ("wrong", "no policy was applied"),
    ]


def test_processes_without_a_socket_are_known_by_their_user(tmp_path: Path) -> None:
    box = instance(tmp_path)
    process(tmp_path / "proc", 10, box.identity("namesd").uid)
    process(tmp_path / "proc", 11, box.identity("inspectd").uid, "Z (zombie)")
    process(tmp_path / "proc", 12, os.geteuid())
    seen = {one.name: one.alive for one in with_silent(WELL, box, tmp_path / "proc").processes}
    assert {name for name, alive in seen.items() if alive} == {"keyd", "namesd"}


def test_what_runs_is_told_as_it_was_compared() -> None:
    packet = "tcp 10.0.0.1:40000 -> 192.0.2.1:23: the kernel says allow by no rule, the policy deny by default"
    equal = Runs(7, NOW, equal=True, places=12, cases=345)
    assert from_runs(None) == from_runs(equal) == []
    assert [(style, "12 places, 345 cases" in line) for line, style in runs_lines(equal)] == [("green", True)]
    other = Runs(7, NOW, equal=False, differences=(packet,), more=3, drifted=("what was opened",), drifted_at=NOW)
    assert [(finding.severity, finding.what.split(": ", 1)[-1]) for finding in from_runs(other)] == [
        ("wrong", packet),
        ("wrong", "and 3 more such differences"),
    ]
    lines = [line for line, _ in runs_lines(other)]
    assert packet in lines[0]
    assert "3 more differences" in lines[1]
    assert lines[2].endswith("what was opened")
    # What cannot be told is never well.
    riddle = Runs(7, NOW, equal=False, unknown=("table inet other, chain c: the expression numgen",))
    assert [finding.severity for finding in from_runs(riddle)] == ["wrong"]
    assert "cannot be told" in runs_lines(riddle)[0][0]
