"""Messages over real sockets: who is answered, what is too long, what a dead or strange peer does."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from appliance.control import ipc
from appliance.control.ipc import DaemonAway, Peer, ProtocolError, RefusedError, Server, call
from appliance.control.messages.gateway import Check, Checked, Confirm, Refused, Reply, Request, Status, StatusReport

REPORT = StatusReport("here", 1, 1, 0.0, "", ())


class Serving:
    """A server in a thread of its own."""

    def __init__(
        self,
        path: Path,
        answer: Callable[[Request, Peer], Awaitable[Reply]],
        limit: int,
        *,
        nobody: bool = False,
        large: tuple[int, int] | None = None,
        watches: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.path = path
        self.loop = asyncio.new_event_loop()
        self.refused: list[str] = []
        permits: dict[type, Callable[[Peer], bool]] = {
            Status: lambda peer: peer.uid == os.getuid(),
            Check: lambda _: True,
            Confirm: lambda _: False,
        }
        if nobody:
            permits = dict.fromkeys(permits, lambda _: False)
        self.server = Server(
            path, permits, answer, limit=limit, large=large, report=self.refused.append, watches=watches
        )
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self.loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    async def answer(request: Request, peer: Peer) -> Reply:
        assert peer.pid == os.getpid()
        if isinstance(request, Check):
            return Checked((), len(request.text), "here", ok=True)
        return REPORT

    found = Serving(tmp_path / "policyd.sock", answer, 1 << 20)
    yield found
    found.stop()


def test_a_request_gets_its_reply(serving: Serving) -> None:
    assert call(serving.path, Status(), StatusReport) == REPORT
    assert call(serving.path, Check("x" * 900_000), Checked).rules == 900_000


def test_what_is_not_permitted_is_refused_and_told(serving: Serving) -> None:
    with pytest.raises(RefusedError) as refused:
        call(serving.path, Confirm(), StatusReport)
    assert refused.value.reply.code == "not-allowed"
    assert f"uid {os.getuid()}" in serving.refused[0]


def test_too_long_a_frame_is_refused_by_its_length(serving: Serving) -> None:
    with pytest.raises(RefusedError) as refused:
        call(serving.path, Check("x" * (2 << 20)), Checked)
    assert refused.value.reply.code == "too-large"
    assert call(serving.path, Status(), StatusReport) == REPORT


def test_too_long_a_frame_is_not_even_sent() -> None:
    with pytest.raises(RefusedError, match="at most 16 MiB"):
        call(Path("/nonexistent/policyd.sock"), Check("x" * (17 << 20)), Checked)


@pytest.mark.parametrize("junk", [b"\0\0\0\4junk", b"\0\0\0\2{}", b'\0\0\0\x11{"type":"Nothing"}'])
def test_junk_is_refused(serving: Serving, junk: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(str(serving.path))
        raw.sendall(junk)
        assert b"bad-request" in raw.recv(4096)
    assert call(serving.path, Status(), StatusReport) == REPORT


def test_a_peer_that_leaves_in_the_middle_harms_nobody(serving: Serving) -> None:
    for part in (b"", b"\0\0", b"\0\0\1\0half"):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(serving.path))
            raw.sendall(part)
    assert call(serving.path, Status(), StatusReport) == REPORT


def test_one_user_cannot_take_every_connection(serving: Serving) -> None:
    waiting = []
    try:
        for _ in range(ipc.USER_CONNECTIONS):
            raw = socket.socket(socket.AF_UNIX)
            raw.connect(str(serving.path))
            waiting.append(raw)
        # Answered only once all of them were accepted.
        with pytest.raises(RefusedError) as refused:
            call(serving.path, Status(), StatusReport, timeout=10)
        assert refused.value.reply.code == "busy"
        assert serving.server._turned_away(Peer(1, os.getuid() + 1, 0)) is None  # others come in all the same
    finally:
        for raw in waiting:
            raw.close()


def test_more_connections_than_allowed_are_told_busy_but_root_comes_in(serving: Serving) -> None:
    for uid in range(1_000, 1_000 + ipc.CONNECTIONS):
        serving.server._open[uid] = 1
    refused = serving.server._turned_away(Peer(1, 1_000 + ipc.CONNECTIONS, 0))
    assert refused is None  # as many as may be are open, this one included
    serving.server._open[999] = 1
    refused = serving.server._turned_away(Peer(1, 999, 0))
    assert refused is not None
    assert refused.code == "busy"
    assert serving.server._turned_away(Peer(1, 0, 0)) is None


def test_who_may_ask_nothing_is_turned_away_before_it_says_anything(tmp_path: Path) -> None:
    async def answer(request: Request, peer: Peer) -> Reply:
        raise AssertionError(f"{peer} asked {request}")

    serving = Serving(tmp_path / "applyd.sock", answer, 1 << 20, nobody=True)
    try:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.settimeout(10)
            raw.connect(str(serving.path))
            assert b"not-allowed" in raw.recv(4096)
            assert raw.recv(4096) == b""
        for _ in range(50):
            with pytest.raises(RefusedError, match="does not answer"):
                call(serving.path, Status(), StatusReport)
        assert 1 <= len(serving.refused) < 25  # told, and not once for each
    finally:
        serving.stop()


def test_of_who_only_watches_whether_somebody_listens_nothing_is_told(tmp_path: Path) -> None:
    async def answer(request: Request, peer: Peer) -> Reply:
        raise AssertionError(f"{peer} asked {request}")

    serving = Serving(tmp_path / "console.sock", answer, 1 << 20, nobody=True, watches=lambda uid: uid == os.getuid())
    try:
        with pytest.raises(RefusedError, match="does not answer"):  # and comes in no more than others
            call(serving.path, Status(), StatusReport)
        assert serving.refused == []
        assert serving.server._turned_away(Peer(1, os.getuid() + 1, 0)) is not None
        assert len(serving.refused) == 1
    finally:
        serving.stop()


def test_only_the_named_user_may_send_much(tmp_path: Path) -> None:
    async def answer(request: Request, peer: Peer) -> Reply:
        assert isinstance(request, Check)
        return Checked((), len(request.text), "here", ok=True)

    for large, taken in (((os.getuid(), 1 << 20), True), ((os.getuid() + 1, 1 << 20), False)):
        serving = Serving(tmp_path / "applyd.sock", answer, 1 << 10, large=large)
        try:
            if taken:
                assert call(serving.path, Check("x" * 10_000), Checked).rules == 10_000
            else:
                with pytest.raises(RefusedError, match="MiB are taken"):
                    call(serving.path, Check("x" * 10_000), Checked)
        finally:
            serving.stop()


def test_a_frame_nested_without_end_is_refused(serving: Serving) -> None:
    body = b'{"type":"Status","x":' + b"[" * 500_000
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10)
        raw.connect(str(serving.path))
        raw.sendall(len(body).to_bytes(4, "big") + body)
        assert b"bad-request" in raw.recv(4096)
    assert call(serving.path, Status(), StatusReport) == REPORT


def test_a_daemon_that_is_away_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DaemonAway, match=r"policyd does not answer at .*; is the gateway running\? `reef doctor`"):
        call(tmp_path / "policyd.sock", Status(), StatusReport)


def test_a_wrong_reply_is_a_protocol_error(serving: Serving) -> None:
    with pytest.raises(ProtocolError, match="answered StatusReport where Checked was due"):
        call(serving.path, Status(), Checked)


def test_the_asynchronous_client_does_the_same(serving: Serving) -> None:
    assert asyncio.run(ipc.call_async(serving.path, Status(), StatusReport)) == REPORT
    with pytest.raises(RefusedError):
        asyncio.run(ipc.call_async(serving.path, Confirm(), StatusReport))
    with pytest.raises(DaemonAway):
        asyncio.run(ipc.call_async(serving.path.with_name("gone.sock"), Status(), StatusReport))


def test_a_silent_daemon_is_told_after_the_timeout(tmp_path: Path) -> None:
    path = tmp_path / "applyd.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(DaemonAway, match="did not answer within"):
            call(path, Status(), StatusReport, timeout=0.2)


def test_ancestors_lead_to_the_first_process() -> None:
    chain = list(ipc.ancestors(os.getpid()))
    assert chain[0][0] == os.getpid()
    assert (os.getppid(), Path(f"/proc/{os.getppid()}/comm").read_text().strip()) == chain[1]


def test_ssh_is_seen_among_the_ancestors(tmp_path: Path) -> None:
    for pid, parent, name in ((30, 20, "bash"), (20, 10, "sshd-session"), (10, 1, "sshd"), (40, 1, "my (odd) name)")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 0 0")
    assert [name for _, name in ipc.ancestors(30, tmp_path)] == ["bash", "sshd-session", "sshd"]
    assert [name for _, name in ipc.ancestors(40, tmp_path)] == ["my (odd) name)"]


def test_what_outlives_its_sshd_is_still_of_a_session_that_came_by_ssh(tmp_path: Path) -> None:
    """tmux, nohup and a loop in the background have the first process as their parent."""
    proc, sessions = tmp_path / "proc", tmp_path / "sessions"
    sessions.mkdir()
    (sessions / "5").write_text("UID=0\nREMOTE=1\nSTATE=closing\n")
    (sessions / "c1").write_text("UID=0\nREMOTE=0\nTTY=tty1\n")
    groups = {
        30: "0::/user.slice/user-0.slice/session-5.scope\n",
        31: "0::/user.slice/user-0.slice/session-c1.scope\n",
        32: "0::/user.slice/user-0.slice/session-77.scope\n",
        33: "0::/system.slice/cron.service\n",
    }
    for pid, group in groups.items():
        (proc / str(pid)).mkdir(parents=True)
        (proc / str(pid) / "stat").write_text(f"{pid} (reef) S 1 0 0")
        (proc / str(pid) / "cgroup").write_text(group)
    assert [pid for pid in groups if ipc.came_by_ssh(pid, proc, sessions)] == [30]
    assert not ipc.came_by_ssh(99, proc, sessions)


def test_refused_replies_carry_their_findings() -> None:
    refusal = Refused("policy", "three errors")
    assert RefusedError(refusal).reply is refusal
