"""policyd: turns policy texts into sealed bundles and has applyd load them. Holds no privilege.

candidate → parse → number → compile → plan → seal (keyd) → load (applyd). One change at a time: whoever comes
second is told what changed since the generation they started from.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.control import daemon, notify, sandbox
from appliance.control.batch import statements
from appliance.control.candidate import Candidate, Origin, Workshop, findings
from appliance.control.examiner import Examiner
from appliance.control.gate import Gate, Judged
from appliance.control.hits import Collector
from appliance.control.impact import FlowReader
from appliance.control.ipc import (
    BUNDLE_LIMIT,
    DaemonAway,
    Peer,
    ProtocolError,
    RefusedError,
    Server,
    call_async,
    came_by_ssh,
)
from appliance.control.matched import of_instance as matched_reader
from appliance.control.messages import (
    Applied,
    Apply,
    Ban,
    BanList,
    Bans,
    Change,
    Check,
    Checked,
    Confirm,
    Confirmed,
    Doctor,
    DoctorReport,
    Finding,
    FlowList,
    Flows,
    GenerationSummary,
    History,
    HistoryList,
    Hits,
    Load,
    Loaded,
    NameBook,
    Names,
    Plan,
    Planned,
    ProcessHealth,
    Refused,
    Reply,
    Request,
    Rollback,
    RuleCounterList,
    RuleCounters,
    SetList,
    Sets,
    Show,
    Shown,
    Sign,
    Signed,
    Status,
    StatusReport,
    Unban,
)
from appliance.control.messages_hits import Matched
from appliance.control.messages_impact import Impact
from appliance.control.messages_why import (
    MOST_SECONDS,
    Disagreement,
    Noted,
    Trace,
    Traced,
    Tracing,
    Trail,
    WayList,
    Ways,
)
from appliance.control.numbering import Numbers, OutOfNumbers
from appliance.control.processes import PROCESSES, Instance, process
from appliance.control.sources import SourceError, baselines, required, with_own_lists
from appliance.events.record import KERNEL_DISAGREES
from appliance.policy import bundle as bundles
from appliance.policy.bundle import Bundle, generation_mark
from appliance.policy.delta import delta
from appliance.policy.model import Policy
from appliance.policy.plan import plan
from appliance.policy.problem import PolicyError
from ctypes_ext.replay import ReplayError

NAME = "policyd"
_DAY = 86400
_RENEW = 60 * _DAY  # schedules are compiled anew when fewer days of them are left
_HOUR = 3600.0
_AWAY = 2.0  # seconds until a process that is starting is asked again
_ALIVE = 2.0  # seconds within which a process must answer to count as alive

T = TypeVar("T")
# What applyd answers; policyd only says who asked.
_FORWARDED: dict[type, type] = {
    RuleCounters: RuleCounterList,
    Flows: FlowList,
    Sets: SetList,
    Names: NameBook,
    History: HistoryList,
    Show: Shown,
    Bans: BanList,
    Unban: BanList,
    Ways: WayList,
    Trace: Tracing,
}


class Running:
    """The running generation as this process knows it: its policy, and the bundle where it compiled it itself."""

    def __init__(self, generation: int, policy: Policy | None, bundle: Bundle | None) -> None:
        self.generation = generation
        self.policy = policy
        self.bundle = bundle


class ApplyRefused(Exception):
    """The change was refused; nothing changed."""

    def __init__(self, code: str, message: str, found: tuple[Finding, ...] = ()) -> None:
        super().__init__(message)
        self.reply = Refused(code, message, found)


class Policyd:
    """The process: its caches, and one method per request."""

    def __init__(self, instance: Instance, log: daemon.Log) -> None:
        self._instance = instance
        self._log = log
        self._numbers = Numbers(instance.state_of(NAME) / "numbers.json", log)
        self._workshop = Workshop(self._numbers)
        self._gate = Gate()
        self._flow_log = FlowReader(instance)
        self._matched = matched_reader(instance)
        self._running = Running(0, None, None)
        self._capabilities: frozenset[str] | None = None
        self._change = asyncio.Lock()
        self._examiner = Examiner(instance.socket("applyd"), self._policy, self._kernel_capabilities, log)
        self._hits = Collector(instance, log, lambda: self._ask(RuleCounters(), RuleCounterList), self._current)
        self._looking: asyncio.Task[int] | None = None

    async def serve(self, stop: asyncio.Event) -> None:
        def anyone(peer: Peer) -> bool:
            return self._instance.allows(NAME, peer.uid, peer.groups)

        answered = (
            Check, Plan, Apply, Confirm, Rollback, Status, Doctor, Ban, Hits, Matched, Impact, Trail, Disagreement,
            *_FORWARDED,
        )  # fmt: skip
        server = Server(self._instance.socket(NAME), dict.fromkeys(answered, anyone), self.answer, report=self._log)
        await server.start()
        notify.ready()
        chores = [asyncio.create_task(work) for work in (self._chores(), self._examiner.watch())]
        await self._hits.watch(stop)
        for each in chores:
            each.cancel()
        await server.stop()

    async def answer(self, request: Request, peer: Peer) -> Reply:
        try:
            return await self._answer(request, peer)
        except ApplyRefused as error:
            return error.reply
        except RefusedError as error:
            return error.reply
        except PolicyError as error:
            count = sum(problem.severity == "error" for problem in error.problems)
            words = f"the policy has {count} error{'s' if count != 1 else ''}; nothing was changed"
            return Refused("policy", words, findings(error.problems))
        except OutOfNumbers as error:
            return Refused("numbers", str(error))
        except (DaemonAway, ProtocolError) as error:
            return Refused("away", f"{error}; nothing more was done")
        except OSError as error:
            return Refused("store", f"policyd cannot keep its state: {error}; nothing was changed")

    async def _answer(self, request: Request, peer: Peer) -> Reply:
        match request:
            case Check():
                return self._check(request)
            case Plan():
                return await self._plan(request)
            case Apply():
                async with self._change:
                    return await self._apply(request, peer)
            case Confirm():
                self._session_named(request.session, peer)
                return await self._ask(Confirm(request.session, peer.name), Confirmed)
            case Rollback():
                async with self._change:
                    return await self._rollback(request, peer)
            case Status():
                return await self._status()
            case Doctor():
                report = await self._ask(request, DoctorReport)
                return msgspec.structs.replace(report, runs=await self._examiner.now())
            case Impact():
                return await self._impact(request, peer)
            case Ban():
                named = msgspec.structs.replace(request, by=peer.name)
                return await self._ask(named, BanList)
            case Hits():
                return await self._hits.answer(request)
            case Matched():
                # Who looked is as much a record as what was seen (R30, R32).
                self._log(f"{peer.name} is told which hosts {len(request.rules)} rules matched (reef suggest)")
                return await self._matched.read(request)
            case Trail():
                return await call_async(self._instance.socket("applyd"), request, Traced, timeout=MOST_SECONDS + 30)
            case Disagreement():
                self._log.alert(KERNEL_DISAGREES, "The kernel decides otherwise than the policy", request.words)
                return Noted()
            case _:
                reply: Reply = await self._ask(request, _FORWARDED[type(request)])
                return reply

    # --- check and plan -----------------------------------------------------------------------------

    def _check(self, request: Check) -> Reply:
        try:
            candidate = self._read(request.text, request.file, request.files)
            judged = self._judge(candidate)
        except PolicyError as error:
            return Checked(findings(error.problems), 0, "", ok=False)
        return Checked(judged.findings, len(candidate.policy.rules), candidate.policy.site, ok=True)

    async def _plan(self, request: Plan) -> Planned:
        candidate = self._read(request.text, request.file, request.files)
        judged = self._judge(candidate)
        running = await self._current()
        bundle = self._workshop.compile(
            candidate, await self._origin(running, "plan", ""), await self._kernel_capabilities()
        )
        return Planned(
            base=running.generation,
            changes=_changes(running.policy, candidate.policy),
            findings=judged.findings,
            statements=await self._statements(bundle, running),
            omitted=bundle.omitted,
            traffic=self._gate.difference(running.policy, candidate.policy),
        )

    async def _impact(self, request: Impact, peer: Peer) -> Reply:
        candidate = self._read(request.text, request.file, request.files)
        running = await self._current()
        if running.policy is None:
            return Refused("nothing-runs", "no generation runs that flows could have been decided by")
        if request.addresses:  # who looked is as much a record as what was seen (R30, R32)
            self._log(f"{peer.name} has the flow log replayed with the addresses of hosts (reef impact --addresses)")
        try:
            return await self._flow_log.impact(request, running.generation, running.policy, candidate.policy)
        except ReplayError as error:
            return Refused("too-large", f"the flow log cannot be replayed: {error}")

    async def _statements(self, bundle: Bundle, running: Running) -> int:
        """How long the transaction would be. The kernel checks it too, unless a generation waits for its confirm."""
        if running.bundle is not None and (await self._ask(Status(), StatusReport)).confirm_by:
            return statements(delta(running.bundle.ruleset, bundle.ruleset))
        return (await self._load(bundle, 0, dry_run=True))[0].statements

    # --- apply --------------------------------------------------------------------------------------

    async def _apply(self, request: Apply, peer: Peer) -> Applied:
        running = await self._current()
        if request.base != running.generation:
            raise ApplyRefused("conflict", await self._what_changed(request.base, running))
        self._session_named(request.session, peer)
        candidate = self._read(request.text, request.file, request.files)
        judged = self._judge(candidate)
        return await self._enforce(candidate, judged, running, peer.name, request.reason, request.confirm_within)

    async def _enforce(
        self,
        candidate: Candidate,
        judged: Judged,
        running: Running,
        author: str,
        reason: str,
        confirm_within: int | None,
    ) -> Applied:
        begun = time.perf_counter()
        origin = await self._origin(running, author, reason)
        capabilities = await self._kernel_capabilities()
        bundle = self._workshop.compile(candidate, origin, capabilities)
        compiled = time.perf_counter()
        changes = _changes(running.policy, candidate.policy)
        traffic = self._gate.difference(running.policy, candidate.policy)
        planned = time.perf_counter()
        wait = bundle.confirm_within if confirm_within is None else confirm_within
        if _takes_away(running.policy, candidate.policy):
            await self._hits.look()  # what goes takes its counter along
        loaded, digest, signed = await self._load(bundle, wait)
        done = time.perf_counter()
        self._know(Running(bundle.generation, candidate.policy, bundle))
        self._log(f"generation {bundle.generation} by {author}: {reason}")
        return Applied(
            generation=bundle.generation,
            digest=digest,
            changes=changes,
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

    async def _load(self, bundle: Bundle, confirm_within: int, *, dry_run: bool = False) -> tuple[Loaded, str, float]:
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
        history = (await self._ask(History(1000), HistoryList)).generations
        since = [summary for summary in history if summary.generation > base and _took(summary)]
        told = [f"{_who(summary)}" for summary in sorted(since, key=lambda summary: summary.generation)]
        words = f"generation {running.generation} runs, but this change was made from {base}"
        if told:
            words += ". Since then: " + "; ".join(told[-10:])
        with contextlib.suppress(RefusedError, PolicyError):
            before = await self._read_policy(base) if base else None
            lines = [change.words for change in _changes(before, running.policy)] if running.policy else []
            if lines:
                words += ". What changed: " + "; ".join(lines[:20]) + ("; …" if len(lines) > 20 else "")
        return words + ". Look at the running text (`reef show generation`), bring your change to it and apply again"

    # --- confirm and roll back ----------------------------------------------------------------------

    def _session_named(self, session: str, peer: Peer) -> None:
        """A session that came by ssh has to say so: only a local console may do without."""
        if not session and came_by_ssh(peer.pid):
            raise ApplyRefused(
                "session",
                "this session came by ssh but does not say which (SSH_CONNECTION is not set, as under sudo): "
                "run it with SSH_CONNECTION kept (`sudo --preserve-env=SSH_CONNECTION reef …`)",
            )

    async def _rollback(self, request: Rollback, peer: Peer) -> Applied:
        status = await self._ask(Status(), StatusReport)
        reason = request.reason or "rolled back"
        if status.confirm_by and request.generation in (None, status.confirmed):
            await self._hits.look()
            begun = time.perf_counter()
            back = await self._ask(Rollback(None, reason, request.session, peer.name), Confirmed)
            seconds = {"load": time.perf_counter() - begun}
            before = self._running.policy
            current = await self._current()
            summary = (await self._ask(Show(), Shown)).summary if back.generation else None
            changes = _changes(before, current.policy) if current.policy else ()
            return Applied(back.generation, summary.digest if summary else "", changes, (), 0.0, seconds)
        running = await self._current()
        wanted = request.generation if request.generation is not None else await self._parent(running)
        shown = await self._ask(Show(wanted), Shown)
        if shown.summary.state not in ("confirmed", "superseded"):
            raise ApplyRefused(
                "rollback",
                f"generation {wanted} was never confirmed ({shown.summary.state}); "
                f"to try it again, apply its text: `reef show generation {wanted}`",
            )
        if wanted == running.generation:
            raise ApplyRefused("rollback", f"generation {wanted} runs already")
        candidate, judged = self._past(wanted, shown)
        # History only grows: going back is a new generation with the old content, which needs no confirm any more.
        words = f"back to {wanted}" + (f": {request.reason}" if request.reason else "")
        return await self._enforce(candidate, judged, running, peer.name, words, 0)

    def _past(self, generation: int, shown: Shown) -> tuple[Candidate, Judged]:
        """The site's text of then under the baselines of now: an old generation is no way round a new one (R9)."""
        try:
            candidate = self._read(shown.text, f"generation {generation}", shown.files)
            return candidate, self._judge(candidate)
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
        parent = (await self._ask(Show(running.generation), Shown)).summary.parent
        if not parent:
            raise ApplyRefused("rollback", f"generation {running.generation} is the first; there is none before it")
        return parent

    # --- status -------------------------------------------------------------------------------------

    async def _status(self) -> StatusReport:
        report = await self._ask(Status(), StatusReport)
        return msgspec.structs.replace(report, processes=await self._processes(), runs=self._examiner.latest)

    async def _processes(self) -> tuple[ProcessHealth, ...]:
        found = []
        for row in PROCESSES:
            if row.name == NAME or not row.peers:
                continue
            words = await _answers(self._instance.socket(row.name))
            found.append(ProcessHealth(row.name, not words, words))
        return tuple(found)

    # --- what runs ----------------------------------------------------------------------------------

    async def _current(self) -> Running:
        """The running generation; read and parsed anew when it is not the one this process knows."""
        generation = (await self._ask(Status(), StatusReport)).running
        if generation != self._running.generation:
            policy = await self._read_policy(generation) if generation else None
            self._know(Running(generation, policy, None))
            if generation:
                self._numbers.learn((await self._ask(Names(), NameBook)).rules)
        return self._running

    async def _policy(self) -> Policy | None:
        return (await self._current()).policy

    def _know(self, running: Running) -> None:
        """Another generation runs: what its rules mean goes into their history."""
        self._running = running
        if running.policy is not None:
            self._hits.means(running.generation, running.policy)
            self._looking = asyncio.create_task(self._hits.look())

    async def _read_policy(self, generation: int) -> Policy | None:
        shown = await self._ask(Show(generation), Shown)
        try:
            return self._workshop.read(shown.text, f"generation {generation}", shown.files, shown.inherited).policy
        except PolicyError as error:
            self._log(f"generation {generation} no longer parses, plans name everything: {error}")
            return None

    async def _origin(self, running: Running, author: str, reason: str) -> Origin:
        newest = (await self._ask(History(1), HistoryList)).generations
        last = newest[0].generation if newest else 0
        number = max(last, running.generation) + 1
        if generation_mark(number) == generation_mark(running.generation):
            number += 1  # after 14 that failed: connections could not tell it from the running one
        return Origin(number, running.generation, author, reason)

    async def _kernel_capabilities(self) -> frozenset[str]:
        if self._capabilities is None:
            report = await self._ask(Doctor(), DoctorReport)
            self._capabilities = frozenset(found.name for found in report.capabilities if found.available)
        return self._capabilities

    def _read(self, text: str, file: str, files: Mapping[str, str]) -> Candidate:
        """A site's text under the baselines of this gateway, which bring their own lists."""
        inherited = self._baselines()
        try:
            lists = with_own_lists(files, inherited, self._instance.baselines)
        except SourceError as error:
            raise ApplyRefused("baseline", str(error)) from error
        return self._workshop.read(text, file, lists, inherited)

    def _judge(self, candidate: Candidate) -> Judged:
        """What keeps a text from running is a `PolicyError`."""
        try:
            return self._gate.judge(candidate, required(self._instance.required))
        except SourceError as error:
            raise ApplyRefused("baseline", str(error)) from error

    def _baselines(self) -> dict[str, str]:
        """The baselines of this gateway, by name."""
        try:
            return dict(baselines(self._instance.baselines))
        except SourceError as error:
            raise ApplyRefused("baseline", str(error)) from error

    async def _ask(self, request: Request, reply: type[T]) -> T:
        return await call_async(self._instance.socket("applyd"), request, reply, timeout=120)

    # --- chores -------------------------------------------------------------------------------------

    async def _chores(self) -> None:
        """Warm the caches once, then see every hour whether compiled time runs out."""
        told = ""
        while True:
            pause = _HOUR
            try:
                async with self._change:
                    await self._renew_time()
                policy = self._running.policy
                if policy is not None:
                    await self._flow_log.forget_keys(policy.settings.flow_log_days)
            except (RefusedError, ApplyRefused, PolicyError, OutOfNumbers, OSError) as error:
                self._log(f"the times of the running generation cannot be carried on: {error}")
            except (DaemonAway, ProtocolError) as error:
                pause = _AWAY
                if str(error) != told:
                    told = str(error)
                    self._log(told)
            await asyncio.sleep(pause)

    async def _renew_time(self) -> None:
        running = await self._current()
        if running.policy is None:
            return
        shown = await self._ask(Show(running.generation), Shown)
        candidate = self._workshop.read(shown.text, f"generation {running.generation}", shown.files, shown.inherited)
        bundle = self._workshop.compile(
            candidate, await self._origin(running, NAME, ""), await self._kernel_capabilities()
        )
        if running.bundle is None:
            self._running = running = Running(running.generation, candidate.policy, None)
        left = shown.horizon - time.time() if shown.horizon else None
        if left is not None and left < _RENEW and bundle.horizon > shown.horizon:
            judged = Judged(candidate.findings, 0.0)  # it passed when it was applied, and it runs
            words = "the times of schedules and expiries are carried on"
            await self._enforce(candidate, judged, running, NAME, words, 0)


def _changes(old: Policy | None, new: Policy | None) -> tuple[Change, ...]:
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


async def _answers(path: Path) -> str:
    """ "" when somebody accepts connections there, else words."""
    try:
        async with asyncio.timeout(_ALIVE):
            _, writer = await asyncio.open_unix_connection(str(path))
    except (OSError, TimeoutError) as error:
        return f"does not answer at {path}: {getattr(error, 'strerror', None) or 'timeout'}"
    writer.close()
    return ""


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    sandbox.enter(process(NAME), instance)
    log.open(instance.events_of(NAME))
    policyd = Policyd(instance, log)
    daemon.run(policyd.serve, log)


if __name__ == "__main__":
    main(sys.argv[1:])
