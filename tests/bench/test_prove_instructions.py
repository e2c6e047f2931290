"""Instructions per rule of preparing boxes and of proving them."""

from __future__ import annotations

from collections.abc import Callable

from tests.bench.core import program
from tests.bench.instructions import count

RULES = 2000


def test_preparing_boxes(hold: Callable[[str, float], None]) -> None:
    figure = count([program("bench_boxes")], inside="reef_space_change") / RULES
    hold("boxes: instructions per rule to prepare", figure)


def test_proving_rules(hold: Callable[[str, float], None]) -> None:
    figure = count([program("bench_boxes")], inside="reef_space_prove") / RULES
    hold("boxes: instructions per rule to prove", figure)
