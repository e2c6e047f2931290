"""Types of events that Suricata has not: what runs, what is there, how the gateway is.

Each is one member of the event, named as its type is; the rest is as in every event. `schema` says all of it as a
JSON Schema (docs/events.schema.json), `audit` of `record.py` too. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from appliance.events import record
from appliance.events.record import Audit, Event


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another generation of the policy is in force. `previous` is the one before, 0 where none is known."""

    generation: int
    previous: int
    rules: int
    consumers: int


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A zone: its interfaces, its networks, the gateway's own addresses in it."""

    zone: str
    interfaces: tuple[str, ...]
    external: bool
    networks: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the gateway is and where it stands, for who looks after many."""

    version: str  # of Reef
    system: str  # kernel and machine
    zones: tuple[Place, ...]


class Waiting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A consumer, the events that wait for it, and the seconds since it was heard of (-1: never)."""

    name: str
    events: int
    silent: int


class Health(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the gateway is. `drift` says what the kernel holds otherwise than the policy, "" for nothing."""

    well: bool
    generation: int
    confirmed: int
    drift: str
    room: str  # in the outbox: all, no-telemetry, nothing
    used: int  # bytes of the outbox
    size: int  # and what it may use
    consumers: tuple[Waiting, ...] = ()


OWN: dict[str, type[msgspec.Struct]] = {"audit": Audit, "health": Health, "inventory": Inventory, "policy": Policy}


def event(body: Policy | Inventory | Health, *, seconds: float, host: str) -> Event:
    """The event of one of these."""
    kind = type(body).__name__.lower()
    members: dict[str, Any] = {kind: msgspec.to_builtins(body)}
    return Event(record.format_time(seconds), kind, host=host, **members)


def words_of(event: Event) -> str:
    """Such an event in one line for people; "" for any other."""
    if event.policy is not None:
        return f"generation {event.policy.get('generation')} is in force, with {event.policy.get('rules')} rules"
    if event.inventory is not None:
        return f"Reef {event.inventory.get('version')} on {event.inventory.get('system')}"
    if event.health is not None:
        state = "well" if event.health.get("well") else "not well"
        drift = f", drift: {event.health['drift']}" if event.health.get("drift") else ""
        return f"{state}, room for {event.health.get('room')}{drift}"
    if event.audit is not None:
        return " ".join(str(event.audit.get(name, "")) for name in ("actor", "action", "object"))
    return ""


def schema() -> dict[str, Any]:
    """The JSON Schema of the events of these types, in the manner of Suricata's."""
    (_, *_), definitions = msgspec.json.schema_components(list(OWN.values()), ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Reef's own events, beside those of Suricata's EVE",
        "type": "object",
        "required": ["timestamp", "event_type"],
        "properties": {
            "timestamp": {"type": "string", "description": "2027-01-15T08:00:00.000000+0000"},
            "event_type": {"enum": sorted(OWN)},
            "host": {"type": "string", "description": "the site"},
            "metadata": {
                "type": "object",
                "properties": {"flowvars": {"type": "array", "items": {"type": "object"}}},
                "additionalProperties": False,
            },
            **{name: {"$ref": f"#/$defs/{kind.__name__}"} for name, kind in sorted(OWN.items())},
        },
        "additionalProperties": False,
        "oneOf": [{"properties": {"event_type": {"const": name}}, "required": [name]} for name in sorted(OWN)],
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }
