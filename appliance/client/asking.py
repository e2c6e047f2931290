"""What the generated client is made of: a call with types, and its answer with what HTTP says beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec

from appliance.client.transport import Got, Transport

T = TypeVar("T")
JSON = "application/json"


class Answered(msgspec.Struct, Generic[T], frozen=True):
    """`tag` is the state of what is answered, for `if_match` of a change; `after` is where the next page of a list
    begins, "" on the last; `changed` says of a change whether anything is different now, where that is told."""

    value: T
    tag: str = ""
    after: str = ""
    changed: bool | None = None


class Asker:
    """Calls over a transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _json(self, method: str, path: str, answer: type[T] | object, **sent: object) -> Answered[T]:
        got = self._sent(method, path, sent)
        value: T = msgspec.json.decode(got.data, type=answer)
        return _answered(value, got)

    def _raw(self, method: str, path: str, **sent: object) -> Answered[bytes]:
        got = self._sent(method, path, sent)
        return _answered(got.data, got)

    def _nothing(self, method: str, path: str, **sent: object) -> Answered[None]:
        return _answered(None, self._sent(method, path, sent))

    def _sent(self, method: str, path: str, sent: Mapping[str, object]) -> Got:
        query = urlencode(list(_pairs(sent.get("query"))))
        headers: dict[str, str] = {}
        if sent.get("if_match"):
            headers["If-Match"] = f'"{sent["if_match"]}"'
        if sent.get("idempotency_key"):
            headers["Idempotency-Key"] = str(sent["idempotency_key"])
        body: bytes | None = None
        if "body" in sent:
            media_type = str(sent.get("media_type", JSON))
            headers["Content-Type"] = media_type
            given = sent["body"]
            body = given if isinstance(given, bytes) else msgspec.json.encode(given)
        return self._transport.ask(method, f"{path}?{query}" if query else path, body=body, headers=headers)


def place(value: object) -> str:
    """A value as part of a path."""
    return quote(str(value), safe="")


def _pairs(query: object) -> Iterable[tuple[str, str]]:
    for name, value in query.items() if isinstance(query, dict) else ():
        for each in value if isinstance(value, tuple | list) else (value,):
            if each is not None:
                yield name, str(each).lower() if isinstance(each, bool) else str(each)


def _answered(value: T, got: Got) -> Answered[T]:
    link = got.headers.get("link", "").partition(">")[0].removeprefix("<")
    changed = {"yes": True, "no": False}.get(got.headers.get("reef-changed", ""))
    tag = got.headers.get("etag", "")
    strong = "" if tag.startswith("W/") else tag.strip('"')
    return Answered(value, strong, parse_qs(urlsplit(link).query).get("after", [""])[0], changed)
