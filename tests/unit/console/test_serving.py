"""The frame around endpoints: who may, what is taken, how it is refused; over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from appliance.console.context import Ctx
from appliance.console.problems import forbidden
from appliance.console.registry import Answer, Paged, Raw, endpoint
from appliance.console.serving import LIMITS
from appliance.serving.listening import Limits
from tests.unit.console.serving import MINE, OURS, Names, Served, cookie_of, serving


class Thing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: str


STATE = {"version": 7, "made": 0}
HELD: list[asyncio.Event] = []


@endpoint("GET", "/things", permission="look", answers=tuple[int, ...], paged=True)
async def things(ctx: Ctx, query: Paged) -> Answer:
    """Numbers up to ten."""
    start = int(query.after or 0)
    found = tuple(range(start, min(10, start + query.limit)))
    return Answer(found, after=str(found[-1] + 1) if found and found[-1] < 9 else "")


@endpoint("GET", "/things/{id}", permission="look", answers=Thing, tagged=True)
async def thing(ctx: Ctx, id: int) -> Answer:
    """One of them."""
    return Answer(Thing(f"{ctx.person.name}: {id}"), tag=str(STATE["version"]))


@endpoint("PUT", "/things/{id}", permission="edit", answers=Thing, match=True, tagged=True, largest=1000)
async def put(ctx: Ctx, id: int, body: Thing) -> Answer:
    """Say something of it."""
    ctx.match(str(STATE["version"]))
    return Answer(body, tag="8", changed=False)


@endpoint("POST", "/things", permission="edit", answers=int, status=201)
async def make(ctx: Ctx, body: Thing) -> int:
    """Make one."""
    if body.words == "never":
        raise forbidden("never")
    if body.words == "broken":
        raise RuntimeError("a fault of the console")
    if body.words == "held":
        HELD.append(asyncio.Event())
        await HELD[-1].wait()
    STATE["made"] += 1
    return STATE["made"]


@endpoint("PUT", "/table", permission="edit", answers="text/csv", takes="text/csv")
async def table(ctx: Ctx, body: bytes) -> Raw:
    """A table and back."""
    return Raw(body, "text/csv", name="table.csv")


@endpoint("GET", "/trail", permission="audit", answers=str)
async def trail(ctx: Ctx) -> str:
    """For auditors."""
    return "trail"


THINGS = ModuleType(__name__)
vars(THINGS).update(things=things, thing=thing, put=put, make=make, table=table, trail=trail)

Status = tuple[int, Any, dict[str, str]]
Asking = Callable[..., Awaitable[Status]]


def run(story: Callable[[Asking, Served], Awaitable[None]], limits: Limits = LIMITS) -> None:
    async def told() -> None:
        async with serving([THINGS], limits=limits) as served:

            async def ask(method: str, path: str, **more: Any) -> Status:
                headers = more.pop("headers", MINE)
                url = f"{served.url}/api/v1{path}"
                async with served.session.request(method, url, headers=headers, **more) as answer:
                    data = await answer.read()
                    json_ = "json" in answer.content_type and bool(data)
                    named = {name.lower(): value for name, value in answer.headers.items()}
                    return answer.status, json.loads(data) if json_ else data, named

            await story(ask, served)

    asyncio.run(asyncio.wait_for(told(), 50))


def test_who_may_what() -> None:
    async def story(ask: Asking, _: Served) -> None:
        assert (await ask("GET", "/things/1"))[1] == {"words": "Amara Diaz: 1"}
        assert (await ask("GET", "/things/1", headers={}))[0] == 401
        assert (await ask("GET", "/trail"))[1]["code"] == "not-allowed"
        assert (await ask("GET", "/trail", headers={"Authorization": "Bearer olu"}))[1] == "trail"
        assert (await ask("PUT", "/things/1", json={}, headers={"Authorization": "Bearer ben"}))[0] == 403

    run(story)


def test_a_page_says_when_nobody_is_at_the_screen() -> None:
    async def story(ask: Asking, served: Served) -> None:
        door = served.console.door
        assert isinstance(door, Names)
        for said, attended in (({}, True), ({"X-Reef-Unattended": "1"}, False), ({"X-Reef-Unattended": "0"}, True)):
            assert (await ask("GET", "/things/1", headers={**MINE, **said}))[0] == 200
            assert door.attended is attended

    run(story)


def test_what_is_not_known_is_refused() -> None:
    async def story(ask: Asking, _: Served) -> None:
        match = {**MINE, "If-Match": '"7"'}
        assert (await ask("GET", "/things?limit=x"))[0] == 400
        assert (await ask("GET", "/things?other=1"))[0] == 400
        assert (await ask("GET", "/things/one"))[0] == 404
        assert (await ask("GET", "/nothing"))[1]["code"] == "unknown"
        status, body, headers = await ask("DELETE", "/things/1")
        assert (status, body["code"], headers["allow"]) == (405, "method", "GET,PUT")
        for body in ({}, {"words": 1}, {"words": "a", "more": 1}, []):
            status, told, headers = await ask("PUT", "/things/1", json=body, headers=match)
            assert (status, told["status"], told["code"]) == (400, 400, "bad-request")
            assert headers["content-type"] == "application/problem+json"
        assert (await ask("PUT", "/things/1", data=b"{", headers={**match, "Content-Type": "application/json"}))[
            0
        ] == 400
        assert (await ask("PUT", "/things/1", data=b"words=a", headers=match))[0] == 415

    run(story)


def test_a_change_says_which_state_it_saw() -> None:
    async def story(ask: Asking, _: Served) -> None:
        body = {"words": "a"}
        assert (await ask("PUT", "/things/1", json=body))[0] == 428
        status, told, headers = await ask("PUT", "/things/1", json=body, headers={**MINE, "If-Match": '"6"'})
        assert (status, told["code"], headers["etag"]) == (412, "version", '"7"')
        status, _told, headers = await ask("PUT", "/things/1", json=body, headers={**MINE, "If-Match": '"7"'})
        assert (status, headers["etag"], headers["reef-changed"]) == (200, '"8"', "no")

    run(story)


def test_what_a_client_has_is_not_sent_again_where_nothing_of_it_is_other() -> None:
    async def story(ask: Asking, _: Served) -> None:
        headers = (await ask("GET", "/things"))[2]
        assert (await ask("GET", "/things", headers={**MINE, "If-None-Match": headers["etag"]}))[0] == 304
        assert (await ask("GET", "/things?limit=4", headers={**MINE, "If-None-Match": headers["etag"]}))[0] == 200
        # Whoever else looks at the same state is told something else.
        _status, told, headers = await ask("GET", "/things/1")
        other = {"Authorization": "Bearer olu", "If-None-Match": headers["etag"]}
        again = await ask("GET", "/things/1", headers=other)
        assert (again[0], again[2]["etag"]) == (200, headers["etag"])
        assert again[1] != told

    run(story)


def test_a_list_leads_to_its_next_page() -> None:
    async def story(ask: Asking, served: Served) -> None:
        found: list[int] = []
        path = "/things?limit=4"
        while path:
            _, page, headers = await ask("GET", path)
            found += page
            link = headers.get("link", "")
            assert not link or link.endswith('; rel="next"')
            path = link.partition(">")[0].removeprefix("</api/v1")
        assert found == list(range(10))

    run(story)


def test_a_key_makes_a_change_happen_once() -> None:
    async def story(ask: Asking, _: Served) -> None:
        keyed = {**MINE, "Idempotency-Key": "one"}
        status, made, _headers = await ask("POST", "/things", json={"words": "a"}, headers=keyed)
        assert status == 201
        status, again, headers = await ask("POST", "/things", json={"words": "a"}, headers=keyed)
        assert (status, again, headers["idempotency-replayed"]) == (201, made, "true")
        assert (await ask("POST", "/things", json={"words": "b"}, headers=keyed))[0] == 422
        two = {**MINE, "Idempotency-Key": "two"}
        first = asyncio.create_task(_held(ask, two))
        while not HELD:
            await asyncio.sleep(0.01)
        found = await asyncio.gather(*(_held(ask, two) for _ in range(4)))
        assert [told["code"] for _, told, _ in found] == ["in-progress"] * 4
        HELD.pop().set()
        assert (await first)[0] == 201
        refused = {**MINE, "Idempotency-Key": "three"}
        assert (await ask("POST", "/things", json={"words": "never"}, headers=refused))[0] == 403
        assert (await ask("POST", "/things", json={"words": "never"}, headers=refused))[0] == 403
        broken = {**MINE, "Idempotency-Key": "four"}
        assert (await ask("POST", "/things", json={"words": "broken"}, headers=broken))[0] == 500
        _status, told, _headers = await ask("POST", "/things", json={"words": "broken"}, headers=broken)
        assert told["code"] == "outcome-unknown"

    run(story)


async def _held(ask: Asking, headers: dict[str, str]) -> Status:
    return await ask("POST", "/things", json={"words": "held"}, headers=headers)


def test_a_session_changes_nothing_from_a_foreign_page() -> None:
    async def story(ask: Asking, _: Served) -> None:
        cookie = cookie_of("amara")
        body = {"words": "a"}
        status, told, _headers = await ask("POST", "/things", json=body, headers=cookie)
        assert (status, told["code"]) == (403, "csrf")
        foreign = {**cookie, "X-Reef": "1", "Sec-Fetch-Site": "cross-site"}
        assert (await ask("POST", "/things", json=body, headers=foreign))[1]["code"] == "csrf"
        assert (await ask("POST", "/things", json=body, headers={**cookie, **OURS}))[0] == 201
        assert (await ask("GET", "/things/1", headers=cookie))[0] == 200

    run(story)


def test_a_table_is_no_json() -> None:
    async def story(ask: Asking, _: Served) -> None:
        status, body, headers = await ask(
            "PUT", "/table", data=b"a,b\n", headers={**MINE, "Content-Type": "text/csv"}
        )
        assert (status, body) == (200, b"a,b\n")
        assert headers["content-disposition"] == 'attachment; filename="table.csv"'

    run(story)


def test_a_body_that_is_too_large_is_not_read() -> None:
    async def story(ask: Asking, served: Served) -> None:
        match = {**MINE, "If-Match": '"7"', "Content-Type": "application/json"}
        assert (await ask("PUT", "/things/1", data=b" " * 1001, headers=match))[1]["code"] == "too-large"
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = "PUT /api/v1/things/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer amara\r\nIf-Match: *\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] == b"413"
        writer.close()

    run(story)


@pytest.mark.parametrize("sent", [b"", b"GET /api/v1/things HTTP/1.1\r\nHost: a\r\n"])
def test_who_does_not_finish_a_head_is_cut_off(sent: bytes) -> None:
    async def story(ask: Asking, served: Served) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(sent)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
        assert (await ask("GET", "/things/1"))[0] == 200

    run(story, Limits(head=0.2))


def test_one_address_has_so_many_connections_and_no_more() -> None:
    async def story(ask: Asking, served: Served) -> None:
        held = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(8)]
        ends = [asyncio.create_task(reader.read()) for reader, _ in held]
        done, _ = await asyncio.wait(ends, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert done, "nobody was turned away"
        for _, writer in held:
            writer.close()
        await asyncio.gather(*ends, return_exceptions=True)

    run(story, Limits(of_address=4))


def test_connections_from_before_a_change_end() -> None:
    async def story(ask: Asking, served: Served) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        request = b"GET /api/v1/things/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer amara\r\n\r\n"
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"connection: close" not in head.lower()
        await reader.readexactly(len(b'{"words":"Amara Diaz: 1"}'))
        served.connections.renew()
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()

    run(story)
