"""Starts the rows of the process table, keeps them running, and stops them in reverse order.

systemd does this on the appliance; the supervisor does it where there is no systemd: the lab and the tests.
One thread, one loop: `poll` is called again and again by whoever owns the supervisor.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from appliance.control.messages.gateway import ProcessHealth
from appliance.control.pins import mount_pins, unmount_pins
from appliance.control.placement import PROJECT, Placement, enter_placement
from appliance.control.processes import INSTANCE_VARIABLE, Instance, Process, start_order
from appliance.control.sandbox import SUPERVISOR_VARIABLE
from ctypes_ext import sandbox as kernel

START_TRIES = 3  # a process that ended this often before everything was ready will not become ready
STOP_PATIENCE = 3.0  # seconds between SIGTERM and SIGKILL
LINE = 65536


class SupervisorError(Exception):
    """The processes cannot be started; the text says which and why."""


@dataclass
class Child:
    """One row and what became of it. `since` and `again` are monotonic seconds; `again` 0 means not waiting.

    `words` is its state, `said` its last line, `failure` how it ended the last time.
    """

    row: Process
    running: subprocess.Popen[bytes] | None = None
    ready: bool = False
    since: float = 0.0
    again: float = 0.0
    delay: float = 0.0
    restarts: int = 0
    words: str = ""
    said: str = ""
    failure: str = ""
    rest: bytes = field(default=b"")


def prepare_directories(instance: Instance, rows: Sequence[Process]) -> None:
    """Make the directories the rows may write to, each owned by its process. Existing ones keep their contents."""
    for directory in (Path(instance.run), Path(instance.state), instance.events, Path(instance.state) / "shared"):
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
    for row in rows:
        identity = instance.identity(row.name)
        run, state = instance.run_of(row.name), instance.state_of(row.name)
        _own(run, identity.uid, identity.gid, 0o755)
        _own(state, identity.uid, identity.gid, 0o700)
        if row.spool:
            # Set-group-id, so that the operators' group can read every spool file that appears in it.
            _own(instance.events_of(row.name), identity.uid, instance.operators, 0o2750)
        if row.reader:
            _own(instance.shared_of(row.name), identity.uid, instance.identity(row.reader).gid, 0o2750)
        if row.name == "gated" and not instance.bpf:
            mount_pins(instance)


def _own(directory: Path, uid: int, gid: int, mode: int) -> None:
    directory.mkdir(exist_ok=True)
    os.chown(directory, uid, gid)
    directory.chmod(mode)


class Supervisor:
    """Owns the processes of one instance.

    `log` is called with (process name, line) for every line they print and every change of their state.
    `extra` adds to the environment of every process.
    """

    def __init__(
        self,
        instance: Instance,
        instance_file: Path,
        rows: Sequence[Process],
        *,
        placement: Placement,
        log: Callable[[str, str], None],
        extra: dict[str, str] | None = None,
    ) -> None:
        self._instance = instance
        self._file = instance_file
        self._children = [Child(row) for row in start_order(rows)]
        self._placement = placement
        self._log = log
        self._extra = extra or {}
        self._selector = selectors.DefaultSelector()
        self._notify: socket.socket | None = None
        self._stopping = False

    @property
    def _notify_path(self) -> Path:
        return Path(self._instance.run) / "notify"

    def start(self, patience: float = 20.0) -> None:
        """`begin`, then `wait`. Raises SupervisorError."""
        self.begin()
        self.wait(patience)

    def begin(self) -> None:
        """Start every row. All at once: each waits by itself for those it calls, and interpreters start side by side.

        Raises SupervisorError, with everything stopped again.
        """
        prepare_directories(self._instance, [child.row for child in self._children])
        self._listen()
        for child in self._children:
            self._spawn(child)

    def wait(self, patience: float) -> None:
        """Wait until each row said it is ready.

        Raises SupervisorError, with everything stopped again, when one is not ready within `patience` seconds.
        """
        deadline = time.monotonic() + patience
        while late := [child for child in self._children if not child.ready]:
            hopeless = any(child.restarts >= START_TRIES for child in late)
            if hopeless or time.monotonic() > deadline:
                words = "; ".join(
                    f"{child.row.name}: {child.failure or 'runs, but never said it is ready'}" for child in late
                )
                self.stop()
                raise SupervisorError(f"not ready: {words}")
            self.poll(0.1)

    def poll(self, timeout: float) -> None:
        """Pass on what the processes print and restart those that ended; returns after at most `timeout` seconds."""
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._hear()
            else:
                self._read(key.data)
        now = time.monotonic()
        for child in self._children:
            if child.running and child.running.poll() is not None:
                self._ended(child, now)
            if not child.running and child.again and child.again <= now and not self._stopping:
                child.restarts += 1
                self._spawn(child)

    def health(self) -> tuple[ProcessHealth, ...]:
        return tuple(
            ProcessHealth(
                child.row.name,
                alive=child.running is not None and child.ready,
                words=child.words + (f" ({child.restarts} restarts)" if child.restarts else ""),
            )
            for child in self._children
        )

    def pid(self, name: str) -> int:
        """The process id of a row. Raises KeyError when it does not run."""
        for child in self._children:
            if child.row.name == name and child.running:
                return child.running.pid
        raise KeyError(name)

    def stop(self) -> None:
        """SIGTERM to each in reverse order of start, SIGKILL to what does not listen; returns when all ended."""
        self._stopping = True
        for child in reversed(self._children):
            if child.running is None:
                continue
            child.running.terminate()
            deadline = time.monotonic() + STOP_PATIENCE
            while child.running.poll() is None and time.monotonic() < deadline:
                self._drain(0.02)
            if child.running.poll() is None:
                self._log(child.row.name, f"does not end {STOP_PATIENCE:g} s after SIGTERM; killed")
                child.running.kill()
                child.running.wait()
            self._drain(0)
            self._close(child)
        if self._notify is not None:
            self._selector.unregister(self._notify)
            self._notify.close()
            self._notify = None
            self._notify_path.unlink(missing_ok=True)
        if not self._instance.bpf:
            unmount_pins(Path(self._instance.pins))

    # --- starting -----------------------------------------------------------------------------------

    def _listen(self) -> None:
        self._notify_path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        receiver.bind(str(self._notify_path))
        self._notify_path.chmod(0o666)  # the sender's pid is checked, not the mode
        self._notify = receiver
        self._selector.register(receiver, selectors.EVENT_READ, None)

    def _spawn(self, child: Child) -> None:
        own = os.getpid()

        def between_fork_and_exec() -> None:
            kernel.parent_death_signal(signal.SIGKILL)
            enter_placement(self._placement)

        try:
            child.running = subprocess.Popen(
                [sys.executable, "-m", child.row.module, "--instance", str(self._file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=PROJECT,
                env={
                    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                    "LANG": "C.UTF-8",
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "NOTIFY_SOCKET": str(self._notify_path),
                    INSTANCE_VARIABLE: str(self._file),
                    SUPERVISOR_VARIABLE: str(own),
                    **child.row.environment,
                    **self._extra,
                },
                bufsize=0,
                preexec_fn=between_fork_and_exec,
                start_new_session=True,  # Ctrl-C at the terminal is for the supervisor alone
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.stop()
            raise SupervisorError(f"{child.row.name}: cannot be started: {error}") from error
        child.ready, child.again, child.since, child.words = False, 0.0, time.monotonic(), "starting"
        if child.running.stdout is None:  # PIPE was asked for
            raise SupervisorError(f"{child.row.name}: no pipe")
        os.set_blocking(child.running.stdout.fileno(), False)
        self._selector.register(child.running.stdout, selectors.EVENT_READ, child)

    # --- hearing ------------------------------------------------------------------------------------

    def _drain(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._hear()
            else:
                self._read(key.data)

    def _hear(self) -> None:
        """One datagram of sd_notify; only a process of ours, by the pid the kernel gives, is believed."""
        if self._notify is None:
            return
        try:
            data, ancillary, _, _ = self._notify.recvmsg(4096, socket.CMSG_SPACE(12))
        except BlockingIOError:
            return
        pid = next(
            (
                struct.unpack("iII", content)[0]
                for level, kind, content in ancillary
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS
            ),
            0,
        )
        child = next((child for child in self._children if child.running and child.running.pid == pid), None)
        if child is None:
            return
        fields = dict(line.split("=", 1) for line in data.decode("utf-8", "replace").splitlines() if "=" in line)
        if "STATUS" in fields:
            child.words = fields["STATUS"]
        if fields.get("READY") == "1" and not child.ready:
            child.ready = True
            child.words = fields.get("STATUS", "running")
            self._log(child.row.name, f"ready after {time.monotonic() - child.since:.2f} s")

    def _read(self, child: Child) -> None:
        if child.running is None or child.running.stdout is None:
            return
        data = child.running.stdout.read(LINE)
        if not data:
            if data == b"":
                self._forget(child.running.stdout)
            return
        *lines, child.rest = (child.rest + data).split(b"\n")
        if len(child.rest) > LINE:
            lines, child.rest = [*lines, child.rest], b""
        for line in lines:
            child.said = line.decode("utf-8", "replace")
            self._log(child.row.name, child.said)

    def _forget(self, stream: IO[bytes]) -> None:
        """Stop listening to a pipe, if we still do: its end may have been read before."""
        if stream in {key.fileobj for key in self._selector.get_map().values()}:
            self._selector.unregister(stream)

    def _ended(self, child: Child, now: float) -> None:
        if child.running is None:
            return
        self._read(child)
        last = child.said
        code = child.running.returncode
        how = f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        restart = child.row.restart
        steady = now - child.since >= restart.steady
        child.delay = restart.first if steady or not child.delay else min(child.delay * 2, restart.most)
        child.again = now + child.delay
        self._close(child)
        child.failure = child.words = f"{how}; {last}" if last else how
        self._log(child.row.name, f"{how}; starts again in {child.delay:.1f} s")

    def _close(self, child: Child) -> None:
        if child.running is None or child.running.stdout is None:
            return
        self._forget(child.running.stdout)
        child.running.stdout.close()
        if child.rest:
            self._log(child.row.name, child.rest.decode("utf-8", "replace"))
        child.rest, child.running, child.ready, child.words = b"", None, False, "stopped"
