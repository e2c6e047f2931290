"""A sealed package about an alert, of what the gateway tells whoever asks: nothing is in it that they may not see.

Asked is in their name, like everything; recordd seals, and writes down who asked and why. What the console cannot
read (packets, files, addresses behind pseudonyms) is not in it, and it says so: root packs these at the gateway.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from http import HTTPStatus
from pathlib import Path

import msgspec

from appliance import __version__
from appliance.console import problems
from appliance.console.context import Ctx
from appliance.console.problems import Problem
from appliance.control.messages.alerts import MOST_AROUND, AlertIs, AlertWith
from appliance.control.messages.audit import (
    AuditCheckpoint,
    AuditCheckpointIs,
    AuditEntries,
    AuditEntry,
    AuditLog,
    AuditProof,
    AuditProve,
    EvidenceSealed,
    SealEvidence,
)
from appliance.control.messages.gateway import Show, Shown
from appliance.events import record
from appliance.events.record import GID, Event
from appliance.records import bag, evidence
from appliance.records.checkpoint import parse_key
from appliance.records.evidence import Sealer
from appliance.records.proof import SUFFIX, Proof

_PREFIX = "evidence-"
_AROUND = 600.0  # seconds
_MOST_ENTRIES = 64  # of the audit trail
_PATIENCE = 30.0  # seconds until what was just written down is under a checkpoint
_NOT_HERE = "packets and files of the connection: they say what people say, and `reef evidence make` packs them"


class Packed(msgspec.Struct, frozen=True):
    """A package as one tar file."""

    name: str
    data: bytes


class _Gathered(msgspec.Struct):
    """The files of the payload, by their path below the package, and what is not among them."""

    files: dict[str, bytes]
    missing: list[str]
    key: str = ""


def tidy(state: Path) -> None:
    """Take away what a package left that was never finished. Raises OSError."""
    for left in state.glob(f"{_PREFIX}*"):
        shutil.rmtree(left)


async def pack(ctx: Ctx, number: int, why: str) -> Packed:
    """Make a package about an alert. Raises `Problem`."""
    found = await ctx.ask(AlertWith(number, _AROUND, MOST_AROUND), AlertIs, of="alertd")
    try:
        event = record.decode(found.alert.body)
    except msgspec.DecodeError as error:
        raise problems.not_found(f"alert {number} cannot be read") from error
    gathered = _told(found, event)
    await _policy(ctx, event, gathered)
    await _audit(ctx, event, gathered)
    site = ctx.console.known.status.site if ctx.console.known.status is not None else ""
    state = ctx.console.instance.state_of("console")
    try:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_PREFIX, dir=state)) / f"alert-{number}"
    except OSError as error:
        raise _no_room(error) from error
    try:
        digest = await asyncio.to_thread(_write, folder, site, number, ctx.person.name, gathered)
        sealed = await ctx.ask(SealEvidence(str(number), digest, why), EvidenceSealed, of="recordd")
        return Packed(f"evidence-alert-{number}.tar", await asyncio.to_thread(_sealed, folder, sealed.signature))
    except OSError as error:
        raise _no_room(error) from error
    finally:
        await asyncio.to_thread(shutil.rmtree, folder.parent, ignore_errors=True)


def _no_room(error: OSError) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"no package can be made: {error.strerror}", code="store")


def _told(found: AlertIs, event: Event) -> _Gathered:
    missing = [_NOT_HERE]
    if any(one.get("pseudonyms") for one in (event.metadata.flowvars if event.metadata else ())):
        missing.append("the addresses of hosts that go by pseudonyms here")
    if found.left_out:
        missing.append(f"{found.left_out} events beyond the first {len(found.events)}")
    if not found.whole:
        missing.append("events of that time that were too far from the alert to be looked at")
    files = {
        "data/alerts.ndjson": found.alert.body + b"\n",
        "data/events.ndjson": b"".join(one.body + b"\n" for one in found.events),
    }
    return _Gathered(files, missing)


async def _policy(ctx: Ctx, event: Event, gathered: _Gathered) -> None:
    """The text that was in force, as far as the alert names it."""
    generation = _generation(event)
    if not generation:
        gathered.missing.append("the policy: the alert does not say which generation ran")
        return
    try:
        shown = await ctx.ask(Show(generation), Shown)
    except Problem as problem:
        gathered.missing.append(f"the policy, generation {generation}: {problem.words}")
        return
    gathered.files[f"data/policy/generation-{generation}.yaml"] = shown.text.encode()
    for kind, texts in (("inherited", shown.inherited), ("list", shown.files)):
        for name, text in texts.items():
            gathered.files[f"data/policy/{kind}-{_plain(name)}"] = text.encode()


def _generation(event: Event) -> int:
    for one in event.metadata.flowvars if event.metadata else ():
        if one.get("gid") == GID and isinstance(one.get("generation"), int):
            return int(one["generation"])
    return 0


async def _audit(ctx: Ctx, event: Event, gathered: _Gathered) -> None:
    """Entries that name a host of the alert, or the generation that ran, each with its proof."""
    asked = [AuditLog(words=host, limit=_MOST_ENTRIES) for host in (event.src_ip, event.dest_ip) if host]
    if generation := _generation(event):
        asked.append(AuditLog(words=f"generation {generation}", limit=_MOST_ENTRIES))
    entries: dict[int, AuditEntry] = {}
    for one in asked:
        answer = await ctx.ask(one, AuditEntries, of="recordd")
        entries.update((entry.index, entry) for entry in answer.entries if entry.body)
    chosen = sorted(entries)[-_MOST_ENTRIES:]
    if len(chosen) < len(entries):
        gathered.missing.append(f"{len(entries) - len(chosen)} older entries of the audit trail")
    for index in chosen:
        proof = await _proved(ctx, index)
        gathered.files[f"data/audit/{index}.json"] = proof.entry
        gathered.files[f"data/audit/{index}{SUFFIX}"] = Proof(proof.index, proof.proof, proof.note).encode()
    point = await ctx.ask(AuditCheckpoint(), AuditCheckpointIs, of="recordd")
    gathered.files["data/audit/checkpoint"] = point.note
    gathered.key = point.key


async def _proved(ctx: Ctx, index: int) -> AuditProof:
    """The newest entries are under a checkpoint within a second or so."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return await ctx.ask(AuditProve(index), AuditProof, of="recordd")
        except Problem as problem:
            if problem.code not in ("unknown", "no-checkpoint") or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.2)


def _write(folder: Path, site: str, number: int, by: str, gathered: _Gathered) -> bytes:
    """What is to be sealed. Raises OSError."""
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    key = parse_key(gathered.key)
    readme = evidence.short_readme(site, str(number), made, by, key, gathered.missing)
    files = {name: text.encode() for name, text in evidence.key_files(Sealer(key)).items()}
    for name, data in {**gathered.files, **files, "data/README.txt": readme.encode()}.items():
        path = folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(data)
    info = {
        "Source-Organization": site,
        "External-Identifier": str(number),
        "Bagging-Date": made[:10],
        "Internal-Sender-Description": f"Evidence of the gateway {key.name}, made by {by} in its console",
        "Bag-Software-Agent": f"reef {__version__}",
    }
    return bag.make(folder, info)


def _sealed(folder: Path, signature: str) -> bytes:
    """The sealed package as a tar file. Raises OSError."""
    bag.seal(folder, signature)
    packed = folder.with_suffix(".tar")
    evidence.pack(folder, packed, int(time.time()))
    return packed.read_bytes()


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100] or "_"
