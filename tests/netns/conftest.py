"""Labs for the netns tier: a whole site with its gateway, on real packets, removed when the module is done."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.lab.site import Lab

ROOT = Path(__file__).parents[2]
PATIENCE = 40.0
Until = Callable[..., None]


def lab_id(suffix: str = "") -> str:
    """An id that no other test run on this machine has."""
    return f"t{os.getpid()}{suffix}"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with every daemon and examples/lab/ministry.yaml applied; the hosts serve and are otherwise quiet."""
    with Lab(lab_id(), traffic=False) as running:
        yield running


def without(text: str, *sections: str) -> str:
    """A policy text without these of its sections."""
    for name in sections:
        text, count = re.subn(rf"^{name}:.*\n(?:(?:[ #].*)?\n)*", "", text, count=1, flags=re.MULTILINE)
        assert count, f"the text has no section {name}"
    return text


def until(holds: Callable[[], object], what: str, *, lab: Lab | None = None, patience: float = PATIENCE) -> None:
    """Wait until something holds; a lab that is given runs on meanwhile. Fails with `what` after `patience` s."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        if lab is None:
            time.sleep(0.02)
        else:
            lab.poll(0.02)


def reef_says(lab: Lab, *words: str, ends_well: bool = True) -> Any:
    """What `reef` says as JSON of the lab's gateway, to root beside it; `ends_well`: its exit code must be 0."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", *words, "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "REEF_LAB": lab.lab},
        capture_output=True,
        text=True,
        check=ends_well,
        timeout=60,
    )
    return json.loads(done.stdout)
