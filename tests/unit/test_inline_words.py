"""What a person reads of lanes that have more to look into than time: beginning, worse and over, once each."""

from __future__ import annotations

from dataplane.inline import Strained


def test_a_lane_that_keeps_up_says_nothing() -> None:
    strained = Strained(0)
    assert [strained.words(0, 0, 0) for _ in range(3)] == [[], [], []]


def test_each_step_is_said_once_and_the_end_with_what_was_left_out() -> None:
    strained = Strained(1)
    (first,) = strained.words(1, 1, 10)
    assert first.startswith("lane 1: more to look into than time") and first.endswith("(1 of 5)")
    assert strained.words(1, 1, 20) == []
    (worse,) = strained.words(2, 3, 40)
    assert worse.endswith("(3 of 5)")
    assert strained.words(1, 2, 50) == []
    (over,) = strained.words(0, 1, 60)
    assert over == "lane 1: time for everything again; packets that were left out: 60"
    assert strained.words(0, 0, 60) == []


def test_what_came_and_went_between_two_looks_is_said_too() -> None:
    strained = Strained(0)
    (said,) = strained.words(0, 2, 5)
    assert said.endswith("(2 of 5)")


def test_a_second_time_counts_from_the_first() -> None:
    strained = Strained(0)
    strained.words(1, 1, 5)
    strained.words(0, 0, 5)
    strained.words(1, 1, 7)
    assert strained.words(0, 0, 9) == ["lane 0: time for everything again; packets that were left out: 4"]
