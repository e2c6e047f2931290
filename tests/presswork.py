"""A console's press with work for tests: each job says what it is to try. Run as

    python -m tests.presswork INSTANCE JOB…

It prints a line for each job, what came of it, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from appliance.console.press import Press, PressError, Refused, started
from appliance.control.processes import load_instance


def _refuse() -> str:
    raise Refused("there is no typesetter")


def _break() -> str:
    raise ValueError("the work is wrong")


DEEDS: dict[str, Callable[[], object]] = {
    "say": lambda: "heard",
    "uid": os.getuid,
    "inet": lambda: socket.socket(socket.AF_INET).fileno(),
    "unix": lambda: socket.socket(socket.AF_UNIX).fileno(),
    "file": lambda: Path("/tmp/reef-press").write_text("x"),
    "shadow": lambda: Path("/etc/shadow").read_text(),
    "run": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - it must not start
    "memory": lambda: len(bytearray(2 << 30)),
    "refuse": _refuse,
    "break": _break,
}


def work(job: bytes) -> bytes:
    try:
        return str(DEEDS[job.decode()]()).encode()
    except OSError as error:
        return (error.strerror or str(error)).encode()


async def ask(press: Press, jobs: list[str]) -> None:
    for job in jobs:
        try:
            said = (await press.press(job.encode())).decode()
        except PressError as error:
            said = f"nothing: {error}"
        print(json.dumps([job, said]), flush=True)


def main(argv: list[str]) -> None:
    press = started(load_instance(Path(argv[0])), work)
    asyncio.run(ask(press, argv[1:]))


if __name__ == "__main__":
    main(sys.argv[1:])
