"""applyd: the only process that may change the kernel's network. It takes sealed bundles, not policies.

read the instance → open the store and netlink → give up all but CAP_NET_ADMIN → recover → answer, and watch
the deadline of an unconfirmed generation, the ruleset (drift), the links and the ends of rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Coroutine

from appliance.control import auditing, daemon, notify, sandbox
from appliance.control.applying.bans import BanRefused, Bans
from appliance.control.applying.expiry import Expiry
from appliance.control.applying.gateway import Gateway, LoadRefused, Running
from appliance.control.applying.generations import Store
from appliance.control.applying.indicated import Indicated
from appliance.control.applying.lines import LineDesk
from appliance.control.applying.livesets import LiveSets, SetRefused
from appliance.control.applying.quarantine import QuarantineRefused, Quarantines
from appliance.control.applying.readings import Readings
from appliance.control.applying.seals import seals
from appliance.control.applying.shownflows import FlowDesk
from appliance.control.applying.standin import StandInTables
from appliance.control.applying.ways import ways
from appliance.control.ipc import BUNDLE_LIMIT, DaemonAway, Peer, ProtocolError, RefusedError, Server, call
from appliance.control.kernel import capabilities
from appliance.control.kernel.batch import KernelRefused
from appliance.control.kernel.bridges import Bridges
from appliance.control.kernel.conntrack import Conntrack
from appliance.control.kernel.drift import Drift, fingerprint
from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.network import Network
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nft import Rules
from appliance.control.kernel.recall import Recaller
from appliance.control.kernel.rtnetlink import Routing
from appliance.control.kernel.rulecounters import origin, rule_counters
from appliance.control.kernel.trace import Tracer, TraceRefused, clear
from appliance.control.kernel.xtqueue import XtQueue
from appliance.control.messages.bans import Allow, AllowList, BanFound, Disallow
from appliance.control.messages.devices import Admit, Expel, Quarantine
from appliance.control.messages.gate import StandIn, StandInCounts
from appliance.control.messages.gateway import (
    Ban,
    Confirm,
    Confirmed,
    Doctor,
    DoctorReport,
    History,
    HistoryList,
    Load,
    NameBook,
    Names,
    Refused,
    Reply,
    Request,
    Rollback,
    RuleCounter,
    RuleCounterList,
    RuleCounters,
    Show,
    Shown,
    Status,
    StatusReport,
    TryBan,
    Unban,
)
from appliance.control.messages.gateway import Bans as BansRequest
from appliance.control.messages.indicators import Enforce
from appliance.control.messages.keys import PublicKey, PublicKeyIs
from appliance.control.messages.lines import Lines
from appliance.control.messages.live import Flows, Recall, SetList, Sets, SetUpdate
from appliance.control.messages.readback import ReadBack
from appliance.control.messages.seals import Seals
from appliance.control.messages.why import Trace, Trail, Ways
from appliance.control.processes import Instance, process
from appliance.durable import replace
from appliance.policy.compiling.bundle import Bundle
from ctypes_ext.nftables import Nftables, NftablesError

NAME = "applyd"
Permit = Callable[[Peer], bool]
_TICK = 1.0  # seconds between looks at the clock; the deadline itself has a timer of its own
_LOOK = 60.0  # seconds between looks at the whole ruleset; notifications come at once
_QUIET = 5.0  # seconds after the last change until the store is tidied
_LATE = "not confirmed in time"
_RETRY = 2.0  # seconds until a restore that the kernel refused is tried again


class Applyd:
    """The process: what it holds, and one method per request."""

    def __init__(self, instance: Instance, log: daemon.Log) -> None:
        self._instance = instance
        self._log = log
        self._netfilter = Netfilter()
        self._conntrack = Conntrack(self._netfilter)
        self._drift = Drift(log)
        self._routing = Routing()
        self._network = Network(self._routing)
        self._lines = LineDesk(self._routing, self._bundle, log)
        state, run = instance.state_of(NAME), instance.run_of(NAME)
        self._bridges = Bridges(self._netfilter, self._routing, log)
        self._quarantines = Quarantines(self._netfilter, state / "devices.json", self._leave_flowtable, log)
        self._gateway = Gateway(
            Store(state),
            Rules(self._netfilter, self._drift, run / "refused.nft"),
            self._network,
            self._conntrack,
            self._public_key(),
            run / "running.json",
            XtQueue(self._netfilter, log),
            self._bridges,
            self._quarantines,
            log,
        )
        self._sets = LiveSets(self._netfilter, self._network.own_addresses)
        self._bans = Bans(self._netfilter, state / "bans.json", self._network.own_addresses, log)
        self._indicated = Indicated(self._netfilter, self._bans.needed, self._bans.spared)
        self._standin = StandInTables(self._netfilter, log)
        self._kept_fingerprint = state / "fingerprint"
        self._expiry = Expiry(self._conntrack, log)
        self._tracer = Tracer(self._conntrack, self._lines.names)
        self._capabilities = capabilities.probe(Nftables(), self._netfilter)
        self._deadline: asyncio.TimerHandle | None = None
        self._next_look = time.monotonic() + _LOOK
        self._loads = 0
        self._readings = Readings(self._bundle, log)
        self._recaller = Recaller(self._bundle, self._leave_flowtable, log)
        self._live_sets: tuple[Running | None, frozenset[str]] = None, frozenset()
        self._drifted = b""  # the fingerprint of the drift that was read back last
        self._tidying: asyncio.TimerHandle | None = None
        self._looking = self._look_again = False
        self._tidy_lock = asyncio.Lock()
        self._flows = FlowDesk()
        self._tasks: set[asyncio.Task[None]] = set()

    def _bundle(self) -> Bundle | None:
        return self._gateway.running.bundle if self._gateway.running else None

    def _leave_flowtable(self) -> None:
        """What the flowtable forwards comes past no rule, and so past no flag."""
        try:
            if self._gateway.empty_flowtables():
                self._loaded()
        except KernelRefused as error:
            self._log(f"the flowtable cannot be emptied: {error}")

    def _public_key(self) -> bytes:
        """keyd's public key, as it was at the first start: another one later is somebody else's."""
        pinned = self._instance.state_of(NAME) / "keyd.public"
        if pinned.exists():
            return pinned.read_bytes()
        for attempt in range(50):
            try:
                key = call(self._instance.socket("keyd"), PublicKey(), PublicKeyIs, timeout=5).key
            except DaemonAway as error:
                if attempt == 49:
                    sys.exit(f"{NAME}: {error}")
                time.sleep(0.1)
            except (RefusedError, ProtocolError) as error:
                sys.exit(f"{NAME}: keyd does not give its public key: {error}")
            else:
                break
        replace(pinned, key)
        return key

    # --- the loop -----------------------------------------------------------------------------------

    async def serve(self, stop: asyncio.Event) -> None:
        self._gateway.recover()
        if self._gateway.running is not None:
            begun = self._gateway.running.bundle.generation
            self._log.audit(NAME, "policy.start", f"generation {begun}", generation=begun)
        self._bans.restore(self._bundle())
        clear()
        self._running_changed()
        server = Server(
            self._instance.socket(NAME),
            self._permits(),
            self.answer,
            # Only bundles are large, and only policyd brings them.
            large=(self._instance.identity("policyd").uid, BUNDLE_LIMIT + BUNDLE_LIMIT // 2),
            report=self._log,
        )
        await server.start()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._drift.fileno(), self._ruleset_changed)
        notify.ready()
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _TICK)
            await self._tick()
        loop.remove_reader(self._drift.fileno())
        await server.stop()

    def _permits(self) -> dict[type, Permit]:
        uid = {
            name: self._instance.identity(name).uid
            for name in ("policyd", "namesd", "inspectd", "watchd", "gated", "alertd", "recordd")
        }

        def only(*allowed: int) -> Permit:
            return lambda peer: peer.uid in allowed

        policyd = only(uid["policyd"])
        # Root at a local console can take back and confirm while policyd is dead, and read.
        person = only(uid["policyd"], 0)
        reader = only(*uid.values(), 0)
        return {
            Load: policyd,
            ReadBack: policyd,
            Confirm: person,
            Rollback: person,
            SetUpdate: only(uid["policyd"], uid["namesd"]),
            # Who is accepted an operator says; not who watches traffic.
            **dict.fromkeys((Ban, Unban, Allow, Disallow, Admit, Expel), policyd),
            # Who sees traffic may ask; what for, whom and how long is the policy's to say.
            BanFound: only(uid["inspectd"], uid["watchd"]),
            **dict.fromkeys((Status, Names, RuleCounters, Flows, Sets, BansRequest, AllowList, Quarantine), reader),
            Lines: person,
            # What the gateway cannot do without, and its own networks, it does not believe alertd either.
            Enforce: only(uid["alertd"]),
            # What nft shall do where the gate cannot; which lines are protected and how is the bundle's to say.
            **dict.fromkeys((StandIn, StandInCounts), only(uid["gated"])),
            # Who inspects looks for something else now. It can only have more inspected that way.
            Recall: only(uid["inspectd"], uid["policyd"], 0),
            **dict.fromkeys((Ways, Trace, Trail, TryBan), person),
            **dict.fromkeys((History, Show, Doctor, Seals), person),
        }

    async def _tick(self) -> None:
        self._expiry.tick(time.time())
        try:
            if self._gateway.settle_links():
                self._loaded()
        except KernelRefused as error:
            self._log(f"the ruleset does not take its interfaces: {error}")
        self._lines.tick()
        self._bans.tick()
        self._indicated.tick()
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK
            await self._look()

    def _running_changed(self) -> None:
        """The kernel holds another generation: watch its rules and its deadline, and read it back once."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        loop = asyncio.get_running_loop()
        pending = self._gateway.pending
        if pending is not None:
            self._deadline = loop.call_later(max(pending.deadline - time.monotonic(), 0), self._time_out)
        running = self._gateway.running
        self._bans.follow(self._bundle())
        self._expiry.watch(running.bundle.rules if running else (), time.time())
        self._loaded()

    def _loaded(self) -> None:
        """The ruleset is as we made it: read it back after the answer is out; tidy the store when all is quiet."""
        loop = asyncio.get_running_loop()
        self._loads += 1
        self._readings.loaded()
        self._spawn(self._read_back(self._loads))
        if self._tidying is not None:
            self._tidying.cancel()
        self._tidying = loop.call_later(_QUIET, lambda: self._spawn(self._tidy(self._loads)))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _live(self) -> frozenset[str]:
        """The sets that are filled while the generation runs."""
        running = self._gateway.running
        if self._live_sets[0] is not running:
            sets = running.bundle.ruleset.sets if running else {}
            self._live_sets = running, frozenset(name for name, declared in sets.items() if declared.live)
        return self._live_sets[1]

    async def _fingerprint(self) -> bytes | None:
        """What the kernel holds now; None when it changes faster than it can be read."""
        try:
            return await asyncio.to_thread(fingerprint, self._live())
        except NetlinkError as error:
            self._log(f"the ruleset cannot be read back: {error}")
            return None

    async def _read_back(self, load: int) -> None:
        found = await self._fingerprint()
        while found is None and load == self._loads:
            await asyncio.sleep(_RETRY)
            found = await self._fingerprint()
        if found is not None and load == self._loads:
            kept = self._kept() if load == 1 else None
            self._drift.refer(found if kept is None else kept)
            if kept is None:
                self._keep(found)
            if self._drift.look(found):
                await self._repair(found)

    def _kept(self) -> bytes | None:
        """The fingerprint of the running generation from before this process started, where the kernel still has it
        from then: what somebody changed while nobody watched is drift too. None where it was loaded anew."""
        running = self._gateway.running
        if running is None or not self._gateway.found_loaded:
            return None
        with contextlib.suppress(OSError, ValueError):
            chain, _, digest = self._kept_fingerprint.read_text().partition(" ")
            if chain == running.marker.chain:
                return bytes.fromhex(digest)
        return None

    def _keep(self, found: bytes) -> None:
        running = self._gateway.running
        if running is None:
            return
        try:
            replace(self._kept_fingerprint, f"{running.marker.chain} {found.hex()}".encode(), durable=False)
        except OSError as error:  # a full disk: a change while this process is dead would not be noticed
            self._log(f"the ruleset's fingerprint is not kept: {error}")

    async def _tidy(self, load: int) -> None:
        async with self._tidy_lock:
            for generation in self._gateway.old():
                if load != self._loads:
                    return  # somebody works; later
                await asyncio.to_thread(self._gateway.retire, generation)

    def _time_out(self) -> None:
        if not self._gateway.overdue():
            return
        try:
            self._gateway.restore(_LATE)
        except KernelRefused as error:
            self._log(f"{error}; tried again in {_RETRY:g} s")
            self._deadline = asyncio.get_running_loop().call_later(_RETRY, self._time_out)
            return
        self._running_changed()
        back = self._gateway.running.bundle.generation if self._gateway.running else 0
        self._log.audit(NAME, "policy.restore", f"generation {back}", why=_LATE, generation=back)

    def _ruleset_changed(self) -> None:
        changed = self._drift.announced(self._live())
        if self._drift.queues_touched:
            self._drift.queues_touched = False
            self._gateway.hold_queues()
        if not changed:
            return
        if not self._drift.known:
            self._drift.disturb()  # the look after reading back sees to it
            return
        self._look_again = True
        if not self._looking:
            self._looking = True
            self._spawn(self._looks())

    async def _looks(self) -> None:
        """One look for however many changes were announced meanwhile."""
        try:
            while self._look_again:
                self._look_again = False
                await self._look()
        finally:
            self._looking = False

    async def _look(self) -> None:
        load = self._loads
        if self._gateway.running is None or not self._drift.known:
            return
        found = await self._fingerprint()
        if found is not None and load == self._loads and self._drift.look(found):
            await self._repair(found)

    async def _repair(self, found: bytes) -> None:
        load = self._loads
        if found != self._drifted:
            # What it opened is known only from what it made of the table.
            self._drifted = found
            await self._readings.drifted()
            if load != self._loads:
                return
        running = self._gateway.running
        if running is None or running.bundle.drift != "repair":
            return
        try:
            self._gateway.reload()
        except KernelRefused as error:
            self._log(f"drift cannot be repaired: {error}")
            return
        self._log(f"drift repaired: generation {running.bundle.generation} is in the kernel again")
        self._loaded()

    # --- requests -----------------------------------------------------------------------------------

    async def answer(self, request: Request, peer: Peer) -> Reply:
        try:
            if isinstance(request, Trail):
                return await self._tracer.trail(request.number)
            if isinstance(request, Recall):
                return await self._recaller.answer()
            if isinstance(request, ReadBack):
                return await self._readings.answer(request)
            if isinstance(request, Seals):
                return await seals(request, self._gateway)
            if isinstance(request, Flows):
                return await self._flows.answer(request, self._bundle())
            if isinstance(request, StandIn):
                return await self._standin.put(request, self._bundle())
            return self._answer(request, peer)
        except (LoadRefused, SetRefused, BanRefused, QuarantineRefused) as error:
            return error.reply
        except TraceRefused as error:
            return Refused(error.code, str(error))
        except (NetlinkError, KernelRefused) as error:
            return Refused("kernel", str(error))

    def _answer(self, request: Request, peer: Peer) -> Reply:
        match request:
            case Load():
                return self._load(request, peer)
            case Confirm():
                generation = self._gateway.confirm(request.session, request.by or peer.name)
                self._running_changed()
                self._audit("policy.confirm", generation, request, peer)
                return Confirmed(generation)
            case Rollback():
                if request.generation is not None:
                    return Refused("rollback", "applyd takes back the unconfirmed generation only; ask policyd")
                generation = self._gateway.restore(request.reason or "taken back", request.by or peer.name)
                self._running_changed()
                self._audit("policy.restore", generation, request, peer)
                return Confirmed(generation)
            case Status():
                return self._status()
            case History():
                return HistoryList(self._gateway.history(request.limit))
            case Show():
                return self._show(request)
            case Doctor():
                return self._doctor()
            case Admit() | Expel() | Quarantine():
                return self._quarantines.answer(request, peer.name)
            case Ban() | Unban() | BansRequest() | TryBan() | BanFound() | Allow() | Disallow() | AllowList():
                return self._bans.answer(request, peer.name)
            case Enforce():
                return self._indicated.answer(request)
            case StandInCounts():
                return self._standin.counted()
            case Ways():
                return ways(request, self._routing, self._lines.names())
            case _:
                return self._of_running(request, peer)

    def _audit(self, action: str, generation: int, request: Confirm | Rollback, peer: Peer) -> None:
        self._log.audit(
            request.by or peer.name,
            action,
            f"generation {generation}",
            why=request.reason if isinstance(request, Rollback) else "",
            generation=generation,
            origin=request.origin or auditing.origin_of(peer, request.session),
        )

    def _load(self, request: Load, peer: Peer) -> Reply:
        loaded = self._gateway.load(
            request.bundle, request.signature, request.confirm_within, dry_run=request.dry_run
        )
        if not request.dry_run:
            self._running_changed()
        return loaded

    def _of_running(self, request: Request, peer: Peer) -> Reply:
        """What is answered from the running generation."""
        if self._gateway.running is None:
            return Refused("nothing-runs", "no generation runs yet; `reef apply` one")
        bundle = self._gateway.running.bundle
        match request:
            case Trace():
                return self._tracer.begin(request, bundle.rules)
            case SetUpdate():
                # The resolver fills what is resolved; who is logged in where is not its business.
                resolver = peer.uid == self._instance.identity("namesd").uid
                return self._sets.update(bundle, request, ("dns",) if resolver else ("dns", "person", "group"))
            case Sets():
                return SetList(self._sets.show(bundle, request.name, request.limit))
            case Names():
                return NameBook(
                    generation=bundle.generation,
                    site=bundle.site,
                    zones=bundle.zones,
                    rules=bundle.rules,
                    objects=bundle.objects,
                    services=bundle.services,
                    networks=bundle.networks,
                    addresses=bundle.addresses,
                    flow_log_days=bundle.flow_log_days,
                    keep_files=bundle.keep_files,
                    keep_evidence=bundle.keep_evidence,
                    keep_days=bundle.keep_days,
                    profiles=bundle.profiles,
                    suppressions=bundle.suppressions,
                    feeds=bundle.feeds,
                    bans=bundle.bans,
                    alerts=bundle.alerts,
                    consumers=bundle.consumers,
                    indicators=bundle.indicators,
                    notices=bundle.notices,
                    officers=bundle.officers,
                    audit=bundle.audit,
                    console=bundle.console,
                    detections=bundle.detections,
                    bridges=bundle.bridges,
                )
            case RuleCounters():
                found = rule_counters(self._netfilter, bundle)
                counted = tuple(RuleCounter(name, *pair) for name, pair in found.items())
                return RuleCounterList(bundle.generation, counted, origin())
            case Lines():
                return self._lines.lines(request, bundle)
            case _:
                return Refused("bad-request", f"applyd does not answer {type(request).__name__}")

    def _status(self) -> StatusReport:
        running, pending = self._gateway.running, self._gateway.pending
        return StatusReport(
            site=running.bundle.site if running else "",
            running=running.bundle.generation if running else 0,
            confirmed=self._gateway.confirmed,
            confirm_by=pending.until if pending else 0.0,
            drift=self._drift.words,
            omitted=running.bundle.omitted if running else (),
            bridges=self._bridges.states(),
        )

    def _show(self, request: Show) -> Reply:
        running = self._gateway.running
        number = request.generation if request.generation is not None else running.bundle.generation if running else 0
        if not number:
            return Refused("nothing-runs", "no generation runs yet; `reef apply` one")
        summary, bundle = self._gateway.read(number)
        return Shown(summary, bundle.text, bundle.inherited, bundle.files, bundle.horizon)

    def _doctor(self) -> DoctorReport:
        running = self._gateway.running
        requires = running.bundle.requires if running else ()
        findings = [*self._gateway.missing, *(running.bundle.omitted if running else ())]
        if self._drift.words:
            findings.append(self._drift.words)
        findings += self._lines.complaints()
        findings += [*self._bridges.words(), *self._quarantines.words]
        return DoctorReport(
            capabilities.kernel(), capabilities.with_need(self._capabilities, requires), tuple(findings)
        )


def main(argv: list[str]) -> None:
    instance = daemon.instance_argument(NAME, argv)
    log = daemon.Log(NAME)
    sandbox.enter(process(NAME), instance)
    log.open(instance.events_of(NAME))
    try:
        applyd = Applyd(instance, log)
    except (OSError, NftablesError) as error:
        sys.exit(f"{NAME}: {error}")
    daemon.run(applyd.serve, log)


if __name__ == "__main__":
    main(sys.argv[1:])
