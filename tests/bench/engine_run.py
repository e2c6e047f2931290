"""One capture through the engine in a process of its own: what `bench_inspect` measures.

    python -m tests.bench.engine_run RULES CACHE alerts|all CAPTURE

RULES and CACHE may be "-". Prints one JSON object: seconds of the thread, of loading the rules, memory at its end,
alerts.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from ctypes_ext import engine
from dataplane import rulefiles


def run(rules: Path | None, cache: Path | None, capture: Path, *, full: bool) -> dict[str, object]:
    """Checksums are ignored; without rules the engine parses for an empty set."""
    with tempfile.TemporaryFile() as eve, tempfile.NamedTemporaryFile(suffix=".rules") as none:
        before = time.monotonic()
        loaded = rulefiles.load([rules or Path(none.name)], cache=cache)
        load = time.monotonic() - before
        options = engine.Options(checksums=False, report_flows=full, report_apps=full, report_anomalies=full)
        worker, names, file = engine.Worker(options, loaded.rules), engine.Names(), engine.CaptureFile(capture)

        def drain() -> None:
            while True:
                lines, _count = worker.drain(names, _no_prefix)
                if not lines:
                    return
                eve.write(lines)

        before = time.thread_time()
        while file.pull(worker):
            drain()
        drain()
        while not worker.finish():
            drain()
        drain()
        spent = time.thread_time() - before
        memory = own_memory(os.getpid())
    counted = worker.counters()
    return {
        "seconds": spent,
        "load": load,
        "cached": loaded.cached,
        "rules": loaded.loaded,
        "memory": memory,
        "packets": counted.packets,
        "bytes": counted.bytes,
        "alerts": counted.alerts,
        "lost": counted.events_lost,
    }


def own_memory(process: int) -> int:
    """Bytes of a process that are not those of a file: a capture that is mapped is none of its memory."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    return 0


def _no_prefix(prefix: bytes) -> engine.RuleName:
    raise ValueError(f"a capture has no log prefix: {prefix!r}")


def _path(word: str) -> Path | None:
    return None if word == "-" else Path(word)


def main() -> int:
    rules, cache, what, capture = sys.argv[1:]
    found = run(
        None if rules == "-" else Path(rules),
        None if cache == "-" else Path(cache),
        Path(capture),
        full=what == "all",
    )
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
