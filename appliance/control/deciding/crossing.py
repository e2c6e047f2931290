"""Which zones may reach which: for every pair, how many rules in force allow something. Pure.

What a rule allows another above it may deny, and one that never matches allows nothing: that is for the proof to say,
which names such rules.
"""

from __future__ import annotations

from collections import Counter

from appliance.control.messages.lines import MOST_PAIRS, Crossing, CrossingList
from appliance.policy.model import ANY, Policy


def crossings(policy: Policy, generation: int, now: float) -> CrossingList:
    """`now` is seconds since the epoch."""
    zones = tuple(policy.zones)
    # Ten thousand rules say few different things here, and one from any to any says thousands of pairs.
    alike: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    for rule in policy.rules:
        if rule.action != "allow" or not rule.enabled or 0 < rule.expires_at <= now:
            continue
        sources = zones if ANY in rule.sources else rule.sources
        destinations = zones if ANY in rule.destinations else rule.destinations
        alike[sources, destinations] += 1
    found: Counter[tuple[str, str]] = Counter()
    for (sources, destinations), count in alike.items():
        for pair in {(source, destination) for source in sources for destination in destinations}:
            found[pair] += count
    pairs = tuple(Crossing(*pair, count) for pair, count in sorted(found.items()))
    return CrossingList(generation, pairs[:MOST_PAIRS], len(pairs))
