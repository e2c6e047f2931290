"""What came as CSV or MISP can be read as STIX, and means the same; what came as STIX is given on as it came."""

from __future__ import annotations

import json

import pytest
import stix2

from appliance.events import stix
from appliance.events.tlp import Tlp
from appliance.indicators import csvin, mispin, stixin
from appliance.indicators.giving import pattern_of, stix_id, told
from appliance.indicators.indicator import Indicator, looked_for
from appliance.indicators.values import Kind, Value

NOW = 1_800_000_000.0
UUID = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
MISP = {
    "Event": {
        "uuid": "11111111-17d4-4cbf-938f-98ee46b3cd3f",
        "info": "a campaign",
        "Tag": [{"name": "tlp:green"}],
        "Attribute": [
            {"uuid": UUID, "type": "domain", "value": "c2.example.net", "to_ids": True, "timestamp": "1799999999"}
        ],
    }
}
STIX = {
    "type": "indicator", "spec_version": "2.1", "id": f"indicator--{UUID}", "created": "2027-01-01T00:00:00.000Z",
    "modified": "2027-01-01T00:00:00.000Z", "valid_from": "2027-01-01T00:00:00Z", "pattern_type": "stix",
    "pattern": "[ipv4-addr:value = '198.51.100.7']", "x_own": 7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("address", "198.51.100.7"), ("address", "2001:db8::7"), ("network", "198.51.100.0/24"),
        ("network", "2001:db8::/48"), ("domain", "c2.example.net"), ("url", "http://c2.example.net/it's?a=b"),
        ("sha256", "a" * 64), ("sha1", "b" * 40), ("md5", "c" * 32), ("certificate", "d" * 40),
        ("certificate", "e" * 64), ("ja3", "f" * 32), ("ja3s", "0" * 32),
        ("ja4", "t13d1516h2_8daaf6152771_b186095e22b6"), ("sender", "evil@example.net"),
    ],
)  # fmt: skip
def test_a_pattern_means_the_value_that_it_was_made_of(kind: Kind, text: str) -> None:
    values = (Value(kind, text), Value("domain", "other.example.net"))
    found, why = looked_for(pattern_of(values))
    assert (set(found), why) == (set(values), "")
    (made,) = told([Indicator(f"indicator--{UUID}", values=values, created=NOW, modified=NOW, since=NOW)], {})
    stix2.parse(made.body, version="2.1")


def test_a_list_and_an_event_of_misp_are_told_with_label_and_confidence() -> None:
    listed = csvin.read(b"value,confidence,tlp\n198.51.100.7,80,amber\n", now=NOW)
    event = mispin.read(json.dumps(MISP).encode())
    first, second = told((*listed.indicators, *event.indicators), {})
    body = json.loads(first.body)
    assert (first.tlp, body["confidence"], body["pattern"]) == (Tlp.AMBER, 80, "[ipv4-addr:value = '198.51.100.7']")
    assert body["object_marking_refs"] == [stix.MARKING[Tlp.AMBER]]
    assert (second.id, second.tlp) == (f"indicator--{UUID}", Tlp.GREEN)
    assert second.version == 1_799_999_999_000_000


def test_what_came_as_stix_is_given_on_as_it_came_and_what_is_taken_back_is_revoked() -> None:
    read = stixin.read(json.dumps({"objects": [STIX]}).encode())
    (made,) = told(read.indicators, read.raw)
    assert json.loads(made.body) == STIX
    (kept,) = csvin.read(b"198.51.100.7\n", now=NOW).indicators
    (revoked,) = told([Indicator(kept.id, values=kept.values, modified=NOW + 1, since=NOW, revoked=True)], {})
    assert json.loads(revoked.body)["revoked"] is True


def test_what_stix_cannot_say_is_not_told() -> None:
    without = Indicator(f"indicator--{UUID}")
    assert told([Indicator("line-7", values=(Value("domain", "a.example"),)), without], {}) == []
    assert stix_id("line-7") == ""
