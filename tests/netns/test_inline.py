"""Packets that wait for verdicts: judged by rules, handed back, and what becomes of them on bad days."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from tests.netns.inlined import SERVER, Inlined, Stream

EVIL = b"evil intent"
DROP = 'drop udp any any -> any any (msg:"evil"; content:"evil intent"; sid:1;)'
REJECT = 'reject udp any any -> any any (msg:"wrong"; content:"wrong number"; sid:2;)'
PASS = 'pass udp any any -> any any (msg:"known"; content:"let me pass"; sid:3;)'


@pytest.fixture
def closed() -> Iterator[Inlined]:
    with Inlined(open_=False) as site:
        yield site


@pytest.fixture
def opened() -> Iterator[Inlined]:
    with Inlined(open_=True) as site:
        yield site


def exchange(site: Inlined, port: int, *texts: bytes) -> list[bytes]:
    """Datagrams from the client; what of them comes to the server within a second of the last one."""
    with site.socket("client", socket.SOCK_DGRAM) as sender, site.socket("server", socket.SOCK_DGRAM) as receiver:
        receiver.bind((SERVER, port))
        receiver.settimeout(1.0)
        for text in texts:
            sender.sendto(text, (SERVER, port))
        came = []
        while True:
            try:
                came.append(receiver.recv(65536))
            except TimeoutError:
                return came


def stop_judging(site: Inlined, number: signal.Signals) -> None:
    if number == signal.SIGKILL:
        site.end("judge", number)
    else:
        site.send_signal("judge", number)


def test_rules_stop_what_they_say_and_nothing_else(closed: Inlined) -> None:
    closed.judge(DROP, REJECT)
    assert exchange(closed, 5001, b"one", b"two") == [b"one", b"two"]
    assert exchange(closed, 5002, b"three", EVIL, b"four") == [b"three", b"four"]
    with closed.socket("client", socket.SOCK_DGRAM) as asker:
        asker.connect((SERVER, 5003))
        asker.settimeout(10)
        asker.send(b"wrong number")
        with pytest.raises(OSError, match=r"refused|prohibited|unreachable|route"):
            asker.recv(100)
    closed.until(lambda: b'"signature":"evil"' in closed.events.read_bytes(), "the drop is told")
    told = [json.loads(line) for line in closed.events.read_bytes().splitlines()]
    assert {event["alert"]["action"] for event in told if event["event_type"] == "alert"} == {"blocked"}
    closed.send_signal("judge", signal.SIGUSR1)
    closed.said("matched 1:1 2:1")


def test_without_who_judges_the_queue_decides(closed: Inlined, opened: Inlined) -> None:
    assert exchange(closed, 5001, b"one") == []
    assert exchange(opened, 5001, b"one") == [b"one"]


def test_a_flow_that_a_rule_passes_is_handed_back(closed: Inlined) -> None:
    closed.judge(PASS, DROP)
    assert exchange(closed, 5001, b"let me pass", EVIL) != []
    closed.end("judge")
    with closed.socket("client", socket.SOCK_DGRAM) as sender, closed.socket("server", socket.SOCK_DGRAM) as receiver:
        receiver.bind((SERVER, 5004))
        receiver.settimeout(10)
        sender.bind(("", 4000))
        sender.sendto(b"nobody judges", (SERVER, 5004))
        with pytest.raises(TimeoutError):
            receiver.settimeout(0.5)
            receiver.recv(100)
        closed.judge(PASS)
        sender.sendto(b"let me pass", (SERVER, 5004))
        receiver.settimeout(10)
        assert receiver.recv(100) == b"let me pass"
        closed.end("judge")
        sender.sendto(b"the kernel forwards it", (SERVER, 5004))
        assert receiver.recv(100) == b"the kernel forwards it"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_fail_open_traffic_goes_on_when_who_judges_is_gone(opened: Inlined, number: signal.Signals) -> None:
    opened.judge(DROP)
    stream = Stream(opened, 5001)
    stream.start()
    opened.until(lambda: len(stream.came) > 500, "packets come")
    stop_judging(opened, number)
    seen = len(stream.came)
    opened.until(lambda: len(stream.came) > seen + 500, "packets come without it")
    stream.finish()
    assert stream.lost == 0
    # 0.2 s is wanted and 0.1 s is usual; a machine under tests may be held up for longer.
    assert stream.gap() < 2.0
    opened.until(lambda: "passed uninspected" in opened.words(), "verdictd tells of it")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_fail_closed_traffic_is_never_forwarded_unread(closed: Inlined, number: signal.Signals) -> None:
    closed.judge(DROP)
    good, bad = Stream(closed, 5001), Stream(closed, 5002, text=EVIL)
    good.start()
    bad.start()
    closed.until(lambda: len(good.came) > 300, "packets come")
    stop_judging(closed, number)
    closed.until(lambda: time.monotonic() - good.came[-1][0] > 1.0, "none comes while nobody judges")
    if number == signal.SIGKILL:
        closed.judge(DROP)
    else:
        closed.send_signal("judge", signal.SIGCONT)
    seen = len(good.came)
    closed.until(lambda: len(good.came) > seen + 300, "they come again")
    good.finish()
    bad.finish()
    assert bad.came == []
    assert good.lost > 0


def test_rules_change_a_hundred_times_without_a_lost_packet(closed: Inlined) -> None:
    closed.judge(DROP)
    good, bad = Stream(closed, 5001), Stream(closed, 5002, text=EVIL)
    good.start()
    bad.start()
    for turn in range(100):
        closed.write_rules(
            DROP, f'alert udp any any -> any 9 (msg:"{turn}"; content:"{turn} and more"; sid:{turn + 10};)'
        )
        closed.send_signal("judge", signal.SIGHUP)
        closed.said("loaded")
    good.finish()
    bad.finish()
    assert (good.lost, bad.came) == (0, [])


def test_verdictd_killed_is_the_end_of_fail_closed_traffic_until_it_is_back(closed: Inlined) -> None:
    closed.judge(DROP)
    good, bad = Stream(closed, 5001), Stream(closed, 5002, text=EVIL)
    good.start()
    bad.start()
    closed.until(lambda: len(good.came) > 300, "packets come")
    closed.end("verdictd")
    closed.until(lambda: time.monotonic() - good.came[-1][0] > 1.0, "none comes while nobody holds the queue")
    closed.start_verdictd()
    seen = len(good.came)
    closed.until(lambda: len(good.came) > seen + 300, "they come again")
    good.finish()
    bad.finish()
    assert bad.came == []


def test_verdictd_killed_is_no_end_of_fail_open_traffic(opened: Inlined) -> None:
    opened.judge(DROP)
    stream = Stream(opened, 5001)
    stream.start()
    opened.until(lambda: len(stream.came) > 300, "packets come")
    opened.end("verdictd")
    seen = len(stream.came)
    opened.until(lambda: len(stream.came) > seen + 500, "the kernel lets them pass")
    stream.finish()
    assert stream.lost < 200, "those that waited for a verdict when it died, and until the kernel had buried it"
