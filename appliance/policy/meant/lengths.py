"""Lengths of time as a text has them: `30 minutes`, `7 days`."""

from __future__ import annotations

from appliance.policy.meant.rules import SECONDS
from appliance.policy.written.text import Report, Word


def seconds(word: Word, least: int, most: int, right: str, report: Report) -> int:
    """What a word of `kinds.LASTING` says; out of bounds it is reported, and `right` says what would be right."""
    number, _, unit = word.value.partition(" ")
    found = int(number) * SECONDS[unit.removesuffix("s")]
    if not least <= found <= most:
        report.error(word.at, f"`{word.value}` is out of bounds", right)
    return min(max(found, least), most)
