"""Live events: in order, resumed where they stopped, only for who may see them, and quickly for many at once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import aiohttp

from appliance.console.callers import Caller
from tests.unit.console.serving import Names, Served, serving

VIEWERS = 200


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, str]]:
    """(id, event, data) as they come."""
    found: dict[str, str] = {}
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            found[name] = value
        elif found.get("event"):
            yield found.get("id", ""), found["event"], found.get("data", "")
            found = {}


@contextlib.asynccontextmanager
async def looking(
    served: Served, person: str = "amara", *, kinds: str = "", last: str = ""
) -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {"Authorization": f"Bearer {person}", **({"Last-Event-ID": last} if last else {})}
    timeout = aiohttp.ClientTimeout(60)
    async with served.session.get(f"{served.url}/api/v1/live{kinds}", headers=headers, timeout=timeout) as answer:
        assert answer.status == 200
        yield answer


def people(served: Served) -> dict[str, Caller]:
    door = served.console.door
    assert isinstance(door, Names)
    return door.people


async def joined(served: Served, count: int) -> None:
    async with asyncio.timeout(30):
        while served.console.live.viewers < count:
            await asyncio.sleep(0.005)


def test_they_come_in_order_and_go_on_where_they_stopped() -> None:
    async def story() -> None:
        async with serving() as served:
            live = served.console.live
            live.publish("status", {"n": 0}, state=True)
            async with looking(served) as answer:
                assert answer.content_type == "text/event-stream"
                stream = events(answer)
                assert (await anext(stream))[1:] == ("status", '{"n":0}')
                live.publish("alert", {"n": 1})
                live.publish("alert", {"n": 2})
                last, kind, data = await anext(stream)
                assert (kind, data) == ("alert", '{"n":1}')
            async with looking(served, last=last) as answer:
                stream = events(answer)
                assert (await anext(stream))[1:] == ("alert", '{"n":2}')
            async with looking(served, last="another-life-7") as answer:
                stream = events(answer)
                assert (await anext(stream))[1] == "reset"
                assert (await anext(stream))[1:] == ("status", '{"n":0}')

    asyncio.run(asyncio.wait_for(story(), 50))


def test_everybody_sees_what_is_for_them() -> None:
    async def story() -> None:
        async with serving() as served, looking(served, kinds="?kind=draft&kind=alert") as answer:
            await joined(served, 1)
            live = served.console.live
            live.publish("draft", {"of": "ben"}, person="ben")
            live.publish("alert", {"secret": 1}, permission="audit")
            live.publish("flow", {"n": 1})
            live.publish("draft", {"of": "amara"}, person="amara")
            assert (await anext(events(answer)))[2] == '{"of":"amara"}'

    asyncio.run(asyncio.wait_for(story(), 50))


def test_what_is_asked_for_everybody_is_asked_in_the_name_of_one_who_looks() -> None:
    """And what costs the gateway work only where somebody asks for it by its name."""

    async def story() -> None:
        async with serving() as served:
            live = served.console.live
            assert live.watcher("alert") is None
            async with looking(served, "ben"), looking(served, "amara", kinds="?kind=flow"):
                await joined(served, 2)
                plain, named = live.watcher("alert"), live.watcher("flow")
                assert plain is not None and named is not None
                assert (plain.person, named.person) == ("ben", "amara")
                address, port, own, own_port = plain.session.split()
                assert (address, own, int(own_port)) == ("127.0.0.1", "127.0.0.1", served.port)
                assert int(port) > 0
            async with asyncio.timeout(30):
                while live.watcher("alert") is not None or live.watcher("flow") is not None:
                    live.publish("alert", {})  # who went is noticed when something is written to them
                    await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(story(), 50))


def test_who_was_let_out_sees_nothing_more() -> None:
    async def story() -> None:
        async with serving() as served, looking(served) as answer:
            await joined(served, 1)
            del people(served)["amara"]
            served.console.live.publish("alert", {"n": 1})
            assert [data async for _, _, data in events(answer)] == []

    asyncio.run(asyncio.wait_for(story(), 50))


def test_many_look_at_once() -> None:
    """Each of many viewers gets each of the events, in order; the output has how soon."""

    async def story() -> None:
        async with serving() as served:
            for number in range(VIEWERS):
                people(served)[f"p{number}"] = Caller(f"p{number}", "P", frozenset({"look"}))
            late: list[float] = []

            async def view(person: str) -> None:
                async with looking(served, person) as answer:
                    numbers = []
                    async for _, _, data in events(answer):
                        late.append(time.monotonic() - float(data.split(":")[2].rstrip("}")))
                        numbers.append(int(data.split(":")[1].split(",")[0]))
                        if len(numbers) == 20:
                            break
                    assert numbers == list(range(20))

            viewing = [asyncio.create_task(view(f"p{number}")) for number in range(VIEWERS)]
            await joined(served, VIEWERS)
            for number in range(20):
                served.console.live.publish("alert", {"n": number, "at": time.monotonic()})
                await asyncio.sleep(0.02)
            await asyncio.gather(*viewing)
            assert len(late) == VIEWERS * 20
            print(f"p99 {sorted(late)[len(late) * 99 // 100] * 1000:.1f} ms")

    asyncio.run(asyncio.wait_for(story(), 50))
