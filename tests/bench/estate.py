"""Policies as a large ministry has them, for benches: hosts and networks of both IP versions, people, times."""

from __future__ import annotations

import random
from functools import cache

import msgspec

from appliance.policy.model import (
    EVERYTHING,
    AddressSet,
    Dynamic,
    Policy,
    Range,
    Rule,
    Schedule,
    ServiceEntry,
)
from tests.policies import NOW, zones

PAIRS = (("lan", "internet"), ("lan", "dmz"), ("internet", "dmz"), ("dmz", "internet"), ("guest", "internet"))
WEIGHTS = (40, 30, 15, 10, 5)
PORTS = tuple(range(20, 420))
PEOPLE, GROUPS = 600, 40
INNER = {"lan": (1, 1), "dmz": (3, 3), "guest": (4, 4)}


def estate(count: int, *, seed: int = 1, people: bool = True) -> Policy:
    """A policy of `count` rules and about three times as many boxes."""
    rng = random.Random(seed)
    names = [f"person{number}" for number in range(PEOPLE)]
    members = [tuple(names[number::GROUPS]) for number in range(GROUPS)]  # departments, and two groups across them
    members[-2:] = [tuple(rng.sample(names, 6)) for _ in range(2)]
    groups = {f"group_{number}": Dynamic(f"group_{number}", "group", found) for number, found in enumerate(members)}
    schedules = {
        "office": Schedule(
            "office", "America/Belize", tuple((day * 1440 + 450, day * 1440 + 1020) for day in range(5))
        ),
        "night": Schedule("night", "Europe/Berlin", tuple((day * 1440, day * 1440 + 300) for day in range(7))),
    }
    return Policy(
        site="estate",
        zones=zones(),
        dynamics=groups if people else {},
        schedules=schedules,
        rules=tuple(_rule(rng, number, people=people) for number in range(1, count + 1)),
    )


def edited(policy: Policy, count: int, *, seed: int = 2) -> Policy:
    """The policy with other ports in `count` of its rules."""
    rng = random.Random(seed)
    rules = list(policy.rules)
    for at in rng.sample(range(len(rules)), count):
        services = (ServiceEntry(6, ports=(8443, 8443)),)
        rules[at] = msgspec.structs.replace(rules[at], services=services)
    return msgspec.structs.replace(policy, rules=tuple(rules))


def _rule(rng: random.Random, number: int, *, people: bool) -> Rule:
    source, destination = rng.choices(PAIRS, WEIGHTS)[0]
    kind = rng.random()
    return Rule(
        id=f"R-{number}",
        sources=(source,),
        destinations=(destination,),
        source=_side(rng, source),
        destination=_side(rng, destination),
        services=_services(rng),
        action="deny" if rng.random() < 0.01 else "allow",
        people=(f"group_{rng.randrange(GROUPS)}",) if people and source == "lan" and rng.random() < 0.15 else (),
        when=rng.choice(("office", "night")) if people and kind < 0.03 else "",
        expires_at=NOW + rng.randrange(1, 300) * 86400 if people and 0.03 < kind < 0.08 else 0,
    )


def _services(rng: random.Random) -> tuple[ServiceEntry, ...]:
    if rng.random() < 0.02:
        return (ServiceEntry(rng.choice((6, 17))),)
    ports = rng.sample(PORTS, rng.choice((1, 1, 2)))
    return _service(tuple((rng.choice((6, 6, 17)), port) for port in ports))


@cache
def _service(ports: tuple[tuple[int, int], ...]) -> tuple[ServiceEntry, ...]:
    """Equal words are one value, as the parser has it."""
    return tuple(ServiceEntry(protocol, ports=(port, port)) for protocol, port in ports)


def _side(rng: random.Random, zone: str) -> AddressSet:
    kind = rng.random()
    if kind < 0.04:
        return EVERYTHING
    size = rng.choice((8, 6)) if kind < 0.15 else 0
    if zone == "internet":
        four = (100 << 24) + (rng.randrange(1 << 22) << 4)
        six = (0x20010DB8 << 96) + (rng.randrange(1 << 30) << 64)
    else:
        line, group = INNER[zone]
        four = (10 << 24) + (line << 16) + rng.randrange(1 << 16)
        six = (0x20010DB8 << 96) + (group << 80) + rng.randrange(1 << 16)
    four, six = four >> size << size, six >> size << size
    last = (1 << size) - 1
    return AddressSet((Range(4, four, four + last), Range(6, six, six + last)))
