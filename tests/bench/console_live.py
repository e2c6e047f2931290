"""Two hundred viewers of a stream of events, and what the same bytes cost a program that only sends them.

usage: python -m tests.bench.console_live CERTIFICATE KEY      prints its port; sends each line of its standard input
                                                               to everybody who is connected; ends with it
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvloop

from crypto.apitls import KEY
from tests.bench.console_site import ADDRESS, NAME, PEOPLE, PORT, Site

VIEWERS = 200
_EACH = 8  # streams of one person
_PATIENCE = 60.0


class Viewers:
    """Who hears what, and how long after it was said: `late` in seconds, one for each viewer and event."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._context = ssl.create_default_context(cafile=str(site.certificate))
        self.late: list[float] = []

    @asynccontextmanager
    async def of(self, port: int, greeting: Callable[[int], bytes]) -> AsyncIterator[None]:
        """Everybody is connected, said their greeting and heard something."""
        heard = [asyncio.Event() for _ in range(VIEWERS)]
        tasks = []
        try:
            for number in range(VIEWERS):
                tasks.append(asyncio.create_task(self._listen(port, greeting(number), heard[number])))
                await asyncio.wait_for(heard[number].wait(), _PATIENCE)
            self.late.clear()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, port: int, greeting: bytes, heard: asyncio.Event) -> None:
        with self._site.within():
            plain = socket_to(port)
        reader, writer = await asyncio.open_connection(sock=plain, ssl=self._context, server_hostname=NAME)
        try:
            writer.write(greeting)
            async for line in reader:
                heard.set()
                if line.startswith(b"data: {") and b'"as_of":' in line:
                    now = time.time()
                    self.late.append(now - json.loads(line[6:])["as_of"])
        finally:
            writer.close()

    async def everybody(self, count: int) -> None:
        """Until so many were heard in all."""
        async with asyncio.timeout(_PATIENCE):
            while len(self.late) < count:
                await asyncio.sleep(0.01)


def socket_to(port: int) -> socket.socket:
    plain = socket.create_connection((ADDRESS, port), _PATIENCE)
    plain.setblocking(False)
    return plain


def _asking(site: Site) -> Callable[[int], bytes]:
    def greeting(number: int) -> bytes:
        token = site.tokens[PEOPLE[number // _EACH]]
        return (
            f"GET /api/v1/live?kind=status HTTP/1.1\r\nHost: {NAME}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )

    return greeting


def streamed(site: Site, change: Callable[[int], object], times: int) -> tuple[list[float], tuple[float, float]]:
    """Seconds from when the console knows of a change to each viewer of it; its memory with all of them."""

    async def run() -> tuple[list[float], tuple[float, float]]:
        viewers = Viewers(site)
        async with viewers.of(PORT, _asking(site)):
            for number in range(times):
                before = len(viewers.late)
                await asyncio.to_thread(change, number)
                await viewers.everybody(before + VIEWERS)
            return viewers.late, site.memory()

    return uvloop.run(run())


def echoed(site: Site, times: int) -> list[float]:
    """The same of a program that has nothing to do but to send, over the same TLS."""
    line = json.dumps({"padding": "x" * 350})

    async def run(server: subprocess.Popen[bytes], port: int) -> list[float]:
        viewers = Viewers(site)
        assert server.stdin is not None
        async with viewers.of(port, lambda _: b"hello\n"):
            for _ in range(times):
                before = len(viewers.late)
                said = f'data: {{"as_of":{time.time()!r},{line[1:]}\n'
                server.stdin.write(said.encode())
                server.stdin.flush()
                await viewers.everybody(before + VIEWERS)
                await asyncio.sleep(0.1)
            return viewers.late

    with _server(site) as (server, port):
        return uvloop.run(run(server, port))


@contextmanager
def _server(site: Site) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    command = ["ip", "netns", "exec", site.stand.namespace, sys.executable, "-m", "tests.bench.console_live"]
    files = [str(site.certificate), str(site.certificate.with_name(KEY))]
    with subprocess.Popen([*command, *files], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None and server.stdout is not None
        try:
            yield server, int(server.stdout.readline())
        finally:
            server.stdin.close()
            server.wait(_PATIENCE)


async def serve(certificate: Path, key: Path) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"hello\n")
        writers.append(writer)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(connected, ADDRESS, 0, ssl=context, backlog=VIEWERS)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        for writer in writers:
            writer.write(line)
    for writer in writers:
        writer.close()
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), Path(sys.argv[2])))
