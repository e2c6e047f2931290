"""The process table as systemd units: one text file holds every file the table becomes."""

from __future__ import annotations

from pathlib import Path

from appliance.control.processes import PROCESSES
from appliance.control.units import files

GOLDEN = Path(__file__).parent / "units" / "units.txt"


def as_one_text(units: dict[str, str]) -> str:
    return "".join(f"=== {path}\n{text}" for path, text in units.items())


def test_the_table_becomes_these_units() -> None:
    """A change here is a change of what runs with which privilege: read it, then renew the file.

    `python -m tests.golden.test_units` writes it again.
    """
    assert as_one_text(files(PROCESSES, "/opt/reef/bin/python")) == GOLDEN.read_text()


if __name__ == "__main__":
    GOLDEN.write_text(as_one_text(files(PROCESSES, "/opt/reef/bin/python")))
