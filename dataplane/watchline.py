"""The line from inspectd to watchd: frames of what the detections look at, over a Unix socket.

inspectd never waits for it. What cannot be sent waits in memory, bounded; beyond that the oldest goes, is counted,
and
said by the next frame. Nothing of it is on disk: who talked to whom is personal data, and the flow log alone keeps
it.

    length 4 (little-endian) | kind 1 | payload      kind: 1 hello (JSON), 2 records (reef/feed.h), 3 lost (8 bytes)
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

import msgspec

NAME = "feed.sock"
HELLO, RECORDS, LOST = 1, 2, 3
HEAD = struct.Struct("<IB")
COUNT = struct.Struct("<Q")
MAX_FRAME = 8 << 20
WAITING_BYTES = 16 << 20
_AGAIN = 1.0  # seconds until a watchd that is away is tried again


class Hello(msgspec.Struct, frozen=True):
    """What the numbers in the records mean: protocols, and interfaces by their names. Said again when they change."""

    apps: tuple[str, ...]
    links: dict[int, str] = {}


def frame(kind: int, payload: bytes) -> bytes:
    return HEAD.pack(len(payload), kind) + payload


class Line:
    """inspectd's end. `waiting` bytes have not been sent; `lost` records found no room, ever."""

    def __init__(self, path: Path, apps: tuple[str, ...], *, room: int = WAITING_BYTES) -> None:
        self._path = path
        self._hello = Hello(apps)
        self._greets = False  # what the numbers mean is to be said before the next frame
        self._room = room
        self._socket: socket.socket | None = None
        self._next_try = 0.0
        self._frames: deque[bytes] = deque()
        self._part = b""  # of the frame that is being sent
        self._unsaid = 0
        self.waiting = 0
        self.lost = 0  # frames

    def offer(self, records: bytes) -> None:
        """Records to be sent."""
        if not records:
            return
        self._frames.append(records)
        self.waiting += len(records)
        while self.waiting > self._room:
            self.waiting -= len(self._frames.popleft())
            self._unsaid += 1
            self.lost += 1

    def name(self, links: Mapping[int, str]) -> None:
        """Interfaces came or went."""
        if self._hello.links != links:
            self._hello = Hello(self._hello.apps, dict(links))
            self._greets = True

    def pump(self) -> None:
        """Send what can be sent without waiting."""
        if self._socket is None and not self._connect():
            return
        connection = self._socket
        assert connection is not None
        try:
            while self._part or self._take():
                sent = connection.send(self._part)
                self._part = self._part[sent:]
        except BlockingIOError:
            return
        except OSError:
            self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._part = b""

    def _connect(self) -> bool:
        now = time.monotonic()
        if now < self._next_try:
            return False
        self._next_try = now + _AGAIN
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        with contextlib.suppress(OSError):  # not more than the system allows
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return False
        self._socket = connection
        self._greets = True
        return True

    def _take(self) -> bool:
        """The next frame, if there is one."""
        if self._greets:
            self._part = frame(HELLO, msgspec.json.encode(self._hello))
            self._greets = False
        elif self._unsaid:
            self._part = frame(LOST, COUNT.pack(self._unsaid))
            self._unsaid = 0
        elif self._frames:
            records = self._frames.popleft()
            self.waiting -= len(records)
            self._part = frame(RECORDS, records)
        return bool(self._part)
