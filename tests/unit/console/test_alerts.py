"""Alerts over HTTP and as live events: the application and alertd's desk on real sockets, over a real outbox."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec

from appliance.console.alertline import AlertLine
from appliance.console.alertrows import row, view
from appliance.control.ipc import Peer, Server
from appliance.control.messages.alerts import AlertCounts, AlertIs, Alerts, AlertsBehind, AlertWith, KeptEvent
from appliance.control.messages.gateway import Refused, Reply, Request
from appliance.events import record
from appliance.events.alerts import AlertRequest
from dataplane.detections import finding
from tests.unit.console.serving import MINE, Served, serving
from tests.unit.console.test_streams import events, looking
from tests.unit.events.keptalerts import NOW, Kept

_TYPES = (Alerts, AlertWith, AlertsBehind, AlertCounts)


class _Agency:
    """This process asks in the name of people, and they may."""

    uid = os.getuid()

    async def refusal(self, person: str, request: type) -> Refused | None:
        return None if person in ("amara", "ben") else Refused("nobody", person)


@contextlib.asynccontextmanager
async def answering(served: Served, kept: Kept) -> AsyncIterator[None]:
    """alertd's answers, where the console asks for them."""

    async def answer(request: Request, peer: Peer) -> Reply:
        return await kept.desk.answer(cast(AlertRequest, request))

    path = served.console.instance.socket("alertd")
    path.parent.mkdir(parents=True, exist_ok=True)
    server = Server(path, dict.fromkeys(_TYPES, lambda peer: False), answer, agency=_Agency())
    await server.start()
    try:
        yield
    finally:
        await server.stop()


async def get(served: Served, path: str) -> tuple[int, Any, str]:
    async with served.session.get(f"{served.url}/api/v1{path}", headers=MINE) as answer:
        return answer.status, await answer.json(content_type=None), answer.headers.get("Link", "")


def ids(found: Any) -> list[int]:
    return [one["id"] for one in found["alerts"]]


def test_they_are_listed_in_pages_and_chosen(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    numbers = [kept.alert(sid, severity=sid) for sid in (3, 2, 1)]

    async def story() -> None:
        async with serving() as served, answering(served, kept):
            status, found, link = await get(served, "/alerts?limit=2")
            assert (status, ids(found), found["through"]) == (200, numbers[:0:-1], numbers[-1])
            following = link.partition("<")[2].partition(">")[0].removeprefix("/api/v1")
            assert ids((await get(served, following))[1]) == numbers[:1]
            assert ids((await get(served, "/alerts?severity=1"))[1]) == numbers[2:]
            assert (await get(served, "/alerts?address=nowhere"))[0] == 400
            assert (await get(served, "/alerts?kind=rumour"))[0] == 400
            status, counted, _ = await get(served, "/alerts/counts")
            assert (status, counted["hour"], [one["sid"] for one in counted["signatures"]]) == (200, 3, [1, 2, 3])
            assert (await get(served, "/alerts/4711"))[0] == 404
        async with serving() as served:
            assert (await get(served, "/alerts"))[0] == 503

    asyncio.run(asyncio.wait_for(story(), 50))
    kept.outbox.close()


def test_one_is_told_with_its_connection(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.other("http", flow=9)
    number = kept.alert(2019401, flow=9, severity=1, action="blocked")

    async def story() -> None:
        async with serving() as served, answering(served, kept):
            status, found, _ = await get(served, f"/alerts/{number}")
            assert status == 200
            said = found["alert"]
            assert (said["signature"], said["action"], said["rule"]) == ("1:2019401", "blocked", "R-1")
            assert (said["from_zone"], said["to_zone"], said["flow"]) == ("internet", "lan", "9")
            assert [one["type"] for one in found["events"]] == ["http"]
            assert json.loads(found["line"])["flow_id"] == 9
            assert found["bannable"] is True

    asyncio.run(asyncio.wait_for(story(), 50))
    kept.outbox.close()


def test_the_rule_is_known_from_what_the_kernel_says_of_the_connection(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    number = kept.alert(flow=9, rule="", community="1:abc/=")
    kept.other("flow", flow=4711, rule="R-9", community="1:other=")
    mine = kept.other("flow", flow=4712, rule="R-5", community="1:abc/=")

    async def story() -> None:
        async with serving() as served, answering(served, kept):
            _, found, _ = await get(served, f"/alerts/{number}")
            assert ([one["id"] for one in found["events"]], found["rule"]) == ([mine], "R-5")

    asyncio.run(asyncio.wait_for(story(), 50))
    kept.outbox.close()


class Watching:
    """A page: the alerts that it was sent, and what was said of alertd."""

    def __init__(self) -> None:
        self.last = ""
        self.seen: list[int] = []
        self.said: list[dict[str, Any]] = []

    async def read(self, served: Served, until: int = 0, *, away: bool = False) -> None:
        """Until that alert came, or it was said that nobody knows; then the line breaks."""
        async with looking(served, kinds="?kind=alert", last=self.last) as answer:
            async for name, kind, data in events(answer):
                assert kind == "alert", "nothing has to be asked for anew"
                self.last = name
                said = json.loads(data)
                self.said.append(said)
                self.seen += ids(said)
                if until in self.seen or (away and said["away"]):
                    return


def test_each_comes_once_whatever_breaks(tmp_path: Path) -> None:
    """The line of the viewer breaks, then alertd goes away and comes back: none is lost, none comes twice."""
    kept = Kept(tmp_path)
    kept.alert()

    async def story() -> None:
        page = Watching()

        async def comes() -> int:
            number = kept.alert()
            kept.desk.came()
            return number

        async with serving() as served:
            line = asyncio.create_task(AlertLine(served.console).follow())
            reading = asyncio.create_task(page.read(served, away=True))
            await reading
            assert (page.said[0]["as_of"], page.seen) == (0, []), "it was never known"
            async with answering(served, kept):
                reading = asyncio.create_task(page.read(served, until=3))
                while len(page.said) < 2:
                    await asyncio.sleep(0.01)
                assert (page.said[1]["away"], page.said[1]["after"]) == ("", 1), (
                    "what was there before is in the list"
                )
                numbers = [await comes(), await comes()]
                await reading
                numbers.append(await comes())  # while nobody looks
                await page.read(served, until=numbers[-1])
            numbers.append(await comes())
            await page.read(served, away=True)
            assert "alertd" in page.said[-1]["away"]
            assert page.said[-1]["as_of"] > 0
            async with answering(served, kept):
                numbers.append(await comes())
                await page.read(served, until=numbers[-1])
            assert page.said[-1]["away"] == ""
            assert page.seen == numbers
            line.cancel()

    asyncio.run(asyncio.wait_for(story(), 55))
    kept.outbox.close()


def test_what_was_skipped_is_behind_what_a_page_has(tmp_path: Path) -> None:
    kept = Kept(tmp_path)

    async def story() -> None:
        async with serving() as served, answering(served, kept):
            line = asyncio.create_task(AlertLine(served.console).follow())
            async with looking(served, kinds="?kind=alert") as answer:
                stream = events(answer)
                begun = json.loads((await anext(stream))[2])
                assert (begun["after"], begun["through"]) == (0, 0)
                numbers = [kept.alert() for _ in range(70)]
                kept.desk.came()
                said = json.loads((await anext(stream))[2])
                assert said["after"] == ids(said)[0] - 1 > begun["through"]
                assert ids(said) == numbers[-len(ids(said)) :]
            line.cancel()

    asyncio.run(asyncio.wait_for(story(), 50))
    kept.outbox.close()


def body(event: record.Event, **ours: Any) -> bytes:
    whole = msgspec.json.decode(record.encode(event))
    if ours:
        whole.setdefault("metadata", {}).setdefault("flowvars", []).insert(0, {"gid": "reef", **ours})
    return msgspec.json.encode(whole)


def test_a_finding_explains_itself() -> None:
    found = finding.Finding(
        "port-scan", NOW, NOW - 60, "203.0.113.66", "203.0.113.66 asked 200 ports", "ban it", "high", 200, 50,
        victim="10.20.0.12",
    )  # fmt: skip
    said = view(AlertIs(KeptEvent(7, "amber", body(finding.event(found))), (), 0, True))
    assert said is not None and said.explained is not None
    assert (said.alert.kind, said.alert.at, said.alert.tlp) == ("finding", NOW, "amber")
    assert (said.explained.words, said.explained.remedy) == ("203.0.113.66 asked 200 ports", "ban it")
    assert said.explained.technique == "T1046"


def test_whom_a_pseudonym_stands_for_is_not_asked_and_not_banned() -> None:
    event = record.banned("fd00::7 did it", "fd00::7", seconds=NOW)
    hidden = view(AlertIs(KeptEvent(7, "amber", body(event, pseudonyms=True, key=1)), (), 0, True))
    plain = view(AlertIs(KeptEvent(7, "amber", body(event, generation=3)), (), 0, True))
    assert hidden is not None and plain is not None
    assert (hidden.bannable, hidden.why, hidden.alert.pseudonyms) == (False, "", True)
    assert (plain.bannable, plain.alert.generation, plain.alert.source) == (True, 3, "fd00::7")


def test_lines_that_are_no_alert_are_none() -> None:
    for line in (b"{", b"{}", b'{"timestamp":"then","event_type":"alert","alert":{}}', b'{"event_type":"flow"}'):
        assert row(KeptEvent(1, "amber", line)) is None


def test_what_stands_there_in_the_wrong_form_breaks_nothing() -> None:
    event = record.alert(1, "a", "b", seconds=NOW)
    wrong = body(event, rule=7)
    odd = msgspec.json.encode({**msgspec.json.decode(body(event)), "dns": {"queries": 5}, "http": {"url": ["x"]}})
    told = AlertIs(KeptEvent(1, "amber", odd), (KeptEvent(2, "amber", wrong), KeptEvent(3, "amber", odd)), 0, True)
    assert row(KeptEvent(1, "amber", wrong)) is None
    said = view(told)
    assert said is not None
    assert ([one.id for one in said.events], said.left_out) == ([3], 1)
    strange = {"gid": finding.GID, "kind": "port-scan", "seen": "many"}
    whole = msgspec.json.decode(record.encode(event))
    whole["metadata"] = {"flowvars": [strange]}
    plain = view(AlertIs(KeptEvent(1, "amber", msgspec.json.encode(whole)), (), 0, True))
    assert plain is not None and plain.explained is None


def test_values_of_the_wrong_kind_are_left_out() -> None:
    event = record.alert(1, "a", "b", seconds=NOW)
    assert event.alert is not None
    event.alert.update(signature=["x"], severity="high", gid=None)
    said = row(KeptEvent(1, "amber", record.encode(event)))
    assert said is not None
    assert (said.title, said.severity, said.signature) == ("", 0, "0:1")
