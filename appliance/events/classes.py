"""What kind of event is kept how long, and what goes first when there is no room."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Class(IntEnum):
    """The greater goes first."""

    ALERT = 0
    AUDIT = 1
    NOTICE = 2
    TELEMETRY = 3


_OF_TYPE = {
    "alert": Class.ALERT,
    "audit": Class.AUDIT,
    "engine": Class.NOTICE,
    "health": Class.NOTICE,
    "inventory": Class.NOTICE,
    "policy": Class.NOTICE,
}
# The collections of a policy's consumers that are classes of events.
OF_COLLECTION = {
    "alerts": Class.ALERT,
    "audit": Class.AUDIT,
    "notices": Class.NOTICE,
    "telemetry": Class.TELEMETRY,
}
COLLECTION_OF = {number: name for name, number in OF_COLLECTION.items()}


def class_of(event_type: str) -> Class:
    """The class of an EVE event type; what is not known is telemetry."""
    return _OF_TYPE.get(event_type, Class.TELEMETRY)


def classes_of(collections: Iterable[str]) -> frozenset[Class]:
    """What somebody may have who may have these collections."""
    return frozenset(OF_COLLECTION[name] for name in collections if name in OF_COLLECTION)
