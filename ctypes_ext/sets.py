"""Changes of the sets that rules ask (the keyword `dataset`) while they run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ctypes_ext._engine import ffi, lib
from ctypes_ext.engine import check

MOST_BYTES = 0xFFFF  # of one value


class SetChange:
    """Values that come into the set of that name, or leave it where `out`. Packed once, for any number of workers.

    Sets of digests hold the bytes of the digest. Raises ValueError for a value that is too long.
    """

    def __init__(self, name: str, values: Iterable[bytes], *, out: bool = False) -> None:
        packed = bytearray()
        for value in values:
            if len(value) > MOST_BYTES:
                raise ValueError(f"a value of {len(value):,} bytes; {MOST_BYTES:,} are the most that a set holds")
            packed += len(value).to_bytes(2, "little") + value
        self.name = name
        self._name = name.encode()
        self._packed = bytes(packed)
        self.c: tuple[Any, ...] = (self._name, out, ffi.from_buffer(self._packed), len(self._packed))

    @staticmethod
    def took(status: int) -> bool:
        """False where the rules have no such set. Raises `EngineError`."""
        if status == lib.REEF_END:
            return False
        check(status, "set")
        return True
