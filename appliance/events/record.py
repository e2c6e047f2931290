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
    audit: dict[str, Any] | None = None
    policy: dict[str, Any] | None = None
    inventory: dict[str, Any] | None = None
    health: dict[str, Any] | None = None
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


AUDIT = "audit"
_MOST_WORDS = (2000, 500, 100)  # letters of one member of an audit entry; fewer where all together is too much
_MOST_MEMBERS = 32
_MOST_AUDIT = 60_000  # bytes of an entry


class Audit(msgspec.Struct, frozen=True, omit_defaults=True):
    """The member `audit` of an event: `actor` (a login, or a process by itself) did `action` to `object`.

    `process` is the one that did it for them and wrote it down, `why` is the reason or ticket that they gave,
    `origin` where they sat, `record` the class of records whose retention holds for it.
    """

    process: str
    actor: str
    action: str
    object: str
    record: str
    why: str = ""
    generation: int = 0
    origin: str = ""
    detail: dict[str, str] = {}


def audit(
    process: str,
    actor: str,
    action: str,
    object_: str,
    *,
    seconds: float,
    why: str = "",
    generation: int = 0,
    origin: str = "",
    detail: dict[str, str] | None = None,
    host: str = "",
) -> Event:
    """That somebody did something which must never be forgotten (R31, R32). `action` is `<subject>.<verb>`.

    Strings are cut where they are too long for an entry of the trail, which has at most 64 KiB.
    """
    listed = list((detail or {}).items())[:_MOST_MEMBERS]
    for most in _MOST_WORDS:
        body = Audit(
            process=process,
            actor=actor[:most],
            action=action,
            object=object_[:most],
            record=record_class(action),
            why=why[:most],
            generation=generation,
            origin=origin[:most],
            detail={name[:most]: words[:most] for name, words in listed},
        )
        event = Event(timestamp=format_time(seconds), event_type=AUDIT, host=host, audit=msgspec.to_builtins(body))
        if len(_encoder.encode(event)) <= _MOST_AUDIT:
            break
    return event


# The class of records by what an action is about; what is not here is administration.
RECORD_CLASSES = {
    "administration": "changes of the policy, approvals, holds, disposals, gaps of the trail itself",
    "enforcement": "bans, the allow-list, suppressions, indicators",
    "access": "log-ins, exports, unmasking, questions about hosts and people",
    "assets": "devices accepted or forgotten, feeds of signatures",
}
_CLASS_OF = {
    "allow": "enforcement", "ban": "enforcement", "indicator": "enforcement", "suppress": "enforcement",
    "evidence": "access", "export": "access", "login": "access", "look": "access", "session": "access",
    "token": "access", "unmask": "access",
    "device": "assets", "feed": "assets",
}  # fmt: skip


def record_class(action: str) -> str:
    """The class of records of an audited action."""
    return _CLASS_OF.get(action.partition(".")[0], "administration")


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
INDICATORS = 88  # of rules that look for indicators of compromise
UNREGISTERED_LINE = 1
KERNEL_DISAGREES = 2
RULESET_DIFFERS = 3
BANNED = 4
TRAIL_FORKED = 5
GLASS_BROKEN = 6
ACCOUNT_RECOVERED = 7
GLASS_BROKEN_TO_APPLY = 8
GUESSED = 9


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
