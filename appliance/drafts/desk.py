"""Where drafts are worked at: what policyd answers to everything that is asked of them.

A draft belongs to a person; everybody may look at it. Each answer to an edit says what the text is worth now.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from appliance.control.deciding.changes import changes_of
from appliance.control.deciding.gate import Gate
from appliance.control.deciding.running import Present
from appliance.control.deciding.sources import SourceError, baselines
from appliance.control.ipc import Peer
from appliance.control.messages.changes import (
    Between,
    CheckDraft,
    Draft,
    DraftChecked,
    DraftList,
    Drafts,
    DraftText,
    DraftTextIs,
    DropDraft,
    EditDraft,
    ImpactDraft,
    Merged,
    MergeDraft,
    NameDraft,
    OpenDraft,
    PlanDraft,
    RedoDraft,
    SetDraft,
    UndoDraft,
)
from appliance.control.messages.gateway import Refused, Reply, Request, Show, Shown
from appliance.control.messages.impact import Impact
from appliance.control.messages.text import Plan, Planned
from appliance.control.messages.why import Noted
from appliance.drafts.bench import FILE, Benches, Texts
from appliance.drafts.conflict import Conflict
from appliance.drafts.edits import Edit, applied, minimal
from appliance.drafts.merge import MergeResult, merge
from appliance.drafts.store import DraftStore, Kept, StoreRefused
from appliance.drafts.undoing import Edits, done, step
from appliance.policy.written.edit import EditError
from appliance.policy.written.text import unix_lines

ANSWERED = (
    Drafts, OpenDraft, DraftText, EditDraft, SetDraft, NameDraft, UndoDraft, RedoDraft, CheckDraft, DropDraft,
    PlanDraft, ImpactDraft, MergeDraft, Between,
)  # fmt: skip
_WARM = 3  # texts that are kept at hand
_MOST_WORDS = 200

Answer = Callable[[Request, Peer], Awaitable[Reply]]


class Desk:
    """`answer` is policyd's own: a plan or an impact of a draft is one of its text."""

    def __init__(
        self, store: DraftStore, benches: Benches, texts: Texts, present: Present, gate: Gate, answer: Answer
    ) -> None:
        self._store = store
        self._benches = benches
        self._texts = texts
        self._present = present
        self._gate = gate
        self._answer = answer
        self._warm: OrderedDict[str, Kept] = OrderedDict()

    async def answer(self, request: Request, peer: Peer) -> Reply:
        """Raises `StoreRefused`, `EditsError`, and what asking the other processes does."""
        match request:
            case Drafts():
                return DraftList(self._store.all())
            case OpenDraft():
                return await self._open(request, peer)
            case DraftText():
                kept = self._kept(request.id)
                return DraftTextIs(kept.draft, kept.text, kept.files, self._inherited())
            case EditDraft():
                kept = self._own(request.id, request.version, peer)
                edits = tuple(msgspec.structs.replace(one, insert=unix_lines(one.insert)) for one in request.edits)
                return await self._change(kept, edits, request.label)
            case SetDraft():
                kept = self._own(request.id, request.version, peer)
                if request.files is not None:
                    kept = self._remember(self._store.refiled(kept, request.files))
                edits = minimal(kept.text, unix_lines(request.text))
                return await self._change(kept, edits, request.label, tell=True)
            case UndoDraft() | RedoDraft():
                kept = self._own(request.id, request.version, peer)
                return await self._again(kept, back=isinstance(request, UndoDraft))
            case CheckDraft():
                return await self._checked(self._kept(request.id), ())
            case NameDraft():
                self._own(request.id, None, peer)
                self._warm.pop(request.id, None)
                return self._store.named(request.id, _short(request.title), _short(request.ticket))
            case DropDraft():
                if peer.acting or peer.uid:  # root at the box tidies up after everybody
                    self._own(request.id, None, peer)
                self._store.drop(request.id)
                self._warm.pop(request.id, None)
                self._benches.forget(request.id)
                return Noted()
            case MergeDraft():
                return await self._merge(request, peer)
            case PlanDraft():
                text, files = await self._would_run(self._kept(request.id))
                return await self._answer(Plan(text, FILE, files), peer)
            case ImpactDraft():
                text, files = await self._would_run(self._kept(request.id))
                asked = Impact(text, FILE, files, request.days, request.seconds, request.addresses)
                return await self._answer(asked, peer)
            case Between():
                return await self._between(request)
            case _:
                return Refused("bad-request", f"{type(request).__name__} is not about drafts")

    # --- texts at hand --------------------------------------------------------------------------------

    def _kept(self, ident: str) -> Kept:
        return self._warm.get(ident) or self._store.load(ident)

    def _remember(self, kept: Kept) -> Kept:
        self._warm.pop(kept.draft.id, None)
        self._warm[kept.draft.id] = kept
        while len(self._warm) > _WARM:
            self._warm.popitem(last=False)
        return kept

    def _own(self, ident: str, version: int | None, peer: Peer) -> Kept:
        """A draft that this person may change, at the version they have before them. Raises `StoreRefused`."""
        kept = self._kept(ident)
        if kept.draft.person != peer.name:
            raise StoreRefused("not-yours", f"this draft is {kept.draft.person}'s; merge it into one of your own")
        if version is not None and version != kept.draft.version:
            raise StoreRefused(
                "version", f"the draft is at version {kept.draft.version}, this change was made at {version}"
            )
        return self._remember(kept)

    def _inherited(self) -> dict[str, str]:
        try:
            return dict(baselines(self._texts.baselines))
        except SourceError as error:
            raise StoreRefused("baseline", str(error)) from error

    def own(self, ident: str, peer: Peer) -> Kept:
        """A draft of this person, to be proposed. Raises `StoreRefused`."""
        return self._own(ident, None, peer)

    def origin(self, ident: str) -> str:
        return self._store.origin(ident)

    # --- changing -------------------------------------------------------------------------------------

    async def _open(self, request: OpenDraft, peer: Peer) -> Draft:
        running = (await self._present.current()).generation
        base = running if request.generation is None else request.generation
        shown = await self._present.ask(Show(base), Shown) if base else None
        origin = unix_lines(shown.text) if shown is not None else ""
        text = origin if request.text is None else unix_lines(request.text)
        files = {**(shown.files if shown is not None else {}), **request.files}
        kept = self._store.open(peer.name, request.title[:_MOST_WORDS], base, text, origin, files)
        looked = await self._benches.look(kept.draft.id, kept.text, kept.files)
        draft = self._store.judged(kept.draft.id, ok=looked.ok, findings=len(looked.findings))
        self._remember(msgspec.structs.replace(kept, draft=draft))
        return draft

    async def _change(self, kept: Kept, edits: Edits, label: str, *, tell: bool = False) -> DraftChecked:
        text = applied(kept.text, edits)
        if text != kept.text:
            made = step(kept.text, edits, label[:_MOST_WORDS], time.time())
            kept = self._remember(self._store.changed(kept, made, text))
        return await self._checked(kept, edits if tell else ())

    async def _again(self, kept: Kept, *, back: bool) -> DraftChecked:
        number = kept.place if back else kept.place + 1
        found = self._store.step(kept.draft.id, number)
        if found is None:
            raise StoreRefused("nothing", "there is nothing to take back" if back else "there is nothing to do again")
        text, edits = done(kept.text, found.backward if back else found.forward)
        kept = self._remember(self._store.moved(kept, number - 1 if back else number, text))
        return await self._checked(kept, edits)

    async def _checked(self, kept: Kept, edits: tuple[Edit, ...]) -> DraftChecked:
        looked = await self._benches.look(kept.draft.id, kept.text, kept.files)
        draft = msgspec.structs.replace(kept.draft, ok=looked.ok, findings=len(looked.findings))
        now = self._warm.get(kept.draft.id)
        if now is not None and now.draft.version == draft.version:  # nobody went on meanwhile
            self._store.judged(draft.id, ok=draft.ok, findings=draft.findings)
            now.draft = draft
        return DraftChecked(draft, looked.ok, looked.findings, edits, looked.proof, looked.rules, looked.seconds)

    # --- merging --------------------------------------------------------------------------------------

    async def _merge(self, request: MergeDraft, peer: Peer) -> Merged:
        if request.other:
            theirs = self._kept(request.other)
            kept = self._own(request.id, request.version, peer)
            older = theirs if theirs.draft.base < kept.draft.base else kept
            base, other, files = self._store.origin(older.draft.id), theirs.text, theirs.files
        else:
            running = await self._running()
            kept = self._own(request.id, request.version, peer)
            base, other, files = self._store.origin(kept.draft.id), running.text, running.files
        result = await asyncio.to_thread(_merged, base, kept.text, other)
        kept = self._own(request.id, request.version, peer)  # nobody typed meanwhile
        edits = minimal(kept.text, result.text)
        if edits:
            label = f"merge {request.other or 'what runs'}"
            kept = self._store.changed(kept, step(kept.text, edits, label, time.time()), result.text)
        if {**files, **kept.files} != kept.files:
            kept = self._store.refiled(kept, {**files, **kept.files})
        if not request.other:
            kept = self._store.rebased(kept, running.summary.generation, running.text)
        self._remember(kept)
        checked = await self._checked(kept, edits)
        return Merged(checked.draft, edits, result.conflicts)

    async def _running(self) -> Shown:
        shown = await self._present.ask(Show(), Shown)
        return msgspec.structs.replace(shown, text=unix_lines(shown.text))

    async def _would_run(self, kept: Kept) -> tuple[str, dict[str, str]]:
        """What a draft would be with what runs now; as it is, where both changed the same."""
        origin = self._store.origin(kept.draft.id)
        text, files, _ = await self.with_running(kept.draft.base, origin, kept.text, kept.files)
        return text, files

    async def with_running(
        self, base: int, origin: str, text: str, files: dict[str, str]
    ) -> tuple[str, dict[str, str], tuple[Conflict, ...]]:
        """A text that was made from generation `base`, brought to what runs; where they conflict, it is as it was."""
        running = (await self._present.current()).generation
        if base == running or not running:
            return text, files, ()
        shown = await self._running()
        result = await asyncio.to_thread(_merged, origin, text, shown.text)
        return (text, files, result.conflicts) if result.conflicts else (result.text, {**shown.files, **files}, ())

    async def _between(self, request: Between) -> Planned:
        running = await self._present.current()
        numbers = [running.generation if one is None else one for one in (request.first, request.last)]
        old, new = [
            running.policy if one == running.generation else await self._present.read_policy(one) for one in numbers
        ]
        if new is None:
            raise StoreRefused("policy", f"the text of generation {numbers[1]} is no policy any more")
        return Planned(
            base=numbers[0],
            changes=changes_of(old, new),
            findings=(),
            statements=0,
            traffic=await self._gate.differing(old, new),
        )


def _merged(base: str, mine: str, theirs: str) -> MergeResult:
    try:
        return merge(base, mine, theirs)
    except EditError as error:
        raise StoreRefused("policy", f"it cannot be merged: {error}; {error.remedy}") from error


def _short(words: str | None) -> str | None:
    return None if words is None else words[:_MOST_WORDS]
