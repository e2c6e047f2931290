"""Asking why: one packet answered by 10,000 rules, with the rules that nearly decided.

The rules are sorted by their conditions once for a policy; a question after that touches sets of bits only. Beside it
stands `decide`, the plain first match over the same rules, which says neither what was near nor in words.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import msgspec

from appliance.policy.answering.nearly import Rulebook
from appliance.policy.answering.reach import Hop
from appliance.policy.answering.why import Question, Situation, why
from appliance.policy.decide import Packet, World, decide
from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy, Range, ServiceEntry
from tests.bench.table import Row
from tests.policies import NOW, large_policy_text, random_packet, route

RULES = 10_000
WANTED = 0.005


def main(*, quick: bool) -> list[Row]:
    times = 300 if quick else 2_000
    policy = parse(large_policy_text(RULES), "large.yaml", inherited={}, files={})[0]
    rng = random.Random(5)
    packets = [random_packet(rng, policy, gateway=False, spoofed=0) for _ in range(times)]
    situation = Situation(NOW, lambda version, address: Hop(route(version, address)))
    world = World(NOW, route=route)
    sorting = _seconds([lambda: Rulebook(policy)] * 5)
    book = Rulebook(policy)
    first = _seconds([lambda: why(book, Question(packets[0]), situation)])
    answers = _seconds([_ask(book, packet, situation) for packet in packets])
    plain = _seconds([_decide(policy, packet, world) for packet in packets[: times // 4]])
    near = nearly_all(policy)
    crowd = Rulebook(near)
    packet = msgspec.structs.replace(packets[0], protocol=6, destination_port=4444)
    crowded = _seconds([_ask(crowd, packet, situation)] * 20)
    count = why(crowd, Question(packet), situation).near_count
    return [
        Row(
            f"why, {RULES:,} rules, random packets",
            f"p50 {_at(answers, 50)}, p99 {_at(answers, 99)}",
            f"decide alone: p50 {_at(plain, 50)}",
            answers[len(answers) // 2] / plain[len(plain) // 2],
            "p99 < 5 ms",
            answers[len(answers) * 99 // 100] < WANTED,
        ),
        Row("why, the first question to a policy", _said(first[0]), "", None, "< 5 ms", first[0] < WANTED),
        Row(
            f"why, where {count:,} rules nearly decide",
            f"p50 {_at(crowded, 50)}, most {_said(crowded[-1])}",
            "",
            None,
            "< 5 ms",
            crowded[len(crowded) // 2] < WANTED,
        ),
        Row("sorting the rules, once for a policy", f"p50 {_at(sorting, 50)}"),
    ]


def nearly_all(policy: Policy) -> Policy:
    """The same rules, each of which one packet misses in its port only."""
    every = (Range(4, 0, 2**32 - 1), Range(6, 0, 2**128 - 1))
    where = msgspec.structs.replace(policy.rules[0].source, ranges=every)
    return msgspec.structs.replace(
        policy,
        rules=tuple(
            msgspec.structs.replace(
                rule,
                sources=("any",),
                destinations=("any",),
                source=where,
                destination=where,
                services=(ServiceEntry(6, ports=(number % 4000 + 1, number % 4000 + 1)),),
            )
            for number, rule in enumerate(policy.rules)
        ),
    )


def _ask(book: Rulebook, packet: Packet, situation: Situation) -> Callable[[], object]:
    return lambda: why(book, Question(packet), situation)


def _decide(policy: Policy, packet: Packet, world: World) -> Callable[[], object]:
    return lambda: decide(policy, packet, world)


def _seconds(calls: Sequence[Callable[[], object]]) -> list[float]:
    """How long each took, sorted."""
    taken = []
    for call in calls:
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return sorted(taken)


def _at(taken: Sequence[float], percent: int) -> str:
    return _said(taken[len(taken) * percent // 100])


def _said(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"
