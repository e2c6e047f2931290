"""Times, sizes and counts as people read them. Pure functions."""

from __future__ import annotations

import time
from datetime import datetime


def local_time(seconds: float) -> str:
    """`2026-11-21 17:05:09` in the time zone of this session; "-" for 0 (never)."""
    if not seconds:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def clock(seconds: float) -> str:
    """`17:05:09.123` in the time zone of this session."""
    moment = datetime.fromtimestamp(seconds).astimezone()
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def duration(seconds: float) -> str:
    """`0:07`, `1:58`, `2 h 05 min`, `3 d 4 h`."""
    whole = max(0, round(seconds))
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def span(seconds: float) -> str:
    """`20 s`, `5 min`, `3 h`, `61 d`: a time in its largest whole unit, two of them where that says too little."""
    whole = max(0, int(seconds))
    for unit, length, smaller, rest in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= length:
            more = whole % length // rest if whole < 3 * length else 0
            return f"{whole // length} {unit}" + (f" {more} {smaller}" if more else "")
    return f"{whole} s"


def took(seconds: float) -> str:
    """`4 ms`, `0.31 s`: a measured time."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s"


def size(amount: int) -> str:
    """`512 B`, `1.4 kB`, `3.2 GB`: decimal units."""
    if amount < 1000:
        return f"{amount} B"
    value = float(amount)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 rule`, `12 rules`, `2 policies` (plural given)."""
    return f"{amount} {noun if amount == 1 else plural or noun + 's'}"


def parse_duration(text: str) -> int:
    """`90`, `90s`, `15m`, `2h`, `7d`, `1w` as seconds. Raises ValueError that says what is understood."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    digits, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    if not (digits.isascii() and digits.isdigit()) or int(digits) > 10**9:
        raise ValueError(f"{text!r} is not a duration; write a whole number and s, m, h, d or w, like 90s, 15m or 2h")
    return int(digits) * units[unit]


def parse_moment(text: str, now: float) -> float:
    """A moment as seconds since the epoch: `15m` (ago), `17:05` (today), an ISO date or date and time (local).

    Raises ValueError that says what is understood.
    """
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        if len(text) <= 8 and ":" in text:
            today = datetime.fromtimestamp(now)
            at = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M")
            return today.replace(hour=at.hour, minute=at.minute, second=at.second, microsecond=0).timestamp()
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is not a time; write how long ago (15m, 2h, 3d), a time of today (17:05) or 2027-03-31T17:05"
        ) from None
