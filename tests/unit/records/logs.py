"""Logs of audit entries for tests: made in memory, signed with a key of the test, written as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.events import record
from appliance.records.checkpoint import Checkpoint, Key, Note, Opened, Signature, open_checkpoint
from appliance.records.merkle import HASH_BYTES, TILE_WIDTH, Edge, leaf_hashes
from appliance.records.tiles import write
from appliance.records.trail import LENGTH_BYTES
from crypto.notes import origin_of, sign_checkpoint

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = Key(origin_of(PRIVATE.public_key().public_bytes_raw()), PRIVATE.public_key().public_bytes_raw())


def audited(
    count: int, action: str = "ban.add", process: str = "policyd", seconds: float = 1_700_000_000.0
) -> list[bytes]:
    """So many different entries."""
    return [
        record.encode(record.audit(process, "eva", action, f"object {number}", seconds=seconds + number))[:-1]
        for number in range(count)
    ]


class Memory:
    """A log in memory; `empty` are the entries that were disposed of."""

    def __init__(self, entries: Sequence[bytes], empty: frozenset[int] = frozenset()) -> None:
        self.leaves = leaf_hashes(entries)
        self.entries = [b"" if number in empty else entry for number, entry in enumerate(entries)]

    def bundle(self, number: int, width: int) -> bytes:
        first = number * TILE_WIDTH
        part = self.entries[first : first + width]
        return b"".join(len(one).to_bytes(LENGTH_BYTES, "big") + one for one in part)

    def hashes(self, level: int, number: int, width: int) -> bytes:
        assert level == 0
        first = number * TILE_WIDTH
        data = b"".join(self.leaves[first : first + width])
        assert len(data) == width * HASH_BYTES
        return data


def signed(entries: Sequence[bytes]) -> Opened:
    """The checkpoint of a log of these entries."""
    edge = Edge()
    edge.add(leaf_hashes(entries))
    point = Checkpoint(KEY.name, len(entries), edge.root())
    signature = Signature(KEY.name, KEY.id, sign_checkpoint(PRIVATE, point.origin, point.size, point.root))
    return open_checkpoint(Note(point.text(), (signature,)).encode(), KEY)


def exported(entries: Sequence[bytes], folder: Path, empty: frozenset[int] = frozenset()) -> Opened:
    """The log as files."""
    opened = signed(entries)
    write(Memory(entries, empty), len(entries), opened.note.encode(), KEY.encode(), folder)
    return opened
