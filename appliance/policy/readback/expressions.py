"""nf_tables expressions as values, decoded from the kernel's netlink attributes (linux/netfilter/nf_tables.h).

An expression or an attribute that is not known here becomes `Unknown` and is never taken for something harmless:
a newer kernel or nft may say more than this reader understands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import msgspec

_HEADER = struct.Struct("=HH")
_QUEUE_INFO = struct.Struct("=HHH")  # xt_NFQ_info_v3
_TYPE = 0x3FFF
# Data with a verdict, its code, and the name of its chain: nearly every verdict of a large table.
_TO_CHAIN = struct.Struct("=HHHH4sHH")

# enum nft_meta_keys, nft_ct_keys: those that this reader gives a meaning.
META_KEYS = {
    3: "mark", 4: "iif", 5: "oif", 6: "iifname", 7: "oifname", 15: "nfproto", 16: "l4proto", 30: "time",
}  # fmt: skip
CT_KEYS = {
    0: "state", 1: "direction", 2: "status", 3: "mark", 10: "protocol", 11: "proto_src", 12: "proto_dst",
    8: "saddr", 9: "daddr", 19: "ip saddr", 20: "ip daddr", 21: "ip6 saddr", 22: "ip6 daddr",
}  # fmt: skip
DIRECTIONS = {0: "original", 1: "reply"}
PAYLOAD_BASES = {0: "link", 1: "network", 2: "transport"}
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
DROP, ACCEPT, CONTINUE, BREAK, JUMP, GOTO, RETURN, QUEUE = 0, 1, -1, -2, -3, -4, -5, 3


class Malformed(ValueError):
    """Bytes that no kernel writes."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """`code` as in linux/netfilter.h and nf_tables.h; `chain` for jump and goto."""

    code: int
    chain: str = ""


class Load(msgspec.Struct, frozen=True, gc=False):
    """Put a field of packet, connection or route into a register. `field` names it; `length` in bytes, 0: its own."""

    register: int
    field: tuple[str, ...]
    length: int = 0


class Compare(msgspec.Struct, frozen=True, gc=False):
    register: int
    operator: str
    data: bytes


class Between(msgspec.Struct, frozen=True, gc=False):
    register: int
    first: bytes
    last: bytes
    inverse: bool = False


class Bitwise(msgspec.Struct, frozen=True, gc=False):
    source: int
    register: int
    mask: bytes
    xor: bytes


class Swap(msgspec.Struct, frozen=True, gc=False):
    """Host order to network order or back, in units of `size` bytes."""

    source: int
    register: int
    length: int
    size: int


class Lookup(msgspec.Struct, frozen=True, gc=False):
    """Membership, or with `register` >= 0 a map whose value goes into it (0 is the verdict)."""

    source: int
    set: str
    register: int = -1
    inverse: bool = False


class Immediate(msgspec.Struct, frozen=True, gc=False):
    register: int
    data: bytes


class Decide(msgspec.Struct, frozen=True, gc=False):
    verdict: Verdict


class Store(msgspec.Struct, frozen=True, gc=False):
    """Write a register into a field."""

    source: int
    field: tuple[str, ...]


class Count(msgspec.Struct, frozen=True, gc=False):
    """A counter, or with `kind` another named object that the rule feeds."""

    name: str = ""
    kind: str = "counter"


class Log(msgspec.Struct, frozen=True, gc=False):
    prefix: str
    group: int = -1


class Limited(msgspec.Struct, frozen=True, gc=False):
    """A condition on how much there was: `words` say which; `keyed` is the set that counts per address, or ""."""

    words: str
    inverse: bool
    keyed: str = ""
    source: int = 0


class Remember(msgspec.Struct, frozen=True, gc=False):
    """An element put into a set by the packet, without a condition."""

    set: str


class Translate(msgspec.Struct, frozen=True, gc=False):
    """`kind` snat, dnat, masquerade or redirect; registers of the address and port range, -1 where not given."""

    kind: str
    family: int = 0
    address: tuple[int, int] = (-1, -1)
    port: tuple[int, int] = (-1, -1)
    flags: int = 0


class Reject(msgspec.Struct, frozen=True, gc=False):
    words: str


class Queue(msgspec.Struct, frozen=True, gc=False):
    """`source` is the register of the queue's number, -1 where it is a constant range."""

    first: int
    total: int
    bypass: bool
    source: int = -1


class Target(msgspec.Struct, frozen=True, gc=False):
    """A target of the old iptables: NFQUEUE, from `first` on `total` queues."""

    name: str
    revision: int
    first: int
    total: int
    flags: int


class Offload(msgspec.Struct, frozen=True, gc=False):
    table: str


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """Something this reader does not know: `words` name it."""

    words: str


Expression = (
    Load | Compare | Between | Bitwise | Swap | Lookup | Immediate | Decide | Store | Count | Log | Limited | Remember
    | Translate | Reject | Queue | Target | Offload | Unknown
)  # fmt: skip
Fields = dict[int, bytes]


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The (type, payload) pairs of a run of attributes. Raises `Malformed` for a torn one."""
    end = len(data)
    while offset + 4 <= end:
        size, kind = _HEADER.unpack_from(data, offset)
        if size < 4 or offset + size > end:
            raise Malformed(f"an attribute of {size} bytes with {end - offset} left")
        yield kind & _TYPE, data[offset + 4 : offset + size]
        offset += (size + 3) & ~3
    if offset < end:
        raise Malformed(f"{end - offset} bytes after the last attribute")


def fields_of(data: bytes, offset: int = 0) -> Fields:
    return dict(attributes(data, offset))


def number(payload: bytes | None, default: int = 0) -> int:
    return default if payload is None else int.from_bytes(payload, "big")


def words_of(payload: bytes | None) -> str:
    return "" if payload is None else payload.split(b"\0", 1)[0].decode(errors="replace")


def value_of(payload: bytes) -> bytes:
    """The value of NFTA_DATA_VALUE. Raises `Malformed` for anything else."""
    fields = fields_of(payload)
    if 1 not in fields:
        raise Malformed("data without a value")
    return fields[1]


def verdict_of(payload: bytes) -> Verdict:
    """The verdict of NFTA_DATA_VERDICT. Raises `Malformed`."""
    if len(payload) > 16:
        size, kind, inner, code_kind, code, name, name_kind = _TO_CHAIN.unpack_from(payload)
        if (size, kind & _TYPE, inner, code_kind, name_kind) == (len(payload), 2, 8, 1, 2) and 16 < name + 12 <= size:
            return Verdict(int.from_bytes(code, "big", signed=True), words_of(payload[16 : 12 + name]))
    fields = fields_of(payload)
    if 2 not in fields:
        raise Malformed("data without a verdict")
    inner = fields_of(fields[2])
    return Verdict(int.from_bytes(inner.get(1, b""), "big", signed=True), words_of(inner.get(2)))


_memo: dict[bytes, Expression] = {}
_MEMO_LIMIT = 20_000


def expressions(listing: bytes) -> list[Expression]:
    """The expressions of a rule, from the payload of NFTA_RULE_EXPRESSIONS. Raises `Malformed`."""
    found = []
    offset, end = 0, len(listing)
    while offset < end:
        size = listing[offset] | listing[offset + 1] << 8 if offset + 4 <= end else 0
        if size < 4 or offset + size > end:
            raise Malformed(f"an expression of {size} bytes with {end - offset} left")
        element = listing[offset + 4 : offset + size]
        offset += (size + 3) & ~3
        decoded = _memo.get(element)
        if decoded is None:
            decoded = expression(element)
            # What names one rule comes once; what all rules share comes again and again.
            if len(_memo) < _MEMO_LIMIT and not isinstance(decoded, Count):
                _memo[element] = decoded
        found.append(decoded)
    return found


def expression(element: bytes) -> Expression:
    outer = fields_of(element)
    name = words_of(outer.get(1))
    inner = fields_of(outer.get(2, b""))
    decoder, known = _DECODERS.get(name, (None, frozenset()))
    if decoder is None:
        return Unknown(f"the expression {name or 'without a name'}")
    strange = inner.keys() - known
    if strange:
        return Unknown(f"attribute {min(strange)} of the expression {name}")
    try:
        return decoder(inner)
    except KeyError as error:
        raise Malformed(f"the expression {name} lacks attribute {error}") from error


# --- one function per expression ------------------------------------------------------------------------


def _immediate(fields: Fields) -> Expression:
    if number(fields[1]) == 0:
        return Decide(verdict_of(fields[2]))
    return Immediate(number(fields[1]), value_of(fields[2]))


def _compare(fields: Fields) -> Expression:
    operator = number(fields[2])
    if operator >= len(COMPARISONS):
        return Unknown(f"comparison {operator}")
    return Compare(number(fields[1]), COMPARISONS[operator], value_of(fields[3]))


def _range(fields: Fields) -> Expression:
    if number(fields[2]) > 1:
        return Unknown(f"range operator {number(fields[2])}")
    return Between(number(fields[1]), value_of(fields[3]), value_of(fields[4]), number(fields[2]) == 1)


def _bitwise(fields: Fields) -> Expression:
    if number(fields.get(6)) != 0:
        return Unknown(f"bitwise operation {number(fields.get(6))}")
    return Bitwise(number(fields[1]), number(fields[2]), value_of(fields[4]), value_of(fields[5]))


def _byteorder(fields: Fields) -> Expression:
    return Swap(number(fields[1]), number(fields[2]), number(fields[4]), number(fields[5]))


def _meta(fields: Fields) -> Expression:
    key = META_KEYS.get(number(fields[2]), f"key {number(fields[2])}")
    if 3 in fields:
        return Store(number(fields[3]), ("meta", key))
    return Load(number(fields[1]), ("meta", key))


def _ct(fields: Fields) -> Expression:
    key = CT_KEYS.get(number(fields[2]), f"key {number(fields[2])}")
    if 4 in fields:
        return Store(number(fields[4]), ("ct", key))
    if 3 not in fields:
        return Load(number(fields[1]), ("ct", key))
    return Load(number(fields[1]), ("ct", key, DIRECTIONS.get(number(fields[3]), "?")))


def _payload(fields: Fields) -> Expression:
    base = PAYLOAD_BASES.get(number(fields[2]), f"base {number(fields[2])}")
    if 5 in fields:
        return Store(number(fields[5]), ("payload", base, str(number(fields[3]))))
    return Load(number(fields[1]), ("payload", base, str(number(fields[3]))), number(fields[4]))


def _fib(fields: Fields) -> Expression:
    return Load(number(fields[1]), ("fib", str(number(fields[2])), str(number(fields[3]))))


def _lookup(fields: Fields) -> Expression:
    register = number(fields[3]) if 3 in fields else -1
    return Lookup(number(fields[2]), words_of(fields[1]), register, bool(number(fields.get(5)) & 1))


def _counter(fields: Fields) -> Expression:
    return Count()


def _objref(fields: Fields) -> Expression:
    if 1 not in fields or 2 not in fields:
        return Unknown("an object looked up in a map")
    kind = number(fields[1])
    return Count(words_of(fields[2]), "counter" if kind == 1 else f"object of type {kind}")


def _log(fields: Fields) -> Expression:
    return Log(words_of(fields.get(2)), number(fields.get(1), -1))


def _limit(fields: Fields) -> Expression:
    unit = "bytes" if number(fields.get(4)) else "packets"
    words = f"{number(fields[1])} {unit} in {number(fields[2])} s, burst {number(fields.get(3))}"
    return Limited(words, bool(number(fields.get(5)) & 1))


def _connlimit(fields: Fields) -> Expression:
    return Limited(f"{number(fields[1])} connections", bool(number(fields.get(2)) & 1))


def _dynset(fields: Fields) -> Expression:
    if 5 in fields:
        return Unknown("a map filled by packets")
    inner = [expression(fields[7])] if 7 in fields else []
    inner += [expression(element) for _, element in attributes(fields.get(10, b""))]
    limits = [each for each in inner if not isinstance(each, Count)]
    if number(fields.get(9)) & 1 or len(limits) > 1:
        return Unknown("a set filled by packets in an unusual way")
    if not limits:
        return Remember(words_of(fields[1]))
    if not isinstance(limits[0], Limited):
        return Unknown("a set filled by packets with something that is no limit")
    return msgspec.structs.replace(limits[0], keyed=words_of(fields[1]), source=number(fields[4]))


def _nat(fields: Fields) -> Expression:
    kind = {0: "snat", 1: "dnat"}.get(number(fields[1]), "?")
    return Translate(
        kind,
        number(fields[2]),
        (number(fields.get(3), -1), number(fields.get(4, fields.get(3)), -1)),
        (number(fields.get(5), -1), number(fields.get(6, fields.get(5)), -1)),
        number(fields.get(7)),
    )


def _masquerade(fields: Fields) -> Expression:
    port = (number(fields.get(2), -1), number(fields.get(3, fields.get(2)), -1))
    return Translate("masquerade", port=port, flags=number(fields.get(1)))


def _redirect(fields: Fields) -> Expression:
    port = (number(fields.get(1), -1), number(fields.get(2, fields.get(1)), -1))
    return Translate("redirect", port=port, flags=number(fields.get(3)))


def _reject(fields: Fields) -> Expression:
    kind = {0: "icmp", 1: "tcp reset", 2: "icmpx"}.get(number(fields[1]), "?")
    return Reject(kind if kind == "tcp reset" else f"{kind} code {number(fields.get(2))}")


def _queue(fields: Fields) -> Expression:
    source = number(fields[4]) if 4 in fields else -1
    return Queue(number(fields.get(1)), number(fields.get(2), 1), bool(number(fields.get(3)) & 1), source)


def _target(fields: Fields) -> Expression:
    name, revision, info = words_of(fields[1]), number(fields.get(2)), fields[3]
    if (name, revision) != ("NFQUEUE", 3) or len(info) < _QUEUE_INFO.size:
        return Unknown(f"the target {name} of the old iptables")
    return Target(name, revision, *_QUEUE_INFO.unpack_from(info))


def _offload(fields: Fields) -> Expression:
    return Offload(words_of(fields[1]))


_Decoder = Callable[[Fields], Expression]
# name -> what reads it, and the attributes that it knows (a padding attribute says nothing).
_DECODERS: dict[str, tuple[_Decoder, frozenset[int]]] = {
    "immediate": (_immediate, frozenset({1, 2})),
    "cmp": (_compare, frozenset({1, 2, 3})),
    "range": (_range, frozenset({1, 2, 3, 4})),
    "bitwise": (_bitwise, frozenset({1, 2, 3, 4, 5, 6})),
    "byteorder": (_byteorder, frozenset({1, 2, 3, 4, 5})),
    "meta": (_meta, frozenset({1, 2, 3})),
    "ct": (_ct, frozenset({1, 2, 3, 4})),
    "payload": (_payload, frozenset({1, 2, 3, 4, 5, 6, 7, 8})),
    "fib": (_fib, frozenset({1, 2, 3})),
    "lookup": (_lookup, frozenset({1, 2, 3, 4, 5})),
    "counter": (_counter, frozenset({1, 2, 3})),
    "objref": (_objref, frozenset({1, 2, 3, 4, 5})),
    "log": (_log, frozenset({1, 2, 3, 4, 5, 6})),
    "limit": (_limit, frozenset({1, 2, 3, 4, 5, 6})),
    "connlimit": (_connlimit, frozenset({1, 2})),
    "dynset": (_dynset, frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10})),
    "nat": (_nat, frozenset({1, 2, 3, 4, 5, 6, 7})),
    "masq": (_masquerade, frozenset({1, 2, 3})),
    "redir": (_redirect, frozenset({1, 2, 3})),
    "reject": (_reject, frozenset({1, 2})),
    "queue": (_queue, frozenset({1, 2, 3, 4})),
    "target": (_target, frozenset({1, 2, 3})),
    "flow_offload": (_offload, frozenset({1})),
}
