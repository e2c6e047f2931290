"""Whether a rule still means what it meant: a digest of everything that decides what it matches and does.

Who owns it, why, until when and whether it logs may change without it being another rule to its history.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from appliance.policy.model import AddressSet, Policy, Rule

_SIZE = 8  # bytes; a history compares a rule with itself only


class Meanings(msgspec.Struct, frozen=True):
    """The digest of every rule of a policy by its id."""

    policy: Policy
    digests: dict[str, str]


def meanings(policy: Policy, before: Meanings | None = None) -> Meanings:
    """The digests of `policy`; those of rules that are the same objects as `before` are taken over."""
    known: dict[str, Rule] = {}
    old = None if before is None else before.policy
    if old is not None and (old.dynamics, old.schedules) == (policy.dynamics, policy.schedules):
        known = {rule.id: rule for rule in old.rules}
    addresses: dict[int, bytes] = {}  # rules of the same words share their addresses
    digests = {}
    for rule in policy.rules:
        if before is not None and known.get(rule.id) is rule:
            digests[rule.id] = before.digests[rule.id]
        else:
            digests[rule.id] = _meaning(rule, policy, addresses)
    return Meanings(policy, digests)


def _meaning(rule: Rule, policy: Policy, known: dict[int, bytes]) -> str:
    digest = blake2b(digest_size=_SIZE)
    for where in (rule.source, rule.destination):
        found = known.get(id(where))
        if found is None:
            found = known[id(where)] = _addresses(where, policy)
        digest.update(found)
    people = [policy.dynamics[name].names for name in rule.people if name in policy.dynamics]
    schedule = policy.schedules.get(rule.when)
    times = (schedule.timezone, schedule.spans, schedule.first, schedule.last) if schedule is not None else ()
    digest.update(
        msgspec.json.encode(
            (
                rule.sources,
                rule.destinations,
                rule.services,
                rule.action,
                people,
                times,
                rule.rate,
                rule.connections,
                rule.inspect,
            )
        )
    )
    return digest.hexdigest()


def _addresses(where: AddressSet, policy: Policy) -> bytes:
    names = [policy.dynamics[name].names for name in where.dynamic if name in policy.dynamics]
    ranges = [(part.version, str(part.first), str(part.last)) for part in where.ranges]
    return blake2b(msgspec.json.encode((ranges, names)), digest_size=_SIZE).digest()
