"""How the policy is kept: who answers, who looks again, what stands above it, what a change must pass."""

from __future__ import annotations

from appliance.policy import times
from appliance.policy.model import Policy
from appliance.report import traffic
from appliance.report.evidence import CannotTell, Evidence, NothingToJudge, Result, judged
from appliance.report.facts import Facts
from appliance.report.risk import stated

DAY = 86400


def _shows(facts: Facts, **values: object) -> Evidence:
    return facts.policy.shows(values)


def _over(day: str, policy: Policy, now: float) -> bool:
    return times.day_end(day, times.zone(policy.settings.timezone)) <= now


def alerts_told(facts: Facts, _: float) -> Result:
    policy = facts.policy.known()
    told = [name for name, one in policy.consumers.items() if "alerts" in one.collections]
    asked = [name for name in told if not (policy.consumers[name].syslog or policy.consumers[name].webhook)]
    wrong = [] if told else ["no consumer of the policy may have alerts"]
    if asked and not policy.alerts.listen:
        wrong = [f"{', '.join(asked)} would have to ask, and the gateway listens nowhere"]
    return judged(
        wrong,
        f"Alerts are kept for {', '.join(told)} until they have them.",
        "Alerts do not leave the gateway:",
        _shows(facts, consumers=told, listen=policy.alerts.listen),
    )


def owned(facts: Facts, _: float) -> Result:
    policy = facts.policy.known()
    entries = [(rule.id, rule.owner, rule.why) for rule in traffic.permits(policy)]
    entries += [(nat.id, nat.owner, nat.why) for nat in policy.source_nat]
    entries += [(nat.id, nat.owner, nat.why) for nat in policy.destination_nat]
    wrong = [
        f"{name} has no {' and no '.join(word for word, said in (('owner', owner), ('reason', why)) if not said)}"
        for name, owner, why in entries
        if not owner or not why
    ]
    return judged(
        wrong,
        "Every permit and every translation has an owner and a reason.",
        "Nobody answers for these, or nobody said why:",
        _shows(facts, entries=len(entries), incomplete=wrong),
    )


def reviewed(facts: Facts, _: float) -> Result:
    policy = facts.policy.known()
    wrong = [
        f"{rule.id} expired on {rule.expires} and is still in the text"
        for rule in policy.rules
        if 0 < rule.expires_at <= facts.taken
    ]
    reviews = [(rule.id, rule.review) for rule in policy.rules] + [(risk.id, risk.review) for risk in policy.risks]
    wrong += [
        f"{name} waits for its review since {day}" for name, day in reviews if day and _over(day, policy, facts.taken)
    ]
    dates = {rule.id: rule.review or rule.expires for rule in policy.rules if rule.review or rule.expires}
    return judged(
        wrong,
        "No review is overdue, and nothing that has expired is left in the text.",
        "Somebody has to look at these:",
        _shows(facts, dates=dates, overdue=wrong),
    )


def dated(facts: Facts, limit: float) -> Result:
    permits = traffic.permits(facts.policy.known())
    if not permits:
        raise NothingToJudge("the policy permits nothing", (_shows(facts, permits=0),))
    wrong = [f"{rule.id}: neither `review` nor `expires`" for rule in permits if not rule.review and not rule.expires]
    share = len(wrong) / len(permits)
    shown = _shows(facts, permits=len(permits), undated=[line.partition(":")[0] for line in wrong])
    return judged(
        wrong if share > limit else [],
        f"{len(permits) - len(wrong)} of {len(permits)} permits have a day on which somebody looks at them again.",
        f"{len(wrong)} of {len(permits)} permits will never be looked at again:",
        shown,
    )


def used(facts: Facts, limit: float) -> Result:
    hits = facts.hits.known()
    permits = {rule.id for rule in traffic.permits(traffic.in_force(facts.policy.known(), facts.taken))}
    days = {one.id: int(one.watched // DAY) for one in hits.rules if one.id in permits}
    idle = [one.id for one in hits.rules if one.id in permits and not one.recent]
    shown = facts.hits.shows({"watched_days": days, "unused": idle})
    if not days:
        raise CannotTell("what rules matched is not known yet", (shown,))
    young = [name for name in idle if days[name] < limit]
    wrong = [f"{name} matched nothing in {days[name]} days" for name in idle if days[name] >= limit]
    if young and not wrong:
        longest = max(days[name] for name in young)
        raise CannotTell(
            f"{len(young)} permits matched nothing yet, and were watched for {longest} days at most", (shown,)
        )
    return judged(
        wrong,
        f"Every permit matched something in the last {limit:g} days.",
        f"These permits matched nothing in {limit:g} days:",
        shown,
    )


def lines_registered(facts: Facts, _: float) -> Result:
    policy = facts.policy.known()
    lines = [name for zone in policy.zones.values() if zone.external for name in zone.interfaces]
    if not lines:
        raise NothingToJudge("no line of this site leaves the house", (_shows(facts, lines=lines),))
    register = {name: name in policy.connections and bool(policy.connections[name].phone) for name in lines}
    wrong = [
        f"{name} is not registered"
        if name not in policy.connections
        else f"{name}: no telephone number of its officer"
        for name, complete in register.items()
        if not complete
    ]
    return judged(
        wrong,
        "Every external line is registered, with an officer who can be called.",
        "The register of external lines is not complete:",
        _shows(facts, registered=register),
    )


def baseline(facts: Facts, _: float) -> Result:
    inherited = facts.inherited.known()
    wrong = [] if inherited else ["the text inherits no baseline"]
    return judged(
        wrong,
        "The site stands under a baseline that it cannot weaken.",
        "No minimum standard stands above this site:",
        facts.inherited.shows(inherited),
    )


def baseline_current(facts: Facts, _: float) -> Result:
    used, here = facts.inherited.known(), facts.baselines.known()
    shown = (facts.inherited.shows(used), facts.baselines.shows({name: here.get(name, "") for name in used}))
    if not used:
        raise NothingToJudge("the site inherits no baseline", shown)
    wrong = [
        f"baseline {name} {'changed' if name in here else 'went away'} since this generation was made"
        for name, digest in used.items()
        if here.get(name) != digest
    ]
    return judged(
        wrong,
        "What runs was made with the baselines that lie on the gateway now.",
        "Apply the running text again, so that the baselines of today hold:",
        *shown,
    )


def invariants(facts: Facts, _: float) -> Result:
    policy = facts.policy.known()
    said = {item.id: stated(item) for item in policy.invariants}
    wrong = [] if said else ["the policy has no invariant"]
    return judged(
        wrong,
        f"What may never pass is stated ({len(said)}) and checked before every change.",
        "Nothing says what may never pass, whatever the rules become:",
        _shows(facts, invariants=said),
    )


def drift_repaired(facts: Facts, _: float) -> Result:
    setting = facts.policy.known().settings.drift
    return judged(
        [] if setting == "repair" else ["settings.drift is `report`"],
        "A change behind the back of the policy is taken back by itself.",
        "A change behind the back of the policy is told, and stays:",
        _shows(facts, drift=setting),
    )


def confirms(facts: Facts, _: float) -> Result:
    seconds = facts.policy.known().settings.confirm_within
    return judged(
        [] if seconds else ["settings.confirm_within is 0"],
        f"A change that nobody confirms within {seconds} s is taken back by itself.",
        "A change that locks everybody out would stay:",
        _shows(facts, confirm_within=seconds),
    )


def approved(facts: Facts, _: float) -> Result:
    wanted = facts.policy.known().console.approvals
    others = "another person" if wanted == 1 else f"{wanted} others"
    return judged(
        [] if wanted else ["console.approvals is 0"],
        f"A change runs when {others} approved it; who breaks the glass is told of.",
        "One person alone can change what runs:",
        _shows(facts, approvals=wanted),
    )


def history_kept(facts: Facts, limit: float) -> Result:
    kept = facts.policy.known().settings.history
    return judged(
        [] if kept >= limit else [f"settings.history is {kept}; at least {limit:g} are wanted"],
        f"The last {kept} generations are kept, each with who, when and why.",
        "Too little is kept of what ran before:",
        _shows(facts, history=kept),
    )
