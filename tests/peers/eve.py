"""Captures through the engine, for the tests of this tier."""

from __future__ import annotations

from pathlib import Path

from ctypes_ext.engine import CaptureFile, EngineError, Names, Options, RuleName, Worker

NOTHING = RuleName("", "")


def eve(path: Path) -> list[bytes]:
    """All lines of a capture; of a damaged one, those of the packets before the damage."""
    worker, names, file = Worker(Options(flows=4096, seed=(1, 2))), Names("site"), CaptureFile(path)
    lines: list[bytes] = []

    def drain() -> None:
        while (batch := worker.drain(names, lambda _: NOTHING))[0]:
            lines.extend(batch[0].splitlines())

    try:
        while file.pull(worker):
            drain()
    except EngineError as error:
        assert "damaged" in str(error) or "ends inside" in str(error)
    while not worker.finish():
        drain()
    drain()
    return lines
