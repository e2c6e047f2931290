"""recordd: keeps the audit trail. It takes what processes wrote of who did what out of their spools, and nothing else
gets in; it has keyd sign how the trail stands, and proves to whoever asks what is in it.

It holds no privilege and no key, and talks to nobody but keyd and applyd.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable

import msgspec

from appliance.control import daemon, notify, sandbox
from appliance.control.auditing import origin_of
from appliance.control.ipc import DaemonAway, Peer, ProtocolError, RefusedError, Server, call_async
from appliance.control.messages.audit import (
    MOST_BUNDLES,
    AuditBundles,
    AuditBundlesAre,
    AuditCheckpoint,
    AuditCheckpointIs,
    AuditContinued,
    AuditContinues,
    AuditHealth,
    AuditHealthIs,
    AuditLog,
    AuditProof,
    AuditProve,
    EvidenceSealed,
    HoldInfo,
    HoldList,
    HoldRecords,
    Holds,
    ReleaseRecords,
    SealEvidence,
    Witnessing,
    WitnessSaid,
)
from appliance.control.messages.audit import Witnesses as WitnessesRequest
from appliance.control.messages.gateway import NameBook, Names, Refused, Reply, Request, Status, StatusReport
from appliance.control.messages.keys import RecordsKey, RecordsKeyIs, Seal, Sealed, SignCheckpoint, Signed
from appliance.control.permits import people
from appliance.control.processes import PROCESSES, Instance, process
from appliance.durable import replace
from appliance.events import record
from appliance.events.record import TRAIL_FORKED
from appliance.policy.records import AuditSettings
from appliance.records.checkpoint import Checkpoint, Key, Note, NoteError, Opened, Signature, open_checkpoint
from appliance.records.chosen import chosen
from appliance.records.disposal import Disposal
from appliance.records.following import Follower
from appliance.records.merkle import TILE_WIDTH, consistency_proof, inclusion_proof, subtree_root
from appliance.records.retention import HELD, RELEASED, Hold
from appliance.records.trail import LENGTH_BYTES, Trail, TrailError
from appliance.records.witnessing import Witnesses

NAME = "recordd"
_LOOK = 0.2  # seconds between looks into the spools
_SIGN = 1.0  # seconds between checkpoints at most
_AT_ONCE = 10_000  # entries of a batch
_MOST_BYTES = 16 << 20  # of one answer
_PATIENCE = 20.0  # seconds that applyd may take to start without a word about it
_FOLLOW = 2.0  # seconds between looks at which generation runs
_DISPOSE = 3600.0
_MODE = 0o600


class Recordd:
    """The process: the trail, who brings entries to it, and who signs it."""

    def __init__(self, instance: Instance, log: daemon.Log, trail: Trail) -> None:
        self._instance = instance
        self._log = log
        self._trail = trail
        self._turn = threading.Lock()  # one change of the trail at a time
        spools = {row.name: (instance.events_of(row.name), row.audits) for row in PROCESSES if row.audits}
        self._follower = Follower(spools, trail.head.read, self._said)
        self._state = instance.state_of(NAME)
        self._disposal = Disposal(trail, self._state / "records.json", self._said)
        self._witnesses = Witnesses(self._state, trail.read_hashes, self._forked)
        self._key: Key | None = None
        self._newest: Opened | None = None
        self._closed = False
        self._settings = AuditSettings()
        self._complaints: dict[str, str] = {}

    def _said(self, action: str, object_: str, detail: dict[str, str]) -> bytes:
        """An entry of this process about its own work."""
        return record.encode(record.audit(NAME, NAME, action, object_, seconds=time.time(), detail=detail))[:-1]

    async def serve(self, stop: asyncio.Event) -> None:
        permits: dict[type, Callable[[Peer], bool]] = dict.fromkeys(
            (AuditLog, AuditCheckpoint, AuditProve, AuditContinues, AuditBundles, AuditHealth), self._looks
        )
        permits |= dict.fromkeys((SealEvidence, HoldRecords, ReleaseRecords, Holds, WitnessesRequest), self._operates)
        # Who can reach them carries what goes to witnesses and what they say; it is believed in nothing.
        alertd = self._instance.identity("alertd").uid
        permits |= dict.fromkeys((Witnessing, WitnessSaid), lambda peer: peer.uid == alertd)
        server = Server(
            self._instance.socket(NAME), permits, self.answer, report=self._log, agency=people(self._instance)
        )
        await server.start()
        notify.ready()
        chores: list[asyncio.Task[None]] = [
            asyncio.create_task(work)
            for work in (self._collecting(), self._signing(), self._following(), self._disposing())
        ]
        ending = asyncio.create_task(stop.wait())
        await asyncio.wait((ending, *chores), return_when=asyncio.FIRST_COMPLETED)
        ended = [each for each in chores if each.done()]
        for each in chores:
            each.cancel()
        await server.stop()
        with self._turn:
            self._closed = True
            self._trail.close()
        for each in ended:
            each.result()  # a damaged trail ends the process, in words

    def _looks(self, peer: Peer) -> bool:
        """policyd too: it looks whether every process answers."""
        return self._instance.allows(NAME, peer.uid, peer.groups)

    def _operates(self, peer: Peer) -> bool:
        return peer.uid == 0 or self._instance.operates(peer.uid, peer.groups)

    # --- what comes ---------------------------------------------------------------------------------

    async def _collecting(self) -> None:
        while True:
            came = await asyncio.to_thread(self._collect)
            if came < _AT_ONCE:
                await asyncio.sleep(_LOOK)

    def _collect(self) -> int:
        """Take what came in the spools; how many entries that were."""
        with self._turn:
            if self._closed:
                return 0
            try:
                found = self._follower.look(_AT_ONCE)
                if found.entries:
                    self._trail.append(found.entries, found.read)
            except OSError as error:
                self._follower.back_to(self._trail.head.read)
                self._complain("kept", f"the audit trail cannot be kept: {error}; entries wait in the spools")
                return 0
            if found.entries:
                self._complain("kept", "")
            return len(found.entries)

    def _complain(self, about: str, words: str) -> None:
        """Once for each trouble; "" when it is over."""
        if words and words != self._complaints.get(about):
            self._log(words)
        self._complaints[about] = words

    # --- the policy ---------------------------------------------------------------------------------

    async def _following(self) -> None:
        """What the generation that runs says of witnesses and retention."""
        known, since = 0, time.monotonic()
        while True:
            try:
                socket = self._instance.socket("applyd")
                running = (await call_async(socket, Status(), StatusReport, timeout=10)).running
                if running and running != known:
                    self._settings = (await call_async(socket, Names(), NameBook, timeout=30)).audit
                    self._witnesses.follow(self._settings.witnesses)
                    known = running
                self._complain("policy", "")
            except (DaemonAway, ProtocolError, RefusedError, NoteError) as error:
                if known or time.monotonic() - since >= _PATIENCE:
                    self._complain("policy", f"the running generation is not known: {error}")
            await asyncio.sleep(_FOLLOW)

    async def _disposing(self) -> None:
        while True:
            await asyncio.sleep(_DISPOSE)
            await asyncio.to_thread(self._dispose)

    def _dispose(self) -> None:
        """A stretch at a time: what comes in meanwhile does not wait."""
        gone = 0
        try:
            with self._turn:
                now = self._disposal.moment()
            for segment in range(self._disposal.segments()):
                with self._turn:
                    if self._closed:
                        return
                    gone += self._disposal.dispose(segment, self._settings.retention, now)
        except OSError as error:
            self._complain("disposal", f"records cannot be disposed of: {error}")
            return
        self._complain("disposal", "")
        if gone:
            self._log(f"records disposed of: {gone}; certificates are in the audit trail")

    def _forked(self, words: str) -> None:
        self._log.alert(TRAIL_FORKED, "The audit trail is not the one that a witness saw", words)

    # --- checkpoints --------------------------------------------------------------------------------

    async def _signing(self) -> None:
        while True:
            try:
                await self._sign()
                self._complain("signed", "")
            except (DaemonAway, ProtocolError, RefusedError, NoteError, OSError) as error:
                self._complain("signed", f"the audit trail gets no checkpoint: {error}")
            await asyncio.sleep(_SIGN)

    async def _sign(self) -> None:
        if self._key is None:
            self._key = await self._known_key()
            self._newest = self._kept_checkpoint(self._key)
        head = self._trail.head
        if not head.size or (self._newest is not None and self._newest.checkpoint.size == head.size):
            return
        point = Checkpoint(self._key.name, head.size, head.root)
        asked = SignCheckpoint(point.size, point.root)
        signed = await call_async(self._instance.socket("keyd"), asked, Signed, timeout=10)
        note = Note(point.text(), (Signature(self._key.name, self._key.id, signed.signature),))
        opened = open_checkpoint(note.encode(), self._key)
        replace(self._state / "checkpoint", note.encode(), mode=_MODE)
        self._newest = opened

    async def _known_key(self) -> Key:
        """keyd's key of the records, as it was at the first start: another one later is somebody else's."""
        pinned = self._state / "records.public"
        given = await call_async(self._instance.socket("keyd"), RecordsKey(), RecordsKeyIs, timeout=10)
        if not pinned.exists():
            replace(pinned, given.key, mode=_MODE)
        elif pinned.read_bytes() != given.key:
            raise NoteError("keyd's key of the records is not the one of before; bring back its state, or begin anew")
        return Key(given.origin, given.key)

    def _kept_checkpoint(self, key: Key) -> Opened | None:
        """The checkpoint that was signed last; the trail must continue it. Raises `NoteError`."""
        try:
            opened = open_checkpoint((self._state / "checkpoint").read_bytes(), key)
        except FileNotFoundError:
            return None
        point, there = opened.checkpoint, self._trail.size
        if point.size > there:
            raise NoteError(f"one of {point.size} entries is signed, but {there} are there: the trail was cut off")
        if subtree_root(self._trail.read_hashes, 0, point.size) != point.root:
            raise NoteError(f"the trail does not begin with the {point.size} entries that are signed: it was changed")
        return opened

    # --- who asks -----------------------------------------------------------------------------------

    async def answer(self, request: Request, peer: Peer) -> Reply:
        try:
            if isinstance(request, AuditLog):
                return await asyncio.to_thread(chosen, request, self._trail.entries, self._trail.size)
            if isinstance(request, HoldRecords | ReleaseRecords | Holds):
                return await asyncio.to_thread(self._holding, request, peer)
            if isinstance(request, AuditHealth):
                return AuditHealthIs(self._troubles())
            if isinstance(request, WitnessesRequest):
                return self._witnesses.listed()
            if self._newest is None or self._key is None:
                why = self._complaints.get("signed") or "nothing was written down yet"
                return Refused("no-checkpoint", f"the audit trail has no checkpoint: {why}")
            if isinstance(request, SealEvidence):
                return await self._seal(request, peer, self._key)
            if isinstance(request, Witnessing):
                return self._witnesses.posts(self._newest)
            if isinstance(request, WitnessSaid):
                return self._witnesses.said(request)
            return await asyncio.to_thread(self._of_checkpoint, request, self._newest, self._key)
        except (DaemonAway, ProtocolError) as error:
            return Refused("away", f"{error}; nothing was sealed")
        except RefusedError as error:
            return error.reply
        except TrailError as error:
            return Refused("damaged", str(error))
        except ValueError as error:
            return Refused("unknown", str(error))
        except OSError as error:
            return Refused("store", f"recordd cannot keep that: {error}")

    def _of_checkpoint(self, request: Request, newest: Opened, key: Key) -> Reply:
        size, note = newest.checkpoint.size, newest.note.encode()
        match request:
            case AuditCheckpoint():
                return AuditCheckpointIs(note, key.encode(), self._witnesses.cosigned())
            case AuditProve():
                proof = tuple(inclusion_proof(self._trail.read_hashes, request.index, size))
                entry = next(self._trail.entries(request.index, request.index + 1))
                leaf = self._trail.read_hashes(0, request.index, request.index + 1)[0]
                return AuditProof(request.index, entry, leaf, proof, note, key.encode())
            case AuditContinues():
                proof = tuple(consistency_proof(self._trail.read_hashes, request.old, size))
                return AuditContinued(request.old, proof, note)
            case AuditBundles():
                return self._bundles(request, min(request.size, size))
            case _:
                return Refused("bad-request", f"recordd does not answer {type(request).__name__}")

    def _troubles(self) -> tuple[str, ...]:
        own = (words for words in self._complaints.values() if words)
        witnesses = (f"witness {one.name}: {one.words}" for one in self._witnesses.listed().witnesses if one.words)
        return (*own, *witnesses)

    def _holding(self, request: Request, peer: Peer) -> HoldList:
        with self._turn:
            match request:
                case HoldRecords():
                    self._disposal.hold(Hold(request.name, request.words, peer.name, request.why, time.time()))
                    detail = {"words": request.words}
                    origin = origin_of(peer)
                    self._log.audit(peer.name, HELD, request.name, why=request.why, origin=origin, detail=detail)
                case ReleaseRecords():
                    self._disposal.release(request.name)
                    self._log.audit(peer.name, RELEASED, request.name, origin=origin_of(peer))
            holds = (HoldInfo(one.name, one.words, one.by, one.why, one.since) for one in self._disposal.holds())
            return HoldList(tuple(holds), msgspec.structs.asdict(self._settings.retention))

    async def _seal(self, request: SealEvidence, peer: Peer, key: Key) -> Reply:
        """No seal without an entry of who asked for it."""
        sealed = await call_async(self._instance.socket("keyd"), Seal(request.digest), Sealed, timeout=10)
        detail = {"sha512": request.digest.hex()}
        self._log.audit(
            peer.name, "evidence.make", request.alert, why=request.why, origin=origin_of(peer), detail=detail
        )
        return EvidenceSealed(sealed.signature, key.encode())

    def _bundles(self, request: AuditBundles, size: int) -> AuditBundlesAre:
        bundles: list[bytes] = []
        hashes: list[bytes] = []
        held = 0
        for number in range(max(request.first, 0), request.first + min(request.count, MOST_BUNDLES)):
            start, stop = number * TILE_WIDTH, min((number + 1) * TILE_WIDTH, size)
            if start >= stop or held >= _MOST_BYTES:
                break
            entries = self._trail.entries(start, stop)
            bundles.append(b"".join([len(one).to_bytes(LENGTH_BYTES, "big") + one for one in entries]))
            held += len(bundles[-1])
            hashes.append(b"".join(self._trail.read_hashes(0, start, stop)))
        return AuditBundlesAre(tuple(bundles), tuple(hashes))


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    sandbox.enter(process(NAME), instance)
    log.open(instance.events_of(NAME))
    try:
        trail = Trail(instance.state_of(NAME) / "trail")
    except (TrailError, OSError) as error:
        log(f"the audit trail cannot be opened: {error}")
        log.close()
        sys.exit(f"{NAME}: {error}")
    daemon.run(Recordd(instance, log, trail).serve, log)


if __name__ == "__main__":
    main(sys.argv[1:])
