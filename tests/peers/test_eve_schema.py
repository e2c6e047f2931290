"""Suricata's own captures through the engine: nothing breaks, and every event is valid EVE JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from appliance.events import record
from appliance.events.marking import Generations, Marker
from appliance.policy.consumers import AlertSettings
from tests.peers.eve import eve


def shape(value: Any) -> Any:
    """Which members a value has, and of which type: lines of one shape are valid alike."""
    if isinstance(value, dict):
        return tuple((key, shape(member)) for key, member in sorted(value.items()))
    if isinstance(value, list):
        return tuple(sorted({shape(member) for member in value}, key=repr))
    return type(value).__name__


@pytest.fixture(scope="module")
def validator(peer_data: Path) -> Validator:
    schema = json.loads((peer_data / "eve-schema" / "schema.json").read_text(encoding="utf-8"))
    return validator_for(schema)(schema)


def test_every_event_of_every_capture_is_valid(peer_data: Path, validator: Validator) -> None:
    kinds: Counter[str] = Counter()
    seen: set[Any] = set()
    captures = sorted((peer_data / "suricata-verify" / "tests").glob("*/*.pcap"))
    assert len(captures) > 500
    for path in captures:
        for line in eve(path):
            event = json.loads(line)
            kinds[event["event_type"]] += 1
            form = shape(event)
            if form in seen:
                continue
            seen.add(form)
            problems = [error.message for error in validator.iter_errors(event)]
            assert problems == [], f"{path.parent.name}: {line.decode()}"
    assert {"flow", "dns", "tls", "http", "anomaly"} <= set(kinds)
    assert min(kinds[kind] for kind in ("flow", "dns", "tls", "http", "anomaly")) >= 20


def test_what_leaves_the_gateway_is_valid_too(peer_data: Path, validator: Validator) -> None:
    """The line of every kind of event that the captures give, as the outbox keeps it."""
    generations = Generations()
    generations.runs(12, 0)
    marker = Marker(AlertSettings(), "ministry-health", generations)
    seen: set[Any] = set()
    for path in sorted((peer_data / "suricata-verify" / "tests").glob("*/*.pcap"))[::7]:
        for line in eve(path):
            form = shape(json.loads(line))
            if form in seen:
                continue
            seen.add(form)
            event = json.loads(marker.new(line).body)
            assert [error.message for error in validator.iter_errors(event)] == [], line.decode()
            assert event["metadata"]["flowvars"][0]["tlp"] == "amber"
    assert len(seen) > 20


def test_what_the_control_plane_writes_is_valid(validator: Validator) -> None:
    written = [
        record.alert(record.UNREGISTERED_LINE, "Unregistered line", "words", seconds=0, interface="usb0"),
        record.notice("applyd", "words", seconds=0, host="site", error="more words"),
    ]
    for event in written:
        assert [error.message for error in validator.iter_errors(json.loads(record.encode(event)))] == []
