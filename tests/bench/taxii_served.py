"""The TAXII server of the bench in a process of its own, over a store that the bench filled.

usage: python -m tests.bench.taxii_served DIRECTORY ADDED_A_SECOND     prints its port; ends with its standard input
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from pathlib import Path

import uvloop

from appliance.events import stix
from appliance.events.api.access import Access, Told
from appliance.events.api.app import application
from appliance.events.api.context import Context, Exports
from appliance.events.api.stores import Stores
from appliance.events.objects import Objects
from appliance.events.outbox import Outbox
from appliance.events.sighted import sighted
from appliance.events.stix import Made
from appliance.events.tlp import Tlp
from appliance.serving.listening import listen
from tests.alertapi import alert, consumer

SITE = "bench"
EACH = 100  # objects in one transaction
FIRST = 50_000_000  # the number of the first alert that is added while it runs


def objects_of(number: int) -> list[Made]:
    """The sighting and the observed data of an alert, the traffic and its source: four objects of its own."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    raw = alert(number, src_ip=address, tls={})
    seen = sighted(raw)
    assert seen is not None
    return stix.alert(SITE, seen, Tlp.AMBER, raw, number, sighting_of=stix.indicator_id(SITE, seen.gid, seen.sid))


def opened(directory: Path) -> Objects:
    return Objects(directory / "objects.db", ("alerts",), (), lambda: time.time_ns() // 1000)


def add(objects: Objects, rate: int, stopped: threading.Event) -> None:
    """So many objects a second, until stopped."""
    number, begun, count = FIRST, time.monotonic(), 0
    while not stopped.is_set():
        made: list[Made] = []
        while len(made) < EACH:
            made += objects_of(number)
            number += 1
        with objects.writing():
            count += objects.add("alerts", made)
        stopped.wait(max(0.0, begun + count / rate - time.monotonic()))


async def serve(directory: Path, rate: int) -> None:
    objects = opened(directory)
    outbox = Outbox(directory / "outbox.db", print)
    stores = Stores(outbox, objects)
    told: list[Told] = []
    access = Access((consumer(),), time.monotonic, told.append)
    context = Context(SITE, stores, access, Exports(told.append), lambda: time.time_ns() // 1000)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    listening = await listen(application(context), [bound])
    print(listening.ports[0], flush=True)
    stopped = threading.Event()
    adding = threading.Thread(target=add, args=(objects, rate, stopped))
    if rate:
        adding.start()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    stopped.set()
    if rate:
        adding.join()
    await listening.close()
    stores.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
