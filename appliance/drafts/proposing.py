"""Where proposals are decided and applied: four eyes, enforced here and not where people click.

Whoever asks, by the console or at a shell: a text that not enough others approved does not run, unless somebody
breaks the glass. Every step is a record of the audit trail.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from itertools import islice

import msgspec

from appliance.control import auditing, daemon
from appliance.control.deciding.candidate import findings
from appliance.control.deciding.changes import ApplyRefused, Changes, Within
from appliance.control.deciding.running import Present
from appliance.control.ipc import Peer, RefusedError
from appliance.control.messages.changes import (
    MOST_LISTED,
    AmendProposal,
    ApplyProposal,
    Approval,
    ApproveProposal,
    CommentProposal,
    Marks,
    MarksAre,
    Proposal,
    ProposalList,
    Proposals,
    ProposalShown,
    Propose,
    RejectProposal,
    ScheduleProposal,
    ShowProposal,
    Tried,
    TryProposal,
    WithdrawProposal,
)
from appliance.control.messages.gateway import (
    Applied,
    Apply,
    GenerationSummary,
    History,
    HistoryList,
    Refused,
    Reply,
    Request,
    Show,
    Shown,
)
from appliance.control.messages.text import Finding, Plan, Planned
from appliance.control.permits import People
from appliance.drafts.bench import FILE, Benches
from appliance.drafts.book import Body, Book
from appliance.drafts.bounds import beyond
from appliance.drafts.desk import Desk
from appliance.drafts.states import OPEN_TO, Deed, Given, Record, State, digest_of, holding, shown_state
from appliance.drafts.store import DraftStore, StoreRefused
from appliance.events.record import GLASS_BROKEN_TO_APPLY
from appliance.policy.console import ConsoleSettings, Person
from appliance.policy.model import Policy
from appliance.policy.problem import PolicyError
from appliance.policy.roles import permissions_of
from appliance.policy.written.text import unix_lines

ANSWERED = (
    Marks, Propose, Proposals, ShowProposal, TryProposal, CommentProposal, ApproveProposal, RejectProposal,
    AmendProposal, WithdrawProposal, ScheduleProposal, ApplyProposal,
)  # fmt: skip
_MOST_WORDS = 4_000
_MOST_TITLE = 200
_FARTHEST = 366 * 86_400.0  # seconds ahead that may be planned
_TOLD = 10  # changes beyond somebody's zones that are named
_RECENT = 50
_TRIES = 5
_REASON = re.compile(r"proposal ([0-9]{1,9}): ")

Enough = Callable[[Plan], Awaitable[Planned]]


class Proposing:
    """`plan` is policyd's own."""

    def __init__(
        self,
        book: Book,
        drafts: DraftStore,
        desk: Desk,
        benches: Benches,
        changes: Changes,
        present: Present,
        people: People,
        plan: Enough,
        log: daemon.Log,
    ) -> None:
        self._book = book
        self._drafts = drafts
        self._desk = desk
        self._benches = benches
        self._changes = changes
        self._present = present
        self._people = people
        self._plan = plan
        self._log = log

    async def answer(self, request: Request, peer: Peer) -> Reply:
        """What does not change what runs. Raises `StoreRefused`, and what asking the other processes does."""
        match request:
            case Marks():
                return MarksAre(self._drafts.mark(), self._book.mark())
            case Proposals():
                return await self._list(request)
            case ShowProposal():
                return await self._show(request.number)
            case Propose():
                return await self._propose(request, peer)
            case TryProposal():
                return await self._try(request)
            case CommentProposal():
                record = self._open_to(request.number, "comment")
                self._book.comment(record.number, peer.name, _words(request.words), request.rule[:_MOST_TITLE])
                self._audit(peer, "comment", record, request.words)
                return await self._told(record.number)
            case ApproveProposal():
                return await self._approve(request, peer)
            case RejectProposal():
                record = self._seen(self._open_to(request.number, "reject"), request.digest)
                await self._approver(peer)
                await self._theirs(record, peer)
                self._book.turned(record.number, "rejected", peer.name, "reject", _words(request.words))
                self._audit(peer, "reject", record, request.words)
                return await self._told(record.number)
            case AmendProposal():
                return await self._amend(request, peer)
            case WithdrawProposal():
                record = self._seen(self._open_to(request.number, "withdraw"), request.digest)
                if record.author != peer.name:
                    raise StoreRefused("not-yours", f"{record.author} proposed it; reject it, or ask them")
                self._book.turned(record.number, "withdrawn", peer.name, "withdraw", _words(request.words))
                self._audit(peer, "withdraw", record, request.words)
                return await self._told(record.number)
            case ScheduleProposal():
                return await self._schedule(request, peer)
            case _:
                return Refused("bad-request", f"{type(request).__name__} is not about proposals")

    # --- looking --------------------------------------------------------------------------------------

    async def _list(self, request: Proposals) -> ProposalList:
        settings = await self._people.settings()
        told = (self._as_told(record, settings) for record in self._book.all())
        chosen = (one for one in told if request.state in ("", one.state))
        return ProposalList(tuple(islice(chosen, max(0, min(request.limit, MOST_LISTED)))))

    async def _told(self, number: int) -> Proposal:
        return self._as_told(self._book.record(number), await self._people.settings())

    def _as_told(self, record: Record, settings: ConsoleSettings) -> Proposal:
        agreed = self._holding(record, settings)
        return Proposal(
            number=record.number,
            title=record.title,
            why=record.why,
            ticket=record.ticket,
            author=record.author,
            base=record.base,
            digest=record.digest,
            state=shown_state(record, len(agreed), settings.approvals),
            created=record.created,
            approvals=len(agreed),
            needed=settings.approvals,
            at=record.at,
            changed=record.changed,
            generation=record.generation,
            note=record.note,
            writers=tuple(sorted(self._book.writers(record))),
            agreed=agreed,
        )

    def _holding(self, record: Record, settings: ConsoleSettings) -> tuple[str, ...]:
        given = self._book.given(record.number)
        return holding(given, record.digest, self._book.writers(record), settings.people)

    async def _show(self, number: int) -> ProposalShown:
        told = await self._told(number)
        record, body = self._book.record(number), self._book.body(number)
        given = self._book.given(number)
        hold = set(self._holding(record, await self._people.settings()))
        planned: Planned | None = None
        found: tuple[Finding, ...] = ()
        try:
            planned = await self._planned(record, body)
        except PolicyError as error:
            found = findings(error.problems)
        return ProposalShown(
            proposal=told,
            text=body.text,
            base_text=body.base,
            files=body.files,
            planned=planned,
            findings=found if planned is None else planned.findings,
            comments=self._book.comments(number),
            approvals=tuple(_approval(one, record.digest, hold) for one in given),
            history=self._book.history(number),
        )

    async def _planned(self, record: Record, body: Body) -> Planned:
        """What it would change; asked again where something else began to run meanwhile."""
        tries = 0
        while True:
            running = (await self._present.current()).generation
            text, files, _ = await self._desk.with_running(record.base, body.base, body.text, body.files)
            try:
                return await self._plan(Plan(text, FILE, files))
            except RefusedError:
                tries += 1
                if tries == _TRIES or (await self._present.current()).generation == running:
                    raise

    async def _try(self, request: TryProposal) -> Tried:
        """What approvers look at before they amend it."""
        record = self._same(self._book.record(request.number), request.digest)
        body = self._book.body(record.number)
        files = body.files if request.files is None else request.files
        text, files, _ = await self._desk.with_running(record.base, body.base, unix_lines(request.text), files)
        try:
            planned = await self._plan(Plan(text, FILE, files))
        except PolicyError as error:
            return Tried(None, findings(error.problems), text, files)
        return Tried(planned, planned.findings, text, files)

    # --- asking and deciding --------------------------------------------------------------------------

    async def _propose(self, request: Propose, peer: Peer) -> Proposal:
        kept = self._desk.own(request.id, peer)
        if request.version not in (0, kept.draft.version):
            raise StoreRefused("version", f"draft {request.id} is another text by now; look at it again")
        body = Body(kept.text, self._desk.origin(request.id), kept.files)
        await self._sound(f"draft {request.id}", body, kept.draft.base, peer)
        now = time.time()
        record = Record(
            number=0,
            title=_plain(request.title or kept.draft.title) or "a change",
            why=_words(request.why),
            ticket=_plain(request.ticket or kept.draft.ticket),
            author=peer.name,
            base=kept.draft.base,
            digest=digest_of(body.text, body.files),
            state="open",
            created=now,
            changed=now,
        )
        record = self._book.propose(record, body)
        self._audit(peer, "propose", record, record.why)
        return await self._told(record.number)

    async def _approve(self, request: ApproveProposal, peer: Peer) -> Proposal:
        record = self._same(self._open_to(request.number, "approve"), request.digest)
        await self._approver(peer)
        if peer.name in self._book.writers(record):
            raise StoreRefused("own", "nobody approves what they wrote: somebody else must")
        await self._theirs(record, peer)
        self._same(self._open_to(request.number, "approve"), request.digest)  # nobody amended meanwhile
        if peer.name not in self._holding(record, await self._people.settings()):
            self._book.approve(record, peer.name, _words(request.words))
            self._audit(peer, "approve", record, request.words)
        return await self._told(record.number)

    async def _amend(self, request: AmendProposal, peer: Peer) -> Proposal:
        record = self._same(self._open_to(request.number, "amend"), request.digest)
        before = self._book.body(record.number)
        base, origin = record.base, before.base
        if request.base is not None and request.base != record.base:
            base = request.base
            origin = unix_lines((await self._present.ask(Show(base), Shown)).text) if base else ""
        files = before.files if request.files is None else request.files
        body = Body(unix_lines(request.text), origin, files)
        await self._sound(f"proposal {record.number}", body, base, peer)
        self._same(self._open_to(request.number, "amend"), request.digest)  # nobody decided meanwhile
        digest = digest_of(body.text, body.files)
        self._book.amend(record, body, digest, base, peer.name, _words(request.words))
        record = self._book.record(record.number)
        self._audit(peer, "amend", record, request.words)
        return await self._told(record.number)

    async def _schedule(self, request: ScheduleProposal, peer: Peer) -> Proposal:
        record, now = self._seen(self._open_to(request.number, "schedule"), request.digest), time.time()
        await self._theirs(record, peer)
        if request.at and not now < request.at <= now + _FARTHEST:
            raise StoreRefused("bad-time", "name a moment to come, within a year")
        at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(request.at)) if request.at else "not by itself"
        self._book.schedule(record.number, request.at, request.confirm_within, peer.name, at)
        self._audit(peer, "schedule", record, at)
        return await self._told(record.number)

    async def _sound(self, name: str, body: Body, base: int, peer: Peer) -> None:
        """A text that somebody may propose: it passes every check, and is about what is theirs."""
        looked = await self._benches.look(name, body.text, body.files)
        if not looked.ok:
            errors = [one for one in looked.findings if one.severity == "error"]
            count = f"{len(errors)} error{'s' if len(errors) != 1 else ''}"
            raise ApplyRefused("policy", f"the policy has {count}; correct the draft first", tuple(errors))
        person = await self._person(peer)
        if person is not None and person.zones and looked.policy is not None:
            _within(person, await self._policy_of(base, body.base), looked.policy)

    async def _theirs(self, record: Record, peer: Peer) -> None:
        """Who has zones decides about changes between these, as they propose no others."""
        person = await self._person(peer)
        if person is None or not person.zones:
            return
        body = self._book.body(record.number)
        looked = await self._benches.look(f"proposal {record.number}", body.text, body.files)
        if looked.policy is None:
            raise StoreRefused("zones", f"proposal {record.number} cannot be read, so nobody knows whose it is")
        _within(person, await self._policy_of(record.base, body.base), looked.policy)

    async def _policy_of(self, generation: int, text: str) -> Policy | None:
        """The policy of the generation a text was made from."""
        running = await self._present.current()
        if running.generation == generation:
            return running.policy
        return (await self._benches.look(f"generation {generation}", text, {})).policy

    async def _person(self, peer: Peer) -> Person | None:
        people = (await self._people.settings()).people
        return next((one for one in people if one.id == peer.name), None)

    async def _approver(self, peer: Peer) -> None:
        """At a shell, too, only people of the policy with that role decide."""
        person = await self._person(peer)
        if person is None or "approve" not in permissions_of(person.roles):
            raise StoreRefused("not-allowed", f"the running policy gives {peer.name} no role that approves")

    def _open_to(self, number: int, deed: Deed) -> Record:
        record = self._book.record(number)
        if record.state not in OPEN_TO[deed]:
            why = f" ({record.note})" if record.note else ""
            raise StoreRefused("state", f"proposal {number} is {record.state}{why}; nobody can {deed} it now")
        return record

    def _seen(self, record: Record, digest: str) -> Record:
        """Who does not say what they looked at decides of whatever it is."""
        return self._same(record, digest) if digest else record

    def _same(self, record: Record, digest: str) -> Record:
        if record.digest != digest:
            raise StoreRefused("digest", f"proposal {record.number} is another text by now; look at it again")
        return record

    # --- applying: one at a time is the caller's business ------------------------------------------------

    async def gate(self, request: Apply, peer: Peer) -> Record | None:
        """Whether a text may run without more ado: the proposal it is where others must approve. Raises otherwise."""
        settings = await self._people.settings()
        person = next((one for one in settings.people if one.id == peer.name), None)
        bounded = any(one.zones and (one is person or settings.approvals) for one in settings.people)
        running = (await self._present.current()).policy if bounded else None
        new = self._changes.read(request.text, request.file, request.files).policy if bounded else None
        if person is not None and person.zones and new is not None:
            _within(person, running, new)
        if request.break_glass:
            if peer.acting and (person is None or not person.break_glass):
                raise StoreRefused("not-allowed", f"the running policy does not let {peer.name} break the glass")
            return None
        if not settings.approvals:
            return None
        for record in self._book.with_digest(digest_of(unix_lines(request.text), request.files)):
            if record.state not in OPEN_TO["apply"]:
                continue
            if len(self._agreed(record, settings, running, new)) >= settings.approvals:
                return record
        raise StoreRefused(
            "approval",
            f"{settings.approvals} others must approve a change before it runs: propose it (`reef propose`), or say "
            "why it cannot wait (`--break-glass`), which is an alert",
        )

    def glass_broken(self, request: Apply, done: Applied, peer: Peer) -> None:
        """What nobody approved runs: everybody hears of it."""
        words = f"{peer.name} applied generation {done.generation} without approval: {_plain(request.break_glass)}"
        self._log.alert(GLASS_BROKEN_TO_APPLY, "A change runs that nobody else approved", words)
        self._log.audit(
            peer.name,
            "policy.break-glass",
            f"generation {done.generation}",
            why=_words(request.break_glass),
            generation=done.generation,
            origin=auditing.origin_of(peer, request.session),
        )

    async def apply(self, request: ApplyProposal, peer: Peer) -> Applied:
        record = self._same(self._open_to(request.number, "apply"), request.digest)
        self._changes.session_named(request.session, peer)
        await self._theirs(record, peer)
        origin = auditing.origin_of(peer, request.session)
        return await self.run(record, peer.name, request.confirm_within, origin)

    async def run(self, record: Record, by: str, confirm_within: int | None, origin: str) -> Applied:
        """Have it run. Raises `StoreRefused` and `ApplyRefused`; where it conflicts with what runs, it is stale."""
        settings = await self._people.settings()
        self._enough(record, settings, self._holding(record, settings))
        running = await self._present.current()
        body = self._book.body(record.number)
        text, files, conflicts = await self._desk.with_running(record.base, body.base, body.text, body.files)
        if conflicts:
            what = ", ".join(dict.fromkeys(one.what for one in conflicts[:_TOLD]))
            words = f"generation {running.generation} changed the same: {what}"
            self.stale(record, by, words)
            raise ApplyRefused("conflict", f"proposal {record.number} is stale: {words}; amend it")
        candidate = self._changes.read(text, FILE, files)
        # What came to run meanwhile may have made another change of it than the one that people looked at.
        writer = self._book.last_writer(record)
        person = next((one for one in settings.people if one.id == writer), None)
        if person is not None and person.zones:
            _within(person, running.policy, candidate.policy)
        self._enough(record, settings, self._agreed(record, settings, running.policy, candidate.policy))
        judged = await self._changes.judge(candidate)
        reason = reason_of(record)
        done = await self._changes.enforce(candidate, judged, running, by, reason, confirm_within, sits=origin)
        self.applied(record, by, done)
        return done

    def _agreed(
        self, record: Record, settings: ConsoleSettings, old: Policy | None, new: Policy | None
    ) -> tuple[str, ...]:
        """Whose approvals hold of this very change: who has zones agrees to nothing beyond these."""
        zones = {one.id: one.zones for one in settings.people}
        return tuple(
            who
            for who in self._holding(record, settings)
            if not zones[who] or (new is not None and not beyond(old, new, zones[who]))
        )

    def _enough(self, record: Record, settings: ConsoleSettings, agreed: tuple[str, ...]) -> None:
        if len(agreed) < settings.approvals:
            said = f"{len(agreed)} of {settings.approvals} others approved proposal {record.number}"
            raise StoreRefused("approval", said)

    async def bound(self, peer: Peer) -> Within | None:
        """What holds somebody with zones to these when they go back to another generation."""
        person = await self._person(peer)
        if person is None or not person.zones:
            return None
        held = person

        def within(old: Policy | None, new: Policy) -> None:
            try:
                _within(held, old, new)
            except StoreRefused as error:
                raise ApplyRefused(error.code, str(error)) from error

        return within

    def applied(self, record: Record, by: str, done: Applied) -> None:
        state: State = "applied" if done.confirm_by else "confirmed"
        words = f"generation {done.generation}"
        self._book.turned(record.number, state, by, "apply", words, generation=done.generation)

    def stale(self, record: Record, by: str, words: str) -> None:
        self._book.turned(record.number, "stale", by, "stale", words)
        self._log(f"proposal {record.number} is stale: {words}")
        detail = {"digest": record.digest}
        self._log.audit(by, "policy.stale", f"proposal {record.number}", why=words, detail=detail)

    async def follow(self) -> None:
        """What became of what was applied: confirmed, or taken back."""
        waiting = {one.generation: one for one in self._book.pending(0.0) if one.state == "applied"}
        if not waiting:
            return
        for summary in (await self._present.ask(History(_RECENT), HistoryList)).generations:
            record = waiting.get(summary.generation)
            if record is None:
                continue
            if summary.state in ("confirmed", "superseded"):
                self._book.turned(record.number, "confirmed", summary.confirmed_by, "confirm", record.note)
            elif summary.state in ("rolled-back", "failed"):
                self._book.turned(record.number, "rolled-back", summary.author, "roll back", summary.note)

    def told_of(self, summary: GenerationSummary) -> GenerationSummary:
        """With the proposal that it was."""
        record = self._book.of_generation(summary.generation)
        if record is None:
            return summary
        given = [one for one in self._book.given(record.number) if one.digest == record.digest]
        return msgspec.structs.replace(
            summary,
            proposal=record.number,
            proposer=record.author,
            why=record.why,
            ticket=record.ticket,
            approvers=tuple(dict.fromkeys(one.person for one in given)),
        )

    async def recover(self) -> None:
        """Look for what was applied and not written down as such, because this process died in between."""
        for summary in (await self._present.ask(History(_RECENT), HistoryList)).generations:
            found = _REASON.match(summary.reason)
            record = None if found is None else self._book.find(int(found[1]))
            if record is None or record.generation >= summary.generation or summary.created < record.created:
                continue
            words = f"generation {summary.generation}"
            self._book.turned(record.number, "applied", summary.author, "apply", words, generation=summary.generation)

    def _audit(self, peer: Peer, action: str, record: Record, why: str) -> None:
        detail = {"digest": record.digest, "title": record.title, "ticket": record.ticket, "base": f"{record.base}"}
        self._log.audit(
            peer.name, f"policy.{action}", f"proposal {record.number}", why=_words(why),
            origin=auditing.origin_of(peer), detail=detail,
        )  # fmt: skip


def reason_of(record: Record) -> str:
    """What the history says of a generation that was a proposal."""
    ticket = f" ({record.ticket})" if record.ticket else ""
    return f"proposal {record.number}: {record.title}{ticket}"


def _approval(given: Given, digest: str, holding: set[str]) -> Approval:
    holds = given.digest == digest and given.person in holding
    return Approval(given.person, given.at, given.words, given.digest, holds)


def _within(person: Person, old: Policy | None, new: Policy) -> None:
    outside = beyond(old, new, person.zones)
    if outside:
        more = f"; and {len(outside) - _TOLD} more" if len(outside) > _TOLD else ""
        raise StoreRefused(
            "zones",
            f"{person.id} may change rules between {', '.join(person.zones)} only, and this changes: "
            f"{'; '.join(outside[:_TOLD])}{more}",
        )


def _words(words: str) -> str:
    return words[:_MOST_WORDS]


def _plain(words: str) -> str:
    """Somebody's words, fit for one line of a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in words[:_MOST_TITLE])
