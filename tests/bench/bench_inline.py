"""Inline inspection with every rule of ET Open, beside plain forwarding and Suricata on the same queue

Client, gateway and server are namespaces of one machine and share its processors. The ruleset is iptables' NFQUEUE,
the same for both engines. Suricata takes verdicts in batches of 20 and writes alerts alone, as Reef does.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench import suricata
from tests.bench.bench_inspect import peers
from tests.bench.core import ROOT
from tests.bench.mix import AGENTS, WORDS, objects
from tests.bench.table import Row
from tests.netns.inlined import CLIENT, DEPTH, SERVER, Inlined, run

HERE = Path(__file__).parent
CACHE = ROOT / "build" / "bench-inline"  # the rules as they are compiled
PORT = 8080
ADDRESSES = 16  # of clients
EVERYTHING = 1 << 31  # a depth that no test reaches
BULK_WANTED, WEB_WANTED, NEW_WANTED, BACK_WANTED, P99_WANTED = 8.0, 4.0, 2.0, 0.95, 2.0


class Fetched(NamedTuple):
    """What the client says after a run."""

    bytes: int
    requests: int
    connections: int
    failures: int
    nanoseconds: int
    median: int
    p99: int

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self.bytes / self.nanoseconds * 1e9

    @property
    def new(self) -> float:
        """Connections a second."""
        return self.connections / self.nanoseconds * 1e9


def write_pages(path: Path, *, small: bool) -> None:
    """Requests as browsers send them, answers as servers do; `small`: answers of a few hundred bytes."""
    random_ = random.Random(7)
    with path.open("wb") as file:
        for number, (target, header, body) in enumerate(objects(random_)):
            content = body[:300] if small else body
            request = (
                f"GET {target}?n={number} HTTP/1.1\r\nHost: www.{random_.choice(WORDS)}.example\r\n"
                f"User-Agent: {random_.choice(AGENTS)}\r\nAccept: text/html,*/*;q=0.8\r\n"
                "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n"
                f"Cookie: session={random_.randrange(10**12):x}\r\nConnection: keep-alive\r\n\r\n"
            ).encode()
            kind = "Content-Type: image/jpeg\r\n" if small else header
            answer = (
                "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nServer: nginx/1.26.1\r\n"
                f"{kind}Content-Length: {len(content)}\r\nCache-Control: max-age=3600\r\n\r\n"
            ).encode() + content
            for piece in (request, answer):
                file.write(struct.pack("=I", len(piece)) + piece)


class Bench:
    """The site with its servers; `seconds` is how long one measurement takes."""

    def __init__(self, site: Inlined, folder: Path, stack: contextlib.ExitStack, seconds: float) -> None:
        self.site, self.seconds, self._folder, self._stack = site, seconds, folder, stack
        self.program = folder / "pages"
        command = ["cc", "-O2", "-std=c17", "-Wall", "-Wextra", "-Werror", "-o", str(self.program)]
        run(*command, str(HERE / "c" / "pages.c"))
        for number in range(1, ADDRESSES):
            client = CLIENT.rsplit(".", 1)[0] + f".{2 + number}/24"
            run("ip", "-n", site.names["client"], "address", "add", client, "dev", "eth0")
        for number, small in enumerate((False, True)):
            write_pages(folder / f"pages-{number}", small=small)
            self._serve("server", str(self.program), "serve", str(folder / f"pages-{number}"), str(PORT + number))
        self._serve("server", "iperf3", "-s", "--forceflush")

    def _serve(self, role: str, *command: str) -> None:
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.site.names[role], *command], stdout=subprocess.PIPE, text=True
        )
        self._stack.callback(child.wait)
        self._stack.callback(child.kill)
        assert child.stdout is not None
        child.stdout.readline()

    def bulk(self) -> float:
        """Bits a second of one TCP connection."""
        text = self.site.at("client", "iperf3", "-c", SERVER, "-J", "-t", str(self.seconds), "-O", "1")
        return float(json.loads(text)["end"]["sum_received"]["bits_per_second"])

    def fetch(self, *, small: bool = False, rate: int = 0, seconds: float = 0) -> Fetched:
        """Pages over connections of one to eight requests; `small`: one small page for each connection."""
        words = (self._folder / f"pages-{int(small)}", PORT + int(small), CLIENT, ADDRESSES, SERVER, 32,
                 1 if small else 8, seconds or self.seconds, rate)  # fmt: skip
        text = self.site.at("client", str(self.program), "fetch", *(str(word) for word in words))
        return Fetched(*(int(word) for word in text.split()))


@contextlib.contextmanager
def plain(bench: Bench) -> Iterator[None]:
    bench.site.without_ruleset()
    yield


@contextlib.contextmanager
def reef(bench: Bench, cache: Path, depth: int) -> Iterator[None]:
    bench.site.ruleset()
    bench.site.start_verdictd()
    bench.site.judge(cache=cache, depth=depth, writes="alerts")
    yield
    bench.site.end("judge", signal.SIGTERM)
    bench.site.end("verdictd", signal.SIGTERM)
    bench.site.without_ruleset()


@contextlib.contextmanager
def peer(bench: Bench, release: str, rules: Path) -> Iterator[None]:
    """Suricata in its root, on the same queues."""
    root = suricata.root_of(release)
    with suricata.workplace(release, [rules]) as place:
        settings = suricata.settings(release, full=False)
        (place / "suricata.yaml").write_text(settings.replace("#  batchcount: 20", "  batchcount: 20"))
        inside = Path("/tmp") / place.name
        queues = [word for number in range(min(os.cpu_count() or 1, 4)) for word in ("-q", str(number))]
        words = ["-c", inside / "suricata.yaml", "-S", inside / rules.name, "-l", inside, "-k", "none", *queues]
        bench.site.ruleset(queues=len(queues) // 2)
        child = subprocess.Popen(
            ["ip", "netns", "exec", bench.site.names["gateway"], "chroot", root, "suricata", *map(str, words)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            bench.site.until(
                lambda: len(bench.site.kernel_counts()) >= len(queues) // 2, "Suricata holds its queues", 300
            )
            yield
        finally:
            child.terminate()
            child.wait()
            bench.site.without_ruleset()


class Best(NamedTuple):
    bulk: list[float]
    web: list[float]
    new: list[float]
    p99: list[float]  # milliseconds, at half of the pages a second that Reef can


def measure(bench: Bench, best: Best, rate: int) -> None:
    best.bulk.extend((bench.bulk(), bench.bulk()))  # it varies most
    best.web.append(bench.fetch().rate)
    best.new.append(bench.fetch(small=True).new)
    # One stall of the machine is one run's, not the figure.
    best.p99.extend(bench.fetch(rate=rate, seconds=1).p99 / 1e6 for _ in range(5))


def rows_of(found: dict[str, Best]) -> list[Row]:
    ours, whole, alone = found["reef"], found["reef, no hand-back"], found["plain"]
    rows = []
    others = [(name, best) for name, best in found.items() if name.startswith("Suricata")]
    for name, theirs in others:
        rows += [
            compared("one large transfer", ours.bulk, name, theirs.bulk, 1e9, "Gbit/s", BULK_WANTED),
            compared("one large transfer, all of it inspected", whole.bulk, name, theirs.bulk, 1e9, "Gbit/s", None),
            compared("web pages", ours.web, name, theirs.web, 1e6, "MB/s", WEB_WANTED),
            compared("connections with a small page each", ours.new, name, theirs.new, 1e3, "thousand/s", NEW_WANTED),
        ]
        beside = f"{name}: {median(theirs.p99):.2f} ms"
        rows.append(Row("99 % of pages at half of our load", f"{median(ours.p99):.2f} ms", beside))
    rows += [
        compared("one large transfer, handed back", ours.bulk, "plain", alone.bulk, 1e9, "Gbit/s", BACK_WANTED),
        compared("web pages", ours.web, "plain", alone.web, 1e6, "MB/s", None),
        compared("connections with a small page each", ours.new, "plain", alone.new, 1e3, "thousand/s", None),
    ]
    added = median(ours.p99) - median(alone.p99)
    beside = f"plain: {median(alone.p99):.2f} ms"
    words = "99 % of pages at half load, added"
    rows.append(Row(words, f"{added:.2f} ms", beside, None, f"< {P99_WANTED:g} ms", added < P99_WANTED))
    return rows


def compared(
    what: str, ours: list[float], name: str, theirs: list[float], unit: float, word: str, wanted: float | None
) -> Row:
    """The best of the rounds of either."""
    ratio = max(ours) / max(theirs)
    said = "" if wanted is None else f">= {wanted:g}"
    holds = None if wanted is None else ratio >= wanted
    measured, beside = f"{max(ours) / unit:.2f} {word}", f"{name}: {max(theirs) / unit:.2f} {word}"
    return Row(what, measured, beside, ratio, said, holds)


def main(*, quick: bool = False) -> list[Row]:
    rules = peers() / "et-open" / "et-open.rules"
    releases = suricata.present()[-1:]
    if not releases:
        print("no Suricata to measure beside: python -m tests.bench.suricata sets one up", flush=True)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        CACHE.mkdir(parents=True, exist_ok=True)
        CACHE.chmod(0o777)  # who judges has a user of its own
        site = stack.enter_context(Inlined(open_=False))
        site.end("verdictd", signal.SIGTERM)
        site.without_ruleset()
        if rules.exists():
            (site.rules / "et-open.rules").write_bytes(rules.read_bytes())
        bench = Bench(site, folder, stack, 2.0 if quick else 5.0)
        found: dict[str, Best] = {}
        with reef(bench, CACHE, DEPTH):
            rate = int(bench.fetch().requests / bench.seconds / 2)
        for _ in range(1 if quick else 2):
            for name, engine in (
                ("plain", plain(bench)),
                ("reef", reef(bench, CACHE, DEPTH)),
                ("reef, no hand-back", reef(bench, CACHE, EVERYTHING)),
                *((f"Suricata {suricata.version(each)}", peer(bench, each, rules)) for each in releases),
            ):
                with engine:
                    best = found.setdefault(name, Best([], [], [], []))
                    measure(bench, best, rate)
                    print(name, {key: [round(one, 2) for one in value] for key, value in best._asdict().items()},
                          file=sys.stderr, flush=True)  # fmt: skip
    return rows_of(found)
