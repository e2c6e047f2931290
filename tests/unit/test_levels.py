"""Levels against their naive twin: every box compared with every other."""

from __future__ import annotations

import random

from appliance.policy.boxes import Box, Traffic, shape
from appliance.policy.compiling.cover import Cover
from appliance.policy.compiling.levels import MAX_CROSSINGS, Item, Ladder, crossing

TRAFFIC = Traffic(4, "tcp")
EVERYTHING = (0, 2**32 - 1)


def interval(rng: random.Random, full: tuple[int, int]) -> tuple[int, int]:
    kind = rng.random()
    if kind < 0.55:
        value = rng.randrange(24)
        return value, value
    if kind < 0.85:
        first = rng.randrange(24)
        return first, first + rng.randrange(1, 9)
    return full


def items(rng: random.Random, rule: str) -> tuple[Item, ...]:
    box = Box(interval(rng, EVERYTHING), interval(rng, EVERYTHING), interval(rng, (0, 65535)))
    wide, certain = rng.random() < 0.03, rng.random() < 0.8
    return (Item(rule, box, "wide" if wide else shape(box, TRAFFIC), certain=certain and not wide),)


def overlap(one: Box, other: Box) -> bool:
    return all(a[0] <= b[1] and b[0] <= a[1] for a, b in zip(one, other, strict=True))


def naive(ladder: Ladder, order: dict[str, int]) -> dict[str, tuple[int, tuple[Box, ...]]]:
    """Level and crossings of each rule's one box."""
    found: dict[str, tuple[int, tuple[Box, ...]]] = {}
    for rule in sorted(ladder.rules, key=order.__getitem__):
        (item,) = ladder.rules[rule]
        level, crossed, points = 0, 0, set()
        before = [each for earlier in found for each in ladder.rules[earlier]]
        for earlier, (below, _) in found.items():
            (other,) = ladder.rules[earlier]
            if not overlap(item.box, other.box):
                continue
            point = crossing(item, other, before, order)
            if point is None:
                level = max(level, below + 1)
            else:
                points.add(point)
                crossed = max(crossed, below + 1)
        few = len(points) <= MAX_CROSSINGS
        found[rule] = (level, tuple(sorted(points))) if few else (max(level, crossed), ())
    return found


def settled(ladder: Ladder) -> dict[str, tuple[int, tuple[Box, ...]]]:
    return {rule: (item.level, item.crossings) for rule, (item,) in ladder.rules.items()}


def test_levels_are_those_of_the_naive_comparison() -> None:
    for seed in range(12):
        rng = random.Random(seed)
        rules = {f"R-{number}": items(rng, f"R-{number}") for number in range(rng.choice((5, 60, 250)))}
        order = {rule: position for position, rule in enumerate(rules)}
        ladder = Ladder()
        ladder.change((), rules, order)
        assert settled(ladder) == naive(ladder, order)


def test_edits_keep_the_levels_of_the_naive_comparison() -> None:
    for seed in range(6):
        rng = random.Random(100 + seed)
        names = [f"R-{number}" for number in range(120)]
        order = {rule: position for position, rule in enumerate(names)}
        ladder = Ladder()
        ladder.change((), {rule: items(rng, rule) for rule in names}, order)
        for step in range(25):
            gone = rng.sample(list(ladder.rules), 2)
            back = {gone[0]: items(rng, gone[0])} if step % 3 else {}
            missing = [rule for rule in names if rule not in ladder.rules]
            if missing and step % 4 == 0:
                back[missing[0]] = items(rng, missing[0])
            ladder.change(gone, back, order)
            assert settled(ladder) == naive(ladder, order)


def test_two_boxes_of_one_shape_and_level_never_overlap() -> None:
    rng = random.Random(9)
    rules = {f"R-{number}": items(rng, f"R-{number}") for number in range(300)}
    order = {rule: position for position, rule in enumerate(rules)}
    ladder = Ladder()
    ladder.change((), rules, order)
    held = list(ladder.items())
    for index, one in enumerate(held):
        for other in held[:index]:
            if one.level == other.level and one.shape == other.shape:
                assert not overlap(one.box, other.box)


def reached(items: dict[str, tuple[Item, ...]], order: dict[str, int]) -> set[str]:
    found = set()
    for rule, (item,) in items.items():
        earlier = [each for other, (each,) in items.items() if order[other] < order[rule] and each.certain]
        if not any(
            all(a[0] <= b[0] and b[1] <= a[1] for a, b in zip(other.box, item.box, strict=True)) for other in earlier
        ):
            found.add(rule)
    return found


def test_edits_keep_what_the_naive_comparison_finds_covered() -> None:
    for seed in range(6):
        rng = random.Random(200 + seed)
        names = [f"R-{number}" for number in range(120)]
        order = {rule: position for position, rule in enumerate(names)}
        held = {rule: items(rng, rule) for rule in names}
        cover = Cover()
        known = {rule: bool(kept) for rule, kept in cover.change((), held, order).items()}
        assert 0 < sum(known.values()) < len(known)
        for _ in range(25):
            gone = rng.sample(list(held), 2)
            back = {gone[0]: items(rng, gone[0])}
            held = {rule: kept for rule, kept in held.items() if rule not in gone} | back
            known |= {rule: bool(kept) for rule, kept in cover.change(gone, back, order).items()}
            assert {rule for rule, kept in known.items() if kept} == reached(held, order)


def test_a_crossing_that_goes_with_its_rule_is_reported() -> None:
    order = {"A": 0, "B": 1}
    ladder = Ladder()
    line = Box((1, 1), EVERYTHING, (443, 443))
    across = Box(EVERYTHING, (2, 2), (443, 443))
    point = Box((1, 1), (2, 2), (443, 443))
    came = ladder.change(
        (),
        {"A": (Item("A", line, shape(line, TRAFFIC)),), "B": (Item("B", across, shape(across, TRAFFIC)),)},
        order,
    )
    assert came == {point}
    assert {item.level for item in ladder.items()} == {0}
    assert ladder.change(["A"], {}, order) == {point}
    assert ladder.crossings == {}
