"""Indicators from a consumer's POST to the kernel and to inspection, what is refused; a kill loses nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.control.messages import gateway as messages
from appliance.control.messages.audit import AuditEntries, AuditLog
from appliance.control.messages.events import ConsumerList, Consumers
from appliance.control.messages.indicators import (
    IndicatorInfo,
    IndicatorList,
    Indicators,
    IndicatorsTaken,
    Overridden,
    OverrideIndicator,
    TakeIndicators,
)
from appliance.events import record
from appliance.events.indicatorline import HEAD, SOCKET, Batch, Told
from appliance.events.spool import Spool, SpoolLimits
from tests.netns.stand import ROOT, Stand, as_user, until

TOKEN = "a-token-for-the-csirt"
GUEST = "a-token-of-somebody"
TEXT = f"""\
reef: 1
site: clinic
zones:
  lan: {{interfaces: [lan0], networks: [10.20.0.0/16], addresses: {{lan0: 10.20.0.1/16}}}}
  internet: {{role: internet, interfaces: [wan0], addresses: {{wan0: 203.0.113.2/24}}}}
connections:
  wan0: {{provider: Line, officer: "An Officer <noc@stand.example>", phone: "+501 555 0100"}}
alerts: {{listen: [lan], port: 9443}}
consumers:
  csirt:
    {{token: "sha256:{sha256(TOKEN.encode()).hexdigest()}", collections: [alerts, indicators, sightings],
      may: indicators, tlp: red, rate: 1000/second, owner: o}}
  guest: {{token: "sha256:{sha256(GUEST.encode()).hexdigest()}", collections: [indicators], owner: o}}
indicators:
  sources:
    csirt: {{alert: 30, block: 80, owner: o}}
rules:
  - {{id: R-1, from: lan, to: gateway, service: tcp/9443, action: allow, owner: o, why: w}}
"""
COLLECTION = "https://10.20.0.1:9443/taxii2/gateway/collections/indicators/objects/"
EVIL = "198.51.100.66"


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand(("keyd", "applyd", "policyd", "recordd", "alertd")) as stand:
        lists = stand.instance.never_block
        lists.mkdir(parents=True)
        (lists / "resolvers.json").write_text('{"name": "Resolvers", "type": "cidr", "list": ["8.8.8.0/24"]}')
        stand.apply(TEXT)
        until(lambda: stand.ask(Consumers(), ConsumerList, to="alertd").listens, "alertd knows the policy")
        yield stand


def indicator(pattern: str, confidence: int = 90, **more: Any) -> dict[str, Any]:
    return {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_URL, pattern)}",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z", "pattern_type": "stix",
        "pattern": pattern, "valid_from": "2026-01-01T00:00:00Z", "confidence": confidence, "name": "a test",
    } | more  # fmt: skip


def post(stand: Stand, *objects: dict[str, Any], token: str = TOKEN) -> dict[str, Any]:
    """What the API answers, with its status."""
    body = Path(stand.instance.run) / "envelope.json"
    body.write_text(json.dumps({"objects": objects}))
    answer = stand.sh(
        f"curl -sk -w '\\n%{{http_code}}' -H 'Authorization: Bearer {token}' "
        "-H 'Content-Type: application/taxii+json;version=2.1' -H 'Accept: application/taxii+json;version=2.1' "
        f"--data-binary @{body} {COLLECTION}"
    )
    text, _, status = answer.rpartition("\n")
    return msgspec.json.decode(text, type=dict[str, Any]) | {"http": int(status)}


def shown(stand: Stand, word: str) -> IndicatorInfo:
    found = stand.ask(Indicators(word=word), IndicatorList, to="alertd")
    assert found.total == 1
    return found.indicators[0]


def in_kernel(stand: Stand, name: str) -> str:
    return stand.sh(f"nft list set inet reef_indicators {name} 2>/dev/null || true")


def test_what_is_posted_is_enforced_and_what_is_revoked_is_not(stand: Stand) -> None:
    answer = post(
        stand, indicator(f"[ipv4-addr:value = '{EVIL}']"), indicator("[ipv4-addr:value = '198.51.100.7']", 40)
    )
    assert (answer["http"], answer["success_count"], answer["failure_count"]) == (202, 2, 0)
    until(lambda: EVIL in in_kernel(stand, "block_v4"), "the address is blocked")
    until(lambda: "198.51.100.7" in in_kernel(stand, "tell_v4"), "the other is told")
    info = shown(stand, EVIL)
    assert [value[1:3] for value in info.values] == [(EVIL, "block")]
    assert info.source == "csirt"
    gone = indicator(f"[ipv4-addr:value = '{EVIL}']", modified="2026-01-02T00:00:00.000Z", revoked=True)
    assert post(stand, gone)["success_count"] == 1
    until(lambda: EVIL not in in_kernel(stand, "block_v4"), "it is not blocked any more")
    assert "took it back" in dict(shown(stand, EVIL).why)[""]


def test_poison_is_told_and_not_blocked(stand: Stand) -> None:
    post(stand, *(indicator(f"[ipv4-addr:value = '{text}']") for text in ("8.8.8.8", "10.20.3.3", "0.0.0.0/0")))
    for text in ("8.8.8.8", "10.20.3.3", "0.0.0.0/0"):
        info = shown(stand, text)
        assert info.values[0][2] == "alert"
        assert "never blocked" in dict(info.why)[text]
    until(lambda: "8.8.8.8" in in_kernel(stand, "tell_v4"), "it is told")
    assert "8.8.8.8" not in in_kernel(stand, "block_v4")


def test_two_persons_override_and_take_it_back(stand: Stand) -> None:
    post(stand, indicator("[ipv4-addr:value = '8.8.8.9']"))
    first = stand.ask(OverrideIndicator("8.8.8.9", "spoofed"), Overridden, to="alertd")
    assert (first.first != "", first.second) == (True, "")
    again = stand.refusal(OverrideIndicator("8.8.8.9", "spoofed"), to="alertd")
    assert "another person" in again.message
    assert "8.8.8.9" not in in_kernel(stand, "block_v4")
    other = stand.ask_as("policyd", OverrideIndicator("8.8.8.9", ""), Overridden)
    assert isinstance(other, messages.Refused)  # no person
    assert stand.ask(OverrideIndicator("8.8.8.9", back=True), Overridden, to="alertd").second == ""


def test_who_may_not_give_is_refused(stand: Stand) -> None:
    assert post(stand, indicator("[ipv4-addr:value = '198.51.100.8']"), token=GUEST)["http"] in (403, 404)
    assert stand.ask(Indicators(word="198.51.100.8"), IndicatorList, to="alertd").total == 0


def test_a_bad_object_is_said_and_the_good_one_is_taken(stand: Stand) -> None:
    answer = post(
        stand,
        indicator("[nonsense"),
        indicator("[x:y = 1]", confidence=900),
        {"type": "identity", "id": "identity--1"},
    )
    assert answer["failure_count"] == 2
    assert "cannot be read" in dict(shown(stand, str(uuid.uuid5(uuid.NAMESPACE_URL, "[nonsense"))).why)[""]


def test_a_pattern_of_megabytes_is_refused_and_the_next_object_is_taken(stand: Stand) -> None:
    huge = indicator("[file:name = '" + "a" * 9_000_000 + "']", id=f"indicator--{uuid.uuid4()}")
    answer = post(stand, huge, indicator("[ipv4-addr:value = '198.51.100.60']"))
    assert (answer["success_count"], answer["failure_count"]) == (1, 1)
    more = indicator("[file:name = '" + "a" * 11_000_000 + "']", id=f"indicator--{uuid.uuid4()}")
    assert post(stand, more)["http"] == 413
    until(lambda: "198.51.100.60" in in_kernel(stand, "block_v4"), "the good one is blocked")


def test_a_document_that_an_operator_brings(stand: Stand) -> None:
    taken = stand.ask(TakeIndicators("csirt", "csv", b"198.51.100.20\nnothing\n"), IndicatorsTaken, to="alertd")
    assert taken.new == 1
    assert taken.refused[0][0] == "line 2"
    refused = stand.refusal(TakeIndicators("other", "csv", b"198.51.100.21\n"), to="alertd")
    assert "csirt" in refused.message
    answer = stand.sh(
        f"curl -skg -H 'Authorization: Bearer {TOKEN}' -H 'Accept: application/taxii+json;version=2.1' '{COLLECTION}'"
    )
    patterns = [one.get("pattern") for one in json.loads(answer)["objects"]]
    assert patterns.count("[ipv4-addr:value = '198.51.100.20']") == 1, "consumers read it too"


def reef(stand: Stand, *words: str) -> tuple[str, str]:
    """What it prints, and what it notes."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "--instance", str(stand.file), "indicators", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def audited(stand: Stand, action: str) -> list[dict[str, Any]]:
    """The entries of the trail about this, the newest first."""
    found = stand.ask(AuditLog(action=action), AuditEntries, to="recordd").entries
    return [json.loads(one.body)["audit"] for one in found]


def test_the_verbs_show_take_in_and_are_written_down(stand: Stand, tmp_path: Path) -> None:
    post(stand, indicator("[ipv4-addr:value = '198.51.100.9']"))
    path = tmp_path / "list.csv"
    path.write_text("value,confidence\n198.51.100.40,95\n198.51.100.41,10\nnonsense,1\n")
    taken = json.loads(reef(stand, "add", str(path), "--source", "csirt", "--json")[0])
    assert (taken["new"], taken["refused"][0][0]) == (2, "line 4")
    shown = reef(stand, "list", "--word", "198.51.100.4")[0]
    assert "198.51.100.40  block  gate and ruleset  csirt" in shown
    assert "its source alerts from 30 on" in shown
    listed = json.loads(reef(stand, "list", "--mode", "block", "--word", "198.51.100.40", "--json")[0])
    assert listed["total"] == 1
    assert json.loads(reef(stand, "sources", "--json")[0])[0]["name"] == "csirt"
    reef(stand, "override", "8.8.8.77", "--why", "spoofed", "--for", "1h")
    assert "another person must agree" in reef(stand, "list")[1]
    reef(stand, "restore", "8.8.8.77")
    restored = "indicator.restore"
    until(lambda: "8.8.8.77" in [one["object"] for one in audited(stand, restored)], "the trail has it", patience=30)
    assert audited(stand, "indicator.override")[0]["why"] == "spoofed"
    entry = audited(stand, "indicator.add")[0]
    assert (entry["object"], entry["detail"]["new"], entry["detail"]["changed"]) == ("csirt", "2", "0")
    assert audited(stand, "indicator.give")[0]["actor"] == "consumer csirt"


def test_a_hit_is_shown_told_and_goes_back_as_a_sighting(stand: Stand) -> None:
    """What the ruleset logs comes by inspectd's spool, which stands in for it here."""
    one = indicator("[ipv4-addr:value = '198.51.100.50']")
    post(stand, one)
    spool = Spool(
        stand.instance.events_of("inspectd"), SpoolLimits(segment=1 << 20, total=4 << 20), source="inspectd"
    )
    decision = record.metadata(record.Decision("reef", "indicator", "deny"))
    now = record.format_time(time.time())
    logged = record.Event(
        now, "drop", src_ip="198.51.100.50", dest_ip="10.20.0.9", metadata=decision, drop={"len": 40}
    )
    spool.append(record.encode(logged), 1)
    spool.close()
    until(lambda: shown(stand, "198.51.100.50").hits == 1, "it is counted", patience=30)

    def sightings() -> list[dict[str, Any]]:
        answer = stand.sh(
            f"curl -skg -H 'Authorization: Bearer {TOKEN}' -H 'Accept: application/taxii+json;version=2.1' "
            f"'{COLLECTION.replace('/indicators/', '/sightings/')}?match[type]=sighting'"
        )
        found: list[dict[str, Any]] = json.loads(answer).get("objects", [])
        return [each for each in found if each["sighting_of_ref"] == one["id"]]

    until(sightings, "the sighting can be had", patience=30)
    assert sightings()[0]["count"] == 1

    def alerted() -> bool:
        events = stand.sh(
            f"curl -skg -H 'Authorization: Bearer {TOKEN}' 'https://10.20.0.1:9443/eve?kinds=alert&after=0&limit=1000'"
        )
        return any('"gid":88' in line and "198.51.100.50" in line for line in events.splitlines())

    until(alerted, "somebody is told", patience=30)


def test_inspectd_is_told_everything_and_each_change_and_nobody_else_is(stand: Stand) -> None:
    post(stand, indicator("[domain-name:value = 'c2.evil.example']"))
    path = str(stand.instance.run_of("alertd") / SOCKET)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(path)
        assert stranger.recv(1) == b""
    with socket.socket(socket.AF_UNIX) as line:
        with as_user(stand.instance.identity("inspectd").uid):
            line.connect(path)
        line.settimeout(30)
        stream = line.makefile("rb")

        def told() -> Told:
            (size,) = HEAD.unpack(stream.read(HEAD.size))
            return msgspec.msgpack.decode(stream.read(size), type=Told)

        first = told()
        assert first.whole
        assert Batch("domain", "block", ("c2.evil.example",)) in first.add
        post(stand, indicator("[file:hashes.MD5 = '" + "a" * 32 + "']", 50))
        assert told() == Told((Batch("md5", "alert", ("a" * 32,)),))


def test_a_stampede_is_taken_in_whole_or_put_off_and_reaches_kernel_and_engine(stand: Stand, tmp_path: Path) -> None:
    """More posts at once than one consumer may have open: each is answered 202 or 429, and those come again."""
    posts, each = 24, 50
    for number in range(posts):
        objects = [
            indicator(f"[ipv4-addr:value = '100.64.{number}.{one}' OR domain-name:value = 'h{number}-{one}.example']")
            for one in range(each)
        ]
        (tmp_path / f"{number}.json").write_text(json.dumps({"objects": objects}))
    left = set(range(posts))

    def all_taken() -> bool:
        sends = [
            f"curl -sk -o /dev/null -w '{number} %{{http_code}}\\n' -H 'Authorization: Bearer {TOKEN}' "
            "-H 'Content-Type: application/taxii+json;version=2.1' -H 'Accept: application/taxii+json;version=2.1' "
            f"--data-binary @{tmp_path / f'{number}.json'} {COLLECTION} &"
            for number in sorted(left)
        ]
        for line in stand.sh("\n".join((*sends, "wait"))).splitlines():
            number, status = line.split()
            assert status in ("202", "429"), line
            if status == "202":
                left.discard(int(number))
        return not left

    with socket.socket(socket.AF_UNIX) as line:
        with as_user(stand.instance.identity("inspectd").uid):
            line.connect(str(stand.instance.run_of("alertd") / SOCKET))
        line.settimeout(30)
        stream = line.makefile("rb")
        until(all_taken, "every post was taken")
        names: set[str] = set()
        while len(names) < posts * each:
            (size,) = HEAD.unpack(stream.read(HEAD.size))
            told = msgspec.msgpack.decode(stream.read(size), type=Told)
            names |= {name for batch in told.add if batch.kind == "domain" for name in batch.values if name[0] == "h"}
    until(lambda: in_kernel(stand, "block_v4").count("100.64.") == posts * each, "every address is blocked")


def test_who_asks_for_an_address_is_told_what_blocks_it_as_a_network_too(stand: Stand) -> None:
    post(stand, indicator("[ipv4-addr:value ISSUBSET '198.51.100.128/26']"))

    def blocking(address: str) -> list[str]:
        found = stand.ask(Indicators(holds=address), IndicatorList, to="alertd")
        return [value[1] for one in found.indicators for value in one.values]

    assert blocking("198.51.100.130") == ["198.51.100.128/26"]
    assert blocking("198.51.100.200") == []


def test_a_kill_of_any_process_loses_nothing(stand: Stand) -> None:
    post(stand, indicator("[ipv4-addr:value = '198.51.100.30']"))
    until(lambda: "198.51.100.30" in in_kernel(stand, "block_v4"), "it is blocked")
    for name in ("alertd", "applyd"):
        stand.kill(name)
        assert "198.51.100.30" in in_kernel(stand, "block_v4")
        stand.restart(name)
    until(lambda: stand.ask(Consumers(), ConsumerList, to="alertd").listens, "alertd listens again")
    assert shown(stand, "198.51.100.30").values[0][2] == "block"
    stand.sh("nft delete table inet reef_indicators")  # as after a boot
    post(stand, indicator("[ipv4-addr:value = '198.51.100.31']"))
    until(lambda: "198.51.100.30" in in_kernel(stand, "block_v4"), "all of it is back")
    assert "198.51.100.31" in in_kernel(stand, "block_v4")
