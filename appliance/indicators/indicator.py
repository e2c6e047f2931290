"""One indicator: what to look for, how sure its source is, from when until when. Nothing here knows how it came."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from appliance.events.tlp import Tlp
from appliance.indicators.pattern import PatternError, parse
from appliance.indicators.values import NotEnforceable, Value, values_of

MAX_WORDS = 300  # characters of a name that are kept
_WORDS_ALONE = "the pattern cannot be read"


class Indicator(msgspec.Struct, frozen=True, gc=False):
    """`id` is the source's own and stays the same over versions; `modified` says which version this is.

    Moments are seconds since the epoch; `until` 0 for none. `confidence` 0 to 100 (STIX 2.1 appendix A), None
    where the source says nothing. Any one of `values` is enough; where there are none, `unenforced` says why.
    """

    id: str
    name: str = ""
    values: tuple[Value, ...] = ()
    unenforced: str = ""
    confidence: int | None = None
    tlp: Tlp = Tlp.CLEAR
    labels: tuple[str, ...] = ()
    created: float = 0.0
    modified: float = 0.0
    since: float = 0.0
    until: float = 0.0
    revoked: bool = False

    def holds(self, now: float) -> bool:
        """Is it valid at that moment?"""
        return not self.revoked and self.since <= now and (self.until == 0 or now < self.until)


class Refused(msgspec.Struct, frozen=True):
    """A part of what came that is no indicator: which, and why."""

    which: str
    why: str


class Read(msgspec.Struct, frozen=True):
    """What a document held. `raw` are those that came as objects of STIX, by their ids, as they came."""

    indicators: tuple[Indicator, ...]
    refused: tuple[Refused, ...] = ()
    raw: dict[str, bytes] = {}


class Unreadable(Exception):
    """The document as a whole cannot be read; the text says why and what would be right."""


def looked_for(text: str) -> tuple[tuple[Value, ...], str]:
    """The values of a STIX pattern, or none and why."""
    try:
        return values_of(parse(text)), ""
    except PatternError as error:
        return (), f"{_WORDS_ALONE}: {error}"
    except NotEnforceable as error:
        return (), str(error)


def moment(stamp: str) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC, as STIX writes it. Raises ValueError."""
    found = datetime.fromisoformat(stamp)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def plain(words: str) -> str:
    """Words of others as they may be shown: one line, no control characters, not too long."""
    if len(words) <= MAX_WORDS and words.isprintable() and "  " not in words:
        return words.strip()
    cleaned = "".join(one if one.isprintable() else " " for one in words[: 2 * MAX_WORDS])
    return " ".join(cleaned.split())[:MAX_WORDS]
