"""What each process of the table can and cannot do, tried for real by a process that entered its sandbox."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control.pins import unmount_pins
from appliance.control.processes import PROCESSES, Identity, Instance, Process, encode_instance
from appliance.control.supervisor import prepare_directories
from tests.netns.readable import readable

ROOT = Path(__file__).resolve().parents[2]
NAMES = [row.name for row in PROCESSES]
REFUSED = {"EPERM", "EACCES"}

# Which address families a class may open; everything else must be refused.
FAMILIES = {
    "keyd": {"unix"},
    "policyd": {"unix"},
    "applyd": {"unix", "netlink"},
    "namesd": {"unix", "netlink", "inet", "inet6"},
    "inspectd": {"unix"},
    "verdictd": {"unix", "netlink"},
    "watchd": {"unix"},
    "recordd": {"unix"},
    "alertd": {"unix", "netlink", "inet", "inet6"},
    "console": {"unix", "netlink", "inet", "inet6"},
    "gated": {"unix", "netlink"},
}


@pytest.fixture(scope="module")
def instance_file() -> Iterator[Path]:
    """In a place of its own: pytest's folders are closed to others again whenever somebody else begins a run."""
    with tempfile.TemporaryDirectory(prefix="reef-captive-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # users other than root must be able to pass
        identities = {row.name: Identity(64300 + n, 64300 + n) for n, row in enumerate(PROCESSES)}
        instance = Instance(
            "captive", str(folder / "run"), str(folder / "state"), str(folder / "config"), identities, operators=64399
        )
        prepare_directories(instance, PROCESSES)
        file = folder / "instance.json"
        file.write_bytes(encode_instance(instance))
        everybodys = folder / "everybodys"
        everybodys.touch()
        everybodys.chmod(0o666)
        yield file
        unmount_pins(Path(instance.pins))


@functools.cache
def found(name: str, file: Path, where: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.netns.captive", name, str(file), where],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("name", NAMES)
def test_a_process_cannot_leave_its_own_house(name: str, instance_file: Path) -> None:
    """No other's state, no file of the machine, no other process, no root, no program, no writable code."""
    answer = found(name, instance_file, "in")
    for what in (
        "read another's state",
        "write another's run directory",
        "read /etc/shadow",
        "write a file that everybody may write",
        "make a file in /tmp",
        "write /etc",
        "signal its parent",
        "become root again",
        "run a program",
        "fork",
        "memory writable and executable",
    ):
        assert answer[what] in REFUSED, (what, answer[what])
    assert "EPERM" in answer["raise its file limit"] or "not allowed" in answer["raise its file limit"]


@pytest.mark.parametrize("name", NAMES)
def test_a_process_can_do_its_work(name: str, instance_file: Path) -> None:
    """Own state, own sockets' directory, own spool, threads; no core file with secrets in it."""
    answer = found(name, instance_file, "in")
    for what in ("own state", "own run directory", "thread", "socket unix", "signal itself", "core file"):
        assert answer[what] == "done", (what, answer[what])
    assert answer.get("own spool", "done") == "done"


@pytest.mark.parametrize("name", NAMES)
def test_a_process_cannot_take_the_machines_memory(name: str, instance_file: Path) -> None:
    assert found(name, instance_file, "in")["all the memory it may have"] == "no memory"


@pytest.mark.parametrize("name", NAMES)
def test_a_process_opens_only_its_families_of_sockets(name: str, instance_file: Path) -> None:
    answer = found(name, instance_file, "in")
    for family in ("inet", "inet6", "netlink", "packet", "unix"):
        wanted = {"done"} if family in FAMILIES[name] else {"EPERM"}
        assert answer[f"socket {family}"] in wanted, (family, answer[f"socket {family}"])


@pytest.mark.parametrize("name", NAMES)
def test_a_process_cannot_make_a_forbidden_call(name: str, instance_file: Path) -> None:
    """Each is refused by the filter, whatever its arguments; clone3 is said to be missing, so libc uses clone."""
    calls = {what: came for what, came in found(name, instance_file, "in").items() if what.startswith("call ")}
    assert len(calls) > 60
    assert calls.pop("call clone3") == "ENOSYS"
    assert set(calls.values()) == {"EPERM"}, {what: came for what, came in calls.items() if came != "EPERM"}


def test_without_the_sandbox_the_same_attempts_succeed(instance_file: Path) -> None:
    """The attempts are real: as root and outside, what is refused above is possible, or refused for other reasons."""
    answer = found("keyd", instance_file, "out")
    Path("/etc/reef-captive").unlink()
    for file in Path("/tmp").glob("captive-*"):
        file.unlink()
    for what in (
        "read another's state",
        "write another's run directory",
        "write a file that everybody may write",
        "make a file in /tmp",
        "read /etc/shadow",
        "write /etc",
        "fork",
    ):
        assert answer[what] == "done", (what, answer[what])
    assert answer["memory writable and executable"] == "done"
    calls = {what: came for what, came in answer.items() if what.startswith("call ")}
    refused = {what for what, came in calls.items() if came == "EPERM"}
    # Some are refused to root too: by a container, or by a kernel that is locked down.
    assert len(refused) < len(calls) / 3, refused


@pytest.mark.parametrize("row", PROCESSES, ids=lambda row: row.name)
def test_the_sandbox_refuses_to_run_a_process_as_root(row: Process, instance_file: Path) -> None:
    """A mistake in the instance file ends the process; it never runs with what it must not have."""
    broken = instance_file.with_name(f"root-{row.name}.json")
    text = instance_file.read_text()
    instance = json.loads(text)
    instance["identities"][row.name] = {"uid": 0, "gid": 0}
    broken.write_text(json.dumps(instance))
    done = subprocess.run(
        [sys.executable, "-m", "tests.netns.captive", row.name, str(broken), "in"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "give it a user of its own" in done.stderr


def test_started_by_systemd_it_gives_up_what_remains(instance_file: Path) -> None:
    """The user is right already and there is no right to change it; capabilities and calls still shrink."""
    row = next(row for row in PROCESSES if row.name == "applyd")
    identity = json.loads(instance_file.read_text())["identities"][row.name]
    as_systemd = [
        "setpriv",
        f"--reuid={identity['uid']}",
        f"--regid={identity['gid']}",
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all,+net_admin,+net_raw",
        "--ambient-caps=-all,+net_admin,+net_raw",
        "--bounding-set=-all,+net_admin,+net_raw",
    ]
    done = subprocess.run(
        [*as_systemd, sys.executable, "-m", "tests.netns.captive", row.name, str(instance_file), "in"],
        cwd=ROOT,
        preexec_fn=readable,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["socket netlink"] == "done"
    assert answer["socket packet"] == "EPERM"
    assert answer["own state"] == "done"
    assert answer["call setresuid"] == "EPERM"
