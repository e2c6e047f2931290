"""The page of zones, assets, threats and safeguards (ISO/IEC 27033-1, R6): what is recorded, what really stands."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.policy import times
from appliance.policy.addresses import words_of
from appliance.policy.model import Invariant, Level, Policy, Risk
from appliance.report import traffic
from appliance.report.facts import Facts

_WEIGHT: dict[Level, int] = {"low": 1, "medium": 2, "high": 3}
# Likelihood times impact: 1-2 low, 3-4 medium, 6-9 high.
_MEDIUM, _HIGH = 3, 6
MAX_NETWORKS = 6  # of one zone or asset that the page names

# In force: it stands now. Off: it is in the text and does nothing. Broken: an invariant that does not hold. Open: it
# could not be proven.
Stand = Literal["in force", "off", "broken", "open"]


class ZoneRow(msgspec.Struct, frozen=True):
    name: str
    role: str
    external: bool
    interfaces: tuple[str, ...]
    networks: tuple[str, ...]
    antispoofing: bool
    officer: str = ""


class AssetRow(msgspec.Struct, frozen=True):
    """An object that lives at the site, or is classified; `invariants` and `risks` speak of it or of its zone."""

    name: str
    classification: str
    zones: tuple[str, ...]
    addresses: tuple[str, ...]
    invariants: tuple[str, ...]
    risks: tuple[str, ...]


class Safeguard(msgspec.Struct, frozen=True):
    id: str
    kind: str
    stand: Stand
    words: str


class RiskRow(msgspec.Struct, frozen=True):
    """A risk as recorded, and how its safeguards stand. `level` is likelihood times impact, in a word."""

    id: str
    threat: str
    assets: tuple[str, ...]
    likelihood: Level
    impact: Level
    level: Level
    treatment: str
    safeguards: tuple[Safeguard, ...]
    measures: tuple[str, ...]
    owner: str
    review: str
    overdue: bool


class RiskPage(msgspec.Struct, frozen=True):
    """`gaps` are what nobody recorded, or recorded safeguards that do not stand, one line each."""

    zones: tuple[ZoneRow, ...]
    assets: tuple[AssetRow, ...]
    risks: tuple[RiskRow, ...]
    gaps: tuple[str, ...]


def level(likelihood: Level, impact: Level) -> Level:
    weight = _WEIGHT[likelihood] * _WEIGHT[impact]
    return "high" if weight >= _HIGH else "medium" if weight >= _MEDIUM else "low"


def risk_page(facts: Facts) -> RiskPage:
    """What the policy records of the site and its risks, with how each safeguard stands at `facts.taken`."""
    policy = facts.policy.value
    if policy is None:
        return RiskPage((), (), (), ("the policy could not be read",))
    risks = tuple(_risk(risk, policy, facts) for risk in policy.risks)
    assets = tuple(_assets(policy))
    return RiskPage(tuple(_zones(policy)), assets, risks, tuple(_gaps(assets, risks, policy)))


def _zones(policy: Policy) -> list[ZoneRow]:
    return [
        ZoneRow(
            zone.name,
            zone.role,
            zone.external,
            zone.interfaces,
            _shortened([words_of(item) for item in zone.networks]),
            zone.antispoofing,
            "; ".join(
                dict.fromkeys(
                    policy.connections[name].officer for name in zone.interfaces if name in policy.connections
                )
            ),
        )
        for zone in policy.zones.values()
    ]


def _shortened(words: list[str]) -> tuple[str, ...]:
    more = [f"and {len(words) - MAX_NETWORKS} more"] if len(words) > MAX_NETWORKS else []
    return (*words[:MAX_NETWORKS], *more)


def _assets(policy: Policy) -> list[AssetRow]:
    """The objects that live at the site or are classified; others are only names for places elsewhere."""
    rows: list[AssetRow] = []
    for thing in policy.objects.values():
        zones = traffic.home(policy, thing)
        if not zones and not thing.classification:
            continue
        rows.append(
            AssetRow(
                thing.name,
                thing.classification,
                zones,
                _shortened([words_of(item) for item in thing.addresses.ranges]),
                tuple(item.id for item in policy.invariants if {thing.name, *zones} & set(item.destinations)),
                tuple(risk.id for risk in policy.risks if {thing.name, *zones} & set(risk.assets)),
            )
        )
    return rows


def _risk(risk: Risk, policy: Policy, facts: Facts) -> RiskRow:
    overdue = bool(risk.review) and times.day_end(risk.review, times.zone(policy.settings.timezone)) <= facts.taken
    return RiskRow(
        risk.id,
        risk.threat,
        risk.assets,
        risk.likelihood,
        risk.impact,
        level(risk.likelihood, risk.impact),
        risk.treatment,
        tuple(_safeguard(name, policy, facts) for name in risk.safeguards),
        risk.measures,
        risk.owner,
        risk.review,
        overdue,
    )


def stated(item: Invariant) -> str:
    """An invariant in words, with its exceptions: `never any -> records, of some services, but for R-12`."""
    some = "" if item.services == traffic.EVERY_SERVICE else ", of some services"
    but = f", but for {', '.join(item.excepted)}" if item.excepted else ""
    return f"never {', '.join(item.sources)} -> {', '.join(item.destinations)}{some}{but}"


def _safeguard(name: str, policy: Policy, facts: Facts) -> Safeguard:
    """How one safeguard stands. An invariant stands only where it was proven."""
    for rule in policy.rules:
        if rule.id == name:
            words = f"{rule.action} {', '.join(rule.sources)} -> {', '.join(rule.destinations)}"
            if not rule.enabled:
                return Safeguard(name, "rule", "off", f"{words}; it is switched off")
            if 0 < rule.expires_at <= facts.taken:
                return Safeguard(name, "rule", "off", f"{words}; it expired on {rule.expires}")
            return Safeguard(name, "rule", "in force", words)
    for item in policy.invariants:
        if item.id == name:
            words = stated(item)
            proof = facts.proof.value
            if proof is None or not proof.decided:
                reason = facts.proof.missing or "the proof was not decided"
                return Safeguard(name, "invariant", "open", f"{words}; {reason}")
            broken = [one.rule for one in proof.findings if one.kind == "invariant" and one.name == name]
            if broken:
                return Safeguard(name, "invariant", "broken", f"{words}; {', '.join(broken)} lets it through")
            return Safeguard(name, "invariant", "in force", f"{words}; proven")
    if name in {nat.id for nat in policy.source_nat} | {nat.id for nat in policy.destination_nat}:
        return Safeguard(name, "translation", "in force", "address translation")
    # The parser refuses safeguards that are nowhere; what is left is a published service that is switched off.
    return Safeguard(name, "published service", "off", "it is switched off, or says nothing at this site")


def _gaps(assets: tuple[AssetRow, ...], risks: tuple[RiskRow, ...], policy: Policy) -> list[str]:
    found = [f"{row.name} lives here and has no classification" for row in assets if not row.classification]
    found += [
        f"{row.name} is {row.classification} and no invariant stands before it"
        for row in assets
        if row.classification in traffic.SENSITIVE and row.zones and not row.invariants
    ]
    found += [
        f"{row.name} is {row.classification} and no risk of it is recorded"
        for row in assets
        if row.classification in traffic.SENSITIVE and row.zones and not row.risks
    ]
    named = {name for risk in policy.risks for name in risk.assets}
    found += [
        f"no risk is recorded of the external zone {name}" for name in traffic.external(policy) if name not in named
    ]
    for row in risks:
        found += [f"{row.id}: safeguard {one.id} is {one.stand}" for one in row.safeguards if one.stand != "in force"]
        if row.level == "high":
            found.append(f"{row.id} is a high risk, also with what stands against it ({row.treatment})")
        if row.overdue:
            found.append(f"{row.id} waits for its review since {row.review}")
    return found
