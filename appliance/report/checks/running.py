"""What runs: the generation, what the kernel holds of it, and who made it."""

from __future__ import annotations

from appliance.report.evidence import CannotTell, NothingToJudge, Result, judged
from appliance.report.facts import Facts

WANTED_HOOKS = ("forward", "input", "output")


def hooks_drop(facts: Facts, _: float) -> Result:
    table = facts.table.known()
    policies = {hook.hook: hook.policy for hook in table.hooks if hook.type == "filter"}
    wrong = [
        f"hook {name}: {'policy accept' if name in policies else 'no chain of this gateway'}"
        for name in WANTED_HOOKS
        if policies.get(name) != "drop"
    ]
    return judged(
        wrong,
        "The kernel drops what no rule allows: forwarded, to the gateway, and from it, IPv4 and IPv6 alike.",
        "The kernel lets through what no rule allows:",
        facts.table.shows(policies),
    )


def spoofing_loaded(facts: Facts, _: float) -> Result:
    table, policy = facts.table.known(), facts.policy.known()
    chains = {f"source_{zone.name}" for zone in policy.zones.values() if zone.antispoofing and zone.interfaces}
    if not chains:
        raise NothingToJudge("no zone asks for anti-spoofing", (facts.policy.shows([]),))
    held = {name: name in table.chains for name in sorted(chains)}
    return judged(
        [f"the kernel has no chain {name}" for name, there in held.items() if not there],
        "The kernel holds the check of sources of every zone that asks for it.",
        "The check of sources is in the policy and not in the kernel:",
        facts.table.shows(held),
    )


def confirmed(facts: Facts, _: float) -> Result:
    status = facts.status.known()
    shown = facts.status.shows({"running": status.running, "confirmed": status.confirmed})
    wrong = [] if status.running and status.running == status.confirmed else [
        f"generation {status.running} runs, generation {status.confirmed} is confirmed"
    ]  # fmt: skip
    return judged(
        wrong,
        f"Generation {status.running} runs and was confirmed by a person.",
        "What runs was not confirmed:",
        shown,
    )


def no_drift(facts: Facts, _: float) -> Result:
    words = facts.status.known().drift
    return judged(
        [words] if words else [],
        "The kernel holds what the generation says.",
        "The kernel holds something else than the generation says:",
        facts.status.shows({"drift": words}),
    )


def runs_as_meant(facts: Facts, _: float) -> Result:
    status = facts.status.known()
    runs = status.runs
    if runs is None or runs.generation != status.running:
        shown = facts.status.shows({"running": status.running, "compared": runs.generation if runs else 0})
        raise CannotTell("what the kernel runs was not read back and compared with the policy yet", (shown,))
    shown = facts.status.shows(
        {
            "generation": runs.generation,
            "equal": runs.equal,
            "differences": runs.differences,
            "more": runs.more,
            "unknown": runs.unknown,
            "unread": runs.unread,
            "assumed": runs.assumed,
        }
    )
    if not runs.equal and not runs.differences:
        reasons = "; ".join((*runs.unknown, *runs.unread)) or "the comparison was not finished"
        raise CannotTell(f"not all of what the kernel runs could be compared: {reasons}", (shown,))
    more = (f"and {runs.more} more",) if runs.more else ()
    return judged(
        [*runs.differences, *more],
        "The rules read back from the kernel decide every packet as the policy says.",
        "The kernel decides these packets otherwise than the policy says:",
        shown,
    )


def alive(facts: Facts, _: float) -> Result:
    found = {process.name: process.alive for process in facts.status.known().processes}
    if not found:
        raise CannotTell("policyd said nothing of the other processes", (facts.status.shows(found),))
    return judged(
        [f"{name} does not answer" for name, up in found.items() if not up],
        "Every process that can be asked answers.",
        "These processes do not answer:",
        facts.status.shows(found),
    )


def whole(facts: Facts, _: float) -> Result:
    omitted = facts.status.known().omitted
    return judged(
        list(omitted),
        "Everything the policy asks for is in force.",
        "The policy asks for what is not in force here:",
        facts.status.shows({"omitted": omitted}),
    )


def well(facts: Facts, _: float) -> Result:
    report = facts.doctor.known()
    needed = {one.name: one.available for one in report.capabilities if one.needed_by}
    wrong = [*report.findings, *(f"the kernel lacks {name}" for name, there in needed.items() if not there)]
    return judged(
        wrong,
        "The gateway finds nothing wrong with itself, its kernel and its lines.",
        "The gateway found this wrong with itself:",
        facts.doctor.shows({"kernel": report.kernel, "needed": needed, "findings": report.findings}),
    )


def sealed(facts: Facts, _: float) -> Result:
    seal = facts.seal.known()
    return judged(
        [] if seal.good else [f"generation {seal.generation}: {seal.digest}"],
        "The stored generation is what was signed: its signature was checked again for this report.",
        "The stored generation is not what was signed:",
        facts.seal.shows({"generation": seal.generation, "digest": seal.digest, "good": seal.good}),
    )


def accountable(facts: Facts, _: float) -> Result:
    generations = facts.history.known()
    wrong = [
        f"generation {one.generation} has no {'author' if not one.author else 'reason'}"
        for one in generations
        if not one.author or not one.reason
    ]
    if not generations:
        raise NothingToJudge("no generation is kept", (facts.history.shows([]),))
    return judged(
        wrong,
        f"All {len(generations)} generations say who made them and why.",
        "Nobody said who or why here:",
        facts.history.shows({"generations": len(generations), "incomplete": wrong}),
    )


def names_filled(facts: Facts, _: float) -> Result:
    sets = {one.name: (one.size, one.error) for one in facts.sets.known().sets if one.kind == "dns"}
    if not sets:
        raise NothingToJudge("no object of this policy is a DNS name", (facts.sets.shows(sets),))
    wrong = [f"{name}: {error or 'empty'}" for name, (size, error) in sets.items() if error or not size]
    return judged(
        wrong,
        "Every DNS name of the policy is resolved.",
        "These names of the policy could not be resolved:",
        facts.sets.shows(sets),
    )


def counted(facts: Facts, _: float) -> Result:
    counters = {one.id for one in facts.counters.known().counters}
    enabled = [rule.id for rule in facts.policy.known().rules if rule.enabled]
    if not enabled:
        raise NothingToJudge("the policy has no rule", (facts.counters.shows([]),))
    wrong = [f"{name} has no counter" for name in enabled if name not in counters]
    return judged(
        wrong,
        f"The kernel counts what each of the {len(enabled)} rules decides.",
        "What these rules decide is not counted:",
        facts.counters.shows({"rules": len(enabled), "uncounted": wrong}),
    )
