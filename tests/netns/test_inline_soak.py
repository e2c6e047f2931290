"""Inspection inline for a long time, and under more new connections than there can be: memory stays what it is.

make soak MINUTES=60                                                         all tests of choosable length
.venv/bin/python -m pytest tests/netns/test_inline_soak.py --minutes 60 -m soak -s    this one, with its table
"""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.bench.bench_inline import write_pages
from tests.netns.inlined import CLIENT, PATIENCE, SERVER, Inlined, Stream

EVIL = b"evil intent"
RULES = (
    'drop udp any any -> any any (msg:"evil"; content:"evil intent"; sid:1;)',
    'alert http any any -> any any (msg:"a page"; http.uri; content:"/nowhere"; sid:2;)',
    'alert tcp any any -> any any (msg:"words"; content:"words that nobody says"; sid:3;)',
)
SYNS = 100_000  # different connections; each flood sends all of them, as fast as it goes
MIB = 1 << 20
GROWTH = 8 * MIB  # of a process, once it has seen everything that comes
MOST = 256 * MIB
SHORT = 12.0  # seconds of a soak that nobody asked to be longer
PAGES_PORT, EVIL_PORT, GOOD_PORT = 8080, 5002, 5001
BENCH = Path(__file__).parents[1] / "bench" / "c"


class Sample(NamedTuple):
    """Bytes of memory that a process holds."""

    judge: int
    verdictd: int


@pytest.fixture
def closed() -> Iterator[Inlined]:
    with Inlined(open_=False) as site:
        yield site


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name in ("flood", "pages"):
        subprocess.run(["cc", "-O2", "-std=c17", "-o", str(folder / name), str(BENCH / f"{name}.c")], check=True)
    write_pages(folder / "objects", small=False)
    return folder


def memory(site: Inlined) -> Sample:
    return Sample(*(_held(site.running[name].pid) for name in ("judge", "verdictd")))


def _held(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = int(status.partition("VmRSS:")[2].split()[0])
    return kibibytes * 1024


def _folded(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def write_syns(site: Inlined, file: Path, count: int) -> None:
    """First packets of as many connections, each with right checksums: conntrack takes no others."""
    macs = (
        site.at(role, "cat", f"/sys/class/net/{line}/address")
        for role, line in (("gateway", "lan0"), ("client", "eth0"))
    )
    ethernet = b"".join(bytes.fromhex(mac.strip().replace(":", "")) for mac in macs) + b"\x08\0"
    ends = socket.inet_aton(CLIENT) + socket.inet_aton(SERVER)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0)
    ip = head[:10] + struct.pack("!H", _folded(head + ends)) + ends
    pseudo = ends + struct.pack("!HH", 6, 20)
    with file.open("wb") as out:
        for number in range(count):
            ports = 1024 + number % 60_000, 9000 + number // 60_000
            tcp = struct.pack("!HHIIBBHHH", *ports, number, 0, 0x50, 2, 8192, 0, 0)
            checked = tcp[:16] + struct.pack("!H", _folded(pseudo + tcp)) + tcp[18:]
            out.write((ethernet + ip + checked).ljust(64, b"\0"))


def flood(site: Inlined, programs: Path, syns: Path) -> None:
    site.at("client", str(programs / "flood"), "eth0", str(syns), "64", str(SYNS), "0")


def fill(site: Inlined, programs: Path, syns: Path) -> None:
    """Floods until one takes no more memory.

    The kernel drops what the queue does not hold, so it takes some until the table of flows is full.
    """
    deadline, grown, before = time.monotonic() + PATIENCE, GROWTH, memory(site)
    while grown > MIB:
        assert time.monotonic() < deadline, "memory goes on growing"
        flood(site, programs, syns)
        now = memory(site)
        grown, before = max(now.judge - before.judge, now.verdictd - before.verdictd), now
        assert max(now) < MOST


@pytest.mark.timeout(180)
def test_a_flood_of_new_connections_takes_bounded_memory_and_is_over_when_it_is_over(
    closed: Inlined, programs: Path, tmp_path: Path
) -> None:
    closed.judge(*RULES)
    write_syns(closed, tmp_path / "syns", SYNS)
    good, bad = Stream(closed, GOOD_PORT), Stream(closed, EVIL_PORT, text=EVIL)
    good.start()
    bad.start()
    closed.until(lambda: len(good.came) > 100, "packets come")
    fill(closed, programs, tmp_path / "syns")
    seen = len(good.came)
    closed.until(lambda: len(good.came) > seen + 300, "what was open before goes on")
    with closed.socket("server", socket.SOCK_STREAM) as listener, closed.socket("client", socket.SOCK_STREAM) as new:
        listener.bind((SERVER, 6000))
        listener.listen(1)
        new.settimeout(30)
        new.connect((SERVER, 6000))
    good.finish()
    bad.finish()
    assert bad.came == []


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_memory_is_flat_under_pages_floods_and_reloads(
    closed: Inlined, programs: Path, tmp_path: Path, budget: Callable[[float], float]
) -> None:
    closed.judge(*RULES)
    write_syns(closed, tmp_path / "syns", SYNS)
    samples: list[Sample] = []
    bad = Stream(closed, EVIL_PORT, every=0.01, text=EVIL)
    bad.start()
    served = subprocess.Popen(
        [*_in(closed, "server"), str(programs / "pages"), "serve", str(programs / "objects"), str(PAGES_PORT)],
        stdout=subprocess.PIPE,
    )
    assert served.stdout is not None
    served.stdout.readline()
    fetched: list[list[int]] = []
    over = threading.Event()
    fetching = threading.Thread(target=lambda: _fetch(closed, programs, fetched, over))
    fetching.start()
    reloads = 0
    try:
        fill(closed, programs, tmp_path / "syns")
        seconds, begun = budget(SHORT), time.monotonic()
        while (now := time.monotonic() - begun) < seconds:
            flood(closed, programs, tmp_path / "syns")
            closed.write_rules(*RULES[: 2 + reloads % 2])
            closed.send_signal("judge", 1)
            closed.said("loaded")
            reloads += 1
            for _ in range(5):
                samples.append(memory(closed))
                time.sleep(min(1.0, seconds / 40))
            if not len(samples) % 100:
                print(f"{now:6.0f} s: {_line(samples[-1])}", flush=True)
    finally:
        over.set()
        fetching.join()
        bad.finish()
        served.kill()
        served.wait()
    pages, connections, failures = (sum(one[column] for one in fetched) for column in (1, 2, 3))
    quarter = len(samples) // 4
    early, late = (_most(part) for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
    print(
        f"{seconds / 60:.1f} minutes: {pages:,} pages in {connections:,} connections, {failures} failed; "
        f"{reloads * SYNS:,} first packets of connections, {reloads} reloads\n"
        f"second quarter at most: {_line(early)}\nlast quarter at most:   {_line(late)}"
    )
    assert bad.came == [], "nothing evil passed in all that time"
    assert pages > 0
    assert late.judge <= early.judge + GROWTH and late.verdictd <= early.verdictd + GROWTH


def _in(site: Inlined, role: str) -> list[str]:
    return ["ip", "netns", "exec", site.names[role]]


def _fetch(site: Inlined, programs: Path, fetched: list[list[int]], over: threading.Event) -> None:
    """Pages over eight connections at once, again and again: bytes, requests, connections, failures of each turn."""
    words = (programs / "objects", PAGES_PORT, CLIENT, 1, SERVER, 8, 8, 2, 200)
    command = [*_in(site, "client"), str(programs / "pages"), "fetch", *map(str, words)]
    while not over.is_set():
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        fetched.append([int(word) for word in text.split()])


def _most(samples: list[Sample]) -> Sample:
    return Sample(max(one.judge for one in samples), max(one.verdictd for one in samples))


def _line(sample: Sample) -> str:
    return f"inspectd's half {sample.judge / MIB:.1f} MiB, verdictd {sample.verdictd / MIB:.1f} MiB"
