"""What a process says of itself to whoever started it, and what becomes of that when nobody listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from appliance.control import notify

MOST = 100_000


def test_a_status_never_waits_for_who_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """verdictd says what becomes of packets; it must not stand because a supervisor does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        taken = next(number for number in range(MOST) if not notify.status(f"state {number}"))
        assert taken > 0
        assert [receiver.recv(100) for _ in range(taken)] == [
            f"STATUS=state {number}".encode() for number in range(taken)
        ]
        assert notify.status("again")
    assert not notify.status("nobody is there")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert notify.status("nobody asked")
