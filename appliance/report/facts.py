"""The facts that a report rests on: what the text says, what the daemons answer, what the kernel and the disk hold.

Values only; `collect.py` reads them. Each fact is a `Reading`, so that every one carries its question and its time.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.control.messages.gateway import DoctorReport, GenerationSummary, RuleCounterList, StatusReport
from appliance.control.messages.hits import HitList
from appliance.control.messages.live import SetList
from appliance.policy.model import Policy
from appliance.policy.proving.proof import Proof
from appliance.report.evidence import Reading

HIT_DAYS = 90


class Subject(msgspec.Struct, frozen=True):
    """What the report is of: the generation that runs on a gateway, or a text that runs nowhere."""

    kind: Literal["running", "text"]
    site: str
    words: str  # "generation 7" or the name of the file
    generation: int = 0
    text_digest: str = ""  # SHA-256 of the policy text
    query: str = ""  # how to see the text again


class Hook(msgspec.Struct, frozen=True):
    """A base chain of the kernel: `policy` is "drop" or "accept"."""

    chain: str
    hook: str
    type: str
    policy: str


class KernelTable(msgspec.Struct, frozen=True):
    """The table `inet reef` as the kernel has it: its base chains, and the names of the others."""

    hooks: tuple[Hook, ...]
    chains: tuple[str, ...]


class Credentials(msgspec.Struct, frozen=True):
    """What the kernel lets one process do. `capabilities` are those in its effective set."""

    name: str
    pid: int
    uid: int
    capabilities: tuple[str, ...]
    no_new_privileges: bool
    filtered: bool  # a seccomp filter is in force


class Seal(msgspec.Struct, frozen=True):
    """Whether the stored bundle of `generation` is what was signed, checked again by the one who asks."""

    generation: int
    digest: str
    good: bool


class Disk(msgspec.Struct, frozen=True):
    free: int  # bytes
    total: int


class SpoolState(msgspec.Struct, frozen=True):
    """The spool of one process: what it holds on disk and how many records are missing between the first and last."""

    name: str
    bytes: int
    records: int
    missing: int
    oldest: float  # when its oldest segment was last written, seconds since the epoch; 0 for none


class Access(msgspec.Struct, frozen=True):
    """Who may use a file, directory or socket of the gateway."""

    path: str
    mode: int
    uid: int
    gid: int


class Facts(msgspec.Struct, frozen=True):
    """Everything one report was made from. `taken` is when, in seconds since the epoch."""

    subject: Subject
    taken: float
    software: str
    policy: Reading[Policy]
    inherited: Reading[dict[str, str]]  # baselines it was compiled with: name -> SHA-256
    baselines: Reading[dict[str, str]]  # baselines that lie on the gateway now: name -> SHA-256
    status: Reading[StatusReport]
    doctor: Reading[DoctorReport]
    history: Reading[tuple[GenerationSummary, ...]]
    counters: Reading[RuleCounterList]
    hits: Reading[HitList]  # of the last `HIT_DAYS`
    sets: Reading[SetList]
    table: Reading[KernelTable]
    processes: Reading[tuple[Credentials, ...]]
    seal: Reading[Seal]
    sysctls: Reading[dict[str, str]]
    clock: Reading[bool]
    disk: Reading[Disk]
    spools: Reading[tuple[SpoolState, ...]]
    access: Reading[tuple[Access, ...]]
    proof: Reading[Proof]


# What is read of a gateway that runs; a text alone has none of it.
RUNNING = (
    "baselines",
    "status",
    "doctor",
    "history",
    "counters",
    "hits",
    "sets",
    "table",
    "processes",
    "seal",
    "sysctls",
    "clock",
    "disk",
    "spools",
    "access",
)
