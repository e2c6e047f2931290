"""Requests that no browser sends: answered or cut off, and told in no traceback; whoever comes next is answered."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import zlib
from collections.abc import Awaitable, Callable
from types import ModuleType

import msgspec
import pytest

from appliance.console.context import Ctx
from appliance.console.registry import Answer, endpoint
from appliance.control import wholes
from appliance.serving.listening import Limits
from tests.unit.console.serving import MINE, OURS, Served, cookie_of, serving
from tests.unit.console.test_serving import THINGS, Thing

KNOWN = b"GET /api/v1/things/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer amara\r\n"
CHANGE = b'PUT /api/v1/things/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer amara\r\nIf-Match: "7"\r\n'
JSON = CHANGE + b"Content-Type: application/json\r\n"


def whole(body: bytes, more: bytes = b"") -> bytes:
    return JSON + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*parts: bytes) -> bytes:
    return JSON + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(parts)


ODD: dict[str, tuple[bytes, int]] = {
    "NUL in the address": (b"GET /api/v1/\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "NUL in a header": (KNOWN + b"X: a\0b\r\n\r\n", 400),
    "NUL, encoded": (KNOWN.replace(b"/1 ", b"/%00 ") + b"\r\n", 404),
    "a path that is no text": (KNOWN.replace(b"/1 ", b"/%ff%fe ") + b"\r\n", 400),
    "a query that is no text": (KNOWN.replace(b"/1 ", b"?after=%ff ") + b"\r\n", 400),
    "half of a surrogate": (KNOWN.replace(b"/1 ", b"?after=%ed%a0%80 ") + b"\r\n", 400),
    "bytes for a name": (KNOWN.replace(b"amara", b"\xff\xfe") + b"\r\n", 401),
    "bytes for a cookie": (b"GET /api/v1/things/1 HTTP/1.1\r\nHost: a\r\nCookie: __Host-reef=\xff;;=\r\n\r\n", 401),
    "a long address": (b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a long header": (KNOWN + b"X: " + b"a" * 200_000 + b"\r\n\r\n", 400),
    "many headers": (KNOWN + b"".join(b"X%d: a\r\n" % number for number in range(20_000)) + b"\r\n", 400),
    "a long number": (KNOWN.replace(b"/1 ", b"/" + b"9" * 4400 + b" ") + b"\r\n", 404),
    "many questions": (KNOWN.replace(b"/1 ", b"?" + b"a=1&" * 1900 + b" ") + b"\r\n", 400),
    "no host": (b"GET /api/v1/things/1 HTTP/1.1\r\n\r\n", 400),
    "two lengths": (JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "a length and chunks": (JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a length below nothing": (JSON + b"Content-Length: -2\r\n\r\n{}", 400),
    "a chunk without end": (chunked(b"ffffffffffffffffff\r\n"), 400),
    "a chunk that is none, late": (chunked(b"1\r\n{\r\n", b"zz\r\n"), 400),
    "chunks that are too much": (chunked(*[b"200\r\n" + b" " * 512 + b"\r\n"] * 4), 413),
    "deep": (whole(b"[" * 1000), 400),
    "deep where words are due": (whole(b'{"words":' * 100), 400),
    "no UTF-8": (whole(b'{"words":"\xff\xfe"}'), 400),
    "half of a surrogate in a body": (whole(b'{"words":"\\ud800"}'), 400),
    "a table of another alphabet": (whole('{"words":"a"}'.encode("utf-16")), 400),
    "packed": (whole(gzip.compress(b'{"words":"a"}'), b"Content-Encoding: gzip\r\n"), 415),
    "packed otherwise": (whole(zlib.compress(b'{"words":"a"}'), b"Content-Encoding: deflate\r\n"), 415),
    "packed by what nobody knows": (whole(b"{}", b"Content-Encoding: br\r\n"), 415),
    "a gigabyte in a megabyte": (whole(gzip.compress(b" " * 1_000_000), b"Content-Encoding: gzip\r\n"), 415),
    "an odd type": (CHANGE + b'Content-Type: ;;"\\\r\nContent-Length: 2\r\n\r\n{}', 415),
    "an odd state": (KNOWN.replace(b"GET", b"PUT") + b'If-Match: "\xff\r\n\r\n', 400),
    "another version of HTTP": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "an odd origin": (
        b"POST /api/v1/things HTTP/1.1\r\nHost: a\r\nCookie: __Host-reef=amara\r\nX-Reef: 1\r\n"
        b"Origin: https://[::1\r\nContent-Length: 2\r\n\r\n{}",
        403,
    ),
    "odd wishes": (KNOWN + b"Accept-Encoding: gzip;q=nan,br;q=" + b"9" * 300 + b"," + b"*," * 900 + b"\r\n\r\n", 200),
}  # fmt: skip


def run(story: Callable[[Served], Awaitable[None]], limits: Limits | None = None) -> None:
    async def told() -> None:
        async with serving([THINGS], limits=limits or Limits()) as served:
            await story(served)

    asyncio.run(asyncio.wait_for(told(), 50))


async def sent(served: Served, request: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and as much of the body as came with it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request)
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    body = await reader.readexactly(int(length.partition(b":")[2]))
    writer.close()
    return int(head.split()[1]), head, body


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_is_refused_in_words(name: str, caplog: pytest.LogCaptureFixture) -> None:
    request, expected = ODD[name]

    async def story(served: Served) -> None:
        status, head, body = await sent(served, request)
        assert status == expected, (status, body)
        if b"problem+json" in head:
            assert json.loads(body)["status"] == status
        async with served.session.get(f"{served.url}/api/v1/things/1", headers=MINE) as answer:
            assert answer.status == 200

    with caplog.at_level(logging.INFO):
        run(story)
    assert "Traceback" not in caplog.text, "whoever sends such things fills the log"


def test_who_goes_in_the_middle_of_a_body_is_not_waited_for() -> None:
    async def story(served: Served) -> None:
        for request in (JSON + b"Content-Length: 100\r\n\r\n{", chunked(b"64\r\n{")):
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(request)
            await writer.drain()
            writer.close()
        while len(served.connections):
            await asyncio.sleep(0.01)

    run(story)


def test_half_open_connections_keep_nobody_out() -> None:
    """Many who send their heads a byte at a time, from as many places as there may be: others are answered."""

    async def story(served: Served) -> None:
        held = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(200)]
        for number, (_, writer) in enumerate(held):
            writer.write(KNOWN[: 1 + number % len(KNOWN)])
        for _ in range(5):
            async with served.session.get(f"{served.url}/api/v1/things/1", headers=MINE) as answer:
                assert answer.status == 200
        for reader, writer in held:  # and their time ends
            assert await asyncio.wait_for(reader.read(), 30) == b""
            writer.close()

    run(story, Limits(connections=256, of_address=256, head=2.0))


@pytest.mark.parametrize("text", ["[[[1e400]]]", '{"words": {"a": [9223372036854775808]}}', '{"words": "\\u0000"}'])
def test_an_odd_value_is_refused_or_kept_as_it_is(text: str) -> None:
    async def story(served: Served) -> None:
        status, _, body = await sent(served, whole(text.encode()))
        assert status == 400 or json.loads(body) == json.loads(text)

    run(story)


class Deep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    parts: tuple[dict[str, int], ...]


@endpoint("POST", "/deep", permission="edit", answers=Deep)
async def deep(ctx: Ctx, body: Deep) -> Answer:
    """Say it again."""
    return Answer(body)


DEEP = ModuleType(__name__)
vars(DEEP).update(deep=deep)


@pytest.mark.parametrize(
    ("number", "status"), [((1 << 53) - 1, 200), (1 << 53, 400), (10**30, 400), (-(10**30), 400)]
)
def test_a_number_that_no_store_holds_is_refused_however_deep_it_lies(number: int, status: int) -> None:
    async def told() -> None:
        async with serving([DEEP]) as served:
            body = {"parts": [{"a": 1}, {"b": number}]}
            headers = {**cookie_of("amara"), **OURS}
            async with served.session.post(f"{served.url}/api/v1/deep", json=body, headers=headers) as answer:
                assert answer.status == status

    asyncio.run(asyncio.wait_for(told(), 50))


@pytest.mark.parametrize("value", [1 << 63, -(1 << 64), (Thing("a"), {"b": [1 << 63]}), frozenset({1 << 70})])
def test_a_message_with_a_number_beyond_64_bits_is_refused(value: object) -> None:
    data = msgspec.json.encode(str(value))
    assert "is not between" in wholes.refusal(data, value)


@pytest.mark.parametrize("value", [(1 << 63) - 1, "9" * 40, b"9" * 40, True, None, 1e300, {"a": ({1, 2},)}])
def test_other_messages_are_taken(value: object) -> None:
    assert wholes.refusal(str(value).encode(), value) == ""
