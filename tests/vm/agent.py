"""Runs inside the test machine: takes commands over a virtio serial port, answers with what they printed.

One JSON object per line. Request: {"id", "script", "timeout"}; answer: {"id", "status", "output"}.
Commands run side by side, each in its own session; only the standard library is used.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMED_OUT = 124  # as timeout(1) says it


def perform(script: str, timeout: float) -> tuple[int, str]:
    """Run a shell script as root in the checkout; its exit status and everything it printed."""
    process = subprocess.Popen(
        ["/bin/bash", "-eu", "-c", script],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return TIMED_OUT, output.decode(errors="replace") + f"\n(killed after {timeout:.0f} s)"
    return process.returncode, output.decode(errors="replace")


def port(seconds: float = 10.0) -> int:
    """The virtio serial port, opened once for both ways; the driver announces it a moment after it is loaded."""
    deadline = time.monotonic() + seconds
    while not (found := sorted(Path("/dev").glob("vport*"))):
        if time.monotonic() > deadline:
            sys.exit("the machine has no virtio serial port")
        time.sleep(0.01)
    return os.open(found[0], os.O_RDWR)


def main() -> None:
    os.environ.update(
        PATH=f"{ROOT}/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        HOME="/root",
        LANG="C.UTF-8",
        PYTHONDONTWRITEBYTECODE="1",  # the place to write is memory
    )
    os.environ.pop("PYTHONPATH", None)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["hostname", "testmachine"], check=False)
    writing = threading.Lock()
    channel = port()

    def answer(message: dict[str, object]) -> None:
        with writing:
            data = json.dumps(message).encode() + b"\n"
            while data:
                data = data[os.write(channel, data) :]

    def serve(request: dict[str, object]) -> None:
        status, output = perform(str(request["script"]), float(str(request["timeout"])))
        answer({"id": request["id"], "status": status, "output": output})

    answer({"id": 0, "status": 0, "output": os.uname().release})
    pending = b""
    while chunk := os.read(channel, 65536):
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            threading.Thread(target=serve, args=(json.loads(line),), daemon=True).start()


if __name__ == "__main__":
    main()
