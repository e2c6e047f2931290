"""Where events are sent to: a collector of syslog over TLS, or a webhook. Each takes a batch, or says why not."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import aiohttp

from appliance.events.outbox import Stored
from appliance.events.push import wording
from appliance.events.push.wording import SecretError
from appliance.policy.consumers import Consumer
from crypto.apitls import TlsContext

_LOOK = 0.005  # seconds between looks at what is on its way
PATIENCE = 30.0  # seconds for a connection, and for a batch


class PushError(Exception):
    """They did not take it; the text says why."""


class Sink(Protocol):
    async def send(self, events: Sequence[Stored]) -> None:
        """They have all of it, as far as can be known. Raises `PushError`."""

    async def close(self) -> None: ...


class Syslog:
    """RFC 5425. The protocol has no answer: a batch counts as taken when the other machine's TCP has acknowledged it
    whole; whether the collector behind it wrote it down, nobody says."""

    def __init__(self, place: str, site: str, context: TlsContext) -> None:
        host, _, port = place.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._site = site
        self._context = context
        self._reader: asyncio.StreamReader | None = None
        self._reading: asyncio.Task[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, events: Sequence[Stored]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                writer = await self._connected()
                writer.write(wording.framed(events, self._site))
                await writer.drain()
                await self._taken(writer)
        except TimeoutError as error:
            await self.close()
            raise PushError(f"nothing was taken for {PATIENCE:g} s") from error
        except OSError as error:
            await self.close()
            raise PushError(str(error)) from error

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is not None and self._reader is not None and not self._reader.at_eof():
            return self._writer
        await self.close()
        self._reader, self._writer = await asyncio.open_connection(
            self._host, self._port, ssl=self._context, server_hostname=self._host
        )
        # A collector says nothing; that it hung up is seen by reading.
        self._reading = asyncio.create_task(self._reader.read())
        return self._writer

    async def _taken(self, writer: asyncio.StreamWriter) -> None:
        """Wait until the other machine has every byte, as its TCP says. Raises `PushError` when it hung up."""
        descriptor = writer.get_extra_info("socket").fileno()
        while writer.transport.get_write_buffer_size() or _unacknowledged(descriptor):
            if self._reading is not None and self._reading.done():
                raise ConnectionResetError("it hung up")
            await asyncio.sleep(_LOOK)

    async def close(self) -> None:
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        if self._reading is not None:
            self._reading.cancel()
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


def _unacknowledged(descriptor: int) -> int:
    """Bytes that the other side's TCP has not acknowledged (Linux, SIOCOUTQ)."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


class Webhook:
    """A POST for each batch. Its id is the number of its last event, so that one sent again is known again."""

    def __init__(self, address: str, site: str, secret: Path, context: TlsContext) -> None:
        self._address = address
        self._site = site
        self._secret = secret
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def send(self, events: Sequence[Stored]) -> None:
        key = await asyncio.to_thread(self._key)
        body = wording.body_of(events)
        headers = wording.signed(key, f"{self._site}-{events[-1].seq}", int(time.time()), body)
        headers["Content-Type"] = "application/x-ndjson"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE))
        try:
            answer = self._session.post(
                self._address, data=body, headers=headers, ssl=self._context, allow_redirects=False
            )
            async with answer as response:
                if response.status // 100 != 2:
                    raise PushError(f"it answers {response.status} {response.reason}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PushError(str(error) or type(error).__name__) from error

    def _key(self) -> bytes:
        try:
            return wording.secret_of(self._secret.read_text("ascii"))
        except (OSError, UnicodeDecodeError) as error:
            words = error.strerror if isinstance(error, OSError) else "not ASCII"
            raise PushError(f"no secret to sign with: {self._secret}: {words}") from error
        except SecretError as error:
            raise PushError(f"{self._secret}: {error}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def sink_of(consumer: Consumer, site: str, credentials: Path, context: TlsContext) -> Sink | None:
    """Where a consumer of the policy is sent events; None where it asks for them."""
    if consumer.syslog:
        return Syslog(consumer.syslog, site, context)
    if consumer.webhook:
        return Webhook(consumer.webhook, site, credentials / consumer.name, context)
    return None
