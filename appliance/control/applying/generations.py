"""The store of generations: every one whole or absent, a journal of what became of each, and which to boot.

One writer: applyd, so that who records a change is who made it. A generation is one file; its state is
the last line the journal has for it. After a crash of the process everything written is still there;
after a power cut everything up to the last `settle` is, and nothing that was not settled is ever booted.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from appliance.control.messages.gateway import GenerationSummary
from appliance.durable import replace, sync
from appliance.policy.compiling.bundle import digest

State = Literal["pending", "confirmed", "rolled-back", "failed"]

_FORMAT = 1
_COMPRESSION = 6


class StoreError(Exception):
    """The store cannot keep or give a generation: disk full, damaged file. Says which and what to do."""


class Entry(msgspec.Struct, frozen=True):
    """One line of the journal: what became of a generation, when (epoch seconds) and by whom."""

    generation: int
    state: State
    at: float
    by: str = ""
    note: str = ""


class Kept(msgspec.Struct, frozen=True):
    """The head of a generation's file: what the history shows without opening the bundle."""

    generation: int
    parent: int
    author: str
    reason: str
    created: float
    digest: str
    rules: int
    signature: bytes
    compressed: bool = False
    format: int = _FORMAT


class Store:
    """Opening it recovers: half-written files go, a torn last journal line goes, the rest is read."""

    def __init__(self, directory: Path) -> None:
        self._files = directory / "generations"
        self._journal = directory / "journal"
        self._files.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.kept: dict[int, Kept] = {}
        self.entries: list[Entry] = []
        self.damaged: list[str] = []  # what recovery found, for the log and `reef doctor`
        self._unsettled: set[int] = set()
        self._recover()
        self._journal_file = self._journal.open("ab", buffering=0)

    def close(self) -> None:
        self._journal_file.close()

    # --- what is --------------------------------------------------------------------------------------

    @property
    def last(self) -> int:
        """The highest number ever used; the next generation is above it."""
        return max((*self.kept, *(entry.generation for entry in self.entries)), default=0)

    @property
    def confirmed(self) -> int:
        """The generation to boot: the one confirmed last; 0 for none."""
        for entry in reversed(self.entries):
            if entry.state == "confirmed" and entry.generation in self.kept:
                return entry.generation
        return 0

    @property
    def pending(self) -> int:
        """The generation that was being loaded or waits for its confirm; 0 for none."""
        return self.entries[-1].generation if self.entries and self.entries[-1].state == "pending" else 0

    def summary(self, generation: int) -> GenerationSummary:
        """Raises KeyError for a generation that is not kept."""
        return self._summary(self.kept[generation], self._last_entries(), self.confirmed)

    def history(self, limit: int) -> tuple[GenerationSummary, ...]:
        """The newest `limit` generations, newest first."""
        last, confirmed = self._last_entries(), self.confirmed
        newest = sorted(self.kept, reverse=True)[: max(limit, 0)]
        return tuple(self._summary(self.kept[number], last, confirmed) for number in newest)

    def _last_entries(self) -> dict[int, list[Entry]]:
        found: dict[int, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.generation, []).append(entry)
        return found

    def _summary(self, kept: Kept, entries: dict[int, list[Entry]], confirmed: int) -> GenerationSummary:
        own = entries.get(kept.generation, [])
        state = own[-1].state if own else "failed"
        words = {
            "pending": "running" if kept.generation == self.pending else "failed",
            "confirmed": "confirmed" if kept.generation == confirmed else "superseded",
        }.get(state, state)
        confirm = next((entry for entry in reversed(own) if entry.state == "confirmed"), None)
        return GenerationSummary(
            generation=kept.generation,
            state=words,
            author=kept.author,
            reason=kept.reason,
            created=kept.created,
            digest=kept.digest,
            parent=kept.parent,
            rules=kept.rules,
            confirmed_by=confirm.by if confirm else "",
            confirmed_at=confirm.at if confirm else 0.0,
            note=own[-1].note if own else "never loaded",
        )

    def read(self, generation: int) -> tuple[bytes, bytes]:
        """(bundle bytes, signature) of a kept generation. Raises `StoreError` when the file is not what was kept."""
        return read_stored(self._path(generation), generation)

    # --- what changes ---------------------------------------------------------------------------------

    def keep(self, kept: Kept, bundle: bytes) -> None:
        """Write a generation's file. Durable only after `settle`. Raises `StoreError`, and then nothing is kept."""
        self._write(kept, bundle)
        self.kept[kept.generation] = kept
        self._unsettled.add(kept.generation)

    def record(self, entry: Entry) -> None:
        """Append to the journal (survives a crash of this process; `settle` makes it survive a power cut).

        Raises `StoreError`, and then the journal is as before.
        """
        line = _line(entry)
        size = self._journal_file.tell()
        try:
            written = self._journal_file.write(line)
        except OSError as error:
            raise _full(self._journal, error) from error
        if written != len(line):
            self._journal_file.truncate(size)
            self._journal_file.seek(size)
            raise StoreError(f"{self._journal}: no space left; free some, nothing was changed")
        self.entries.append(entry)

    def settle(self) -> None:
        """Make everything kept and recorded so far survive a power cut. Raises `StoreError`."""
        try:
            for generation in sorted(self._unsettled):
                sync(self._path(generation))
            if self._unsettled:
                sync(self._files)
            os.fsync(self._journal_file.fileno())
        except OSError as error:
            raise _full(self._journal, error) from error
        self._unsettled.clear()

    def retire(self, generation: int) -> None:
        """Compress the file of a generation that neither runs nor boots. Raises `StoreError`."""
        kept = self.kept[generation]
        if kept.compressed:
            return
        body, _ = self.read(generation)
        small = msgspec.structs.replace(kept, compressed=True)
        self._write(small, zlib.compress(body, _COMPRESSION), durable=True)
        self.kept[generation] = small

    def forget(self, generation: int) -> None:
        """Take back a `keep` whose `record` failed."""
        self._path(generation).unlink(missing_ok=True)
        self.kept.pop(generation, None)
        self._unsettled.discard(generation)

    def prune(self, keep: int, also: Iterable[int]) -> tuple[int, ...]:
        """Forget all but the newest `keep` generations, the confirmed and the pending one and `also`."""
        protected = {self.confirmed, self.pending, *also}
        old = [number for number in sorted(self.kept, reverse=True)[max(keep, 1) :] if number not in protected]
        if not old:
            return ()
        for number in old:
            self._path(number).unlink(missing_ok=True)
            del self.kept[number]
        gone = set(old)
        newest = self.last
        self.entries = [entry for entry in self.entries if entry.generation not in gone or entry.generation == newest]
        self._rewrite_journal()
        return tuple(old)

    # --- files ----------------------------------------------------------------------------------------

    def _path(self, generation: int) -> Path:
        return stored_path(self._files.parent, generation)

    def _write(self, kept: Kept, body: bytes, *, durable: bool = False) -> None:
        path = self._path(kept.generation)
        try:
            replace(path, msgspec.json.encode(kept), b"\n", body, durable=durable)
        except OSError as error:
            raise _full(path, error) from error

    def _rewrite_journal(self) -> None:
        try:
            replace(self._journal, b"".join(map(_line, self.entries)))
        except OSError as error:
            raise _full(self._journal, error) from error
        self._journal_file.close()
        self._journal_file = self._journal.open("ab", buffering=0)

    def _recover(self) -> None:
        for leftover in (*self._files.glob("*.tmp"), *self._journal.parent.glob(f"{self._journal.name}.tmp")):
            leftover.unlink()
        for path in sorted(self._files.glob("*.generation")):
            kept = self._recover_file(path)
            if kept is not None:
                self.kept[kept.generation] = kept
        if not self._journal.exists():
            return
        data = self._journal.read_bytes()
        good = 0
        for line in data.splitlines(keepends=True):
            entry = _entry(line)
            if entry is None:
                break
            self.entries.append(entry)
            good += len(line)
        if good != len(data):
            # Only an append can be cut short, so what follows the last whole line never took effect.
            self.damaged.append(f"{self._journal}: {len(data) - good} bytes of an unfinished line were dropped")
            with self._journal.open("r+b", buffering=0) as journal:
                journal.truncate(good)

    def _recover_file(self, path: Path) -> Kept | None:
        try:
            with path.open("rb") as file:
                head = file.readline(1 << 16)
            kept, _ = _parse(head)
        except (OSError, ValueError) as error:
            self.damaged.append(f"{path}: {error}")
            return None
        return kept


def stored_path(directory: Path, generation: int) -> Path:
    """Where the store in `directory` keeps a generation."""
    return directory / "generations" / f"{generation:08d}.generation"


def read_stored(path: Path, generation: int) -> tuple[bytes, bytes]:
    """(bundle bytes, signature) of a generation's file; writes nothing, so that anybody who may read it can check it.

    Raises `StoreError` when the file is not what was kept.
    """
    try:
        kept, body = _parse(path.read_bytes())
        if kept.compressed:
            body = zlib.decompress(body)
    except (OSError, ValueError, zlib.error) as error:
        raise StoreError(f"generation {generation} cannot be read: {error}") from error
    if digest(body) != kept.digest:
        raise StoreError(f"generation {generation} is damaged on disk: its digest is not what was kept")
    return body, kept.signature


def boot_candidate(store: Store, good: Callable[[bytes, bytes], bool]) -> int:
    """The newest confirmed generation whose file is whole and `good` (its signature verifies); 0 for none."""
    seen: set[int] = set()
    for entry in reversed(store.entries):
        if entry.state != "confirmed" or entry.generation in seen or entry.generation not in store.kept:
            continue
        seen.add(entry.generation)
        try:
            body, signature = store.read(entry.generation)
        except StoreError as error:
            store.damaged.append(str(error))
            continue
        if good(body, signature):
            return entry.generation
        store.damaged.append(f"generation {entry.generation} is not signed by this gateway's key; it is not booted")
    return 0


def _parse(data: bytes) -> tuple[Kept, bytes]:
    """Raises ValueError (msgspec's errors are) for what is no generation's file."""
    head, newline, body = data.partition(b"\n")
    if not newline:
        raise ValueError("the file ends within its head")
    kept = msgspec.json.decode(head, type=Kept)
    if kept.format != _FORMAT:
        raise ValueError(f"format {kept.format} is not known here")
    return kept, body


def _line(entry: Entry) -> bytes:
    body = msgspec.json.encode(entry)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _entry(line: bytes) -> Entry | None:
    crc, _, body = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or crc != b"%08x" % zlib.crc32(body):
        return None
    try:
        return msgspec.json.decode(body, type=Entry)
    except ValueError:
        return None


def _full(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: {error.strerror}; the generation was not kept and nothing was changed")
