"""What the kernel says of its tables, with bytes no kernel writes: refused in words or understood, never a crash."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from appliance.control.applying import readings
from appliance.control.applying.readings import Unreadable, pack, unpack
from appliance.policy.model import Policy
from appliance.policy.readback.equivalence import equivalence, intent_of
from appliance.policy.readback.kernel import Snapshot
from tests.fuzz.test_control import mangled, rounds
from tests.policies import NOW, zones
from tests.readback import recorded

SECONDS = 3.0
Budget = Callable[[float], float]


def damaged(chance: random.Random, seed: Snapshot) -> Snapshot:
    """The snapshot with one of its messages mangled, gone, or there twice."""
    name = chance.choice(("tables", "chains", "rules", "sets", "elements"))
    if name == "elements":
        sets = list(seed.elements)
        place = chance.randrange(len(sets))
        family, table, of, held = sets[place]
        sets[place] = (family, table, of, tuple(mangled(chance, each) for each in held))
        return msgspec.structs.replace(seed, elements=tuple(sets))
    messages: list[bytes] = list(getattr(seed, name))
    place = chance.randrange(len(messages))
    match chance.randrange(6):
        case 0:
            del messages[place]
        case 1:
            messages.append(messages[place])
        case _:
            messages[place] = mangled(chance, messages[place])
    return msgspec.structs.replace(seed, **{name: tuple(messages)})


@pytest.mark.soak
def test_a_mangled_answer_of_the_kernel_is_refused_or_understood(budget: Budget) -> None:
    chance = random.Random(99)
    intent = msgspec.structs.replace(
        intent_of(Policy(site="small", zones=zones()), 5, {}, NOW, frozenset()), sysctls={}
    )
    seed = recorded()
    # The recorded table allows what this policy, which has no rules, denies.
    assert not equivalence(seed, intent).equal
    go_on, turns, refused, differs = rounds(budget(SECONDS)), 0, 0, 0
    while go_on():
        found = equivalence(damaged(chance, seed), intent, budget=2_000_000)
        differs += bool(found.differences)
        refused += any("cannot be read" in words for words in found.unknown)
        turns += 1
    assert turns > 5
    assert refused > 0
    assert differs > 0


@pytest.mark.soak
def test_a_mangled_packed_snapshot_is_refused_in_words(budget: Budget) -> None:
    chance = random.Random(100)
    packed = pack(recorded())
    go_on = rounds(budget(1.0))
    while go_on():
        try:
            unpack(mangled(chance, packed))
        except Unreadable as error:
            assert str(error)


def test_what_inflates_beyond_its_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "_PACKED_FROM", 100)
    packed = pack(recorded())
    assert unpack(packed) == recorded()
    monkeypatch.setattr(readings, "UNPACKED_LIMIT", 1000)
    with pytest.raises(Unreadable, match="more than 1000 bytes"):
        unpack(packed)
