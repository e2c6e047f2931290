"""Address literals and interval arithmetic.

An address set is a tuple of closed intervals, disjoint, sorted, not adjacent: one arithmetic for IPv4 and
IPv6, no address objects. Literals are read with inet_pton(3), which takes the strict forms only (no
leading zeros, no scope ids).
"""

from __future__ import annotations

from collections.abc import Iterable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from appliance.policy.model import Range

BITS = {4: 32, 6: 128}
LAST = {4: 2**32 - 1, 6: 2**128 - 1}


class AddressError(ValueError):
    """A literal that is no address, network or range; `remedy` says what would be right."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def address(literal: str) -> tuple[int, int]:
    """(version, number) of an IPv4 or IPv6 address. Raises `AddressError`."""
    version, family = (6, AF_INET6) if ":" in literal else (4, AF_INET)
    try:
        return version, int.from_bytes(inet_pton(family, literal), "big")
    except (OSError, ValueError):
        remedy = "write four numbers from 0 to 255, for example `10.20.0.5`"
        if version == 6:
            remedy = "write for example `2001:db8::5`"
        raise AddressError(f"`{literal}` is not an IPv{version} address", remedy) from None


def network(literal: str) -> Range:
    """The interval of `10.20.0.0/16`, or of one address. Raises `AddressError`, also when host bits are set."""
    head, slash, tail = literal.partition("/")
    version, first = address(head)
    if not slash:
        return Range(version, first, first)
    bits = BITS[version]
    try:
        length = int(tail) if tail.isascii() and tail.isdigit() else -1
    except ValueError:  # of thousands of digits
        length = -1
    if not 0 <= length <= bits:
        raise AddressError(f"`/{tail}` is not a prefix length", f"write a number from 0 to {bits}")
    size = 1 << (bits - length)
    if first & (size - 1):
        right = text_of(version, first & ~(size - 1))
        raise AddressError(
            f"`{literal}` has host bits set", f"write `{right}/{tail}` for the network, or the address alone"
        )
    return Range(version, first, first | (size - 1))


def span_of(literal: str) -> Range:
    """The interval of `10.0.0.10-10.0.0.20`. Raises `AddressError`."""
    head, _, tail = literal.partition("-")
    version, first = address(head.strip())
    other, last = address(tail.strip())
    if version != other:
        raise AddressError(f"`{literal}` mixes IPv4 and IPv6", "write one range for each")
    if first > last:
        raise AddressError(f"`{literal}` ends before it begins", f"write `{tail.strip()}-{head.strip()}`")
    return Range(version, first, last)


def literal(word: str) -> Range:
    """An address, network or range. Raises `AddressError`."""
    if not looks_literal(word):
        raise AddressError(f"`{word}` is no address, network or range", "write for example `192.0.2.0/24`")
    return span_of(word) if "-" in word else network(word)


def looks_literal(word: str) -> bool:
    """Whether a word is meant as an address rather than a name (names begin with a letter and hold no `:`)."""
    return ":" in word or word[:1].isdigit()


def normal(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The union: disjoint, sorted, not adjacent."""
    found = ranges if isinstance(ranges, tuple | list) else list(ranges)
    if len(found) == 1:
        return (found[0],)
    merged: list[Range] = []
    for item in sorted(found):
        if merged:
            last = merged[-1]
            if last.version == item.version and item.first <= last.last + 1:
                if item.last > last.last:
                    merged[-1] = Range(last.version, last.first, item.last)
                continue
        merged.append(item)
    return tuple(merged)


def complement(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """Every address that is not in `ranges` (normal), of both versions."""
    found: list[Range] = []
    for version in (4, 6):
        start = 0
        for item in ranges:
            if item.version != version:
                continue
            if item.first > start:
                found.append(Range(version, start, item.first - 1))
            start = item.last + 1
        if start <= LAST[version]:
            found.append(Range(version, start, LAST[version]))
    return tuple(found)


def intersection(left: tuple[Range, ...], right: tuple[Range, ...]) -> tuple[Range, ...]:
    """What two normal unions share."""
    found: list[Range] = []
    i = j = 0
    while i < len(left) and j < len(right):
        a, b = left[i], right[j]
        if a.version != b.version:
            i, j = (i + 1, j) if a.version < b.version else (i, j + 1)
            continue
        first, last = max(a.first, b.first), min(a.last, b.last)
        if first <= last:
            found.append(Range(a.version, first, last))
        i, j = (i + 1, j) if a.last < b.last else (i, j + 1)
    return tuple(found)


def without(left: tuple[Range, ...], right: tuple[Range, ...]) -> tuple[Range, ...]:
    """What is in `left` and not in `right`."""
    return intersection(left, complement(right))


def text_of(version: int, number: int) -> str:
    """The canonical text of an address (RFC 5952 for IPv6)."""
    family = AF_INET if version == 4 else AF_INET6
    return inet_ntop(family, number.to_bytes(BITS[version] // 8, "big"))


def words_of(item: Range) -> str:
    """`10.0.0.0/8`, `10.0.0.5` or `10.0.0.5-10.0.0.9`: the shortest way to write an interval."""
    first = text_of(item.version, item.first)
    if item.first == item.last:
        return first
    size = item.last - item.first + 1
    if size & (size - 1) == 0 and item.first & (size - 1) == 0:
        return f"{first}/{BITS[item.version] - (size.bit_length() - 1)}"
    return f"{first}-{text_of(item.version, item.last)}"
