"""Indicators as STIX, CSV, lists and MISP events: what is read, what is refused and why, and that nothing hurts."""

from __future__ import annotations

import csv
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.events.tlp import Tlp
from appliance.indicators import csvin, mispin, stixin
from appliance.indicators.indicator import Read, Unreadable, plain
from appliance.indicators.values import ValueRefused, value

NOW = 1_800_000_000.0


def indicator(**changes: Any) -> dict[str, Any]:
    return {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid.UUID(int=1 << 78 | 2 << 62, version=4)}",
        "created": "2026-11-01T10:00:00.000Z", "modified": "2026-11-02T10:00:00.000Z", "pattern_type": "stix",
        "pattern": "[ipv4-addr:value = '203.0.113.66']", "valid_from": "2026-11-01T10:00:00Z",
    } | changes  # fmt: skip


def read(*objects: dict[str, Any]) -> Read:
    return stixin.read(json.dumps({"type": "bundle", "objects": objects}).encode())


def test_an_indicator_of_stix() -> None:
    marking = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
    said = indicator(
        name="C2\nserver", confidence=85, valid_until="2026-12-01T00:00:00Z", object_marking_refs=[marking],
        indicator_types=["malicious-activity"],
    )  # fmt: skip
    found = read({"type": "identity", "id": "identity--1"}, said)
    assert not found.refused
    (one,) = found.indicators
    assert (one.name, one.confidence, one.tlp) == ("C2 server", 85, Tlp.AMBER_STRICT)
    assert [(value.kind, value.text) for value in one.values] == [("address", "203.0.113.66")]
    assert one.modified - one.created == 86_400
    assert one.until - one.since == 29 * 86_400 + 14 * 3_600
    assert one.holds(one.since)
    assert not one.holds(one.until)
    assert not one.holds(one.since - 1)
    assert one.labels == ("malicious-activity",)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": "indicator--1"}, "UUID"),
        ({"confidence": 101}, "101"),
        ({"valid_until": "2026-10-01T00:00:00Z"}, "ends before"),
        ({"created": "yesterday"}, "not an indicator"),
        ({"valid_from": "2026-11-01T10:00:00+99:00"}, "not an indicator"),
        ({"pattern": 5}, "not an indicator"),
        ({"pattern": "x" * (10 << 20)}, "bytes"),
    ],
)
def test_a_bad_object_is_refused_and_the_others_are_read(changes: dict[str, Any], why: str) -> None:
    good = indicator()
    found = read(indicator(**changes), good)
    assert [one.id for one in found.indicators] == [good["id"]]
    assert len(found.refused) == 1
    assert why in found.refused[0].why


def test_what_cannot_be_enforced_is_kept_with_the_reason() -> None:
    found = read(
        indicator(pattern="[domain-name:value MATCHES '(a+)+$']"),
        indicator(pattern="alert tcp any any -> any any (sid:1;)", pattern_type="snort"),
        indicator(pattern="[nonsense"),
    )
    assert not found.refused
    assert ["MATCHES" in one.unenforced for one in found.indicators] == [True, False, False]
    assert "snort" in found.indicators[1].unenforced
    assert "character" in found.indicators[2].unenforced


def test_a_revocation_is_one() -> None:
    (one,) = read(indicator(revoked=True)).indicators
    assert one.revoked
    assert not one.holds(one.since)


@pytest.mark.parametrize("document", [b"", b"[]", b'{"objects": 5}', b"\xff", b'{"objects": [' + b"[" * 5_000])
def test_what_is_no_document_is_refused_whole(document: bytes) -> None:
    with pytest.raises(Unreadable):
        stixin.read(document)


def test_a_list_of_values() -> None:
    text = (
        "# evil\n198.51.100.7 # c2\nhxxp://evil[.]example/x\n\n2001:db8::/32\nevil.example;x\n"
        + "a" * 64
        + "\nb@evil.example\n"
    )
    found = csvin.read(text.encode(), now=NOW)
    assert [(one.values[0].kind, one.values[0].text) for one in found.indicators] == [
        ("address", "198.51.100.7"), ("url", "http://evil.example/x"), ("network", "2001:db8::/32"),
        ("domain", "evil.example"), ("sha256", "a" * 64), ("sender", "b@evil.example"),
    ]  # fmt: skip
    assert not found.refused
    again = csvin.read(text.encode(), now=NOW)
    assert [one.id for one in again.indicators] == [one.id for one in found.indicators]


def test_csv_with_columns() -> None:
    text = (
        "type,value,confidence,until,name,tlp,revoked\n"
        'ip-dst,192.0.2.1,90,2027-01-01T00:00:00Z,"one, two",TLP:GREEN,\n'
        "domain,8.8.8.8,,,,,\nsha256,xyz,,,,,\nhostname,a.example,200,,,,\nhostname,b.example,10,,,,yes\n"
    )
    found = csvin.read(text.encode(), now=NOW)
    assert [(one.values[0].text, one.confidence, one.name, one.tlp, one.revoked) for one in found.indicators] == [
        ("192.0.2.1", 90, "one, two", Tlp.GREEN, False), ("b.example", 10, "", Tlp.CLEAR, True),
    ]  # fmt: skip
    assert found.indicators[0].until == 1_798_761_600
    assert [one.which for one in found.refused] == ["line 3", "line 4", "line 5"]


@pytest.mark.parametrize("text", ["192.0.2.1", "2001:db8::1", "198.51.100.0/24", "bücher.example", "d" * 32])
def test_what_has_no_id_gets_the_name_based_one_of_its_value(text: str) -> None:
    found = csvin.guessed(text)
    space = uuid.UUID("3f0c2f1e-6a5b-5c0e-9d53-7f1a54b1f0aa")
    assert csvin.id_of(found) == f"indicator--{uuid.uuid5(space, f'{found.kind} {found.text}')}"


@given(st.lists(st.text(st.sampled_from("12a .,\"'-\\\t;é"), max_size=12), min_size=1, max_size=4))
def test_a_line_without_quotes_is_divided_as_the_csv_module_does(cells: list[str]) -> None:
    line = ",".join(["192.0.2.1", *cells])
    found = csvin.read(f"value,name,type,id\n{line}\n".encode(), now=NOW)
    parts = [cell.strip() for cell in next(csv.reader([line]))]
    row = dict(zip(("value", "name", "type", "id"), parts, strict=False))
    if row.get("type"):
        assert not found.indicators  # none of these letters names one
    else:
        assert [one.name for one in found.indicators] == [plain(row.get("name", ""))]


@pytest.mark.parametrize("text", ["010.0.0.1", "1.2.3.256", "1.2.3.04", "1.2.3", "1.2.3.4.5", "١.٢.٣.٤"])
def test_what_only_looks_like_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueRefused):
        value("address", text)


def test_an_unknown_column_is_no_guess() -> None:
    with pytest.raises(Unreadable, match="threat_level"):
        csvin.read(b"value,threat_level\n192.0.2.1,high\n", now=NOW)
    with pytest.raises(Unreadable, match="UTF-8"):
        csvin.read(b"value\n\xff\xfe\n", now=NOW)


def attribute(kind: str, value: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "value": value, "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, value)), "to_ids": True,
            "timestamp": "1794000000"} | more  # fmt: skip


def test_an_event_of_misp() -> None:
    event = {
        "uuid": str(uuid.UUID(int=5)), "info": "Campaign",
        "Tag": [{"name": "tlp:amber"}, {"name": 'misp:confidence-level="usually-confident"'}],
        "Attribute": [
            attribute("ip-dst|port", "192.0.2.5|443"), attribute("comment", "text", to_ids=False),
            attribute("filename|sha256", "a.exe|" + "c" * 64), attribute("malware-sample", "a.exe|" + "d" * 32),
            attribute("mutex", "Global\\x"), attribute("domain", "gone.example", deleted=True), {"type": "domain"},
        ],
        "Object": [{"Attribute": [attribute("hostname", "deep.example", Tag=[{"name": "tlp:red"}])]}],
    }  # fmt: skip
    for document in ({"Event": event}, {"response": [{"Event": event}]}):
        found = mispin.read(json.dumps(document).encode())
        kept = [(one.values[0].kind, one.values[0].text) for one in found.indicators if one.values]
        assert kept == [
            ("address", "192.0.2.5"), ("sha256", "c" * 64), ("md5", "d" * 32), ("domain", "gone.example"),
            ("domain", "deep.example"),
        ]  # fmt: skip
        assert [one.confidence for one in found.indicators] == [70] * 6
        assert [one.tlp for one in found.indicators][-1] == Tlp.RED
        assert "mutex" in next(one.unenforced for one in found.indicators if not one.values)
        assert [one.revoked for one in found.indicators] == [False, False, False, False, True, False]
        assert len(found.refused) == 1
    with pytest.raises(Unreadable, match="Event"):
        mispin.read(b"{}")


@given(st.binary(max_size=200))
def test_no_bytes_hurt(document: bytes) -> None:
    for reader in (stixin.read, mispin.read, lambda data: csvin.read(data, now=NOW)):
        try:
            reader(document)
        except Unreadable as error:
            assert str(error)
