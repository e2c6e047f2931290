"""A real disk that runs full under the spool, and gets room again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a mount namespace of its own: a file system of 256 KiB, most of it taken by a file that goes away later.
SCRIPT = """
import json, subprocess, sys
from pathlib import Path
from appliance.events.reader import Reader
from appliance.events.spool import Spool, SpoolLimits

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
(disk / "filler").write_bytes(bytes(128 << 10))
spool = Spool(disk / "spool", SpoolLimits(segment=16 << 10, total=192 << 10, sync_after=0.0))
line = lambda n: b'{"n":%d,"x":"%s"}\\n' % (n, b"x" * 200)
number = 0
while spool.lost < 50:
    spool.append(line(number), 1)
    spool.tick()
    number += 1
full_at = number - spool.lost
(disk / "filler").unlink()
for _ in range(20):
    spool.append(line(number), 1)
    spool.tick()
    number += 1
spool.close()

reader, lines, lost = Reader(disk / "spool"), [], 0
while (batch := reader.read()) is not None:
    lines += [json.loads(text) for text in batch.lines]
    lost += batch.lost
again = Spool(disk / "spool")
print(json.dumps({
    "appended": number, "full_at": full_at, "lost": lost,
    "numbers": [one["n"] for one in lines if "n" in one],
    "notices": [one["engine"]["message"] for one in lines if "engine" in one],
    "serial": again.next_serial,
}))
"""


def test_what_finds_no_room_is_counted_and_the_spool_goes_on(tmp_path: Path) -> None:
    result = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", SCRIPT, str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )
    seen = json.loads(result.stdout)
    kept = seen["numbers"]
    missing = sorted(set(range(seen["appended"])) - set(kept))
    assert kept == sorted(kept)
    assert len(missing) == seen["lost"] == 50
    assert missing[0] <= seen["full_at"]
    assert kept[-20:] == list(range(seen["appended"] - 20, seen["appended"]))
    # A notice may find room where the next line does not: what all of them say is what was lost.
    said = [words.removeprefix("events lost: ").partition("; ") for words in seen["notices"]]
    assert sum(int(number) for number, _, _ in said) == 50
    assert {why for _, _, why in said} == {"there was no room on the disk"}
    assert seen["serial"] == seen["appended"] + len(seen["notices"])
