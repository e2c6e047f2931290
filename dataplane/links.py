"""The interfaces of this network namespace, as rtnetlink tells of them: number and name, kept up to date.

Opened before the sandbox is entered; afterwards the socket goes on telling, and may be asked again.
"""

from __future__ import annotations

import errno
import socket
import struct

_MESSAGE = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # family, hardware type, index, flags, change
_ATTRIBUTE = struct.Struct("=HH")
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_NLM_F_REQUEST, _NLM_F_DUMP = 1, 0x300
_NLMSG_DONE, _NLMSG_ERROR = 3, 2
_RTMGRP_LINK = 1
_IFLA_IFNAME = 3
_BUFFER = 1 << 16


class Links:
    """`names` maps interface numbers to names."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, _RTMGRP_LINK))
        self._ask()

    def fileno(self) -> int:
        return self._socket.fileno()

    def read(self) -> bool:
        """Take in what the kernel said since; True when the names changed."""
        before = dict(self.names)
        while True:
            try:
                data = self._socket.recv(_BUFFER, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return self.names != before
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._ask()  # too much at once: some of it is lost, so look at all
                continue
            self._take(data)

    def _ask(self) -> None:
        """Every interface, anew."""
        self.names.clear()
        body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        flags = _NLM_F_REQUEST | _NLM_F_DUMP
        self._socket.send(_MESSAGE.pack(_MESSAGE.size + len(body), _RTM_GETLINK, flags, 1, 0) + body)
        while not self._take(self._socket.recv(_BUFFER)):
            pass

    def _take(self, data: bytes) -> bool:
        """The messages of one datagram; True when a dump ends in it."""
        ended = False
        at = 0
        while at + _MESSAGE.size <= len(data):
            length, kind, _, _, _ = _MESSAGE.unpack_from(data, at)
            if length < _MESSAGE.size:
                break
            body = data[at + _MESSAGE.size : at + length]
            if kind in (_RTM_NEWLINK, _RTM_DELLINK) and len(body) >= _LINK.size:
                self._link(kind, body)
            ended = ended or kind in (_NLMSG_DONE, _NLMSG_ERROR)
            at += (length + 3) & ~3
        return ended

    def _link(self, kind: int, body: bytes) -> None:
        _, _, index, _, _ = _LINK.unpack_from(body)
        if kind == _RTM_DELLINK:
            self.names.pop(index, None)
            return
        at = _LINK.size
        while at + _ATTRIBUTE.size <= len(body):
            length, attribute = _ATTRIBUTE.unpack_from(body, at)
            if length < _ATTRIBUTE.size:
                break
            if attribute == _IFLA_IFNAME:
                self.names[index] = body[at + _ATTRIBUTE.size : at + length].rstrip(b"\0").decode(errors="replace")
            at += (length + 3) & ~3
