"""How long records are kept, class by class, and what their disposal leaves behind (ISO 15489-1, 9.9). Pure.

A disposal empties entries and leaves a certificate in the trail: which entries, of which class, under which rule.
Hash and place of an entry stay, so that the tree and every proof hold; what it said is gone. A legal hold keeps
entries whatever their age.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from appliance.events import record

DISPOSED = "record.dispose"
HELD, RELEASED = "record.hold", "record.release"
_MOST_RANGES = 90  # of one certificate: its words fit


class Hold(msgspec.Struct, frozen=True):
    """Nothing that these words stand in is disposed of: a case, a person, an address. `words` "" holds everything."""

    name: str
    words: str
    by: str
    why: str
    since: float


class _Event(msgspec.Struct, frozen=True):
    timestamp: str
    audit: record.Audit


_decoder = msgspec.json.Decoder(_Event)


def over(entry: bytes, seconds: dict[str, int], now: float, holds: Iterable[Hold]) -> str:
    """The class of an entry whose time is over at `now` (seconds since the epoch); "" for one that stays.

    What cannot be read stays, and so do certificates and holds: they say what became of the others.
    """
    try:
        event = _decoder.decode(entry)
        moment = record.parse_time(event.timestamp).timestamp()
    except (msgspec.DecodeError, ValueError):
        return ""
    kept = seconds.get(event.audit.record, 0)
    if not kept or event.audit.action.startswith("record.") or now - moment <= kept:
        return ""
    if any(hold.words.encode() in entry for hold in holds):
        return ""
    return event.audit.record


def spelled(numbers: Iterable[int]) -> list[tuple[str, list[int]]]:
    """Numbers in order as ranges in words, "3-5 9", each with the numbers; cut so that each fits one entry."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    cut = [found[at : at + _MOST_RANGES] for at in range(0, len(found), _MOST_RANGES)]
    return [
        (
            " ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in part),
            [number for first, last in part for number in range(first, last + 1)],
        )
        for part in cut
    ]


def ranges(words: str) -> Iterator[tuple[int, int]]:
    """What `spelled` wrote; what is no range is passed over."""
    for word in words.split():
        first, _, last = word.partition("-")
        if first.isdigit() and (last or first).isdigit():
            yield int(first), int(last or first)
