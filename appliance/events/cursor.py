"""Where readers of a spool stand: `cursors/<reader>` holds the serial number of the next record to read."""

from __future__ import annotations

from pathlib import Path

from appliance.durable import replace

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
    """Keep a place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, f"{serial}\n".encode("ascii"), mode=0o640)
