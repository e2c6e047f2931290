"""The line from inspectd to watchd: it never waits, loses the oldest first and says so, and is there
again after a restart.
"""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import pytest

from dataplane import watchline
from dataplane.watchline import COUNT, HEAD, HELLO, LOST, RECORDS, Hello, Line


@pytest.fixture
def listening(tmp_path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(tmp_path / "feed.sock"))
    server.listen()
    server.settimeout(10)
    return server


def frames(connection: socket.socket, count: int) -> list[tuple[int, bytes]]:
    connection.settimeout(10)
    with connection.makefile("rb") as stream:
        found = []
        for _ in range(count):
            size, kind = HEAD.unpack(stream.read(HEAD.size))
            found.append((kind, stream.read(size)))
        return found


def test_what_is_offered_arrives_behind_what_the_numbers_mean(tmp_path: Path, listening: socket.socket) -> None:
    line = Line(tmp_path / "feed.sock", ("", "ssh"))
    line.offer(b"one")
    line.offer(b"")
    line.offer(b"two")
    line.pump()
    connection, _ = listening.accept()
    (hello, said), *rest = frames(connection, 3)
    assert hello == HELLO
    assert msgspec.json.decode(said, type=Hello).apps == ("", "ssh")
    assert rest == [(RECORDS, b"one"), (RECORDS, b"two")]
    assert line.waiting == 0


def test_what_cannot_be_sent_waits_bounded_and_the_loss_is_said(tmp_path: Path) -> None:
    line = Line(tmp_path / "feed.sock", (), room=100)
    line.pump()  # nobody listens
    for number in range(20):
        line.offer(bytes([number]) * 10)
    assert line.waiting == 100
    assert line.lost == 10
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(tmp_path / "feed.sock"))
    server.listen()
    line._next_try = 0.0
    line.pump()
    connection, _ = server.accept()
    found = frames(connection, 12)
    assert [kind for kind, _ in found] == [HELLO, LOST, *[RECORDS] * 10]
    assert COUNT.unpack(found[1][1])[0] == 10
    assert found[2][1] == bytes([10]) * 10


def test_a_reader_that_is_slow_or_ends_keeps_nobody_waiting(tmp_path: Path, listening: socket.socket) -> None:
    line = Line(tmp_path / "feed.sock", (), room=4 << 20)
    for _ in range(64):
        line.offer(b"x" * (1 << 18))
        line.pump()
    connection, _ = listening.accept()
    assert line.lost > 0
    assert line.waiting <= 4 << 20
    connection.close()
    line.pump()
    line._next_try = 0.0
    line.pump()
    again, _ = listening.accept()
    assert frames(again, 1)[0][0] == HELLO


def test_interfaces_that_come_or_go_are_said_before_what_is_seen_there(
    tmp_path: Path, listening: socket.socket
) -> None:
    line = Line(tmp_path / "feed.sock", ("ssh",))
    line.name({2: "wan0"})
    line.offer(b"one")
    line.pump()
    line.name({2: "wan0"})
    line.offer(b"two")
    line.name({2: "wan0", 3: "usb0"})
    line.offer(b"three")
    line.pump()
    connection, _ = listening.accept()
    found = frames(connection, 5)
    assert [kind for kind, _ in found] == [HELLO, RECORDS, HELLO, RECORDS, RECORDS]
    said = [msgspec.json.decode(payload, type=Hello) for kind, payload in found if kind == HELLO]
    assert said == [Hello(("ssh",), {2: "wan0"}), Hello(("ssh",), {2: "wan0", 3: "usb0"})]


def test_frames_stay_below_what_the_reader_takes() -> None:
    assert watchline.MAX_FRAME < watchline.WAITING_BYTES
