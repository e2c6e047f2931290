"""Run the test tiers: the C core's own tests first, then pytest over the others, whose closing line ends the output.

Tiers that only compute run in as many processes as there are cores; those in which moments count follow one by one.
The last pytest counts and lists what both found.

usage: tests/run.py [TIER ...|all]          c unit golden model netns browser peers fuzz bench vm
       tests/run.py soak|fuzz --minutes N   what can run longer, longer
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NO_TESTS = 5  # pytest's exit status when nothing was collected
COMPUTING = ("unit", "golden", "model", "fuzz")
ALONE = ("netns", "browser", "peers", "bench", "vm")
PYTEST_TIERS = (*COMPUTING, *ALONE)

# The C core is built and tested twice, without Python: as shipped, and with the sanitizers.
C_BUILDS: dict[str, tuple[str, ...]] = {
    "c": ("-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"),
    "asan": ("-DCMAKE_BUILD_TYPE=Debug", "-DREEF_SANITIZE=ON"),
}


def run(command: list[str]) -> int:
    return subprocess.run(command, cwd=ROOT, check=False, stdin=subprocess.DEVNULL).returncode


def run_c(name: str, options: tuple[str, ...]) -> bool:
    """Configure, build and ctest one build of the C core; True when all of it passed."""
    started = time.monotonic()
    folder = f"build/{name}"
    print(f"== C core, build {name}: {' '.join(options)}", flush=True)
    passed = (
        run(["cmake", "-S", "dataplane", "-B", folder, "-G", "Ninja", "--log-level=WARNING", *options]) == 0
        and run(["cmake", "--build", folder, "--", "--quiet"]) == 0
        and run(["ctest", "--test-dir", folder, "--output-on-failure", "--timeout", "120", "-j", "2"]) == 0
    )
    print(
        f"== C core, build {name}: {'passed' if passed else 'FAILED'} in {time.monotonic() - started:.1f} s",
        flush=True,
    )
    return passed


def run_pytest(tiers: tuple[str, ...], options: list[str]) -> int:
    """pytest over some tiers, in two parts when they need it; its exit status."""
    computing, alone = ([tier for tier in part if tier in tiers and tests_of(tier)] for part in (COMPUTING, ALONE))
    with tempfile.TemporaryDirectory() as folder:
        reports = Path(folder) / "reports"
        parts = []
        if computing:
            processes = ["-n", str(os.cpu_count()), "--dist", "worksteal"]
            parts.append([*processes, *folders(computing), *([f"--keep-reports={reports}"] if alone else [])])
        if alone:
            parts.append([*folders(alone), *([f"--count-reports={reports}"] if computing else [])])
        statuses = [run([sys.executable, "-m", "pytest", *options, *part]) for part in parts]
    told = [status for status in statuses if status != NO_TESTS] or [NO_TESTS]
    return next((status for status in told if status), 0)


def tests_of(tier: str) -> bool:
    return any((ROOT / "tests" / tier).glob("test_*.py"))


def folders(tiers: list[str]) -> list[str]:
    return [f"tests/{tier}" for tier in tiers]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "tiers", nargs="*", default=["all"], choices=["all", "soak", "c", *PYTEST_TIERS], metavar="TIER"
    )
    parser.add_argument("--minutes", type=float, help="how long each test of choosable length runs")
    options, pytest_options = parser.parse_known_args()
    tiers: list[str] = options.tiers

    failed: list[str] = []
    if {"all", "c"} & set(tiers):
        failed = [name for name, cmake in C_BUILDS.items() if not run_c(name, cmake)]
        if tiers == ["c"]:
            return 1 if failed else 0

    if options.minutes is not None:
        pytest_options += ["-m", "soak", "--minutes", str(options.minutes)]
    chosen = PYTEST_TIERS if {"all", "soak"} & set(tiers) else tuple(tier for tier in PYTEST_TIERS if tier in tiers)
    if failed:
        print(f"== C core FAILED ({', '.join(failed)}); the other tiers follow", flush=True)
    status = run_pytest(chosen, pytest_options)
    return 1 if failed else status


if __name__ == "__main__":
    sys.exit(main())
