"""The event record: one line of EVE JSON, in the terms of Suricata's published schema.

The C engine writes such lines itself; processes written in Python make them with `Event`. What Reef knows
beyond the schema (which rule decided, which zones) stands in `metadata.flowvars`, which the schema leaves
open, under the group id "reef".
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import msgspec

GID = "reef"


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the gateway decided about the traffic of an event. `source` and `destination` are zones."""

    gid: str
    rule: str = ""
    action: str = ""
    source: str = msgspec.field(name="from", default="")
    destination: str = msgspec.field(name="to", default="")


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    flowvars: tuple[dict[str, Any], ...] = ()


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event. The members that only one event type has (flow, dns, drop …) stay plain JSON objects."""

    timestamp: str
    event_type: str
    flow_id: int | None = None
    in_iface: str = ""
    vlan: tuple[int, ...] = ()
    src_ip: str = ""
    src_port: int | None = None
    dest_ip: str = ""
    dest_port: int | None = None
    proto: str = ""
    ip_v: int | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    community_id: str = ""
    host: str = ""
    app_proto: str = ""
    flow: dict[str, Any] | None = None
    tcp: dict[str, Any] | None = None
    dns: dict[str, Any] | None = None
    tls: dict[str, Any] | None = None
    http: dict[str, Any] | None = None
    fileinfo: dict[str, Any] | None = None
    anomaly: dict[str, Any] | None = None
    drop: dict[str, Any] | None = None
    verdict: dict[str, Any] | None = None
    alert: dict[str, Any] | None = None
    engine: dict[str, Any] | None = None
    stats: dict[str, Any] | None = None
    metadata: Metadata | None = None

    @property
    def decision(self) -> Decision:
        """Rule, action and zones; an empty one where the event carries none."""
        for variable in self.metadata.flowvars if self.metadata else ():
            if variable.get("gid") == GID:
                return msgspec.convert(variable, Decision)
        return Decision(GID)

    @property
    def time(self) -> datetime:
        return parse_time(self.timestamp)


_decoder = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()


def decode(line: bytes) -> Event:
    """One line of EVE JSON. Raises `msgspec.DecodeError` for anything else."""
    return _decoder.decode(line)


def encode(event: Event) -> bytes:
    """The line of an event, with its newline."""
    return _encoder.encode(event) + b"\n"


def metadata(decision: Decision) -> Metadata:
    """How a decision is carried in an event."""
    return Metadata((msgspec.to_builtins(decision),))


def format_time(seconds: float) -> str:
    """EVE's time stamp of `seconds` since the epoch, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def parse_time(stamp: str) -> datetime:
    """The moment an EVE time stamp names. Raises ValueError."""
    return datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%f%z")


def notice(module: str, message: str, *, seconds: float, host: str = "", error: str = "") -> Event:
    """An event about the gateway itself: EVE's event type "engine"."""
    engine = {"module": module, "message": message}
    if error:
        engine["error"] = error
    return Event(timestamp=format_time(seconds), event_type="engine", host=host, engine=engine)


# What became of the rules of the taps, beside the spool of inspectd.
RULES_STATE = "rules.json"


class RulesState(msgspec.Struct, frozen=True):
    """How many rules the taps are inspected with, how many were refused; `error`: why none of the newest are."""

    loaded: int
    refused: int
    error: str = ""


# What the rules cost, likewise.
COSTS_STATE = "costs.json"


class RuleCostState(msgspec.Struct, frozen=True):
    """How often the conditions of a rule were asked and all held, nanoseconds of all checks and of the longest."""

    gid: int
    sid: int
    checks: int
    matches: int
    ns: int
    worst_ns: int


class CostsState(msgspec.Struct, frozen=True):
    """The dearest rules, the dearest first, counted since the rules came into force (seconds since the epoch)."""

    since: float
    until: float
    costs: tuple[RuleCostState, ...]


# Alerts of the gateway itself, beside those of inspection: EVE's generator id of ours, and a number for each.
ALERTS = 87
UNREGISTERED_LINE = 1
KERNEL_DISAGREES = 2
RULESET_DIFFERS = 3
BANNED = 4


def alert(signature: int, category: str, message: str, *, seconds: float, interface: str = "") -> Event:
    """An alert that the gateway raises itself, about an interface where one is concerned."""
    body = {
        "action": "blocked",
        "gid": ALERTS,
        "signature_id": signature,
        "rev": 1,
        "signature": message,
        "category": category,
        "severity": 1,
    }
    return Event(timestamp=format_time(seconds), event_type="alert", in_iface=interface, alert=body)


def banned(words: str, address: str, *, seconds: float, host: str = "") -> Event:
    """That the gateway banned an address by itself; `words` say why, and how to undo it."""
    body = {
        "action": "blocked",
        "gid": ALERTS,
        "signature_id": BANNED,
        "rev": 1,
        "signature": words,
        "category": "Banned by itself",
        "severity": 2,
    }
    full = ip_address(address).exploded
    return Event(timestamp=format_time(seconds), event_type="alert", src_ip=full, host=host, alert=body)
