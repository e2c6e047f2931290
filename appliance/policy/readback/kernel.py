"""The kernel's tables as it tells them: netlink messages become tables, chains, rules and elements.

A `Snapshot` is bytes only, taken by `appliance/control/kernel/readback.py`; everything that understands them is here.
What is in a message and is not understood is kept as `Unknown` where it stands.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from appliance.policy.readback.expressions import (
    Count,
    Expression,
    Fields,
    Malformed,
    Unknown,
    Verdict,
    attributes,
    expression,
    expressions,
    fields_of,
    number,
    value_of,
    verdict_of,
    words_of,
)

FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
HOOKS = {0: "prerouting", 1: "input", 2: "forward", 3: "output", 4: "postrouting", 5: "ingress"}
_HEADER = 4  # nfgenmsg: family, version, resource id
VERDICT_DATA = 0xFFFFFF00
MAP, CONSTANT, INTERVAL, TIMEOUT, EVALUATED, OBJECTS, CONCATENATED = 0x8, 0x2, 0x4, 0x10, 0x20, 0x40, 0x80
_KNOWN_SET_FLAGS = 0x1FF
_INTERVAL_END = 1
DORMANT = 1
_EXPRESSIONS, _COMPAT = 4, 5
_PAIR = struct.Struct("=HH")
_TWO_HEADERS = struct.Struct("=HHHH")


class Snapshot(msgspec.Struct, frozen=True):
    """What the kernel said at one moment: bodies of netlink messages, each with its nfgenmsg header.

    `elements` are by (family, table, set). `count` is the kernel's count of transactions, the same before and after.
    `hooks` are those of nfnetlink_hook, None where the kernel does not tell. `sysctls` are values by name, "" where
    they cannot be read; `xtables` are the tables of the old iptables; `links` the numbers of the interfaces.
    """

    kernel: str
    taken: float  # seconds since the epoch
    count: int
    tables: tuple[bytes, ...]
    chains: tuple[bytes, ...]
    rules: tuple[bytes, ...]
    sets: tuple[bytes, ...]
    elements: tuple[tuple[str, str, str, tuple[bytes, ...]], ...]
    hooks: tuple[tuple[str, str, tuple[bytes, ...]], ...] | None = None
    sysctls: dict[str, str] = {}
    xtables: tuple[str, ...] = ()
    links: dict[str, int] = {}


class Element(msgspec.Struct, frozen=True, gc=False):
    """Closed interval of keys, as bytes of the set's key length; `data` a verdict, a value or nothing."""

    first: bytes
    last: bytes
    data: Verdict | bytes | None = None


class KernelSet:
    """A set or map. `strange` says what of it is not understood, "" for nothing."""

    def __init__(self, fields: Fields) -> None:
        self.name = words_of(fields.get(2))
        self.flags = number(fields.get(3))
        self.key_length = number(fields.get(5))
        self.verdicts = bool(self.flags & MAP) and number(fields.get(6)) == VERDICT_DATA
        self.strange = ""
        if self.flags & ~_KNOWN_SET_FLAGS:
            self.strange = f"set flag {self.flags & ~_KNOWN_SET_FLAGS:#x}"
        elif self.flags & OBJECTS:
            self.strange = "a map of objects"
        self.messages: tuple[bytes, ...] = ()
        self._elements: list[Element] | None = None

    @property
    def interval(self) -> bool:
        return bool(self.flags & INTERVAL)

    @property
    def live(self) -> bool:
        """Filled by packets or with elements that end by themselves."""
        return bool(self.flags & (TIMEOUT | EVALUATED))

    @property
    def elements(self) -> list[Element]:
        """Raises `Malformed`."""
        if self._elements is None:
            self._elements = list(self._read())
        return self._elements

    def _read(self) -> Iterator[Element]:
        found: list[tuple[bytes, bytes | None, Verdict | bytes | None]] = []
        ends: list[bytes] = []
        verdicts: dict[bytes, Verdict] = {}
        for message in self.messages:
            listing = fields_of(message, _HEADER).get(3)
            if listing is None:
                continue
            for _, element in attributes(listing):
                plain = self._plain(element, verdicts)
                if plain is not None:
                    found.append(plain)
                    continue
                fields = fields_of(element)
                flags = number(fields.get(3))
                if flags & ~1 or not fields.keys() <= _ELEMENT_KNOWN:
                    self.strange = f"an element of the set {self.name} with something unknown"
                for _, one in _stateful(fields):
                    if not isinstance(expression(one), Count):
                        self.strange = f"an element of the set {self.name} with a condition of its own"
                if 1 not in fields:
                    continue
                key = value_of(fields[1])[: self.key_length]
                if flags & _INTERVAL_END:
                    ends.append(key)
                    continue
                data: Verdict | bytes | None = None
                if 2 in fields:
                    data = verdict_of(fields[2]) if self.verdicts else value_of(fields[2])
                last = value_of(fields[10])[: self.key_length] if 10 in fields else None
                found.append((key, last, data))
        if not self.interval or self.flags & CONCATENATED:
            for key, last, data in found:
                yield Element(key, key if last is None else last, data)
            return
        yield from self._paired(found, sorted(ends))

    def _plain(self, element: bytes, verdicts: dict[bytes, Verdict]) -> tuple[bytes, bytes | None, Verdict] | None:
        """An element of a verdict map as nearly all are: one key or two, then the verdict and nothing more."""
        if not self.verdicts or len(element) < 8:
            return None
        length = self.key_length
        size, kind, inner, inner_kind = _TWO_HEADERS.unpack_from(element)
        at = (size + 3) & ~3
        if (kind & 0x3FFF, inner_kind, inner) != (1, 1, length + 4) or len(element) < at + 8:
            return None
        key = element[8 : 8 + length]
        last: bytes | None = None
        size, kind, inner, inner_kind = _TWO_HEADERS.unpack_from(element, at)
        if kind & 0x3FFF == 10:
            if (inner_kind, inner) != (1, length + 4):
                return None
            last = element[at + 8 : at + 8 + length]
            at += (size + 3) & ~3
            if len(element) < at + 8:
                return None
            size, kind, inner, inner_kind = _TWO_HEADERS.unpack_from(element, at)
        if kind & 0x3FFF != 2 or at + ((size + 3) & ~3) != len(element):
            return None
        rest = element[at + 4 :]
        verdict = verdicts.get(rest)
        if verdict is None:
            verdict = verdicts[rest] = verdict_of(rest)
        return key, last, verdict

    def _paired(
        self, found: list[tuple[bytes, bytes | None, Verdict | bytes | None]], ends: list[bytes]
    ) -> Iterator[Element]:
        """An interval set of one field tells the value behind each interval: pair each start with the next end."""
        position = 0
        for key, _, data in sorted(found, key=lambda each: each[0]):
            while position < len(ends) and ends[position] <= key:
                position += 1
            if position < len(ends):
                last = (int.from_bytes(ends[position], "big") - 1).to_bytes(self.key_length, "big")
            else:
                last = b"\xff" * self.key_length
            yield Element(key, last, data)


# Key, data, flags, time out, expiration, what user space notes, expressions, padding, last key.
_ELEMENT_KNOWN = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 10, 11})


def _stateful(fields: Fields) -> Iterator[tuple[int, bytes]]:
    """The expressions that an element carries."""
    if 7 in fields:
        yield 1, fields[7]
    yield from attributes(fields.get(11, b""))


class Hook(msgspec.Struct, frozen=True):
    """Where a base chain stands."""

    kind: str  # filter, nat, route
    name: str
    priority: int
    policy: int
    devices: tuple[str, ...] = ()


class KernelChain:
    """A chain and its rules, decoded when they are asked for."""

    def __init__(self, name: str, hook: Hook | None) -> None:
        self.name = name
        self.hook = hook
        self.raw: list[bytes] = []
        self._rules: list[list[Expression]] | None = None

    @property
    def rules(self) -> list[list[Expression]]:
        """Raises `Malformed`."""
        if self._rules is None:
            self._rules = [_rule(raw) for raw in self.raw]
        return self._rules


class KernelTable:
    def __init__(self, family: str, name: str, flags: int) -> None:
        self.family = family
        self.name = name
        self.flags = flags
        self.chains: dict[str, KernelChain] = {}
        self.sets: dict[str, KernelSet] = {}

    def __str__(self) -> str:
        return f"table {self.family} {self.name}"

    @property
    def bases(self) -> list[KernelChain]:
        found = [chain for chain in self.chains.values() if chain.hook is not None]
        return sorted(found, key=lambda chain: chain.hook.priority if chain.hook else 0)


def _rule(raw: bytes) -> list[Expression]:
    found: list[Expression] = []
    offset, end = _HEADER, len(raw)
    while offset + 4 <= end:
        size, kind = _PAIR.unpack_from(raw, offset)
        if size < 4 or offset + size > end:
            raise Malformed(f"an attribute of {size} bytes in a rule, with {end - offset} left")
        if kind & 0x3FFF == _EXPRESSIONS:
            found = expressions(raw[offset + 4 : offset + size])
        elif kind & 0x3FFF == _COMPAT:
            return [Unknown("a match of xtables")]
        offset += (size + 3) & ~3
    return found


def _key(body: bytes, fields: Fields) -> tuple[str, str]:
    return FAMILIES.get(body[0], f"family {body[0]}"), words_of(fields.get(1))


def read(snapshot: Snapshot) -> dict[tuple[str, str], KernelTable]:
    """The tables by (family, name). Raises `Malformed` for bytes that no kernel writes."""
    tables: dict[tuple[str, str], KernelTable] = {}
    for body in snapshot.tables:
        fields = fields_of(body, _HEADER)
        key = _key(body, fields)
        tables[key] = KernelTable(*key, number(fields.get(2)))

    def table(body: bytes, fields: Fields) -> KernelTable:
        key = _key(body, fields)
        if key not in tables:
            raise Malformed(f"something of the table {' '.join(key)}, which is not there")
        return tables[key]

    held_by: dict[bytes, KernelTable] = {}
    for body in snapshot.chains:
        plain = _plain_chain(body)
        if plain is None:
            fields = fields_of(body, _HEADER)
            name = words_of(fields.get(3))
            table(body, fields).chains[name] = KernelChain(name, _hook(fields))
            continue
        owner, payload = plain
        holder = held_by.get(owner)
        if holder is None:
            holder = held_by[owner] = table(body, fields_of(body, _HEADER))
        name = words_of(payload)
        holder.chains[name] = KernelChain(name, None)
    owners: dict[tuple[int, bytes, bytes], KernelChain] = {}
    for body in snapshot.rules:
        place = _owner(body)
        chain = owners.get(place)
        if chain is None:
            fields = fields_of(body, _HEADER)
            held, name = table(body, fields), words_of(fields.get(2))
            if name not in held.chains:
                raise Malformed(f"a rule of the chain {name}, which is not there")
            chain = owners[place] = held.chains[name]
        chain.raw.append(body)
    for body in snapshot.sets:
        fields = fields_of(body, _HEADER)
        found = KernelSet(fields)
        table(body, fields).sets[found.name] = found
    for family, name, of, messages in snapshot.elements:
        if (family, name) not in tables or of not in tables[family, name].sets:
            raise Malformed(f"elements of the set {of}, which is not there")
        tables[family, name].sets[of].messages = messages
    return tables


def _plain_chain(body: bytes) -> tuple[bytes, bytes] | None:
    """Family and table, and the name, of a chain without a hook; None for any other.

    The kernel writes table, handle and name first, and of a base chain the hook next: without one, what follows says
    nothing of what the chain does.
    """
    at, kinds, name = _HEADER, [], b""
    owner = b""
    for _ in range(4):
        if at + 4 > len(body):
            return None
        size, kind = _PAIR.unpack_from(body, at)
        if size < 4 or at + size > len(body):
            return None
        kinds.append(kind & 0x3FFF)
        if len(kinds) == 1:
            owner = body[:1] + body[at + 4 : at + size]
        elif len(kinds) == 3:
            name = body[at + 4 : at + size]
        at += (size + 3) & ~3
    return (owner, name) if kinds[:3] == [1, 2, 3] and kinds[3] != 4 else None


def _owner(body: bytes) -> tuple[int, bytes, bytes]:
    """Family, table and chain of a rule, as bytes: the first two attributes, as the kernel writes them."""
    if len(body) < 12:
        raise Malformed(f"a rule of {len(body)} bytes")
    size, _ = _PAIR.unpack_from(body, 4)
    at = 4 + ((size + 3) & ~3)
    if at + 4 > len(body):
        raise Malformed("a rule without a chain")
    following, kind = _PAIR.unpack_from(body, at)
    if kind & 0x3FFF != 2:
        fields = fields_of(body, _HEADER)
        return body[0], fields.get(1, b""), fields.get(2, b"")
    return body[0], body[8 : 4 + size], body[at + 4 : at + following]


def _hook(fields: Fields) -> Hook | None:
    if 4 not in fields:
        return None
    inner = fields_of(fields[4])
    devices = [words_of(inner[3])] if 3 in inner else []
    devices += [words_of(name) for _, name in attributes(inner.get(4, b""))]
    return Hook(
        kind=words_of(fields.get(7)),
        name=HOOKS.get(number(inner.get(1)), f"hook {number(inner.get(1))}"),
        priority=int.from_bytes(inner.get(2, b""), "big", signed=True),
        policy=number(fields.get(5), 1),
        devices=tuple(devices),
    )
