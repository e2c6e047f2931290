"""The table of the flow log, filled by the engine and written out as columns (`reef/flowlog.h`)."""

from __future__ import annotations

import secrets
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import msgspec

from ctypes_ext._engine import ffi, lib

Address = IPv4Address | IPv6Address
ACTIONS = ("allow", "deny", "reject")


class FlowTableError(Exception):
    """The table cannot be made, or bytes are no columns of a flow log."""


class Seen(msgspec.Struct, frozen=True):
    """A flow, or `count` alike. `asked` and `asked_port` are where it was sent, before destination NAT.

    Ports are destination ports, of ICMP type << 8 | code. `minute` counts from the epoch.
    """

    source: Address
    destination: Address
    protocol: int
    port: int
    rule: str
    action: str
    from_zone: str
    to_zone: str
    minute: int
    asked: Address | None = None
    asked_port: int = -1
    count: int = 1
    bytes: int = 0
    packets: int = 0


class Sum(msgspec.Struct, frozen=True):
    """What a table holds: `flows` in `rows`, between the minutes `first` and `last`; `lost` found no room."""

    rows: int
    addresses: int
    names: int
    first: int
    last: int
    flows: int
    lost: int


class Columns(msgspec.Struct, frozen=True):
    """A table as three strings of bytes; `addresses` are what is secret."""

    heads: bytes
    body: bytes
    addresses: bytes


class FlowTable:
    """At most `rows` rows of flows, alike ones as one."""

    def __init__(self, rows: int = 1 << 17) -> None:
        out = ffi.new("reef_flowlog **")
        status = lib.reef_flowlog_new(rows, (secrets.randbits(64), secrets.randbits(64)), out)
        if status != lib.REEF_OK:
            raise FlowTableError(f"flow table of {rows} rows: {_words(status)}")
        self.c = ffi.gc(out[0], lib.reef_flowlog_free)
        self._sum = ffi.new("reef_flow_sum *")

    def add(self, seen: Seen) -> bool:
        """False when it found no room."""
        asked = seen.destination if seen.asked is None else seen.asked
        texts = [ffi.new("char[]", text.encode()) for text in (seen.from_zone, seen.to_zone, seen.rule)]
        one = ffi.new("reef_flow_seen *")
        for field, text in zip(("from", "to", "rule"), texts, strict=True):  # `texts` outlives the call
            setattr(one, field, text)
        _address(one.source, seen.source)
        _address(one.destination, seen.destination)
        _address(one.asked, asked)
        one.port = seen.port
        one.asked_port = seen.port if seen.asked_port < 0 else seen.asked_port
        one.version, one.protocol, one.action = seen.source.version, seen.protocol, ACTIONS.index(seen.action)
        one.minute, one.count, one.bytes, one.packets = seen.minute, seen.count, seen.bytes, seen.packets
        status = lib.reef_flowlog_add(self.c, one)
        if status not in (lib.REEF_OK, lib.REEF_FULL):
            raise FlowTableError(f"{seen}: {_words(status)}")
        return bool(status == lib.REEF_OK)

    def merge(self, columns: Columns) -> None:
        """Add the rows of other tables. Raises `FlowTableError` for what is no columns; then nothing was added."""
        heads_out, body_out = ffi.new("reef_flow_heads **"), ffi.new("reef_flow_body **")
        status = lib.reef_flow_heads_decode(columns.heads, len(columns.heads), heads_out)
        if status != lib.REEF_OK:
            raise FlowTableError(f"heads: {_words(status)}")
        heads = ffi.gc(heads_out[0], lib.reef_flow_heads_free)
        status = lib.reef_flow_body_decode(
            heads, columns.body, len(columns.body), columns.addresses, len(columns.addresses), body_out
        )
        if status != lib.REEF_OK:
            raise FlowTableError(f"columns: {_words(status)}")
        body = ffi.gc(body_out[0], lib.reef_flow_body_free)
        lib.reef_flowlog_merge(self.c, heads, body)

    def sum(self) -> Sum:
        lib.reef_flowlog_sum(self.c, self._sum)
        s = self._sum
        return Sum(s.rows, s.addresses, s.names, s.first, s.last, s.flows, s.lost)

    def take(self) -> Columns:
        """The table as columns; it is empty afterwards."""
        sizes = [ffi.new("size_t *") for _ in range(3)]
        lib.reef_flowlog_bound(self.c, *sizes)
        parts = [ffi.new("uint8_t[]", size[0]) for size in sizes]
        arguments = [item for pair in zip(parts, sizes, strict=True) for item in pair]
        status = lib.reef_flowlog_encode(self.c, *arguments)
        lib.reef_flowlog_empty(self.c)
        if status != lib.REEF_OK:
            raise FlowTableError(f"columns: {_words(status)}")
        return Columns(*(bytes(ffi.buffer(part, size[0])) for part, size in zip(parts, sizes, strict=True)))


def _address(field: Any, address: Address) -> None:
    packed = address.packed
    ffi.memmove(field, packed, len(packed))


def _words(status: int) -> str:
    return str(ffi.string(lib.reef_status_text(status)).decode())
