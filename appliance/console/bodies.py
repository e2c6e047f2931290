"""What is sent with a request: bounded in bytes and in time before anything looks at it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from appliance.console import problems
from appliance.console.problems import Problem
from appliance.console.registry import JSON, Endpoint, bounded

_SLOWEST = 8 << 10  # bytes a second that a body must bring
_GRACE = 15.0  # seconds beside
_LARGE = 256 << 10  # bytes from which on few are taken at once
_MOST_LARGE = 3
_CLOSE = {"Connection": "close"}


class Bodies:
    """Reads them. Few that are large at a time: what waits for its end lies in memory. For one event loop."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(_MOST_LARGE)

    async def read(self, request: web.Request, endpoint: Endpoint) -> bytes:
        """The body, of the type and size that the endpoint takes. Raises `Problem`."""
        if request.content_type != endpoint.takes:
            words = f"the body is of type {endpoint.takes}"
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, words, code="media-type", headers=_CLOSE)
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            words = "a body is sent as it is, not packed"  # a few bytes could be gigabytes
            raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, words, code="media-type", headers=_CLOSE)
        announced = request.content_length
        expected = endpoint.largest if announced is None else announced
        if expected > endpoint.largest:
            raise _too_large(endpoint.largest)
        if expected <= _LARGE:
            return await _whole(request, expected, endpoint.largest)
        async with self._large:
            return await _whole(request, expected, endpoint.largest)


async def _whole(request: web.Request, expected: int, most: int) -> bytes:
    parts = bytearray()
    try:
        async with asyncio.timeout(_GRACE + expected / _SLOWEST):
            async for part in request.content.iter_any():
                parts += part
                if len(parts) > most:
                    raise _too_large(most)
    except TimeoutError as error:
        words = "the body did not come in time"
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, words, code="timeout", headers=_CLOSE) from error
    except web.RequestPayloadError as error:
        words = "the body is broken off, or its parts are none of HTTP"
        raise Problem(HTTPStatus.BAD_REQUEST, words, code="bad-request", headers=_CLOSE) from error
    return bytes(parts)


def decoded(data: bytes, endpoint: Endpoint) -> Any:
    """The body as the endpoint's function wants it. Raises `Problem`."""
    if endpoint.takes != JSON:
        return data
    try:
        made = msgspec.json.decode(data, type=endpoint.body)
        bounded(made)
    except msgspec.ValidationError as error:
        raise problems.bad(f"the body is not what is asked for: {error}") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise problems.bad(f"the body is no JSON: {error}") from error
    except ValueError as error:
        raise problems.bad(f"the body is not what is asked for: {error}") from error
    return made


def _too_large(most: int) -> Problem:
    words = f"the body is larger than {most} bytes"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words, code="too-large", headers=_CLOSE)
