"""What is said of a text: what is wrong with it, and what it would change."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.control.messages.traffic import TrafficDifference


class Finding(msgspec.Struct, frozen=True):
    """A `Problem`, flat: what the command line prints and the console underlines."""

    file: str
    line: int
    column: int
    message: str
    remedy: str = ""
    severity: str = "error"


class Change(msgspec.Struct, frozen=True):
    """One line of a plan: `kind` added, removed, changed or moved; `what` e.g. "rule R-7"; `words` for people."""

    kind: Literal["added", "removed", "changed", "moved"]
    what: str
    words: str


class Check(msgspec.Struct, frozen=True, tag=True):
    text: str
    file: str = "policy.yaml"
    files: dict[str, str] = {}


class Checked(msgspec.Struct, frozen=True, tag=True):
    findings: tuple[Finding, ...]
    rules: int
    site: str
    ok: bool


class Plan(msgspec.Struct, frozen=True, tag=True):
    text: str
    file: str = "policy.yaml"
    files: dict[str, str] = {}


class Planned(msgspec.Struct, frozen=True, tag=True):
    """What an apply would change against generation `base`, in words; nothing was changed."""

    base: int
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    statements: int  # nftables statements of the transaction
    omitted: tuple[str, ...] = ()
    traffic: TrafficDifference | None = None  # against what runs; None when nothing runs yet
