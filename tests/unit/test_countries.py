"""Rules with `geoip` on a gateway: by the file beside its rules, by another one when it changes, and by none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from appliance.control.messages.gateway import NameBook
from ctypes_ext import engine
from dataplane.countries import NAME
from dataplane.rulewatch import RuleChange, RuleWatch

PATIENCE = 60.0
RULE = 'alert icmp any any -> any any (msg:"{}"; geoip:dst,{}; sid:{};)\n'


def write(file: Path, country: str) -> None:
    countries = MMDBWriter(6, ipv4_compatible=True, database_type="Test-Country")
    countries.insert_network(IPSet(["198.51.100.0/24"]), {"country": {"iso_code": country}})
    partial = file.with_suffix(".new")
    countries.to_db_file(str(partial))
    file.write_bytes(partial.read_bytes())  # over the old one, as people do


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[RuleWatch]:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.rules").write_text(RULE.format("to Belize", "BZ", 1) + RULE.format("to Mexico", "MX", 2))
    watch = RuleWatch(folder, tmp_path / "cache", tmp_path / "state")
    watch.book = NameBook(1, "site", (), ())
    yield watch
    watch.stop()
    watch.join()


def alerts(change: RuleChange, capture: Path) -> set[int]:
    worker, names, file = engine.Worker(engine.Options(), change.rules), engine.Names(), engine.CaptureFile(capture)
    told = b""
    while file.pull(worker) or not worker.finish():
        told += worker.drain(names, lambda _: engine.RuleName("", ""))[0]
    told += worker.drain(names, lambda _: engine.RuleName("", ""))[0]
    lines = [json.loads(line) for line in told.splitlines()]
    return {line["alert"]["signature_id"] for line in lines if line["event_type"] == "alert"}


def alerting(watch: RuleWatch, capture: Path, wanted: set[int]) -> RuleChange:
    """The change from which on these rules alert. What is half written may be looked at before."""
    deadline, found = time.monotonic() + PATIENCE, None
    while found is None or alerts(found, capture) != wanted:
        assert time.monotonic() < deadline, watch.words()
        time.sleep(0.02)
        found = watch.take()
    return found


def test_the_file_beside_the_rules_says_countries_and_may_be_written_over(watch: RuleWatch, tmp_path: Path) -> None:
    capture, file = tmp_path / "c.pcap", tmp_path / "rules" / NAME
    wrpcap(str(capture), [Ether() / IP(src="10.0.0.1", dst="198.51.100.7") / ICMP()])
    write(file, "BZ")
    watch.start()
    first = alerting(watch, capture, {1})
    write(file, "MX")
    alerting(watch, capture, {2})
    assert alerts(first, capture) == {1}, "who still has the old rules reads what they were made with"
    file.unlink()
    alerting(watch, capture, set())
    write(file, "BZ")
    alerting(watch, capture, {1})
    watch.words()
    file.write_bytes(b"no such format")
    alerting(watch, capture, set())
    assert any("no rule with geoip matches" in words for words in watch.words())
    assert len(list((tmp_path / "cache").glob("*.countries"))) <= 2
