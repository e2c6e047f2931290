"""Times of a week and the minute at which something ends."""

from __future__ import annotations

import itertools
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.policy import times
from appliance.policy.times import TimeError

BELIZE = ZoneInfo("America/Belize")
LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("words", "spans"),
    [
        ("mon 07:30-17:00", [(450, 1020)]),
        ("Mon,Wed 00:00-24:00", [(0, 1440), (2880, 4320)]),
        ("sat-mon", [(0, 1440), (7200, 10080)]),
        ("sun 22:00-06:00", [(0, 360), (9960, 10080)]),
        ("mon - tue 8:00 - 9:00", [(480, 540), (1920, 1980)]),
        ("00:00-24:00", [(0, 10080)]),
    ],
)
def test_words_become_minutes_of_the_week(words: str, spans: list[tuple[int, int]]) -> None:
    assert list(times.merge(times.week_spans(words))) == spans


@given(st.lists(st.tuples(st.integers(0, 10079), st.integers(1, 1440)), max_size=8))
def test_merged_spans_hold_the_same_minutes(pairs: list[tuple[int, int]]) -> None:
    spans = [(first, min(first + length, 10080)) for first, length in pairs]
    merged = times.merge(spans)
    assert {m for a, b in merged for m in range(a, b)} == {m for a, b in spans for m in range(a, b)}
    assert all(left[1] < right[0] for left, right in itertools.pairwise(merged))


@pytest.mark.parametrize(
    "words", ["mon-fri 07:30-17:00", "sat,sun 00:00-24:00", "mon 22:00-06:00", "mon 00:00-06:00, wed 08:00-09:00"]
)
def test_spans_are_said_so_that_they_can_be_read_again(words: str) -> None:
    spans = times.merge([span for part in words.split(", ") for span in times.week_spans(part)])
    said = times.words_of_spans(spans)
    assert said in (words, "sat-sun 00:00-24:00", "sat 00:00-sun 24:00", "mon 22:00-tue 06:00")


def test_a_date_ends_with_its_day_and_a_minute_at_that_minute() -> None:
    assert times.moment("2027-03-31", BELIZE) == ("2027-03-31", int(datetime(2027, 4, 1, tzinfo=BELIZE).timestamp()))
    written = "2027-03-31T17:00"
    assert times.moment(written, BELIZE) == (written, int(datetime(2027, 3, 31, 17, tzinfo=BELIZE).timestamp()))
    assert times.moment("2027-03-31 17:00", BELIZE)[0] == written


def test_the_day_on_which_the_clock_changes_is_as_long_as_it_is() -> None:
    before, after = times.moment("2027-03-27", LONDON)[1], times.moment("2027-03-28", LONDON)[1]
    assert after - before == 23 * 3600


@pytest.mark.parametrize("text", ["2027-02-29", "2027-13-01", "9999-12-31", "2027-01-01T24:00", "0000-01-01"])
def test_a_moment_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(TimeError) as refused:
        times.moment(text, BELIZE)
    assert refused.value.remedy


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "America"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(TimeError, match="is not known"):
        times.zone(name)
