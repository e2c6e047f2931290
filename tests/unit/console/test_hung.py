"""A process that took a request and does not answer: nobody waits for ever, and nothing is done behind their back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from appliance.console.asking import Asking
from appliance.console.context import Ctx
from appliance.console.problems import UNANSWERED, Problem
from appliance.console.registry import endpoint
from appliance.control.ipc import Peer, Server, Unanswered, call_async
from appliance.control.messages.changes import DraftList, DropDraft, Marks, MarksAre
from appliance.control.messages.gateway import Reply, Request, Status
from appliance.control.processes import PROCESSES, Identity, Instance
from tests.unit.console.serving import serving

SESSION = "192.0.2.7 50000 192.0.2.1 8444"


def instance_at(folder: Path) -> Instance:
    identities = {row.name: Identity(1, 1) for row in PROCESSES}
    instance = Instance("a test", f"{folder}/run", f"{folder}/state", f"{folder}/config", identities, 1)
    for name in ("policyd", "alertd"):
        instance.socket(name).parent.mkdir(parents=True)
    return instance


@contextlib.asynccontextmanager
async def hanging(path: Path) -> AsyncIterator[None]:
    """A process that is stopped: the kernel takes connections and bytes for it."""
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_unix_server(hang, str(path))
    try:
        yield
    finally:
        server.close()
        over.set()


async def lets_wait(asking: Asking, timeout: float = 60.0, of: str = "policyd") -> tuple[str, float]:
    """The code of the refusal, and after how many seconds it came."""
    began = time.monotonic()
    with pytest.raises(Problem) as refused:
        await asking.ask("amara", SESSION, DropDraft("d-1"), DraftList, of, timeout)  # type: ignore[arg-type]
    return refused.value.code, time.monotonic() - began


def run(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 50))


def test_who_waits_for_a_process_that_hangs_is_let_go(tmp_path: Path) -> None:
    async def story() -> None:
        instance = instance_at(tmp_path)
        asking = Asking(instance, patience=0.5)
        async with hanging(instance.socket("policyd")):
            waiting = [asyncio.create_task(lets_wait(asking)) for _ in range(30)]
            with pytest.raises(Unanswered):
                await asking.status()
            found = await asyncio.gather(*waiting)  # not after a minute each
            assert {code for code, _ in found} <= {UNANSWERED, "away"}
            assert UNANSWERED in {code for code, _ in found}
            assert (await lets_wait(asking))[0] == UNANSWERED
        instance.socket("policyd").unlink(missing_ok=True)  # from 3.13 on the server took it away
        assert (await lets_wait(asking))[0] == "away", "that nothing was sent is said otherwise"

    run(story)


def test_a_process_that_answers_again_is_waited_for_again(tmp_path: Path) -> None:
    async def answer(request: Request, peer: Peer) -> Reply:
        return MarksAre(7, 7)

    async def story() -> None:
        instance = instance_at(tmp_path)
        path = instance.socket("alertd")
        asking = Asking(instance, patience=30.0)  # for the second question: nobody knows how busy this machine is
        async with hanging(path):
            assert (await lets_wait(asking, timeout=0.3, of="alertd"))[0] == UNANSWERED
        server = Server(path, {Status: lambda _: True}, answer)
        await server.start()
        # It refuses a message that it does not know, and so is known to be there.
        assert (await lets_wait(asking, of="alertd"))[0] == "not-allowed"
        assert not asking._silent
        await server.stop()

    run(story)


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "asked-all"])
def test_what_nobody_waits_for_any_more_is_not_begun(tmp_path: Path, gone: bool) -> None:
    done: list[Request] = []

    async def answer(request: Request, peer: Peer) -> Reply:
        done.append(request)
        return MarksAre(1, 1)

    async def story() -> None:
        path = tmp_path / "policyd.sock"
        server = Server(path, {Marks: lambda _: True}, answer)
        await server.start()
        asked = asyncio.create_task(call_async(path, Marks(), MarksAre))
        body = msgspec.json.encode(Marks())
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(len(body).to_bytes(4, "big") + body)
        if gone:
            writer.close()
        else:
            writer.write_eof()
        await asked
        if not gone:
            await reader.readexactly(4)
            writer.close()
        await call_async(path, Marks(), MarksAre)  # who comes later is taken in later
        while server._open.total():
            await asyncio.sleep(0.01)
        await server.stop()
        assert len(done) == (2 if gone else 3)

    run(story)


@endpoint("POST", "/drop", permission="edit", answers=DraftList)
async def drop(ctx: Ctx) -> DraftList:
    """Drop a draft."""
    return await ctx.ask(DropDraft("d-1"), DraftList, timeout=0.3)


NOUN = ModuleType(__name__)
vars(NOUN).update(drop=drop)


def test_a_change_of_which_nobody_knows_whether_it_was_made_is_not_made_again() -> None:
    """Under the same key; what was never handed on may be asked again."""

    async def story() -> None:
        async with serving([NOUN]) as served:
            headers = {"Authorization": "Bearer amara", "Idempotency-Key": "one"}

            async def ask() -> tuple[int, str]:
                async with served.session.post(f"{served.url}/api/v1/drop", headers=headers) as answer:
                    return answer.status, (await answer.json(content_type=None))["code"]

            path = served.console.instance.socket("policyd")
            path.parent.mkdir(parents=True)
            assert await ask() == (503, "away")
            async with hanging(path):
                assert await ask() == (503, UNANSWERED)
                assert await ask() == (409, "outcome-unknown")

    run(story)
