"""What these tests share."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from tests.unit.who.house import House


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test that is a coroutine runs in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
