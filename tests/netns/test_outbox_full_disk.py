"""A disk that runs full under the outbox: alerts go on into it in the place of telemetry, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a mount namespace of its own: a file system of 64 MiB for the outbox alone; the spool is on another.
SCRIPT = """
import json, subprocess, sys, time
from pathlib import Path
from appliance.events import record
from appliance.events.collecting import Collector
from appliance.events.marking import Generations, Marker
from appliance.events.outbox import NAME, Outbox
from appliance.events.retaining import Need, Plan
from appliance.events.classes import Class
from appliance.events.split import SplitSpool
from appliance.events.tlp import Tlp
from appliance.policy.consumers import AlertSettings

disk, events = Path(sys.argv[1]), Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], check=True)
said = []
outbox = Outbox(disk / NAME, said.append)
marker = Marker(AlertSettings(), "box", Generations())
one = Collector(events, outbox, marker, log=said.append, kept=lambda last: None, failed=said.append)
one.follow(marker, Plan({}, 1 << 30, (Need("csirt", frozenset({Class.ALERT}), Tlp.RED),)))
spool = SplitSpool(events / "inspectd")

def alert(number):
    return record.encode(record.alert(1, "a test", f"alert {number}", seconds=1_800_000_000))

def flow(number):
    return record.encode(record.Event("2027-01-15T08:00:00.000000+0000", "flow", flow_id=number, src_ip="x" * 400))

def kept(kind):
    reader, after, found = outbox.reader(), 0, []
    while True:
        page = reader.read(after, kinds={kind})
        found += [json.loads(event.body) for event in page.events]
        after = page.through
        if after == page.last:
            return found

def until(holds, words):
    deadline = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline, (words, said)
        time.sleep(0.02)

one.start()
until((disk / "outbox.reserve").exists, "room is reserved")
for number in range(0, 20_000, 500):
    spool.append(b"".join(flow(n) for n in range(number, number + 500)), 500)
until(lambda: outbox.last() >= 20_000, "telemetry is in the outbox")
with (disk / "filler").open("wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(65536))
    except OSError:
        pass
flows_before = len(kept("flow"))
for number in range(0, 6_000, 500):
    spool.append(b"".join(alert(n) for n in range(number, number + 500)), 500)
until(lambda: len(kept("alert")) >= 6_000, "alerts are in the outbox, though the disk is full")
flows_full = len(kept("flow"))
(disk / "filler").unlink()
spool.append(flow(-1), 1)
until(lambda: any(event["flow_id"] == -1 for event in kept("flow")), "telemetry comes in again")
until((disk / "outbox.reserve").exists, "room is reserved again")
one.stop()
one.join()
print(json.dumps({
    "alerts": [event["alert"]["signature"] for event in kept("alert")],
    "flows": [flows_before, flows_full], "said": said,
}))
"""


def test_on_a_full_disk_alerts_take_the_place_of_telemetry(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    arguments = [sys.executable, "-c", SCRIPT, str(tmp_path / "disk"), str(tmp_path / "events")]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["alerts"] == [f"alert {number}" for number in range(6_000)]
    assert seen["flows"][1] < seen["flows"][0] == 20_000
    assert any("full" in words for words in seen["said"])
    assert seen["said"][-1] == "the outbox has room again"
