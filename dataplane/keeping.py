"""What taps and lanes keep of traffic beside their events, when the policy says so: files, and packets of alerts.

Nothing is kept unless `settings.keep_files` or `settings.keep_evidence` ask for it (R30): both hold what people say.
It lies where only inspectd and root can read it, is bounded in bytes, and goes after `settings.keep_days`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from appliance.control.messages.gateway import NameBook
from ctypes_ext.engine import EngineError, Evidence, FileStore

FILES_MAX = 4 << 30  # bytes in all
EVIDENCE_MAX = 1 << 30
KEEPERS_MAX = 9  # workers that keep: the taps', and one of each lane and each bridge
_DAY = 86_400.0
_PARTS = 256  # folders of a store, by the first byte of the digest


class _Wanted(NamedTuple):
    files: str = "none"
    evidence: bool = False


class Keeper(Protocol):
    """A worker, or a lane with one."""

    def keep(self, store: FileStore | None, evidence: Evidence | None, *, every: bool) -> None: ...


class Store:
    """A folder of the engine's file store; what was in it before counts. Raises OSError and `EngineError`.

    Each worker has a part of the room to itself, and a door of its own (`of`).
    """

    def __init__(self, folder: Path, most: int) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        held = sum(size for part in range(_PARTS) for _, size, _ in self._files(part))
        self._room = max(0, most - held) // KEEPERS_MAX
        self._doors: list[FileStore] = []
        self._refused = 0

    def of(self, number: int) -> FileStore:
        """For the worker of that number."""
        while len(self._doors) <= number:
            self._doors.append(FileStore(self._directory, self._room, len(self._doors)))
        return self._doors[number]

    def tidy(self, part: int, before: float) -> None:
        """Delete what one of its folders holds from before that moment."""
        freed = 0
        for path, size, changed in self._files(part):
            if changed < before:
                path.unlink(missing_ok=True)
                freed += size
        for door in self._doors if freed else ():
            door.freed(freed // KEEPERS_MAX)

    def refused(self) -> int:
        """Files that were not kept since this was asked last."""
        refused = sum(door.refused() for door in self._doors)
        more, self._refused = refused - self._refused, refused
        return more

    def _files(self, part: int) -> list[tuple[Path, int, float]]:
        try:
            found = [(path, path.stat()) for path in (self._folder / f"{part:02x}").iterdir()]
        except FileNotFoundError:
            return []
        return [(path, stat.st_size, stat.st_mtime) for path, stat in found]


class Keeping:
    """Follows what the running generation wants kept. `state` is the process's own directory."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._stores: dict[str, Store] = {}  # those opened so far; files may still come into them
        self._applied: list[_Wanted] = []  # by worker
        self._days = 0  # 0: no generation is known yet
        self._part = 0
        self._words: list[str] = []

    def follow(self, keepers: Sequence[Keeper], book: NameBook | None) -> None:
        """Hand each of the workers what the policy wants, when that is something else than before."""
        if book is None:
            return
        if self._days == 0:
            self._open_old()
        self._days = book.keep_days
        wanted = _Wanted(book.keep_files, book.keep_evidence)
        self._applied += [_Wanted()] * (len(keepers) - len(self._applied))
        late = [number for number in range(len(keepers)) if self._applied[number] != wanted]
        if not late:
            return
        for number in late:
            self._applied[number] = wanted
        try:
            for number in late:
                self._hand(keepers[number], number, wanted)
        except (OSError, EngineError) as error:
            self._words.append(f"nothing is kept of traffic: {error}")
            return
        if 0 not in late:  # lanes that came later do as the tap does
            return
        packets = "of connections with alerts" if wanted.evidence else "none"
        self._words.append(f"kept of traffic: files: {wanted.files}; packets: {packets}")

    def _hand(self, keeper: Keeper, number: int, wanted: _Wanted) -> None:
        store = self._store("files", FILES_MAX).of(number) if wanted.files != "none" else None
        evidence = Evidence(self._store("evidence", EVIDENCE_MAX).of(number)) if wanted.evidence else None
        keeper.keep(store, evidence, every=wanted.files == "all")

    def tidy(self, now: float) -> None:
        """A small part of what is kept is looked at, each time another: what is too old goes."""
        if not self._days:
            return
        for name, store in self._stores.items():
            try:
                store.tidy(self._part, now - self._days * _DAY)
            except OSError as error:
                self._words.append(f"{self._state / name}: {error}")
        self._part = (self._part + 1) % _PARTS

    def words(self) -> list[str]:
        """What a person should read of it."""
        for name, store in self._stores.items():
            if refused := store.refused():
                self._words.append(f"{self._state / name}: no room, or too many at once; not kept: {refused}")
        said, self._words = self._words, []
        return said

    def _open_old(self) -> None:
        """What an earlier policy had kept grows old, too."""
        for name, most in (("files", FILES_MAX), ("evidence", EVIDENCE_MAX)):
            if (self._state / name).is_dir():
                try:
                    self._store(name, most)
                except (OSError, EngineError) as error:
                    self._words.append(f"{self._state / name}: {error}")

    def _store(self, name: str, most: int) -> Store:
        found = self._stores.get(name)
        if found is None:
            found = self._stores[name] = Store(self._state / name, most)
        return found
