"""Apply: a text of 10,000 rules to the loaded ruleset, and one edited rule to enforced."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from appliance.control.messages.gateway import Applied
from tests.bench.table import Row
from tests.netns.stand import POLICY, Stand

RULES = 10_000
PAUSE = 1.0  # seconds between applies; what follows an apply (reading the table back) is done by then
STAGES = ("parse", "prove", "compile", "plan", "sign", "load")


def text(rules: int, changed: int = -1) -> str:
    """A policy of one-flow rules, every one of its own; the rule at `changed` has another service."""
    lines = [POLICY, "rules:\n"]
    for number in range(rules):
        port = 65_000 if number == changed else 1_000 + number % 5_000
        lines.append(
            f"  - id: R-{number}\n    from: lan\n    to: internet\n"
            f"    source: 10.20.{number // 256 % 256}.{number % 256}\n"
            f"    destination: 198.{18 + number % 2}.{number * 7 % 256}.{number * 13 % 256}\n"
            f"    service: tcp/{port}\n    action: allow\n    log: start\n"
            f"    why: rule number {number} of many\n    owner: it@stand.example\n"
        )
    return "".join(lines)


def _timed(stand: Stand, changed: str) -> tuple[float, float, Applied]:
    """Seconds from request to answer (the kernel then enforces it), seconds the daemons worked, the answer."""
    base = stand.status().running
    worked = _worked(stand)
    begun = time.perf_counter()
    applied = stand.apply(changed, base=base)
    return time.perf_counter() - begun, _worked(stand) - worked, applied


def _worked(stand: Stand) -> float:
    """CPU seconds that the daemons have used so far (proc(5), fields utime and stime)."""
    ticks = 0
    for child in stand.running.values():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main(*, quick: bool) -> list[Row]:
    count = 1_000 if quick else RULES
    with Stand() as stand:
        plain = text(count)
        whole, worked, first = _timed(stand, plain)
        edits: list[float] = []
        work: list[float] = []
        stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
        for turn in range(5 if quick else 15):
            time.sleep(PAUSE)
            seconds, cpu, applied = _timed(stand, text(count, changed=(turn * 617) % count))
            edits.append(seconds)
            work.append(cpu)
            for stage in STAGES:
                stages[stage].append(applied.seconds[stage])
    said = ", ".join(f"{stage} {first.seconds[stage] * 1000:.0f}" for stage in STAGES)
    edited = ", ".join(f"{stage} {statistics.median(stages[stage]) * 1000:.0f}" for stage in STAGES)
    median = statistics.median(edits)
    return [
        Row(
            f"{count:,} rules, {len(plain) / 1e6:.1f} MB of text: to loaded ruleset",
            f"{whole:.2f} s, {worked:.2f} s of CPU (ms: {said})",
            wanted="< 2.5 s",
            holds=whole < 2.5,
        ),
        Row(
            "one rule of them edited: from request to enforced",
            f"median {median * 1000:.0f} ms, worst {max(edits) * 1000:.0f} ms, "
            f"{statistics.median(work) * 1000:.0f} ms of CPU (ms: {edited})",
            wanted="< 400 ms",
            holds=median < 0.4,
        ),
    ]
