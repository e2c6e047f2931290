"""Inspection of captures with one thread, beside Suricata with one packet thread over the same captures"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench import mix, suricata
from tests.bench.core import ROOT
from tests.bench.table import Row

MIX = ROOT / "build" / "bench-mix"
RULES_WANTED, BARE_WANTED, FULL_WANTED = 3.0, 4.0, 4.0
CACHED_WANTED, COLD_WANTED = 1.0, 15.0  # seconds


def peers() -> Path:
    return Path(os.environ.get("REEF_PEER_DATA", ROOT.parent / "shared" / "peers"))


class Speed(NamedTuple):
    """Of some captures: bits of their files, seconds of the thread."""

    bits: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.bits / self.seconds / 1e9:.2f} Gbit/s ({self.seconds:.2f} s)"


def ours(rules: Path | None, cache: Path | None, capture: Path, *, full: bool) -> dict[str, Any]:
    words = [rules or "-", cache or "-", "all" if full else "alerts", capture]
    output = subprocess.run(
        [sys.executable, "-m", "tests.bench.engine_run", *map(str, words)],
        check=True, capture_output=True, text=True, cwd=ROOT,
    ).stdout  # fmt: skip
    found: dict[str, Any] = json.loads(output)
    return found


class Kind(NamedTuple):
    """One question: which rules, what is written, what is wanted."""

    name: str
    rules: Path | None
    full: bool
    wanted: float


def measured(kind: Kind, parts: dict[str, Path], cache: Path, releases: list[str], rounds: int) -> list[Row]:
    """Ours and each peer take turns over each capture; the fastest of the rounds counts for either."""
    best: dict[tuple[str, str], float] = {}
    alerts: dict[tuple[str, str], int] = {}
    memory: dict[str, int] = {}
    for part, capture in parts.items():
        for _round in range(rounds):
            found = ours(kind.rules, cache, capture, full=kind.full)
            _keep(best, ("", part), found["seconds"])
            alerts["", part] = found["alerts"]
            memory[""] = max(memory.get("", 0), found["memory"])
            for release in releases:
                theirs = suricata.run(release, capture, kind.rules, full=kind.full)
                _keep(best, (release, part), theirs.seconds)
                alerts[release, part] = len(theirs.alerts)
                memory[release] = max(memory.get(release, 0), theirs.memory)
    rows = []
    for part in [*parts, "all of them"]:
        chosen = list(parts) if part == "all of them" else [part]
        bits = float(sum(8 * parts[name].stat().st_size for name in chosen))
        speed = Speed(bits, sum(best["", name] for name in chosen))
        told = f", {sum(alerts['', name] for name in chosen)} alerts" if kind.rules else ""
        if not releases:
            rows.append(Row(f"{kind.name}: {part}", f"{speed}{told}"))
        for release in releases:
            peer = Speed(bits, sum(best[release, name] for name in chosen))
            theirs_told = f", {sum(alerts[release, name] for name in chosen)} alerts" if kind.rules else ""
            beside = f"Suricata {suricata.version(release)}: {peer}{theirs_told}"
            ratio = peer.seconds / speed.seconds
            judged = part == "all of them" and release == releases[-1]
            rows.append(Row(
                f"{kind.name}: {part}", f"{speed}{told}", beside, ratio,
                f">= {kind.wanted:g}" if judged else "", ratio >= kind.wanted if judged else None,
            ))  # fmt: skip
    if kind.rules and not kind.full:
        for release in releases[-1:] or [""]:
            share = memory[""] / memory[release] if release else None
            rows.append(Row(
                f"{kind.name}: memory of the process", f"{memory[''] >> 20} MiB",
                f"Suricata {suricata.version(release)}: {memory[release] >> 20} MiB" if release else "", share,
                "<= 0.5" if release else "", share <= 0.5 if share is not None else None,
            ))  # fmt: skip
    return rows


def _keep(best: dict[tuple[str, str], float], key: tuple[str, str], seconds: float) -> None:
    best[key] = min(best.get(key, seconds), seconds)


def main(*, quick: bool = False) -> list[Row]:
    data = peers()
    rules = data / "et-open" / "et-open.rules"
    named = "ET Open"
    if not rules.exists():
        rules, named = ROOT / "examples" / "rules", "the rules of examples/"
    releases = suricata.present()[-1:]  # the newest: each run of it takes ten seconds to load the rules
    if not releases:
        print("no Suricata to measure beside: python -m tests.bench.suricata sets one up", flush=True)
    parts = mix.captures(MIX, data, scale=0.1 if quick else 1.0)
    rounds = 1 if quick else 2
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        small = mix.captures(MIX, data, scale=0.1)["dns"]
        cold = ours(rules, cache, small, full=False)
        warm = ours(rules, cache, small, full=False)
        rows = [
            Row(f"{named} ({cold['rules']} rules): compiled and loaded", f"{cold['load']:.2f} s", "", None,
                f"< {COLD_WANTED:g} s", cold["load"] < COLD_WANTED),
            Row(f"{named}: loaded from the cache", f"{warm['load']:.2f} s", "", None,
                f"< {CACHED_WANTED:g} s", bool(warm["cached"]) and warm["load"] < CACHED_WANTED),
        ]  # fmt: skip
        for kind in (
            Kind(f"{named}, alerts", rules, False, RULES_WANTED),
            Kind("without rules", None, False, BARE_WANTED),
            Kind(f"{named}, every event", rules, True, FULL_WANTED),
        ):
            rows += measured(kind, parts, cache, releases, rounds)
    return rows
