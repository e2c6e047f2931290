"""Fixture of the instruction counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench import instructions

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first of these tests also builds the programs of tests/bench/c, with all of the core."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """hold("decode: instructions per packet", 241.3) fails when that is more than the baseline allows."""
    record = bool(request.config.getoption("--record-instructions"))
    return lambda name, figure: instructions.hold(name, figure, record=record)
