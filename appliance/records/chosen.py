"""Which entries of the trail somebody asked for: from the end backwards, a stretch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from appliance.control.messages.audit import MOST_ENTRIES, AuditEntries, AuditEntry, AuditLog
from appliance.events import record
from appliance.records.merkle import TILE_WIDTH
from appliance.records.trail import SEGMENT

_MOST_LOOKED_AT = 50_000  # entries for one answer
_MOST_BYTES = 16 << 20

Entries = Callable[[int, int], Iterator[bytes]]


class _Event(msgspec.Struct, frozen=True):
    timestamp: str
    audit: record.Audit


_decoder = msgspec.json.Decoder(_Event)


def chosen(asked: AuditLog, entries: Entries, size: int) -> AuditEntries:
    """The answer to `asked` from a trail of `size` entries."""
    found: list[AuditEntry] = []
    limit = max(1, min(asked.limit, MOST_ENTRIES))
    stop = min(asked.before, size) if asked.before else size
    looked = held = 0
    while stop and looked < _MOST_LOOKED_AT:
        first = (stop - 1) // SEGMENT * SEGMENT
        start = max(first, stop - 4 * TILE_WIDTH)
        for index, body in reversed(list(enumerate(entries(start, stop), start))):
            looked, stop = looked + 1, index
            if chooses(asked, body):
                found.append(AuditEntry(index, body))
                held += len(body)
                if len(found) == limit or held >= _MOST_BYTES:
                    return AuditEntries(tuple(found), stop, size)
    return AuditEntries(tuple(found), stop, size)


def chooses(asked: AuditLog, body: bytes) -> bool:
    """Whether an entry is one of those; one that was disposed of is when nothing is asked of its content."""
    if not (asked.since or asked.until or asked.actor or asked.action or asked.words):
        return True
    if asked.words and asked.words.encode() not in body:
        return False
    try:
        event = _decoder.decode(body)
    except msgspec.DecodeError:
        return False
    moment = record.parse_time(event.timestamp).timestamp() if asked.since or asked.until else 0.0
    audit = event.audit
    return (
        (not asked.actor or audit.actor == asked.actor)
        and (not asked.action or audit.action == asked.action or _of_subject(asked.action, audit.action))
        and (not asked.since or moment >= asked.since)
        and (not asked.until or moment < asked.until)
    )


def _of_subject(wanted: str, action: str) -> bool:
    return wanted.endswith(".") and action.startswith(wanted)
