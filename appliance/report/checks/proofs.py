"""What is proven about all packets, by the exact prover."""

from __future__ import annotations

from appliance.policy.proving.proof import Proof
from appliance.report.evidence import CannotTell, Evidence, NothingToJudge, Result, judged
from appliance.report.facts import Facts


def _proof(facts: Facts) -> tuple[Proof, Evidence]:
    """The proof, and what of it is shown. Raises `CannotTell` where it was not decided."""
    proof = facts.proof.known()
    found = [(finding.kind, finding.rule, finding.name) for finding in proof.findings]
    shown = facts.proof.shows({"decided": proof.decided, "findings": found})
    if not proof.decided:
        raise CannotTell(f"the proof was not decided: {'; '.join(proof.undecided)}", (shown,))
    return proof, shown


def _of(facts: Facts, *kinds: str) -> tuple[list[tuple[str, str, tuple[str, ...]]], Evidence]:
    proof, shown = _proof(facts)
    return [(one.rule, one.name, one.others) for one in proof.findings if one.kind in kinds], shown


def invariants_hold(facts: Facts, _: float) -> Result:
    stated = [item.id for item in facts.policy.known().invariants]
    if not stated:
        raise NothingToJudge("the policy has no invariant", (facts.policy.shows({"invariants": stated}),))
    found, shown = _of(facts, "invariant")
    return judged(
        [f"{rule} lets through what {name} says is never to pass" for rule, name, _ in found],
        f"Every invariant ({len(stated)}) is proven for every packet there can be.",
        "These let through what is never to pass:",
        shown,
    )


def baseline_holds(facts: Facts, _: float) -> Result:
    inherited = facts.inherited.known()
    if not inherited:
        raise NothingToJudge("the site inherits no baseline", (facts.inherited.shows(inherited),))
    found, shown = _of(facts, "baseline")
    return judged(
        [f"{rule} changes what the baseline {name} demands" for rule, name, _ in found],
        "No rule of the site changes what its baselines demand.",
        "The site weakens its baseline:",
        shown,
    )


def no_dead_rules(facts: Facts, _: float) -> Result:
    found, shown = _of(facts, "dead")
    return judged(
        [
            f"{rule} can never match" + (f", {', '.join(others)} hide it" if others else "")
            for rule, _, others in found
        ],
        "Every rule can match some packet.",
        "These rules look as if they did something, and cannot:",
        shown,
    )
