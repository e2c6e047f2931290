"""The fuzzer of rules for a few seconds, and every text that once broke something."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.fuzz.fuzz_rules import check, run, seeds

BROKE = (
    'alert tcp any any -> any any (msg:"a byte that is no text: \udcff"; content:"\udc80"; sid:1;)',
    "alert tcp [10.0.0.1,!10.0.0.0/8] [80,!80] -> any any (sid:1;)",
)


def test_the_seeds_hold() -> None:
    for text in seeds():
        check(text)


@pytest.mark.parametrize("text", BROKE)
def test_what_once_broke_holds(text: str) -> None:
    check(text)


@pytest.mark.soak
def test_mutated_rules_hold(budget: Callable[[float], float]) -> None:
    seed = time.time_ns()
    assert run(budget(5.0), seed) > 100, f"seed {seed}"
