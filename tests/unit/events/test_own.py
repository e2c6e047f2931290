"""Reef's own types of events are what their published schema says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from appliance.control.messages.events import ConsumerInfo, ConsumerList
from appliance.control.messages.gateway import NameBook, StatusReport
from appliance.events import own, record
from appliance.events.classes import Class
from appliance.events.marking import Generations, Marker
from appliance.events.own import OWN, schema
from appliance.events.reporting import EVERY, Regular, of_generation
from appliance.policy.compiling.bundle import ZoneInfo
from appliance.policy.consumers import AlertSettings
from appliance.policy.model import InterfaceAddress

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "events.schema.json"
BOOK = NameBook(
    7, "clinic", (ZoneInfo("lan", ("lan0",)), ZoneInfo("internet", ("wan0",), external=True)), (),
    networks={"lan": ("10.0.0.0/8",)}, addresses=(InterfaceAddress("lan0", "10.0.0.1/8"),),
)  # fmt: skip
STATUS = StatusReport("clinic", 7, 6, 0.0, "", ())
NOBODY = ConsumerList((ConsumerInfo("csirt", ("alerts",), "TLP:RED", 5, 2, 0.0),), 7, 100, 1000, "all")


def written(*, drift: str = "") -> list[record.Event]:
    """One event of each type."""
    status = StatusReport("clinic", 7, 6, 0.0, drift, ())
    health = Regular().due(status, "all", lambda: NOBODY)
    assert health is not None
    audit = record.audit("policyd", "hazel", "policy.apply", "generation 7", seconds=0, why="a test", generation=7)
    return [*of_generation(BOOK, 6), health, audit]


def test_the_schema_in_the_documents_is_that_of_the_types() -> None:
    """`python -m tests.unit.events.test_own` writes it again."""
    assert DOCUMENT.read_text() == text()


def test_what_is_written_is_valid_and_nothing_else_is() -> None:
    validator = Draft202012Validator(schema())
    marker = Marker(AlertSettings(), "clinic", Generations())
    kinds = set()
    for event in written():
        found: dict[str, Any] = json.loads(marker.new(record.encode(event)).body)
        kinds.add(found["event_type"])
        assert [error.message for error in validator.iter_errors(found)] == []
        assert list(validator.iter_errors({**found, "more": 1}))
        member = found["event_type"]
        assert list(validator.iter_errors({**found, member: {**found[member], "generation": "seven"}})) or (
            member == "inventory"
        )
        assert list(validator.iter_errors({name: value for name, value in found.items() if name != member}))
    assert kinds == set(OWN)


def test_they_are_kept_as_notices_and_said_in_a_line() -> None:
    marker = Marker(AlertSettings(), "clinic", Generations())
    classes = {event.event_type: marker.new(record.encode(event)).class_ for event in written()}
    assert classes.pop("audit") is Class.AUDIT
    assert set(classes.values()) == {Class.NOTICE}
    lines = [own.words_of(event) for event in written(drift="a rule is missing")]
    assert lines[0] == "generation 7 is in force, with 0 rules"
    assert lines[1].startswith("Reef ")
    assert lines[2] == "not well, room for all, drift: a rule is missing"
    assert lines[3] == "hazel policy.apply generation 7"


@pytest.mark.parametrize(("drift", "room"), [("a rule is missing", "all"), ("", "nothing")])
def test_health_is_told_each_five_minutes_and_when_it_changes(drift: str, room: str) -> None:
    now = [0.0]
    regular = Regular(lambda: now[0])
    assert regular.due(STATUS, "all", lambda: NOBODY) is not None
    assert regular.due(STATUS, "all", lambda: NOBODY) is None
    changed = StatusReport("clinic", 7, 6, 0.0, drift, ())
    assert regular.due(changed, room, lambda: NOBODY) is not None
    now[0] = EVERY - 1
    assert regular.due(changed, room, lambda: NOBODY) is None
    now[0] = EVERY
    assert regular.due(changed, room, lambda: NOBODY) is not None


def text() -> str:
    return json.dumps(schema(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text())
