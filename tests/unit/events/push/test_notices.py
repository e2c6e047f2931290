"""Officers are told of what concerns their line: gathered, held in quiet hours, mailed over TLS until it is taken."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from appliance.events.classes import class_of
from appliance.events.outbox import New, Stored
from appliance.events.push import notices
from appliance.events.push.notices import Gathering
from appliance.events.push.notifying import PLACE, Notifying
from appliance.events.tlp import Tlp
from appliance.policy.notices import NoticeSettings, Officer
from crypto.web import fetching_context
from tests.unit.events.push.test_push import Place, run, until

FIBRE = Officer("wan0", "internet", "H. Officer <noc@health.example>", "BTL fibre")
MOBILE = Officer("lte0", "mobile", "M. Officer <mobile@health.example>", "LTE")
SETTINGS = NoticeSettings(relay="localhost:25", sender="gateway@health.example", every=900)
NIGHT = datetime(2026, 11, 22, 23, 30, tzinfo=UTC).timestamp()
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC).timestamp()


def body(signature: str = "a scan", severity: int = 2, **more: Any) -> bytes:
    said: dict[str, Any] = {
        "timestamp": "2026-11-22T12:00:00.000000+0000", "event_type": "alert",
        "src_ip": "203.0.113.66", "dest_ip": "203.0.113.2",
        "alert": {"gid": 1, "signature_id": len(signature), "signature": signature, "severity": severity,
                  "action": more.pop("action", "allowed")},
    }  # fmt: skip
    return json.dumps(said | more).encode()


def stored(seq: int, content: bytes) -> Stored:
    return Stored(seq, 0, 0, "alert", class_of("alert"), Tlp.AMBER, content)


def gathering(**settings: Any) -> Gathering:
    return Gathering(NoticeSettings(**({"relay": "r:1", "sender": "s@x"} | settings)), (FIBRE, MOBILE))


def test_alerts_of_a_line_are_one_notice_after_a_while() -> None:
    made = gathering()
    made.add([stored(3, body(in_iface="wan0")), stored(4, body(in_iface="wan0", action="blocked"))], NOON)
    made.add([stored(5, body("a beacon", 3, in_iface="wan0")), stored(6, body(in_iface="lan0"))], NOON + 10)
    assert made.oldest() == 3
    assert made.due(NOON + 899) == []
    (notice,) = made.due(NOON + 900)
    assert (notice.officer, notice.count, notice.severity, notice.through) == (FIBRE, 3, 2, 5)
    assert [(item.words, item.count, item.blocked) for item in notice.items] == [("a scan", 2, 1), ("a beacon", 1, 0)]
    assert made.oldest() is None
    assert made.due(NOON + 9_999) == []
    said = notices.text(notice, "health")
    assert "a scan (severity 2): 2 times, 1 stopped" in said
    assert "203.0.113.66 -> 203.0.113.2" in said
    assert notices.subject(notice, "health") == "[health] 3 alerts on the line wan0 (BTL fibre)"
    assert json.loads(notices.data(notice, "health"))["items"][0]["hosts"] == ["203.0.113.66 -> 203.0.113.2"]


def test_whose_line_it_is() -> None:
    def told(**more: Any) -> set[str]:
        made = gathering(every=0)
        made.add([stored(1, body(**more))], NOON)
        return {notice.officer.line for notice in made.due(NOON)}

    assert told(in_iface="lte0") == {"lte0"}
    assert told(metadata={"flowvars": [{"gid": "reef", "from": "lan", "to": "internet"}]}) == {"wan0"}
    assert told(metadata={"flowvars": [{"gid": "reef", "from": "lan", "to": "dmz"}]}) == set()
    assert told(src_ip="", in_iface="eth9") == {"wan0", "lte0"}  # a line that nobody registered
    assert told() == set()


@pytest.mark.parametrize(("quiet", "held"), [((22 * 60, 6 * 60), True), ((6 * 60, 22 * 60), False), (None, False)])
def test_quiet_hours_hold_all_but_the_worst(quiet: tuple[int, int] | None, held: bool) -> None:
    made = gathering(quiet=quiet)
    made.add([stored(1, body(in_iface="wan0"))], NIGHT)
    assert (made.due(NIGHT + 1_000) == []) == held
    made.add([stored(2, body("worst", 1, in_iface="lte0"))], NIGHT + 1_000)
    assert [notice.officer.line for notice in made.due(NIGHT + 1_000)] == ["lte0"]
    morning = NIGHT + 8 * 3_600
    assert len(made.due(morning)) == (1 if held else 0)


def test_a_flood_of_kinds_is_a_number() -> None:
    made = gathering(every=0)
    made.add([stored(seq, body("x" * seq, in_iface="wan0")) for seq in range(1, 200)], NOON)
    (notice,) = made.due(NOON)
    assert (len(notice.items), notice.count, notice.more) == (notices.MOST_KINDS, 199, 199 - notices.MOST_KINDS)
    assert "more of other kinds" in notices.text(notice, "s")


def test_what_others_wrote_forges_no_line_and_no_header() -> None:
    made = gathering(every=0)
    made.add([stored(1, body("evil\nBcc: a@b\n", in_iface="wan0")), stored(2, b"no json")], NOON)
    (notice,) = made.due(NOON)
    assert "\nBcc" not in notices.text(notice, "s")


class Relay:
    """SMTP with STARTTLS, as far as a client of it goes (RFC 5321, RFC 3207)."""

    def __init__(self, place: Place, refusals: int) -> None:
        self.mails: list[bytes] = []
        self.refusals = refusals
        self.plain: list[bytes] = []  # commands of mail before TLS
        self._place = place

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secure = False
        writer.write(b"220 relay\r\n")
        while line := await reader.readline():
            word = line.split(b" ")[0].strip().upper()
            if word == b"EHLO":
                writer.write(b"250-relay\r\n250 STARTTLS\r\n" if not secure else b"250 relay\r\n")
            elif word == b"STARTTLS":
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(self._place.server)
                secure = True
            elif word == b"MAIL" and (not secure or self.refusals):
                self.plain += [] if secure else [line]
                self.refusals -= 1
                writer.write(b"451 later\r\n")
            elif word == b"DATA":
                writer.write(b"354 go\r\n")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 taken\r\n")
            elif word == b"QUIT":
                writer.write(b"221 bye\r\n")
                await writer.drain()
                writer.close()
                return
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()


def test_mail_goes_over_tls_until_the_relay_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.events.push.notifying._FIRST", 0.05)
    place = Place(tmp_path)
    relay = Relay(place, refusals=2)

    async def test() -> None:
        port = await relay.start()
        settings = NoticeSettings(relay=f"localhost:{port}", sender="gateway@health.example", every=0)
        context = fetching_context(tmp_path / "authorities.pem")
        place.outbox.append([New(body("before", in_iface="wan0"), "alert", class_of("alert"), Tlp.RED, 1)])
        made = Notifying(settings, (FIBRE,), place.outbox, "health", tmp_path, context, place._log)
        _, last = place.outbox.append([New(body(in_iface="wan0"), "alert", class_of("alert"), Tlp.RED, 1)])
        await until(lambda: relay.mails, "the officer is told")
        await until(lambda: place.outbox.position(PLACE).seq == last, "and the place moves")
        await made.stop()
        await relay.stop()
        place.outbox.close()

    run(test)
    assert relay.plain == []
    (mail,) = relay.mails
    read = message_from_bytes(mail, policy=policy.default)
    (officer,) = read["To"].addresses
    assert (officer.display_name, officer.addr_spec) == ("H. Officer", "noc@health.example")
    assert read["From"] == "gateway@health.example"
    assert "a scan" in read.get_content()
    assert "before" not in read.get_content()  # officers are told of what comes, not of what was
    assert any("451" in words for words in place.said)
