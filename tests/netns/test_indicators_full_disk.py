"""A disk that runs full under the indicators: what is in force stays, what cannot be kept is refused whole."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a mount namespace of its own, on a file system of 4 MiB.
SCRIPT = """
import json, subprocess, sys
from pathlib import Path
from appliance.indicators import csvin
from appliance.indicators.deciding import Mode
from appliance.indicators.desk import Desk
from appliance.indicators.never import Never
from appliance.indicators.store import NAME, Store, StoreError
from appliance.indicators.values import Value
from appliance.policy.indicators import IndicatorSettings, IndicatorSource, Trust

NOW = 1_800_000_000.0
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
store = Store(disk / NAME)
desk = Desk(store)
desk.follow(IndicatorSettings((IndicatorSource("csirt", Trust(block=50)),)), Never([], {}, {}), NOW)

def text(number):
    return f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}"

def take(first, count):
    lines = "".join(f"{text(number)}\\n" for number in range(first, first + count))
    desk.take("csirt", csvin.read(lines.encode(), now=NOW), NOW)

def blocked(number):
    return desk.mode(Value("address", text(number))) is Mode.BLOCK

kept, refused = 0, ""
try:
    while True:
        take(kept, 500)
        kept += 500
except StoreError as error:
    refused = str(error)
held = [blocked(0), blocked(kept - 1)]
half = any(blocked(number) for number in range(kept, kept + 500))
store.close()
subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
store = Store(disk / NAME)
desk = Desk(store)
desk.follow(IndicatorSettings((IndicatorSource("csirt", Trust(block=50)),)), Never([], {}, {}), NOW)
after = len(desk)
take(kept, 500)
print(json.dumps({"kept": kept, "refused": refused, "held": held, "half": half, "after": after, "again": len(desk)}))
"""


def test_on_a_full_disk_what_is_in_force_stays_and_the_rest_is_refused_whole(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    arguments = [sys.executable, "-c", SCRIPT, str(tmp_path / "disk")]
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
    assert seen["kept"] >= 1_000
    assert "full" in seen["refused"]
    assert seen["held"] == [True, True]
    assert not seen["half"]
    assert seen["after"] == seen["kept"]
    assert seen["again"] == seen["kept"] + 500
