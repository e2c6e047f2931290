"""Every request that a process knows, with numbers and words in it that nobody means: as bytes, for its socket."""

from __future__ import annotations

import copy
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec

from appliance.control.messages.changes import Acting
from appliance.control.messages.gateway import Request

_WHOLE = (-1, (1 << 63) - 1, 1 << 63, 10**30)
_FLOATING = (-1.0, 1e308, -1e308)
_WORDS = ("", "a" * 100_000, "\0'\"\n\x1b[31m\U0010ffff")
_DEEPEST = 4


def requests() -> Iterator[tuple[str, bytes]]:
    """The name of each type, and the bytes of one of it; then the same with one value of it replaced."""
    for type_ in typing.get_args(Request):
        if type_ is Acting:
            continue
        plain = _sample(type_, 0)
        yield type_.__name__, json.dumps(plain).encode()
        for place, value in _leaves(plain, ()):
            for other in _instead(value):
                changed = copy.deepcopy(plain)
                _put(changed, place, other)
                yield f"{type_.__name__}.{place[-1]}", json.dumps(changed).encode()


def _sample(type_: Any, depth: int) -> Any:
    """A value of that type, as JSON has it."""
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if origin in (typing.Annotated, typing.Union, types.UnionType):
        return _sample(arguments[0], depth)
    if origin is typing.Literal:
        return arguments[0]
    if origin in (tuple, list, frozenset):
        return [_sample(arguments[0], depth + 1)] if depth < _DEEPEST else []
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        known = type_.__struct_config__
        tag = {known.tag_field: known.tag} if known.tag_field else {}
        return tag | {one.encode_name: _sample(one.type, depth + 1) for one in msgspec.structs.fields(type_)}
    return {int: 1, float: 1.0, str: "x", bytes: "", bool: False}.get(type_, {} if origin is dict else None)


def _leaves(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key != "type" or place:
                yield from _leaves(one, (*place, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(one, (*place, number))
    else:
        yield place, value


def _instead(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool) or value is None:
        return ()
    return {int: _WHOLE, float: _FLOATING, str: _WORDS}[type(value)]


def _put(value: Any, place: tuple[str | int, ...], other: Any) -> None:
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = other
