"""The register of lines: which interfaces count as lines that nobody answers for, and how often they are told."""

from __future__ import annotations

import pytest

from appliance.control.kernel.register import AGAIN, Register, unregistered, words
from appliance.control.kernel.rtnetlink import Line

ZONES = frozenset({"wan0", "br0", "lan0.10"})
OURS = (
    Line(1, "lo", up=True, loopback=True, received=9),
    Line(2, "wan0", up=True, received=9),
    Line(3, "br0", up=True, received=9),
    Line(4, "port1", up=True, received=9, master=3),
    Line(5, "lan0", up=True, received=9),
    Line(6, "lan0.10", up=True, received=9, below=5),
)


def test_what_a_zone_stands_on_is_registered() -> None:
    assert unregistered(OURS, ZONES) == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (Line(9, "usb0", up=True, received=1), True),
        (Line(9, "usb0", up=True, received=0), False),
        (Line(9, "usb0", up=False, received=1), False),
        (Line(9, "wan0.7", up=True, received=1, below=2), True),  # stands on a zone, and is none itself
        (Line(9, "port2", up=True, received=1, master=8), True),  # a port of a bridge that is in no zone
    ],
)
def test_a_line_in_no_zone_is_told_when_it_carries_traffic(line: Line, told: bool) -> None:
    assert bool(unregistered((*OURS, line), ZONES)) is told


def test_it_is_told_at_once_and_then_hourly_while_it_goes_on() -> None:
    register = Register()

    def told(received: int, now: float) -> bool:
        return bool(register.look([Line(9, "usb0", up=True, received=received)], ZONES, now))

    assert [told(1, 0.0), told(5, 5.0), told(1, AGAIN), told(6, AGAIN + 1), told(9, AGAIN + 2)] == [
        True, False, False, True, False,
    ]  # fmt: skip
    assert [line.name for line in register.unregistered] == ["usb0"]
    assert register.look([], ZONES, AGAIN + 3) == () == register.unregistered
    assert told(1, AGAIN + 4)  # unplugged and plugged in again


def test_the_words_say_what_to_do() -> None:
    said = words(Line(9, "usb0", up=True, received=12))
    assert "usb0" in said and "12 packets" in said and "`connections`" in said
