"""The console of a lab for a browser of this machine: a port here, and each connection to it a new one in the lab.

The listener is of this machine's loopback and of nothing else. Every connection it takes becomes one from the
administrator's workstation to the gateway, as if the browser ran there: the policy decides about it, and what locks
the workstation out locks the browser out.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from pathlib import Path

from appliance.control.placement import PROJECT
from appliance.lab.netns import inside
from ctypes_ext import sandbox as kernel

LOOPBACK = "127.0.0.1"
_TRIES = 100  # ports from the wanted one on, before any free one
_MOST = 512  # connections
_PIECE = 64 << 10
_CONNECT = 30.0  # seconds


class Forwarder:
    """Listens from the moment it is made; `stop` ends it and every connection. `port` is where."""

    def __init__(self, wanted: int, namespace: Path, address: str, port: int) -> None:
        with _listener(wanted) as listener:
            self.port: int = listener.getsockname()[1]
            self._running = subprocess.Popen(
                [sys.executable, "-m", __name__, str(listener.fileno()), str(namespace), address, str(port)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                preexec_fn=lambda: kernel.parent_death_signal(signal.SIGKILL),
                start_new_session=True,
            )

    def alive(self) -> bool:
        return self._running.poll() is None

    def stop(self) -> None:
        self._running.kill()  # it keeps nothing
        self._running.wait()


def _listener(wanted: int) -> socket.socket:
    """At the wanted port of the loopback, else at the next that is free. Raises OSError when none is."""
    for port in (*range(wanted, min(wanted + _TRIES, 65536)), 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen(128)
        except OSError:
            listener.close()
            if port == 0:
                raise
        else:
            return listener
    raise AssertionError("port 0 either binds or raises")


class _Carrying:
    """Carries connections. For one event loop."""

    def __init__(self, namespace: Path, address: str, port: int) -> None:
        self._namespace = namespace
        self._address = address
        self._port = port
        # Held here: of a connection that waits for both its ends the event loop itself holds nothing.
        self._open: set[asyncio.Task[None] | None] = set()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MOST:
            writer.transport.abort()
            return
        own = asyncio.current_task()
        self._open.add(own)
        try:
            await self._carry(reader, writer)
        except OSError:  # the policy, the gateway, or either end
            writer.transport.abort()
        finally:
            self._open.discard(own)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with inside(self._namespace):
            there = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        there.setblocking(False)
        try:
            async with asyncio.timeout(_CONNECT):
                await asyncio.get_running_loop().sock_connect(there, (self._address, self._port))
            far_reader, far_writer = await asyncio.open_connection(sock=there)
        except OSError:
            there.close()
            raise
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            far_writer.transport.abort()
            with contextlib.suppress(OSError):
                writer.close()
                await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_PIECE):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _serve(descriptor: int, namespace: Path, address: str, port: int) -> None:
    carrying = _Carrying(namespace, address, port)
    server = await asyncio.start_server(carrying.take, sock=socket.socket(fileno=descriptor))
    async with server:
        await server.serve_forever()


def main(arguments: list[str]) -> None:
    descriptor, namespace, address, port = arguments
    asyncio.run(_serve(int(descriptor), Path(namespace), address, int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
