"""The rule image: the tables of include/reef/rules.h in one piece of memory."""

from __future__ import annotations

import json
import struct

from ctypes_ext.ruleset import NUMBERS, SIZES
from dataplane.rules import codes
from dataplane.rules.addresses import Addresses, Ranges
from dataplane.rules.draft import Block, Condition, Draft, Support
from dataplane.rules.values import encoded

HEADER = struct.Struct("<Q16I32s")
RULE = struct.Struct("<IIIIBBHHHIIIII4xQ4QI12I4x")
BLOCK = struct.Struct("<HBBHHII")
CONDITION = struct.Struct("<HBBI5qII")
TRANSFORM = struct.Struct("<IIIII")
ADDRESS_SET = struct.Struct("<IIII")
RANGE4 = struct.Struct("<II")
RANGE6 = struct.Struct("<16s16s")
PORT_SET = struct.Struct("<II")
PORT_RANGE = struct.Struct("<HH")
NAME = struct.Struct("<III")
DATASET = struct.Struct("<BBHIIIIII")
HASH_LIST = struct.Struct("<IIII")

LAYOUT = {
    "reef_image_header": HEADER, "reef_rule": RULE, "reef_block": BLOCK, "reef_condition": CONDITION,
    "reef_transform": TRANSFORM, "reef_address_set": ADDRESS_SET, "reef_range4": RANGE4, "reef_range6": RANGE6,
    "reef_port_set": PORT_SET, "reef_port_range": PORT_RANGE, "reef_name": NAME, "reef_dataset": DATASET,
    "reef_hash_list": HASH_LIST,
}  # fmt: skip
for _name, _layout in LAYOUT.items():
    assert _layout.size == SIZES[_name], f"{_name} has {SIZES[_name]} bytes in C and {_layout.size} here"

MAGIC, VERSION = NUMBERS["REEF_IMAGE_MAGIC"], NUMBERS["REEF_IMAGE_VERSION"]
_U64 = (1 << 64) - 1
_PAD = b"\0" * 8


class Texts:
    """The pool of texts; the same text lies there once."""

    def __init__(self) -> None:
        self._at: dict[bytes, tuple[int, int]] = {b"": (0, 0)}
        self._parts: list[bytes] = []
        self.length = 0

    def put(self, text: bytes) -> tuple[int, int]:
        found = self._at.get(text)
        if found is None:
            found = self._at[text] = (self.length, len(text))
            self._parts.append(text)
            self.length += len(text)
        return found

    def bytes(self) -> bytes:
        return b"".join(self._parts)


class Image:
    """Collects settled rules, then writes them."""

    def __init__(self) -> None:
        self._texts = Texts()
        self._rules: list[bytes] = []
        self._blocks: list[bytes] = []
        self._conditions: list[bytes] = []
        self._transforms: list[bytes] = []
        self._ranges4: list[bytes] = []
        self._ranges6: list[bytes] = []
        self._port_ranges: list[bytes] = []
        self._address_sets: dict[tuple[Ranges, Ranges], int] = {}
        self._address_rows: list[bytes] = [ADDRESS_SET.pack(0, 0, 0, 0)]
        self._known: dict[int, int] = {}  # by identity of what Header keeps
        self._port_sets: dict[Ranges, int] = {((0, 65535),): 0}
        self._port_rows: list[bytes] = [PORT_SET.pack(0, 0)]

    def addresses(self, addresses: Addresses) -> int:
        """The number of an address set; 0 is any."""
        if addresses.any:
            return 0
        key = (addresses.four, addresses.six)
        found = self._address_sets.get(key)
        if found is None:
            found = self._address_sets[key] = len(self._address_rows)
            self._address_rows.append(
                ADDRESS_SET.pack(len(self._ranges4), len(addresses.four), len(self._ranges6), len(addresses.six))
            )
            self._ranges4 += [RANGE4.pack(*row) for row in addresses.four]
            self._ranges6 += [
                RANGE6.pack(first.to_bytes(16, "big"), last.to_bytes(16, "big")) for first, last in addresses.six
            ]
        return found

    def ports(self, ports: Ranges) -> int:
        """The number of a port set; 0 is any."""
        found = self._port_sets.get(ports)
        if found is None:
            found = self._port_sets[ports] = len(self._port_rows)
            self._port_rows.append(PORT_SET.pack(len(self._port_ranges), len(ports)))
            self._port_ranges += [PORT_RANGE.pack(*row) for row in ports]
        return found

    def add(
        self, draft: Draft, action: int, sets: tuple[int, int, int, int], where: tuple[bytes, int, bytes]
    ) -> None:
        """A rule; `sets` are the numbers of its addresses and ports, `where` its file, line and text."""
        file, line, text = where
        first = len(self._blocks)
        if draft.conditions:
            self._block(codes.NONE_BUFFER, draft.conditions)
        for block in draft.blocks:
            self._block(block.buffer, block.conditions, block)
        if draft.after:
            self._block(codes.NONE_BUFFER, draft.after, after=1)
        put = self._texts.put
        protocols = draft.protocols
        self._rules.append(
            RULE.pack(
                draft.sid, draft.gid, draft.rev, draft.flags, action, draft.priority, 0,
                len(self._blocks) - first, len(draft.variables), first, *sets, draft.apps,
                protocols & _U64, protocols >> 64 & _U64, protocols >> 128 & _U64, protocols >> 192, line,
                *put(file), *put(encoded(draft.message)), *put(draft.category.encode()),
                *put(_json(draft.metadata)), *put(_json(draft.references)), *put(text),
            )
        )  # fmt: skip

    def _block(self, buffer: int, conditions: list[Condition], block: Block | None = None, after: int = 0) -> None:
        transforms = block.transforms if block is not None else ()
        self._blocks.append(
            BLOCK.pack(
                buffer, after, 0, len(conditions), len(transforms), len(self._conditions), len(self._transforms)
            )
        )
        put = self._texts.put
        pack = CONDITION.pack
        rows = self._conditions
        for row in conditions:
            rows.append(
                pack(
                    row.op,
                    row.compare,
                    row.base,
                    row.flags,
                    row.a,
                    _signed(row.b),
                    row.c,
                    row.d,
                    row.e,
                    *put(row.text),
                )
            )
        for transform in transforms:
            self._transforms.append(
                TRANSFORM.pack(transform.kind, transform.a, transform.b, *put(transform.argument))
            )

    def write(self, support: Support, engine: bytes) -> bytes:
        """The image. `engine` is the digest of the tables it was made with."""
        put = self._texts.put
        names = [NAME.pack(kind, *put(encoded(name))) for kind, name in support.names]
        datasets = [
            DATASET.pack(
                dataset.type, dataset.reputation, 0, len(dataset.values), dataset.limit, *put(encoded(name)),
                *put(_values(dataset.values, dataset.reputation)),
            )
            for name, dataset in support.datasets.items()
        ]  # fmt: skip
        lists = [
            HASH_LIST.pack(hashes.width, hashes.rows, *put(hashes.digests)) for hashes in support.hash_lists.values()
        ]
        texts = self._texts.bytes()
        tables = [
            self._rules, self._blocks, self._conditions, self._transforms, self._address_rows, self._ranges4,
            self._ranges6, self._port_rows, self._port_ranges, names, datasets, lists,
        ]  # fmt: skip
        body: list[bytes] = []
        size = HEADER.size
        for table in tables:
            packed = b"".join(table)
            padding = _PAD[: -len(packed) % 8]
            body += (packed, padding)
            size += len(packed) + len(padding)
        counts = [len(table) for table in tables]
        header = HEADER.pack(MAGIC, VERSION, size + len(texts), *counts, len(texts), 0, engine)
        return b"".join([header, *body, texts])


def _signed(number: int) -> int:
    """64 bits as C's int64_t has them."""
    return number - (1 << 64) if number > 0x7FFFFFFFFFFFFFFF else number


def _json(value: dict[str, list[str]] | list[str]) -> bytes:
    """The inside of an object or an array; nothing for an empty one."""
    if not value:
        return b""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))[1:-1].encode("ascii", "replace")


def _values(values: tuple[tuple[bytes, int], ...], reputation: bool) -> bytes:
    if reputation:
        return b"".join(struct.pack("<H", len(value)) + value + struct.pack("<H", score) for value, score in values)
    return b"".join(struct.pack("<H", len(value)) + value for value, _ in values)
