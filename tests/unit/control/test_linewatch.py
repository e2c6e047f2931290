"""What passes the lines, and since when each is as it is."""

from __future__ import annotations

import pytest

from appliance.control.applying.linewatch import LineWatch, Place
from appliance.control.kernel.rtnetlink import Counted, Line
from appliance.control.messages.lines import MOST_LINES, LineList, LineState

BEGUN = 1_800_000_000.0
PLACES = {"wan0": Place(zone="internet"), "lan0": Place(zone="lan"), "ens1": Place(bridge="edge")}
WANTED = frozenset(PLACES)


def line(name: str, received: int = 0, *, index: int = 2, up: bool = True, carrier: bool = True) -> Line:
    counted = Counted(received_packets=received // 100, received_bytes=received, sent_bytes=2 * received)
    return Line(index, name, up, received=counted.received_packets, carrier=carrier, counted=counted)


class Looked:
    """A watch that is looked at with seconds since it began."""

    def __init__(self) -> None:
        self.watch = LineWatch(BEGUN)

    def look(self, second: float, *lines: Line) -> None:
        self.watch.look(lines, WANTED, BEGUN + second, second)

    def listed(self, name: str = "") -> LineList:
        return self.watch.listed(7, PLACES, {2: ["10.20.0.1/16"]}, name)

    def of(self, name: str) -> LineState:
        return next(one for one in self.listed().lines if one.name == name)


@pytest.fixture
def looked() -> Looked:
    return Looked()


def test_lines_come_in_the_order_of_the_policy_with_what_they_belong_to(looked: Looked) -> None:
    looked.look(
        0, line("lan0"), line("wan0", index=3), line("usb0", 500, index=9), Line(1, "lo", True, loopback=True)
    )
    shown = looked.listed()
    assert [(one.name, one.zone, one.bridge, one.state) for one in shown.lines] == [
        ("wan0", "internet", "", "up"),
        ("lan0", "lan", "", "up"),
        ("ens1", "", "edge", "missing"),
        ("usb0", "", "", "up"),
    ]
    assert (shown.generation, shown.watched, shown.at, shown.total) == (7, BEGUN, BEGUN, 4)
    assert looked.of("lan0").addresses == ("10.20.0.1/16",)


def test_a_line_is_as_it_is_since_somebody_saw_it_change(looked: Looked) -> None:
    looked.look(0, line("lan0"))
    assert looked.of("lan0").since == 0, "it was so before anybody looked"
    looked.look(5, line("lan0", carrier=False))
    looked.look(10, line("lan0", carrier=False))
    assert (looked.of("lan0").state, looked.of("lan0").since) == ("no carrier", BEGUN + 5)
    looked.look(15, line("lan0", up=False, carrier=False))
    assert (looked.of("lan0").state, looked.of("lan0").since) == ("off", BEGUN + 15)
    looked.look(20)
    assert (looked.of("lan0").state, looked.of("lan0").since) == ("missing", BEGUN + 20)
    looked.look(25, line("lan0", index=8))
    assert (looked.of("lan0").state, looked.of("lan0").since) == ("up", BEGUN + 25)


def test_rates_are_what_came_and_went_in_the_time_between(looked: Looked) -> None:
    looked.look(0, line("lan0", 1_000))
    assert looked.of("lan0").received.byte_rate == -1, "one look says nothing of speed"
    looked.look(0.2, line("lan0", 1_100))
    assert looked.of("lan0").received.byte_rate == -1, "nor do two at once"
    looked.look(2, line("lan0", 21_000))
    side = looked.of("lan0").received
    assert (side.bytes, side.byte_rate, side.packet_rate) == (21_000, 10_000, 100)
    assert looked.of("lan0").sent.byte_rate == 20_000


def test_the_past_is_the_same_however_often_somebody_asks(looked: Looked) -> None:
    for tenth in range(201):
        second = tenth / 10
        looked.look(second, line("lan0", round(second * 1000)))
    past = looked.listed("lan0").past
    assert past is not None
    assert [round(at - BEGUN, 1) for at in past.times] == [4.5, 9.0, 13.5, 18.0]
    assert past.received == pytest.approx((1000, 1000, 1000, 1000))
    assert past.sent == pytest.approx((2000, 2000, 2000, 2000))


def test_the_past_ends_after_ten_minutes_and_is_told_of_lines_that_are_known(looked: Looked) -> None:
    for second in range(0, 2000, 5):
        looked.look(second, line("lan0", second))
    past = looked.listed("lan0").past
    assert past is not None
    assert len(past.times) == 120
    assert looked.listed("lan1").past is None


def test_another_interface_of_the_same_name_begins_anew(looked: Looked) -> None:
    looked.look(0, line("lan0", 50_000))
    looked.look(5, line("lan0", 60_000))
    looked.look(10, line("lan0", 300, index=8))
    assert looked.of("lan0").received.byte_rate == -1
    past = looked.listed("lan0").past
    assert past is not None
    assert past.times == ()
    looked.look(15, line("lan0", 800, index=8))
    assert looked.of("lan0").received.byte_rate == 100


def test_an_answer_is_bounded_and_says_how_many_there_are(looked: Looked) -> None:
    strangers = [line(f"usb{number}", 100, index=10 + number) for number in range(MOST_LINES)]
    looked.look(0, line("lan0"), *strangers)
    shown = looked.listed()
    assert (len(shown.lines), shown.total) == (MOST_LINES, MOST_LINES + 3)
    looked.look(5, line("lan0"))
    assert looked.listed().total == 3, "who went and was nobody's is forgotten"
