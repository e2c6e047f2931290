"""The typed messages between the command line, `policyd` and `applyd`.

Each request is one struct, answered by its reply struct or by `Refused`. `ipc.py` frames them and names
the peer. Tagged unions: the wire form is JSON with a "type" field.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.control.messages.alerts import (
    AlertCounts,
    AlertCountsAre,
    AlertIs,
    Alerts,
    AlertsAre,
    AlertsBehind,
    AlertsCame,
    AlertTrend,
    AlertTrendIs,
    AlertWith,
)
from appliance.control.messages.audit import (
    AuditBundles,
    AuditBundlesAre,
    AuditCheckpoint,
    AuditCheckpointIs,
    AuditContinued,
    AuditContinues,
    AuditEntries,
    AuditHealth,
    AuditHealthIs,
    AuditLog,
    AuditNote,
    AuditProof,
    AuditProve,
    EvidenceSealed,
    HoldList,
    HoldRecords,
    Holds,
    ReleaseRecords,
    SealEvidence,
    Witnesses,
    WitnessHeard,
    Witnessing,
    WitnessList,
    WitnessPosts,
    WitnessSaid,
)
from appliance.control.messages.bans import Allow, Allowed, AllowList, BanFound, Disallow
from appliance.control.messages.bans import Ban as Ban
from appliance.control.messages.bans import BanEntry as BanEntry
from appliance.control.messages.bans import BanList as BanList
from appliance.control.messages.bans import Bans as Bans
from appliance.control.messages.bans import BanTried as BanTried
from appliance.control.messages.bans import TryBan as TryBan
from appliance.control.messages.bans import Unban as Unban
from appliance.control.messages.changes import Acting, ChangeReply, ChangeRequest
from appliance.control.messages.console import (
    BreakGlass,
    ConsolePeople,
    ConsolePeopleAre,
    ConsoleSessionList,
    ConsoleSessions,
    GlassCodes,
    Invite,
    Invited,
    RevokeSessions,
    SessionsRevoked,
)
from appliance.control.messages.devices import Admit, Expel, Quarantine, QuarantineReport
from appliance.control.messages.events import ConsumerList, Consumers
from appliance.control.messages.gate import GateReply, GateRequest
from appliance.control.messages.hits import HitList, Hits, Matched, MatchedList
from appliance.control.messages.impact import (
    FlowKey,
    FlowKeyIs,
    FlowKeysForgotten,
    ForgetFlowKeys,
    Impact,
    Impacted,
)
from appliance.control.messages.indicators import (
    Enforce,
    Enforced,
    IndicatorList,
    Indicators,
    IndicatorsTaken,
    Overridden,
    OverrideIndicator,
    TakeIndicators,
)
from appliance.control.messages.keys import (
    PublicKey,
    PublicKeyIs,
    RecordsKey,
    RecordsKeyIs,
    Seal,
    Sealed,
    Sign,
    SignCheckpoint,
    Signed,
)
from appliance.control.messages.lines import CrossingList, Crossings, LineList, Lines
from appliance.control.messages.live import FlowList, Flows, Recall, Recalled, SetList, Sets, SetUpdate, SetUpdated
from appliance.control.messages.notices import NoticeList, OwnNotices, SeeNotices
from appliance.control.messages.privacy import (
    FindSubject,
    PrivacyStored,
    PrivacyStores,
    SubjectFound,
    Unmask,
    Unmasked,
)
from appliance.control.messages.readback import ReadBack, ReadBackOf, Runs
from appliance.control.messages.seals import SealList, Seals
from appliance.control.messages.text import Change as Change
from appliance.control.messages.text import Check as Check
from appliance.control.messages.text import Checked as Checked
from appliance.control.messages.text import Finding as Finding
from appliance.control.messages.text import Plan as Plan
from appliance.control.messages.text import Planned as Planned
from appliance.control.messages.traffic import TrafficDifference
from appliance.control.messages.watch import (
    AcceptDevice,
    DeviceList,
    Devices,
    ForgetDevice,
    KnownServices,
    ServiceList,
)
from appliance.control.messages.why import (
    Disagreement,
    Noted,
    Trace,
    Traced,
    Tracing,
    Trail,
    WayList,
    Ways,
)
from appliance.policy.compiling.bundle import BridgeInfo, RuleInfo, ZoneInfo
from appliance.policy.console import ConsoleSettings
from appliance.policy.consumers import AlertSettings, Consumer
from appliance.policy.detections import Detections
from appliance.policy.indicators import IndicatorSettings
from appliance.policy.model import Banning, Feed, InterfaceAddress, Profile, Suppression
from appliance.policy.notices import NoticeSettings, Officer
from appliance.policy.records import AuditSettings


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The request was refused and nothing changed. `code` is stable, `message` is for people."""

    code: str
    message: str
    findings: tuple[Finding, ...] = ()


class GenerationSummary(msgspec.Struct, frozen=True):
    """One line of the history. `state`: running (unconfirmed), confirmed, superseded, rolled-back, failed.

    Of a generation that was a proposal policyd says which, who proposed it and why, with which ticket, and whose
    approvals it had; 0 and "" otherwise.
    """

    generation: int
    state: str
    author: str
    reason: str
    created: float
    digest: str
    parent: int
    rules: int
    confirmed_by: str = ""
    confirmed_at: float = 0.0
    note: str = ""
    proposal: int = 0
    proposer: str = ""
    why: str = ""
    ticket: str = ""
    approvers: tuple[str, ...] = ()


# --- to policyd -------------------------------------------------------------------------------------


class Apply(msgspec.Struct, frozen=True, tag=True):
    """`base` is the generation the editor started from; if another runs now, the apply is refused and told why.

    `confirm_within` seconds; None is the policy's own setting, 0 asks for no confirm.
    `session` is the SSH_CONNECTION of the caller where there is one. `files` are the contents of the list
    files that the text names, by the path as it is written there; the caller reads them.
    """

    text: str
    base: int
    reason: str
    file: str = "policy.yaml"
    files: dict[str, str] = {}
    confirm_within: int | None = None
    session: str = ""
    break_glass: str = ""  # why it runs though not enough others approved it; told and recorded


class Applied(msgspec.Struct, frozen=True, tag=True):
    generation: int
    digest: str
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    confirm_by: float  # seconds since the epoch; 0 when it needs no confirm
    seconds: dict[str, float]  # stage -> duration: parse, prove, compile, plan, sign, load
    omitted: tuple[str, ...] = ()
    traffic: TrafficDifference | None = None


class Confirm(msgspec.Struct, frozen=True, tag=True):
    """`session` is the SSH_CONNECTION of the caller where there is one. policyd tells applyd in `by` who asked, in
    `origin` from where."""

    session: str = ""
    by: str = ""
    origin: str = ""


class Confirmed(msgspec.Struct, frozen=True, tag=True):
    generation: int


class Rollback(msgspec.Struct, frozen=True, tag=True):
    """Back to `generation`; None is the one before the running one."""

    generation: int | None = None
    reason: str = ""
    session: str = ""
    by: str = ""
    origin: str = ""


class History(msgspec.Struct, frozen=True, tag=True):
    limit: int = 50


class HistoryList(msgspec.Struct, frozen=True, tag=True):
    generations: tuple[GenerationSummary, ...]


class Show(msgspec.Struct, frozen=True, tag=True):
    """The text and summary of one generation; None is the running one."""

    generation: int | None = None


class Shown(msgspec.Struct, frozen=True, tag=True):
    summary: GenerationSummary
    text: str
    inherited: dict[str, str]
    files: dict[str, str] = {}
    horizon: int = 0  # until when its schedules and expiries are compiled; 0: nothing depends on time


class Status(msgspec.Struct, frozen=True, tag=True):
    pass


class ProcessHealth(msgspec.Struct, frozen=True):
    name: str
    alive: bool
    words: str = ""
    since: float = 0.0  # when that was seen to begin, seconds since the epoch; 0: for as long as anybody asked


class BridgeState(msgspec.Struct, frozen=True):
    """A bridge of what runs. `state`: "inspected", "passes" (uninspected, as it says), "closed", "no interface"."""

    name: str
    between: tuple[str, str]
    inspect: str  # the profile
    unavailable: Literal["fail-open", "fail-closed"]
    state: Literal["inspected", "passes", "closed", "no interface"]
    words: str = ""  # what is wrong


class StatusReport(msgspec.Struct, frozen=True, tag=True):
    site: str
    running: int
    confirmed: int
    confirm_by: float
    drift: str  # "" when the kernel holds what the generation says
    omitted: tuple[str, ...]
    processes: tuple[ProcessHealth, ...] = ()
    runs: Runs | None = None  # what the kernel runs against what the policy means; None before it was compared
    bridges: tuple[BridgeState, ...] = ()


class RuleCounters(msgspec.Struct, frozen=True, tag=True):
    pass


class RuleCounter(msgspec.Struct, frozen=True):
    id: str
    packets: int
    bytes: int


class RuleCounterList(msgspec.Struct, frozen=True, tag=True):
    """After the rules come what no rule decided: "default", "invalid", "pinhole", "antispoofing <zone>", "banned",
    "quarantine <zone>", and the translations. `origin` changes when every counter began again from 0: a boot, another
    namespace.
    """

    generation: int
    counters: tuple[RuleCounter, ...]
    origin: str = ""


class Doctor(msgspec.Struct, frozen=True, tag=True):
    pass


class Capability(msgspec.Struct, frozen=True):
    """What was tried on this kernel. `needed_by` names the rules or features of the running policy that want it."""

    name: str
    available: bool
    words: str
    needed_by: tuple[str, ...] = ()


class DoctorReport(msgspec.Struct, frozen=True, tag=True):
    kernel: str
    capabilities: tuple[Capability, ...]
    findings: tuple[str, ...] = ()
    runs: Runs | None = None  # compared for this answer


class Names(msgspec.Struct, frozen=True, tag=True):
    """What the running generation calls things, so that logs and flows can be said in the policy's words."""


class NameBook(msgspec.Struct, frozen=True, tag=True):
    """`objects` name -> CIDRs or ranges; `services` name -> entries ("tcp/443"); `networks` zone -> CIDRs.

    `addresses` are those of the gateway itself.
    """

    generation: int
    site: str
    zones: tuple[ZoneInfo, ...]
    rules: tuple[RuleInfo, ...]
    objects: dict[str, tuple[str, ...]] = {}
    services: dict[str, tuple[str, ...]] = {}
    networks: dict[str, tuple[str, ...]] = {}
    addresses: tuple[InterfaceAddress, ...] = ()
    flow_log_days: int = 30  # how long the flow log is kept; 0: none is
    keep_files: Literal["none", "rules", "all"] = "none"  # files of inspected traffic
    keep_evidence: bool = False  # packets of connections with alerts
    keep_days: int = 30
    profiles: tuple[Profile, ...] = ()  # of inspection, those that rules name
    suppressions: tuple[Suppression, ...] = ()
    feeds: tuple[Feed, ...] = ()
    detections: Detections = Detections()
    bans: Banning = Banning()
    alerts: AlertSettings = AlertSettings()
    consumers: tuple[Consumer, ...] = ()
    indicators: IndicatorSettings = IndicatorSettings()
    notices: NoticeSettings = NoticeSettings()
    officers: tuple[Officer, ...] = ()
    audit: AuditSettings = AuditSettings()
    console: ConsoleSettings = ConsoleSettings()
    bridges: tuple[BridgeInfo, ...] = ()


# --- policyd (and the resolver) to applyd -----------------------------------------------------------


class Load(msgspec.Struct, frozen=True, tag=True):
    """Load a sealed bundle. `bundle` is its canonical bytes, `signature` keyd's Ed25519 signature of them."""

    bundle: bytes
    signature: bytes
    confirm_within: int
    session: str = ""
    dry_run: bool = False


class Loaded(msgspec.Struct, frozen=True, tag=True):
    generation: int
    statements: int
    confirm_by: float
    seconds: float


Request = (
    Check
    | Plan
    | Apply
    | Confirm
    | Rollback
    | History
    | Show
    | Seals
    | OwnNotices
    | SeeNotices
    | Status
    | RuleCounters
    | Hits
    | Matched
    | Doctor
    | Load
    | SetUpdate
    | Names
    | Recall
    | Flows
    | Lines
    | Crossings
    | Sets
    | Ban
    | Unban
    | Bans
    | TryBan
    | Allow
    | Disallow
    | Admit
    | Expel
    | Quarantine
    | AllowList
    | BanFound
    | Enforce
    | Indicators
    | TakeIndicators
    | OverrideIndicator
    | Unmask
    | FindSubject
    | PrivacyStores
    | Ways
    | Trace
    | Trail
    | ReadBack
    | Disagreement
    | Impact
    | Sign
    | PublicKey
    | FlowKey
    | ForgetFlowKeys
    | Devices
    | AcceptDevice
    | ForgetDevice
    | KnownServices
    | SignCheckpoint
    | Seal
    | RecordsKey
    | AuditLog
    | AuditCheckpoint
    | AuditProve
    | AuditContinues
    | AuditBundles
    | AuditNote
    | AuditHealth
    | Consumers
    | Alerts
    | AlertWith
    | AlertsBehind
    | AlertCounts
    | AlertTrend
    | SealEvidence
    | HoldRecords
    | ReleaseRecords
    | Holds
    | Witnesses
    | Witnessing
    | WitnessSaid
    | Invite
    | ConsolePeople
    | ConsoleSessions
    | RevokeSessions
    | BreakGlass
    | ChangeRequest
    | GateRequest
    | Acting
)
Reply = (
    Refused
    | Checked
    | Planned
    | Applied
    | Confirmed
    | HistoryList
    | Shown
    | SealList
    | NoticeList
    | StatusReport
    | RuleCounterList
    | HitList
    | MatchedList
    | DoctorReport
    | Loaded
    | SetUpdated
    | NameBook
    | Recalled
    | FlowList
    | LineList
    | CrossingList
    | SetList
    | BanList
    | BanTried
    | ConsumerList
    | AlertsAre
    | AlertIs
    | AlertsCame
    | AlertCountsAre
    | AlertTrendIs
    | Allowed
    | Enforced
    | QuarantineReport
    | IndicatorList
    | IndicatorsTaken
    | Overridden
    | Unmasked
    | SubjectFound
    | PrivacyStored
    | WayList
    | Tracing
    | Traced
    | ReadBackOf
    | Noted
    | Impacted
    | Signed
    | PublicKeyIs
    | FlowKeyIs
    | FlowKeysForgotten
    | DeviceList
    | ServiceList
    | Sealed
    | RecordsKeyIs
    | AuditEntries
    | AuditHealthIs
    | AuditCheckpointIs
    | AuditProof
    | AuditContinued
    | AuditBundlesAre
    | EvidenceSealed
    | HoldList
    | WitnessHeard
    | WitnessList
    | WitnessPosts
    | Invited
    | ConsolePeopleAre
    | ConsoleSessionList
    | SessionsRevoked
    | GlassCodes
    | ChangeReply
    | GateReply
)
