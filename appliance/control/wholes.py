"""Whole numbers in a message: JSON has them of any size, stores and clocks have not. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

LARGEST = (1 << 63) - 1
_LONG = re.compile(rb"[0-9]{19}")  # what is shorter is within


def refusal(data: bytes, value: object) -> str:
    """Why a message that was decoded from `data` is not taken; "" when it is."""
    return beyond(value, LARGEST) if _LONG.search(data) is not None else ""


def beyond(value: object, most: int) -> str:
    """Where a whole number is not between -most and most, in words; "" for nowhere."""
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        name, one = waiting.pop()
        if isinstance(one, int):
            if abs(one) > most:
                return f"`{name}` is not between -{most} and {most}"
        elif isinstance(one, msgspec.Struct):
            waiting += [(field, getattr(one, field)) for field in one.__struct_fields__]
        elif not isinstance(one, str | bytes):
            waiting += [(name, part) for part in _parts(one)]
    return ""


def _parts(value: Any) -> list[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, tuple | list | set | frozenset) else []
