"""inspectd: drives the C engine over what the gateway lets it see, and writes events into its spool.

Three sources, opened while it has the privilege, read without: packets on the zones' interfaces (AF_PACKET),
what the ruleset logs (NFLOG), and connections that end (conntrack). Traffic never waits for these: when it is
away or slow the kernel drops its copies and counts them. What waits for a verdict comes by lanes (`inline.py`), and
the frames of bridges are carried here (`bridging.py`), each in a thread of its own.
"""

from __future__ import annotations

import queue
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from appliance.control import daemon, notify
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call
from appliance.control.messages.gateway import NameBook, Names, Status, StatusReport
from appliance.control.messages.impact import FlowKey, FlowKeyIs
from appliance.control.processes import process
from appliance.control.sandbox import SandboxError, enter
from appliance.events import record
from appliance.events.indicatorline import SOCKET as INDICATORS_SOCKET
from appliance.events.split import SplitSpool
from appliance.events.spool import SpoolError
from appliance.policy.logprefix import NFLOG_GROUP
from ctypes_ext import engine
from ctypes_ext.inline import Bridge
from ctypes_ext.sets import SetChange
from dataplane.banning import Banning
from dataplane.bridging import BRIDGES, Bumps
from dataplane.carried import SOCKET as BRIDGES_SOCKET
from dataplane.costs import Costs, together
from dataplane.flowlog import FlowLog
from dataplane.indicatedline import IndicatorLine
from dataplane.inline import Lines
from dataplane.keeping import Keeping
from dataplane.links import Links
from dataplane.naming import names_of, rule_of_prefix, zone_of_interface
from dataplane.recalling import Recalling
from dataplane.rulewatch import RuleChange, RuleWatch
from dataplane.stats import stats, total
from dataplane.watchline import NAME as WATCH_SOCKET
from dataplane.watchline import Line

NAME = "inspectd"
INDICATORS = "indicators"  # the folder of rules that look for them
_WAIT_MS = 100
_SECOND = 1.0
_SOON = 0.1
_STATS_EVERY = 60.0  # seconds
_AGAIN = 1.0  # seconds until a key that could not be had is asked for again
_HELD_BACK = 0.06  # seconds; the ring's blocks are due after 0.02

# Conversations are reported where they enter; their ends come from the kernel's own table, with the rule.
# Checksums are the card's or the peer's work: what this box sends or forwards may not have its own yet.
OPTIONS = engine.Options(
    by_interface=True, only_entering=True, report_flows=False, checksums=False, feeds=True, rule_costs=True
)


class Sources:
    """What needs privilege to open."""

    def __init__(self) -> None:
        self.links = Links()
        self.ring = engine.Ring()
        self.nflog = engine.Nflog(NFLOG_GROUP)
        self.conntrack = engine.Conntrack()
        self.bridges = [Bridge() for _ in range(BRIDGES)]


class Generation(threading.Thread):
    """Asks applyd what runs, once a second, apart from the loop: applyd may be busy loading for seconds.

    Until the first answer it asks more often, so that the first events have their names.
    """

    def __init__(self, socket: Path, log: daemon.Log) -> None:
        super().__init__(name="generation", daemon=True)
        self._socket = socket
        self._log = log
        self._stop = threading.Event()
        self._said = ""
        self.book: NameBook | None = None

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                running = call(self._socket, Status(), StatusReport, timeout=10).running
                if running and (self.book is None or self.book.generation != running):
                    self.book = call(self._socket, Names(), NameBook, timeout=30)
                self._said = ""
            except (DaemonAway, ProtocolError, RefusedError) as error:
                if str(error) != self._said:
                    self._said = str(error)
                    self._log(f"the running generation is not known: {error}")
            self._stop.wait(_SECOND if self.book else _SOON)

    def stop(self) -> None:
        self._stop.set()


class FlowKeys(threading.Thread):
    """Fetches the keys of the flow log from keyd, apart from the loop, which never waits for them."""

    def __init__(self, socket: Path, log: daemon.Log) -> None:
        super().__init__(name="flowkeys", daemon=True)
        self._socket = socket
        self._log = log
        self._wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._asked: dict[int, float] = {}
        self._keys: dict[int, bytes] = {}
        self._said = ""

    def key(self, day: int) -> bytes | None:
        """The key of a day when it is known; when not it is fetched."""
        found = self._keys.get(day)
        now = time.monotonic()
        if found is None and now - self._asked.get(day, -_AGAIN) >= _AGAIN:
            self._asked[day] = now
            self._wanted.put(day)
        return found

    def run(self) -> None:
        while (day := self._wanted.get()) is not None:
            try:
                self._keys[day] = call(self._socket, FlowKey(day), FlowKeyIs, timeout=10).key
                self._said = ""
            except (DaemonAway, ProtocolError, RefusedError) as error:
                if str(error) != self._said:
                    self._said = str(error)
                    self._log(f"the flow log has no key: {error}")
            for old in [other for other in self._keys if other < day - 1]:
                del self._keys[old]

    def stop(self) -> None:
        self._wanted.put(None)


class Losses:
    """What the kernel had no room for, said when it grows."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._ring = 0
        self._overruns = 0

    @property
    def packets(self) -> int:
        """Packets that the ring had no room for, as of the last `grown`."""
        return self._ring

    def grown(self) -> list[str]:
        words = []
        lost, overruns = self._sources.ring.lost(), self._sources.conntrack.overruns()
        if lost > self._ring:
            words.append(f"packets not inspected: {lost - self._ring}; the packet ring was full")
        if overruns > self._overruns:
            words.append("ends of connections were lost: the conntrack socket overflowed")
        self._ring, self._overruns = lost, overruns
        return words


class Inspectd:
    """The process after it gave up its privilege: pull, drain, append."""

    def __init__(
        self,
        sources: Sources,
        spool: SplitSpool,
        generation: Generation,
        flows: Path,
        key: Callable[[int], bytes | None],
        rules: RuleWatch,
        keeping: Keeping,
        lines: Lines,
        bumps: Bumps,
        recalling: Recalling,
        watch: Line,
        banning: Banning,
        costs: Costs,
        indicators: IndicatorLine,
    ) -> None:
        self._sources = sources
        self._spool = spool
        self._rules = rules
        self._keeping = keeping
        self._lines = lines
        self._bumps = bumps
        self._recalling = recalling
        self._flows = FlowLog(flows, key)
        self._watch = watch
        self._banning = banning
        self._costs = costs
        self._indicators = indicators
        self._feed = engine.Feed()
        self._generation = generation
        self._worker = engine.Worker(OPTIONS, claims=lines.claims)
        self._loaded: RuleChange | None = None
        self._losses = Losses(sources)
        self._book: NameBook | None = None
        self._rename()
        self._started = time.monotonic()
        self._next_second = self._started + _SECOND
        self._next_stats = self._started + _STATS_EVERY
        self._poll = select.poll()
        self._fed: dict[int, engine.Source] = {
            source.fileno(): source for source in (sources.ring, sources.nflog, sources.conntrack)
        }
        for fd in (*self._fed, sources.links.fileno(), indicators.fileno()):
            self._poll.register(fd, select.POLLIN)

    def step(self) -> None:
        """Wait a little for something to read; read it, write down what came of it."""
        ready = {fd for fd, _ in self._poll.poll(_WAIT_MS)}
        # The ring is always looked at: its socket may say nothing while the ring waits for us.
        ready.add(self._sources.ring.fileno())
        if self._sources.links.fileno() in ready and self._sources.links.read():
            self._rename()
        if self._generation.book is not self._book:
            self._rename()
        self._follow_rules()
        for fd, source in self._fed.items():
            if fd in ready:
                source.pull(self._worker)
                self._drain()
        self._look_for(self._indicators.take())
        self._watch.pump()
        self._spool.tick()
        if time.monotonic() >= self._next_second:
            self._next_second = time.monotonic() + _SECOND
            self._each_second()

    def _look_for(self, changes: list[SetChange]) -> None:
        """Other indicators in the sets of every worker."""
        for change in changes:
            self._worker.change_set(change)
            self._lines.change_set(change)
            self._bumps.change_set(change)

    def finish(self) -> None:
        """What was seen so far is written down, also what the kernel holds back until a block of the ring is due."""
        last = time.monotonic() + _HELD_BACK
        while time.monotonic() < last:
            self.step()
        self._lines.stop()
        self._bumps.stop()
        for worker in self._workers():
            while not worker.finish():
                self._drain()
        self._drain()
        self._say_counters(self._book.site if self._book else "")
        self._watch.pump()
        self._watch.close()
        self._flows.finish(time.time())
        self._spool.close()

    def _rename(self) -> None:
        """Another generation runs, or interfaces came or went."""
        self._book = self._generation.book
        self._rules.book = self._book
        if self._book is not None:
            self._banning.follow(self._book)
            self._bumps.follow(self._book.bridges)
        self._flows.days = self._book.flow_log_days if self._book else None
        links = self._sources.links.names
        self._watch.name(links)
        zones = zone_of_interface(self._book)
        self._names = names_of(self._book, links)
        self._sources.ring.select(number for number, name in links.items() if name in zones)

    def _workers(self) -> Iterator[engine.Worker]:
        yield self._worker
        yield from self._lines.workers()
        yield from self._bumps.workers()

    def _drain(self) -> None:
        for worker in self._workers():
            while True:
                lines, count = worker.drain(self._names, rule_of_prefix, self._flows.table, self._feed)
                fed = self._feed.take()
                self._watch.offer(fed)
                if not lines and not fed:
                    break
                self._banning.look_through(lines)
                self._spool.append(lines, count)

    def _follow_rules(self) -> None:
        """Take what was loaded; with the first of it lanes begin, at once: till then fail-closed traffic drops."""
        looked = self._rules.looked  # before what it found is taken
        if (change := self._rules.take()) is not None:
            self._worker.change_rules(change.rules, change.reactions)
            self._lines.change_rules(change)
            self._bumps.change_rules(change)
            self._look_for(self._indicators.everything())  # sets of rules begin empty
            self._loaded = change
            self._costs.begin(time.time())
            self._recalling.want()
        if looked and not self._lines.begun:
            self._lines.begin(self._loaded)
            self._look_for(self._indicators.everything())
            self._bumps.begin(self._loaded)

    def _each_second(self) -> None:
        self._keeping.follow([self._worker, *self._lines.keepers(), *self._bumps.keepers()], self._book)
        self._keeping.tidy(time.time())
        self._sources.nflog.pull(self._worker)  # ready or not: it may have to tell what a flood left out
        self._worker.pass_time(time.time_ns())
        self._drain()
        self._flows.tick(time.time())
        host = self._book.site if self._book else ""
        for words in (
            *self._losses.grown(),
            *self._flows.words(),
            *self._rules.words(),
            *self._keeping.words(),
            *self._lines.words(),
            *self._bumps.words(),
        ):
            self._spool.append(record.encode(record.notice(NAME, words, seconds=time.time(), host=host)), 1)
        if time.monotonic() >= self._next_stats:
            self._next_stats += _STATS_EVERY
            self._say_counters(host)
            costs = [self._worker.rule_costs(), *self._lines.rule_costs(), *self._bumps.rule_costs()]
            self._costs.tell(together(costs), time.time())

    def _say_counters(self, host: str) -> None:
        counted = stats(
            total([self._worker.counters(), *self._lines.counters(), *self._bumps.counters()]),
            OPTIONS.memory,
            seconds=time.time(),
            uptime=time.monotonic() - self._started,
            drops=self._losses.packets,
            host=host,
        )
        self._spool.append(record.encode(counted), 1)


def main(argv: Sequence[str] | None = None) -> None:
    instance = daemon.instance_argument(NAME, list(sys.argv[1:] if argv is None else argv))
    log = daemon.Log(NAME)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        sources = Sources()
        enter(process(NAME), instance)
        spool = SplitSpool(instance.events_of(NAME), source=NAME)
    except (engine.EngineError, SandboxError, SpoolError, OSError) as error:
        sys.exit(f"{NAME}: {error}")
    generation = Generation(instance.socket("applyd"), log)
    generation.start()
    keys = FlowKeys(instance.socket("keyd"), log)
    keys.start()
    rules = RuleWatch(
        instance.rules, instance.state_of(NAME) / "rules", instance.events_of(NAME) / record.RULES_STATE,
        instance.state_of(NAME) / INDICATORS,
    )  # fmt: skip
    rules.start()
    try:
        keeping = Keeping(instance.state_of(NAME))
        lines = Lines(instance.socket("verdictd"))
        indicators = IndicatorLine(
            instance.run_of("alertd") / INDICATORS_SOCKET, instance.state_of(NAME) / INDICATORS, log
        )
        indicators.start()
        bumps = Bumps(
            sources.bridges,
            lambda: sources.links.names,
            instance.run_of("verdictd") / BRIDGES_SOCKET,
            sets=indicators.everything,
        )
        recalling = Recalling(instance.socket("applyd"), log)
        recalling.start()
        watch = Line(instance.run_of("watchd") / WATCH_SOCKET, tuple(engine.protocols()))
        banning = Banning(instance.socket("applyd"), log)
        banning.start()
        inspectd = Inspectd(
            sources, spool, generation, instance.shared_of(NAME), keys.key, rules, keeping, lines, bumps, recalling,
            watch, banning, Costs(instance.events_of(NAME) / record.COSTS_STATE, log), indicators,
        )  # fmt: skip
    except OSError as error:
        sys.exit(f"{NAME}: {instance.shared_of(NAME)}: {error.strerror}; the flow log must be writable")
    notify.ready()
    while not stopped.is_set():
        inspectd.step()
    notify.stopping()
    generation.stop()
    rules.stop()
    recalling.stop()
    banning.stop()
    inspectd.finish()
    keys.stop()


if __name__ == "__main__":
    main()
