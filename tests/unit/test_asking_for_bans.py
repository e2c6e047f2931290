"""What is read out of events and findings to ask for a ban, and for whom nothing is asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.control import daemon
from appliance.control.messages import gateway as messages
from appliance.control.messages.bans import BanFound
from appliance.control.messages.gateway import BanEntry, BanList, Refused
from appliance.policy.banning import Offence
from appliance.policy.compiling.bundle import ZoneInfo
from appliance.policy.model import AutomaticBan, Signatures
from appliance.policy.model import Banning as Bans
from dataplane.banning import Banning, blocked
from dataplane.detections.finding import Finding


def line(action: str = "blocked", source: str = "203.0.113.9", **alert: object) -> bytes:
    body = {"action": action, "gid": 1, "signature_id": 7, "signature": "a quote", "severity": 1, **alert}
    event = {"timestamp": "t", "event_type": "alert", "src_ip": source, "http": {"url": "/\n"}, "alert": body}
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def test_only_alerts_that_stopped_something_are_read() -> None:
    other = b'{"timestamp":"t","event_type":"drop","src_ip":"192.0.2.1","drop":{"action":"blocked"}}\n'
    hidden = json.dumps({"event_type": "http", "http": {"url": '","alert":{"action":"blocked"}'}}).encode() + b"\n"
    broken = b'{"event_type":"alert","alert":{"action":"blocked"\n'
    lines = line("allowed") + line(category="Web Application Attack") + other + hidden + broken
    lines += line(source="2001:db8::9")
    found = list(blocked(lines))
    assert [offence for offence, _ in found] == [
        Offence("203.0.113.9", gid=1, sid=7, category="web-application-attack", severity=1),
        Offence("2001:db8::9", gid=1, sid=7, severity=1),
    ]
    assert found[0][1] == "it stopped “a quote”."
    assert not list(blocked(b""))


class Applyd:
    """Answers on a socket as applyd does, and keeps what it was asked."""

    def __init__(self, path: Path, refuse: str = "") -> None:
        self.asked: list[BanFound] = []
        self._refuse = refuse
        self._heard = threading.Condition()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                size = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
                request = msgspec.json.decode(connection.recv(size, socket.MSG_WAITALL), type=messages.Request)
                assert isinstance(request, BanFound)
                entry = BanEntry(request.address, request.author, "", 0.0, 0.0)
                reply = msgspec.json.encode(Refused(self._refuse, "no") if self._refuse else BanList((entry,)))
                connection.sendall(len(reply).to_bytes(4, "big") + reply)
            with self._heard:
                self.asked.append(request)
                self._heard.notify_all()

    def wait(self, count: int) -> list[BanFound]:
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.asked) >= count, 30)
            return list(self.asked)

    def close(self) -> None:
        self._listening.close()


BOOK = messages.NameBook(
    generation=1,
    site="s",
    zones=(ZoneInfo("lan", ("lan0",)), ZoneInfo("internet", ("wan0",), external=True)),
    rules=(),
    objects={},
    services={},
    networks={"lan": ("10.20.0.0/16",)},
    bans=Bans(
        automatic=(
            AutomaticBan("B-1", ("port-scan",), (Signatures(severity=1),), ("internet",), "medium"),
            AutomaticBan("B-2", ("guessing",), sources=("lan",)),
        )
    ),
)


def finding(offender: str, kind: str = "port-scan", confidence: str = "medium") -> Finding:
    return Finding(kind, 0.0, 0.0, offender, "It scanned", "", confidence, 20, 15)  # type: ignore[arg-type]


@pytest.fixture
def applyd(tmp_path: Path) -> Iterator[Applyd]:
    running = Applyd(tmp_path / "applyd.sock")
    yield running
    running.close()


@pytest.fixture
def banning(applyd: Applyd, tmp_path: Path) -> Iterator[Banning]:
    asking = Banning(tmp_path / "applyd.sock", daemon.Log("test"))
    asking.start()
    yield asking
    asking.stop()
    asking.join(30)
    assert not asking.is_alive()


def test_a_ban_is_asked_for_where_the_policy_says_so(applyd: Applyd, banning: Banning) -> None:
    banning.follow(BOOK)
    banning.look_at(finding("203.0.113.2"))
    banning.look_through(line())
    assert applyd.wait(2) == [
        BanFound("203.0.113.2", "B-1", "detection port-scan", "It scanned."),
        BanFound("203.0.113.9", "B-1", "signature 1:7", "it stopped “a quote”."),
    ]


def test_who_was_told_of_before_the_text_bans_is_asked_for_when_it_does(applyd: Applyd, banning: Banning) -> None:
    banning.look_at(finding("203.0.113.1"))  # nothing is known yet
    banning.follow(msgspec.structs.replace(BOOK, bans=Bans()))
    banning.look_at(finding("203.0.113.2"))  # and nobody is banned
    banning.look_at(finding("203.0.113.3", "beacon"))
    banning.follow(BOOK)
    assert [asked.address for asked in applyd.wait(2)] == ["203.0.113.1", "203.0.113.2"]


def test_who_was_asked_for_is_not_asked_for_again_by_an_apply(
    applyd: Applyd, banning: Banning, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person may have taken the ban back."""
    monkeypatch.setattr("dataplane.banning._ONCE_IN", 0.0)
    banning.follow(BOOK)
    banning.look_at(finding("203.0.113.1"))
    for _ in range(3):
        banning.follow(BOOK)
    banning.look_at(finding("203.0.113.4"))
    assert [asked.address for asked in applyd.wait(2)] == ["203.0.113.1", "203.0.113.4"]


def test_of_those_told_of_before_the_last_are_kept_and_for_an_hour(
    applyd: Applyd, banning: Banning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataplane.banning._MOST_LATELY", 3)
    for number in range(1, 6):
        banning.look_at(finding(f"203.0.113.{number}"))
    banning.follow(BOOK)
    assert [asked.address for asked in applyd.wait(3)] == [f"203.0.113.{number}" for number in (3, 4, 5)]
    banning.follow(msgspec.structs.replace(BOOK, bans=Bans()))
    banning.look_at(finding("203.0.113.6"))
    monkeypatch.setattr("dataplane.banning._LATELY", -1.0)
    banning.follow(BOOK)
    banning.look_at(finding("203.0.113.7"))
    assert applyd.wait(4)[3].address == "203.0.113.7"


def test_for_hosts_of_the_site_and_for_what_no_ban_is_nothing_is_asked(applyd: Applyd, banning: Banning) -> None:
    banning.follow(BOOK)
    banning.look_at(finding("10.20.0.7", "guessing"))
    banning.look_at(finding("203.0.113.3", "guessing"))
    banning.look_at(finding("203.0.113.3", confidence="low"))
    banning.look_at(finding(""))
    banning.look_through(line(severity=3))
    banning.look_through(line(source="nobody"))
    banning.look_at(finding("203.0.113.4"))  # this one is
    assert [asked.address for asked in applyd.wait(1)] == ["203.0.113.4"]


def test_of_one_address_one_ban_is_asked_for(applyd: Applyd, banning: Banning) -> None:
    banning.follow(BOOK)
    for _ in range(50):
        banning.look_through(line())
    banning.look_at(finding("203.0.113.4"))
    assert [asked.address for asked in applyd.wait(2)] == ["203.0.113.9", "203.0.113.4"]


def test_it_is_asked_again_when_applyd_was_away(tmp_path: Path) -> None:
    banning = Banning(tmp_path / "late.sock", daemon.Log("test"))
    banning.start()
    banning.follow(BOOK)
    banning.look_at(finding("203.0.113.4"))
    late = Applyd(tmp_path / "late.sock")
    assert [asked.address for asked in late.wait(1)] == ["203.0.113.4"]
    banning.stop()
    banning.join(30)
    late.close()


def test_a_refusal_that_is_meant_is_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    applyd = Applyd(tmp_path / "applyd.sock", refuse="spared")
    banning = Banning(tmp_path / "applyd.sock", daemon.Log("test"))
    banning.start()
    banning.follow(BOOK)
    banning.look_at(finding("203.0.113.4"))
    applyd.wait(1)
    banning.stop()
    banning.join(30)
    applyd.close()
    assert capsys.readouterr().err == ""
