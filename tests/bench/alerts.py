"""The same captures and rules through Suricata and the engine: which (rule, flow) pairs only one of them alerts on.

    python -m tests.bench.alerts --rules et-open.rules CAPTURE ... [--release trixie] [--most 40] [--only SID,SID]

Needs a root of Suricata (`python -m tests.bench.suricata trixie`). Exit code 1 where 1 % of the pairs or more differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.bench import suricata

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = 0.01

Pair = tuple[int, str]  # sid, flow


def pairs(lines: Iterable[bytes]) -> tuple[set[Pair], dict[int, str]]:
    """The pairs of EVE lines, and what the rules say."""
    found: set[Pair] = set()
    said: dict[int, str] = {}
    for line in lines:
        if b'"event_type":"alert"' not in line:
            continue
        event = json.loads(line)
        sid = event["alert"]["signature_id"]
        ends = sorted(f"{event.get(f'{side}_ip', '')} {event.get(f'{side}_port', 0)}" for side in ("src", "dest"))
        found.add((sid, f"{event.get('proto', '')} {ends[0]} - {ends[1]}"))
        said[sid] = event["alert"]["signature"]
    return found, said


def engine(capture: Path, rules: Path) -> list[bytes]:
    """The alerts of `reef inspect`. Raises `subprocess.CalledProcessError`."""
    with tempfile.TemporaryDirectory() as folder:
        eve = Path(folder) / "eve.json"
        words = ["inspect", str(capture), "--rules", str(rules), "--eve", str(eve), "-k", "none", "--quiet"]
        subprocess.run(
            [sys.executable, "-m", "appliance.cli", *words], check=True, stdout=subprocess.DEVNULL, cwd=ROOT
        )
        return eve.read_bytes().splitlines()


def compare(theirs: set[Pair], ours: set[Pair], said: dict[int, str], most: int) -> float:
    """Print what differs, by rule; the share of all pairs that only one of them has."""
    both = theirs & ours
    every = len(theirs | ours)
    share = 1 - len(both) / every if every else 0.0
    alone = f"{len(theirs - ours)} only Suricata, {len(ours - theirs)} only Reef"
    print(f"{every} pairs, {len(both)} in both, {alone}: {share:.2%}")
    for who, only in (("only Suricata", theirs - ours), ("only Reef", ours - theirs)):
        count = Counter(sid for sid, _ in only)
        for sid, times in count.most_common(most):
            example = min(flow for number, flow in only if number == sid)
            print(f"  {who}: {times:5} x {sid} {said[sid]} ({example})")
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+", type=Path)
    parser.add_argument("--rules", type=Path, required=True)
    parser.add_argument("--release", default="trixie", choices=suricata.RELEASES)
    parser.add_argument("--most", type=int, default=40, help="rules that are listed of each side")
    parser.add_argument("--only", default="", help="sids that are compared, with commas (default: all)")
    options = parser.parse_args()
    only = {int(word) for word in options.only.split(",") if word}
    theirs: set[Pair] = set()
    ours: set[Pair] = set()
    said: dict[int, str] = {}
    for capture in options.captures:
        for side, lines in (
            (theirs, suricata.run(options.release, capture, options.rules).alerts),
            (ours, engine(capture, options.rules)),
        ):
            found, words = pairs(lines)
            side |= {pair for pair in found if not only or pair[0] in only}
            said |= words
    return int(compare(theirs, ours, said, options.most) >= ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
