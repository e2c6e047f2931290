"""What a bench says: rows of one table, each a figure beside what it was measured against in the same run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One line. `holds` is whether the figure reaches `wanted`; None where nothing is demanded of it.

    what      "forwarding, established flows, 10,000 rules"
    measured  "0.83 Mpps"
    beside    "accept only: 0.86 Mpps", or "" for an absolute demand
    ratio     measured / beside; None without one
    wanted    ">= 0.95", "< 2.5 s", or ""
    """

    what: str
    measured: str
    beside: str = ""
    ratio: float | None = None
    wanted: str = ""
    holds: bool | None = None


HEADINGS = ("what", "measured", "beside, same run", "ratio", "wanted", "")


def cells(row: Row) -> tuple[str, ...]:
    verdict = {True: "holds", False: "**missed**", None: ""}[row.holds]
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    return (row.what, row.measured, row.beside, ratio, row.wanted, verdict)


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table that reads well as text and as Markdown."""
    lines = [HEADINGS, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    written = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(written) + "\n"
