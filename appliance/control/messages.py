"""The typed messages between the command line, `policyd` and `applyd`.

Each request is one struct, answered by its reply struct or by `Refused`. `ipc.py` frames them and names
the peer. Tagged unions: the wire form is JSON with a "type" field.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Message(msgspec.Struct, frozen=True, tag=True, tag_field="type"):
    pass


class Finding(msgspec.Struct, frozen=True):
    """A `Problem`, flat: what the command line prints and the console underlines."""

    file: str
    line: int
    column: int
    message: str
    remedy: str = ""
    severity: str = "error"


class Refused(Message):
    """The request was refused and nothing changed. `code` is stable, `message` is for people."""

    code: str
    message: str
    findings: tuple[Finding, ...] = ()


class GenerationSummary(msgspec.Struct, frozen=True):
    """One line of the history. `state`: running (unconfirmed), confirmed, superseded, rolled-back, failed."""

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


class Change(msgspec.Struct, frozen=True):
    """One line of a plan: `kind` added, removed, changed or moved; `what` e.g. "rule R-7"; `words` for people."""

    kind: Literal["added", "removed", "changed", "moved"]
    what: str
    words: str


# --- to policyd -------------------------------------------------------------------------------------


class Check(Message):
    text: str
    file: str = "policy.yaml"


class Checked(Message):
    findings: tuple[Finding, ...]
    rules: int
    site: str
    ok: bool


class Plan(Message):
    text: str
    file: str = "policy.yaml"


class Planned(Message):
    """What an apply would change against generation `base`, in words; nothing was changed."""

    base: int
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    statements: int  # nftables statements of the transaction
    omitted: tuple[str, ...] = ()


class Apply(Message):
    """`base` is the generation the editor started from; if another runs now, the apply is refused and told why.

    `confirm_within` seconds; None is the policy's own setting, 0 asks for no confirm.
    `session` is the SSH_CONNECTION of the caller where there is one.
    """

    text: str
    base: int
    reason: str
    file: str = "policy.yaml"
    confirm_within: int | None = None
    session: str = ""


class Applied(Message):
    generation: int
    digest: str
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    confirm_by: float  # seconds since the epoch; 0 when it needs no confirm
    seconds: dict[str, float]  # stage -> duration: parse, compile, sign, load
    omitted: tuple[str, ...] = ()


class Confirm(Message):
    session: str = ""


class Confirmed(Message):
    generation: int


class Rollback(Message):
    """Back to `generation`; None is the one before the running one."""

    generation: int | None = None
    reason: str = ""
    session: str = ""


class History(Message):
    limit: int = 50


class HistoryList(Message):
    generations: tuple[GenerationSummary, ...]


class Show(Message):
    """The text and summary of one generation; None is the running one."""

    generation: int | None = None


class Shown(Message):
    summary: GenerationSummary
    text: str
    inherited: dict[str, str]


class Status(Message):
    pass


class ProcessHealth(msgspec.Struct, frozen=True):
    name: str
    alive: bool
    words: str = ""


class StatusReport(Message):
    site: str
    running: int
    confirmed: int
    confirm_by: float
    drift: str  # "" when the kernel holds what the generation says
    omitted: tuple[str, ...]
    processes: tuple[ProcessHealth, ...] = ()


class RuleCounters(Message):
    pass


class RuleCounter(msgspec.Struct, frozen=True):
    id: str
    packets: int
    bytes: int


class RuleCounterList(Message):
    generation: int
    counters: tuple[RuleCounter, ...]


class Doctor(Message):
    pass


class Capability(msgspec.Struct, frozen=True):
    """What was tried on this kernel. `needed_by` names the rules or features of the running policy that want it."""

    name: str
    available: bool
    words: str
    needed_by: tuple[str, ...] = ()


class DoctorReport(Message):
    kernel: str
    capabilities: tuple[Capability, ...]
    findings: tuple[str, ...] = ()


# --- policyd (and the resolver) to applyd -----------------------------------------------------------


class Load(Message):
    """Load a sealed bundle. `bundle` is its canonical bytes, `signature` keyd's Ed25519 signature of them."""

    bundle: bytes
    signature: bytes
    confirm_within: int
    session: str = ""
    dry_run: bool = False


class Loaded(Message):
    generation: int
    statements: int
    confirm_by: float
    seconds: float


class SetUpdate(Message):
    """Add to and remove from a live set. Elements are addresses or CIDRs in text."""

    name: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    replace: bool = False  # the set shall hold exactly `add`


class SetUpdated(Message):
    name: str
    added: int
    removed: int


Request = (
    Check | Plan | Apply | Confirm | Rollback | History | Show | Status | RuleCounters | Doctor | Load | SetUpdate
)
Reply = (
    Refused
    | Checked
    | Planned
    | Applied
    | Confirmed
    | HistoryList
    | Shown
    | StatusReport
    | RuleCounterList
    | DoctorReport
    | Loaded
    | SetUpdated
)
