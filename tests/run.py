"""Run the test tiers: the C core's own tests first, then pytest over the others, whose closing line ends the output.

Tiers that only compute run in as many processes as there are cores; those in which moments count follow one by one.
They mostly wait, so that the machines of the vm tier have their time beside them. What is measured comes last, alone.
The last pytest counts and lists what all found.

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
ALONE = ("netns", "browser", "peers")
BESIDE = ("vm",)
MEASURING = ("bench",)
PYTEST_TIERS = (*COMPUTING, *ALONE, *BESIDE, *MEASURING)

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


class Beside:
    """A pytest that runs while another one does. What it prints is printed when it has ended, in one piece."""

    def __init__(self, command: list[str], said: Path) -> None:
        """`said` is a file that is made, for what it prints."""
        self._said = said
        with said.open("wb") as file:
            self._running = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )

    def end(self) -> int:
        """Wait for it; its exit status."""
        status = self._running.wait()
        print(self._said.read_text(errors="replace"), end="", flush=True)
        return status


def run_pytest(tiers: tuple[str, ...], options: list[str]) -> int:
    """pytest over some tiers, in as many parts as they need; its exit status."""
    parts = parts_of(tuple(tier for tier in tiers if tests_of(tier)))
    statuses = []
    beside = None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"reports-{number}" for number in range(len(parts))]
        for part, file in zip(parts, files, strict=True):
            command = [sys.executable, "-m", "pytest", *options, *folders(part)]
            if part[0] in COMPUTING:
                command += ["-n", str(os.cpu_count()), "--dist", "worksteal"]
            if part is not parts[-1]:
                command.append(f"--keep-reports={file}")
                if part[0] in BESIDE:
                    beside = Beside(command, Path(folder) / "said")
                else:
                    statuses.append(run(command))
                continue
            if beside is not None:
                statuses.append(beside.end())
            statuses.append(run([*command, *(f"--count-reports={kept}" for kept in files[:-1])]))
    told = [status for status in statuses if status != NO_TESTS] or [NO_TESTS]
    return next((status for status in told if status), 0)


def parts_of(tiers: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Tiers in the parts that they run in, in order. What runs beside others stands before them: it begins first. It
    does so only where something follows that counts the reports of both."""
    kinds = [tuple(tier for tier in kind if tier in tiers) for kind in (COMPUTING, BESIDE, ALONE, MEASURING)]
    computing, beside, alone, measuring = kinds
    if not (alone and measuring):
        return [part for part in (computing, (*alone, *beside, *measuring)) if part]
    return [part for part in (computing, beside, alone, measuring) if part]


def tests_of(tier: str) -> bool:
    return any((ROOT / "tests" / tier).glob("test_*.py"))


def folders(tiers: tuple[str, ...]) -> list[str]:
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
