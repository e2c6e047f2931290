"""The map of standards and requirements: every demand once, a state that is one, and files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "docs" / "standards.md").read_text()
_ROW = re.compile(r"^\| R(\d+)(?: to R(\d+))? \| ([^|]*?) \| ?([^|]*?) ?\| ?([^|]*?) ?\|$", re.MULTILINE)
_PATH = re.compile(r"`([A-Za-z_]+(?:/[A-Za-z0-9_.-]+)+)`")


def test_every_demand_has_one_row() -> None:
    numbers = [n for first, last, *_ in _ROW.findall(MAP) for n in range(int(first), int(last or first) + 1)]
    assert sorted(numbers) == list(range(1, 37))


def test_every_file_that_is_named_is_there() -> None:
    named = _PATH.findall(MAP)
    assert len(named) > 40
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_what_is_said_to_be_there_is_held_by_tests() -> None:
    for first, _, state, what, held in _ROW.findall(MAP):
        assert state in {"met", "partly", "later"}, f"R{first}: {state}"
        tests = _PATH.findall(held)
        assert all(path.startswith("tests/") for path in tests), f"R{first}: {held}"
        if state != "later" and "see the table below" not in what:
            assert tests, f"R{first} is said to be {state}, and no test holds it"
