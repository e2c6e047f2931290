"""nfnetlink: the sockets to nftables and conntrack, and nftables transactions.

The nft command and libnftables read the kernel's tables before each change; for the changes that the
gateway makes all day (one address into a set) that is most of the cost. Here a change is one datagram
out and one acknowledgement back. Layouts: linux/netfilter/nfnetlink.h, nf_tables.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import msgspec

from appliance.control.kernel.netlink import NLM_F_ACK, NLM_F_REQUEST, Netlink, encode

NETLINK_NETFILTER = 12
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 0x10, 0x11
CTNETLINK, NFTABLES = 1 << 8, 10 << 8  # subsystems, as the upper byte of a message type

NFPROTO_UNSPEC, NFPROTO_INET, NFPROTO_NETDEV = 0, 1, 5

GENMSG = struct.Struct("!BBH")  # nfgenmsg: family, version, resource id
_INET = GENMSG.pack(NFPROTO_INET, 0, 0)


class Statement(msgspec.Struct, frozen=True, gc=False):
    """One message of a transaction: its nftables type, attributes and flags."""

    kind: int
    payload: bytes
    flags: int = 0


def body(payload: bytes = b"", family: int = NFPROTO_INET) -> bytes:
    """A message body: nfgenmsg, then attributes."""
    return GENMSG.pack(family, 0, 0) + payload


class Netfilter(Netlink):
    """A socket to the kernel's netfilter subsystems. Writing needs CAP_NET_ADMIN."""

    def __init__(self, groups: Iterable[int] = (), *, receive_buffer: int = 4 << 20) -> None:
        super().__init__(NETLINK_NETFILTER, GENMSG.size, groups, receive_buffer)

    def transact(self, statements: Iterable[Statement]) -> None:
        """Run nftables statements as one transaction: all of them or none. Raises `NetlinkError` with the index
        of the first that was refused."""
        self._batch(statements, end=True)

    def check(self, statements: Iterable[Statement]) -> None:
        """Have the kernel check a transaction and forget it: one that does not end. Raises `NetlinkError`."""
        self._batch(statements, end=False)

    def _batch(self, statements: Iterable[Statement], *, end: bool) -> None:
        first = self._next()
        parts = [_edge(NFNL_MSG_BATCH_BEGIN, first)]
        sequence = first
        for statement in statements:
            sequence = self._next()
            flags = statement.flags | NLM_F_REQUEST | NLM_F_ACK
            parts.append(encode(NFTABLES | statement.kind, _INET + statement.payload, flags, sequence))
        if sequence == first:
            return
        if end:
            parts.append(_edge(NFNL_MSG_BATCH_END, self._next()))
        self._send(b"".join(parts))
        self._acknowledged(first, sequence)


def _edge(kind: int, sequence: int) -> bytes:
    return encode(kind, GENMSG.pack(NFPROTO_UNSPEC, 0, NFTABLES >> 8), NLM_F_REQUEST, sequence)
