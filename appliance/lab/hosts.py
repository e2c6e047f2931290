"""The process that is all hosts of a lab: serves what they serve and does what their people do.

One process for all of them keeps a lab light: each socket is opened inside the namespace of its host, and a
socket stays in the namespace it was born in. Started by `site.py` as `python -m appliance.lab.hosts PLAN`;
prints `ready`, waits for a line on standard input, and from then on prints one JSON line per attempt.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import msgspec

from appliance.lab.netns import inside, path_of
from appliance.lab.services import Mail, Names, Web, listening
from appliance.lab.topology import Host, Topology
from appliance.lab.traffic import Attempt, Person, live
from crypto.selfsigned import client_context, server_context


class Plan(msgspec.Struct, frozen=True):
    """What the process is told. `names`, `key` and `certificate` are files, `pace` is `traffic.live`'s. `directory`
    is the lab's."""

    lab: str
    topology: Topology
    names: str
    key: str
    certificate: str
    pace: float
    directory: str


async def _serve(plan: Plan, host: Host) -> list[asyncio.Server]:
    """Open what the host serves."""
    servers = []
    name = next((name for name, found in plan.topology.names.items() if _first(host) in found), host.name)
    with inside(path_of(plan.lab, host.name)):
        if "web" in host.services:
            web = Web(host.name)
            tls = server_context(Path(plan.key), Path(plan.certificate))
            servers.append(await asyncio.start_server(web.serve, sock=listening(socket.SOCK_STREAM, 80)))
            servers.append(await asyncio.start_server(web.serve, sock=listening(socket.SOCK_STREAM, 443), ssl=tls))
        if "mail" in host.services:
            servers.append(await asyncio.start_server(Mail(name).serve, sock=listening(socket.SOCK_STREAM, 25)))
        if "dns" in host.services:
            loop = asyncio.get_running_loop()
            answers = Names(Path(plan.names))
            await loop.create_datagram_endpoint(lambda: answers, sock=listening(socket.SOCK_DGRAM, 53))
            servers.append(await asyncio.start_server(answers.serve, sock=listening(socket.SOCK_STREAM, 53)))
    return servers


def _watch_over(plan: Plan, tell: Callable[[Attempt], None]) -> None:
    """Start the CSIRT: a thread of its own, because the client for TAXII waits for its answers. Where that client is
    not installed (a lab on a gateway) nobody watches."""
    if find_spec("taxii2client") is None:
        return
    from appliance.lab.csirt import CERTIFICATE, follow

    for host in plan.topology.hosts:
        if host.habit == "csirt":
            where = path_of(plan.lab, host.name), Path(plan.directory) / CERTIFICATE
            threading.Thread(target=follow, args=(host.name, *where, tell), daemon=True).start()


async def _told_to_live() -> None:
    """Wait for the line on standard input that starts the traffic."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.readline()


def _first(host: Host) -> str:
    return host.interfaces[0].addresses[0].partition("/")[0] if host.interfaces[0].addresses else ""


async def run(plan: Plan) -> None:
    """Serve and live until SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    servers = [server for host in plan.topology.hosts for server in await _serve(plan, host)]
    print("ready", flush=True)

    telling = threading.Lock()

    def tell(attempt: Attempt) -> None:
        with telling:
            sys.stdout.buffer.write(msgspec.json.encode(attempt) + b"\n")
            sys.stdout.buffer.flush()

    stopping = asyncio.create_task(stop.wait())
    told = asyncio.create_task(_told_to_live())
    await asyncio.wait({stopping, told}, return_when=asyncio.FIRST_COMPLETED)
    people = []
    if told.done():
        told.result()
        trust = client_context(Path(plan.certificate))
        people = [
            asyncio.create_task(
                live(Person(host.name, path_of(plan.lab, host.name), trust), host.habit, plan.pace, tell)
            )
            for host in plan.topology.hosts
            if host.habit and host.habit != "csirt"
        ]
        _watch_over(plan, tell)
    # A person's task only ends by an error; then the process ends with it, loudly.
    done, _ = await asyncio.wait({stopping, *people}, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    for task in (told, *people):
        task.cancel()
    await asyncio.gather(told, *people, return_exceptions=True)
    for server in servers:
        server.close()


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print("usage: python -m appliance.lab.hosts PLAN.json", file=sys.stderr)
        return 2
    asyncio.run(run(msgspec.json.decode(Path(argv[0]).read_bytes(), type=Plan)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
