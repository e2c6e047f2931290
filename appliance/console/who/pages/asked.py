"""What the pages are sent: bounded, from our own pages alone, and where somebody wants to go afterwards."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

MOST = 64 << 10  # bytes
_PATIENCE = 15.0  # seconds for a body
_FIELDS = 16
_HOME = "/"
# A path of ours: no host (`//`, `/\`), nothing that a browser cuts out (tabs, line ends) before it looks.
_PLACE = re.compile(r"/(?![/\\])[A-Za-z0-9/._~%!$&'()*+,;=:@?-]{0,500}")


class Unfit(Exception):
    """What was sent is not what a page of ours sends; `why` is a word of the pages."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def foreign(headers: Mapping[str, str], host: str) -> bool:
    """Whether a form comes from a page that is not ours. Browsers say where from with every form they send."""
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site != "same-origin"
    return headers.get("Origin") != f"https://{host}"


def place(text: object) -> str:
    """Where to go after the log-in: a path of the console, else its beginning."""
    return text if isinstance(text, str) and _PLACE.fullmatch(text) else _HOME


async def form(request: web.Request) -> dict[str, str]:
    """The fields of a form of ours. Raises `Unfit`."""
    if foreign(request.headers, request.host):
        raise Unfit("foreign")
    body = await _body(request)
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError as error:
        raise Unfit("wrong") from error


async def json(request: web.Request) -> dict[str, Any]:
    """An object that our script sent. Raises `Unfit`."""
    if foreign(request.headers, request.host) or request.headers.get("X-Reef") != "1":
        raise Unfit("foreign")
    try:
        return msgspec.json.decode(await _body(request), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Unfit("wrong") from error


async def _body(request: web.Request) -> bytes:
    """Raises `Unfit` for one that is too long or does not come."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(_PATIENCE):
            async for part in request.content.iter_any():
                size += len(part)
                if size > MOST:
                    raise Unfit("wrong")
                parts.append(part)
    except (TimeoutError, web.RequestPayloadError) as error:
        raise Unfit("wrong") from error
    return b"".join(parts)
