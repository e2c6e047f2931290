"""Rule files as text: which lines are rules, and a rule's header and options. No option is understood here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dataplane.rules.problem import Refused

RULE_BYTES_MAX = 8191  # Suricata's DETECT_MAX_RULE_SIZE without the end

# One option: its name, perhaps a value, the semicolon; one after a backslash does not end it.
_OPTION = re.compile(r'\s*([^:;\s"]+)\s*(?::([^;]*(?:(?<=\\);[^;]*)*))?;|\s*(\S.*)', re.DOTALL)
_SID = re.compile(r"[;(\s]sid\s*:\s*(\d+)")


class Line(NamedTuple):
    """A rule as written: physical lines joined where one ends with a backslash."""

    number: int  # of its first line
    text: str


class Written(NamedTuple):
    """The parts of a rule."""

    action: str
    protocol: str
    source: str
    source_port: str
    direction: str
    destination: str
    destination_port: str
    options: list[tuple[str, str | None]]  # None: the option has no value


def lines(text: str) -> Iterator[Line]:
    """The rules of a file; empty lines and comments are passed over."""
    pending, first = "", 0
    for number, raw in enumerate(text.split("\n"), 1):
        if not pending:
            if not raw or raw.isspace() or raw.lstrip()[0] == "#":
                continue
            first = number
        if raw.endswith(("\\", "\\\r")):
            pending += raw.rstrip("\r")[:-1].rstrip()
            continue
        yield Line(first, (pending + raw).strip())
        pending = ""
    if pending.strip():
        yield Line(first, pending.strip())


def sid_of(text: str) -> int:
    """The sid of a rule that may be wrong otherwise; 0 where it has none."""
    found = _SID.search(text)
    return int(found[1]) if found and len(found[1]) < 11 else 0


def written(text: str) -> Written:
    """Take a rule apart. Raises `Refused`."""
    if len(text) > RULE_BYTES_MAX:
        raise Refused(f"the rule has {len(text)} bytes; at most {RULE_BYTES_MAX} are taken")
    opening = text.find("(")
    if opening < 0:
        raise Refused("there are no options: a rule ends with (… sid:NUMBER;)")
    header = text[:opening].split()
    if len(header) != 7:
        header = _header(text[:opening])
    if len(header) != 7:
        raise Refused("the header must be: ACTION PROTOCOL ADDRESSES PORTS -> ADDRESSES PORTS (options)")
    body = text[opening + 1 :].rstrip()
    if not body.endswith(")"):
        raise Refused("the closing bracket of the options is missing")
    action, protocol, source, source_port, direction, destination, port = header
    return Written(action, protocol, source, source_port, direction, destination, port, _options(body[:-1]))


def _header(text: str) -> list[str]:
    """The words of the header; white space within brackets does not part them."""
    words: list[str] = []
    depth = 0
    for piece in text.split():
        if depth > 0:
            words[-1] += piece
        else:
            words.append(piece)
        depth += piece.count("[") - piece.count("]")
    return words


def _options(body: str) -> list[tuple[str, str | None]]:
    """Name and value of each option."""
    options: list[tuple[str, str | None]] = []
    for found in _OPTION.finditer(body):
        name, value, rest = found.groups()
        if rest is not None:
            raise Refused(f"an option must end with a semicolon: {_shortened(rest)}")
        options.append((name, None if value is None else value.strip()))
    return options


def _shortened(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 40 else text[:37] + "…")
