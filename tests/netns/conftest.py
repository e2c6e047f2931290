"""Labs for the netns tier: a whole site with its gateway, on real packets, removed when the module is done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from appliance.lab.site import Lab

PATIENCE = 20.0
Until = Callable[..., None]


def lab_id(suffix: str = "") -> str:
    """An id that no other test run on this machine has."""
    return f"t{os.getpid()}{suffix}"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab with every daemon and examples/lab/ministry.yaml applied; the hosts serve and are otherwise quiet."""
    with Lab(lab_id(), traffic=False) as running:
        yield running


def until(holds: Callable[[], object], what: str, *, lab: Lab | None = None, patience: float = PATIENCE) -> None:
    """Wait until something holds; a lab that is given runs on meanwhile. Fails with `what` after `patience` s."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        if lab is None:
            time.sleep(0.02)
        else:
            lab.poll(0.02)
