"""A rule image as text: reads the tables back from their bytes, and names every number that has a name."""

from __future__ import annotations

import ipaddress
import struct
from typing import NamedTuple

from ctypes_ext.ruleset import BUFFERS, EVENTS, NUMBERS, OPS, PROTOCOLS, TRANSFORMS, VALUES
from dataplane.rules import image as layout
from dataplane.rules.header import FAMILIES, apps_of

TABLES = (
    layout.RULE, layout.BLOCK, layout.CONDITION, layout.TRANSFORM, layout.ADDRESS_SET, layout.RANGE4, layout.RANGE6,
    layout.PORT_SET, layout.PORT_RANGE, layout.NAME, layout.DATASET, layout.HASH_LIST,
)  # fmt: skip
_BUFFER = {word.number: name or "packet, flow, transaction" for name, word in BUFFERS.items()}
_OP = {number: name for name, number in OPS.items()}
_TRANSFORM = {number: name for name, number in TRANSFORMS.items()}
_VALUE = {word.number: name for name, word in VALUES.items()}
_APP = {protocol.number: name for name, protocol in PROTOCOLS.items()}
_COMPARE = ("=", "!=", "<", "<=", ">", ">=", "<>", "<=>", "&", "^", "!&", "any", "outside")
_EVENT = {number: name for name, number in EVENTS.items()}
_ACTION = ("alert", "pass", "drop", "reject", "rejectdst", "rejectboth")
_ALL = (1 << 256) - 1


class Tables(NamedTuple):
    rows: list[list[tuple[int, ...]]]
    texts: bytes
    engine: bytes

    def text(self, at: int, length: int) -> bytes:
        assert at + length <= len(self.texts)
        return self.texts[at : at + length]


def read(image: bytes) -> Tables:
    """The tables of an image; fails where it is not whole."""
    head = layout.HEADER.unpack_from(image)
    magic, version, size, *counts = head[:15]
    text_bytes, engine = head[15], head[17]
    assert (magic, version, size) == (layout.MAGIC, layout.VERSION, len(image))
    at = layout.HEADER.size
    rows: list[list[tuple[int, ...]]] = []
    for table, count in zip(TABLES, counts, strict=True):
        assert at % 8 == 0
        rows.append([table.unpack_from(image, at + index * table.size) for index in range(count)])
        at += table.size * count
        at += -at % 8
    assert at + text_bytes == size
    return Tables(rows, image[at:], engine)


def names(prefix: str, flags: int) -> list[str]:
    """The names of the bits that are set."""
    bits = {NUMBERS[name]: name.removeprefix(prefix) for name in NUMBERS if name.startswith(prefix)}
    return [bits[1 << bit] for bit in range(flags.bit_length()) if flags >> bit & 1]


def dump(image: bytes) -> str:
    """Every rule, with what it points to."""
    tables = read(image)
    return "".join(_rule(tables, row) for row in tables.rows[0])


def _rule(tables: Tables, row: tuple[int, ...]) -> str:
    sid, gid, rev, flags, action, priority, _, blocks, variables, first = row[:10]
    source, destination, source_port, destination_port, apps = row[10:15]
    protocols = sum(word << 64 * index for index, word in enumerate(row[15:19]))
    texts = [tables.text(at, length) for at, length in zip(row[20::2], row[21::2], strict=True)]
    _, message, category, metadata, references, _ = texts
    out = [f"{_ACTION[action]} {gid}:{sid}:{rev} priority {priority}"]
    out.append("  " + " ".join(names("REEF_RULE_", flags)) if flags else "  no flags")
    ip = "any" if protocols == _ALL else ",".join(str(number) for number in range(256) if protocols >> number & 1)
    app = _apps(apps)
    out.append(f"  ip {ip if len(ip) < 100 else ip[:97] + '...'} app {app}")
    sides = (
        (_addresses(tables, source), _ports(tables, source_port)),
        (
            _addresses(tables, destination),
            _ports(tables, destination_port),
        ),
    )
    out.append(f"  {' '.join(sides[0])} -> {' '.join(sides[1])}")
    for what, text in (("msg", message), ("class", category), ("metadata", metadata), ("references", references)):
        if text:
            out.append(f"  {what} {text.decode('utf-8', 'backslashreplace')}")
    if variables:
        out.append(f"  variables {variables}")
    for number in range(first, first + blocks):
        out += _block(tables, tables.rows[1][number])
    return "\n".join(out) + "\n"


def _apps(apps: int) -> str:
    """As a header says it: a family has more members as parsers are built."""
    for family in FAMILIES:
        if apps == apps_of(family):
            return family
    return ",".join(_APP[number] for number in range(64) if apps >> number & 1) or "any"


def _addresses(tables: Tables, number: int) -> str:
    if number == 0:
        return "any"
    first4, count4, first6, count6 = tables.rows[4][number]
    out = [
        f"{ipaddress.IPv4Address(first)}-{ipaddress.IPv4Address(last)}"
        for first, last in tables.rows[5][first4 : first4 + count4]
    ]
    for low, high in tables.rows[6][first6 : first6 + count6]:
        out.append(f"{ipaddress.IPv6Address(low)}-{ipaddress.IPv6Address(high)}")
    return ",".join(out)


def _ports(tables: Tables, number: int) -> str:
    if number == 0:
        return "any"
    first, count = tables.rows[7][number]
    return ",".join(f"{low}:{high}" for low, high in tables.rows[8][first : first + count])


def _block(tables: Tables, row: tuple[int, ...]) -> list[str]:
    buffer, after, _, conditions, transforms, condition, transform = row
    steps = []
    for kind, a, b, at, length in tables.rows[3][transform : transform + transforms]:
        argument = tables.text(at, length)
        steps.append(f" {_TRANSFORM[kind]}" + (f"({a},{b},{argument!r})" if a or b or argument else ""))
    out = [f"  [{'after the match' if after else _BUFFER[buffer]}]{''.join(steps)}"]
    out += ["    " + _condition(tables, each) for each in tables.rows[2][condition : condition + conditions]]
    return out


def _condition(tables: Tables, row: tuple[int, ...]) -> str:
    op, compare, base, flags, *operands = row[:9]
    text = tables.text(*row[9:])
    name = _OP[op]
    parts = [name]
    if name == "DECODE_EVENT":
        parts.append(_EVENT[operands.pop(0)])
    if name == "APP_PROTOCOL":
        number = operands.pop(0)
        parts.append("failed" if number == 1 else _apps(number))
    if name == "VALUE":
        parts.append(_VALUE[base])
    elif name == "APP_EVENT":
        events = next(protocol.events for protocol in PROTOCOLS.values() if protocol.number == operands[0])
        return f"{name} {_APP[operands[0]]}.{next(key for key, value in events.items() if value == operands[1])}"
    elif base:
        parts.append(f"base {base}")
    if compare:
        parts.append(_COMPARE[compare] if name != "BYTE_MATH" else f"digits {compare}")
    if text:
        whole = name in ("FLOWBITS",)
        words = [str(number) for (number,) in struct.iter_unpack("<I", text)] if whole else []
        parts.append(" or ".join(_name(tables, int(word)) for word in words) if whole else repr(text)[1:])
    if name in ("FLOWBITS", "FLOWINT", "XBITS", "HOSTBITS") and not text:
        parts.append(_name(tables, operands.pop(0)))
    letters = "abcde"[5 - len(operands) :]
    parts += [f"{letter}={value}" for letter, value in zip(letters, operands, strict=True) if value]
    return " ".join(parts + names("REEF_C_", flags))


def _name(tables: Tables, number: int) -> str:
    _, at, length = tables.rows[9][number]
    return repr(tables.text(at, length).decode("utf-8", "backslashreplace"))
