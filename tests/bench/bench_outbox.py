"""The outbox: events kept durably, one by one and in groups, and from the engine's spool into it.

The limit of the machine is a loop that appends 4 KiB to a file and has it on disk (`fdatasync`): nothing can be
durable more often than that. An event is an alert of 600 bytes as the engine writes it.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path

from appliance.events.classes import Class
from appliance.events.collecting import Collector
from appliance.events.marking import Generations, Marker
from appliance.events.outbox import NAME, New, Outbox
from appliance.events.split import SplitSpool
from appliance.events.tlp import Tlp
from appliance.policy.consumers import AlertSettings
from tests.bench.table import Row

_WANTED = 100_000  # events a second in groups
_RATE = 20_000  # alerts a second that the engine must get rid of
_LINE = (
    b'{"timestamp":"2027-01-15T08:00:00.123456+0000","flow_id":%015d,"in_iface":"lan0","event_type":"alert",'
    b'"src_ip":"10.20.0.12","src_port":41234,"dest_ip":"198.51.100.53","dest_port":80,"proto":"TCP","ip_v":4,'
    b'"community_id":"1:0123456789abcdefghijklmnopq=","host":"ministry-health","metadata":{"flowvars":[{"gid":"reef",'
    b'"rule":"R-3","action":"allow","from":"lan","to":"internet"}]},"alert":{"action":"allowed","gid":1,'
    b'"signature_id":2019401,"rev":3,"signature":"ET POLICY something that goes by","category":'
    b'"Potential Corporate Privacy Violation","severity":1},"app_proto":"http","direction":"to_server"}\n'
)


def main(*, quick: bool) -> list[Row]:
    seconds = 1.0 if quick else 4.0
    with tempfile.TemporaryDirectory(prefix="reef-bench-") as name:
        folder = Path(name)
        syncs = _syncs(folder, seconds)
        single = _appends(folder / "one", 1, seconds)
        limit = f"fdatasync of 4 KiB: {syncs:,.0f} /s"
        rows = [Row("events of 600 bytes, each made durable by itself", f"{single:,.0f} /s", limit, single / syncs)]
        for size in (100, 1000):
            found = _appends(folder / f"by{size}", size, seconds)
            wanted = f">= {_WANTED:,} /s" if size == 1000 else ""
            holds = found >= _WANTED if wanted else None
            beside = f"one by one: {single:,.0f} /s"
            rows.append(Row(f"in groups of {size:,}", f"{found:,.0f} /s", beside, found / single, wanted, holds))
        drained = _drained(folder / "fast", seconds)
        rows.append(
            Row("alerts from the spool into the outbox", f"{drained:,.0f} /s", "", None, f">= {_RATE:,} /s",
                drained >= _RATE)
        )  # fmt: skip
        rows += _kept_up(folder / "even", seconds)
    return rows


def _syncs(folder: Path, seconds: float) -> float:
    descriptor = os.open(folder / "syncs", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        os.write(descriptor, bytes(4096))
        os.fdatasync(descriptor)
        count += 1
    os.close(descriptor)
    return count / (time.perf_counter() - begun)


def _appends(folder: Path, size: int, seconds: float) -> float:
    """Events a second that are durable when `append` returns."""
    folder.mkdir()
    outbox = Outbox(folder / NAME, print)
    batch = [New(_LINE % number, "alert", Class.ALERT, Tlp.AMBER, number) for number in range(size)]
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        outbox.append(batch, {"inspectd": count})
        count += size
    elapsed = time.perf_counter() - begun
    outbox.close()
    return count / elapsed


def _collector(folder: Path) -> tuple[Collector, Outbox]:
    outbox = Outbox(folder / NAME, print)
    marker = Marker(AlertSettings(), "ministry-health", Generations())
    made = Collector(folder / "events", outbox, marker, log=print, kept=lambda last: None, failed=print)
    return made, outbox


def _drained(folder: Path, seconds: float) -> float:
    """Alerts a second of a spool that is full of them: read, labelled, kept, their place kept."""
    spool = SplitSpool(folder / "events" / "inspectd")
    count = int(25_000 * seconds)
    for first in range(0, count, 500):
        spool.append(b"".join(_LINE % number for number in range(first, first + 500)), 500)
    collector, outbox = _collector(folder)
    begun = time.perf_counter()
    while collector.step():
        pass
    elapsed = time.perf_counter() - begun
    assert outbox.last() == count
    outbox.close()
    return count / elapsed


def _kept_up(folder: Path, seconds: float) -> list[Row]:
    """Alerts at the rate that must be held: whether all came, and how long the last one took after it was written."""
    spool = SplitSpool(folder / "events" / "inspectd")
    collector, outbox = _collector(folder)
    collector.start()
    written = worst = 0
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        due = int(passed * _RATE)
        if due > written:
            spool.append(b"".join(_LINE % number for number in range(written, due)), due - written)
            written = due
        spool.tick()
        worst = max(worst, written - outbox.last())
        threading.Event().wait(0.002)
    ended = time.perf_counter()
    while outbox.last() < written:
        time.sleep(0.001)
    late = time.perf_counter() - ended
    collector.stop()
    collector.join()
    outbox.close()
    rate = written / (ended - begun)
    return [
        Row(f"alerts written at {_RATE:,} /s, none lost: those that wait at most", f"{worst:,}"),
        Row("and how late the last one is durable", f"{late * 1000:,.0f} ms", f"written at {rate:,.0f} /s"),
    ]
