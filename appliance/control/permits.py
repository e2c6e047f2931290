"""What people may ask through the console: one permission or more for every type of request, and who has them.

What is not in the table nobody may ask that way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call_async
from appliance.control.messages.alerts import AlertCounts, Alerts, AlertsBehind, AlertTrend, AlertWith
from appliance.control.messages.audit import (
    AuditBundles,
    AuditCheckpoint,
    AuditContinues,
    AuditHealth,
    AuditLog,
    AuditProve,
    HoldRecords,
    Holds,
    ReleaseRecords,
    SealEvidence,
    Witnesses,
)
from appliance.control.messages.bans import Allow, AllowList, Disallow
from appliance.control.messages.changes import (
    AmendProposal,
    ApplyProposal,
    ApproveProposal,
    Between,
    CheckDraft,
    CommentProposal,
    Drafts,
    DraftText,
    DropDraft,
    EditDraft,
    ImpactDraft,
    Marks,
    MergeDraft,
    NameDraft,
    OpenDraft,
    PlanDraft,
    Proposals,
    Propose,
    RedoDraft,
    RejectProposal,
    ScheduleProposal,
    SetDraft,
    ShowProposal,
    TryProposal,
    UndoDraft,
    WithdrawProposal,
)
from appliance.control.messages.devices import Admit, Expel, Quarantine
from appliance.control.messages.events import Consumers
from appliance.control.messages.gate import Gate, GateFind, GateForget, GateList, GatePart
from appliance.control.messages.gateway import (
    Apply,
    Ban,
    Bans,
    Confirm,
    Doctor,
    History,
    NameBook,
    Names,
    Refused,
    Rollback,
    RuleCounters,
    Show,
    Status,
    StatusReport,
    TryBan,
    Unban,
)
from appliance.control.messages.hits import Hits, Matched
from appliance.control.messages.impact import Impact
from appliance.control.messages.indicators import Indicators, OverrideIndicator, TakeIndicators
from appliance.control.messages.lines import Crossings, Lines
from appliance.control.messages.live import Flows, Sets
from appliance.control.messages.notices import OwnNotices, SeeNotices
from appliance.control.messages.privacy import FindSubject, PrivacyStores, Unmask
from appliance.control.messages.seals import Seals
from appliance.control.messages.text import Check, Plan
from appliance.control.messages.watch import AcceptDevice, Devices, ForgetDevice, KnownServices
from appliance.control.messages.why import Trace, Trail, Ways
from appliance.control.processes import Instance
from appliance.policy.console import ConsoleSettings
from appliance.policy.roles import Permission, permissions_of

_NOBODY = -1  # a uid that no process has
_PATIENCE = 10.0  # seconds that applyd may take to say who people are

_LOOK = (
    Check, Plan, Status, Doctor, Names, History, Show, Seals,
    OwnNotices, SeeNotices, Hits, Matched, Impact, RuleCounters, Flows, Lines,
    Crossings, Sets, Bans, TryBan, AllowList, Quarantine, Gate, GateFind, Ways, Trace, Trail, Consumers, Alerts,
    AlertWith, AlertsBehind, AlertCounts, AlertTrend, Indicators, Devices, KnownServices, AuditHealth,
    Marks, Drafts, DraftText, CheckDraft, PlanDraft, ImpactDraft, Proposals, ShowProposal, TryProposal, Between,
)  # fmt: skip
_EDIT = (
    OpenDraft,
    EditDraft,
    SetDraft,
    NameDraft,
    UndoDraft,
    RedoDraft,
    MergeDraft,
    DropDraft,
    Propose,
    WithdrawProposal,
)
_APPLY = (Confirm, Rollback, ApplyProposal, ScheduleProposal)
_RESPOND = (
    Ban, Unban, Allow, Disallow, Admit, Expel, GateList, GatePart, GateForget, AcceptDevice, ForgetDevice,
    TakeIndicators, OverrideIndicator,
)  # fmt: skip
_AUDIT = (
    AuditLog, AuditCheckpoint, AuditProve, AuditContinues, AuditBundles, SealEvidence, HoldRecords, ReleaseRecords,
    Holds, Witnesses, Unmask, FindSubject, PrivacyStores,
)  # fmt: skip

# Whoever has one of the permissions of each tuple may ask.
NEEDED: Mapping[type, tuple[frozenset[Permission], ...]] = MappingProxyType(
    {
        **dict.fromkeys(_LOOK, (frozenset[Permission]({"look"}),)),
        **dict.fromkeys(_EDIT, (frozenset[Permission]({"edit"}),)),
        **dict.fromkeys(_APPLY, (frozenset[Permission]({"apply"}),)),
        **dict.fromkeys(_RESPOND, (frozenset[Permission]({"respond"}),)),
        **dict.fromkeys(_AUDIT, (frozenset[Permission]({"audit"}),)),
        # A text of one's own that runs at once is an edit and an apply.
        Apply: (frozenset({"edit"}), frozenset({"apply"})),
        ApproveProposal: (frozenset({"approve"}),),
        RejectProposal: (frozenset({"approve"}),),
        # Who approves may say what is wrong, and put it right.
        AmendProposal: (frozenset({"edit", "approve"}),),
        CommentProposal: (frozenset({"edit", "approve"}),),
    }
)


def may(permissions: frozenset[Permission], request: type) -> bool:
    """Whether somebody with these permissions may ask that."""
    needed = NEEDED.get(request)
    return needed is not None and all(permissions & each for each in needed)


def people(instance: Instance) -> People:
    """Those who may ask through the console, where there is one."""
    console = instance.identities.get("console")
    return People(_NOBODY if console is None else console.uid, instance.socket("applyd"))


class People:
    """The people of the running policy, for a process that the console asks in their names.

    `uid` is the console's. Which generation runs is asked each time, so that who lost a role has lost it; while
    applyd is away no other generation can come to run, and what was known last holds.
    """

    def __init__(self, uid: int, applyd: Path) -> None:
        self._uid = uid
        self._applyd = applyd
        self._generation = 0
        self._settings: ConsoleSettings | None = None

    @property
    def uid(self) -> int:
        return self._uid

    async def settings(self) -> ConsoleSettings:
        """What the running policy says of the console. Raises `DaemonAway` while that is not known."""
        try:
            running = (await call_async(self._applyd, Status(), StatusReport, timeout=_PATIENCE)).running
            if self._settings is None or running != self._generation:
                self._settings = (await self._book()).console if running else ConsoleSettings()
                self._generation = running
        except DaemonAway:
            if self._settings is None:
                raise
        return self._settings

    async def _book(self) -> NameBook:
        return await call_async(self._applyd, Names(), NameBook, timeout=_PATIENCE)

    async def refusal(self, person: str, request: type) -> Refused | None:
        try:
            settings = await self.settings()
        except (DaemonAway, ProtocolError, RefusedError) as error:
            return Refused("away", f"who people are is not known now: {error}")
        found = next((one for one in settings.people if one.id == person), None)
        if found is None:
            return Refused("nobody", f"the running policy knows no `{person}`")
        if may(permissions_of(found.roles), request):
            return None
        roles = ", ".join(found.roles)
        return Refused("not-allowed", f"{request.__name__} is not for {person} ({roles})")
