"""Events are sent to syslog over TLS and to webhooks, framed and signed; the place moves when they have them."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from appliance.events.classes import class_of
from appliance.events.outbox import NAME, New, Outbox, Stored
from appliance.events.push import wording
from appliance.events.push.pushing import Pushing
from appliance.events.push.wording import SecretError
from appliance.events.tlp import Tlp
from appliance.policy.consumers import Consumer
from crypto.selfsigned import self_signed, server_context
from crypto.web import fetching_context

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def event(seq: int, kind: str = "alert", tlp: Tlp = Tlp.AMBER, severity: int = 1) -> Stored:
    body = json.dumps({"event_type": kind, "alert": {"severity": severity}, "n": seq}).encode()
    return Stored(seq, 0, 1_800_000_000_123_456, kind, class_of(kind), tlp, body)


def test_a_message_of_syslog() -> None:
    said = wording.message(event(7), 'health "x"')
    assert said == (
        b'<105>1 2027-01-15T08:00:00.123456Z health_"x" reef - alert '
        b'[reef@32473 seq="7" tlp="TLP:AMBER" kind="alert"] \xef\xbb\xbf' + event(7).body
    )
    assert wording.priority(event(1, severity=2)) == 108
    assert wording.priority(event(1, "engine")) == 16 * 8 + 5
    assert wording.priority(event(1, "flow")) == 16 * 8 + 6
    assert wording.framed([event(7), event(8)], "s").count(b"<105>1") == 2
    length, _, rest = wording.framed([event(7)], "s").partition(b" ")
    assert int(length) == len(rest)


def test_a_delivery_is_signed_so_that_nobody_else_can() -> None:
    headers = wording.signed(wording.secret_of(SECRET), "health-7", 1_800_000_000, b"{}\n")
    made = hmac.new(KEY, b"health-7.1800000000.{}\n", hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(made).decode()
    for bad in ("whsec_short", "whsec_" + base64.b64encode(b"x" * 23).decode(), "not base64!", ""):
        with pytest.raises(SecretError):
            wording.secret_of(bad)


# --- to a real receiver --------------------------------------------------------------------------------------


class Place:
    """An outbox, a certificate for localhost, and the log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        key, certificate = self_signed(["localhost"], datetime.datetime.now(datetime.UTC))
        (folder / "key.pem").write_bytes(key)
        (folder / "authorities.pem").write_bytes(certificate)
        (folder / "soc").write_text(SECRET)
        self.server = server_context(folder / "key.pem", folder / "authorities.pem")
        self.outbox = Outbox(folder / NAME, self._log)
        self.said: list[str] = []

    def _log(self, words: str) -> None:
        self.said.append(words)

    def add(self, count: int, kind: str = "alert", tlp: Tlp = Tlp.AMBER) -> int:
        made = [New(b'{"event_type":"%s"}' % kind.encode(), kind, class_of(kind), tlp, 1) for _ in range(count)]
        return self.outbox.append(made)[1]

    @asynccontextmanager
    async def pushing(self, consumer: Consumer) -> AsyncIterator[Pushing]:
        context = fetching_context(self.folder / "authorities.pem")
        made = Pushing(self.outbox, "health", self.folder, context, self._log)
        await made.follow([consumer])
        try:
            yield made
        finally:
            await made.stop()
            self.outbox.close()


async def until(holds: Callable[[], object], what: str) -> None:
    for _ in range(3_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)


class Collector:
    """Takes syslog over TLS."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, place: Place) -> None:
        self._server = await asyncio.start_server(self._read, "127.0.0.1", self.port, ssl=place.server)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int(await reader.readuntil(b" "))
                self.messages.append(await reader.readexactly(length))
        except asyncio.IncompleteReadError:
            writer.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 50))


def test_syslog_gets_what_it_may_have_and_the_place_moves(tmp_path: Path) -> None:
    place, collector = Place(tmp_path), Collector()

    async def test() -> None:
        await collector.start(place)
        consumer = Consumer("siem", ("alerts", "notices"), tlp="amber", syslog=f"localhost:{collector.port}")
        place.add(3)
        place.add(2, tlp=Tlp.RED)
        place.add(4, "flow")
        async with place.pushing(consumer) as pushing:
            last = place.add(1, "engine", Tlp.CLEAR)
            pushing.came()
            await until(lambda: place.outbox.position("siem").seq == last, "the place moves to the end")
            assert len(collector.messages) == 4
            assert collector.messages[-1].count(b"TLP:CLEAR") == 1
            place.add(1_200)  # more than a batch
            pushing.came()
            await until(lambda: len(collector.messages) == 1_204, "all of it comes")
        await collector.stop()

    run(test)


def test_a_collector_that_is_away_or_a_stranger_gets_nothing_and_loses_nothing(tmp_path: Path) -> None:
    place, collector = Place(tmp_path), Collector()

    async def test() -> None:
        await collector.start(place)
        port = collector.port
        await collector.stop()
        place.add(5)
        async with place.pushing(Consumer("siem", ("alerts",), syslog=f"localhost:{port}")) as pushing:
            await until(lambda: pushing.error("siem"), "it is said that nobody is there")
            assert place.outbox.position("siem").seq == 0
            await collector.start(place)
            await until(lambda: len(collector.messages) == 5, "it is sent when they are back")
            await until(lambda: pushing.error("siem") == "", "and the error is gone")
        await collector.stop()
        (tmp_path / "other").mkdir()
        other = Place(tmp_path / "other")
        other.add(1)
        (tmp_path / "other" / "authorities.pem").write_bytes(
            self_signed(["x"], datetime.datetime.now(datetime.UTC))[1]
        )
        await collector.start(place)
        async with other.pushing(Consumer("siem", ("alerts",), syslog=f"localhost:{collector.port}")) as pushing:
            await until(lambda: "certificate" in pushing.error("siem"), "a certificate that nobody signed is refused")
        assert len(collector.messages) == 5
        await collector.stop()

    run(test)


def test_a_webhook_is_called_until_it_says_yes(tmp_path: Path) -> None:
    place = Place(tmp_path)
    calls: list[tuple[int, str]] = []
    answers = iter([503, 302, 200, 200])

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        headers = request.headers
        wanted = wording.signed(KEY, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
        assert headers["webhook-signature"] == wanted["webhook-signature"]
        calls.append((body.count(b"\n"), headers["webhook-id"]))
        return web.Response(status=next(answers), headers={"Location": "https://elsewhere.example/"})

    async def test() -> None:
        app = web.Application()
        app.router.add_post("/hook", receive)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=place.server)
        await site.start()
        port = runner.addresses[0][1]
        last = place.add(3)
        async with place.pushing(Consumer("soc", ("alerts",), webhook=f"https://localhost:{port}/hook")):
            await until(lambda: place.outbox.position("soc").seq == last, "the place moves when it says yes")
        assert calls == [(3, f"health-{last}")] * 3
        await runner.cleanup()

    run(test)
    assert any("503" in words for words in place.said)
    assert any("302" in words for words in place.said)


def test_without_its_secret_nothing_is_sent(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "soc").unlink()
    place.add(1)

    async def test() -> None:
        async with place.pushing(Consumer("soc", ("alerts",), webhook="https://localhost:1/")) as pushing:
            await until(lambda: "no secret" in pushing.error("soc"), "it says what is missing")

    run(test)
    assert not any(SECRET in words for words in place.said)
