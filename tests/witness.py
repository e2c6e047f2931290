"""A witness as C2SP tlog-witness has it: it remembers the last checkpoint of a log, and cosigns what continues it."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.records.checkpoint import (
    COSIGNATURE,
    Checkpoint,
    Key,
    NoteError,
    cosignature,
    cosigned_message,
    open_checkpoint,
)
from appliance.records.merkle import EMPTY_ROOT, ProofError, check_consistency
from appliance.records.witness import parse_request

SIZE_TYPE = "text/x.tlog.size"


class Witness:
    """Knows one log."""

    def __init__(self, log: Key, name: str = "witness.example/w1", seed: int = 1) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = Key(name, self._private.public_key().public_bytes_raw(), COSIGNATURE)
        self._log = log
        self.last = Checkpoint(log.name, 0, EMPTY_ROOT)

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        try:
            asked = parse_request(body)
        except NoteError:
            return 400, b""
        try:
            opened = open_checkpoint(asked.note, self._log)
        except NoteError:
            return 403, b""
        new = opened.checkpoint
        if asked.old > new.size:
            return 400, b""
        if asked.old != self.last.size or (new.size == self.last.size and new.root != self.last.root):
            return 409, f"{self.last.size}\n".encode()
        try:
            if asked.old and new.size > asked.old:
                check_consistency(asked.old, new.size, self.last.root, new.root, asked.proof)
        except ProofError:
            return 422, b""
        self.last = new
        seconds = int(time.time())
        signature = self._private.sign(cosigned_message(seconds, opened.note.text))
        return 200, cosignature(self.key, seconds, signature).line().encode()
