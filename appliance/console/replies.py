"""What an endpoint gave, as HTTP: its bytes, its tag, the way to the next page; packed as the client takes it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from appliance.console import conditional
from appliance.console.idempotency import Kept
from appliance.console.registry import JSON, Answer, Endpoint, Raw
from appliance.serving.packing import encoding, packed

_WORTH_IT = 1024  # bytes; less is not packed
_IN_LOOP = 32 << 10  # bytes that are packed without a thread


def made(request: web.Request, endpoint: Endpoint, value: object) -> Kept:
    """Status, headers and bytes."""
    if isinstance(value, Raw):
        headers = {"Content-Type": value.media_type, "ETag": _etag(value.tag, value.data)}
        if value.name:
            headers["Content-Disposition"] = f'attachment; filename="{value.name}"'
        return Kept(endpoint.status, headers, value.data)
    answer = value if isinstance(value, Answer) else Answer(value)
    headers = {}
    if answer.after:
        query = urlencode({**dict(request.query), "after": answer.after})
        headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    if answer.changed is not None:
        headers["Reef-Changed"] = "yes" if answer.changed else "no"
    if answer.location:
        headers["Location"] = answer.location
    status = endpoint.status if answer.status == HTTPStatus.OK else answer.status
    if endpoint.answers is None:
        return Kept(status, headers | ({"ETag": conditional.quoted(answer.tag)} if answer.tag else {}), b"")
    data = msgspec.json.encode(answer.value)
    if answer.tag or not endpoint.changes:
        headers["ETag"] = _etag(answer.tag, data)
    return Kept(status, headers | {"Content-Type": JSON}, data)


def _etag(tag: str, data: bytes) -> str:
    return conditional.quoted(tag) if tag else conditional.of_bytes(data)


async def sent(request: web.Request, kept: Kept) -> web.Response:
    """It as the client takes it, or nothing where the client has it already."""
    headers = {**kept.headers, "Vary": "Accept-Encoding, Cookie, Authorization"}
    data, tag = kept.data, kept.headers.get("ETag", "")
    if tag and request.method in ("GET", "HEAD"):
        headers["Cache-Control"] = "private, no-cache"
        # Only a tag of the bytes says that nothing is other: one that names a state to change is of a part of the
        # answer, and neither the comments on a proposal nor the title of a draft are in it.
        if tag.startswith(conditional.WEAK) and conditional.unchanged(request.headers.get("If-None-Match", ""), tag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    how = encoding(request.headers.get("Accept-Encoding", "")) if len(data) >= _WORTH_IT else ""
    if how:
        data = packed(data, how) if len(data) <= _IN_LOOP else await asyncio.to_thread(packed, data, how)
        headers["Content-Encoding"] = how
    return web.Response(status=kept.status, body=data or None, headers=headers)
