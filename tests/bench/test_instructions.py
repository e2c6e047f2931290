"""The counter counts: the same program gives the same number, a longer one a larger, and a rise is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.bench import instructions

PROGRAM = """
#include <stdlib.h>
__attribute__((noinline)) unsigned work(unsigned n) { volatile unsigned x = 0; while (n--) x += n; return x; }
int main(int c, char **v) { return c > 1 ? (int)(work((unsigned)atoi(v[1])) & 0) : 1; }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    binary = tmp_path_factory.mktemp("counted") / "counted"
    subprocess.run(["cc", "-O1", "-x", "c", "-o", str(binary), "-"], input=PROGRAM, text=True, check=True)
    return binary


def test_the_same_run_counts_the_same_and_a_tenfold_run_tenfold(program: Path) -> None:
    few = instructions.count([program, "1000"], inside="work")
    assert instructions.count([program, "1000"], inside="work") == few
    assert instructions.count([program, "10000"], inside="work") == pytest.approx(10 * few, rel=0.02)


def test_a_program_that_fails_is_not_a_count(program: Path) -> None:
    with pytest.raises(instructions.CallgrindError, match="status 1"):
        instructions.count([program])


def test_a_rise_is_refused_with_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "BASELINE", tmp_path / "baseline.json")
    with pytest.raises(AssertionError, match="no baseline"):
        instructions.hold("path", 100.0, record=False)
    instructions.hold("path", 100.0, record=True)
    instructions.hold("path", 101.9, record=False)
    with pytest.raises(AssertionError, match=r"102\.1 instructions, \+2\.1% against the baseline of 100\.0"):
        instructions.hold("path", 102.1, record=False)
