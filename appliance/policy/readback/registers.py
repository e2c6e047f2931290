"""What lies in the registers of nf_tables while a rule is read, and what a comparison with it says.

A register holds a constant, the conntrack mark as far as it is known, a part of one of the axes, or something that
only the running gateway can know; a comparison with that is a condition with a name.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.policy.boxes import FULL_PORTS, icmp_protocol
from appliance.policy.readback import packets
from appliance.policy.readback.packets import Place, Product, Values, joined, narrowed, without

# (what is asked, with what): e.g. ("route back through the same interface",).
Condition = tuple[str, ...]
Literals = frozenset[tuple[Condition, bool]]
Kind = Literal["constant", "mark", "axis", "low byte", "asked"]
Byte = 8
NEW = (1 << 3).to_bytes(4, "little")  # NF_CT_STATE_BIT(IP_CT_NEW)
NFPROTO = {4: b"\x02", 6: b"\x0a"}
NANOSECONDS = 1_000_000_000
# Flags of fib (NFTA_FIB_F_*): source address, incoming interface, does it exist.
ROUTE_BACK = ("fib", "1", "41")
ROUTED_BACK: Condition = ("the route back to the source leaves through the interface that it came by",)
STATUS: Condition = ("ct", "status")
TRANSLATED: Condition = ("the destination was translated",)
_DST_NAT = 1 << 5


class Value(msgspec.Struct, frozen=True, gc=False):
    """`width` in bytes. For "axis": `axis`, of which `shift` low bits are left out; `unit` is how many of its own
    units make one of the axis (nanoseconds of a second). `little` while a number is in host order."""

    kind: Kind
    width: int
    data: int = 0
    known: int = 0
    axis: int = 0
    shift: int = 0
    mask: int = -1
    unit: int = 1
    little: bool = False
    words: Condition = ()


def constant(data: bytes) -> Value:
    return Value("constant", len(data), int.from_bytes(data, "big"), -1)


def asked(*words: str, width: int = 0) -> Value:
    return Value("asked", width, words=words)


def axis(number: int, width: int, shift: int = 0) -> Value:
    return Value("axis", width, axis=number, shift=shift)


def name_bytes(name: str) -> bytes:
    return name.encode().ljust(16, b"\0")[:16]


def read_field(
    field: tuple[str, ...], length: int, place: Place, mark: tuple[int, int], protocols: Values | None
) -> list[tuple[Values | None, Value]] | None:
    """What a field holds for first packets: alternatives by protocol (None: every one of `protocols`). None where the
    packet has no such field and the rule breaks off."""
    space = field[0]
    if space == "meta":
        return _one(_meta(field, place))
    if space == "ct":
        return _connection(field, place, mark, protocols)
    if space == "payload" and field[1] == "network":
        return _one(_network(int(field[2]), length, place.version))
    if space == "payload" and field[1] == "transport":
        return _transport(int(field[2]), length, place.version, protocols)
    if field == ROUTE_BACK:
        return _one(asked(*ROUTED_BACK, width=4))
    return _one(asked(*field, width=length or 4))


def _one(value: Value | None) -> list[tuple[Values | None, Value]] | None:
    return None if value is None else [(None, value)]


def _meta(field: tuple[str, ...], place: Place) -> Value:
    key = field[1]
    if key == "iifname":
        return constant(name_bytes(place.entering))
    if key == "oifname":
        return constant(name_bytes(place.leaving))
    if key == "nfproto":
        return constant(NFPROTO[place.version])
    if key == "l4proto":
        return axis(packets.PROTOCOL, 1)
    if key == "time":
        return Value("axis", 8, axis=packets.TIME, unit=NANOSECONDS, little=True)
    return asked(*field, width=4)


def _connection(
    field: tuple[str, ...], place: Place, mark: tuple[int, int], protocols: Values | None
) -> list[tuple[Values | None, Value]] | None:
    key = field[1]
    if key == "state":
        return _one(constant(NEW))
    if key == "direction":
        return _one(constant(b"\0"))
    if key == "mark":
        return _one(Value("mark", 4, mark[0], mark[1], little=True))
    if key == "status":
        return _one(Value("asked", 4, words=STATUS, little=True))
    if key == "protocol":
        return _one(axis(packets.PROTOCOL, 1))
    direction = field[2] if len(field) > 2 else ""
    version = {"ip saddr": 4, "ip daddr": 4, "ip6 saddr": 6, "ip6 daddr": 6}.get(key, place.version)
    if version != place.version:
        return None
    width = 4 if version == 4 else 16
    end = (key.removeprefix("ip6 ").removeprefix("ip "), direction)
    # Answers come from whom the connection reached: after destination NAT and before source NAT.
    if end in (("saddr", "original"), ("daddr", "reply")):
        return _one(axis(packets.SOURCE, width))
    if end == ("saddr", "reply"):
        return _one(axis(packets.DESTINATION, width))
    if end == ("daddr", "original"):
        return _one(axis(packets.ORIGINAL, width))
    if end in (("proto_src", "original"), ("proto_dst", "reply")):
        return _by_protocol(protocols, axis(packets.SOURCE_PORT, 2), asked(*field, width=2))
    if end == ("proto_src", "reply"):
        return _by_protocol(protocols, axis(packets.KEY, 2), asked(*field, width=2))
    return _one(asked(*field, width=width if "addr" in key else 2))


def _by_protocol(protocols: Values | None, ported: Value, other: Value) -> list[tuple[Values | None, Value]]:
    """A field of protocols with ports, and what it is for the others."""
    with_ports = packets.common(protocols, packets.PORTED)
    rest = packets.common(protocols, without(packets.PORTED, packets.FULL_PROTOCOL))
    found: list[tuple[Values | None, Value]] = []
    if with_ports:
        found.append((with_ports, ported))
    if rest:
        found.append((rest, other))
    return found


def _network(offset: int, length: int, version: int) -> Value:
    """Fields of the IP header; nft reads only the first bytes of an address where a prefix ends there."""
    size = 4 if version == 4 else 16
    starts = (
        {12: packets.SOURCE, 16: packets.DESTINATION}
        if version == 4
        else {8: packets.SOURCE, 24: packets.DESTINATION}
    )
    if offset in starts and length <= size:
        return axis(starts[offset], length, (size - length) * Byte)
    if version == 4 and (offset, length) == (9, 1):
        return axis(packets.PROTOCOL, 1)
    return asked("payload", "network", str(offset), width=length)


def _transport(
    offset: int, length: int, version: int, protocols: Values | None
) -> list[tuple[Values | None, Value]] | None:
    icmp = ((icmp_protocol(version), icmp_protocol(version)),)
    other = asked("payload", "transport", str(offset), str(length), width=length)
    ported = {(0, 2): axis(packets.SOURCE_PORT, 2), (2, 2): axis(packets.KEY, 2)}.get((offset, length), other)
    ping = {
        (0, 2): axis(packets.KEY, 2),
        (0, 1): axis(packets.KEY, 1, Byte),
        (1, 1): Value("low byte", 1, axis=packets.KEY),
    }.get((offset, length), other)
    found: list[tuple[Values | None, Value]] = []
    for listed, value in ((packets.PORTED, ported), (icmp, ping)):
        held = packets.common(protocols, listed)
        if held:
            found.append((held, value))
    known = joined([*packets.PORTED, *icmp])
    rest = packets.common(protocols, without(known, packets.FULL_PROTOCOL))
    if rest:
        found.append((rest, other))
    return found


# --- what a comparison says -----------------------------------------------------------------------------


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The part of the packets that a match leaves: `product` None for nothing of them; with `condition`, only where
    that is as `holds` says."""

    product: Product | None
    condition: Condition | None = None
    holds: bool = True


NOTHING = Outcome(None)


def compare(value: Value, operator: str, data: bytes, product: Product) -> Outcome:
    """A register against a constant (`cmp`). Interface names may be given by their first bytes."""
    if value.kind == "constant":
        left = (value.data & ((1 << value.width * Byte) - 1)).to_bytes(value.width, "big")[: len(data)]
        return Outcome(product) if _ordered(left, operator, data) else NOTHING
    if len(data) < value.width and value.kind == "axis" and not value.little and value.mask == -1 and value.unit == 1:
        # nft compares only the first bytes where a prefix ends there.
        left_out = (value.width - len(data)) * Byte
        value = msgspec.structs.replace(value, shift=value.shift + left_out, width=len(data))
    elif len(data) != value.width and value.kind != "asked":
        return Outcome(product, (value.kind, "compared with", operator, data.hex()))
    wanted = int.from_bytes(data, "little" if value.little else "big")
    if value.kind == "mark":
        return _compare_mark(value, operator, wanted, product)
    top = (1 << len(data) * Byte) - 1
    intervals: Values = {
        "==": ((wanted, wanted),),
        "!=": without(((wanted, wanted),), (0, top)),
        "<": ((0, wanted - 1),) if wanted else (),
        "<=": ((0, wanted),),
        ">": ((wanted + 1, top),) if wanted < top else (),
        ">=": ((wanted, top),),
    }[operator]
    return among(value, intervals, product, (operator, data.hex()))


def _ordered(left: bytes, operator: str, right: bytes) -> bool:
    return {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[operator]


def _compare_mark(value: Value, operator: str, wanted: int, product: Product) -> Outcome:
    if operator not in ("==", "!="):
        return Outcome(product, ("the connection's mark", operator, hex(wanted)))
    differs = (value.data ^ wanted) & value.known & 0xFFFFFFFF
    if differs:
        return Outcome(product) if operator == "!=" else NOTHING
    if value.known & 0xFFFFFFFF == 0xFFFFFFFF:
        return Outcome(product) if operator == "==" else NOTHING
    return Outcome(product, ("the connection's mark", hex(value.known & 0xFFFFFFFF), hex(wanted)), operator == "==")


def among(value: Value, intervals: Values, product: Product, words: Condition) -> Outcome:
    """A register against closed intervals of numbers, disjoint and ascending. `words` name them in a condition."""
    if value.kind == "axis":
        found = _on_axis(value, intervals)
        if found is not None:
            held = narrowed(product, value.axis, found) if found else None
            return NOTHING if held is None else Outcome(held)
    elif value.kind == "low byte" and value.mask == -1:
        codes = [(kind * 256 + first, kind * 256 + last) for kind in range(256) for first, last in intervals]
        held = narrowed(product, value.axis, joined(codes)) if codes else None
        return NOTHING if held is None else Outcome(held)
    elif value.kind == "asked" and value.words == TRANSLATED:
        # `ct status dnat`: the bit is set, or it is not.
        return Outcome(product, TRANSLATED, any(first <= _DST_NAT <= last for first, last in intervals))
    elif value.kind == "asked" and value.words == ROUTED_BACK:
        return Outcome(product, ROUTED_BACK, not any(first <= 0 <= last for first, last in intervals))
    said = value.words or ("axis", str(value.axis), hex(value.mask))
    if words and words[0] == "!=":
        return Outcome(product, (*said, "==", *words[1:]), holds=False)
    return Outcome(product, (*said, *words))


def _on_axis(value: Value, intervals: Values) -> Values | None:
    """What intervals of a register mean on its axis; None where a mask leaves no intervals."""
    if value.mask != -1:
        full = (1 << value.width * Byte) - 1
        rest = full ^ (value.mask & full)
        if rest & (rest + 1):
            return None  # not a prefix
        step = rest + 1
        spread = [(-(-first // step) * step, last // step * step + rest) for first, last in intervals]
        intervals = joined([(first, last) for first, last in spread if first <= last])
    found = []
    for first, last in intervals:
        low, high = first << value.shift, ((last + 1) << value.shift) - 1
        if value.unit != 1:
            low, high = -(-low // value.unit), high // value.unit
        if value.axis in (packets.KEY, packets.SOURCE_PORT):
            high = min(high, FULL_PORTS[1])
        if low <= high:
            found.append((low, high))
    return joined(found)


def masked(value: Value, mask: bytes, xor: bytes) -> Value:
    """`bitwise`: a register and a mask, exclusive-or a constant."""
    order: Literal["little", "big"] = "little" if value.little else "big"
    keep, turn = int.from_bytes(mask, order), int.from_bytes(xor, order)
    full = (1 << len(mask) * Byte) - 1
    if value.kind in ("constant", "mark"):
        known = value.known & full | ~keep & full
        return msgspec.structs.replace(value, data=(value.data & keep) ^ turn, known=known)
    if turn == 0 and value.words == STATUS and keep == _DST_NAT:
        return msgspec.structs.replace(value, words=TRANSLATED)
    if turn == 0 and value.kind == "axis":
        return msgspec.structs.replace(value, mask=keep if value.mask == -1 else value.mask & keep)
    return asked(*(value.words or ("axis", str(value.axis))), "&", hex(keep), "^", hex(turn), width=value.width)
