"""Indicators that are fetched: every format, as far as it is new; what is wrong is told and takes nothing away."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.events.stix import Made
from appliance.indicators.desk import Desk
from appliance.indicators.fetching import Fetcher, State
from appliance.indicators.never import Never
from appliance.indicators.office import Office
from appliance.indicators.store import NAME, Store
from appliance.policy.indicators import IndicatorSettings, IndicatorSource, Trust
from crypto.selfsigned import self_signed, server_context
from crypto.web import fetching_context


def indicator(text: str) -> dict[str, Any]:
    return {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z", "pattern_type": "stix",
        "pattern": f"[ipv4-addr:value = '{text}']", "valid_from": "2026-01-01T00:00:00Z", "confidence": 90,
    }  # fmt: skip


class Feed:
    """An https server, who fetches from it, and the desk that takes it in."""

    def __init__(self, folder: Path) -> None:
        key, certificate = self_signed(("127.0.0.1",), datetime.datetime.now(datetime.UTC))
        self.key, self.certificate = folder / "key.pem", folder / "certificate.pem"
        self.key.write_bytes(key)
        self.certificate.write_bytes(certificate)
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.pages: Callable[[web.Request], web.Response] | None = None
        self.asked: list[str] = []
        self.seen: list[str] = []
        self.logged: list[str] = []
        self.given: list[Made] = []
        self.store = Store(folder / NAME)
        self.office = Office(Desk(self.store), folder / "applyd", lambda _: None)
        self.office.start()
        trust = Trust(alert=0, block=80, lasting=0)
        settings = IndicatorSettings((IndicatorSource("feed", trust),))
        self.office.do(lambda desk, now: (None, desk.follow(settings, Never((), {}, {}), now))).result()
        self.fetcher = self.another()

    def another(self) -> Fetcher:
        return Fetcher(
            self.office,
            self.folder,
            lambda: fetching_context(self.certificate),
            self.logged.append,
            self.given.extend,
        )

    def close(self) -> None:
        self.office.stop()
        self.office.join()
        self.store.close()

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        self.seen.append(request.headers.get("Authorization", ""))
        if self.pages is not None:
            return self.pages(request)
        if request.path == "/elsewhere":
            raise web.HTTPFound("/list.csv")
        found = self.files.get(request.path)
        return web.Response(status=404) if found is None else web.Response(body=found)

    def fetch(self, path: str, form: str = "stix", *, scheme: str = "https", **more: Any) -> str:
        """Once; what is wrong."""

        async def once() -> str:
            application = web.Application()
            application.router.add_get("/{path:.*}", self._answer)
            runner = web.AppRunner(application)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(self.key, self.certificate))
            await site.start()
            (_, port), *_ = runner.addresses
            address = f"{scheme}://127.0.0.1:{port}{path}"
            source = IndicatorSource("feed", address=address, format=form, **more)  # type: ignore[arg-type]
            async with aiohttp.ClientSession() as session:
                await self.fetcher.fetch(session, source)
            await runner.cleanup()
            return self.fetcher.state("feed").error

        return asyncio.run(once())

    def in_force(self) -> set[str]:
        return {value.text for value, _ in self.office.ask(lambda desk, _: list(desk.in_force())).result()}


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Feed]:
    feed = Feed(tmp_path)
    yield feed
    feed.close()


def test_a_bundle_and_its_signature(feed: Feed) -> None:
    key = Ed25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    bundle = json.dumps({"type": "bundle", "objects": [indicator("198.51.100.1")]}).encode()
    feed.files = {"/b.json": bundle}
    assert "404" in feed.fetch("/b.json", key=public)
    feed.files["/b.json.sig"] = Ed25519PrivateKey.generate().sign(bundle)
    assert "not that of the policy's key" in feed.fetch("/b.json", key=public)
    assert feed.in_force() == set()
    feed.files["/b.json.sig"] = base64.b64encode(key.sign(bundle))
    assert feed.fetch("/b.json", key=public) == ""
    assert feed.in_force() == {"198.51.100.1"}
    assert feed.fetcher.state("feed").fetched > 0


def test_a_list_is_the_whole_list_and_an_empty_one_is_a_fault(feed: Feed) -> None:
    feed.files["/list.csv"] = b"198.51.100.1\n198.51.100.2\n"
    assert feed.fetch("/list.csv", "csv") == ""
    feed.files["/list.csv"] = b"198.51.100.2\n198.51.100.3\n"
    assert feed.fetch("/list.csv", "csv") == ""
    assert feed.in_force() == {"198.51.100.2", "198.51.100.3"}
    feed.files["/list.csv"] = b"# under maintenance\n"
    assert "empty" in feed.fetch("/list.csv", "csv")
    assert feed.in_force() == {"198.51.100.2", "198.51.100.3"}


def test_what_is_wrong_is_told_once(feed: Feed) -> None:
    for _ in range(3):
        assert "404" in feed.fetch("/nothing")
    assert len({line.split(": ")[0] for line in feed.logged}) == 1
    assert "leads to '/list.csv'" in feed.fetch("/elsewhere")
    assert "no https" in feed.fetch("/list.csv", scheme="http")
    assert "not UTF-8" in _after(feed, b"\xff\xfe\xfd")


def _after(feed: Feed, content: bytes) -> str:
    feed.files["/list.csv"] = content
    return feed.fetch("/list.csv", "csv")


def test_a_certificate_of_nobody_known_is_refused(feed: Feed) -> None:
    feed.files["/list.csv"] = b"198.51.100.1\n"
    feed.fetcher = Fetcher(feed.office, feed.folder, fetching_context, feed.logged.append, feed.given.extend)
    assert "certificate" in feed.fetch("/list.csv", "csv").lower()
    assert feed.asked == []


@pytest.mark.parametrize(
    ("said", "header"),
    [("a-token", "Bearer a-token"), ("user:pass", f"Basic {base64.b64encode(b'user:pass').decode()}")],
)
def test_the_credential_is_shown(feed: Feed, said: str, header: str) -> None:
    feed.files["/list.csv"] = b"198.51.100.1\n"
    path = feed.folder / "csirt"
    path.write_text(f"{said}\n")
    path.chmod(0o644)
    assert "others may read it" in feed.fetch("/list.csv", "csv", credential="csirt")
    path.chmod(0o400)
    assert feed.fetch("/list.csv", "csv", credential="csirt") == ""
    assert feed.seen == [header]
    assert "No such file" in feed.fetch("/list.csv", "csv", credential="other")


def test_events_of_a_misp_feed_are_fetched_when_they_are_new(feed: Feed) -> None:
    one, two = str(uuid.uuid4()), str(uuid.uuid4())

    def event(text: str) -> bytes:
        attribute = {"type": "ip-dst", "value": text, "uuid": str(uuid.uuid4()), "to_ids": True, "timestamp": "1"}
        return json.dumps({"Event": {"uuid": one, "Attribute": [attribute]}}).encode()

    feed.files["/f/manifest.json"] = json.dumps({one: {"timestamp": "100"}, "../evil": {"timestamp": "1"}}).encode()
    feed.files[f"/f/{one}.json"] = event("198.51.100.1")
    assert feed.fetch("/f/", "misp") == ""
    assert feed.fetch("/f/manifest.json", "misp") == ""
    assert feed.asked.count(f"/f/{one}.json") == 1
    manifest = {one: {"timestamp": "100"}, two: {"timestamp": 200}}
    feed.files |= {"/f/manifest.json": json.dumps(manifest).encode(), f"/f/{two}.json": event("198.51.100.2")}
    assert feed.fetch("/f/", "misp") == ""
    assert feed.asked.count(f"/f/{one}.json") == 1
    assert feed.in_force() == {"198.51.100.1", "198.51.100.2"}


def test_a_taxii_collection_is_followed_page_by_page(feed: Feed) -> None:
    texts = [f"198.51.100.{number}" for number in range(7)]
    asked: list[dict[str, str]] = []

    def page(request: web.Request) -> web.Response:
        """Two objects a page, each added at the second that its number says."""
        asked.append(dict(request.query))
        after = request.query.get("added_after", "")
        first = int(request.query.get("next") or (int(after[17:19]) + 1 if after else 0))
        some = texts[first : first + 2]
        last = first + len(some) - 1
        more = last + 1 < len(texts)
        body = {"objects": [indicator(text) for text in some], "more": more} | (
            {"next": str(last + 1)} if more else {}
        )
        headers = {"X-TAXII-Date-Added-Last": f"2026-01-01T00:00:{last:02d}.000Z"} if some else {}
        return web.json_response(body, headers=headers)

    feed.pages = page
    assert feed.fetch("/c/1/", "taxii") == ""
    assert feed.in_force() == set(texts)
    assert set(feed.asked) == {"/c/1/objects/"}
    texts += ["198.51.100.77"]
    before = len(asked)
    assert feed.fetch("/c/1", "taxii") == ""
    assert feed.in_force() == set(texts)
    assert len(asked) == before + 1
    assert asked[-1]["added_after"] == "2026-01-01T00:00:06.000Z"
    assert "not signed" in feed.fetch("/c/1/", "taxii", key="x")


def test_a_restart_goes_on_where_it_was(feed: Feed) -> None:
    async def remembered() -> str:
        source = IndicatorSource("feed", address="https://feed.example/f/", format="misp")
        await feed.fetcher._remember(source, State(1.0, "100 x", "a fault"))
        elsewhere = IndicatorSource("feed", address="https://other.example/f/", format="misp")
        assert (await feed.another()._remembered(elsewhere)).place == ""
        return (await feed.another()._remembered(source)).place

    assert asyncio.run(remembered()) == "100 x"
