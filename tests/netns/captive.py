"""Run by test_sandbox.py as a process of its own: enters the sandbox of one row and tries what it is told.

Arguments: row name, instance file, "in" or "out" (of the sandbox). Prints one JSON object: attempt -> outcome.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from appliance.control import sandbox
from appliance.control.processes import load_instance, process
from appliance.control.syscalls import FORBIDDEN

# These do something to the test itself, or never return, when nothing forbids them.
ONLY_INSIDE = frozenset({"fork", "vfork", "clone3", "syslog"})

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2")


def raw(number: int) -> str:
    """A system call with arguments that no kernel accepts: the errno says who refused it."""
    ctypes.set_errno(0)
    bad = ctypes.c_long(-1)
    result = libc.syscall(ctypes.c_long(number), bad, bad, bad, bad, bad, bad)
    if result == 0 and number in NEVER_FORKS:
        os._exit(0)  # the child of a fork that should not have been possible
    return errno.errorcode.get(ctypes.get_errno(), "done") if result < 0 else "done"


def number_of(name: str) -> int:
    return int(seccomp.seccomp_syscall_resolve_name(name.encode()))


NEVER_FORKS = {number_of(name) for name in ("fork", "vfork", "clone3")}


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except ValueError as error:
        return str(error)
    except MemoryError:
        return "no memory"
    return "done"


def open_socket(family: int, kind: int = socket.SOCK_DGRAM) -> Callable[[], object]:
    return lambda: socket.socket(family, kind).close()


def write_and_execute() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def run_program() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606


def own_file(folder: Path) -> None:
    (folder / "new").write_text("x")
    (folder / "new").rename(folder / "kept")
    (folder / "kept").unlink()


def thread() -> None:
    runner = threading.Thread(target=int)
    runner.start()
    runner.join()


def main(name: str, instance_file: str, where: str) -> dict[str, str]:
    instance = load_instance(Path(instance_file))
    row = process(name)
    other = next(other for other in ("keyd", "policyd") if other != name)
    parent = os.getppid()
    open_file = Path(instance_file).with_name("everybodys")
    if where == "in":
        sandbox.enter(row, instance)
    attempts: dict[str, Callable[[], object]] = {
        "read another's state": lambda: list(instance.state_of(other).iterdir()),
        "write another's run directory": lambda: (instance.run_of(other) / "x").write_text(""),
        "read /etc/shadow": lambda: Path("/etc/shadow").read_text(),
        "write a file that everybody may write": lambda: open_file.write_text("x"),
        "make a file in /tmp": lambda: (Path("/tmp") / f"captive-{os.getpid()}").touch(),
        "write /etc": lambda: Path("/etc/reef-captive").write_text(""),
        "signal its parent": lambda: os.kill(parent, 0),
        "become root again": lambda: os.setresuid(0, 0, 0),
        "raise its file limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)),
        "run a program": run_program if where == "in" else thread,
        "fork": fork,
        "memory writable and executable": write_and_execute,
        "socket inet": open_socket(socket.AF_INET),
        "socket inet6": open_socket(socket.AF_INET6),
        "socket netlink": open_socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "socket packet": open_socket(socket.AF_PACKET),
        "socket unix": open_socket(socket.AF_UNIX),
        "own state": lambda: own_file(instance.state_of(name)),
        "own run directory": lambda: own_file(instance.run_of(name)),
        "thread": thread,
        "all the memory it may have": lambda: bytearray(row.limits.memory << 20),
        "core file": lambda: None if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0 else 1 / 0,
        "signal itself": lambda: os.kill(os.getpid(), signal.SIGCONT),
    }
    if row.spool:
        attempts["own spool"] = lambda: own_file(instance.events_of(name))
    if where == "out":
        del attempts["core file"]
        del attempts["all the memory it may have"]
    found = {what: outcome(attempt) for what, attempt in attempts.items()}
    for call in sorted(FORBIDDEN - (ONLY_INSIDE if where == "out" else frozenset())):
        if number_of(call) >= 0:
            found[f"call {call}"] = raw(number_of(call))
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])), flush=True)
    os._exit(0)
