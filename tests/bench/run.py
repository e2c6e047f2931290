"""`make bench`: run every bench of this folder or those named, print tables, write their part of docs/performance.md.

A bench is a module `bench_<name>.py` with a docstring whose first line is its heading and
`main(*, quick: bool) -> list[Row]`. Ratios are taken in one run, on one machine, so that they say
something anywhere; the absolute figures belong to the machine named above the table.

usage: python -m tests.bench.run [--quick] [--no-write] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.document import renewed, section
from tests.bench.table import Row, markdown

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "performance.md"
HERE = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def machine() -> list[str]:
    """The facts a reader needs to judge absolute figures."""
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    nft = subprocess.run(["nft", "--version"], check=False, capture_output=True, text=True).stdout.strip()
    debian = Path("/etc/debian_version").read_text(encoding="utf-8").strip()
    return [
        f"- {os.cpu_count()} cores of {cpu}, {memory:.0f} GiB; the traffic generator shares them",
        f"- Linux {platform.release()}, Debian {debian}, Python {platform.python_version()}, {nft}",
        f"- load average before the run: {os.getloadavg()[0]:.2f}",
    ]


def run_one(name: str, *, quick: bool) -> tuple[str, list[Row], float]:
    """Heading, rows and duration of one bench."""
    module = importlib.import_module(f"tests.bench.bench_{name}")
    bench: Callable[..., list[Row]] = module.main
    heading = (module.__doc__ or name).strip().splitlines()[0].rstrip(".")
    started = time.monotonic()
    rows = bench(quick=quick)
    return heading, rows, time.monotonic() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: a look, not a measurement")
    parser.add_argument("--no-write", action="store_true", help="leave docs/performance.md alone")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        parser.error(f"no bench named {', '.join(unknown)}; there are: {', '.join(names())}")
    chosen = options.names or names()

    measured, missed = {}, 0
    for name in chosen:
        print(f"== {name}", flush=True)
        facts = machine()
        heading, rows, seconds = run_one(name, quick=options.quick)
        table = markdown(rows)
        print(f"{table}({seconds:.0f} s)\n", flush=True)
        measured[name] = section(heading, name, facts, table)
        missed += sum(row.holds is False for row in rows)

    if not options.quick and not options.no_write:
        DOCUMENT.write_text(renewed(DOCUMENT.read_text(encoding="utf-8"), measured), encoding="utf-8")
        print(f"written: {DOCUMENT.relative_to(ROOT)}")
    print(f"{missed} figures missed what is wanted" if missed else "every figure reaches what is wanted")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
