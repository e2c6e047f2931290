"""A bundle: everything one generation needs, compiled, sealed by one digest and one signature.

`policyd` builds it, `keyd` signs its digest, `applyd` and the other consumers read it. It is the only
thing that crosses from the side that parses policy to the side that holds privilege.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.console import ConsoleSettings
from appliance.policy.consumers import AlertSettings, Consumer
from appliance.policy.detections import Detections
from appliance.policy.indicators import IndicatorSettings
from appliance.policy.model import (
    Banning,
    Dynamic,
    Feed,
    InterfaceAddress,
    LogPhase,
    Profile,
    Protection,
    Route,
    ServiceEntry,
    Suppression,
)
from appliance.policy.notices import NoticeSettings, Officer
from appliance.policy.records import AuditSettings

# The conntrack mark: rule number (18 bits), generation (4 bits), pair of zones (7 bits, `decided.py`), flags (3).
MARK_RULE = 0x0003FFFF
MARK_GENERATION = 0x003C0000
MARK_GENERATION_SHIFT = 18
MARK_PAIR = 0x1FC00000
MARK_PAIR_SHIFT = 22
MARK_FLAGS = 0xE0000000
# Flags. Revisit: what was decided may end by itself (people, schedule, expiry), so the generation alone is not
# enough. The queue flags: these packets go to inspection, and what happens to them while nobody inspects.
FLAG_REVISIT = 0x20000000
FLAG_QUEUE_OPEN = 0x40000000
FLAG_QUEUE_CLOSED = 0x80000000
FLAGS_QUEUE = FLAG_QUEUE_OPEN | FLAG_QUEUE_CLOSED
# Before it is queued a packet gets the connection's mark as its own; whoever judges it writes one of these instead.
# Each has a value that no connection's mark has once it is decided (the generation is never 0).
VERDICT_GO_ON = 0x0
VERDICT_DONE = 0x1  # and no packet of the connection needs to be judged any more
VERDICT_REJECT = 0x2
# First and last queue of fail-closed and of fail-open connections.
QUEUES_CLOSED = (0, 3)
QUEUES_OPEN = (4, 7)
MAX_RULE_NUMBER = MARK_RULE
MAX_PAIR = MARK_PAIR >> MARK_PAIR_SHIFT
GENERATION_MARKS = MARK_GENERATION >> MARK_GENERATION_SHIFT  # 1..15, then they come round


def generation_mark(generation: int) -> int:
    """The generation's bits of the conntrack mark: never 0, which means "not decided"."""
    return (generation % GENERATION_MARKS + 1) << MARK_GENERATION_SHIFT


def pair_mark(pair: int) -> int:
    """The bits of a pair of zones in the conntrack mark; 0 for those that have no number."""
    return pair << MARK_PAIR_SHIFT


class RuleInfo(msgspec.Struct, frozen=True):
    """What readers of counters, marks and logs need to know of a rule, without parsing policy."""

    id: str
    number: int
    action: str
    log: LogPhase = "none"
    owner: str = ""
    why: str = ""
    expires_at: int = 0
    said: str = ""  # one line in the policy's own words: "lan -> internet web"
    review: str = ""  # ISO date by which somebody must look at it again
    inspect: str = ""  # the profile under which its connections are inspected
    directions: tuple[Literal["inbound", "outbound", "inside"], ...] = ()  # where they go (`reactions.py`)


class ZoneInfo(msgspec.Struct, frozen=True):
    name: str
    interfaces: tuple[str, ...]
    antispoofing: bool = True
    external: bool = False  # its lines leave the house


QUARANTINE_TABLE = "reef_quarantine"  # inet: what devices that nobody accepted may do
INDICATORS_TABLE = "reef_indicators"  # inet: what indicators name


class QuarantineInfo(msgspec.Struct, frozen=True):
    """A zone in which devices that nobody accepted reach nothing but `may`."""

    zone: str
    interfaces: tuple[str, ...]
    may: tuple[ServiceEntry, ...] = ()


BRIDGE_TABLE = "reef_bridge"  # netdev: what becomes of the frames of bridges while nobody inspects them


def carried_table(bridge: str) -> str:
    """The netdev table that stands while inspection carries the frames of a bridge."""
    return f"reef_carried_{bridge}"


class BridgeInfo(msgspec.Struct, frozen=True):
    """A bump in the wire, for those who carry its frames and those who read what they tell."""

    name: str
    between: tuple[str, str]
    number: int
    inspect: str
    open: bool = False  # while inspection is away the kernel carries the frames
    protect: Protection | None = None

    @property
    def rule(self) -> RuleInfo:
        """As what is like a rule to inspection. What its connections are, to the site, is not known: both."""
        said = " <-> ".join(self.between)
        return RuleInfo(
            self.name, self.number, "allow", said=said, inspect=self.inspect, directions=("inbound", "outbound")
        )


class Bundle(msgspec.Struct, frozen=True):
    """One generation, compiled. `format` rises when a reader must refuse what it does not know."""

    site: str
    generation: int
    parent: int  # the generation it was edited from; 0 for none
    author: str
    reason: str
    created: float  # seconds since the epoch, UTC
    text: str  # the canonical policy text of the site
    inherited: dict[str, str]  # name -> text of every baseline it was compiled with
    ruleset: Ruleset
    rules: tuple[RuleInfo, ...] = ()
    zones: tuple[ZoneInfo, ...] = ()
    dynamics: tuple[Dynamic, ...] = ()
    addresses: tuple[InterfaceAddress, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: dict[str, str] = {}
    objects: dict[str, tuple[str, ...]] = {}  # name -> CIDRs/ranges, so that logs can say names
    services: dict[str, tuple[str, ...]] = {}  # name -> entries ("tcp/443"), for the same reason
    networks: dict[str, tuple[str, ...]] = {}  # zone -> CIDRs/ranges, likewise
    drift: Literal["report", "repair"] = "repair"
    confirm_within: int = 120
    nameservers: tuple[str, ...] = ()
    files: dict[str, str] = {}  # path as written in the text -> contents of every list file
    history: int = 500  # generations to keep
    flow_log_days: int = 30  # how long inspectd keeps the flow log
    keep_files: Literal["none", "rules", "all"] = "none"  # files of inspected traffic that inspectd keeps
    keep_evidence: bool = False  # and the packets of connections with alerts
    keep_days: int = 30
    profiles: tuple[Profile, ...] = ()  # those that rules name
    suppressions: tuple[Suppression, ...] = ()
    feeds: tuple[Feed, ...] = ()
    detections: Detections = Detections()  # what watchd looks for, and from when on it tells
    protections: dict[str, Protection] = {}  # zone -> what the XDP gate does at its lines
    bans: Banning = Banning()
    alerts: AlertSettings = AlertSettings()
    consumers: tuple[Consumer, ...] = ()
    indicators: IndicatorSettings = IndicatorSettings()
    notices: NoticeSettings = NoticeSettings()
    officers: tuple[Officer, ...] = ()
    audit: AuditSettings = AuditSettings()
    console: ConsoleSettings = ConsoleSettings()
    bridges: tuple[BridgeInfo, ...] = ()
    quarantines: tuple[QuarantineInfo, ...] = ()
    horizon: int = 0  # until when schedules and expiries are compiled (epoch); 0: nothing depends on time
    requires: tuple[str, ...] = ()  # kernel capabilities it uses, e.g. "queue", "flowtable"
    omitted: tuple[str, ...] = ()  # what the text asks and this kernel lacks, in words
    format: int = 1


def encode(bundle: Bundle) -> bytes:
    """The bundle's canonical bytes: JSON with sorted keys, so that equal bundles have equal digests."""
    return msgspec.json.encode(bundle, order="deterministic")


def decode(data: bytes) -> Bundle:
    """Raises `msgspec.DecodeError` for anything that is not a bundle of this format."""
    try:
        bundle = msgspec.json.decode(data, type=Bundle)
    except UnicodeDecodeError as error:  # msgspec lets it through
        raise msgspec.DecodeError(f"not UTF-8: {error}") from error
    if bundle.format != 1:
        raise msgspec.ValidationError(f"bundle format {bundle.format} is not known here; this reads format 1")
    return bundle


def digest(data: bytes) -> str:
    """SHA-256 of the encoded bundle, in hexadecimal: what is signed and what the history names."""
    return hashlib.sha256(data).hexdigest()
