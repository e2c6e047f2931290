"""`reef audit`: who did what, proofs of it, and checking the trail: here, or as a stranger with files and a key."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec

from appliance.commands.failure import OK, REFUSED, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time, parse_moment
from appliance.control.messages.audit import (
    MOST_BUNDLES,
    MOST_ENTRIES,
    AuditBundles,
    AuditBundlesAre,
    AuditCheckpoint,
    AuditCheckpointIs,
    AuditEntries,
    AuditEntry,
    AuditLog,
    AuditProof,
    AuditProve,
)
from appliance.events import record
from appliance.records.checkpoint import Cosigned, Key, NoteError, Opened, open_checkpoint, parse_key
from appliance.records.merkle import ProofError
from appliance.records.proof import SUFFIX, Proof, check_proof, parse_proof
from appliance.records.tiles import CHECKPOINT, KEY, Folder, TileError, write
from appliance.records.verify import Verdict, verify

_OF = "recordd"
_WRONG = "wrong"


class AuditLine(msgspec.Struct, frozen=True):
    """An entry as `--json` tells it: `body` is None where its retention ended or it cannot be read."""

    number: int
    timestamp: str
    body: record.Audit | None


class VerifyRow(msgspec.Struct, frozen=True):
    """What a check found. `cosigned`: which witnesses saw the checkpoint, and when (seconds since the epoch)."""

    log: str
    entries: int
    disposed: int
    root: str
    cosigned: tuple[Cosigned, ...]
    problems: tuple[str, ...]


class _Event(msgspec.Struct, frozen=True):
    timestamp: str
    audit: record.Audit


_decoder = msgspec.json.Decoder(_Event)


# --- log --------------------------------------------------------------------------------------------------


def log(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    asked = _asked(options)
    limit = getattr(options, "limit", 100)
    found = read(gateway, asked, limit)
    for line in map(_line, reversed(found)):
        if terminal.json:
            terminal.record(line)
        else:
            terminal.line(_words(line))
    if not found and not terminal.json:
        terminal.note("no such entry")
    return OK


def read(gateway: Gateway, asked: AuditLog, limit: int) -> list[AuditEntry]:
    """The newest `limit` entries that are asked for, newest first. Raises `Failure`."""
    found: list[AuditEntry] = []
    while len(found) < limit:
        want = msgspec.structs.replace(asked, limit=min(limit - len(found), MOST_ENTRIES))
        answer = gateway.ask(want, AuditEntries, of=_OF)
        found += answer.entries
        if not answer.next:
            break
        asked = msgspec.structs.replace(asked, before=answer.next)
    return found


def _asked(options: argparse.Namespace) -> AuditLog:
    now = time.time()

    def moment(words: str) -> float:
        return parse_moment(words, now) if words else 0.0

    said = vars(options)
    try:
        return AuditLog(
            since=moment(said.get("since", "")),
            until=moment(said.get("until", "")),
            actor=said.get("actor", ""),
            action=said.get("action", ""),
            words=said.get("words", ""),
        )
    except ValueError as error:
        raise Failure(str(error), code=USAGE, name="usage") from error


def _line(entry: AuditEntry) -> AuditLine:
    try:
        event = _decoder.decode(entry.body)
    except msgspec.DecodeError:
        return AuditLine(entry.index, "", None)
    return AuditLine(entry.index, event.timestamp, event.audit)


def _words(line: AuditLine) -> str:
    audit = line.body
    if audit is None:
        return f"{line.number:>6}  (its retention ended)"
    moment = local_time(record.parse_time(line.timestamp).timestamp())
    origin = f" from {audit.origin}" if audit.origin else ""
    why = f" ({audit.why})" if audit.why else ""
    return f"{line.number:>6}  {moment}  {escape(f'{audit.actor}{origin}: {audit.action} {audit.object}{why}')}"


# --- checkpoints, proofs, export --------------------------------------------------------------------------


def checkpoint(options: argparse.Namespace, terminal: Terminal) -> int:
    answer = Gateway(options).ask(AuditCheckpoint(), AuditCheckpointIs, of=_OF)
    if options.output:
        path = Path(options.output)
        _write(path, answer.note)
        _write(path.with_name(f"{path.name}.vkey"), f"{answer.key}\n".encode())
    if terminal.json:
        point = open_checkpoint(answer.note, parse_key(answer.key)).checkpoint
        terminal.data(
            {
                "log": point.origin,
                "entries": point.size,
                "root": point.root.hex(),
                "note": answer.note.decode(),
                "key": answer.key,
            }
        )
    elif not options.output:
        terminal.out.write(answer.note.decode())
        terminal.out.flush()
        print(f"key: {answer.key}", file=sys.stderr)
    return OK


def prove(options: argparse.Namespace, terminal: Terminal) -> int:
    answer = Gateway(options).ask(AuditProve(options.number), AuditProof, of=_OF)
    path = Path(options.output or f"audit-{options.number}.json")
    proof = Proof(answer.index, answer.proof, answer.note)
    beside = path.with_suffix(SUFFIX)
    _write(path, answer.entry)
    _write(beside, proof.encode())
    if terminal.json:
        terminal.data({"entry": str(path), "proof": str(beside), "key": answer.key})
        return OK
    if not answer.entry:
        terminal.note("its retention ended: only its hash is left, which the proof leads to", "yellow")
    terminal.line(f"entry {options.number}: {path}, its proof: {beside}", "green")
    terminal.line(f"check: reef audit verify --entry {path} --proof {beside} --key {answer.key}")
    return OK


def export(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    directory = Path(options.directory)
    if directory.exists() and any(directory.iterdir()):
        raise Failure(f"{directory} is not empty", "name a new directory", code=USAGE, name="usage")
    answer = gateway.ask(AuditCheckpoint(), AuditCheckpointIs, of=_OF)
    size = open_checkpoint(answer.note, parse_key(answer.key)).checkpoint.size
    try:
        write(_Remote(gateway, size), size, answer.note, answer.key, directory)
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}", name="unwritable") from error
    if terminal.json:
        terminal.data({"directory": str(directory), "entries": size, "key": answer.key})
    else:
        terminal.line(f"{count(size, 'entry', 'entries')} written to {directory}", "green")
        terminal.line(f"check: reef audit verify --offline {directory} --key {answer.key}")
    return OK


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", name="unwritable") from error


class _Remote:
    """A gateway's log, asked for 64 bundles at a time."""

    def __init__(self, gateway: Gateway, size: int) -> None:
        self._gateway = gateway
        self._size = size
        self._held: dict[int, tuple[bytes, bytes]] = {}

    def bundle(self, number: int, width: int) -> bytes:
        del width
        return self._get(number)[0]

    def hashes(self, level: int, number: int, width: int) -> bytes:
        del width
        if level:
            raise TileError("a gateway gives the hashes of entries only")
        return self._get(number)[1]

    def _get(self, number: int) -> tuple[bytes, bytes]:
        if number not in self._held:
            asked = AuditBundles(number, MOST_BUNDLES, self._size)
            answer = self._gateway.ask(asked, AuditBundlesAre, of=_OF)
            pairs = zip(answer.bundles, answer.hashes, strict=True)
            self._held = dict(enumerate(pairs, number))
        if number not in self._held:
            raise TileError("the gateway has no such entries")
        return self._held[number]


# --- verify -----------------------------------------------------------------------------------------------


def check(options: argparse.Namespace, terminal: Terminal) -> int:
    try:
        witnesses = [key_of(words) for words in options.witness]
        if options.entry or options.proof:
            return _check_one(options, witnesses, terminal)
        opened, verdict = _checked(options, witnesses)
    except (NoteError, ProofError, TileError) as error:
        raise Failure(str(error), name=_WRONG) from error
    point = opened.checkpoint
    row = VerifyRow(
        point.origin, verdict.entries, verdict.disposed, point.root.hex(), opened.cosigned, verdict.problems
    )
    if terminal.json:
        terminal.data(row)
    else:
        _show(row, len(options.earlier), terminal)
    return REFUSED if row.problems else OK


def _checked(options: argparse.Namespace, witnesses: list[Key]) -> tuple[Opened, Verdict]:
    if options.offline:
        folder = Path(options.offline)
        key = key_of(options.key or _need_key())
        note = _bytes(Path(options.checkpoint or folder / CHECKPOINT))
        opened = open_checkpoint(note, key, witnesses)
        earlier = [open_checkpoint(_bytes(Path(path)), key, witnesses) for path in options.earlier]
        return opened, verify(Folder(folder), opened, earlier)
    gateway = Gateway(options)
    answer = gateway.ask(AuditCheckpoint(), AuditCheckpointIs, of=_OF)
    key = key_of(options.key) if options.key else parse_key(answer.key)
    opened = open_checkpoint(answer.note, key, witnesses)
    names = [*options.earlier, *([options.checkpoint] if options.checkpoint else [])]
    earlier = [open_checkpoint(_bytes(Path(path)), key, witnesses) for path in names]
    return opened, verify(_Remote(gateway, opened.checkpoint.size), opened, earlier)


def _check_one(options: argparse.Namespace, witnesses: list[Key], terminal: Terminal) -> int:
    if not (options.entry and options.proof):
        raise Failure("an entry is checked with its proof", "give both --entry and --proof", code=USAGE, name="usage")
    proof = parse_proof(_bytes(Path(options.proof)))
    opened = check_proof(proof, _bytes(Path(options.entry)), key_of(options.key or _need_key()), witnesses)
    point = opened.checkpoint
    if terminal.json:
        terminal.data(
            {"log": point.origin, "number": proof.index, "entries": point.size, "cosigned": opened.cosigned}
        )
    else:
        terminal.line(f"entry {proof.index} is in the log {point.origin} of {point.size} entries", "green")
        _show_cosigned(opened.cosigned, terminal)
    return OK


def _need_key() -> str:
    raise Failure(
        f"a stranger needs the log's key; the file {KEY} beside the log is only what the log says of itself",
        "give --key KEY, as you had it from the gateway's owner (reef audit checkpoint prints it)",
        code=USAGE,
        name="usage",
    )


def key_of(words: str) -> Key:
    """The key itself, or what a file of that name holds. Raises `NoteError`, `Failure`."""
    named = len(words) < 200 and Path(words).is_file()
    return parse_key(_bytes(Path(words)).decode(errors="replace") if named else words)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", name="unreadable") from error


def _show(row: VerifyRow, earlier: int, terminal: Terminal) -> None:
    if row.problems:
        terminal.line(f"The log {row.log} is NOT what its checkpoint says:", "red bold")
        for words in row.problems:
            terminal.line(f"  {escape(words)}", "red")
        return
    terminal.line(f"{row.log}: all {count(row.entries, 'entry', 'entries')} are what the checkpoint says", "green")
    if row.disposed:
        terminal.line(f"{count(row.disposed, 'entry', 'entries')} ended with their retention, with certificates")
    if earlier:
        terminal.line(f"it continues {count(earlier, 'earlier checkpoint')}", "green")
    _show_cosigned(row.cosigned, terminal)


def _show_cosigned(cosigned: tuple[Cosigned, ...], terminal: Terminal) -> None:
    for one in cosigned:
        terminal.line(f"{escape(one.witness)} saw it at {local_time(one.time)}", "green")
