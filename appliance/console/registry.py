"""Endpoints as values: a function with types becomes a path that is checked, answered and described.

A noun is a module of `appliance/console/api/`. Its functions carry `@endpoint`; their parameters say what is taken:

    ctx       who asks, and what they may be told with
    NAME      what stands in the path as {NAME}
    query     a struct of what may stand behind the `?`
    body      what is sent: a struct as JSON, or `bytes` of the media type `takes`

Everything is decoded strictly; what is not known is refused. `openapi.py` describes the same values.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from appliance.control.wholes import beyond
from appliance.policy.roles import PERMISSIONS, Permission

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
JSON = "application/json"
EVENTS = "text/event-stream"
MIB = 1 << 20
LARGEST = (1 << 53) - 1  # of whole numbers in a path or a query
# Where no permission is asked for: "" is everybody, also strangers; "known" is whoever is recognised.
Asked = Permission | Literal["", "known"]

_BRACES = re.compile(r"\{([a-z_]+)\}")
_MARK = "__reef_endpoint__"
Handler = Callable[..., Awaitable[object]]
H = TypeVar("H", bound=Handler)


class Answer(msgspec.Struct, frozen=True):
    """A value with what HTTP says beside it.

    `tag` is the state of the resource ("7"), `after` where the next page begins, `changed` whether what was asked
    for is different from what was there.
    """

    value: object
    tag: str = ""
    after: str = ""
    status: int = 200
    changed: bool | None = None
    location: str = ""


class Raw(msgspec.Struct, frozen=True):
    """Bytes that are no JSON. With `name` a browser keeps them as a file of that name."""

    data: bytes
    media_type: str
    name: str = ""
    tag: str = ""


class Paged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query for a part of a list: at most so many, behind the place that the last `Link` named."""

    limit: int = 100
    after: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path and method. `answers` is the type of the value, or the media type of what is no JSON."""

    method: Method
    path: str
    permission: Asked
    handler: Handler
    answers: Any
    summary: str
    noun: str
    places: dict[str, Any]  # in the path, by name: their types
    query: type[msgspec.Struct] | None
    body: Any
    takes: str
    match: bool
    tagged: bool
    paged: bool
    status: int
    largest: int
    secret: bool

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    @property
    def takes_json(self) -> bool:
        return self.body is not None and self.takes == JSON


class Mistake(TypeError):
    """An endpoint is declared in a way that cannot be answered."""


def endpoint(
    method: Method,
    path: str,
    *,
    permission: Asked,
    answers: Any = None,
    takes: str = JSON,
    match: bool = False,
    tagged: bool = False,
    paged: bool = False,
    status: int = 200,
    largest: int = MIB,
    secret: bool = False,
) -> Callable[[H], H]:
    """Declare an endpoint below /api/v1.

    `match`: who asks must say by If-Match which state they saw, and the function compares (`ctx.match`). `tagged`:
    answers carry an ETag. `paged`: a list that may go on. `largest` bounds the body in bytes. `secret`:
    what is answered is kept nowhere, not even for who asks again with the same key. Raises `Mistake`.
    """

    def declare(function: H) -> H:
        setattr(
            function,
            _MARK,
            _endpoint(
                function, method, path, permission, answers, takes, match, tagged, paged, status, largest, secret
            ),
        )
        return function

    return declare


def _endpoint(
    function: Handler,
    method: Method,
    path: str,
    permission: Asked,
    answers: Any,
    takes: str,
    match: bool,
    tagged: bool,
    paged: bool,
    status: int,
    largest: int,
    secret: bool,
) -> Endpoint:
    where = f"{method} {path}"
    if permission not in ("", "known", *PERMISSIONS):
        raise Mistake(f"{where}: there is no permission {permission!r}")
    hints = get_type_hints(function, include_extras=True)
    names = list(inspect.signature(function).parameters)
    if names[:1] != ["ctx"]:
        raise Mistake(f"{where}: the first parameter is `ctx`")
    places = _BRACES.findall(path)
    unknown = set(names[1:]) ^ {*places, *({"query", "body"} & set(names))}
    if unknown:
        raise Mistake(f"{where}: {', '.join(sorted(unknown))} in the path or the parameters only")
    query, body = hints.get("query"), hints.get("body")
    for one in (query, body):
        if (
            isinstance(one, type)
            and issubclass(one, msgspec.Struct)
            and not one.__struct_config__.forbid_unknown_fields
        ):
            raise Mistake(f"{where}: {one.__name__} does not forbid unknown fields")
    if query is not None and not (isinstance(query, type) and issubclass(query, msgspec.Struct)):
        raise Mistake(f"{where}: `query` is a struct")
    if (body is bytes) != (takes != JSON):
        raise Mistake(f"{where}: a body that is no JSON is `bytes`, and `takes` says of which media type")
    if method == "GET" and body is not None:
        raise Mistake(f"{where}: GET has no body")
    if not function.__doc__:
        raise Mistake(f"{where}: a docstring says what it does")
    return Endpoint(
        method, path, permission, function, answers, inspect.cleandoc(function.__doc__),
        function.__module__.rpartition(".")[2], {name: hints[name] for name in places}, query, body, takes, match,
        tagged, paged, 204 if answers is None and status == 200 else status, largest, secret,
    )  # fmt: skip


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def endpoints(nouns: Iterable[ModuleType]) -> tuple[Endpoint, ...]:
    """What the modules declare, in their order. Raises `Mistake` where two are the same."""
    found = [
        getattr(member, _MARK)
        for noun in nouns
        for member in vars(noun).values()
        if hasattr(member, _MARK) and member.__module__ == noun.__name__
    ]
    seen: set[tuple[str, str]] = set()
    for one in found:
        key = (one.method, _BRACES.sub("{}", one.path))
        if key in seen:
            raise Mistake(f"{one.method} {one.path} is declared twice")
        seen.add(key)
    return tuple(found)


def queried(type_: type[msgspec.Struct], given: Iterable[tuple[str, str]]) -> msgspec.Struct:
    """The struct of a query. Raises `ValueError` with words."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    found: dict[str, Any] = {}
    for name, text in given:
        field = fields.get(name)
        if field is None:
            raise ValueError(f"`{name[:64]}` is not asked for here; known are {', '.join(fields) or 'none'}")
        if is_list(field.type):
            found.setdefault(name, []).append(text)
        elif name in found:
            raise ValueError(f"`{name}` is given more than once")
        else:
            found[name] = text
    try:
        made = msgspec.convert(found, type_, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    bounded(made)
    return made


def is_list(type_: Any) -> bool:
    """Whether a parameter of that type may be given several times."""
    origin = get_origin(type_)
    if origin in (tuple, list, frozenset):
        return True
    return any(is_list(one) for one in get_args(type_)) if origin is not None else False


def placed(endpoint: Endpoint, given: dict[str, str]) -> dict[str, Any]:
    """What stands in the path. Raises `ValueError`: nothing can be there."""
    try:
        found = {name: msgspec.convert(given[name], type_, strict=False) for name, type_ in endpoint.places.items()}
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    bounded(found)
    return found


def bounded(value: object) -> None:
    """Numbers that JSON's readers take exactly, and every store. Raises `ValueError`."""
    wrong = beyond(value, LARGEST)
    if wrong:
        raise ValueError(wrong)
