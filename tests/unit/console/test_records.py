"""Entries of the audit trail as the console tells them."""

from __future__ import annotations

from appliance.console.api.audit import AuditLine, line
from appliance.control.messages.audit import AuditEntry
from appliance.events import record


def test_an_entry_says_who_did_what() -> None:
    detail = {"times": "3"}
    event = record.audit(
        "policyd", "amara", "policy.proposed", "proposal 7", seconds=1_800_000_000.5, why="INC-4", generation=3,
        origin="https 10.20.0.11", detail=detail,
    )  # fmt: skip
    found = line(AuditEntry(12, record.encode(event)))
    assert (found.number, found.kept, found.at, found.process) == (12, True, 1_800_000_000.5, "policyd")
    assert (found.actor, found.action, found.object) == ("amara", "policy.proposed", "proposal 7")
    assert (found.why, found.generation, found.origin, found.detail) == ("INC-4", 3, "https 10.20.0.11", detail)


def test_of_one_whose_time_is_over_only_the_number_is_known() -> None:
    assert line(AuditEntry(12, b"")) == AuditLine(12)
    assert line(AuditEntry(13, b'{"timestamp": "never", "audit": {}}')) == AuditLine(13)
