"""Entries as they are written: within their schema and their bounds, each in the class of records of its subject."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from appliance.control.processes import PROCESSES
from appliance.events import record
from appliance.policy.records import RecordRetention
from appliance.records.checkpoint import NoteError, parse_checkpoint, parse_key, parse_note
from appliance.records.proof import parse_proof
from appliance.records.tiles import TileError, entries_of
from appliance.records.trail import MOST_ENTRY
from appliance.records.witness import parse_request

SCHEMA = Path(__file__).parents[3] / "docs" / "schemas" / "audit.json"
VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


@given(
    words=st.text(max_size=3000),
    generation=st.integers(0, 2**31),
    detail=st.dictionaries(st.text(max_size=30), st.text(max_size=3000), max_size=40),
)
def test_every_entry_is_valid_and_fits_whatever_people_write(
    words: str, generation: int, detail: dict[str, str]
) -> None:
    event = record.audit(
        "policyd", words, "policy.apply", words, seconds=1e9, why=words, generation=generation, origin=words,
        detail=detail,
    )  # fmt: skip
    line = record.encode(event)[:-1]
    VALIDATOR.validate(json.loads(line))
    assert b"\n" not in line
    assert len(line) <= MOST_ENTRY
    assert msgspec.convert(record.decode(line).audit, record.Audit).generation == generation


@pytest.mark.parametrize("letter", ["x", "\0", "\u20ac"])
def test_the_largest_entry_fits_the_trail(letter: str) -> None:
    detail = {f"{letter * 3000}{number}"[-3000:]: letter * 5000 for number in range(50)}
    event = record.audit("policyd", letter * 9999, "policy.apply", letter * 9999, seconds=1e9, detail=detail)
    assert len(record.encode(event)) - 1 <= MOST_ENTRY


def test_every_subject_has_a_class_of_records_that_has_a_retention() -> None:
    subjects = {subject for row in PROCESSES for subject in row.audits}
    assert {record.record_class(f"{subject}.x") for subject in subjects} <= set(record.RECORD_CLASSES)
    assert set(record.RECORD_CLASSES) == set(RecordRetention.__struct_fields__)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_what_strangers_give_is_read_or_refused_in_words(data: bytes) -> None:
    for parse in (parse_note, parse_proof, parse_request):
        try:
            parse(data)
        except NoteError as error:
            assert str(error)
    for text in (parse_checkpoint, parse_key):
        try:
            text(data.decode(errors="replace"))
        except NoteError as error:
            assert str(error)
    try:
        assert b"".join(len(one).to_bytes(2, "big") + one for one in entries_of(data)) == data
    except TileError as error:
        assert str(error)
