"""docs/performance.md as a row of sections, one for each bench, so that one is written anew without the others."""

from __future__ import annotations

import re

INTRODUCTION = """# Performance

Written by `make bench` (everything) and `make bench BENCH="NAME ..."` (those sections); do not edit.
Every ratio compares two figures of one run on one machine.
What is held in CI is not time but instructions: `tests/bench/`, with a baseline file.
"""
_COMMAND = re.compile(r"^`python -m tests\.bench\.run (\w+)`", re.MULTILINE)


def section(heading: str, name: str, facts: list[str], table: str) -> str:
    """What a bench has to say; `facts` are those of the machine, at that time."""
    said = "; ".join(fact.removeprefix("- ") for fact in facts)
    return f"## {heading}\n\n`python -m tests.bench.run {name}` ({said})\n\n{table}"


def sections(document: str) -> dict[str, str]:
    """The sections of a document by the name of their bench."""
    found = {}
    for part in re.split(r"^(?=## )", document, flags=re.MULTILINE)[1:]:
        named = _COMMAND.search(part)
        if named is not None:
            found[named[1]] = part.rstrip("\n") + "\n"
    return found


def renewed(document: str, measured: dict[str, str]) -> str:
    """The document with the sections of `measured` in place of its own; the others stay as they are."""
    kept = sections(document) | measured
    return "\n".join([INTRODUCTION, *(kept[name] for name in sorted(kept))])
