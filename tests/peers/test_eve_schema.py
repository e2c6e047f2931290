"""Suricata's own captures through the engine: nothing breaks, and every event is valid EVE JSON."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from ctypes_ext.engine import CaptureFile, EngineError, Names, Options, RuleName, Worker

NOTHING = RuleName("", "")


def eve(path: Path) -> list[bytes]:
    """All lines of a capture; of a damaged one, those of the packets before the damage."""
    worker, names, file = Worker(Options(flows=4096, seed=(1, 2))), Names("site"), CaptureFile(path)
    lines: list[bytes] = []

    def drain() -> None:
        while (batch := worker.drain(names, lambda _: NOTHING))[0]:
            lines.extend(batch[0].splitlines())

    try:
        while file.pull(worker):
            drain()
    except EngineError as error:
        assert "damaged" in str(error) or "ends inside" in str(error)
    while not worker.finish():
        drain()
    drain()
    return lines


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
