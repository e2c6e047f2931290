"""Whatever is done to a text is taken back exactly, with any letters, in any number of steps."""

from __future__ import annotations

import random

import pytest

from appliance.drafts.edits import Edit, applied
from appliance.drafts.undoing import Step, done, inverse, joined, step

LETTERS = "ab\n é\U0001f525ñ#:"


def some_edits(text: str, chance: random.Random) -> tuple[Edit, ...]:
    """Sorted edits that do not overlap and cut no letter in two."""
    bounds = [0]
    for letter in text:
        bounds.append(bounds[-1] + (2 if ord(letter) > 0xFFFF else 1))
    places = sorted(chance.choices(bounds, k=2 * chance.randint(0, 4)))
    return tuple(
        Edit(start, end, "".join(chance.choices(LETTERS, k=chance.randint(0, 6))))
        for start, end in zip(places[::2], places[1::2], strict=True)
    )


@pytest.mark.parametrize("seed", range(40))
def test_every_edit_is_taken_back_exactly(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choices(LETTERS, k=chance.randint(0, 60)))
    for _ in range(10):
        edits = some_edits(text, chance)
        new = applied(text, edits)
        assert applied(new, inverse(text, edits)) == text
        text = new


def typed(text: str, letters: str, at: float) -> tuple[str, list[Step]]:
    steps = []
    for number, letter in enumerate(letters):
        edits = (Edit(len(text), len(text), letter),)
        steps.append(step(text, edits, "typing", at + number * 0.1))
        text = applied(text, edits)
    return text, steps


def test_typing_that_goes_on_is_one_step() -> None:
    text, steps = typed("begin ", "word", 100.0)
    whole = steps[0]
    for one in steps[1:]:
        together = joined(whole, one)
        assert together is not None
        whole = together
    back, edits = done(text, whole.backward)
    assert back == "begin "
    assert applied(text, edits) == back
    again, edits = done(back, whole.forward)
    assert again == applied(back, edits) == text


def test_other_things_are_steps_of_their_own() -> None:
    _, (first, second) = typed("", "ab", 100.0)
    late = Step(second.forward, second.backward, "typing", first.at + 60)
    named = Step(second.forward, second.backward, "delete R-1", second.at)
    past = Step(second.forward, second.backward, "typing", first.at - 1)
    assert [joined(first, one) for one in (late, named, past)] == [None, None, None]
    assert joined(named, named) is None
