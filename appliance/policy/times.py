"""Times of a week, dates and minutes, in a zone of the IANA database."""

from __future__ import annotations

import functools
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES


class TimeError(ValueError):
    """A time that cannot be; `remedy` says what would be right."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


@functools.lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of a name. Raises `TimeError`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TimeError(
            f"the time zone `{name}` is not known", "write a name like `America/Belize` or `UTC`"
        ) from None


_TIME = re.compile(r"(?P<fh>[0-9]{1,2}):(?P<fm>[0-9]{2}) ?- ?(?P<th>[0-9]{1,2}):(?P<tm>[0-9]{2})")
_DAY = re.compile(r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?")


def week_spans(words: str) -> list[tuple[int, int]]:
    """Half-open spans of minutes of the week for `mon-fri 07:30-17:00`, `sat,sun`, `22:00-06:00`.

    A time that ends before it begins runs past midnight into the next day. Raises `TimeError`.
    """
    text = words.strip().lower()
    days = list(range(7))
    start, end = 0, DAY_MINUTES
    match = _TIME.search(text)
    day_text = text
    if match is not None:
        if match.end() != len(text):
            raise TimeError(
                f"`{words}`: something follows the time", "write days, then one time: `mon-fri 07:30-17:00`"
            )
        day_text = text[: match.start()].strip()
        start = _minute(int(match["fh"]), int(match["fm"]), words)
        end = _minute(int(match["th"]), int(match["tm"]), words)
        if start == end:
            raise TimeError(f"`{words}` begins and ends at the same minute", "write the days alone for the whole day")
        if start == DAY_MINUTES:
            raise TimeError(f"`{words}` begins at 24:00", "write 00:00 of the next day")
    if day_text:
        days = _days(day_text, words)
    spans: list[tuple[int, int]] = []
    for day in days:
        first = day * DAY_MINUTES + start
        last = day * DAY_MINUTES + end + (DAY_MINUTES if end < start else 0)
        if last <= WEEK_MINUTES:
            spans.append((first, last))
        else:
            spans.append((first, WEEK_MINUTES))
            spans.append((0, last - WEEK_MINUTES))
    return spans


def _minute(hour: int, minute: int, words: str) -> int:
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        raise TimeError(f"`{words}`: {hour:02}:{minute:02} is not a time of day", "write 00:00 to 24:00")
    return hour * 60 + minute


def _days(text: str, words: str) -> list[int]:
    found: list[int] = []
    for part in text.replace(" ", "").split(","):
        match = _DAY.fullmatch(part)
        if match is None or match["first"] not in DAYS or (match["last"] or "mon") not in DAYS:
            raise TimeError(
                f"`{words}`: `{part}` is not a day", f"write {', '.join(DAYS)}, or a range like `mon-fri`"
            )
        first = DAYS.index(match["first"])
        last = DAYS.index(match["last"]) if match["last"] else first
        found.extend((first + step) % 7 for step in range((last - first) % 7 + 1))
    return found


def merge(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted, disjoint, not adjacent."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def day(text: str) -> date:
    """A date. Raises `TimeError`."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise TimeError(
            f"`{text}` is not a day of the calendar", "write year-month-day, for example `2027-03-31`"
        ) from None


def moment(text: str, timezone: ZoneInfo) -> tuple[str, int]:
    """(normal form, seconds since the epoch) of `2027-03-31` (the end of that day) or `2027-03-31T17:00`.

    Raises `TimeError`.
    """
    normal = text.replace(" ", "T")
    if "T" in normal:
        day(normal[:10])
        try:
            local = datetime.fromisoformat(normal)
        except ValueError:
            raise TimeError(f"`{text}` is not a minute", "write for example `2027-03-31T17:00`") from None
    else:
        local = datetime.combine(day(normal), datetime.min.time())
        if local.year == 9999:
            raise TimeError(f"`{text}` is beyond the calendar", "leave the key out for no end")
        local += timedelta(days=1)
    try:
        return normal, int(local.replace(tzinfo=timezone).astimezone(UTC).timestamp())
    except (OverflowError, ValueError):
        raise TimeError(f"`{text}` is beyond the calendar", "write a year from 1971 to 9998") from None


def day_end(text: str, timezone: ZoneInfo) -> int:
    """Seconds since the epoch of the end of a day."""
    return moment(text, timezone)[1]


def words_of_spans(spans: tuple[tuple[int, int], ...]) -> str:
    """Spans of minutes of the week as a person writes them: `mon 07:30-17:00, tue 07:30-17:00`."""
    hours: dict[str, list[int]] = {}  # the same hours on several days are said once
    words: list[str] = []
    for first, last in spans:
        day, end_day = first // DAY_MINUTES, (last - 1) // DAY_MINUTES
        end = _clock(last - end_day * DAY_MINUTES)
        if day == end_day:
            hours.setdefault(f"{_clock(first - day * DAY_MINUTES)}-{end}", []).append(day)
        else:
            words.append(f"{DAYS[day]} {_clock(first - day * DAY_MINUTES)}-{DAYS[end_day]} {end}")
    return ", ".join([*(f"{_words_of_days(days)} {clock}" for clock, days in hours.items()), *words]) or "never"


def _words_of_days(days: list[int]) -> str:
    """`mon-fri`, `mon,wed`."""
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{DAYS[days[0]]}-{DAYS[days[-1]]}"
    return ",".join(DAYS[day] for day in days)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
