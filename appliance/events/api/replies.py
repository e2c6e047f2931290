"""How bytes are sent: packed as the client takes them, never kept by anything between."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping

import zstandard
from aiohttp import web

from appliance.events.api.stores import Stores

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

_WORTH_IT = 1024  # bytes; less is not packed
_PIECE = 128 << 10
_IN_LOOP = 16 << 10  # bytes that are packed without a thread
COMMON = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
    "Strict-Transport-Security": "max-age=31536000",
    "Server": "reef",
}


def gets(answers: Mapping[str, Answer]) -> list[web.RouteDef]:
    """Every path without a slash at its end and with one: the same answer, no redirect."""
    return [web.get(spelled, answer) for path, answer in answers.items() for spelled in (path, f"{path}/")]


def preferences(header: str, most: int = 32) -> list[tuple[str, dict[str, str], float]]:
    """An Accept or Accept-Encoding header: values in small letters, their parameters, how much they are wanted."""
    found = []
    for part in header.split(",")[:most]:
        value, *parameters = (word.strip().lower() for word in part.split(";"))
        named = dict(_pair(word) for word in parameters if word)
        try:
            quality = min(1.0, max(0.0, float(named.pop("q", "1"))))
        except ValueError:
            quality = 0.0
        if value:
            found.append((value, named, quality))
    return found


def _pair(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name.strip(), value.strip().strip('"')


def encoding(header: str) -> str:
    """What to pack with: "zstd", "gzip" or "" for nothing."""
    wanted = {value: quality for value, _, quality in preferences(header)}
    usable = {one: wanted.get(one, 0.0) for one in ("zstd", "gzip")}
    best = max(usable, key=lambda one: usable[one])
    return best if usable[best] > 0 and usable[best] >= wanted.get("identity", 0.0) else ""


def packed(data: bytes, how: str) -> bytes:
    if how == "zstd":
        return zstandard.ZstdCompressor(level=3).compress(data)
    if how == "gzip":
        packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        return packer.compress(data) + packer.flush()
    return data


async def reply(
    request: web.Request,
    stores: Stores,
    data: bytes,
    media_type: str,
    headers: dict[str, str] | None = None,
    *,
    status: int = 200,
) -> web.StreamResponse:
    """An answer with these bytes. A long one goes in pieces, as the client takes them: until it is gone the request
    counts as one that is answered, and no more than a piece waits between here and the line."""
    sent = {"Content-Type": media_type, "Vary": "Accept-Encoding", **(headers or {})}
    how = encoding(request.headers.get("Accept-Encoding", "")) if len(data) >= _WORTH_IT else ""
    if how:
        data = packed(data, how) if len(data) <= _IN_LOOP else await stores.run(packed, data, how)
        sent["Content-Encoding"] = how
    if len(data) <= _PIECE or request.method == "HEAD":
        return web.Response(status=status, body=data, headers=sent)
    stream = web.StreamResponse(status=status, headers=sent)
    stream.content_length = len(data)
    await stream.prepare(request)
    view = memoryview(data)
    for begin in range(0, len(data), _PIECE):
        await stream.write(view[begin : begin + _PIECE])
    await stream.write_eof()
    return stream
