"""Where readers of a spool stand: `cursors/<reader>` holds the serial number of the next record to read."""

from __future__ import annotations

import os
from pathlib import Path

DIRECTORY = "cursors"


def cursors(spool: Path) -> dict[str, int]:
    """Every reader that keeps its place in this spool, and where it stands."""
    found = {}
    for path in (spool / DIRECTORY).glob("*"):
        if path.suffix == "":
            serial = load(path)
            if serial is not None:
                found[path.name] = serial
    return found


def load(path: Path) -> int | None:
    """The serial number a cursor file holds; None when there is none or it is not a number."""
    try:
        words = path.read_text(encoding="ascii")
        return int(words)
    except (FileNotFoundError, ValueError):
        return None


def store(path: Path, serial: int) -> None:
    """Keep a place, whole and durable: written beside, then renamed over the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.write(fd, f"{serial}\n".encode("ascii"))
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
