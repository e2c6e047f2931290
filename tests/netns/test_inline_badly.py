"""Inline on bad days: floods, fragments, tunnels, large packets, one-way roads, a full table."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.netns.inlined import CLIENT, SERVER, Inlined, Stream, run

EVIL = b"evil intent"
DROP = 'drop ip any any -> any any (msg:"evil"; content:"evil intent"; sid:1;)'
MIB = 1 << 20


@pytest.fixture
def closed() -> Iterator[Inlined]:
    with Inlined(open_=False) as site:
        yield site


@pytest.fixture
def opened() -> Iterator[Inlined]:
    with Inlined(open_=True) as site:
        yield site


def flood(site: Inlined, count: int, port: int = 7000) -> None:
    with site.socket("client", socket.SOCK_DGRAM) as sender:
        for number in range(count):
            sender.sendto(b"%d of a flood" % number, (SERVER, port))


def dropped_by_kernel(site: Inlined) -> int:
    """By the queues themselves and by the sockets behind them, since these queues are held."""
    return sum(line[5] + line[6] for line in site.kernel_counts())


def collect(receiver: socket.socket, quiet: float = 1.0) -> list[bytes]:
    """What comes until nothing comes for so long."""
    receiver.settimeout(quiet)
    came = []
    with contextlib.suppress(TimeoutError):
        while True:
            came.append(receiver.recv(1 << 16))
    return came


# --- floods ------------------------------------------------------------------------------------------------


def test_more_than_a_closed_queue_holds_is_lost_and_nothing_is_forwarded_unread(closed: Inlined) -> None:
    """verdictd stops; a flood fills its queue; when it goes on, what waited is judged."""
    closed.judge(DROP)
    bad = Stream(closed, 5002, text=EVIL)
    bad.start()
    closed.until(lambda: bad.sent > 100, "evil is sent")
    closed.send_signal("verdictd", signal.SIGSTOP)
    flood(closed, 20_000)
    assert dropped_by_kernel(closed) > 0
    closed.send_signal("verdictd", signal.SIGCONT)
    good = Stream(closed, 5001)
    good.start()
    closed.until(lambda: len(good.came) > 300, "packets come again")
    good.finish()
    bad.finish()
    assert bad.came == []


def test_more_than_an_open_queue_holds_goes_on(opened: Inlined) -> None:
    opened.judge(DROP)
    with opened.socket("server", socket.SOCK_DGRAM) as receiver:
        receiver.bind((SERVER, 7000))
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        before = opened.forwarded()
        opened.send_signal("verdictd", signal.SIGSTOP)
        flood(opened, 20_000)
        assert opened.forwarded() > before + 1000, "the queue is full, and the rest goes on"
        opened.send_signal("verdictd", signal.SIGCONT)
        opened.until(lambda: opened.forwarded() >= before + 20_000, "and what waited in it, too")


# --- evasion -----------------------------------------------------------------------------------------------


def test_fragments_and_tunnels_hide_nothing(closed: Inlined) -> None:
    closed.judge(DROP)
    padding = b"." * 2955  # the words lie across the border of two fragments
    with closed.socket("client", socket.SOCK_DGRAM) as sender, closed.socket("server", socket.SOCK_DGRAM) as receiver:
        receiver.bind((SERVER, 5001))
        sender.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: fragments are allowed
        for text in (b"harmless", EVIL):
            sender.sendto(padding + text + b"." * 3000, (SERVER, 5001))
        assert [text[2955:2963] for text in collect(receiver)] == [b"harmless"]
    with (
        closed.socket("client", socket.SOCK_RAW, 4) as sender,
        closed.socket("server", socket.SOCK_RAW, 4) as receiver,
    ):
        for text in (b"harmless", EVIL):
            inner = datagram(text)
            sender.sendto(inner, (SERVER, 0))
        assert [text[48:] for text in collect(receiver)] == [b"harmless"]


def datagram(text: bytes) -> bytes:
    """An IPv4 packet with UDP, to travel inside of another one."""
    udp = struct.pack("!HHHH", 1000, 2000, 8 + len(text), 0) + text
    addresses = socket.inet_aton("10.1.1.1") + socket.inet_aton("10.2.2.2")
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + addresses + udp


# --- large packets -----------------------------------------------------------------------------------------


def transfer(site: Inlined, size: int, *, evil_at: int | None = None) -> int:
    """Bytes of a TCP transfer that came to the server in the right order, up to the first that did not."""
    data = bytearray(b"0123456789abcdef" * (size // 16))
    if evil_at is not None:
        data[evil_at : evil_at + len(EVIL)] = EVIL
    with site.socket("server", socket.SOCK_STREAM) as listener, site.socket("client", socket.SOCK_STREAM) as sender:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((SERVER, 6000))
        listener.listen(1)
        sender.settimeout(20)
        sender.connect((SERVER, 6000))
        listener.settimeout(3.0)
        try:
            receiver, _ = listener.accept()
        except TimeoutError:
            return 0
        writing = threading.Thread(target=send_all, args=(sender, data), daemon=True)
        writing.start()
        got = bytearray()
        receiver.settimeout(3.0)
        with contextlib.suppress(TimeoutError):
            while len(got) < size and (part := receiver.recv(MIB)):
                got += part
        receiver.close()
    assert data.startswith(bytes(got))
    return len(got)


def send_all(sender: socket.socket, data: bytearray) -> None:
    with contextlib.suppress(OSError):  # a connection that is stopped does not end well
        sender.sendall(data)


def test_large_packets_pass_whole_and_are_read_to_their_end(closed: Inlined) -> None:
    """The kernel queues up to 64 KiB of one connection as one packet, and leaves its checksum to the card."""
    closed.judge(DROP)
    assert transfer(closed, 8 * MIB) == 8 * MIB
    at = MIB // 2 + 37
    assert transfer(closed, 2 * MIB, evil_at=at) <= at


@pytest.mark.parametrize("mtu", [576, 9000])
def test_every_size_of_packet_passes(mtu: int) -> None:
    with Inlined(open_=False, mtu=mtu) as site:
        site.judge(DROP)
        assert transfer(site, 2 * MIB) == 2 * MIB


def test_a_datagram_longer_than_the_kernel_shows_follows_its_rule(closed: Inlined, opened: Inlined) -> None:
    """65,535 bytes: the message that carries it holds four bytes fewer. Those are not seen."""
    for site, passes in ((closed, False), (opened, True)):
        site.judge(DROP)
        with site.socket("client", socket.SOCK_DGRAM) as sender, site.socket("server", socket.SOCK_DGRAM) as receiver:
            receiver.bind((SERVER, 5001))
            sender.setsockopt(socket.IPPROTO_IP, 10, 0)
            sender.sendto(b"x" * 65507, (SERVER, 5001))
            assert [len(text) for text in collect(receiver)] == ([65507] if passes else [])
            sender.sendto(b"x" * 65503, (SERVER, 5001))
            assert [len(text) for text in collect(receiver)] == [65503]


# --- the world around --------------------------------------------------------------------------------------


def test_a_connection_seen_one_way_only_is_read_or_stopped(closed: Inlined) -> None:
    """Answers take another road. What the server would believe is not forwarded unread."""
    closed.judge(DROP)
    client, server = closed.names["client"], closed.names["server"]
    run("ip", "link", "add", "road", "netns", server, "type", "veth", "peer", "name", "road", "netns", client)
    for name, address in ((client, "10.73.0.1/24"), (server, "10.73.0.2/24")):
        run("ip", "-n", name, "address", "add", address, "dev", "road")
        run("ip", "-n", name, "link", "set", "road", "up")
    run("ip", "-n", server, "route", "add", f"{CLIENT}/32", "via", "10.73.0.1")
    for role in ("client", "server"):
        closed.at(role, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.road.rp_filter=0")
    at = 100_001
    assert transfer(closed, MIB, evil_at=at) <= at


def test_a_full_table_of_connections_stops_new_ones_and_keeps_the_old(closed: Inlined) -> None:
    """Filled by datagrams to a port that is not inspected, each from another port or to another address."""
    closed.judge(DROP)
    closed.at("gateway", "iptables-nft", "-t", "mangle", "-I", "FORWARD", "-p", "udp", "--dport", "9", "-j", "ACCEPT")
    old = Stream(closed, 5001)
    old.start()
    closed.until(lambda: len(old.came) > 100, "packets come")
    most = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    with closed.socket("client", socket.SOCK_RAW, 17) as sender:
        for number in range(most + 10_000):
            udp = struct.pack("!HHHH", 1024 + number % 60_000, 9, 8, 0)
            sender.sendto(udp, (f"10.72.0.{3 + number // 60_000}", 0))
    bad = Stream(closed, 5002, text=EVIL)
    bad.start()
    seen = len(old.came)
    closed.until(lambda: len(old.came) > seen + 300, "the old one goes on")
    bad.finish()
    old.finish()
    assert (old.lost, bad.came) == (0, [])
