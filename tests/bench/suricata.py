"""Suricata in a Debian root of its own, to be measured beside the engine.

    python -m tests.bench.suricata [trixie|sid] ...     make the roots (some hundred megabytes each; needs root)

The roots lie in build/peers/suricata-RELEASE (or $REEF_SURICATA_ROOTS/RELEASE); benches use those that are there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.engine_run import own_memory

ROOT = Path(__file__).resolve().parents[2]
MIRROR = "http://deb.debian.org/debian"
RELEASES = ("trixie", "sid")  # Suricata 7 and 8
PACKET_THREAD = "W#01"
ALERTS_ONLY = """outputs:
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - alert:
            tagged-packets: yes
"""


class Run(NamedTuple):
    seconds: float  # of the packet thread's CPU
    load: float  # wall seconds until that thread was there
    memory: int  # bytes at most, those of mapped files not counted
    alerts: list[bytes]  # lines of EVE JSON that are alerts


def root_of(release: str) -> Path:
    folder = os.environ.get("REEF_SURICATA_ROOTS")
    return Path(folder) / release if folder else ROOT / "build" / "peers" / f"suricata-{release}"


def present() -> list[str]:
    """Releases whose root is there."""
    return [release for release in RELEASES if (root_of(release) / "usr/bin/suricata").exists()]


def make(release: str) -> None:
    """Raises `subprocess.CalledProcessError` when the mirror does not give it."""
    target = root_of(release)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Mirrors that are frozen for a reproducible workplace serve releases whose signature file has run out.
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", "--include=suricata", '--aptopt=Acquire::Check-Valid-Until "false"',
         release, target, MIRROR],
        check=True,
    )  # fmt: skip


def version(release: str) -> str:
    said = subprocess.run(
        ["chroot", root_of(release), "suricata", "-V"], check=True, capture_output=True, text=True
    ).stdout
    return said.split("version ")[1].split()[0]


def settings(release: str, *, full: bool) -> str:
    """Debian's suricata.yaml; unless `full` with nothing but alerts written."""
    text = (root_of(release) / "etc/suricata/suricata.yaml").read_text(encoding="utf-8")
    if full:
        return text
    start, end = text.index("\noutputs:") + 1, text.index("\nlogging:") + 1
    return text[:start] + ALERTS_ONLY + text[end:]


@contextmanager
def workplace(release: str, files: list[Path]) -> Iterator[Path]:
    """A folder inside the root that holds the files (linked where that can be)."""
    with tempfile.TemporaryDirectory(dir=root_of(release) / "tmp") as name:
        for file in files:
            try:
                os.link(file, Path(name) / file.name)
            except OSError:
                shutil.copyfile(file, Path(name) / file.name)
        yield Path(name)


def _thread_times(process: int) -> Iterator[tuple[str, int]]:
    """(name, nanoseconds on a CPU) of each thread that can be read."""
    for task in Path(f"/proc/{process}/task").iterdir():
        try:
            yield (task / "comm").read_text().strip(), int((task / "schedstat").read_text().split()[0])
        except (OSError, IndexError):  # it ended meanwhile
            continue


def run(release: str, capture: Path, rules: Path | None, *, full: bool = False, words: tuple[str, ...] = ()) -> Run:
    """One capture through Suricata with one packet thread; its time is read every few milliseconds until it ends."""
    with workplace(release, [capture] + ([rules] if rules else [])) as place:
        (place / "suricata.yaml").write_text(settings(release, full=full), encoding="utf-8")
        (place / "none.rules").write_text("")
        inside = Path("/tmp") / place.name
        named = inside / (rules.name if rules else "none.rules")
        command = [str(word) for word in (
            "chroot", root_of(release), "suricata", "-c", inside / "suricata.yaml", "-S", named,
            "-r", inside / capture.name, "-l", inside, "-k", "none", "--runmode", "single", *words,
        )]  # fmt: skip
        started, load, spent, memory = time.monotonic(), 0.0, 0, 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            try:
                for name, nanoseconds in _thread_times(process.pid):
                    if name == PACKET_THREAD:
                        load = load or time.monotonic() - started
                        spent = max(spent, nanoseconds)
                memory = max(memory, own_memory(process.pid))
            except OSError:  # gone between two looks
                pass
            time.sleep(0.005)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, command)
        lines = (place / "eve.json").read_bytes().splitlines() if (place / "eve.json").exists() else []
        return Run(spent / 1e9, load, memory, [line for line in lines if b'"event_type":"alert"' in line])


def main() -> int:
    for release in sys.argv[1:] or RELEASES:
        if release not in RELEASES:
            print(f"no such release: {release}; there are: {', '.join(RELEASES)}", file=sys.stderr)
            return 2
        if root_of(release).exists():
            print(f"{root_of(release)} is there already")
            continue
        make(release)
        print(f"{release}: Suricata {version(release)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
