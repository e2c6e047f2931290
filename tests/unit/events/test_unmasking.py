"""Whom a pseudonym stands for: told to the two who ask, within an hour, and to nobody else."""

from __future__ import annotations

import pytest

from appliance.events.unmasking import PATIENCE, Unmasking, UnmaskingRefused

NAME = "fd00:0000:0000:0000:0000:0000:0000:0007"
MAC = "02:00:00:00:00:07"
KNOWN = {NAME: ("10.20.3.4", 2), MAC: ("52:54:00:00:00:07", 2)}


class Clock:
    def __init__(self) -> None:
        self.now = 5.0

    def __call__(self) -> float:
        return self.now


def unmasking(clock: Clock | None = None) -> Unmasking:
    return Unmasking(lambda name: KNOWN.get(name, ("", 0)), clock or Clock())


@pytest.mark.parametrize("written", [NAME, "fd00::7", "FD00::7"])
def test_the_second_is_told_and_then_the_first(written: str) -> None:
    one = unmasking()
    asked = one.ask(written, "ann")
    assert (asked.pseudonym, asked.first, asked.second, asked.address) == (NAME, "ann", "", "")
    told = one.ask(NAME, "ben")
    assert (told.first, told.second, told.address, told.key) == ("ann", "ben", "10.20.3.4", 2)
    assert one.ask(NAME, "ann").address == one.ask(NAME, "ben").address == "10.20.3.4"


def test_a_device_is_unmasked_likewise() -> None:
    one = unmasking()
    one.ask(MAC, "ann")
    assert one.ask(MAC.upper(), "ben").address == "52:54:00:00:00:07"


def test_one_person_is_not_two() -> None:
    one = unmasking()
    one.ask(NAME, "ann")
    with pytest.raises(UnmaskingRefused, match="another person"):
        one.ask("fd00::7", "ann")


def test_a_third_person_is_told_nothing() -> None:
    one = unmasking()
    one.ask(NAME, "ann")
    one.ask(NAME, "ben")
    with pytest.raises(UnmaskingRefused, match="ann and ben"):
        one.ask(NAME, "cat")


def test_after_an_hour_it_begins_anew() -> None:
    clock = Clock()
    one = unmasking(clock)
    one.ask(NAME, "ann")
    clock.now += PATIENCE
    assert (one.ask(NAME, "ben").first, one.ask(NAME, "cat").address) == ("ben", "10.20.3.4")
    clock.now += PATIENCE
    assert one.ask(NAME, "ben").address == ""


@pytest.mark.parametrize("written", ["fd00::8", "joe", "", "fd00::7%lan0", "1:2"])
def test_what_is_no_pseudonym_is_refused(written: str) -> None:
    with pytest.raises(UnmaskingRefused):
        unmasking().ask(written, "ann")


def test_so_many_can_be_asked_about_and_no_more() -> None:
    one = Unmasking(lambda name: ("10.20.3.4", 1), Clock())
    for number in range(100):
        one.ask(f"fd00::{number:x}", "ann")
    with pytest.raises(UnmaskingRefused, match="100"):
        one.ask("fd00::ffff", "ann")
    assert one.ask("fd00::0", "ben").address == "10.20.3.4", "who agrees is not held up"
