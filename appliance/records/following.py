"""Takes the audit entries out of the spools of the processes, each once: the places are kept with the entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from appliance.events import record
from appliance.events.reader import Reader
from appliance.events.segments import segments
from appliance.records.trail import MOST_ENTRY

_MARK = b'"event_type":"audit"'
_SHOWN = 500  # letters of what was refused


class Found(msgspec.Struct, frozen=True):
    """New entries in order, and how far the spools that they come from are read with them."""

    entries: list[bytes]
    read: dict[str, int]


Said = Callable[[str, str, dict[str, str]], bytes]


class _OfAudit(msgspec.Struct, frozen=True):
    audit: record.Audit


_decoder = msgspec.json.Decoder(_OfAudit)


class Follower:
    """Follows `spools` (process -> its spool and the subjects it may write of) from the places in `read`.

    `said` makes an entry of recordd's own: action, object, detail.
    """

    def __init__(
        self, spools: Mapping[str, tuple[Path, tuple[str, ...]]], read: Mapping[str, int], said: Said
    ) -> None:
        self._spools = spools
        self._read = dict(read)
        self._said = said
        self._readers: dict[str, Reader] = {}

    def back_to(self, read: Mapping[str, int]) -> None:
        """What was found since was not kept: find it again."""
        self._read = dict(read)
        self._readers.clear()

    def look(self, limit: int) -> Found:
        """What came since the last look, about `limit` entries at most. On disk in the spools. Raises OSError."""
        found = Found([], {})
        for name, (directory, subjects) in self._spools.items():
            reader = self._reader(name, directory, found.entries)
            if reader is None:
                continue
            before = len(found.entries)
            while len(found.entries) < limit and (batch := reader.read()) is not None:
                if batch.lost:
                    found.entries.append(
                        self._said(
                            "trail.gap", f"events of {name}", {"lost": f"{batch.lost}", "at": f"{batch.serial}"}
                        )
                    )
                found.entries.extend(self._entry(name, subjects, line) for line in batch.lines if _MARK in line)
            if len(found.entries) > before:
                reader.settle()
                found.read[name] = reader.next_serial
        return found

    def _reader(self, name: str, directory: Path, entries: list[bytes]) -> Reader | None:
        if name in self._readers:
            return self._readers[name]
        if not directory.is_dir() or not segments(directory):
            return None  # it never wrote
        place = self._read.get(name, 0)
        end = Reader(directory)
        end.seek_end()
        if end.next_serial < place:
            words = {"read": f"{place}", "ends": f"{end.next_serial}"}
            entries.append(self._said("trail.gap", f"events of {name}: the spool began anew", words))
            place = 0
        self._readers[name] = Reader(directory, serial=place)
        return self._readers[name]

    def _entry(self, name: str, subjects: tuple[str, ...], line: bytes) -> bytes:
        """The entry as it was written, or what to say of one that its process may not write."""
        if len(line) > MOST_ENTRY:
            return self._refused(name, line, f"it has {len(line)} bytes")
        try:
            audit = _decoder.decode(line).audit
        except msgspec.DecodeError as error:
            return self._refused(name, line, str(error))
        if audit.process != name:
            return self._refused(name, line, f"it says that {audit.process} wrote it")
        if audit.action.partition(".")[0] not in subjects:
            return self._refused(name, line, f"{name} does not write of {audit.action}")
        return line

    def _refused(self, name: str, line: bytes, why: str) -> bytes:
        detail = {"why": why, "sha256": sha256(line).hexdigest(), "begins": line[:_SHOWN].decode(errors="replace")}
        return self._said("trail.refused", f"an entry of {name}", detail)
