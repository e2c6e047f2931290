"""What goes to a witness and what comes back (C2SP tlog-witness): a checkpoint, the proof that it continues the last
one they saw, and their cosignature. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

import msgspec

from appliance.records.checkpoint import (
    Cosigned,
    Key,
    Note,
    NoteError,
    Opened,
    check_cosignatures,
    parse_signatures,
)

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")
MOST_HASHES = 63
PATH = "add-checkpoint"


class Standing(msgspec.Struct, frozen=True):
    """Of a witness: the size that it cosigned last, when (seconds since the epoch), and what is wrong."""

    size: int = 0
    time: int = 0
    words: str = ""


class Heard(msgspec.Struct, frozen=True):
    """What an answer means. `again`: ask once more, from where the witness stands. `forked`: the witness saw another
    trail than this one. `note`: the checkpoint with the cosignature, where there is a new one."""

    standing: Standing
    again: bool = False
    forked: bool = False
    note: Note | None = None


class Submitted(msgspec.Struct, frozen=True):
    """A request as a witness reads it."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body of an add-checkpoint."""
    lines = [f"old {old}", *(base64.b64encode(part).decode() for part in proof), "", ""]
    return "\n".join(lines).encode() + note


def parse_request(body: bytes) -> Submitted:
    """Raises `NoteError`."""
    head, gap, note = body.partition(b"\n\n")
    lines = head.decode(errors="replace").split("\n")
    found = _OLD.fullmatch(lines[0])
    if not gap or found is None or len(lines) > 1 + MOST_HASHES:
        raise NoteError("a request is `old N`, at most 63 hashes, an empty line and a checkpoint")
    try:
        proof = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
    except (binascii.Error, ValueError) as error:
        raise NoteError("a hash of the proof is not base64") from error
    return Submitted(int(found[1]), proof, note)


def heard(status: int, body: bytes, offered: Opened, key: Key, before: Standing) -> Heard:
    """What a witness's answer to the offered checkpoint means; `before` is how it stood."""
    size = offered.checkpoint.size
    if status == 200:
        return _cosigned(body, offered, key, before)
    if status == 409:
        said = _SIZE.fullmatch(body)
        theirs = int(said[1]) if said else size
        if theirs > size:
            words = f"it has cosigned {theirs} entries of this trail, which has {size}: one of them was cut off"
            return Heard(_troubled(before, words), forked=True)
        if theirs == before.size:
            words = f"it has cosigned another trail of {theirs} entries than this one"
            return Heard(_troubled(before, words), forked=True)
        return Heard(Standing(theirs, before.time), again=True)
    if status == 422:
        words = f"it finds that this trail does not continue the {before.size} entries that it cosigned"
        return Heard(_troubled(before, words), forked=True)
    known = {
        404: "it does not know this trail; give it the trail's verifier key",
        403: "it does not take the trail's key",
    }
    return Heard(_troubled(before, known.get(status, f"it answers with status {status}")))


def _cosigned(body: bytes, offered: Opened, key: Key, before: Standing) -> Heard:
    text = offered.note.text
    try:
        signatures = parse_signatures(body.decode())
        seen: tuple[Cosigned, ...] = check_cosignatures(text, signatures, [key])
    except (NoteError, UnicodeDecodeError) as error:
        return Heard(_troubled(before, f"its answer is no cosignature: {error}"))
    if not seen:
        return Heard(_troubled(before, f"its answer is not signed with its key {key.id.hex()}"))
    own = next(one for one in signatures if one.name == key.name and one.id == key.id)
    others = tuple(one for one in offered.note.signatures if (one.name, one.id) != (own.name, own.id))
    return Heard(Standing(offered.checkpoint.size, seen[0].time), note=Note(text, (*others, own)))


def _troubled(before: Standing, words: str) -> Standing:
    return msgspec.structs.replace(before, words=words)
