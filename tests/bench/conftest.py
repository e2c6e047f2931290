"""Fixture of the instruction counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.bench import instructions


@pytest.fixture
def hold(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """hold("decode: instructions per packet", 241.3) fails when that is more than the baseline allows."""
    record = bool(request.config.getoption("--record-instructions"))
    return lambda name, figure: instructions.hold(name, figure, record=record)
