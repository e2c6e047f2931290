"""Replay of ten million logged flows against a candidate of 10,000 rules, and what the flow log takes on disk"""

from __future__ import annotations

import random
import struct
import subprocess
import time
from collections.abc import Iterator

from appliance.events import flowfile
from appliance.events.flowfile import Block
from appliance.policy.answering.classifier import Encoder
from appliance.policy.answering.comparison import Comparison
from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.model import Policy, Range
from crypto.flowkeys import seal, unseal
from ctypes_ext.replay import Heads
from tests.bench.core import program
from tests.bench.table import Row
from tests.policies import LINES, large_policy_text, line_network

RULES = 10_000
FLOWS = 10_000_000
BLOCK_ROWS = 100_000
MINUTE = 1_774_000_000 // 60
KEY = bytes(32)
WANTED = 5.0
_HEADER = struct.Struct("<7Q")


def main(*, quick: bool) -> list[Row]:
    flows = FLOWS // 10 if quick else FLOWS
    cache = ParseCache()
    running, _ = parse(large_policy_text(RULES), "running", inherited={}, cache=cache)
    candidate, _ = parse(large_policy_text(RULES, edit=5000), "candidate", inherited={}, cache=cache)
    other, _ = parse(large_policy_text(RULES, seed=2), "other", inherited={})
    distinct = list(blocks(running, flows, repeats=1))
    alike = list(blocks(running, flows // 10, repeats=8))
    said = f"{sum(block.flows for block in distinct):,} flows in {sum(block.rows for block in distinct):,} rows"
    rows: list[Row] = []
    for words, new, everything, wanted in (
        ("replay: every flow decided twice, one rule edited", candidate, True, True),
        ("replay: the same, flows that no differing rule speaks of passed over", candidate, False, True),
        ("replay: another policy of as many rules, nearly all flows differ", other, False, False),
    ):
        seconds, differing = replay(running, new, distinct, everything=everything)
        rate = sum(block.rows for block in distinct) / seconds / 1e6
        limit = WANTED * flows / FLOWS
        rows.append(
            Row(
                f"{words}: {said}",
                f"{seconds:.2f} s, {rate:.1f} M rows/s, {differing:,} flows differ",
                wanted=f"< {limit:g} s" if wanted else "",
                holds=seconds < limit if wanted else None,
            )
        )
    for words, made in (("hosts and services drawn at random", distinct), ("eight times as many alike", alike)):
        size, count = sum(block.size for block in made), sum(block.flows for block in made)
        lines = sum(block.rows for block in made)
        rows.append(
            Row(
                f"flow log on disk, {words}",
                f"{size / count * 1e6 / 2**20:.1f} MiB per million flows",
                f"{size / lines:.1f} bytes per row, {count / lines:.1f} flows per row",
            )
        )
    return rows


def replay(running: Policy, candidate: Policy, made: list[Block], *, everything: bool) -> tuple[float, int]:
    """Seconds of processor time from two parsed policies to the groups, and how many flows are decided otherwise."""
    begun = time.thread_time()  # it has one thread; who else uses the machine is another matter
    comparison = Comparison(running, candidate, Encoder(), members={}, first=MINUTE * 60, last=MINUTE * 60 + 10**7)
    for block in made:
        heads = Heads(flowfile.heads_of(block))
        if everything or comparison.wants(heads):
            addresses = flowfile.addresses_of(block, lambda _, closed, beside: unseal(KEY, closed, beside))
            comparison.feed(heads, flowfile.body_of(block), addresses, everything=everything)
    comparison.groups()
    return time.thread_time() - begun, comparison.differing()


def blocks(policy: Policy, flows: int, *, repeats: int) -> Iterator[Block]:
    """Blocks of flows that the policy's rules let through, and some that none does."""
    command = [str(program("flows")), str(-(-flows // BLOCK_ROWS)), str(BLOCK_ROWS), str(repeats), str(MINUTE)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(kinds(policy)).encode())
        process.stdin.close()
        while header := process.stdout.read(_HEADER.size):
            rows, seen, first, last, *sizes = _HEADER.unpack(header)
            heads, body, addresses = (process.stdout.read(size) for size in sizes)
            yield flowfile.deflate(
                heads, body, addresses, day=first // 1440, first=first, last=last, rows=rows, flows=seen, lost=0,
                seal=lambda _, data, beside: seal(KEY, data, beside),
            )  # fmt: skip
    assert process.returncode == 0


def kinds(policy: Policy) -> Iterator[str]:
    """What the bench program draws from: for each rule, hosts that it lets through; and scans."""
    rng = random.Random(1)
    for rule in policy.rules:
        source, destination = rule.sources[0], rule.destinations[0]
        if "any" in (source, destination):
            continue
        entry = rule.services[0]
        for version in (4, 6):
            sources = inside(rule.source.ranges, source, version, rng)
            destinations = inside(rule.destination.ranges, destination, version, rng)
            if entry.protocol not in (6, 17) or not sources or not destinations:
                continue
            ends = f"{version} {sources} {destinations}"
            yield f"{source} {destination} {rule.id} 0 {entry.protocol} {entry.ports[0]} {ends}\n"
    for _ in range(len(policy.rules) // 8):
        outer = Range(4, 0xC6000000 + rng.randrange(1 << 24), 0)
        yield f"internet dmz default 1 6 0 4 {outer.first:x} 16 {line_network('dmz0', 4).first:x} 4096\n"


def inside(ranges: tuple[Range, ...], zone: str, version: int, rng: random.Random) -> str:
    """Some addresses of a rule's side as "first count"; hosts of the zone where it says any."""
    listed = [part for part in ranges if part.version == version]
    if not listed:
        return ""
    part = rng.choice(listed)
    if part.last - part.first >= 1 << 24:
        lines = [name for name, line in LINES.items() if line[0] == zone]
        net = line_network(rng.choice(lines), version)
        first = net.first + 2 if zone != "internet" else net.first + rng.randrange(1, 200)
        return f"{first:x} {8000 if zone != 'internet' else 40}"
    return f"{part.first:x} {min(part.last - part.first + 1, 256)}"
