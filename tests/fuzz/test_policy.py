"""The policy fuzzer for a few seconds, and every text that once broke something."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.policy.meant.parse import ParseCache
from tests.fuzz.fuzz_policy import CORPUS, check, run, seeds

KEPT = sorted(CORPUS.glob("*.yaml"))


def test_the_seeds_hold() -> None:
    cache = ParseCache()
    for text in seeds():
        check(text, cache)


@pytest.mark.parametrize("kept", KEPT, ids=[path.stem for path in KEPT])
def test_what_once_broke_holds(kept: Path) -> None:
    check(kept.read_text(), ParseCache())


@pytest.mark.soak
def test_mutated_texts_hold(budget: Callable[[float], float]) -> None:
    seed = time.time_ns()
    assert run(budget(6.0), seed) > 20, f"seed {seed}"
