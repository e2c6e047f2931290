"""Endpoints as values: what is declared wrongly is refused, what is sent is decoded strictly."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated

import msgspec
import pytest

from appliance.console.registry import Answer, Endpoint, Mistake, endpoint, endpoints, placed, queried


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=1)] = 100
    zone: tuple[str, ...] = ()


class Loose(msgspec.Struct):
    text: str = ""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str


def module(*functions: object) -> ModuleType:
    made = ModuleType(__name__)
    for number, function in enumerate(functions):
        setattr(made, f"function{number}", function)
    return made


def declared(function: object) -> Endpoint:
    return endpoints([module(function)])[0]


def test_types_of_a_function_become_what_is_taken() -> None:
    @endpoint("PUT", "/things/{id}/parts/{part}", permission="edit", answers=Body, match=True)
    async def put(ctx: object, id: str, part: int, query: Query, body: Body) -> Body:
        """Put a part."""
        return body

    one = declared(put)
    assert one.places == {"id": str, "part": int}
    assert (one.query, one.body, one.match, one.changes, one.status) == (Query, Body, True, True, 200)
    assert placed(one, {"id": "a", "part": "7"}) == {"id": "a", "part": 7}
    with pytest.raises(ValueError, match="Expected `int`"):
        placed(one, {"id": "a", "part": "seven"})


def test_a_query_is_decoded_strictly() -> None:
    assert queried(Query, [("limit", "5"), ("zone", "lan"), ("zone", "dmz")]) == Query(5, ("lan", "dmz"))
    for given, words in (
        ([("limit", "five")], "Expected `int`"),
        ([("limit", "0")], ">= 1"),
        ([("limit", "9007199254740992")], "not between"),
        ([("limit", "1"), ("limit", "2")], "more than once"),
        ([("limits", "5")], "known are limit, zone"),
    ):
        with pytest.raises(ValueError, match=words):
            queried(Query, given)


def test_what_cannot_be_answered_is_a_mistake() -> None:
    async def plain(ctx: object) -> Answer:
        """Words."""
        return Answer(None)

    async def with_id(ctx: object, id: str) -> None:
        """Words."""

    async def loose(ctx: object, body: Loose) -> None:
        """Words."""

    async def raw(ctx: object, body: bytes) -> None:
        """Words."""

    async def silent(ctx: object) -> None:
        return None

    for function, method, path, more, words in (
        (plain, "GET", "/a/{id}", {}, "id in the path"),
        (with_id, "GET", "/a", {}, "id in the path"),
        (loose, "POST", "/a", {}, "forbid unknown"),
        (raw, "PUT", "/a", {}, "`takes`"),
        (silent, "GET", "/a", {}, "docstring"),
        (plain, "GET", "/a", {"permission": "fly"}, "no permission"),
    ):
        with pytest.raises(Mistake, match=words):
            endpoint(method, path, **{"permission": "look", **more})(function)  # type: ignore[arg-type]


def test_a_path_is_declared_once() -> None:
    @endpoint("GET", "/a/{one}", permission="look", answers=str)
    async def first(ctx: object, one: str) -> str:
        """Words."""
        return one

    @endpoint("GET", "/a/{two}", permission="look", answers=str)
    async def second(ctx: object, two: str) -> str:
        """Words."""
        return two

    with pytest.raises(Mistake, match="declared twice"):
        endpoints([module(first, second)])
