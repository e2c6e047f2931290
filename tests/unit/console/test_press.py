"""A job of the press and who waits for it: it ends with them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.console.press import Press

_ROOT = Path(__file__).parents[3]
_DEADLINE = 30.0  # less than a job may last by itself
_CHILD = """
import os, pathlib, socket, sys, time
from appliance.console.press import _serve

def work(job):
    if job == b"large":
        return b"x" * (1 << 20)
    pathlib.Path(job.decode() + "~").write_text(str(os.getpid()))
    os.rename(job.decode() + "~", job)
    time.sleep(600)

_serve(socket.socket(fileno=int(sys.argv[1])), work)
"""


async def _until_there(path: Path) -> int:
    deadline = time.monotonic() + _DEADLINE
    while not path.exists():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return int(path.read_text())


def test_a_job_ends_when_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    asyncio.run(_asked_and_left(tmp_path / "job"))


async def _asked_and_left(begun: Path) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(theirs.fileno())], pass_fds=(theirs.fileno(),), cwd=_ROOT
        )
    press = Press(ours)
    asked = asyncio.create_task(press.press(os.fsencode(begun)))
    try:
        job = await _until_there(begun)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        deadline = time.monotonic() + _DEADLINE
        while _lives(job):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        assert await press.press(b"large") == b"x" * (1 << 20)  # and who waits has all of it
    finally:
        ours.close()
        assert child.wait(_DEADLINE) == 0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
