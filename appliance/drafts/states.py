"""What becomes of a proposal: which steps are open to it, and whose approvals count. Pure.

    open ──approve──▶ (approved) ──schedule──▶ (scheduled) ──apply──▶ applied ──▶ confirmed | rolled-back
     │ reject, withdraw, stale                                          ▲─────────apply────────┘

What stands in brackets is never written down: it follows from the approvals that hold now, under the policy that runs
now. Who lost the role of an approver does not count any more, and neither does an approval of another text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from appliance.control.messages.changes import ProposalState
from appliance.policy.console import Person
from appliance.policy.roles import permissions_of

State = Literal["open", "applied", "confirmed", "rolled-back", "rejected", "withdrawn", "stale"]
Deed = Literal["comment", "approve", "reject", "amend", "withdraw", "schedule", "apply"]

_ALL: frozenset[State] = frozenset(("open", "applied", "confirmed", "rolled-back", "rejected", "withdrawn", "stale"))
# In which states each may be done.
OPEN_TO: Mapping[Deed, frozenset[State]] = MappingProxyType(
    {
        "comment": _ALL,
        "approve": frozenset({"open"}),
        "reject": frozenset({"open", "stale"}),
        "amend": frozenset({"open", "stale", "rolled-back"}),
        "withdraw": frozenset({"open", "stale", "rolled-back"}),
        "schedule": frozenset({"open"}),
        # What nobody confirmed in time may be tried again: nothing of it changed.
        "apply": frozenset({"open", "rolled-back"}),
    }
)


class Record(msgspec.Struct, frozen=True):
    """A proposal as it is kept. `planner` said that it is to be applied `at`, to be confirmed within `confirm`."""

    number: int
    title: str
    why: str
    ticket: str
    author: str
    base: int
    digest: str
    state: State
    created: float
    changed: float
    at: float = 0.0
    confirm: int | None = None
    planner: str = ""
    generation: int = 0
    note: str = ""


class Given(msgspec.Struct, frozen=True):
    """An approval as it was given."""

    at: float
    person: str
    words: str
    digest: str


def digest_of(text: str, files: Mapping[str, str]) -> str:
    """What an approval is of: the text, and the contents of the list files that it names."""
    found = hashlib.sha256(text.encode())
    for name in sorted(files):
        for part in (name, files[name]):
            data = part.encode()
            found.update(len(data).to_bytes(8, "big") + data)
    return found.hexdigest()


def holding(
    given: Iterable[Given], digest: str, writers: frozenset[str], people: Iterable[Person]
) -> tuple[str, ...]:
    """Who approves of what `digest` names: people who may, each once, and none of those who wrote it."""
    may = {one.id for one in people if "approve" in permissions_of(one.roles)}
    found = {one.person: None for one in given if one.digest == digest and one.person in may - writers}
    return tuple(found)


def shown_state(record: Record, approvals: int, needed: int) -> ProposalState:
    """What people are told of it."""
    if record.state != "open":
        return record.state
    if approvals < needed:
        return "proposed"
    return "scheduled" if record.at else "approved"
