"""Reading back what runs: 10,000 rules from the kernel's bytes to "it is what the policy means"."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable

from appliance.control.applying.readings import pack, unpack
from appliance.control.kernel.readback import snapshot
from appliance.policy.compiling.delta import delta
from appliance.policy.meant.parse import parse
from appliance.policy.readback.equivalence import Equivalence, equivalence
from tests.bench.bench_apply import text
from tests.bench.table import Row
from tests.netns.wire import Wire
from tests.policies import NOW, large_policy_text
from tests.readback import compiled_intent

RULES = 10_000
TURNS = 5
GENERATION = 7


def _median(work: Callable[[], object], turns: int) -> float:
    taken = []
    for _ in range(turns):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def _rows(name: str, words: str, turns: int) -> list[Row]:
    policy, _ = parse(words, "<bench>", inherited={}, now=NOW)
    compiled, intent = compiled_intent(policy, GENERATION)
    with Wire(raw=False) as wire:
        wire.load(delta(None, compiled.ruleset))
        with wire.inside():
            found = snapshot()
            read = _median(snapshot, turns)
            begun = time.perf_counter()
            subprocess.run(["nft", "-j", "list", "table", "inet", "reef"], check=True, capture_output=True)
            listed = time.perf_counter() - begun
        packed = pack(found)
        carried = _median(lambda: unpack(pack(found)), turns)
        answers: list[Equivalence] = []
        compared = _median(lambda: answers.append(equivalence(found, intent)), turns)
        wire.run("nft", "insert rule inet reef decide_forward ip saddr 10.1.2.3 tcp dport 23 accept")
        with wire.inside():
            changed = snapshot()
        begun = time.perf_counter()
        drifted = equivalence(changed, intent)
        noticed = time.perf_counter() - begun
    answer = answers[-1]
    whole = read + carried + compared
    said = "equal" if answer.equal else f"NOT equal: {answer.differences[:1]} {answer.unknown[:1]}"
    told = drifted.differences[0].words if drifted.differences else "NOTHING"
    return [
        Row(
            f"{name}: read back and compared",
            f"{whole * 1000:.0f} ms "
            f"(read {read * 1000:.0f}, carry {carried * 1000:.0f}, compare {compared * 1000:.0f}; "
            f"{answer.cases:,} cases at {answer.places} places, {len(packed) / 1e6:.1f} MB carried), {said}",
            wanted="< 1 s",
            holds=whole < 1.0 and answer.equal,
        ),
        Row(
            f"{name}: reading raw, beside nft's own listing as JSON",
            f"{read * 1000:.0f} ms",
            beside=f"{listed * 1000:.0f} ms",
            ratio=read / listed,
        ),
        Row(
            f"{name}: one rule put in by hand, compared",
            f"{noticed * 1000:.0f} ms: {told}",
            holds=not drifted.equal,
        ),
    ]


def main(*, quick: bool) -> list[Row]:
    count, turns = (1_000, 2) if quick else (RULES, TURNS)
    return [
        *_rows(f"{count:,} rules, mixed", large_policy_text(count), turns),
        *_rows(f"{count:,} rules of one flow each", text(count), turns),
    ]
