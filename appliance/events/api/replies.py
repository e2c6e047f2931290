"""How bytes are sent: packed as the client takes them, never kept by anything between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from appliance.events.api.stores import Stores
from appliance.serving.packing import encoding, packed

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
