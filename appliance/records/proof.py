"""A proof as a file (C2SP tlog-proof): that an entry is in the log, for whoever has the log's key. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from appliance.records.checkpoint import Key, NoteError, Opened, open_checkpoint
from appliance.records.merkle import ProofError, check_inclusion, leaf_hash

_FIRST = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
_MOST_HASHES = 63


class Proof(msgspec.Struct, frozen=True):
    """Entry `index` is in the tree of the checkpoint `note`: the hashes from its sibling to the root's child."""

    index: int
    hashes: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        lines = [_FIRST, f"index {self.index}", *(base64.b64encode(part).decode() for part in self.hashes), "", ""]
        return "\n".join(lines).encode() + self.note


def parse_proof(data: bytes) -> Proof:
    """Raises `NoteError`."""
    head, gap, note = data.partition(b"\n\n")
    lines = head.decode(errors="replace").split("\n")
    if not gap or lines.pop(0) != _FIRST:
        raise NoteError(f"a proof begins with {_FIRST}, and ends with an empty line and a checkpoint")
    if lines and lines[0].startswith("extra "):
        lines.pop(0)
    word, _, number = lines.pop(0).partition(" ") if lines else ("", "", "")
    if (
        word != "index"
        or not (number.isascii() and number.isdigit())
        or len(number) > 19
        or len(lines) > _MOST_HASHES
    ):
        raise NoteError("a proof names the number of its entry, and at most 63 hashes")
    try:
        hashes = tuple(base64.b64decode(line, validate=True) for line in lines)
    except (binascii.Error, ValueError) as error:
        raise NoteError("a hash of the proof is not base64") from error
    return Proof(int(number), hashes, note)


def check_proof(proof: Proof, entry: bytes, log: Key, witnesses: Sequence[Key] = ()) -> Opened:
    """The entry is in the log of that key, says this checkpoint. Raises `NoteError`, `ProofError`."""
    opened = open_checkpoint(proof.note, log, witnesses)
    point = opened.checkpoint
    check_inclusion(proof.index, point.size, leaf_hash(entry), proof.hashes, point.root)
    return opened


__all__ = ["SUFFIX", "Proof", "ProofError", "check_proof", "parse_proof"]
