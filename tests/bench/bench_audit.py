"""The audit trail: appended to in batches, and ten million entries verified by a stranger.

Entries are those that policyd writes of a ban, some 300 bytes. What is verified lies on disk as `reef audit export`
writes it, and the check hashes every entry and the tree anew, in as many processes as there are cores. Beside it the
same files are only read and hashed once by sha256sum.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.events import record
from appliance.records.checkpoint import Checkpoint, Key, Note, Opened, Signature, open_checkpoint
from appliance.records.merkle import TILE_WIDTH, Edge, leaf_hashes
from appliance.records.tiles import Folder, write
from appliance.records.trail import LENGTH_BYTES, Trail
from appliance.records.verify import verify
from crypto.notes import origin_of, sign_checkpoint
from tests.bench.table import Row

APPEND_MICROSECONDS = 3.0
VERIFY_SECONDS = 60.0
BATCH = 1000
_PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_KEY = Key(origin_of(_PRIVATE.public_key().public_bytes_raw()), _PRIVATE.public_key().public_bytes_raw())


def main(*, quick: bool) -> list[Row]:
    count = 200_000 if quick else 10_000_000
    with tempfile.TemporaryDirectory(prefix="reef-bench-audit-") as folder:
        cpu, wall = _appended(Path(folder) / "trail", 20 if quick else 300)
        exported = Path(folder) / "export"
        opened = _written(exported, count)
        read = _read(exported)
        begun = time.perf_counter()
        verdict = verify(Folder(exported), opened)
        seconds = time.perf_counter() - begun
    if verdict.problems or verdict.entries != count:
        raise RuntimeError(f"the log that was just written does not hold: {verdict}")
    return [
        Row(f"append, batches of {BATCH:,}: CPU an entry", f"{cpu:.2f} us", "", None,
            f"<= {APPEND_MICROSECONDS:g} us", cpu <= APPEND_MICROSECONDS),
        Row(f"append, batches of {BATCH:,}, each durable", f"{1 / wall:,.0f} entries/s"),
        Row(f"{count:,} entries verified offline", f"{seconds:.1f} s", f"sha256sum of the files: {read:.1f} s",
            seconds / read, f"< {VERIFY_SECONDS:g} s", seconds < VERIFY_SECONDS),
    ]  # fmt: skip


@cache
def _parts() -> tuple[bytes, bytes]:
    """An entry, around its number."""
    line = record.encode(
        record.audit(
            "policyd", "eva", "ban.add", "203.0.113.9", seconds=1_700_000_000.0, why="ticket NUMBER: scans",
            origin="ssh 10.9.0.5", detail={"seconds": "3600", "owner": "noc@egov.example"},
        )
    )[:-1]  # fmt: skip
    before, _, after = line.partition(b"NUMBER")
    return before, after


def _entries(first: int, count: int) -> list[bytes]:
    before, after = _parts()
    return [b"%b%d%b" % (before, number, after) for number in range(first, first + count)]


def _appended(folder: Path, batches: int) -> tuple[float, float]:
    """Microseconds of CPU and seconds of time for an entry: the best fifth of the batches, for others use the machine
    too."""
    trail = Trail(folder)
    spent = []
    for number in range(batches):
        entries = _entries(number * BATCH, BATCH)
        cpu, begun = time.process_time(), time.perf_counter()
        trail.append(entries, {"policyd": number})
        spent.append((time.process_time() - cpu, time.perf_counter() - begun))
    trail.close()
    best = max(batches // 5, 1)
    cpus, walls = (sorted(column)[:best] for column in zip(*spent, strict=True))
    return sum(cpus) / (best * BATCH) * 1e6, sum(walls) / (best * BATCH)


class _Made:
    """A log that is made while it is written."""

    def bundle(self, number: int, width: int) -> bytes:
        entries = _entries(number * TILE_WIDTH, width)
        return b"".join([len(one).to_bytes(LENGTH_BYTES, "big") + one for one in entries])

    def hashes(self, level: int, number: int, width: int) -> bytes:
        return b"".join(leaf_hashes(_entries(number * TILE_WIDTH, width)))


def _written(folder: Path, count: int) -> Opened:
    edge = Edge()
    for first in range(0, count, TILE_WIDTH):
        edge.add(leaf_hashes(_entries(first, min(TILE_WIDTH, count - first))))
    point = Checkpoint(_KEY.name, count, edge.root())
    signature = Signature(_KEY.name, _KEY.id, sign_checkpoint(_PRIVATE, point.origin, point.size, point.root))
    note = Note(point.text(), (signature,)).encode()
    write(_Made(), count, note, _KEY.encode(), folder)
    return open_checkpoint(note, _KEY)


def _read(folder: Path) -> float:
    """Seconds to read and hash every file once, which also has them in memory as far as they fit."""
    begun = time.perf_counter()
    find = ["find", str(folder), "-type", "f", "-print0"]
    with subprocess.Popen(find, stdout=subprocess.PIPE) as found:
        subprocess.run(["xargs", "-0", "sha256sum"], stdin=found.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun
