"""Keywords that ask about one packet: its headers, its size, what was wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable

from ctypes_ext.ruleset import EVENTS, OPS, TO_SERVER
from dataplane.rules import codes
from dataplane.rules.draft import Condition, Draft
from dataplane.rules.problem import Refused
from dataplane.rules.values import number_test, pieces, unquoted, whole

Keyword = Callable[[Draft, str], None]


def compared(op: str, bits: int, what: str) -> Keyword:
    """A number of the packet, compared."""
    number = OPS[op]

    def keyword(draft: Draft, value: str) -> None:
        compare, a, b = number_test(value, bits, what)
        draft.packet(Condition(number, a, b, compare=compare))

    return keyword


def equal(op: str, bits: int, what: str) -> Keyword:
    """A number of the packet that must be this one, or with ! must not."""
    number = OPS[op]

    def keyword(draft: Draft, value: str) -> None:
        value = unquoted(value)
        flags = codes.NEGATED if value[:1] == "!" else 0
        draft.packet(
            Condition(number, whole(value.lstrip("!"), 0, (1 << bits) - 1, what), compare=codes.EQ, flags=flags)
        )

    return keyword


def dsize(draft: Draft, value: str) -> None:
    if any(condition.op == codes.DSIZE for condition in draft.conditions):
        raise Refused("is said twice")
    compare, a, b = number_test(value, 16, "the size")
    draft.packet(Condition(codes.DSIZE, a, b, compare=compare))


_TCP_FLAGS = {
    "F": 0x01, "S": 0x02, "R": 0x04, "P": 0x08, "A": 0x10, "U": 0x20, "E": 0x40, "C": 0x80,
    "1": 0x80, "2": 0x40, "0": 0,
}  # fmt: skip
_FLAGS = re.compile(r"([!*+])?\s*([SAPRFU120CE]*)\s*([!*+])?\s*(?:,\s*([SAPRFU12CE]+)\s*)?")


def tcp_flags(draft: Draft, value: str) -> None:
    found = _FLAGS.fullmatch(value.upper())
    if not found or (found[1] and found[3]) or not found[2]:
        raise Refused(
            f"must be flags of FSRPAUEC (0: none), with + * or ! and perhaps ,FLAGS to be ignored; not {value!r}"
        )
    wanted = ignored = 0
    for letter in found[2]:
        wanted |= _TCP_FLAGS[letter]
    for letter in found[4] or "":
        ignored |= _TCP_FLAGS[letter]
    modifier = found[1] or found[3] or ""
    if wanted & ignored == wanted and wanted:
        raise Refused("all flags that are asked for are ignored as well")
    draft.packet(Condition(OPS["TCP_FLAGS"], wanted, ignored, base=ord(modifier) if modifier else 0))


_FRAGBITS = {"R": 4, "D": 2, "M": 1}


def fragbits(draft: Draft, value: str) -> None:
    found = re.fullmatch(r"([!*+])?\s*([RDM]+)\s*([!*+])?", value.upper())
    if not found or (found[1] and found[3]):
        raise Refused(f"must be letters of MDR, with + * or ! before them or not; not {value!r}")
    modifier = found[1] or found[3] or ""
    bits = sum(_FRAGBITS[letter] for letter in set(found[2]))
    draft.packet(Condition(OPS["FRAGBITS"], bits, base=ord(modifier) if modifier else 0))


def fragoffset(draft: Draft, value: str) -> None:
    flags = codes.NEGATED if value[:1] == "!" else 0
    compare, a, b = number_test(value.lstrip("!"), 16, "the offset")
    draft.packet(Condition(OPS["FRAGOFFSET"], a, b, compare=compare, flags=flags))


_IP_OPTIONS = {
    "rr": 7,
    "lsrr": 131,
    "eol": 0,
    "nop": 1,
    "ts": 68,
    "sec": 130,
    "esec": 133,
    "ssrr": 137,
    "satid": 136,
    "any": 0x100,
}


def ipopts(draft: Draft, value: str) -> None:
    number = _IP_OPTIONS.get(value.lower())
    if number is None:
        raise Refused(f"must be one of {', '.join(_IP_OPTIONS)}; not {value!r}")
    draft.packet(Condition(OPS["IPOPTS"], number))


def sameip(draft: Draft, value: str) -> None:
    draft.packet(Condition(OPS["SAMEIP"]))


def tcp_window(draft: Draft, value: str) -> None:
    flags = codes.NEGATED if value[:1] == "!" else 0
    draft.packet(
        Condition(OPS["TCP_WINDOW"], whole(value.lstrip("!"), 0, 65535, "the window"), compare=codes.EQ, flags=flags)
    )


def checksum(base: int, version: int) -> Keyword:
    def keyword(draft: Draft, value: str) -> None:
        word = unquoted(value).lower()
        if word not in ("valid", "invalid"):
            raise Refused(f"must be valid or invalid, not {value!r}")
        draft.packet(Condition(OPS["CHECKSUM"], int(word == "valid"), 0, version, base=base))

    return keyword


_COUNTRY = re.compile(r"[A-Z]{2}")


def geoip(draft: Draft, value: str) -> None:
    words = pieces(value)
    base = 8
    if words[0].lower() in ("src", "dst", "both", "any"):
        base = {"src": 1, "dst": 2, "both": 4, "any": 8}[words.pop(0).lower()]
    flags = 0
    text = ""
    for index, word in enumerate(words):
        if word[:1] == "!":
            if index and not flags:
                raise Refused("either all countries are negated or none")
            flags, word = codes.NEGATED, word[1:]
        if not _COUNTRY.fullmatch(word):
            raise Refused(f"{word!r} is not the code of a country: two capital letters")
        text += word
    if not text:
        raise Refused("names no country")
    draft.packet(Condition(OPS["GEOIP"], base=base, flags=flags, text=text.encode("ascii")))


def rpc(draft: Draft, value: str) -> None:
    words = pieces(value)
    if not 1 <= len(words) <= 3:
        raise Refused("must be PROGRAM,VERSION,PROCEDURE; * stands for any")
    numbers = [-1 if word == "*" else whole(word, 0, (1 << 32) - 1, "the number") for word in words]
    numbers += [-1] * (3 - len(numbers))
    draft.packet(Condition(OPS["RPC"], *numbers))


def ftpbounce(draft: Draft, value: str) -> None:
    draft.require("ftp")
    draft.towards(TO_SERVER)
    draft.conditions.append(Condition(OPS["FTPBOUNCE"]))


def _event(draft: Draft, names: tuple[str, ...], value: str) -> None:
    for name in names:
        number = EVENTS.get(name)
        if number is not None:
            draft.conditions.append(Condition(codes.DECODE_EVENT, number))
            draft.flags |= codes.DECODE_EVENTS
            return
    raise Refused(f"the event {value!r} is not known to this engine", unsupported=True)


def decode_event(draft: Draft, value: str) -> None:
    word = unquoted(value)
    _event(draft, (word, "decoder." + word), value)


def stream_event(draft: Draft, value: str) -> None:
    word = unquoted(value)
    _event(draft, ("stream." + word, word), value)


PROTOCOL_NUMBERS = {
    "icmp": 1, "igmp": 2, "ipip": 4, "ipencap": 4, "ip-encap": 4, "tcp": 6, "egp": 8, "igp": 9, "udp": 17, "rdp": 27,
    "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47, "esp": 50, "ipsec-esp": 50, "ah": 51,
    "ipsec-ah": 51, "ipv6-icmp": 58, "icmpv6": 58, "icmp6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88,
    "ospf": 89, "ospfigp": 89, "pim": 103, "vrrp": 112, "l2tp": 115, "sctp": 132, "udplite": 136,
}  # fmt: skip

_ALL = (1 << 256) - 1


def ip_proto(draft: Draft, value: str) -> None:
    """Settled in the header: it narrows the protocols the rule is for."""
    found = re.fullmatch(r'"?([!<>])?\s*([\w.-]+)"?', value)
    if not found:
        raise Refused(f"must be a number or name, with ! < or > before it or not; not {value!r}")
    word = found[2].lower()
    number = PROTOCOL_NUMBERS[word] if word in PROTOCOL_NUMBERS else whole(word, 0, 255, "the protocol")
    operator = found[1] or ""
    if operator == "":
        draft.protocols = 1 << number if draft.protocols_any else draft.protocols | 1 << number
    elif operator == "!":
        draft.protocols &= ~(1 << number)
    elif operator == "<":
        draft.protocols &= (1 << number) - 1
    else:
        draft.protocols &= _ALL & ~((1 << (number + 1)) - 1)
    draft.protocols_any = False
    if not draft.protocols:
        raise Refused("leaves no protocol that the rule could be for")
