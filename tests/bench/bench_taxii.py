"""TAXII 2.1: pages of 1,000 objects beside OASIS medallion, and a million pulled by the OASIS client.

Both servers run in a process of their own and are asked by the same loop over one connection, with a password and the
filters `added_after` and `match[type]`. medallion keeps its objects in memory; what it does for a page grows with the
square of how many it has, so it is given hardly more than one page.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taxii2client.v21 import Collection, as_pages

from appliance.events.api.taxii import date_added
from appliance.events.objects import Objects, Query
from tests.alertapi import TOKEN
from tests.bench.table import Row
from tests.bench.taxii_served import objects_of, opened

PAGE = 1000
TAXII = "application/taxii+json;version=2.1"
WANTED = 1000.0
WITHIN = 60.0
ADDED = 1000  # objects a second while the client pulls
_THEIRS = 1_100
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"


def main(*, quick: bool) -> list[Row]:
    count = 20_000 if quick else 1_000_000
    seconds = 2.0 if quick else 10.0
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        filled = _fill(directory, count)
        with _reef(directory, 0) as port:
            ours = _pages(port, "/taxii2/gateway/collections/alerts/objects/", "any", TOKEN, seconds)
        with _medallion(directory, _THEIRS) as port:
            theirs = _pages(port, f"/root/collections/{COLLECTION}/objects/", "any", TOKEN, seconds)
        taken, pulled, missing, double = _pulled(directory)
    ratio = ours / theirs
    return [
        Row(f"pages of {PAGE:,} of {filled:,} objects", f"{ours:,.0f} /s",
            f"medallion, of {_THEIRS:,}: {theirs:.3g} /s", ratio, f">= {WANTED:,.0f}", ratio >= WANTED),
        Row(f"{pulled:,} objects by taxii2-client while {ADDED:,}/s are added", f"{taken:.1f} s", "", None,
            f"< {WITHIN:g} s", taken < WITHIN or quick),
        Row("of these missing, double", f"{missing}, {double}", "", None, "0, 0", missing == double == 0),
    ]  # fmt: skip


def _fill(directory: Path, count: int) -> int:
    """So many objects, and which there are in the end."""
    objects = opened(directory)
    number = added = 0
    while added < count:
        with objects.writing():
            for _ in range(500):
                added += objects.add("alerts", objects_of(number))
                number += 1
    objects.close()
    return added


@contextmanager
def _reef(directory: Path, rate: int) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.bench.taxii_served", str(directory), str(rate)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.stdin.close()
        server.wait(60)
        server.stdout.close()


@contextmanager
def _medallion(directory: Path, count: int) -> Iterator[int]:
    """OASIS' server with the first objects of our store."""
    objects = opened(directory)
    page = objects.page("alerts", Query(limit=count))
    objects.close()
    manifest = [
        {"id": one.id, "date_added": date_added(one.added), "version": date_added(one.version),
         "media_type": "application/stix+json;version=2.1"}
        for one in page.entries
    ]  # fmt: skip
    bodies = [json.loads(body) for body in page.bodies]
    for body, entry in zip(bodies, manifest, strict=True):
        if "modified" not in body:
            body["_date_added"] = entry["version"]
    collection = {
        "id": COLLECTION, "title": "alerts", "can_read": True, "can_write": False, "manifest": manifest,
        "media_types": ["application/stix+json;version=2.1"], "objects": bodies,
    }  # fmt: skip
    information = {"title": "root", "versions": [TAXII], "max_content_length": 9765625}
    data = {
        "/discovery": {"title": "medallion", "api_roots": ["http://127.0.0.1/root/"]},
        "root": {"information": information, "status": [], "collections": [collection]},
    }
    (directory / "data.json").write_text(json.dumps(data), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    backend = {
        "module": "medallion.backends.memory_backend", "module_class": "MemoryBackend",
        "filename": str(directory / "data.json"),
    }  # fmt: skip
    config = {"backend": backend, "users": {"any": TOKEN}, "taxii": {"max_page_size": PAGE}}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-m", "medallion.scripts.run", "--port", str(port), str(directory / "config.json")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _reachable(port)
        yield port
    finally:
        server.terminate()
        server.wait(60)


def _reachable(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def _pages(port: int, path: str, user: str, password: str, seconds: float) -> float:
    """Full pages a second: one for certain, then as many as there are in that time."""
    credentials = b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Accept": TAXII}
    query = (
        f"?limit={PAGE}&added_after=2020-01-01T00:00:00Z&match[type]=sighting,observed-data,ipv4-addr,network-traffic"
    )
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    begun, count = time.monotonic(), 0
    while count == 0 or time.monotonic() - begun < seconds:
        connection.request("GET", path + query, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:500]
        if count == 0:
            assert len(json.loads(body)["objects"]) == PAGE
        count += 1
    taken = time.monotonic() - begun
    connection.close()
    return count / taken


def _pulled(directory: Path) -> tuple[float, int, int, int]:
    """Seconds, objects, and how many of those that were there are missing or came twice."""
    found: list[str] = []
    with _reef(directory, ADDED) as port:
        url = f"http://127.0.0.1:{port}/taxii2/gateway/collections/alerts/"
        collection = Collection(url, user="any", password=TOKEN, collection_info={
            "id": "alerts", "title": "alerts", "can_read": True, "can_write": False, "media_types": [],
        })  # fmt: skip
        begun = time.monotonic()
        for page in as_pages(collection.get_objects, PAGE):
            found += [one["id"] for one in page.get("objects", [])]
        taken = time.monotonic() - begun
    known = _all(directory, len(found))
    return taken, len(found), len(set(known) - set(found)), len(found) - len(set(found))


def _all(directory: Path, count: int) -> list[str]:
    """The identifiers that the store gave out first."""
    objects: Objects = opened(directory)
    known: list[str] = []
    after = -1
    while len(known) < count:
        page = objects.page("alerts", Query(after=after, limit=10_000))
        known += [entry.id for entry in page.entries]
        assert page.added is not None
        after = page.added[1]
    objects.close()
    return known[:count]
