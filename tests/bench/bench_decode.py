"""Decode and flow of a capture, beside a loop that reads every byte of it"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.core import ROOT, program
from tests.bench.table import Row

WANTED = 0.4


class Speed(NamedTuple):
    """Over the rounds of one run, the middle one."""

    packets: float  # per second
    bits: float  # per second

    def __str__(self) -> str:
        return f"{self.packets / 1e6:.2f} Mpps, {self.bits / 1e9:.1f} Gbit/s"


def measure(rounds: int, megabytes: int, files: list[Path]) -> dict[str, Speed]:
    """Kind -> speed. The kinds take turns in one process, and each round's time is that of its thread."""
    command: list[str | Path] = [
        program("bench_decode"),
        "--rounds",
        str(rounds),
        "--megabytes",
        str(megabytes),
        *files,
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    speeds: dict[str, list[Speed]] = {}
    for line in output.splitlines():
        kind, packets, octets, seconds = line.split()
        speeds.setdefault(kind, []).append(Speed(int(packets) / float(seconds), 8 * int(octets) / float(seconds)))
    return {
        kind: Speed(median(speed.packets for speed in rows), median(speed.bits for speed in rows))
        for kind, rows in speeds.items()
    }


def captures() -> list[Path]:
    """Real captures of another project's suite, where they are."""
    peers = Path(os.environ.get("REEF_PEER_DATA", ROOT.parent / "shared" / "peers"))
    return sorted((peers / "suricata-verify" / "tests").glob("*/*.pcap"))


def rows_of(name: str, speeds: dict[str, Speed]) -> list[Row]:
    touch, flow, everything = speeds["touch"], speeds["decode+flow"], speeds["everything"]
    ratio = flow.bits / touch.bits
    beside = f"every byte read once: {touch}"
    return [
        Row(f"{name}: decode + flow, one core", str(flow), beside, ratio, f">= {WANTED}", ratio >= WANTED),
        Row(f"{name}: with DNS, TLS, HTTP and EVE", str(everything), beside, everything.bits / touch.bits),
    ]


def main(*, quick: bool) -> list[Row]:
    rounds, megabytes = (3, 64) if quick else (9, 256)
    rows = rows_of("mixed traffic, 20,000 connections", measure(rounds, megabytes, []))
    files = captures()
    if files:
        rows += rows_of("real captures, repeated", measure(rounds, megabytes, files))
    return rows
