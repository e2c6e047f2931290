"""What both ends of the line from alertd to inspectd know: frames of what is looked for, and the numbers of the rules
that look for it.

length 4 (little-endian) | `Told` in msgpack
"""

from __future__ import annotations

import struct

import msgspec

SOCKET = "indicators.sock"  # in alertd's directory; inspectd connects
HEAD = struct.Struct("<I")
MAX_FRAME = 32 << 20


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Values of a kind that are looked for in a mode, in canonical form."""

    kind: str
    mode: str
    values: tuple[str, ...]


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What comes and what goes; with `whole` nothing else of before is looked for."""

    add: tuple[Batch, ...] = ()
    out: tuple[Batch, ...] = ()
    whole: bool = False


def frame(told: Told) -> bytes:
    payload = msgspec.msgpack.encode(told)
    return HEAD.pack(len(payload)) + payload


WATCH, ALERT, BLOCK = "watch", "alert", "block"
MODES = (WATCH, ALERT, BLOCK)
KINDS = ("domain", "url", "sha256", "sha1", "md5", "certificate", "ja3", "ja3s", "ja4")  # of inspection
ADDRESS = 1  # the number of alerts about addresses and networks, which the ruleset looks for


def sid_of(kind: str, mode: str, place: int) -> int:
    """Of the rule that looks at the `place`th buffer: permanent, so that suppressions can name it."""
    return 100 * (KINDS.index(kind) + 1) + 10 * MODES.index(mode) + place


def kind_of(sid: int) -> tuple[str, str] | None:
    """Kind and mode that a rule is about; None for another rule."""
    kind, rest = divmod(sid, 100)
    mode = rest // 10
    return (KINDS[kind - 1], MODES[mode]) if 0 < kind <= len(KINDS) and mode < len(MODES) else None
