"""Instructions per packet of the core's first stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bench.core import program
from tests.bench.instructions import count

PACKETS = 20000


def test_decode_and_flow(hold: Callable[[str, float], None]) -> None:
    command: list[str | Path] = [
        program("bench_decode"),
        "--megabytes",
        "24",
        "--flows",
        "2000",
        "--count",
        str(PACKETS),
    ]
    hold("decode + flow: instructions per packet", count(command, inside="decode_and_flow") / PACKETS)
