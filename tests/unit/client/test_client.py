"""The typed client: it is what the API is now, and asks a console over TLS as its types say."""

from __future__ import annotations

import asyncio
import datetime
import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from appliance.client.asking import Answered, Asker
from appliance.client.transport import RefusedError, Transport, Unreachable
from appliance.console.context import Ctx
from appliance.console.registry import Answer, Paged, endpoint
from crypto.selfsigned import self_signed, server_context
from tests.unit.console.serving import serving

ROOT = Path(__file__).resolve().parents[3]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("client_generator", ROOT / "tools" / "client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_client_is_what_the_api_is_now() -> None:
    """Where it is not: tools/client.py writes it again."""
    made = generator()
    assert made.text(made.document()) == made.FILE.read_text()


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: str


@endpoint("GET", "/things", permission="look", answers=tuple[int, ...], paged=True)
async def things(ctx: Ctx, query: Paged) -> Answer:
    """Two numbers a page."""
    first = int(query.after or 0)
    return Answer((first, first + 1), after=str(first + 2) if first < 4 else "")


@endpoint("PUT", "/things/{id}", permission="edit", answers=Thing, match=True, tagged=True)
async def put(ctx: Ctx, id: str, body: Thing) -> Answer:
    """Say it back."""
    ctx.match("7")
    return Answer(Thing(f"{id}: {body.words}"), tag="8", changed=True)


THINGS = ModuleType(__name__)
vars(THINGS).update(things=things, put=put)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, Path]]:
    """(url, certificate) of a console over TLS, in a thread of its own."""
    key, certificate = self_signed(("127.0.0.1",), datetime.datetime.now(datetime.UTC))
    (folder / "key.pem").write_bytes(key)
    (folder / "certificate.pem").write_bytes(certificate)
    context = server_context(folder / "key.pem", folder / "certificate.pem")
    ready, loop, ends = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        async with serving([THINGS], tls=context) as one:
            ports.append(one.port)
            ready.set()
            await ends.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield f"https://127.0.0.1:{ports[0]}", folder / "certificate.pem"
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join(30)
        loop.close()


def test_it_asks_and_is_answered(tmp_path: Path) -> None:
    with served(tmp_path) as (url, certificate):
        asker = Asker(Transport(url, "amara", certificate))
        found: list[int] = []
        page: Answered[tuple[int, ...]] = asker._json("GET", "/api/v1/things", tuple[int, ...])
        while True:
            found += page.value
            if not page.after:
                break
            page = asker._json("GET", "/api/v1/things", tuple[int, ...], query={"after": page.after, "limit": None})
        assert found == [0, 1, 2, 3, 4, 5]
        said: Answered[Thing] = asker._json("PUT", "/api/v1/things/a%2Fb", Thing, body=Thing("words"), if_match="7")
        assert (said.value.words, said.tag, said.changed) == ("a/b: words", "8", True)
        with pytest.raises(RefusedError) as caught:
            asker._json("PUT", "/api/v1/things/1", Thing, body=Thing("words"), if_match="6")
        assert (caught.value.refusal.status, caught.value.refusal.code) == (412, "version")
        with pytest.raises(RefusedError) as caught:
            Asker(Transport(url, "nobody", certificate))._json("GET", "/api/v1/things", tuple[int, ...])
        assert caught.value.refusal.code == "unauthorized"


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with served(tmp_path) as (url, _), pytest.raises(Unreachable, match=r"(?i)certificate"):
        Transport(url, "amara").ask("GET", "/api/v1/things")


@pytest.mark.parametrize(
    "url", ["http://gateway.example", "https://", "gateway.example", "https://gateway.example/path"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        Transport(url, "token")
