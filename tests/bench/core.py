"""Builds the core's bench programs, once, and says where they are."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
# One machine for all, so that what is counted depends on the compiler and on nothing else.
FLAGS = "-march=x86-64-v2 -mtune=generic" if platform.machine() == "x86_64" else ""


@lru_cache
def program(name: str) -> Path:
    """The program `name` of tests/bench/c. Raises `subprocess.CalledProcessError` with what the build said."""
    options = [
        "-DREEF_BENCH=ON",
        "-DREEF_BUILD_TESTS=OFF",
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        f"-DCMAKE_C_FLAGS={FLAGS}",
    ]
    subprocess.run(
        ["cmake", "-S", ROOT / "dataplane", "-B", BUILD, "-G", "Ninja", "--log-level=WARNING", *options], check=True
    )
    subprocess.run(["cmake", "--build", BUILD, "--", "--quiet"], check=True)
    return BUILD / "bench" / name
