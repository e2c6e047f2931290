"""The fuzzer of the workshop for a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.fuzz.fuzz_drafts import run


@pytest.mark.soak
def test_what_the_workshop_makes_of_mutated_texts_holds(budget: Callable[[float], float]) -> None:
    seed = time.time_ns()
    assert run(budget(4.0), seed) > 0, f"seed {seed}"
