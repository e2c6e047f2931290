"""Raw netlink: requests, dumps and notifications over an AF_NETLINK socket, and attributes as bytes.

Layouts: linux/netlink.h. Attribute values are big-endian in netfilter and native in rtnetlink; what packs
them says which.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP = 1, 2
NETLINK_EXT_ACK = 11
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x001, 0x004, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
NLM_F_DUMP_INTR = 0x010
NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN = 2, 3, 4
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF
NLMSGERR_ATTR_MSG = 1

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_HEADER_SIZE = _HEADER.size
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE = 1 << 18


class NetlinkError(OSError):
    """The kernel refused a message. `errno` as the kernel gave it; `index` is the message's place in its batch."""

    def __init__(self, number: int, words: str = "", index: int = 0) -> None:
        super().__init__(number, words or os.strerror(number))
        self.index = index


class DumpInterrupted(Exception):
    """The tables changed while they were being read; read again."""


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    size = 4 + len(payload)
    return _ATTRIBUTE.pack(size, kind) + payload + b"\0" * (-size & 3)


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | NLA_F_NESTED, b"".join(parts))


def string(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "big"))


def u64(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(8, "big"))


def attributes(data: bytes, offset: int = 0, end: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The (type, payload) pairs of a run of attributes; a torn one ends the run."""
    stop = len(data) if end is None else end
    unpack = _ATTRIBUTE.unpack_from
    while offset + 4 <= stop:
        size, kind = unpack(data, offset)
        if size < 4 or offset + size > stop:
            return
        yield kind & NLA_TYPE_MASK, data[offset + 4 : offset + size]
        offset += (size + 3) & ~3


def attribute_map(data: bytes, offset: int = 0, end: int | None = None) -> dict[int, bytes]:
    return dict(attributes(data, offset, end))


def text(payload: bytes) -> str:
    """A NUL-terminated string attribute."""
    return payload.split(b"\0", 1)[0].decode(errors="replace")


class Netlink:
    """A netlink socket. One request at a time; not thread-safe.

    Opened in the network namespace of the moment. `fixed` is the size of the header that stands before the
    attributes in every message of this protocol; it is left out of what `get`, `dump` and `receive` give.
    """

    def __init__(self, protocol: int, fixed: int, groups: Iterable[int] = (), receive_buffer: int = 4 << 20) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._fixed = fixed
        self._sequence = 1
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        for group in groups:
            self.join(group)
        self.port: int = self._socket.getsockname()[0]
        self._send_buffer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)

    def join(self, group: int) -> None:
        self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def leave(self, group: int) -> None:
        self._socket.setsockopt(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group)

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def execute(self, kind: int, body: bytes, flags: int = 0) -> None:
        """Send one message and wait for its acknowledgement. Raises `NetlinkError`."""
        sequence = self._next()
        self._send(encode(kind, body, flags | NLM_F_REQUEST | NLM_F_ACK, sequence))
        self._acknowledged(sequence, sequence)

    def execute_many(self, kind: int, bodies: Sequence[bytes]) -> list[NetlinkError]:
        """Send messages of one kind in one datagram, each by itself: what the kernel refused, by its index."""
        if not bodies:
            return []
        first = last = self._next()
        parts = []
        for body in bodies[:-1]:
            parts.append(encode(kind, body, NLM_F_REQUEST, last))
            last = self._next()
        # Only the last one is acknowledged: with that, all are done.
        parts.append(encode(kind, bodies[-1], NLM_F_REQUEST | NLM_F_ACK, last))
        self._send(b"".join(parts))
        refused: list[NetlinkError] = []
        while True:
            for answer, number, _, payload in split(self._socket.recv(_RECEIVE)):
                if answer != NLMSG_ERROR or not 0 <= (number - first) & 0x7FFFFFFF < len(bodies):
                    continue
                if payload[:4] != b"\0\0\0\0":
                    refused.append(error_of(payload, (number - first) & 0x7FFFFFFF))
                if number == last:
                    return refused

    def get(self, kind: int, body: bytes) -> tuple[int, bytes]:
        """Ask for one object; its (type, attributes). Raises `NetlinkError` (ENOENT where there is none)."""
        sequence = self._next()
        self._send(encode(kind, body, NLM_F_REQUEST, sequence))
        while True:
            for answer, number, _, payload in split(self._socket.recv(_RECEIVE)):
                if number != sequence:
                    continue
                if answer == NLMSG_ERROR:
                    raise error_of(payload, 0)
                return answer, payload[self._fixed :]

    def dump(self, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        """Ask for all objects: (type, attributes) of each. Raises `NetlinkError`, `DumpInterrupted`."""
        for answer, payload in self.dump_whole(kind, body):
            yield answer, payload[self._fixed :]

    def dump_whole(self, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        """As `dump`, with the fixed header before the attributes."""
        sequence = self._next()
        self._send(encode(kind, body, NLM_F_REQUEST | NLM_F_DUMP, sequence))
        interrupted = False
        while True:
            for answer, number, flags, payload in split(self._socket.recv(_RECEIVE)):
                if number != sequence:
                    continue
                interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                if answer == NLMSG_DONE:
                    if interrupted:
                        raise DumpInterrupted
                    return
                if answer == NLMSG_ERROR:
                    raise error_of(payload, 0)
                yield answer, payload

    def receive(self) -> list[tuple[int, int, bytes]]:
        """What is waiting on a socket with groups: (type, sender's port, attributes). Raises OSError ENOBUFS when
        notifications were lost."""
        events: list[tuple[int, int, bytes]] = []
        skip = _HEADER_SIZE + self._fixed
        while True:
            try:
                data = self._socket.recv(_RECEIVE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return events
            offset = 0
            while offset + _HEADER_SIZE <= len(data):
                size, kind, _, _, port = _HEADER.unpack_from(data, offset)
                if size < _HEADER_SIZE:
                    break
                events.append((kind, port, data[offset + skip : offset + size]))
                offset += (size + 3) & ~3

    def _acknowledged(self, first: int, last: int) -> None:
        """Wait until the kernel answered message `last`, or refused one of `first`..`last`."""
        refused: NetlinkError | None = None
        while True:
            for kind, number, _, payload in split(self._socket.recv(_RECEIVE)):
                if kind != NLMSG_ERROR or not first <= number <= last:
                    continue
                if payload[:4] != b"\0\0\0\0" and refused is None:
                    refused = error_of(payload, number - first - 1)
                # An error of the batch's first message speaks for the whole batch; nothing else follows.
                if number == last or (refused is not None and number == first):
                    self._drain()
                    if refused is not None:
                        raise refused
                    return
            if refused is not None and not self._more():
                raise refused

    def _more(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False

    def _drain(self) -> None:
        # The kernel answers while it handles our send, so whatever belongs to it is already here.
        while self._more():
            self._socket.recv(_RECEIVE)

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF or 1
        return self._sequence

    def _send(self, data: bytes) -> None:
        if len(data) > self._send_buffer // 2:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 2 * len(data))
            self._send_buffer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        self._socket.sendto(data, (0, 0))


def encode(kind: int, body: bytes, flags: int, sequence: int) -> bytes:
    """One message, padded."""
    size = _HEADER_SIZE + len(body)
    return _HEADER.pack(size, kind, flags, sequence, 0) + body + b"\0" * (-size & 3)


def split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, sequence, flags, body) of every message of a datagram."""
    offset = 0
    end = len(data)
    unpack = _HEADER.unpack_from
    while offset + _HEADER_SIZE <= end:
        size, kind, flags, sequence, _ = unpack(data, offset)
        if size < _HEADER_SIZE or offset + size > end:
            raise NetlinkError(errno.EBADMSG, "netlink message longer than its datagram")
        if kind == NLMSG_OVERRUN:
            raise NetlinkError(errno.ENOBUFS)
        yield kind, sequence, flags, data[offset + _HEADER_SIZE : offset + size]
        offset += (size + 3) & ~3


def error_of(payload: bytes, index: int) -> NetlinkError:
    """The kernel's refusal: negative errno, our header, and (with NETLINK_EXT_ACK) its words."""
    number = -int.from_bytes(payload[:4], "little", signed=True)
    words = ""
    if len(payload) >= 20:
        # The offending message follows whole unless capped; the words lie behind it.
        size = int.from_bytes(payload[4:8], "little")
        for start in (4 + ((size + 3) & ~3), 20):
            found = attribute_map(payload, start).get(NLMSGERR_ATTR_MSG)
            if found is not None:
                words = text(found)
                break
    return NetlinkError(number, f"{os.strerror(number)}: {words}" if words else "", max(index, 0))
