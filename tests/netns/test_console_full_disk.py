"""A disk that runs full under the console and the drafts: who is in stays in, what cannot be kept is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# In a mount namespace of its own, on a file system of 2 MiB.
SCRIPT = """
import asyncio, json, sqlite3, subprocess, sys, time
from pathlib import Path
from appliance.console import idempotency
from appliance.drafts.database import Database
from tests.unit.console.serving import OURS, serving
from tests.unit.who.house import AMARA, HERE, House

disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
house, said, seen = House(disk), [], {}
cookie = house.desk.begin(AMARA, "passkey", HERE)
answers = idempotency.opened(disk / "answers.db", time.time, said.append)
drafts = Database(disk / "drafts.db", said.append)

def draft(number):
    with drafts.transaction("drafts"):
        drafts._db.execute("insert into text values (?, 0, ?)", (f"d-{number}", "a" * 10_000))

draft(0)
fill = (disk / "fill").open("wb", buffering=0)
try:
    while True:
        fill.write(b"x" * 4096)
except OSError:
    pass
kept = 0
try:
    while True:
        draft(kept + 1)
        kept += 1
except sqlite3.Error as error:
    seen["refused"] = str(error)
seen["whole"] = len(drafts.read("select draft from text")) == kept + 1

async def story():
    async with serving(door=house.desk) as served:
        headers = {"Cookie": f"__Host-reef={cookie}", **OURS, "Idempotency-Key": "one"}

        async def ask(method, path, body=None):
            url = f"{served.url}/api/v1{path}"
            async with served.session.request(method, url, headers=headers, json=body) as answer:
                told = await answer.json(content_type=None)
                return answer.status, told.get("code", told.get("person"))

        served.console.answers = answers
        seen["me"] = await ask("GET", "/me")
        seen["token"] = await ask("POST", "/tokens", {"label": "a", "scopes": ["look"]})
        seen["change"] = await ask("POST", "/drafts", {"title": "b"})
        fill.truncate(0)
        seen["room"] = await ask("POST", "/tokens", {"label": "a", "scopes": ["look"]})

asyncio.run(asyncio.wait_for(story(), 40))
draft(kept + 1)
seen["said"] = said
print(json.dumps(seen))
"""


def test_on_a_full_disk_who_is_in_stays_and_changes_are_refused_whole(tmp_path: Path) -> None:
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
    assert "full" in seen["refused"]
    assert seen["whole"]
    assert seen["me"] == [200, "amara"]
    assert seen["token"] == [503, "store"]
    assert seen["change"] == [503, "away"]  # it was handed on: nobody answers here
    assert seen["room"][0] == 201
    assert len(seen["said"]) == 1
    assert "not kept" in seen["said"][0]
