"""A table that never grows beyond its bound, and that a flood of newcomers cannot empty.

When it is full, a few entries are looked at: one whose time is over goes; else the one of least worth, and of those
the newest. So what has shown something stays, and who comes in thousands pushes out themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Generic, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")

_LOOKED_AT = 5


class _Entry(msgspec.Struct, Generic[K, V]):
    key: K
    value: V
    begun: float
    last: float
    worth: float
    place: int


class Table(Generic[K, V]):
    """At most `most` entries; one that nobody asked for during `seconds` is forgotten."""

    def __init__(self, most: int, seconds: float) -> None:
        if most < 1:
            raise ValueError("a table holds at least one entry")
        self._most = most
        self._seconds = seconds
        self._entries: dict[K, _Entry[K, V]] = {}
        self._places: list[_Entry[K, V]] = []
        self._random = Random(0)  # noqa: S311  which of many small entries goes is no secret
        self.pushed_out = 0

    def __len__(self) -> int:
        return len(self._places)

    def items(self) -> Iterator[tuple[K, V]]:
        return ((entry.key, entry.value) for entry in tuple(self._places))

    def get(self, key: K, now: float) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if now - entry.last > self._seconds:
            self._remove(entry)
            return None
        entry.last = now
        return entry.value

    def put(self, key: K, value: V, now: float, worth: float = 0.0) -> V:
        """Hold a value; the table makes room where it must."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.value, entry.last, entry.worth = value, now, worth
            return value
        if len(self._places) >= self._most:
            self._make_room(now)
        entry = _Entry(key, value, now, now, worth, len(self._places))
        self._entries[key] = entry
        self._places.append(entry)
        return value

    def weigh(self, key: K, worth: float) -> None:
        """How much it would be missed."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.worth = worth

    def drop(self, key: K) -> None:
        entry = self._entries.get(key)
        if entry is not None:
            self._remove(entry)

    def _make_room(self, now: float) -> None:
        count, draw = len(self._places), self._random.random
        looked = [self._places[int(draw() * count)] for _ in range(_LOOKED_AT)]
        gone = next((entry for entry in looked if now - entry.last > self._seconds), None)
        if gone is None:
            gone = min(looked, key=lambda entry: (entry.worth, -entry.begun))
            self.pushed_out += 1
        self._remove(gone)

    def _remove(self, entry: _Entry[K, V]) -> None:
        last = self._places.pop()
        if last is not entry:
            self._places[entry.place] = last
            last.place = entry.place
        del self._entries[entry.key]
