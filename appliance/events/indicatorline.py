"""The line from alertd to inspectd, as both ends know it: frames of what is looked for.

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
