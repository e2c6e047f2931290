"""Live set updates: one element among 100,000, over raw netlink, libnftables and the nft command."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial

from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nfsets import Element, SetInfo, Sets
from ctypes_ext import sandbox
from ctypes_ext.nftables import Nftables
from tests.bench.table import Row

SIZE = 100_000
FIRST = 0x0A000000
TABLE = """
table inet reef {
    set hosts { type ipv4_addr; }
    set timed { type ipv4_addr; flags timeout; }
    set hosts6 { type ipv6_addr; }
    set networks { type ipv4_addr; flags interval; }
}
"""


def main(*, quick: bool) -> list[Row]:
    times = 2_000 if quick else 20_000
    with _namespace():
        nftables, netfilter = Nftables(), Netfilter()
        nftables.run(TABLE)
        sets = Sets(netfilter)
        rows = []
        for name, words, base in (
            ("hosts", "a set of IPv4 addresses", FIRST),
            ("timed", "the same with timeouts", FIRST),
            ("hosts6", "a set of IPv6 addresses", 0x20010DB8 << 96),
        ):
            info = sets.info(name)
            sets.add(info, [Element(base + 2 * number, base + 2 * number) for number in range(SIZE)])
            raw = _both(
                partial(_add, sets, info),
                partial(_remove, sets, info),
                base,
                times,
            )
            row = Row(f"raw netlink: {words}", _said(raw), "", None, "p99 < 1 ms", _percentile(raw, 99) < 1e-3)
            rows.append(row)
            if name == "hosts":
                median = _percentile(raw, 50)
                library = _by_text(lambda words: nftables.run(words), times // 20)
                command = _by_text(_nft, 40 if quick else 200)
                rows.append(
                    Row("libnftables: the same", _said(library), f"raw: {median * 1e6:.0f} µs", _ratio(library, raw))
                )
                rows.append(
                    Row("nft command: the same", _said(command), f"raw: {median * 1e6:.0f} µs", _ratio(command, raw))
                )
        rows += _networks(sets, times // 20)
    return rows


def _networks(sets: Sets, times: int) -> list[Row]:
    """Interval sets cost with their size, which is why hosts do not lie in them."""
    info = sets.info("networks")
    rows = []
    for size in (256, 10_000):
        sets.replace(info, [Element(FIRST + 4 * number, FIRST + 4 * number) for number in range(size)])
        raw = _both(partial(_add, sets, info), partial(_remove, sets, info), FIRST, times, 4)
        rows.append(Row(f"raw netlink: an interval set of {size:,}", _said(raw)))
    return rows


def _add(sets: Sets, info: SetInfo, element: Element) -> None:
    sets.add(info, [element])


def _remove(sets: Sets, info: SetInfo, element: Element) -> None:
    sets.remove(info, [element])


def _both(
    add: Callable[[Element], None], remove: Callable[[Element], None], base: int, times: int, step: int = 2
) -> list[float]:
    """Seconds of each of `times` additions and as many removals, all over the set."""
    taken = []
    for number in range(times):
        key = base + step * (number * 7919 % (SIZE if step == 2 else 256)) + 1
        element = Element(key, key)
        for change in (add, remove):
            begun = time.perf_counter()
            change(element)
            taken.append(time.perf_counter() - begun)
    return taken


def _by_text(run: Callable[[str], object], times: int) -> list[float]:
    taken = []
    for number in range(times):
        address = f"10.{128 + number // 65536}.{number // 256 % 256}.{number % 256}"
        for verb in ("add", "delete"):
            begun = time.perf_counter()
            run(f"{verb} element inet reef hosts {{ {address} }}")
            taken.append(time.perf_counter() - begun)
    return taken


def _nft(words: str) -> None:
    subprocess.run(["nft", words], check=True)


def _percentile(taken: list[float], percent: int) -> float:
    return sorted(taken)[min(len(taken) - 1, len(taken) * percent // 100)]


def _said(taken: list[float]) -> str:
    return f"p50 {_percentile(taken, 50) * 1e6:.0f} µs, p99 {_percentile(taken, 99) * 1e6:.0f} µs"


def _ratio(slow: list[float], quick: list[float]) -> float:
    return _percentile(slow, 50) / _percentile(quick, 50)


@contextlib.contextmanager
def _namespace() -> Iterator[None]:
    """A network namespace of this thread's own."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        sandbox.unshare(sandbox.CLONE_NEWNET)
        yield
    finally:
        sandbox.setns(home, sandbox.CLONE_NEWNET)
        os.close(home)
