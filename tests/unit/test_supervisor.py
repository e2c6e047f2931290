"""The supervisor with real processes: start, readiness, restart, words, stop."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.control import supervisor as module
from appliance.control.placement import PROJECT, Placement
from appliance.control.processes import Identity, Instance, Process, Restart, encode_instance, process
from appliance.control.supervisor import Supervisor, SupervisorError

Start = Callable[..., Supervisor]
DEADLINE = 40.0


def row(name: str, kind: str, **more: object) -> Process:
    """A row of the real table, with another program behind it."""
    quick = Restart(first=0.05, most=0.4)
    return msgspec.structs.replace(
        process(name), module=f"tests.unit.rows.{kind}", spool=False, restart=quick, **more
    )


@pytest.fixture
def said() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def supervise(tmp_path: Path, said: list[tuple[str, str]]) -> Iterator[Start]:
    me = Identity(os.getuid(), os.getgid())
    instance = Instance(
        "test",
        str(tmp_path / "run"),
        str(tmp_path / "state"),
        str(tmp_path / "config"),
        dict.fromkeys(("keyd", "applyd", "policyd"), me),
        operators=os.getgid(),
    )
    file = tmp_path / "instance.json"
    file.write_bytes(encode_instance(instance))
    made: list[Supervisor] = []

    def start(*rows: Process, **options: object) -> Supervisor:
        extra = {"WORD": "hello"}
        one = Supervisor(
            instance, file, rows, placement=Placement(), log=lambda who, line: said.append((who, line)), extra=extra
        )
        made.append(one)
        one.start()
        return one

    yield start
    for one in made:
        one.stop()


def until(one: Supervisor, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, one.health()
        one.poll(0.05)


def says(one: Supervisor, words: str) -> bool:
    return one.health()[0].words == words


def alive(pid: int) -> bool:
    """Whether it runs; one that ended and waits for whoever adopted it does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_start_returns_when_every_process_said_it_is_ready(supervise: Start, said: list[tuple[str, str]]) -> None:
    one = supervise(row("applyd", "obedient"), row("keyd", "obedient"))
    assert [(health.name, health.alive, health.words) for health in one.health()] == [
        ("keyd", True, "at your service"),
        ("applyd", True, "at your service"),
    ]
    assert ("keyd", "obedient hello") in said


def test_a_process_that_dies_is_started_again_and_counted(supervise: Start, said: list[tuple[str, str]]) -> None:
    one = supervise(row("keyd", "obedient"))
    first = one.pid("keyd")
    os.kill(first, signal.SIGKILL)
    until(one, lambda: not one.health()[0].alive)
    until(one, lambda: one.health()[0].alive)
    assert one.pid("keyd") != first
    assert one.health()[0].words == "at your service (1 restarts)"
    assert any(line.startswith("ended by signal SIGKILL; starts again in") for _, line in said)


def test_a_process_that_dies_again_and_again_is_started_less_and_less_often(
    supervise: Start, said: list[tuple[str, str]]
) -> None:
    one = supervise(row("keyd", "obedient"))
    for restarts in range(1, 5):
        os.kill(one.pid("keyd"), signal.SIGKILL)
        until(one, functools.partial(says, one, f"at your service ({restarts} restarts)"))
    delays = [line.rpartition("in ")[2] for _, line in said if "starts again" in line]
    assert delays == ["0.1 s", "0.1 s", "0.2 s", "0.4 s"]


def test_a_start_that_fails_says_which_process_and_its_last_words(supervise: Start) -> None:
    with pytest.raises(SupervisorError, match=r"keyd: .*hopeless: the configuration is missing; write one"):
        supervise(row("keyd", "hopeless"), row("applyd", "obedient"))


def test_stop_ends_the_last_started_first_and_kills_what_does_not_listen(
    supervise: Start, said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_PATIENCE", 0.3)
    one = supervise(row("keyd", "obedient"), row("applyd", "stubborn"))
    pids = [one.pid("keyd"), one.pid("applyd")]
    one.stop()
    assert not any(alive(pid) for pid in pids)
    assert ("applyd", "does not end 0.3 s after SIGTERM; killed") in said
    assert [health.alive for health in one.health()] == [False, False]


def test_a_stranger_cannot_say_that_a_process_is_ready(supervise: Start, tmp_path: Path) -> None:
    """Only the pid that the kernel gives counts; anybody may write to the socket."""
    one = supervise(row("keyd", "obedient"))
    code = "from appliance.control.notify import ready; ready('a lie')"
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "run" / "notify")}
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, check=True)
    for _ in range(5):
        one.poll(0.02)
    assert one.health()[0].words == "at your service"


def test_the_processes_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """kill -9 of the supervisor leaves no orphan."""
    code = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(PROJECT)!r})
from tests.unit.test_supervisor import row
from appliance.control.placement import Placement
from appliance.control.processes import Identity, Instance, encode_instance
from appliance.control.supervisor import Supervisor
import os
folder = Path({str(tmp_path)!r})
me = Identity(os.getuid(), os.getgid())
instance = Instance("t", str(folder / "run"), str(folder / "state"), str(folder), {{"keyd": me}}, os.getgid())
(folder / "instance.json").write_bytes(encode_instance(instance))
one = Supervisor(instance, folder / "instance.json", [row("keyd", "obedient")], placement=Placement(), log=print)
one.start()
print("pid", one.pid("keyd"), flush=True)
while True:
    one.poll(1)
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = next(int(line.split()[1]) for line in parent.stdout if line.startswith("pid "))
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + DEADLINE
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
