"""The press of the console, for real: what a job may do, and what is said of one that breaks or takes too much."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.netns.stand import ROOT, Stand
from tests.presswork import DEEDS


def test_a_job_can_compute_and_nothing_else() -> None:
    with Stand(()) as stand:
        done = subprocess.run(
            [sys.executable, "-m", "tests.presswork", str(stand.file), *DEEDS, "say"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        uid = stand.instance.identity("console").uid
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said.pop() == ["say", "heard"], "jobs that broke left the next ones alone"
    found = dict(said)
    assert {name: found[name] for name in ("say", "uid", "refuse")} == {
        "say": "heard",
        "uid": str(uid),
        "refuse": "nothing: there is no typesetter",
    }
    assert {found[name] for name in ("inet", "unix", "run")} == {"Operation not permitted"}
    assert {found[name] for name in ("file", "shadow")} == {"Permission denied"}
    for name in ("break", "memory"):
        assert found[name].startswith("nothing: it took too much memory or time, or broke"), found[name]
    assert "ValueError: the work is wrong" in done.stderr
