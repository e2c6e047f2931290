"""What the site has, how sensitive it is, and what stands around it."""

from __future__ import annotations

from appliance.policy.model import GATEWAY, Policy
from appliance.report import traffic
from appliance.report.evidence import CannotTell, Evidence, NothingToJudge, Result, judged
from appliance.report.facts import Facts


def _policy(facts: Facts) -> Policy:
    return traffic.in_force(facts.policy.known(), facts.taken)


def _shows(facts: Facts, **values: object) -> Evidence:
    return facts.policy.shows(values)


def classified(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    things = {thing.name: thing.classification for thing in policy.objects.values() if traffic.home(policy, thing)}
    if not things:
        raise NothingToJudge(
            "no object of this policy lives in a zone with networks", (_shows(facts, objects=things),)
        )
    wrong = [f"object {name} has no classification" for name, word in things.items() if not word]
    return judged(
        wrong,
        "Every object that lives at this site is classified.",
        "These live at this site, and nobody said how sensitive they are:",
        _shows(facts, objects=things),
    )


def _sensitive(facts: Facts, policy: Policy) -> list[str]:
    """The names of the sensitive objects. Raises `CannotTell` where nothing is."""
    found = [thing.name for thing in traffic.sensitive(policy)]
    if not found:
        raise NothingToJudge(
            "nothing that lives here is classified as confidential or secret", (_shows(facts, sensitive=found),)
        )
    return found


def sensitive_unreachable(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    things, outside = _sensitive(facts, policy), traffic.external(policy)
    wrong = [crossing.words for crossing in traffic.crossings(policy, facts.taken, outside, things)]
    return judged(
        wrong,
        "Nothing sensitive can be reached from outside.",
        "These permits let the outside reach something sensitive:",
        _shows(facts, sensitive=things, external=outside, crossing=wrong),
    )


def sensitive_guarded(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    things = _sensitive(facts, policy)
    guards = {
        name: [
            item.id
            for item in policy.invariants
            if {name, *traffic.home(policy, policy.objects[name])} & set(item.destinations)
        ]
        for name in things
    }
    wrong = [f"object {name}: no invariant speaks of it or of its zone" for name in things if not guards[name]]
    return judged(
        wrong,
        "An invariant stands before everything sensitive.",
        "A later change could open these without being refused:",
        _shows(facts, invariants=guards),
    )


def sensitive_personal(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    things = _sensitive(facts, policy)
    sources = [zone.name for zone in policy.zones.values()]
    found = traffic.crossings(policy, facts.taken, sources, things)
    wrong = [f"{crossing.words}, whoever is there" for crossing in found if not crossing.rule.people]
    return judged(
        wrong,
        "What is sensitive is open to named people only.",
        "These permits lead to something sensitive and ask for no person:",
        _shows(facts, sensitive=things, permits=[crossing.rule.id for crossing in found], impersonal=wrong),
    )


def exposed_limited(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    found = traffic.published(policy)
    limits = {rule.id: rule.rate is not None or rule.connections is not None for rule in found}
    if not found:
        raise NothingToJudge("nothing inside is offered to the outside here", (_shows(facts, limited=limits),))
    wrong = [f"{name}: neither `limit` nor `connections`" for name, limited in limits.items() if not limited]
    return judged(
        wrong,
        "Every service for the outside bounds what one may take of it.",
        "One sender can take the whole of these services:",
        _shows(facts, limited=limits),
    )


def exposed_inspected(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    found = traffic.published(policy)
    profiles = {rule.id: rule.inspect for rule in found}
    if not found:
        raise NothingToJudge("nothing inside is offered to the outside here", (_shows(facts, inspected=profiles),))
    wrong = [f"{name}: no inspection profile" for name, profile in profiles.items() if not profile]
    return judged(
        wrong,
        "The policy asks for inspection of every service for the outside.",
        "The policy lets these be used without looking into them:",
        _shows(facts, inspected=profiles),
    )


def fails_closed(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    used = {
        rule.inspect: policy.profiles[rule.inspect].unavailable for rule in traffic.permits(policy) if rule.inspect
    }
    if not used:
        raise NothingToJudge("no permit names an inspection profile", (_shows(facts, profiles=used),))
    wrong = [
        f"profile {name} lets its flows pass uninspected" for name, word in used.items() if word != "fail-closed"
    ]
    return judged(
        wrong,
        "Where inspection is away, its flows do not pass.",
        "These let flows pass while inspection is away:",
        _shows(facts, profiles=used),
    )


def people_known(facts: Facts, _: float) -> Result:
    wanted = {name for rule in traffic.permits(_policy(facts)) for name in rule.people}
    if not wanted:
        raise NothingToJudge("no permit asks for a person", (_shows(facts, people=[]),))
    found = {one.name: (one.size, one.error) for one in facts.sets.known().sets if one.name in wanted}
    shown = facts.sets.shows(found)
    if not any(size or error for size, error in found.values()):
        raise CannotTell("nothing tells this gateway yet where a person is, so these permits match nobody", (shown,))
    return judged(
        [f"{name}: {error}" for name, (_, error) in found.items() if error],
        "The gateway knows at which addresses the people of its permits are.",
        "Whom these permits match is not known:",
        shown,
    )


def exposed_logged(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    outside = traffic.external(policy)
    inside = [*(zone.name for zone in policy.zones.values() if not zone.external), GATEWAY]
    found = traffic.crossings(policy, facts.taken, outside, inside)
    if not found:
        raise NothingToJudge("the outside may use nothing here", (_shows(facts, external=outside, inbound=[]),))
    logs = {crossing.rule.id: crossing.rule.log for crossing in found}
    wrong = [f"{name}: `log: none`" for name, log in logs.items() if log == "none"]
    return judged(
        wrong,
        "Every permit for the outside leaves a record.",
        "These permits for the outside leave no record:",
        _shows(facts, logged=logs),
    )


def denials_logged(facts: Facts, _: float) -> Result:
    on = _policy(facts).settings.log_default
    wrong = [] if on else ["settings.log_default is `no`"]
    return judged(
        wrong,
        "What no rule allows is denied and recorded.",
        "What no rule allows is denied without a record:",
        _shows(facts, log_default=on),
    )


def risks_recorded(facts: Facts, _: float) -> Result:
    policy = _policy(facts)
    wanted = [*(thing.name for thing in traffic.sensitive(policy)), *traffic.external(policy)]
    named = {name for risk in policy.risks for name in risk.assets}
    covered = {name: name in named for name in wanted}
    wrong = [f"{name}: no risk of it is recorded" for name, known in covered.items() if not known]
    if not wanted:
        raise NothingToJudge(
            "nothing is sensitive here and no line leaves the house", (_shows(facts, assets=covered),)
        )
    return judged(
        wrong,
        "A risk is recorded for everything sensitive and for every external zone.",
        "Nobody wrote down what could happen to these:",
        _shows(facts, assets=covered, risks=[risk.id for risk in policy.risks]),
    )
