"""Transparent mode: two hosts of one network with a bump in their wire, which has no address and no privilege."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.lab.netns import inside
from tests.netns.conftest import until
from tests.netns.inlined import ROOT, run

ONE, OTHER = "10.74.0.1", "10.74.0.2"
TAG = 0x6007  # VLAN 7, priority 3
EVIL = b"evil intent"
DROP = 'drop ip any any -> any any (msg:"evil"; content:"evil intent"; sid:1;)\n'
USER = 62_490
MIB = 1 << 20


class Wired:
    """Two hosts and the bump between them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reef-bump-"))
        self.folder.chmod(0o755)
        tag = self.folder.name[-6:]
        self.names = {role: f"bmp{tag}-{role}" for role in ("one", "bump", "other")}
        self.child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Wired:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        bump = self.names["bump"]
        for name in self.names.values():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for role, line, address in (("one", "left0", ONE), ("other", "right0", OTHER)):
            host = self.names[role]
            run("ip", "link", "add", "eth0", "netns", host, "type", "veth", "peer", "name", line, "netns", bump)
            run("ip", "-n", bump, "link", "set", line, "addrgenmode", "none", "up")
            run("ip", "-n", host, "address", "add", f"{address}/24", "dev", "eth0")
            run("ip", "-n", host, "link", "set", "eth0", "up")
        (self.folder / "rules").mkdir()
        (self.folder / "rules" / "test.rules").write_text(DROP)
        (self.folder / "events").touch()
        os.chown(self.folder / "events", USER, USER)

    def start(self) -> None:
        words = ("left0", "right0", str(self.folder / "rules"), str(self.folder / "events"), str(USER))
        self.child = subprocess.Popen(
            ["ip", "netns", "exec", self.names["bump"], sys.executable, "-m", "tests.netns.bumping", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self.child.stdout is not None
        assert self.child.stdout.readline() == b"ready\n"

    def stop(self) -> dict[str, int]:
        """What it counted."""
        assert self.child is not None
        self.child.send_signal(signal.SIGTERM)
        said, _ = self.child.communicate(timeout=30)
        self.child = None
        return dict(zip(("passed", "stopped", "unseen", "lost"), map(int, said.split()), strict=True))

    def line(self, role: str) -> socket.socket:
        """All frames of a host's line, with the tags that the kernel takes off beside them."""
        with inside(Path("/run/netns") / self.names[role]):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        made.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA
        made.bind(("eth0", 3))
        return made

    def socket(self, role: str, kind: int) -> socket.socket:
        with inside(Path("/run/netns") / self.names[role]):
            return socket.socket(socket.AF_INET, kind)

    def reaches(self, address: str) -> bool:
        command = ["ip", "netns", "exec", self.names["one"], "ping", "-c", "1", "-W", "1", address]
        return subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0

    def transfer(self, address: str, size: int, evil_at: int | None = None) -> int:
        """Bytes of a connection that came whole."""
        data = bytearray(b"0123456789abcdef" * (size // 16))
        if evil_at is not None:
            data[evil_at : evil_at + len(EVIL)] = EVIL
        with self.socket("other", socket.SOCK_STREAM) as listener, self.socket("one", socket.SOCK_STREAM) as sender:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, 6000))
            listener.listen(1)
            sender.settimeout(20)
            sender.connect((address, 6000))
            receiver, _ = listener.accept()
            threading.Thread(target=send_all, args=(sender, data), daemon=True).start()
            receiver.settimeout(3.0)
            got = bytearray()
            with receiver, contextlib.suppress(TimeoutError):
                while len(got) < size and (part := receiver.recv(MIB)):
                    got += part
        assert data.startswith(bytes(got))
        return len(got)


def send_all(sender: socket.socket, data: bytearray) -> None:
    with contextlib.suppress(OSError):
        sender.sendall(data)


@pytest.fixture
def wired() -> Iterator[Wired]:
    with Wired() as site:
        yield site


def test_nothing_passes_before_and_after_and_everything_harmless_meanwhile(wired: Wired) -> None:
    assert not wired.reaches(OTHER)
    wired.start()
    until(lambda: wired.reaches(OTHER), "the hosts reach each other: ARP and ICMP pass")
    assert wired.transfer(OTHER, 16 * MIB) == 16 * MIB, "segments are as large as the kernel makes them"
    counted = wired.stop()
    assert counted["passed"] > 0
    assert (counted["stopped"], counted["unseen"]) == (0, 0)
    assert not wired.reaches(OTHER)


def tagged(text: bytes) -> bytes:
    """A datagram in a frame with a tag, to a host that is not there."""
    udp = struct.pack("!HHHH", 1000, 2000, 8 + len(text), 0) + text
    addresses = socket.inet_aton(ONE) + socket.inet_aton("10.74.0.9")
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + addresses
    return bytes.fromhex("020000000009020000000001") + struct.pack("!HHH", 0x8100, TAG, 0x0800) + ip + udp


def test_tagged_frames_keep_their_tag(wired: Wired) -> None:
    wired.start()
    until(lambda: wired.reaches(OTHER), "the hosts reach each other")
    with wired.line("one") as sender, wired.line("other") as receiver:
        receiver.settimeout(1.0)
        for text in (b"before", EVIL, b"behind"):
            sender.send(tagged(text))
        came: list[tuple[bytes, tuple[int, int]]] = []
        while not came or not came[-1][0].endswith(b"behind"):
            frame, about, _, _ = receiver.recvmsg(1 << 16, 256)
            if b"\x00\x00\x00\x09" in frame[:6]:
                came.append((frame, struct.unpack("=IIIHHHH", about[0][2])[5:]))
    assert [frame[42:] for frame, _ in came] == [b"before", b"behind"]
    assert {tag for _, tag in came} == {(TAG, 0x8100)}


def test_what_rules_stop_is_stopped_and_told(wired: Wired) -> None:
    wired.start()
    until(lambda: wired.reaches(OTHER), "the hosts reach each other")
    at = MIB // 2 + 11
    assert wired.transfer(OTHER, MIB, evil_at=at) <= at
    until(lambda: re.search(rb'"signature":"evil"', (wired.folder / "events").read_bytes()), "it is told")
    assert wired.stop()["stopped"] > 0


def test_fragments_hide_nothing(wired: Wired) -> None:
    """Nobody puts them together here but the engine: the piece that makes the datagram whole is stopped."""
    wired.start()
    until(lambda: wired.reaches(OTHER), "the hosts reach each other")
    with wired.socket("one", socket.SOCK_DGRAM) as sender, wired.socket("other", socket.SOCK_DGRAM) as receiver:
        receiver.bind((OTHER, 5001))
        receiver.settimeout(1.0)
        sender.setsockopt(socket.IPPROTO_IP, 10, 0)
        for text in (b"harmless", EVIL):
            sender.sendto(b"." * 2955 + text + b"." * 3000, (OTHER, 5001))
        assert receiver.recv(1 << 16)[2955:2963] == b"harmless"
        with pytest.raises(TimeoutError):
            receiver.recv(1 << 16)


def test_a_line_that_goes_down_and_comes_back_is_used_again(wired: Wired) -> None:
    wired.start()
    until(lambda: wired.reaches(OTHER), "the hosts reach each other")
    run("ip", "-n", wired.names["bump"], "link", "set", "right0", "down")
    assert not wired.reaches(OTHER)
    run("ip", "-n", wired.names["bump"], "link", "set", "right0", "up")
    until(lambda: wired.reaches(OTHER), "they do again")
