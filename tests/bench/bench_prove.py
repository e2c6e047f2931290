"""Proofs and differences: exact, of policies of 10,000 rules, beside CUDD and Z3."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial

from appliance.policy.model import Policy
from appliance.policy.proving.difference import difference
from appliance.policy.proving.prove import Prover, prove
from tests.bench.estate import edited, estate
from tests.bench.table import Row
from tests.model.oracles import Diagrams, Smt
from tests.policies import NOW

CUDD_RULES, Z3_RULES = 1_000, 120  # with more rules the others only get slower still


def main(*, quick: bool) -> list[Row]:
    times = 3 if quick else 9
    rows = []
    policy = estate(10_000)
    boxes = Prover(policy, now=NOW).space.boxes
    proof = prove(policy, now=NOW)
    assert proof.decided
    words = f"all proofs, 10,000 rules, {boxes:,} boxes, IPv6, people and times, {len(proof.findings):,} findings"
    rows.append(_under(words, _best(lambda: prove(policy, now=NOW), times), 0.080))
    rows.append(_under("one rule of these changed, proven again", _one_changed(policy, 3 * times), 0.020))
    other = edited(policy, 5)
    assert difference(policy, other, now=NOW).opened
    taken = _best(lambda: difference(policy, other, now=NOW), times)
    rows.append(_under("the difference that 5 edited rules make", taken, 0.030))
    large = estate(33_500)
    boxes = Prover(large, now=NOW).space.boxes
    taken = _best(lambda: prove(large, now=NOW), 3)
    rows.append(_under(f"all proofs, 33,500 rules, {boxes:,} boxes", taken, 0.800))
    return rows + _oracles(times)


def _one_changed(policy: Policy, times: int) -> float:
    """Seconds of `update` and `proof` after an edit of another rule each time."""
    prover = Prover(policy, now=NOW)
    prover.proof()
    taken = []
    for number in range(times):
        after = edited(policy, 1, seed=number)
        gc.collect()
        begun = time.perf_counter()
        prover.update(after)
        prover.proof()
        taken.append(time.perf_counter() - begun)
        prover.update(policy)
        prover.proof()
    return sorted(taken)[len(taken) // 2]


def _oracles(times: int) -> list[Row]:
    """Which rules are dead? The same answer, three ways."""
    rows = []
    for name, count, wanted in (("CUDD", CUDD_RULES, 50), ("Z3", Z3_RULES, 200)):
        policy = estate(count, people=False)
        dead = {item.rule for item in prove(policy, now=NOW).findings if item.kind == "dead"}
        own = _best(partial(prove, policy, now=NOW), 3 * times)
        gc.collect()
        begun = time.perf_counter()
        answer = (Diagrams([policy]) if name == "CUDD" else Smt([policy], NOW)).reached(policy)
        taken = time.perf_counter() - begun
        assert dead == {rule.id for rule in policy.rules} - set(answer), name
        rows.append(
            Row(
                f"which of {count:,} rules are dead, asked {name}",
                f"{taken:.2f} s",
                f"all proofs here: {own * 1e3:.1f} ms",
                taken / own,
                f">= {wanted}",
                taken / own >= wanted,
            )
        )
    return rows


def _best(call: Callable[[], object], times: int) -> float:
    """The shortest of some runs: on a shared machine the others measure the neighbours."""
    taken = []
    for _ in range(times):
        gc.collect()
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def _under(what: str, taken: float, wanted: float) -> Row:
    return Row(what, f"{taken * 1e3:.1f} ms", "", None, f"< {wanted * 1e3:.0f} ms", taken < wanted)
