"""recordd's side of the witnesses: what goes to each next, and what they said, kept over restarts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.control.messages.audit import (
    WitnessHeard,
    WitnessInfo,
    WitnessList,
    WitnessPost,
    WitnessPosts,
    WitnessSaid,
)
from appliance.durable import replace
from appliance.policy.records import Witness
from appliance.records import witness
from appliance.records.checkpoint import Key, Note, NoteError, Opened, parse_key, parse_note
from appliance.records.merkle import Hashes, consistency_proof
from appliance.records.witness import Standing

_EVERY = 2.0  # seconds between two checkpoints for one witness
_MODE = 0o600


class Witnesses:
    """The witnesses of the policy that runs. `forked` is told when one of them saw another trail."""

    def __init__(self, directory: Path, hashes: Hashes, forked: Callable[[str], None]) -> None:
        self._standings = directory / "witnesses.json"
        self._cosigned = directory / "cosigned"
        self._hashes = hashes
        self._forked = forked
        self._known: dict[str, tuple[Witness, Key]] = {}
        self._offered: dict[str, tuple[Opened, float]] = {}
        self._at = self._load()

    def follow(self, listed: tuple[Witness, ...]) -> None:
        self._known = {one.name: (one, parse_key(one.key)) for one in listed}

    def keys(self) -> tuple[Key, ...]:
        return tuple(key for _, key in self._known.values())

    def posts(self, newest: Opened) -> WitnessPosts:
        """The newest checkpoint, for those who have not cosigned it."""
        found = []
        now = time.monotonic()
        for name, (one, _) in self._known.items():
            at = self._at.get(name, Standing())
            offered, moment = self._offered.get(name, (None, -_EVERY))
            size = newest.checkpoint.size
            if at.size >= size or (now - moment < _EVERY and offered is not None):
                continue
            proof = consistency_proof(self._hashes, at.size, size)
            self._offered[name] = newest, now
            found.append(
                WitnessPost(name, one.address + witness.PATH, witness.request(at.size, proof, newest.note.encode()))
            )
        return WitnessPosts(tuple(found))

    def said(self, request: WitnessSaid) -> WitnessHeard:
        """Keep what a witness answered. Raises OSError."""
        known, offered = self._known.get(request.name), self._offered.get(request.name)
        if known is None or offered is None:
            return WitnessHeard("nothing was asked of it", again=False)
        before = self._at.get(request.name, Standing())
        if request.status == 0:  # it could not be reached
            self._keep(
                request.name, msgspec.structs.replace(before, words=request.body.decode(errors="replace")[:300])
            )
            return WitnessHeard("", again=False)
        heard = witness.heard(request.status, request.body, offered[0], known[1], before)
        if heard.again:
            del self._offered[request.name]
        if heard.note is not None:
            self._add(heard.note)
        if heard.forked and heard.standing.words != before.words:
            self._forked(f"the witness {request.name}: {heard.standing.words}")
        self._keep(request.name, heard.standing)
        return WitnessHeard(heard.standing.words, again=heard.again)

    def listed(self) -> WitnessList:
        return WitnessList(
            tuple(
                WitnessInfo(name, one.address, at.size, float(at.time), at.words)
                for name, (one, _) in self._known.items()
                for at in (self._at.get(name, Standing()),)
            )
        )

    def cosigned(self) -> bytes:
        """The newest checkpoint that a witness signed; b"" for none."""
        try:
            return self._cosigned.read_bytes()
        except FileNotFoundError:
            return b""

    def _add(self, note: Note) -> None:
        """What others said of the same checkpoint stays beside it."""
        kept: tuple[Note, ...] = ()
        with contextlib.suppress(NoteError):
            kept = (parse_note(self.cosigned()),)
        signatures = {(one.name, one.id): one for old in kept if old.text == note.text for one in old.signatures}
        signatures |= {(one.name, one.id): one for one in note.signatures}
        replace(self._cosigned, Note(note.text, tuple(signatures.values())).encode(), mode=_MODE)

    def _keep(self, name: str, standing: Standing) -> None:
        if self._at.get(name) != standing:
            self._at[name] = standing
            replace(self._standings, msgspec.json.encode(self._at), mode=_MODE)

    def _load(self) -> dict[str, Standing]:
        try:
            return msgspec.json.decode(self._standings.read_bytes(), type=dict[str, Standing])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}  # a witness says itself where it stands
