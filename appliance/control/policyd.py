"""policyd: turns policy texts into sealed bundles and has applyd load them. Holds no privilege.

One method per request: what changes what runs is in `changes.py`, what it knows of what runs in `running.py`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.control import auditing, daemon, notify, sandbox
from appliance.control.deciding.bandesk import BanDesk
from appliance.control.deciding.candidate import Workshop, findings
from appliance.control.deciding.changes import ApplyRefused, Changes, changes_of
from appliance.control.deciding.crossing import crossings
from appliance.control.deciding.examiner import Examiner
from appliance.control.deciding.gate import Gate, Judged
from appliance.control.deciding.hits import Collector
from appliance.control.deciding.impact import FlowReader
from appliance.control.deciding.matched import of_instance as matched_reader
from appliance.control.deciding.numbering import Numbers, OutOfNumbers
from appliance.control.deciding.processhealth import Healths
from appliance.control.deciding.running import Present, Running
from appliance.control.ipc import (
    LIMIT,
    DaemonAway,
    Peer,
    ProtocolError,
    RefusedError,
    Server,
    call_async,
)
from appliance.control.kernel.batch import statements
from appliance.control.messages.audit import AuditNote
from appliance.control.messages.bans import Allow, Allowed, AllowList, Disallow
from appliance.control.messages.changes import ApplyProposal
from appliance.control.messages.devices import Admit, Expel, Quarantine, QuarantineReport
from appliance.control.messages.gate import Gate as GateRequest
from appliance.control.messages.gate import GateFind, GateForget, GateList, GatePart
from appliance.control.messages.gateway import (
    Apply,
    Ban,
    BanList,
    Bans,
    BanTried,
    Confirm,
    Confirmed,
    Doctor,
    DoctorReport,
    History,
    HistoryList,
    NameBook,
    Names,
    ProcessHealth,
    Refused,
    Reply,
    Request,
    Rollback,
    RuleCounterList,
    RuleCounters,
    Show,
    Shown,
    Status,
    StatusReport,
    TryBan,
    Unban,
)
from appliance.control.messages.hits import Hits, Matched
from appliance.control.messages.impact import Impact
from appliance.control.messages.lines import Crossings, LineList, Lines
from appliance.control.messages.live import FlowList, Flows, SetList, Sets
from appliance.control.messages.seals import SealList, Seals
from appliance.control.messages.text import Check, Checked, Plan, Planned
from appliance.control.messages.why import (
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
from appliance.control.permits import people
from appliance.control.processes import PROCESSES, Instance, process
from appliance.drafts import room
from appliance.drafts.room import Room
from appliance.events.record import KERNEL_DISAGREES
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.compiling.delta import delta
from appliance.policy.problem import PolicyError
from ctypes_ext.replay import ReplayError

NAME = "policyd"
_DAY = 86400
_RENEW = 60 * _DAY  # schedules are compiled anew when fewer days of them are left
_HOUR = 3600.0
_AWAY = 2.0  # seconds until a process that is starting is asked again
_ALIVE = 2.0  # seconds within which a process must answer to count as alive
_MOST_WORDS = 1000  # of somebody else's words in a line of the log

T = TypeVar("T")
# What applyd answers; policyd only says who asked.
_FORWARDED: dict[type, type] = {
    RuleCounters: RuleCounterList,
    Flows: FlowList,
    Lines: LineList,
    Sets: SetList,
    Names: NameBook,
    History: HistoryList,
    Show: Shown,
    Seals: SealList,
    Bans: BanList,
    TryBan: BanTried,
    AllowList: Allowed,
    Quarantine: QuarantineReport,
    Ways: WayList,
}


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
        self._present = Present(instance, self._workshop, self._numbers, log, self._now_runs)
        present = self._present
        self._hits = Collector(instance, log, lambda: present.ask(RuleCounters(), RuleCounterList), present.current)
        self._changes = Changes(instance, self._workshop, self._gate, present, self._hits.look, log)
        self._bans = BanDesk(instance, present.ask, log)
        self._change = asyncio.Lock()
        self._examiner = Examiner(instance.socket("applyd"), present.policy, present.capabilities, log)
        self._people = people(instance)
        self._room = Room(
            instance, present, self._changes, self._gate, self._people, self._change, log, self._answer, self._plan
        )
        self._looking: asyncio.Task[int] | None = None
        self._healths = Healths()

    async def serve(self, stop: asyncio.Event) -> None:
        def anyone(peer: Peer) -> bool:
            return self._instance.allows(NAME, peer.uid, peer.groups)

        answered = (
            Check, Plan, Apply, Confirm, Rollback, Status, Doctor, Ban, Unban, Allow, Disallow, Admit, Expel,
            GateRequest,
            Crossings, GateList, GatePart, GateForget, GateFind, Hits, Matched, Impact, Trail, Disagreement, Trace,
            AuditNote,
            *_FORWARDED, *room.ANSWERED,
        )  # fmt: skip
        server = Server(
            self._instance.socket(NAME),
            dict.fromkeys(answered, anyone),
            self.answer,
            report=self._log,
            agency=self._people,
            large=(self._people.uid, 2 * LIMIT),  # what is wrapped is longer
        )
        await server.start()
        notify.ready()
        chores = [asyncio.create_task(work) for work in (self._chores(), self._examiner.watch(), self._room.work())]
        await self._hits.watch(stop)
        for each in chores:
            each.cancel()
        await server.stop()
        self._room.close()

    async def answer(self, request: Request, peer: Peer) -> Reply:
        if peer.acting and isinstance(request, Apply | Confirm | Rollback | ApplyProposal):
            request = msgspec.structs.replace(request, session=peer.session)
        reply = await self._answered(request, peer)
        if isinstance(reply, Refused) and isinstance(request, Apply | ApplyProposal | Rollback):
            auditing.refused(self._log.audit, request, reply, peer)
        return reply

    async def _answered(self, request: Request, peer: Peer) -> Reply:
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
                return await self._check(request)
            case Plan():
                return await self._plan(request)
            case Apply():
                async with self._change:
                    return await self._room.apply(request, peer)
            case Confirm():
                self._changes.session_named(request.session, peer)
                return await self._confirm(request, peer)
            case Rollback():
                async with self._change:
                    return await self._changes.rollback(request, peer, await self._room.bound(peer))
            case Status():
                return await self._status()
            case Doctor():
                report = await self._present.ask(request, DoctorReport)
                found = (*report.findings, *(await self._bans.complaints()))
                return msgspec.structs.replace(report, findings=found, runs=await self._examiner.now())
            case Impact():
                return await self._impact(request, peer)
            case Crossings():
                running = await self._present.current()
                if running.policy is None:
                    return Refused("nothing-runs", "no generation runs yet; `reef apply` one")
                return crossings(running.policy, running.generation, time.time())
            case Ban() | Unban() | Allow() | Disallow():
                changed = await self._bans.change(msgspec.structs.replace(request, by=peer.name))
                auditing.bans(self._log.audit, request, peer)
                return changed
            case Admit() | Expel():
                held = await self._present.ask(msgspec.structs.replace(request, by=peer.name), QuarantineReport)
                auditing.quarantine(self._log.audit, request, peer)
                return held
            case GatePart():
                return await self._bans.part(request)
            case GateList():
                listed = await self._bans.put(request, peer.name)
                if not isinstance(listed, Refused):
                    auditing.bans(self._log.audit, request, peer, prefixes=listed.entries)
                return listed
            case GateForget():
                gone = await self._bans.forget(request, peer.name)
                auditing.bans(self._log.audit, request, peer)
                return gone
            case AuditNote():
                if not auditing.noted(self._log.audit, request, peer):
                    return Refused("not-noted", f"{request.action} is not for the command line to say")
                return Noted()
            case GateRequest():
                return await self._bans.report()
            case GateFind():
                return await self._bans.find(request)
            case Hits():
                return await self._hits.answer(request)
            case History():
                return self._room.history(await self._present.ask(request, HistoryList))
            case Show():
                return self._room.shown(await self._present.ask(request, Shown))
            case Matched():
                # Who looked is as much a record as what was seen (R30, R32).
                words = f"which hosts {len(request.rules)} rules matched (reef suggest)"
                self._log(f"{peer.name} is told {words}")
                auditing.looks(self._log.audit, request, peer, words)
                return await self._matched.read(request)
            case Trail():
                return await call_async(self._instance.socket("applyd"), request, Traced, timeout=MOST_SECONDS + 30)
            case Trace() if request.probe and peer.uid != 0:
                return Refused("not-allowed", "only root may send a packet of its own through the gateway")
            case Trace():
                # What is followed names two hosts, and a probe keeps what is just like it from going on (R30, R32).
                self._log(f"{peer.name} follows a packet (reef why --live): {_followed(request)}")
                auditing.looks(self._log.audit, request, peer, _followed(request))
                return await self._present.ask(request, Tracing)
            case Disagreement():
                words = f"{_plain(request.words)} (reported by {peer.name}, reef why)"
                self._log.alert(KERNEL_DISAGREES, "The kernel decides otherwise than the policy", words)
                return Noted()
            case _ if isinstance(request, room.ANSWERED):
                return await self._room.answer(request, peer)
            case _:
                reply: Reply = await self._present.ask(request, _FORWARDED[type(request)])
                return reply

    async def _confirm(self, request: Confirm, peer: Peer) -> Reply:
        asked = Confirm(request.session, peer.name, auditing.origin_of(peer, request.session))
        try:
            return await self._present.ask(asked, Confirmed)
        except RefusedError as error:
            if not peer.acting or error.reply.code != "session":
                raise
            words = "this connection was there before the new rules: come again on a new one, and confirm from there"
            return Refused("old-connection", words)

    def _now_runs(self, running: Running) -> None:
        """What its rules mean goes into their history."""
        if running.policy is not None:
            self._hits.means(running.generation, running.policy)
            self._looking = asyncio.create_task(self._hits.look())

    # --- check and plan -----------------------------------------------------------------------------

    async def _check(self, request: Check) -> Reply:
        try:
            candidate = self._changes.read(request.text, request.file, request.files)
            judged = await self._changes.judge(candidate)
        except PolicyError as error:
            return Checked(findings(error.problems), 0, "", ok=False)
        return Checked(judged.findings, len(candidate.policy.rules), candidate.policy.site, ok=True)

    async def _plan(self, request: Plan) -> Planned:
        candidate = self._changes.read(request.text, request.file, request.files)
        judged = await self._changes.judge(candidate)
        running = await self._present.current()
        bundle = self._workshop.compile(
            candidate, await self._present.origin(running, "plan", ""), await self._present.capabilities()
        )
        return Planned(
            base=running.generation,
            changes=changes_of(running.policy, candidate.policy),
            findings=judged.findings,
            statements=await self._statements(bundle, running),
            omitted=bundle.omitted,
            traffic=await self._gate.differing(running.policy, candidate.policy),
        )

    async def _impact(self, request: Impact, peer: Peer) -> Reply:
        candidate = self._changes.read(request.text, request.file, request.files)
        running = await self._present.current()
        if running.policy is None:
            return Refused("nothing-runs", "no generation runs that flows could have been decided by")
        if request.addresses:  # who looked is as much a record as what was seen (R30, R32)
            self._log(f"{peer.name} has the flow log replayed with the addresses of hosts (reef impact --addresses)")
            auditing.looks(self._log.audit, request, peer, f"the flow log of {request.days} days, with addresses")
        try:
            return await self._flow_log.impact(request, running.generation, running.policy, candidate.policy)
        except ReplayError as error:
            return Refused("too-large", f"the flow log cannot be replayed: {error}")

    async def _statements(self, bundle: Bundle, running: Running) -> int:
        """How long the transaction would be. The kernel checks it too, unless a generation waits for its confirm."""
        if running.bundle is not None and (await self._present.ask(Status(), StatusReport)).confirm_by:
            return statements(delta(running.bundle.ruleset, bundle.ruleset))
        return (await self._changes.load(bundle, 0, dry_run=True))[0].statements

    # --- status -------------------------------------------------------------------------------------

    async def _status(self) -> StatusReport:
        report = await self._present.ask(Status(), StatusReport)
        return msgspec.structs.replace(report, processes=await self._processes(), runs=self._examiner.latest)

    async def _processes(self) -> tuple[ProcessHealth, ...]:
        found = []
        for row in PROCESSES:
            if row.name == NAME or not row.peers:
                continue
            words = await _answers(self._instance.socket(row.name))
            found.append(self._healths.now(row.name, words, time.time()))
        return tuple(found)

    # --- chores -------------------------------------------------------------------------------------

    async def _chores(self) -> None:
        """Warm the caches once, then see every hour whether compiled time runs out."""
        told = ""
        while True:
            pause = _HOUR
            try:
                async with self._change:
                    await self._renew_time()
                policy = self._present.running.policy
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
        running = await self._present.current()
        if running.policy is None:
            return
        shown = await self._present.ask(Show(running.generation), Shown)
        candidate = self._workshop.read(shown.text, f"generation {running.generation}", shown.files, shown.inherited)
        bundle = self._workshop.compile(
            candidate, await self._present.origin(running, NAME, ""), await self._present.capabilities()
        )
        if running.bundle is None:
            self._present.running = running = Running(running.generation, candidate.policy, None)
        left = shown.horizon - time.time() if shown.horizon else None
        if left is not None and left < _RENEW and bundle.horizon > shown.horizon:
            judged = Judged(candidate.findings, 0.0)  # it passed when it was applied, and it runs
            words = "the times of schedules and expiries are carried on"
            await self._changes.enforce(candidate, judged, running, NAME, words, 0)


def _plain(words: str) -> str:
    """Somebody else's words, fit for one line of a log."""
    return "".join(letter if letter.isprintable() else "?" for letter in words[:_MOST_WORDS])


def _followed(asked: Trace) -> str:
    ends = f"{_plain(asked.source)[:64]} -> {_plain(asked.destination)[:64]}, protocol {asked.protocol}"
    return f"{ends}, port {asked.destination_port}{', with a probe' if asked.probe else ''}"


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
