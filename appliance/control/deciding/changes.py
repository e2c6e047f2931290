"""Changes of what runs: apply and roll back. One at a time is the caller's business.

candidate → parse → judge → compile → plan → seal (keyd) → load (applyd). Whoever comes second is told what changed
since the generation they started from.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping

from appliance.control import auditing, daemon
from appliance.control.deciding.candidate import Candidate, Workshop, findings
from appliance.control.deciding.gate import Gate, Judged
from appliance.control.deciding.running import Present, Running
from appliance.control.deciding.sources import SourceError, baselines, required, with_own_lists
from appliance.control.ipc import BUNDLE_LIMIT, Peer, RefusedError, call_async, came_by_ssh
from appliance.control.messages.gateway import (
    Applied,
    Apply,
    Confirmed,
    GenerationSummary,
    History,
    HistoryList,
    Load,
    Loaded,
    Refused,
    Rollback,
    Show,
    Shown,
    Status,
    StatusReport,
)
from appliance.control.messages.keys import Sign, Signed
from appliance.control.messages.text import Change, Finding
from appliance.control.processes import Instance
from appliance.policy.answering.plan import plan
from appliance.policy.compiling import bundle as bundles
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.model import Policy
from appliance.policy.problem import PolicyError

# Raises `ApplyRefused` where the change from one policy to another is not for who asks.
Within = Callable[[Policy | None, Policy], None]


class ApplyRefused(Exception):
    """The change was refused; nothing changed."""

    def __init__(self, code: str, message: str, found: tuple[Finding, ...] = ()) -> None:
        super().__init__(message)
        self.reply = Refused(code, message, found)


class Changes:
    """Reads, judges and enforces texts. `look` reads the counters before a rule takes its own along."""

    def __init__(
        self,
        instance: Instance,
        workshop: Workshop,
        gate: Gate,
        present: Present,
        look: Callable[[], Awaitable[object]],
        log: daemon.Log,
    ) -> None:
        self._instance = instance
        self._workshop = workshop
        self._gate = gate
        self._present = present
        self._look = look
        self._log = log

    # --- texts ----------------------------------------------------------------------------------------

    def read(self, text: str, file: str, files: Mapping[str, str]) -> Candidate:
        """A site's text under the baselines of this gateway, which bring their own lists."""
        inherited = self._baselines()
        try:
            lists = with_own_lists(files, inherited, self._instance.baselines)
        except SourceError as error:
            raise ApplyRefused("baseline", str(error)) from error
        return self._workshop.read(text, file, lists, inherited)

    async def judge(self, candidate: Candidate) -> Judged:
        """What keeps a text from running is a `PolicyError`."""
        try:
            return await self._gate.judged(candidate, required(self._instance.required))
        except SourceError as error:
            raise ApplyRefused("baseline", str(error)) from error

    def _baselines(self) -> dict[str, str]:
        """The baselines of this gateway, by name."""
        try:
            return dict(baselines(self._instance.baselines))
        except SourceError as error:
            raise ApplyRefused("baseline", str(error)) from error

    # --- apply --------------------------------------------------------------------------------------

    async def apply(self, request: Apply, peer: Peer) -> Applied:
        running = await self._present.current()
        if request.base != running.generation:
            raise ApplyRefused("conflict", await self._what_changed(request.base, running))
        self.session_named(request.session, peer)
        candidate = self.read(request.text, request.file, request.files)
        judged = await self.judge(candidate)
        origin = auditing.origin_of(peer, request.session)
        return await self.enforce(
            candidate, judged, running, peer.name, request.reason, request.confirm_within, sits=origin
        )

    async def enforce(
        self,
        candidate: Candidate,
        judged: Judged,
        running: Running,
        author: str,
        reason: str,
        confirm_within: int | None,
        *,
        sits: str = "",
    ) -> Applied:
        """Seal it and have it run. `sits` is where the author does, for the audit trail."""
        begun = time.perf_counter()
        origin = await self._present.origin(running, author, reason)
        capabilities = await self._present.capabilities()
        bundle = self._workshop.compile(candidate, origin, capabilities)
        compiled = time.perf_counter()
        changed = changes_of(running.policy, candidate.policy)
        traffic = await self._gate.differing(running.policy, candidate.policy)
        planned = time.perf_counter()
        wait = bundle.confirm_within if confirm_within is None else confirm_within
        if _takes_away(running.policy, candidate.policy):
            await self._look()  # what goes takes its counter along
        loaded, digest, signed = await self.load(bundle, wait)
        done = time.perf_counter()
        self._present.know(Running(bundle.generation, candidate.policy, bundle))
        self._log(f"generation {bundle.generation} by {author}: {reason}")
        ran = Applied(
            generation=bundle.generation,
            digest=digest,
            changes=changed,
            findings=judged.findings,
            confirm_by=loaded.confirm_by,
            seconds={
                "parse": candidate.seconds,
                "prove": judged.seconds,
                "compile": compiled - begun,
                "plan": planned - compiled,
                "sign": signed - planned,
                "load": done - signed,
            },
            omitted=bundle.omitted,
            traffic=traffic,
        )
        auditing.applied(self._log.audit, ran, author, reason, sits)
        return ran

    async def load(self, bundle: Bundle, confirm_within: int, *, dry_run: bool = False) -> tuple[Loaded, str, float]:
        """Seal the bundle and hand it to applyd: what it answers, the digest, and when it was sealed."""
        data = bundles.encode(bundle)
        digest = bundles.digest(data)
        signed = await call_async(self._instance.socket("keyd"), Sign(digest), Signed)
        sealed = time.perf_counter()
        request = Load(data, signed.signature, confirm_within, dry_run=dry_run)
        loaded = await call_async(
            self._instance.socket("applyd"), request, Loaded, timeout=120, limit=BUNDLE_LIMIT + BUNDLE_LIMIT // 2
        )
        return loaded, digest, sealed

    async def _what_changed(self, base: int, running: Running) -> str:
        """Words for the second of two people: who did what since the generation they started from."""
        history = (await self._present.ask(History(1000), HistoryList)).generations
        since = [summary for summary in history if summary.generation > base and _took(summary)]
        told = [f"{_who(summary)}" for summary in sorted(since, key=lambda summary: summary.generation)]
        words = f"generation {running.generation} runs, but this change was made from {base}"
        if told:
            words += ". Since then: " + "; ".join(told[-10:])
        with contextlib.suppress(RefusedError, PolicyError):
            before = await self._present.read_policy(base) if base else None
            lines = [change.words for change in changes_of(before, running.policy)] if running.policy else []
            if lines:
                words += ". What changed: " + "; ".join(lines[:20]) + ("; …" if len(lines) > 20 else "")
        return words + ". Look at the running text (`reef show generation`), bring your change to it and apply again"

    # --- confirm and roll back ----------------------------------------------------------------------

    def session_named(self, session: str, peer: Peer) -> None:
        """A session that came by ssh has to say so: only a local console may do without."""
        if not session and not peer.acting and came_by_ssh(peer.pid):
            raise ApplyRefused(
                "session",
                "this session came by ssh but does not say which (SSH_CONNECTION is not set, as under sudo): "
                "run it with SSH_CONNECTION kept (`sudo --preserve-env=SSH_CONNECTION reef …`)",
            )

    async def rollback(self, request: Rollback, peer: Peer, within: Within | None = None) -> Applied:
        """The way back from what nobody confirmed is open to all who may roll back; any other is a change, which
        `within` may refuse."""
        status = await self._present.ask(Status(), StatusReport)
        reason = request.reason or "rolled back"
        if status.confirm_by and request.generation in (None, status.confirmed):
            await self._look()
            begun = time.perf_counter()
            origin = auditing.origin_of(peer, request.session)
            asked = Rollback(None, reason, request.session, peer.name, origin)
            back = await self._present.ask(asked, Confirmed)
            seconds = {"load": time.perf_counter() - begun}
            before = self._present.running.policy
            current = await self._present.current()
            summary = (await self._present.ask(Show(), Shown)).summary if back.generation else None
            changed = changes_of(before, current.policy) if current.policy else ()
            return Applied(back.generation, summary.digest if summary else "", changed, (), 0.0, seconds)
        running = await self._present.current()
        wanted = request.generation if request.generation is not None else await self._parent(running)
        shown = await self._present.ask(Show(wanted), Shown)
        if shown.summary.state not in ("confirmed", "superseded"):
            raise ApplyRefused(
                "rollback",
                f"generation {wanted} was never confirmed ({shown.summary.state}); "
                f"to try it again, apply its text: `reef show generation {wanted}`",
            )
        if wanted == running.generation:
            raise ApplyRefused("rollback", f"generation {wanted} runs already")
        candidate, judged = await self._past(wanted, shown)
        if within is not None:
            within(running.policy, candidate.policy)
        # History only grows: going back is a new generation with the old content, which needs no confirm any more.
        words = f"back to {wanted}" + (f": {request.reason}" if request.reason else "")
        origin = auditing.origin_of(peer, request.session)
        return await self.enforce(candidate, judged, running, peer.name, words, 0, sits=origin)

    async def _past(self, generation: int, shown: Shown) -> tuple[Candidate, Judged]:
        """The site's text of then under the baselines of now: an old generation is no way round a new one (R9)."""
        try:
            candidate = self.read(shown.text, f"generation {generation}", shown.files)
            return candidate, await self.judge(candidate)
        except PolicyError as error:
            inherited = self._baselines()
            changed = [name for name, text in shown.inherited.items() if inherited.get(name) != text]
            if not changed:
                raise
            raise ApplyRefused(
                "rollback",
                f"generation {generation} does not hold under the baselines of today ({', '.join(changed)} changed "
                f"since then); bring its text to them (`reef show generation {generation}`) and apply that",
                findings(error.problems),
            ) from error

    async def _parent(self, running: Running) -> int:
        if not running.generation:
            raise ApplyRefused("rollback", "no generation runs, so there is none to go back from")
        parent = (await self._present.ask(Show(running.generation), Shown)).summary.parent
        if not parent:
            raise ApplyRefused("rollback", f"generation {running.generation} is the first; there is none before it")
        return parent


def changes_of(old: Policy | None, new: Policy | None) -> tuple[Change, ...]:
    if new is None:
        return ()
    return tuple(Change(change.kind, change.what, change.words) for change in plan(old, new))


def _takes_away(old: Policy | None, new: Policy) -> bool:
    """Whether a rule or translation of the old policy is not in the new one."""
    if old is None:
        return True
    before, after = (
        {rule.id for rules in (policy.rules, policy.source_nat, policy.destination_nat) for rule in rules}
        for policy in (old, new)
    )
    return not before <= after


def _took(summary: GenerationSummary) -> bool:
    return summary.state not in ("failed", "rolled-back")


def _who(summary: GenerationSummary) -> str:
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(summary.created))
    return f"generation {summary.generation} by {summary.author} at {at}: {summary.reason or 'no reason given'}"
