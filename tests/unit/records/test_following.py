"""Entries come out of the spools once and in order; what was lost or may not be written is itself an entry."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import msgspec
import pytest

from appliance.events import record
from appliance.events.spool import Spool, SpoolLimits
from appliance.records.following import Follower
from appliance.records.trail import MOST_ENTRY
from tests.unit.records.logs import audited

SUBJECTS = ("ban", "policy")


def said(action: str, object_: str, detail: dict[str, str]) -> bytes:
    return record.encode(record.audit("recordd", "recordd", action, object_, seconds=1e9, detail=detail))[:-1]


def followed(folder: Path, read: dict[str, int] | None = None) -> Follower:
    return Follower({"policyd": (folder, SUBJECTS)}, read or {}, said)


def fill(spool: Spool, entries: list[bytes]) -> None:
    for entry in entries:
        spool.append(record.encode(record.notice("policyd", "beside it", seconds=time.time())), 1)
        spool.append(entry + b"\n", 1)


def told(entry: bytes) -> record.Audit:
    return msgspec.convert(record.decode(entry).audit, record.Audit)


def test_entries_come_once_over_restarts_and_nothing_else_does(tmp_path: Path) -> None:
    entries = audited(50)
    spool = Spool(tmp_path)
    fill(spool, entries[:20])
    first = followed(tmp_path)
    found = first.look(1000)
    assert found.entries == entries[:20]
    assert found.read == {"policyd": 40}
    assert first.look(1000).entries == []
    fill(spool, entries[20:])
    assert first.look(7).entries == entries[20:27]
    first.back_to(found.read)  # they could not be kept
    assert first.look(1000).entries == entries[20:]
    assert followed(tmp_path, {"policyd": 40}).look(1000).entries == entries[20:]
    spool.close()


def test_what_was_lost_before_it_was_read_is_an_entry(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(segment=2000, total=6000))
    follower = followed(tmp_path)
    fill(spool, audited(1))
    assert len(follower.look(1000).entries) == 1
    fill(spool, audited(60))
    found = follower.look(1000).entries
    gap = told(found[0])
    assert (gap.action, gap.process) == ("trail.gap", "recordd")
    assert int(gap.detail["lost"]) > 0
    assert len(found) > 1
    spool.close()


def test_a_spool_that_began_anew_is_read_from_its_beginning_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "policyd"
    spool = Spool(folder)
    fill(spool, audited(30))
    spool.close()
    shutil.rmtree(folder)
    again = Spool(folder)
    fill(again, audited(2))
    found = followed(folder, {"policyd": 60}).look(1000)
    assert told(found.entries[0]).object == "events of policyd: the spool began anew"
    assert found.entries[1:] == audited(2)
    assert found.read == {"policyd": 4}
    again.close()


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (audited(1, "device.accept")[0], "policyd does not write of device.accept"),
        (audited(1, process="keyd")[0], "it says that keyd wrote it"),
        (b'{"event_type":"audit"}', "missing required field"),
        (b'{"event_type":"audit","audit":', "truncated"),
        (b'{"event_type":"audit","x":"%s"}' % (b"x" * MOST_ENTRY), "it has 65"),
    ],
)
def test_what_a_process_may_not_write_is_an_entry_about_it(tmp_path: Path, entry: bytes, why: str) -> None:
    spool = Spool(tmp_path)
    spool.append(entry + b"\n", 1)
    [found] = followed(tmp_path).look(10).entries
    refused = told(found)
    assert refused.action == "trail.refused"
    assert why in refused.detail["why"]
    assert len(found) <= MOST_ENTRY
    spool.close()


def test_a_process_that_never_wrote_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "policyd"
    follower = followed(folder)
    assert follower.look(10).entries == []
    spool = Spool(folder)
    fill(spool, audited(3))
    assert follower.look(10).entries == audited(3)
    spool.close()
