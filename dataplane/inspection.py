"""Captures through the engine, for people who look into them: `reef inspect`.

Captures come from anywhere. What reads them is a process of its own, which holds no capability, can open no socket
and can change nothing but its output; it tells how far it is, and at last one `Summary`. EVE lines it writes itself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from appliance.control.sandbox import SandboxError, confine
from appliance.events import record
from appliance.policy.detections import Detections
from ctypes_ext import engine
from dataplane.detections.finding import Finding, event
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.watch import Watch
from dataplane.stats import stats
from dataplane.tally import TOP, Summary, Tally
from dataplane.watchfeed import Feed

FINDINGS_MAX = 1000  # that a summary keeps; lines of EVE there are for all
_STORE_MAX = 64 << 30  # bytes of files in all
SUFFIXES = (".pcap", ".pcapng", ".cap", ".dmp")
# What a pcap or pcapng file begins with, in either byte order.
_MAGICS = {
    bytes.fromhex(text)
    for text in ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "0a0d0d0a", "34cdb2a1", "a1b2cd34")
}


class InspectionError(Exception):
    """A capture cannot be looked into; says which, and why."""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Why nothing came of it."""

    words: str


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far it is: bytes of the captures, alerts so far."""

    done: int
    size: int
    alerts: int


def captures(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant: those named, and of folders what looks like a capture, the oldest first.

    Raises `InspectionError` for what is not there, cannot be read or is no capture.
    """
    found: list[Path] = []
    for path in paths:
        try:
            inside = sorted(_within(path)) if path.is_dir() else [path]
            if not inside:
                raise InspectionError(f"{path}: no captures in this folder; they end in {', '.join(SUFFIXES)}")
            for file in inside:
                if not _is_capture(file):
                    raise InspectionError(f"{file}: not a capture; pcap and pcapng are read")
        except OSError as error:
            raise InspectionError(f"{error.filename or path}: {error.strerror}") from error
        found += inside
    return found


def _within(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.suffix.lower().startswith(SUFFIXES) and file.is_file():
            yield file


def _is_capture(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(4) in _MAGICS


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Failed | Progress | Summary).decode


class Outputs(msgspec.Struct, frozen=True):
    """Where things go, and where they lie (`paths`): nothing else can be written by what reads captures."""

    eve: BinaryIO | None = None
    store: engine.FileStore | None = None
    evidence: engine.Evidence | None = None
    paths: tuple[Path, ...] = ()


def inspect(
    files: Sequence[Path],
    options: engine.Options,
    rules: engine.Rules | None,
    outputs: Outputs,
    told: Callable[[Progress], None] | None = None,
    *,
    tally: bool = True,
) -> Summary:
    """Every capture through one worker, in this order: flows go on from one file into the next.

    A capture that cannot be read to its end is said in `broken`; what came before counts. Raises `InspectionError`.
    """
    read, write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        os.close(read)
        _be_the_reader(files, options, rules, outputs, write, progress=told is not None, tally=tally)
    os.close(write)
    summary, failure = None, ""
    with os.fdopen(read, "rb") as stream:
        for line in stream:
            said = _decode(line)
            if isinstance(said, Progress) and told is not None:
                told(said)
            elif isinstance(said, Failed):
                failure = said.words
            elif isinstance(said, Summary):
                summary = said
    _, status = os.waitpid(child, 0)
    if summary is not None:
        return summary
    if os.WIFSIGNALED(status):
        failure = f"the engine died of signal {os.WTERMSIG(status)}; please report it with the capture"
    raise InspectionError(failure or f"the engine ended early ({status})")


def _be_the_reader(
    files: Sequence[Path],
    options: engine.Options,
    rules: engine.Rules | None,
    outputs: Outputs,
    answer: int,
    *,
    progress: bool,
    tally: bool,
) -> NoReturn:
    """The life of the child: open, give up everything else, read, say what came of it."""
    said = os.fdopen(answer, "wb")

    def tell(what: Progress | Failed | Summary) -> None:
        said.write(_encode(what) + b"\n")
        said.flush()

    status = 1
    try:
        open_files = [engine.CaptureFile(file) for file in files]
        worker = engine.Worker(options, rules, outputs.store, outputs.evidence)
        confine("captures", outputs.paths)
        tell(_read(open_files, files, worker, options, outputs.eve, tell if progress else None, tally=tally))
        if outputs.eve is not None:
            outputs.eve.flush()
        status = 0
    except (engine.EngineError, SandboxError, InspectionError, OSError) as error:
        tell(Failed(str(error)))
    except KeyboardInterrupt:
        status = 130
    finally:
        os._exit(status)


class _Detecting:
    """The detections over a capture. Everything in it is new, so what is new is not told."""

    def __init__(self) -> None:
        self.gathered = engine.Feed()
        self.findings: list[Finding] = []
        self._feed = Feed(engine.protocols())
        self._watch = Watch(Detections(learning=0, off=("new-device", "new-service")), Surroundings())

    def look(self, fed: bytes) -> bytes:
        """What came of what was gathered, as lines of EVE."""
        found = [one for seen in self._feed.read(fed) for one in self._watch.look(seen)]
        self.findings += found[: max(0, FINDINGS_MAX - len(self.findings))]
        return b"".join(record.encode(event(one)) for one in found)


def _read(
    captures_open: Sequence[engine.CaptureFile],
    files: Sequence[Path],
    worker: engine.Worker,
    options: engine.Options,
    eve: BinaryIO | None,
    told: Callable[[Progress], None] | None,
    *,
    tally: bool,
) -> Summary:
    started = time.monotonic()
    detecting = _Detecting() if tally else None
    names = engine.Names()
    names.capture()
    counted = Tally() if tally else None
    size = sum(capture.progress()[1] for capture in captures_open)
    done = 0
    broken: list[str] = []

    def drain() -> None:
        gathered = detecting.gathered if detecting is not None else None
        while True:
            lines, _count = worker.drain(names, _no_prefix, None, gathered)
            fed = gathered.take() if gathered is not None else b""
            if not lines and not fed:
                return
            if counted is not None:
                counted.add(lines)
            if detecting is not None:
                lines += detecting.look(fed)
            if eve is not None:
                eve.write(lines)

    for capture in captures_open:
        going = True
        while going:
            try:
                going = capture.pull(worker)
            except engine.EngineError as error:
                broken.append(str(error))
                going = False
            drain()
            if told is not None:
                told(Progress(done + capture.progress()[0], size, counted.alerts if counted else 0))
        done += capture.progress()[1]
    while not worker.finish():
        drain()
    drain()
    counters = worker.counters()
    if eve is not None:
        seconds = time.monotonic() - started
        eve.write(record.encode(stats(counters, options.memory, seconds=time.time(), uptime=seconds)))
    return Summary(
        captures=[str(file) for file in files],
        broken=broken,
        bytes_read=size,
        seconds=round(time.monotonic() - started, 6),
        packets=counters.packets,
        bytes=counters.bytes,
        malformed=counters.malformed,
        events_lost=counters.events_lost,
        flows_refused=counters.flows_refused + counters.flows_evicted,
        found=counted.found() if counted is not None else None,
        findings=detecting.findings if detecting is not None else [],
        rule_costs=worker.rule_costs()[:TOP] if options.rule_costs else None,
    )


def _no_prefix(prefix: bytes) -> engine.RuleName:
    """Captures hold no records of the ruleset's log."""
    raise InspectionError(f"the engine gave a log prefix for a capture: {prefix!r}")


def open_eve(path: Path) -> BinaryIO:
    """The file that EVE lines go to, new. Raises `InspectionError`."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        return os.fdopen(fd, "wb", 1 << 20)
    except OSError as error:
        raise InspectionError(f"{path}: {error.strerror}") from error


def open_store(path: Path) -> engine.FileStore:
    """The folder that files go to. Raises `InspectionError`."""
    try:
        path.mkdir(mode=0o750, parents=True, exist_ok=True)
        return engine.FileStore(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), _STORE_MAX)
    except (OSError, engine.EngineError) as error:
        raise InspectionError(f"{path}: {error}") from error
