"""Instructions per packet of the TCP tracker while segments come in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bench.core import program
from tests.bench.instructions import count

PACKETS = 30000


def test_stream(hold: Callable[[str, float], None]) -> None:
    command: list[str | Path] = [program("bench_tcp"), "--count", str(PACKETS)]
    hold("stream: instructions per packet", count(command, inside="stream_packets") / PACKETS)


def test_stream_for_rules(hold: Callable[[str, float], None]) -> None:
    command: list[str | Path] = [program("bench_tcp"), "--raw", "--count", str(PACKETS)]
    hold("stream gathered for rules: instructions per packet", count(command, inside="stream_packets") / PACKETS)
