"""STIX objects: valid to the reference validator, with the identifiers that the reference library makes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import stix2
from hypothesis import given
from hypothesis import strategies as st
from stix2validator import ValidationOptions, validate_instance

from appliance.events import record, stix
from appliance.events.sighted import Sighted, sighted
from appliance.events.tlp import Tlp

STAMP = "2026-01-01T00:00:00.010160+0000"
OBSERVABLES = {"ipv4-addr", "ipv6-addr", "domain-name", "url", "file", "network-traffic"}


def line(**members: Any) -> bytes:
    alert = {
        "action": "allowed", "gid": 1, "signature_id": 2024897, "rev": 3, "signature": "ET USER_AGENTS Go HTTP",
        "category": "Misc activity", "severity": 3,
        "metadata": {
            "confidence": ["High"], "created_at": ["2017_10_23"], "updated_at": ["2024_06_13"],
            "cve": ["CVE_2020_1472"], "mitre_technique_id": ["T1071_004"],
        },
    }  # fmt: skip
    event = {
        "timestamp": STAMP, "event_type": "alert", "src_ip": "192.0.2.7", "src_port": 50078,
        "dest_ip": "198.51.100.9", "dest_port": 80, "proto": "TCP", "app_proto": "http",
        "community_id": "1:RZp+Doj33a0oYX2vdslG8DsO2r8=", "alert": alert,
    }  # fmt: skip
    return msgspec.json.encode({**event, **members})


WEB = {
    "http": {"hostname": "Bugertor.com", "url": '/a b/watchdog.exe?x=ü"', "http_user_agent": "Go\x07"},
    "fileinfo": {"filename": "/watchdog/watchdog.exe", "md5": "d" * 32, "sha256": "A" * 64, "size": 7},
    "dns": {"query": [{"rrname": "c2.example.org."}]},
    "tls": {"sni": "203.0.113.5"},
}
IPV6 = {"src_ip": "2001:0db8:0000:0000:0000:0000:0000:0001", "dest_ip": "2001:0db8:0000:0000:0000:0000:0000:0002"}


def made(raw: bytes, tlp: Tlp = Tlp.AMBER) -> list[stix.Made]:
    seen = sighted(raw)
    assert seen is not None
    signature = stix.indicator("site", seen, tlp, created=seen.created or 0, modified=seen.updated or seen.time)
    alerts = stix.alert("site", seen, tlp, raw, 41, sighting_of=signature.id)
    return [stix.marking(tlp), stix.site_identity("site"), signature, *alerts]


def problems(one: stix.Made) -> list[str]:
    """What the validator finds, but for two pieces of advice: our identifiers are not random, they say what they
    name, and our pattern type is none of the vocabulary, which is open."""
    result = validate_instance(json.loads(one.body), ValidationOptions(version="2.1"))
    said = [str(error) for error in result.errors] + [str(warning) for warning in result.warnings]
    return [words for words in said if "not a valid UUIDv4 ID" not in words and "indicator-pattern-ov" not in words]


@pytest.mark.parametrize(
    "more", [{}, WEB, IPV6, {"proto": "UDP", "app_proto": "dns"}], ids=["tcp", "web", "v6", "dns"]
)
def test_every_object_is_valid_stix(more: dict[str, Any]) -> None:
    for one in made(line(**more)):
        assert problems(one) == [], one.body.decode()
        parsed = stix2.parse(one.body.decode(), version="2.1", allow_custom=False)
        assert (parsed["id"], parsed["type"]) == (one.id, one.type)


@pytest.mark.parametrize("tlp", list(Tlp))
def test_the_markings_are_those_of_oasis(tlp: Tlp) -> None:
    found = json.loads(stix.marking(tlp).body)
    assert problems(stix.marking(tlp)) == []
    assert found["name"] == f"TLP:{tlp.word.upper()}"
    assert list(found["extensions"].values()) == [{"extension_type": "property-extension", "tlp_2_0": tlp.word}]
    assert stix.marked([stix.marking(tlp).id, "marking-definition--x"]) is tlp


@pytest.mark.parametrize("more", [{}, WEB, IPV6], ids=["tcp", "web", "v6"])
def test_observables_have_the_identifiers_of_the_standard(more: dict[str, Any]) -> None:
    found = [json.loads(one.body) for one in made(line(**more)) if one.type in OBSERVABLES]
    assert len(found) >= 3
    for one in found:
        without = {member: value for member, value in one.items() if member != "id"}
        assert stix2.parse(without, version="2.1")["id"] == one["id"], one


@given(st.text(min_size=1, max_size=40), st.integers(0, 65535))
def test_identifiers_of_any_text_are_those_of_the_library(value: str, port: int) -> None:
    value.encode("utf-8", "surrogatepass")
    if any("\ud800" <= character <= "\udfff" for character in value):
        return
    theirs = stix2.v21.File(name=value)["id"]
    assert stix.observable_id("file", {"name": value}) == theirs
    source = stix.observable_id("ipv4-addr", {"value": "192.0.2.1"})
    traffic = stix2.v21.NetworkTraffic(src_ref=source, src_port=port, protocols=["tcp"])
    ours = {"src_ref": source, "src_port": port, "protocols": ["tcp"]}
    assert stix.observable_id("network-traffic", ours) == traffic["id"]


def test_what_is_referred_to_is_there_and_comes_first() -> None:
    known: set[str] = set()
    for one in made(line(**WEB)):
        body = json.loads(one.body)
        for member, value in body.items():
            for reference in value if member.endswith("_refs") else [value] if member.endswith("_ref") else []:
                assert reference in known, f"{one.type}.{member}"
        known.add(one.id)


def test_the_same_event_makes_the_same_bytes_and_another_site_other_identifiers() -> None:
    assert made(line()) == made(line())
    seen = sighted(line())
    assert seen is not None
    assert stix.indicator_id("site", 1, 2) != stix.indicator_id("other", 1, 2)


def test_times_are_as_exact_as_the_standard_asks() -> None:
    bodies = {one.type: json.loads(one.body) for one in made(line())}
    assert bodies["sighting"]["created"] == bodies["sighting"]["modified"] == "2026-01-01T00:00:00.010Z"
    assert bodies["observed-data"]["first_observed"] == "2026-01-01T00:00:00.01016Z"
    assert bodies["indicator"]["created"] == "2017-10-23T00:00:00.000Z"
    assert bodies["indicator"]["modified"] == "2024-06-13T00:00:00.000Z"


def test_an_alert_says_what_its_signature_knows() -> None:
    body = {one.type: json.loads(one.body) for one in made(line())}["indicator"]
    assert body["confidence"] == 85
    assert [one["external_id"] for one in body["external_references"]] == ["CVE-2020-1472", "T1071.004"]
    assert body["pattern_type"] == "reef-signature", "a pattern that nobody can load by mistake"
    seen = sighted(line())
    assert seen is not None
    rule = 'alert tcp any any -> any any (msg:"x"; sid:1;)'
    told = json.loads(stix.indicator("site", seen, Tlp.AMBER, created=0, modified=0, rule=rule).body)
    assert (told["pattern"], told["pattern_type"]) == (rule, "suricata")


def test_what_strangers_wrote_is_cleaned() -> None:
    seen = sighted(line(**WEB))
    assert seen is not None
    assert seen.url == "http://bugertor.com/a%20b/watchdog.exe?x=%C3%BC%22"
    assert seen.names == ("c2.example.org", "bugertor.com"), "an address is no name"
    assert seen.user_agent == "Go"
    assert seen.files[0].name == "watchdog.exe"
    assert seen.files[0].sha256 == "a" * 64


@pytest.mark.parametrize(
    "more",
    [{"src_ip": "p-5f2c", "dest_ip": "p-77aa"}, {"src_ip": "", "dest_ip": "0.0.0.0"}, {"src_ip": "x" * 9999}],
    ids=["pseudonyms", "none", "long"],
)
def test_an_address_that_is_none_is_left_out(more: dict[str, Any]) -> None:
    found = made(line(**more))
    assert [one for one in found if one.type == "sighting"]
    for one in found:
        assert problems(one) == []


def test_an_alert_without_addresses_is_a_sighting_alone() -> None:
    event = record.encode(
        record.alert(record.UNREGISTERED_LINE, "Unregistered line", "usb0", seconds=1, interface="usb0")
    )
    seen = sighted(event)
    assert seen is not None
    found = stix.alert("site", seen, Tlp.RED, event, 1, sighting_of=stix.indicator_id("site", seen.gid, seen.sid))
    assert [one.type for one in found] == ["sighting"]
    assert problems(found[0]) == []


@pytest.mark.parametrize(
    "raw",
    [b"", b"{}", b"[]", line(event_type="flow"), line(timestamp="yesterday"), line(alert={}), line(alert=[1])],
)
def test_what_is_no_alert_is_none(raw: bytes) -> None:
    assert sighted(raw) is None


@given(st.recursive(
    st.none() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(
        ["hostname", "url", "sni", "query", "rrname", "ip", "md5", "filename", "start", "confidence"]), inner),
    max_leaves=12,
))  # fmt: skip
def test_members_of_any_form_break_nothing(value: Any) -> None:
    for member in ("http", "tls", "dns", "fileinfo", "files", "flow", "src_ip", "src_port", "proto", "alert"):
        try:
            raw = line(**{member: value})
        except (msgspec.ValidationError, UnicodeEncodeError, OverflowError):
            continue
        seen: Sighted | None = sighted(raw)
        if seen is not None:
            stix.alert("site", seen, Tlp.AMBER, raw, 1, sighting_of="indicator--x")


def test_objects_of_others_are_kept_as_they_are_or_refused_with_a_reason() -> None:
    good = json.loads(made(line())[2].body)
    raw = msgspec.json.encode({**good, "x_theirs": 1, "object_marking_refs": [stix.MARKING[Tlp.GREEN]]})
    kept = stix.of_object(raw, unmarked=Tlp.RED)
    assert (kept.body, kept.tlp, kept.version) == (raw, Tlp.GREEN, 1_718_236_800_000_000)
    unmarked = {member: value for member, value in good.items() if member != "object_marking_refs"}
    assert stix.of_object(msgspec.json.encode(unmarked), unmarked=Tlp.RED).tlp is Tlp.RED
    for bad in (
        {"id": "indicator--1"}, {"id": "malware--" + good["id"][11:]}, {"spec_version": "2.0"},
        {"type": "in dicator"}, {"modified": "2024-13-01T00:00:00Z"}, {"modified": "yesterday"},
    ):  # fmt: skip
        with pytest.raises(stix.StixError):
            stix.of_object(msgspec.json.encode({**good, **bad}), unmarked=Tlp.RED)
