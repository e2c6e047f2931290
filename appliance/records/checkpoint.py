"""Checkpoints of the trail (C2SP tlog-checkpoint) as signed notes (C2SP signed-note), and who signed them. Pure.

A note is text, an empty line, and a line for each signature: the name of a key, and in base64 four bytes that tell
the key and the signature. The log signs the text itself (Ed25519, type 1); a witness signs the text and the moment at
which it saw it (cosignature/v1, type 4).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256

import msgspec

from appliance.records.merkle import HASH_BYTES
from crypto.notes import signed_by

ED25519 = 1
COSIGNATURE = 4
KEY_BYTES = 32
_ID_BYTES = 4
_STAMP_BYTES = 8
MOST_BYTES = 1 << 16  # of a note
MOST_SIGNATURES = 64
_DASH = "\u2014 "
_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}")
_NAME = re.compile(r"[^\s+]+")


class NoteError(Exception):
    """It is no note, no checkpoint or no key, or nobody whom we know signed it. The text says which."""


class Signature(msgspec.Struct, frozen=True):
    """One line under a note: `id` tells the key, `blob` is the signature."""

    name: str
    id: bytes
    blob: bytes

    def line(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.id + self.blob).decode()}\n"


class Note(msgspec.Struct, frozen=True):
    """`text` ends with a newline and stands before the empty line."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        return f"{self.text}\n{''.join(signature.line() for signature in self.signatures)}".encode()


class Key(msgspec.Struct, frozen=True):
    """A public key by its name. `kind` says what it signs: ED25519 notes, COSIGNATURE what a witness saw."""

    name: str
    public: bytes
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        return sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    def encode(self) -> str:
        """The verifier key ("vkey") that tools of transparency logs take."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"


class Checkpoint(msgspec.Struct, frozen=True):
    """The log called `origin` had `size` entries, whose tree has this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Cosigned(msgspec.Struct, frozen=True):
    """A witness saw the checkpoint at `time` (seconds since the epoch) and that it continues what it saw before."""

    witness: str
    time: int


class Opened(msgspec.Struct, frozen=True):
    """A checkpoint whose signature by the log holds, and what witnesses say of it."""

    checkpoint: Checkpoint
    note: Note
    cosigned: tuple[Cosigned, ...] = ()


# --- reading ----------------------------------------------------------------------------------------------


def parse_key(words: str) -> Key:
    """A verifier key. Raises `NoteError`."""
    name, _, rest = words.strip().partition("+")
    given, _, encoded = rest.partition("+")
    body = _decoded(encoded, "the key")
    if not valid_name(name) or len(body) != 1 + KEY_BYTES or body[0] not in (ED25519, COSIGNATURE):
        raise NoteError(f"{words[:100]!r} is no Ed25519 verifier key: NAME+8 hexadecimal digits+base64")
    key = Key(name, body[1:], body[0])
    if key.id.hex() != given:
        raise NoteError(f"the verifier key of {name} was copied wrong: it should be {key.encode()}")
    return key


def valid_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name.isprintable()


def parse_note(data: bytes) -> Note:
    """Raises `NoteError`."""
    if len(data) > MOST_BYTES:
        raise NoteError(f"a note of {len(data)} bytes is none of ours; at most {MOST_BYTES} are read")
    try:
        words = data.decode()
    except UnicodeDecodeError as error:
        raise NoteError("a note is UTF-8") from error
    if any(letter < " " and letter != "\n" for letter in words):
        raise NoteError("a note has no control characters")
    text, gap, lines = words.rpartition("\n\n")
    if not gap or not lines.endswith("\n"):
        raise NoteError("a note is text, an empty line and signatures, each line with its end")
    return Note(f"{text}\n", parse_signatures(lines))


def parse_signatures(lines: str) -> tuple[Signature, ...]:
    """The lines below a note. Raises `NoteError`."""
    found = lines.removesuffix("\n").split("\n")
    if len(found) > MOST_SIGNATURES:
        raise NoteError(f"more than {MOST_SIGNATURES} signatures")
    return tuple(_signature(line) for line in found)


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    body = _decoded(encoded, "a signature")
    if not line.startswith(_DASH) or not valid_name(name) or len(body) <= _ID_BYTES:
        raise NoteError(f"{line[:100]!r} is no signature: a dash, a name, and base64")
    return Signature(name, body[:_ID_BYTES], body[_ID_BYTES:])


def _decoded(encoded: str, what: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(f"{what} is not base64") from error


def parse_checkpoint(text: str) -> Checkpoint:
    """The text of a checkpoint's note. Raises `NoteError`."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise NoteError("a checkpoint is its log's name, a number of entries and a root, each on its line")
    origin, size, root = lines[:3]
    hashed = _decoded(root, "the root")
    if not _NUMBER.fullmatch(size) or int(size) >= 1 << 63 or len(hashed) != HASH_BYTES:
        raise NoteError("a checkpoint has the number of entries in its second line and their root in its third")
    return Checkpoint(origin, int(size), hashed)


# --- checking ---------------------------------------------------------------------------------------------


def cosigned_message(seconds: int, text: str) -> bytes:
    """What a witness signs."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def cosignature(key: Key, seconds: int, signature: bytes) -> Signature:
    return Signature(key.name, key.id, seconds.to_bytes(_STAMP_BYTES, "big") + signature)


def open_checkpoint(data: bytes, log: Key, witnesses: Sequence[Key] = ()) -> Opened:
    """A checkpoint that `log` signed, with what `witnesses` say of it. Raises `NoteError`.

    Signatures of others are passed over; a wrong one of somebody we know spoils all.
    """
    note = parse_note(data)
    own = _of(note.signatures, log)
    if not own:
        raise NoteError(f"{log.name} did not sign this checkpoint with the key {log.id.hex()}")
    if not all(signed_by(log.public, note.text.encode(), signature.blob) for signature in own):
        raise NoteError(f"the signature of {log.name} is not over this checkpoint: one of them was changed")
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != log.name:
        raise NoteError(f"the checkpoint is of the log {checkpoint.origin!r}, the key is that of {log.name!r}")
    return Opened(checkpoint, note, check_cosignatures(note.text, note.signatures, witnesses))


def check_cosignatures(text: str, signatures: Iterable[Signature], witnesses: Iterable[Key]) -> tuple[Cosigned, ...]:
    """Whose of these witnesses' signatures hold, the newest of each. Raises `NoteError` for a wrong one."""
    listed = tuple(signatures)
    found: list[Cosigned] = []
    for witness in witnesses:
        times = [_seen(text, signature, witness) for signature in _of(listed, witness)]
        if times:
            found.append(Cosigned(witness.name, max(times)))
    return tuple(found)


def _seen(text: str, signature: Signature, witness: Key) -> int:
    seconds = int.from_bytes(signature.blob[:_STAMP_BYTES], "big")
    message = cosigned_message(seconds, text)
    if seconds >= 1 << 63 or not signed_by(witness.public, message, signature.blob[_STAMP_BYTES:]):
        raise NoteError(f"the cosignature of {witness.name} is not over this checkpoint")
    return seconds


def _of(signatures: Iterable[Signature], key: Key) -> list[Signature]:
    return [signature for signature in signatures if signature.name == key.name and signature.id == key.id]
