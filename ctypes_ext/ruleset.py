"""What the rule compiler must know of the C core: the numbers of buffers, values, operations, transforms and flags.

They are read from the headers themselves (dataplane/include/reef), so that nothing is written twice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ctypes_ext._ruleset import ffi, lib

TO_SERVER, TO_CLIENT, EITHER = 1, 2, 3


class Word(NamedTuple):
    """A buffer or a value of the rule language: its number, the directions it is found in, its flags."""

    number: int
    way: int
    flags: int


class Protocol(NamedTuple):
    """An application protocol: its number, the IP protocol that carries it (0: TCP and UDP), its events by name."""

    number: int
    transport: int
    events: dict[str, int]


def _text(pointer: Any) -> str:
    text = ffi.string(pointer)
    assert isinstance(text, bytes)
    return text.decode("ascii")


def _numbers(table: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    while table[len(found)].name != ffi.NULL:
        row = table[len(found)]
        found[_text(row.name)] = int(row.value)
    return found


def _words(table: Any) -> dict[str, Word]:
    found: dict[str, Word] = {}
    while table[len(found)].name != ffi.NULL:
        row = table[len(found)]
        found[_text(row.name)] = Word(len(found), int(row.way), int(row.flags))
    return found


def _names(table: Any) -> list[str]:
    found: list[str] = []
    while table[len(found)] != ffi.NULL:
        found.append(_text(table[len(found)]))
    return found


NUMBERS = _numbers(lib.reef_numbers)
SIZES = _numbers(lib.reef_sizes)
BUFFERS = _words(lib.reef_buffer_words)
VALUES = _words(lib.reef_value_words)
OPS = {name: number for number, name in enumerate(_names(lib.reef_op_words))}
TRANSFORMS = {name: number for number, name in enumerate(_names(lib.reef_transform_words))}
EVENTS = {name: number for number, name in enumerate(_names(lib.reef_event_words))}


def _protocols() -> dict[str, Protocol]:
    found: dict[str, Protocol] = {}
    transport = ffi.new("unsigned *")
    while (name := lib.reef_protocol_word(len(found) + 1, transport)) != ffi.NULL:
        number, events = len(found) + 1, dict[str, int]()
        while (event := lib.reef_protocol_event_word(number, len(events))) != ffi.NULL:
            events[_text(event)] = len(events)
        found[_text(name)] = Protocol(number, int(transport[0]), events)
    return found


PROTOCOLS = _protocols()


def protocol_number(name: str) -> int:
    """The number of an application protocol by its name or another name of it in rules; 0: not known."""
    return int(lib.reef_protocol_number_by_name(name.encode("utf-8", "replace").replace(b"\0", b"?")))


def check_expression(pattern: bytes, options: int) -> str:
    """What is wrong with a Perl-compatible expression, in words; "" where it compiles."""
    error, offset = ffi.new("char[256]"), ffi.new("size_t *")
    if lib.reef_rules_check_expression(pattern, len(pattern), options, error, 256, offset) == 0:
        return ""
    return f"{_text(error)} at byte {int(offset[0])}"
