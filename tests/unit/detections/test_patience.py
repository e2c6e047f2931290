"""watchd judges nothing before it knows where addresses are, but does not wait for that for ever."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import msgspec

from appliance.control import daemon
from appliance.control.ipc import Peer, Server
from appliance.control.messages.gateway import NameBook, Names, Reply, Request, Status, StatusReport
from appliance.control.processes import PROCESSES, Identity, Instance
from appliance.events.view import Selection, past
from appliance.policy.compiling.bundle import ZoneInfo
from dataplane import watchline
from dataplane.detections.finding import Finding, of_event
from dataplane.detections.makers import Makers
from dataplane.watchd import Watchd
from dataplane.watchfeed import RECORD

SCANNER, VICTIM = "203.0.113.66", "203.0.113.2"
BOOK = NameBook(
    generation=1,
    site="s",
    zones=(ZoneInfo("lan", ("lan0",)), ZoneInfo("internet", ("wan0",), external=True)),
    rules=(),
    networks={"lan": ("10.20.0.0/16",)},
)


def scan() -> bytes:
    """Forty ports that were refused."""
    ends = [ip_address(text).packed.ljust(16, b"\0") for text in (SCANNER, VICTIM)]
    start = 1_700_000_000 * 10**9
    counts = (60, 0, 1, 0)  # bytes and packets there and back
    return b"".join(
        RECORD.pack(
            *(RECORD.size, 4, 4, 6, 0, 2, 0),  # refused, IPv4, TCP, a SYN there and nothing back
            *(start + port, start + port, port),
            *(*ends, 40000, port, 1, *counts, b"", 0),
        )
        for port in range(20, 60)
    )


class Applyd:
    """Says which generation runs, and counts how often it was asked."""

    def __init__(self) -> None:
        self.running = 0
        self.asked = 0

    async def answer(self, request: Request, _: Peer) -> Reply:
        if isinstance(request, Names):
            return BOOK
        self.asked += 1
        return StatusReport("s", self.running, self.running, 0.0, "", ())


def findings(instance: Instance) -> list[Finding]:
    return [found for found in map(of_event, past(instance.events, Selection(types=("alert",)))) if found]


async def eventually(holds: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.01)
    assert holds(), what


async def seen_before_a_generation_runs(folder: Path, patience: float, applyd: Applyd) -> tuple[int, list[Finding]]:
    """How much was found before a generation ran, if one ever does, and all of it."""
    me = Identity(os.getuid(), os.getgid())
    instance = Instance(
        "t", str(folder / "run"), str(folder / "state"), str(folder), {row.name: me for row in PROCESSES}, 1
    )
    for directory in (instance.run_of("watchd"), instance.run_of("applyd"), instance.state_of("watchd")):
        directory.mkdir(parents=True)
    log = daemon.Log("watchd")
    log.open(instance.events_of("watchd"))
    server = Server(instance.socket("applyd"), dict.fromkeys((Status, Names), lambda _: True), applyd.answer)
    await server.start()
    stop = asyncio.Event()
    serving = asyncio.create_task(Watchd(instance, log, Makers(), patience=patience).serve(stop))
    line = instance.run_of("watchd") / watchline.NAME
    await eventually(line.exists, "watchd listens")
    await eventually(lambda: applyd.asked, "it asks what runs")
    _, writer = await asyncio.open_unix_connection(str(line))
    writer.write(watchline.frame(watchline.HELLO, msgspec.json.encode(watchline.Hello(("",)))))
    writer.write(watchline.frame(watchline.RECORDS, scan()))
    await writer.drain()
    before = applyd.asked
    await eventually(lambda: applyd.asked > before + 3, "it goes on asking")
    early = len(findings(instance))
    applyd.running = 1 if patience > 1 else 0
    await eventually(lambda: findings(instance), "the scan is found")
    stop.set()
    await serving
    writer.close()
    await server.stop()
    log.close()
    return early, findings(instance)


def test_what_is_seen_before_the_first_generation_is_judged_by_it(tmp_path: Path) -> None:
    early, found = asyncio.run(seen_before_a_generation_runs(tmp_path, 60.0, Applyd()))
    assert early == 0
    assert [one.kind for one in found] == ["port-scan"]
    assert "zone internet" in found[0].words


def test_without_a_generation_it_is_judged_all_the_same_after_a_while(tmp_path: Path) -> None:
    _, found = asyncio.run(seen_before_a_generation_runs(tmp_path, 0.05, Applyd()))
    assert [one.kind for one in found] == ["port-scan"]
    assert "zone" not in found[0].words
