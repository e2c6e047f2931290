"""Instruction counts of hot paths under callgrind, held against a baseline file.

Time on a shared machine says little; this number repeats to the per mille. It does depend on the compiler,
so the baseline has one column per compiler; `pytest tests/bench --record-instructions` writes the column of
the compiler at hand, and the change of the file is then part of the commit that caused it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

BASELINE = Path(__file__).with_name("instructions.json")
ALLOWED_RISE = 0.02
# The C library picks its copy and search routines by the features of the processor; the plain ones repeat anywhere.
SAME_ROUTINES = "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load"


class CallgrindError(Exception):
    """valgrind did not run the program to its end; the text is what it said."""


@lru_cache
def compiler() -> str:
    """The compiler at hand, e.g. "gcc-12"."""
    version = subprocess.run(["cc", "-dumpversion"], check=True, capture_output=True, text=True).stdout
    return f"gcc-{version.strip().split('.')[0]}"


def count(command: Sequence[str | Path], *, inside: str = "", timeout: float = 120.0) -> int:
    """Instructions a program executes; with `inside`, only while the function of that name runs.

    Raises `CallgrindError` when the program or valgrind fails.
    """
    with tempfile.TemporaryDirectory(prefix="reef-callgrind-") as folder:
        output = Path(folder) / "out"
        options = [f"--callgrind-out-file={output}"]
        if inside:
            options += ["--collect-atstart=no", f"--toggle-collect={inside}"]
        result = subprocess.run(
            ["valgrind", "--tool=callgrind", *options, *map(str, command)],
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "GLIBC_TUNABLES": SAME_ROUTINES, "PYTHONHASHSEED": "0"},
        )
        if result.returncode != 0:
            raise CallgrindError(f"{' '.join(map(str, command))}: status {result.returncode}\n{result.stderr}")
        total = re.search(r"^(?:summary|totals): (\d+)", output.read_text(encoding="utf-8"), re.MULTILINE)
    if total is None or int(total.group(1)) == 0:
        raise CallgrindError(f"callgrind counted nothing; is there a function {inside!r}?\n{result.stderr}")
    return int(total.group(1))


def hold(name: str, instructions: float, *, record: bool) -> None:
    """Compare a figure with the baseline of this compiler, or write it there when `record` is set.

    Raises `AssertionError` with both numbers when it rose by more than ALLOWED_RISE, or has no baseline.
    """
    baseline: dict[str, dict[str, float]] = (
        json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}
    )
    column = compiler()
    if record:
        baseline.setdefault(name, {})[column] = round(instructions, 1)
        BASELINE.write_text(json.dumps(baseline, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return
    before = baseline.get(name, {}).get(column)
    assert before is not None, (
        f"{name}: no baseline for {column}; measured {instructions:.1f} instructions. "
        "`pytest tests/bench --record-instructions` records it"
    )
    rise = instructions / before - 1
    assert rise <= ALLOWED_RISE, (
        f"{name}: {instructions:.1f} instructions, {rise:+.1%} against the baseline of {before:.1f} ({column}); "
        f"allowed is {ALLOWED_RISE:+.0%}"
    )
