"""The XDP gate: a million prefixes beside the kernel's trie, nft and a drop without looking; bans; a SYN flood.

Frames carry ever other sources. "run" is the program run on a frame by the kernel (BPF_PROG_TEST_RUN), less what the
loop and the choice of the source cost; "line" is frames that cross a veth pair into the program in native mode,
decided and dropped, generator and receiver on one core. Each figure is the best of its rounds.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from appliance.control.messages import gateway as messages
from appliance.control.messages.gate import Gate, GateReport
from tests.bench.core import program
from tests.bench.flood import Goodput, Place, gate_at, measured, pins, strangers
from tests.bench.table import Row
from tests.netns.stand import Stand, policy, rule, until

PREFIXES = 1_000_000
FRAMES = 60_000  # of one round: so short that some round is undisturbed
Figures = dict[tuple[str, str, str], float]

PROTECTED = """\
reef: 1
site: stand
zones:
  internet: {role: internet, interfaces: [wan0], protect: {}}
  lan: {role: internal, interfaces: [lan0], networks: [10.20.0.0/16]}
connections:
  wan0: {provider: Line, officer: "An Officer <noc@stand.example>", phone: "+501 555 0100"}
"""
SET = """
table netdev banned {
    set prefixes { type ipv4_addr; flags interval; auto-merge; elements = { %s } }
    chain ingress { type filter hook ingress device "wan0" priority 0; policy accept;
        ip saddr @prefixes drop
        drop
    }
}
"""


def main(*, quick: bool) -> list[Row]:
    figures = lookups(FRAMES, 8 if quick else 40)
    return [*table(figures), *bans(20 if quick else 200), *flood(4 if quick else 8)]


# --- a million prefixes ------------------------------------------------------------------------------


def lookups(frames: int, rounds: int) -> Figures:
    """Every figure of the C program, by what, version, and hit or miss."""
    with _pair() as (sender, receiver), pins() as folder, tempfile.TemporaryDirectory() as work:
        file = Path(work) / "prefixes"
        child = subprocess.Popen(
            [
                *(program("bench_gate"), folder, str(PREFIXES), str(frames), str(rounds)),
                *(sender, "out0", receiver, "wan0", file),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None and child.stdin is not None
        figures: Figures = {}
        for line in child.stdout:
            what, version, which, value, *_ = line.split()
            figures[what, version, which] = float(value)
            if (what, version, which) == ("wire-gate", "6", "miss"):
                break
        until(lambda: file.exists() and file.stat().st_size > 0, "the prefixes are written")
        figures["nft", "4", "load"] = _load(receiver, file, PREFIXES)
        child.stdin.write("\n")
        child.stdin.close()
        words = child.stdout.read().split()
        child.wait()
        figures["wire-nft", "4", "hit"] = float(words[3])
        assert child.returncode == 0
    return figures


def _load(receiver: str, file: Path, expected: int) -> float:
    """Seconds until nft has the prefixes."""
    until(lambda: file.read_bytes().count(b"\n") >= expected, "all prefixes are written")
    text = SET % ",".join(file.read_text().split())
    begun = time.perf_counter()
    nft = ["ip", "netns", "exec", receiver, "nft", "-f", "-"]
    subprocess.run(nft, input=text, text=True, check=True)
    return time.perf_counter() - begun


@contextmanager
def _pair() -> Iterator[tuple[str, str]]:
    sender, receiver = (f"reef-gate-{os.getpid()}-{name}" for name in ("a", "b"))
    try:
        for name in (sender, receiver):
            subprocess.run(["ip", "netns", "add", name], check=True)
        link = ["ip", "-n", sender, "link", "add", "out0", "type", "veth", "peer", "name", "wan0", "netns", receiver]
        subprocess.run(link, check=True)
        for name, end in ((sender, "out0"), (receiver, "wan0")):
            subprocess.run(["ip", "-n", name, "link", "set", end, "up"], check=True)
        # Without a program only its own NAPI takes redirected frames off a veth.
        subprocess.run(["ip", "netns", "exec", receiver, "ethtool", "-K", "wan0", "gro", "on"], check=True)
        yield sender, receiver
    finally:
        for name in (sender, receiver):
            subprocess.run(["ip", "netns", "del", name], check=False)


def table(figures: Figures) -> list[Row]:
    rows = []
    for version, which, of_trie, of_drop in (
        ("4", "hit", 3.0, 0.4),
        ("4", "miss", 3.0, 0.6),
        ("6", "hit", 2.0, 0.0),
        ("6", "miss", 2.0, 0.0),
    ):
        words = f"IPv{version}, {'banned' if which == 'hit' else 'other'} sources"
        gate, trie, drop = (figures[f"wire-{name}", version, which] for name in ("gate", "trie", "drop"))
        rows.append(_row(f"line: {words}", gate, "trie", trie, of_trie))
        rows.append(_row(f"line: {words}", gate, "drop without looking", drop, of_drop))
        run, trie = _alone(figures, "gate", version, which), _alone(figures, "trie", version, which)
        rows.append(_row(f"run: {words}", run, "trie", trie, of_trie))
    nft = figures["wire-nft", "4", "hit"]
    rows.append(_row("line: IPv4, banned sources", figures["wire-gate", "4", "hit"], "nft interval set", nft, 4.0))
    for version in ("4", "6"):
        taken = figures["replace", version, "all"]
        beside = f"nft: {figures['nft', '4', 'load']:.1f} s" if version == "4" else ""
        words = f"a million prefixes of IPv{version} replaced, no gap"
        rows.append(Row(words, f"{taken:.2f} s", beside, None, "< 2 s", taken < 2))
    rows.append(
        Row("memory of all tables, room for a million of each", f"{figures['memory', 'all', 'all'] / 1e6:.0f} MB")
    )
    return rows


def _alone(figures: Figures, name: str, version: str, which: str) -> float:
    """Frames a second of a program by itself: what the drop costs is the loop and the choice of the source."""
    return 1 / max(1 / figures[f"try-{name}", version, which] - 1 / figures["try-drop", version, which], 1e-9)


def _row(words: str, rate: float, beside: str, other: float, wanted: float) -> Row:
    ratio = rate / other
    demand = (f">= {wanted:g}", ratio >= wanted) if wanted else ("", None)
    return Row(words, f"{rate / 1e6:.2f} Mpps", f"{beside}: {other / 1e6:.2f}", ratio, *demand)


# --- one ban -----------------------------------------------------------------------------------------


def bans(times: int) -> list[Row]:
    """From the request at policyd's socket until its answer: then sets, file and gate have the ban."""
    taken = []
    with Stand(("keyd", "applyd", "gated", "policyd")) as stand:
        stand.apply(policy(rule("R-1"), head=PROTECTED))
        until(lambda: any(line.mode for line in stand.ask(Gate(), GateReport).lines), "the gate stands at the line")
        for number in range(times):
            begun = time.perf_counter()
            stand.ask(messages.Ban((f"203.0.{number // 250}.{number % 250 + 1}",), 0, "bench"), messages.BanList)
            taken.append(time.perf_counter() - begun)
        kept = stand.ask(Gate(), GateReport).lists[0].entries
    assert kept == times, "the gate has every ban"
    middle, worst = median(taken), sorted(taken)[int(len(taken) * 0.99)]
    words = f"{middle * 1e3:.1f} ms, p99 {worst * 1e3:.1f} ms"
    return [Row("a ban in force: nft, file and gate", words, "", None, "< 20 ms", middle < 0.020)]


# --- a flood -----------------------------------------------------------------------------------------


def flood(seconds: int) -> list[Row]:
    """Quiet and flooded in turn; of each what was best, for neither may suffer from what else this machine does."""
    built = program("bench_gate")
    quiet, flooded = [], []
    with Place() as place, gate_at(place) as dropped:
        for _ in range(2):
            quiet.append(measured(place, built, seconds, flooded=False))
            flooded.append(measured(place, built, seconds, flooded=True))
        share = dropped() / sum(one.sent for one in flooded)
        asked = strangers(place, built, 20)
    rate = max(one.rate for one in flooded)
    rows = []
    for words, unit, now, before in (
        ("what an established connection carries", "bit/s", _best(flooded, "bulk"), _best(quiet, "bulk")),
        ("new connections of the allow-list", "/s", _best(flooded, "connections"), _best(quiet, "connections")),
    ):
        row = (f"flood of SYNs: {words}", f"{now:,.0f} {unit}", f"quiet: {before:,.0f}", now / before)
        rows.append(Row(*row, ">= 0.9", now / before >= 0.9))
    words = f"{rate / 1e6:.2f} M SYNs/s, {share:.0%} dropped"
    rows.append(Row("flood of SYNs: strangers that are let in", f"{asked:.0%}", words, None, ">= 90 %", asked >= 0.9))
    return rows


def _best(rounds: list[Goodput], what: str) -> float:
    return max(float(getattr(one, what)) for one in rounds)
