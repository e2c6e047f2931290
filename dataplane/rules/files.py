"""Keywords about files in transfer, and lists that lie beside the rule files: digests, datasets, reputations."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable

from ctypes_ext.ruleset import BUFFERS
from dataplane.rules import codes
from dataplane.rules.draft import Condition, Dataset, Draft, HashList
from dataplane.rules.problem import Refused
from dataplane.rules.values import number_test, pieces, whole

Keyword = Callable[[Draft, str], None]

_COMMANDS = {"isset": 0, "isnotset": 1, "set": 2, "unset": 3}
_TYPES = {"string": 0, "md5": 1, "sha256": 2, "ipv4": 3, "ip": 4}
_HASHES = {1: 16, 2: 32}
_LIMIT = 100000
_SIZES = {"": 0, "kb": 10, "mb": 20, "gb": 30}
_TESTS = {"<": codes.LT, ">": codes.GT, "<=": codes.LE, ">=": codes.GE, "==": codes.EQ, "!=": codes.NE}


def _lines(draft: Draft, name: str) -> list[str]:
    data = draft.support.read(draft.file, name)
    if data is None:
        raise Refused(f"the file {name} cannot be read; it is looked for beside the rule file")
    return [line.strip() for line in data.decode("utf-8", "surrogateescape").splitlines()]


def digests(buffer: str, width: int) -> Keyword:
    """filemd5 and its like: the digest of a file is in a list, or with ! is not."""
    word = BUFFERS[buffer]

    def keyword(draft: Draft, value: str) -> None:
        flags = 0
        if value[:1] == "!":
            flags, value = codes.NEGATED, value[1:].strip()
        known = draft.support.hash_lists
        found = known.get((buffer, value))
        if found is None:
            rows = {row for line in _lines(draft, value) if (row := _digest(line, width, value))}
            found = known[buffer, value] = HashList(len(known), width, b"".join(sorted(rows)))
        draft.of(word).conditions.append(Condition(codes.HASH_LIST, found.number, flags=flags))

    return keyword


def _digest(line: str, width: int, name: str) -> bytes:
    """The first word of a line; nothing for comments."""
    word = re.split(r"[\s,#]", line, maxsplit=1)[0]
    if not word:
        return b""
    try:
        row = bytes.fromhex(word)
    except ValueError:
        row = b""
    if len(row) != width:
        raise Refused(f"{word[:70]!r} in {name} is not a digest of {width} bytes in hex")
    return row


def filestore(draft: Draft, value: str) -> None:
    words = pieces(value) if value else []
    for index, word in enumerate(words):
        known = (
            ("request", "to_server", "response", "to_client", "both") if index == 0 else ("file", "tx", "ssn", "flow")
        )
        if word not in known:
            raise Refused(f"{word!r} is not known here; known are {', '.join(known)}")
        if index and word in ("ssn", "flow"):
            raise Refused("keeping all files of a flow is not supported: file and tx are", unsupported=True)
    draft.flags |= codes.FILESTORE
    draft.state = True


# --- datasets ------------------------------------------------------------------------------------------------


def _value(text: str, kind: int, name: str) -> bytes:
    """One value of a list, as the engine compares it."""
    try:
        if kind == 0:
            return base64.b64decode(text, validate=True)
        if kind in _HASHES:
            row = bytes.fromhex(text)
            if len(row) == _HASHES[kind]:
                return row
        elif kind == 3:
            return ipaddress.IPv4Address(text).packed
        else:
            address = ipaddress.ip_address(text)
            return address.packed if address.version == 6 else bytes(12) + address.packed
    except (ValueError, binascii.Error):
        pass
    form = ("text in base64", "an MD5 in hex", "a SHA-256 in hex", "an IPv4 address", "an address")[kind]
    raise Refused(f"{text[:70]!r} in {name} is not {form}")


def _options(words: list[str], known: dict[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for text in words:
        word, _, argument = text.partition(" ")
        if word not in known:
            raise Refused(f"{text!r} is not known here; known are {', '.join(known)}")
        if word in given:
            raise Refused(f"{word} is said twice")
        given[word] = argument.strip()
    return given


_KNOWN = {"type": "", "load": "", "save": "", "state": "", "memcap": "", "hashsize": ""}


def dataset(draft: Draft, value: str) -> None:
    words = pieces(value)
    if len(words) < 2 or words[0] not in _COMMANDS or not words[1]:
        raise Refused("must be isset|isnotset|set|unset,NAME,type TYPE and perhaps load FILE")
    block = draft.block()
    if block is draft.payload:
        raise Refused("needs a sticky buffer before it")
    found = _dataset(draft, words[1], _options(words[2:], _KNOWN))
    block.conditions.append(Condition(codes.DATASET, found.number, base=_COMMANDS[words[0]]))


def _dataset(draft: Draft, name: str, given: dict[str, str]) -> Dataset:
    """A set by name: its first mention says what it is."""
    known = draft.support.datasets
    found = known.get(name)
    kind = _TYPES.get(given.get("type", ""))
    if "type" in given and kind is None:
        raise Refused(f"type must be one of {', '.join(_TYPES)}; not {given['type']!r}")
    if found is not None:
        if kind is not None and kind != found.type:
            raise Refused(f"the dataset {name} has another type in another rule")
        return found
    if kind is None:
        raise Refused(f"the dataset {name} is not known yet: say its type")
    values: dict[bytes, int] = {}
    file = given.get("load") or given.get("state")
    if file:
        optional = "state" in given and draft.support.read(draft.file, file) is None
        for line in [] if optional else _lines(draft, file):
            if line:
                values[_value(line, kind, file)] = 0
    limit = whole(given["hashsize"], 1, 1 << 24, "hashsize") if given.get("hashsize") else _LIMIT
    made = known[name] = Dataset(len(known), kind, False, tuple(values.items()), max(limit, len(values)))
    return made


_REPUTED = {"type": "", "load": "", "memcap": "", "hashsize": ""}


def datarep(draft: Draft, value: str) -> None:
    words = pieces(value)
    if len(words) < 3 or words[1] not in _TESTS:
        raise Refused("must be NAME,OPERATOR,VALUE,load FILE,type TYPE")
    given = _options(words[3:], _REPUTED)
    block = draft.block()
    if block is draft.payload:
        raise Refused("needs a sticky buffer before it")
    known = draft.support.datasets
    found = known.get(words[0])
    if found is None:
        kind = _TYPES.get(given.get("type", ""))
        if kind is None or not given.get("load"):
            raise Refused(f"the list {words[0]} is not known yet: say type and load")
        values: dict[bytes, int] = {}
        for line in _lines(draft, given["load"]):
            if line:
                text, _, score = line.rpartition(",")
                values[_value(text, kind, given["load"])] = whole(score, 0, 65535, "the reputation")
        found = known[words[0]] = Dataset(len(known), kind, True, tuple(values.items()), len(values))
    asked = whole(words[2], 0, 65535, "the reputation")
    block.conditions.append(Condition(codes.DATAREP, found.number, asked, compare=_TESTS[words[1]]))


_SIZE = re.compile(r"(\d+)\s*(gb|gib|mb|mib|kb|kib)", re.IGNORECASE)
_UNITS = {"k": 10, "m": 20, "g": 30}


def sized(value: str) -> tuple[int, int, int]:
    """A comparison of sizes, which may be written with kb, mb or gb."""
    return number_test(
        _SIZE.sub(lambda found: str(int(found[1]) << _UNITS[found[2][0].lower()]), value), 63, "the size"
    )
