"""The small forms that values of options have: quoted texts, numbers with comparisons, lists."""

from __future__ import annotations

import re

from dataplane.rules import codes
from dataplane.rules.problem import Refused

Test = tuple[int, int, int]  # comparison, a, b

_WORDS = {"<": codes.LT, ">": codes.GT, "<=": codes.LE, ">=": codes.GE, "=": codes.EQ, "": codes.EQ}
_NUMBER_TEST = re.compile(r"(<=|>=|!=|[<>=!])?\s*(\S+)")
_RANGE = re.compile(r"(!)?\s*([0-9a-fA-Fx]+)\s*(?:<>|-)\s*([0-9a-fA-Fx]+)")


def quoted(value: str, negation: bool = False) -> tuple[str, bool]:
    """What stands within quotes, and whether a ! stands before. Raises `Refused`."""
    negated = False
    if value[:1] == "!":
        if not negation:
            raise Refused("cannot be negated with !")
        negated = True
        value = value[1:].lstrip()
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        raise Refused(f"the value must stand within quotes: {value!r}")
    return value[1:-1], negated


def unquoted(value: str) -> str:
    """The value without the quotes it may have."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def encoded(text: str) -> bytes:
    """The bytes of the rule file."""
    return text.encode("utf-8", "surrogateescape")


def whole(text: str, low: int, high: int, what: str) -> int:
    """A number, decimal or 0x…, in bounds. Raises `Refused`."""
    text = text.strip()
    try:
        value = int(text, 16) if text[:2] in ("0x", "0X") else int(text)
    except ValueError:
        raise Refused(f"{what} must be a number, not {text!r}") from None
    if not low <= value <= high:
        raise Refused(f"{what} must be {low} to {high}, not {value}")
    return value


def number_test(text: str, bits: int, what: str) -> Test:
    """`N`, `>N`, `<N`, `>=N`, `<=N`, `!N`, `A<>B` or `A-B` (both ends exclusive), `!A-B`. Raises `Refused`."""
    high = (1 << bits) - 1
    found = _RANGE.fullmatch(text.strip())
    if found:
        low_end, high_end = whole(found[2], 0, high, what), whole(found[3], 0, high, what)
        if low_end + 1 >= high_end:
            raise Refused(f"nothing lies between {low_end} and {high_end}: both ends are exclusive")
        return codes.OUTSIDE if found[1] else codes.BETWEEN, low_end, high_end
    found = _NUMBER_TEST.fullmatch(text.strip())
    if not found:
        raise Refused(f"{what} must be a number or a comparison, not {text!r}")
    word = found[1] or ""
    value = whole(found[2], 0, high, what)
    if word in ("!", "!="):
        return codes.NE, value, 0
    if (word == "<" and value == 0) or (word == ">" and value == high):
        raise Refused(f"{what} can never be {word}{value}")
    return _WORDS[word], value, 0


def pieces(value: str) -> list[str]:
    """A list with commas, trimmed."""
    return [piece.strip() for piece in value.split(",")]
