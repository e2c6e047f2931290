"""Elements of nftables sets, named counters and the ruleset's generation id, over raw nfnetlink.

Element encoding: a plain set holds keys; an interval set of one field holds each range as its first
address and, flagged INTERVAL_END, the address behind its last; an interval set of several fields holds
first and last as KEY and KEY_END. (nf_tables.h, nft's segtree.c.)
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import msgspec

from appliance.control.kernel.netlink import (
    NLM_F_CREATE,
    DumpInterrupted,
    NetlinkError,
    attribute,
    attribute_map,
    attributes,
    nested,
    string,
    text,
    u32,
    u64,
)
from appliance.control.kernel.nfnetlink import NFPROTO_UNSPEC, NFTABLES, Netfilter, Statement, body

MSG_NEWSET, MSG_GETSET = 9, 10
MSG_NEWSETELEM, MSG_GETSETELEM, MSG_DELSETELEM = 12, 13, 14
MSG_NEWGEN, MSG_GETGEN = 15, 16
MSG_GETOBJ = 19

SET_TABLE, SET_NAME, SET_FLAGS, SET_KEY_LEN, SET_COUNT = 1, 2, 3, 5, 20
SET_FLAG_CONSTANT, SET_FLAG_INTERVAL, SET_FLAG_MAP, SET_FLAG_TIMEOUT = 0x02, 0x04, 0x08, 0x10
SET_FLAG_CONCAT = 0x80

ELEM_KEY, ELEM_DATA, ELEM_FLAGS, ELEM_TIMEOUT, ELEM_EXPIRATION, ELEM_KEY_END = 1, 2, 3, 4, 5, 10
ELEM_FLAG_INTERVAL_END = 1
LIST_TABLE, LIST_SET, LIST_ELEMENTS, LIST_ELEM = 1, 2, 3, 1
DATA_VALUE = 1

OBJ_TABLE, OBJ_NAME, OBJ_TYPE, OBJ_DATA = 1, 2, 3, 4
OBJ_COUNTER = 1
COUNTER_BYTES, COUNTER_PACKETS = 1, 2

GEN_ID, GEN_PROC_PID, GEN_PROC_NAME = 1, 2, 3

# An attribute's length is 16 bits; the list of elements is one attribute.
_LIST_LIMIT = 60_000
_COUNTER_PAIR = struct.Struct("!QQ")


class ElementError(ValueError):
    """A text is no element of that set; says what would be right."""


class SetInfo(msgspec.Struct, frozen=True):
    """What the kernel says of a set. `count` is -1 where the kernel does not tell (before Linux 6.16)."""

    name: str
    flags: int
    key_length: int
    count: int = -1

    @property
    def interval(self) -> bool:
        return bool(self.flags & SET_FLAG_INTERVAL)

    @property
    def concatenated(self) -> bool:
        return bool(self.flags & SET_FLAG_CONCAT)


class Element(msgspec.Struct, frozen=True, order=True):
    """One element: a closed range of keys, as integers of the set's key length. `timeout` in seconds, 0 for none."""

    first: int
    last: int
    timeout: float = 0.0


def parse_address(words: str) -> tuple[int, Element]:
    """(IP version, element) of an address, a CIDR or a range `first-last`. Raises `ElementError`."""
    try:
        if "-" in words:
            left, right = (ip_address(part.strip()) for part in words.split("-", 1))
            if left.version != right.version or int(left) > int(right):
                raise ElementError(f"{words!r} is not a range of addresses: write the lower address first")
            return left.version, Element(int(left), int(right))
        if "/" in words:
            network = ip_network(words)
            return network.version, Element(int(network.network_address), int(network.broadcast_address))
        address = ip_address(words)
        return address.version, Element(int(address), int(address))
    except ElementError:
        raise
    except ValueError as error:
        raise ElementError(f"{words!r} is neither an address nor a network: {error}") from error


def format_element(element: Element, length: int) -> str:
    """The words of an element of an address set: "192.0.2.1", "192.0.2.0/24" or "first-last"."""
    make: type[IPv4Address] | type[IPv6Address] = IPv4Address if length == 4 else IPv6Address
    if element.first == element.last:
        return str(make(element.first))
    size = element.last - element.first + 1
    if size & (size - 1) == 0 and element.first % size == 0:
        return f"{make(element.first)}/{length * 8 - size.bit_length() + 1}"
    return f"{make(element.first)}-{make(element.last)}"


class Sets:
    """The sets of one table."""

    def __init__(self, netfilter: Netfilter, table: str = "reef") -> None:
        self._netfilter = netfilter
        self._table = table
        self._table_attribute = string(SET_TABLE, table)

    def info(self, name: str) -> SetInfo:
        """Raises `NetlinkError` ENOENT when the table has no such set."""
        _, data = self._netfilter.get(NFTABLES | MSG_GETSET, body(self._table_attribute + string(SET_NAME, name)))
        return _set_info(data)

    def all(self) -> list[SetInfo]:
        """Every set of the table, without elements: cheap beside any number of them."""
        dump = self._netfilter.dump(NFTABLES | MSG_GETSET, body(self._table_attribute))
        return [_set_info(data) for _, data in dump]

    def add(self, info: SetInfo, elements: Iterable[Element]) -> None:
        """Add in one transaction; what is there already stays. Raises `NetlinkError`."""
        self._netfilter.transact(self._statements(MSG_NEWSETELEM, info, elements, NLM_F_CREATE))

    def remove(self, info: SetInfo, elements: Iterable[Element]) -> None:
        """Remove in one transaction. Raises `NetlinkError` ENOENT when one is not there (then none is removed)."""
        self._netfilter.transact(self._statements(MSG_DELSETELEM, info, elements, 0))

    def change(self, info: SetInfo, add: Iterable[Element], remove: Iterable[Element]) -> None:
        """Remove and add in one transaction."""
        statements = list(self._statements(MSG_DELSETELEM, info, remove, 0))
        statements += self._statements(MSG_NEWSETELEM, info, add, NLM_F_CREATE)
        self._netfilter.transact(statements)

    def replace(self, info: SetInfo, elements: Iterable[Element]) -> None:
        """Empty the set and fill it, in one transaction: no packet sees it empty."""
        flush = Statement(MSG_DELSETELEM, self._table_attribute + string(LIST_SET, info.name))
        self._netfilter.transact([flush, *self._statements(MSG_NEWSETELEM, info, elements, NLM_F_CREATE)])

    def elements(self, info: SetInfo, limit: int = 1 << 62) -> list[Element]:
        """The elements, sorted; at most about `limit`. Read again when the set changed meanwhile."""
        for _ in range(8):
            try:
                return self._read(info, limit)
            except DumpInterrupted:
                continue
        raise NetlinkError(errno.EAGAIN, f"set {info.name} changes faster than it can be read")

    def _read(self, info: SetInfo, limit: int) -> list[Element]:
        request = body(self._table_attribute + string(LIST_SET, info.name))
        starts: list[tuple[int, int, float]] = []  # key, last (-1: unknown), timeout
        ends: list[int] = []
        for _, data in self._netfilter.dump(NFTABLES | MSG_GETSETELEM, request):
            listing = attribute_map(data).get(LIST_ELEMENTS)
            if listing is None or len(starts) > limit:
                continue
            for _, element in attributes(listing):
                fields = attribute_map(element)
                key = _value(fields[ELEM_KEY])
                if int.from_bytes(fields.get(ELEM_FLAGS, b""), "big") & ELEM_FLAG_INTERVAL_END:
                    ends.append(key)
                    continue
                last = _value(fields[ELEM_KEY_END]) if ELEM_KEY_END in fields else -1
                rest = int.from_bytes(fields.get(ELEM_EXPIRATION, b""), "big") / 1000
                starts.append((key, last, rest))
        if not info.interval or info.concatenated:
            return sorted(Element(key, key if last < 0 else last, rest) for key, last, rest in starts)
        return _joined(starts, ends, (1 << info.key_length * 8) - 1)

    def _statements(self, kind: int, info: SetInfo, elements: Iterable[Element], flags: int) -> Iterator[Statement]:
        head = self._table_attribute + string(LIST_SET, info.name)
        parts: list[bytes] = []
        size = 0
        for element in elements:
            piece = encoded(info, element)
            if size + len(piece) > _LIST_LIMIT:
                yield Statement(kind, head + nested(LIST_ELEMENTS, *parts), flags)
                parts, size = [], 0
            parts.append(piece)
            size += len(piece)
        if parts:
            yield Statement(kind, head + nested(LIST_ELEMENTS, *parts), flags)


def encoded(info: SetInfo, element: Element) -> bytes:
    """An element as the kernel takes it. Raises `ElementError` where the set holds no such."""
    length = info.key_length
    if element.last >> length * 8:
        raise ElementError(f"set {info.name} holds keys of {length} bytes; {element.first:#x} does not fit")
    plain = _PLAIN.get(length)
    if plain is not None and not (info.interval or element.timeout) and element.first == element.last:
        return plain + element.first.to_bytes(length, "big")
    timeout = u64(ELEM_TIMEOUT, int(element.timeout * 1000)) if element.timeout else b""
    key = _key(ELEM_KEY, element.first, length)
    if not info.interval:
        if element.first != element.last:
            raise ElementError(f"set {info.name} holds single addresses, not networks")
        return nested(LIST_ELEM, key, timeout)
    if info.concatenated:
        return nested(LIST_ELEM, key, _key(ELEM_KEY_END, element.last, length), timeout)
    start = nested(LIST_ELEM, key, timeout)
    if element.last == (1 << length * 8) - 1:
        return start
    end = _key(ELEM_KEY, element.last + 1, length)
    return start + nested(LIST_ELEM, end, u32(ELEM_FLAGS, ELEM_FLAG_INTERVAL_END))


def _key(kind: int, value: int, length: int) -> bytes:
    return nested(kind, attribute(DATA_VALUE, value.to_bytes(length, "big")))


# What stands before the key of an element that is nothing but a key, for keys that need no padding.
_PLAIN = {length: nested(LIST_ELEM, _key(ELEM_KEY, 0, length))[:-length] for length in (4, 16)}


def _value(data: bytes) -> int:
    return int.from_bytes(attribute_map(data)[DATA_VALUE], "big")


def _joined(starts: Sequence[tuple[int, int, float]], ends: Sequence[int], top: int) -> list[Element]:
    """Pair each start with the first end behind it."""
    found: list[Element] = []
    waiting = sorted(ends)
    position = 0
    for key, _, rest in sorted(starts):
        while position < len(waiting) and waiting[position] <= key:
            position += 1
        last = waiting[position] - 1 if position < len(waiting) else top
        found.append(Element(key, last, rest))
    return found


def _set_info(data: bytes) -> SetInfo:
    fields = attribute_map(data)
    count = fields.get(SET_COUNT)
    return SetInfo(
        text(fields[SET_NAME]),
        int.from_bytes(fields.get(SET_FLAGS, b""), "big"),
        int.from_bytes(fields.get(SET_KEY_LEN, b""), "big"),
        -1 if count is None else int.from_bytes(count, "big"),
    )


def counters(netfilter: Netfilter, table: str = "reef") -> dict[str, tuple[int, int]]:
    """Every named counter of the table: name -> (packets, bytes), read in one dump."""
    request = body(string(OBJ_TABLE, table) + u32(OBJ_TYPE, OBJ_COUNTER))
    found: dict[str, tuple[int, int]] = {}
    for _, data in netfilter.dump(NFTABLES | MSG_GETOBJ, request):
        fields = attribute_map(data)
        values = attribute_map(fields[OBJ_DATA])
        found[text(fields[OBJ_NAME])] = (
            int.from_bytes(values[COUNTER_PACKETS], "big"),
            int.from_bytes(values[COUNTER_BYTES], "big"),
        )
    return found


class Generation(msgspec.Struct, frozen=True):
    """The kernel's own count of nftables transactions, and who made the last one (in notifications only)."""

    id: int
    pid: int = 0
    name: str = ""


def kernel_generation(netfilter: Netfilter) -> Generation:
    _, data = netfilter.get(NFTABLES | MSG_GETGEN, body(family=NFPROTO_UNSPEC))
    return parse_generation(data)


def parse_generation(data: bytes) -> Generation:
    fields = attribute_map(data)
    return Generation(
        int.from_bytes(fields[GEN_ID], "big"),
        int.from_bytes(fields.get(GEN_PROC_PID, b""), "big"),
        text(fields.get(GEN_PROC_NAME, b"")),
    )
