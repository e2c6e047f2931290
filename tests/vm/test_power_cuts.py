"""Power cuts while alerts are kept and the trail grows: what was said to be durable is there, once, at any moment.

A machine writes for some seconds; QEMU logs its writes. Then the disk of any moment is made anew, with what was not
flushed kept or dropped at random, repaired as a boot would, and opened by the programs that must live with it.

make soak MINUTES=10                                                     as many cuts as there is time for
.venv/bin/python -m pytest tests/vm/test_power_cuts.py --minutes 10 -m soak -s     the same, with the figures
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.events.outbox import NAME, Outbox, OutboxError, Stored
from appliance.events.spool import Spool
from appliance.records.trail import Trail, TrailError
from tests.vm.durably import SOURCE, alert, collector, entry
from tests.vm.kernel import Kernel
from tests.vm.machine import Machine
from tests.vm.writelog import Cuts, Written, read

HERE = Path(__file__).parent
IN_MEMORY = Path("/dev/shm")
MEGABYTES = 40
SAID = MEGABYTES << 20  # behind the file system: the sector in which it is said what is durable
SECONDS = 4
FEW, SHORT = 8, 8.0  # cuts at least, and seconds of them that nobody asked to be longer


class Disk(NamedTuple):
    base: bytes
    log: list[Written]


class Promise(NamedTuple):
    """What was said to be durable before a moment."""

    alerts: int
    seq: int
    entries: int


def made(path: Path) -> Path:
    """An ext4 disk with room behind the file system."""
    with path.open("wb") as image:
        image.truncate(SAID + (1 << 20))
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(path), f"{MEGABYTES}M"], check=True)
    return path


@pytest.fixture(scope="module")
def disks(vm_kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> tuple[Disk, Disk]:
    """One on which everything was flushed as it should be, and one whose writer forgot to."""
    folder = tmp_path_factory.mktemp("disks")
    names = ("honest", "forgetful")
    images = [made(folder / name) for name in names]
    bases = [image.read_bytes() for image in images]
    logs = [folder / f"{name}.log" for name in names]
    with Machine(vm_kernel, logged=tuple(zip(images, logs, strict=True))) as machine:
        machine.run("mkdir /run/forgetful && mount -t ext4 /dev/vdb /run/forgetful")
        command = f"PYTHONPATH=. python {HERE / 'durably.py'} {SAID} {SECONDS}"
        machine.run(f"{command} /var/lib/reef /dev/vda /run/forgetful /dev/vdb", timeout=150)
    honest, forgetful = (Disk(base, read(log)) for base, log in zip(bases, logs, strict=True))
    return honest, forgetful


@pytest.fixture
def memory() -> Iterator[Path]:
    """Where disks are made anew: what becomes of them when this machine loses power is nobody's question."""
    with tempfile.TemporaryDirectory(prefix="reef-cuts-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        yield Path(folder) / "disk"


def promises(log: list[Written]) -> list[Promise]:
    """For each moment of a log what had been said before."""
    found, last = [], Promise(0, 0, 0)
    for one in log:
        found.append(last)
        if one.at == SAID and one.data:
            last = Promise(**json.loads(one.data))
    return found


def recovered(disk: bytearray, folder: Path) -> Path:
    """The files of a disk after a boot: the journal is replayed, the file system checked."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    image, files = folder / "image", folder / "files"
    image.write_bytes(disk)
    files.mkdir()
    checked = subprocess.run(["e2fsck", "-fy", str(image)], capture_output=True, text=True, check=False)
    assert checked.returncode <= 1, checked.stdout + checked.stderr
    subprocess.run(["debugfs", "-R", f"rdump / {files}", str(image)], capture_output=True, check=True)
    return files


def kept(outbox: Outbox) -> Iterator[Stored]:
    reader, after = outbox.reader(), 0
    try:
        while True:
            page = reader.read(after)
            yield from page.events
            after = page.through
            if after >= page.last:
                return
    finally:
        reader.close()


def broken(files: Path, promise: Promise) -> str:
    """What was promised and is not so; "" when all is."""
    if not (files / "events" / SOURCE).is_dir() or not (files / "trail").is_dir():
        return "" if promise == (0, 0, 0) else "nothing is there"
    try:
        return _outbox(files, promise) or _trail(files, promise)
    except (OutboxError, TrailError, AssertionError) as error:
        return f"{type(error).__name__}: {error}"


def _outbox(files: Path, promise: Promise) -> str:
    """Open it, take in what the spool still has, let more come, and read everything."""
    outbox = Outbox(files / NAME, lambda words: None)
    try:
        acknowledged = [event for event in kept(outbox) if event.seq <= promise.seq]
        collecting = collector(files, outbox)
        while collecting.step():
            pass
        there = sum(event.kind == "alert" for event in kept(outbox))
        spool = Spool(files / "events" / SOURCE, source=SOURCE)
        for number in range(there, there + 5):
            spool.append(alert(number), 1)
        spool.close()
        while collecting.step():
            pass
        events = list(kept(outbox))
    finally:
        outbox.close()
    said = [json.loads(event.body)["alert"]["signature"] for event in events if event.kind == "alert"]
    if said != [f"alert {number}" for number in range(len(said))] or len(said) != there + 5:
        return "alerts are missing, double or out of order"
    if len(acknowledged) != promise.alerts or there < promise.alerts:
        return f"{promise.alerts} alerts were kept, and {len(acknowledged)} are there"
    # Who has everything up to the number that was promised gets exactly the others.
    behind = sum(event.seq > promise.seq for event in events)
    return "" if behind == len(events) - promise.alerts else "a number was given twice"


def _trail(files: Path, promise: Promise) -> str:
    trail = Trail(files / "trail")
    try:
        entries = list(trail.entries(0, trail.size))
        trail.append([b"after the cut"])
    finally:
        trail.close()
    if entries != [entry(number) for number in range(len(entries))]:
        return "the trail is not what was written"
    return "" if len(entries) >= promise.entries else f"{promise.entries} entries were kept, {len(entries)} are there"


def moments(log: list[Written], count: int, chance: random.Random) -> list[int]:
    """Of the time in which something was promised: power goes when something is written."""
    first = next(number for number, one in enumerate(log) if one.at == SAID and one.data)
    return sorted(chance.randrange(first, len(log)) for _ in range(count))


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_whatever_moment_the_power_goes_nothing_that_was_kept_is_lost_or_doubled(
    disks: tuple[Disk, Disk], memory: Path, budget: Callable[[float], float]
) -> None:
    base, log = disks[0]
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    known = promises(log)
    assert known[-1].alerts > 50, "something was written"
    cuts, seconds, began = 0, budget(SHORT), time.monotonic()
    while cuts < FEW or time.monotonic() - began < seconds:
        replay = Cuts(base, log, chance)
        for moment in moments(log, FEW, chance):
            words = broken(recovered(replay.at(moment), memory), known[moment])
            assert not words, f"seed {seed}, cut {cuts}, before write {moment} of {len(log)}: {words}"
            cuts += 1
    print(f"{cuts:,} power cuts over {known[-1].alerts:,} alerts and {known[-1].entries:,} entries: 0 lost, 0 double")


def test_a_writer_that_forgets_to_flush_is_caught(disks: tuple[Disk, Disk], memory: Path) -> None:
    base, log = disks[1]
    chance = random.Random(7)
    known, replay = promises(log), Cuts(base, log, chance)
    assert any(broken(recovered(replay.at(moment), memory), known[moment]) for moment in moments(log, FEW, chance))
