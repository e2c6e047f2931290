"""The C core as Python sees it: workers that take packets, names, and the sources that feed them.

Every call into C releases the GIL. No Python runs per packet: a source is pulled, which fills the worker's
event ring, and the ring is drained as whole lines of EVE JSON.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import msgspec

from ctypes_ext._engine import ffi, lib
from ctypes_ext.flowtable import FlowTable

if TYPE_CHECKING:
    from ctypes_ext.reactions import Reactions
    from ctypes_ext.sets import SetChange

COSTS = 256  # rules whose costs are asked for at once
PREFIX_MAX: int = lib.REEF_PREFIX_MAX
DRAIN_BYTES = 1 << 20


class EngineError(Exception):
    """A call into the core failed; says which, and what the core or the system answered."""


class Options(msgspec.Struct, frozen=True):
    """What a worker does and how large it may grow. `seed` None: random, as it must be on live traffic."""

    flows: int = 131072
    events: int = 32768
    text_bytes: int = 16 << 20
    seed: tuple[int, int] | None = None
    by_interface: bool = False
    only_entering: bool = False
    report_flows: bool = True
    report_apps: bool = True
    report_anomalies: bool = True
    feeds: bool = False  # conversations and neighbours, for a `Feed`
    checksums: bool = True  # what has a bad one is not looked at
    midstream: bool = False  # follow connections whose beginning was not seen
    act: bool = False  # as if packets could be stopped: drop and reject take effect
    depth: int = (
        1 << 20
    )  # bytes of a direction that are looked at where packets are judged, unless a profile says else
    whole: bool = False  # streams are put together as far as they go, not only to their depth
    payload: bool = False  # alerts carry the bytes of their packet (R30: only where an analyst asks for it)
    rule_text: bool = False  # alerts carry their rule as it is written
    file_digests: bool = False  # of every file, whether rules ask for them or not
    rule_costs: bool = False  # count what each rule costs: `Worker.rule_costs`
    places: str = ""  # file in MaxMind's format that tells the country of an address, for `geoip`; "": none
    memory: int = 256 << 20  # bytes that inspection may keep of conversations, besides the flow table


class Counters(msgspec.Struct, frozen=True):
    packets: int
    bytes: int
    not_ip: int
    malformed: int
    fragments: int
    flows_created: int
    flows_ended: int
    flows_evicted: int
    flows_refused: int
    clock_set_back: int
    transactions: int
    events_lost: int
    alerts: int
    shed: int  # packets that were not looked at for want of time
    feed_lost: int
    memory_used: int
    memory_peak: int
    memory_refused: int
    flows_active: int


class RuleCost(msgspec.Struct, frozen=True):
    """What a rule cost: how often its conditions were asked (`checks`) and all held (`matches`), nanoseconds of all
    checks, and of the longest."""

    gid: int
    sid: int
    rev: int
    message: str
    checks: int
    matches: int
    ns: int
    worst_ns: int


class RuleName(msgspec.Struct, frozen=True):
    """What readers of events call a rule. An `action` of "" on a log prefix: not ours, not reported."""

    rule: str
    action: str
    source: str = ""
    destination: str = ""
    log_start: bool = False
    log_end: bool = False


class Source(Protocol):
    """Something that feeds a worker when its descriptor is readable."""

    def fileno(self) -> int: ...

    def pull(self, worker: Worker) -> int: ...


def check(status: int, what: str) -> None:
    """Raises `EngineError` for anything but success."""
    if status == lib.REEF_OK:
        return
    if status == lib.REEF_SYSTEM:
        raise EngineError(f"{what}: {os.strerror(ffi.errno)}")
    raise EngineError(f"{what}: {ffi.string(lib.reef_status_text(status)).decode()}")


def counters_of(c: Any) -> Counters:
    """From the C struct."""
    return Counters(**{field: getattr(c, field) for field in Counters.__struct_fields__})


def _rule(rule: RuleName) -> tuple[Any, list[Any]]:
    """The C struct, and the texts that must outlive the call."""
    texts = [ffi.new("char[]", text.encode()) for text in (rule.rule, rule.action, rule.source, rule.destination)]
    struct = ffi.new(
        "reef_rule_name *",
        {
            "rule": texts[0],
            "action": texts[1],
            "source": texts[2],
            "destination": texts[3],
            "log_start": rule.log_start,
            "log_end": rule.log_end,
        },
    )
    return struct, texts


class Names:
    """What the numbers in events are called (`reef/names.h`)."""

    def __init__(self, site: str = "") -> None:
        out = ffi.new("reef_names **")
        check(lib.reef_names_new(site.encode(), out), "names")
        self._c = ffi.gc(out[0], lib.reef_names_free)

    def capture(self) -> None:
        """The events come from a capture: they say where in it their packets stand."""
        lib.reef_names_capture(self._c)

    def interface(self, number: int, name: str, zone: str = "") -> None:
        check(lib.reef_names_interface(self._c, number, name.encode(), zone.encode()), f"interface {name}")

    def network(self, network: IPv4Network | IPv6Network, zone: str) -> None:
        packed = network.network_address.packed
        status = lib.reef_names_network(self._c, network.version, packed, network.prefixlen, zone.encode())
        check(status, f"network {network}")

    def rule(self, number: int, rule: RuleName) -> None:
        struct, _texts = _rule(rule)
        check(lib.reef_names_rule(self._c, number, struct), f"rule {rule.rule}")

    def prefix(self, prefix: bytes, rule: RuleName) -> None:
        struct, _texts = _rule(rule)
        check(lib.reef_names_prefix(self._c, prefix, len(prefix), struct), f"log prefix {prefix!r}")


def rules_engine_digest() -> bytes:
    """What a rule image must have been made with: the digest of the engine's tables."""
    out = ffi.new("uint8_t[32]")
    lib.reef_rules_engine_digest(out)
    return bytes(out)


# As `enum reef_rule_action` counts them; there are three ways to reject.
Action = Literal["alert", "pass", "drop", "reject"]
_ACTIONS: tuple[Action, ...] = ("alert", "pass", "drop", "reject", "reject", "reject")


class LoadedRule(NamedTuple):
    """A rule in the engine. `category` is in words, as alerts say it; `tells` is false for those with noalert."""

    sid: int
    gid: int
    rev: int
    severity: int
    action: Action
    category: str
    message: str
    tells: bool


class Rules:
    """A compiled rule set in the engine (`reef/rules.h`); it never changes, and workers share it.

    `prepared` is what `prepared()` gave for the same image: then nothing has to be built. Raises `EngineError`.
    """

    def __init__(self, image: bytes, prepared: bytes | None = None) -> None:
        out = ffi.new("reef_rules **")
        ready = prepared or b""
        check(lib.reef_rules_new(image, len(image), ready or ffi.NULL, len(ready), out), "rule set")
        self._c = ffi.gc(out[0], lib.reef_rules_free)

    @property
    def c(self) -> Any:
        """For the other modules of the border."""
        return self._c

    def know_places(self, file: str) -> None:
        """Tell countries by this file in MaxMind's format, which must never change; before any worker has the rules.

        Raises `EngineError`.
        """
        check(lib.reef_rules_places(self._c, file.encode()), file)

    def __len__(self) -> int:
        return int(lib.reef_rules_count(self._c))

    def __getitem__(self, index: int) -> LoadedRule:
        """What a rule says of itself, by its place in the image. Raises IndexError."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        rule = lib.reef_rules_at(self._c, index)
        return LoadedRule(
            rule.sid,
            rule.gid,
            rule.rev,
            rule.priority,
            _ACTIONS[rule.action],
            self._text(rule.category),
            self._text(rule.message),
            not rule.flags & lib.REEF_RULE_NOALERT,
        )

    def _text(self, text: Any) -> str:
        return bytes(ffi.buffer(lib.reef_rules_text(self._c, text), text.length)).decode("utf-8", "replace")

    def prepared(self) -> bytes:
        """The databases that were built, to be kept beside the image."""
        data, size = ffi.new("uint8_t **"), ffi.new("size_t *")
        check(lib.reef_rules_prepared(self._c, data, size), "rule databases")
        try:
            return bytes(ffi.buffer(data[0], size[0]))
        finally:
            lib.reef_rules_prepared_free(data[0])


class FileStore:
    """A folder that files taken out of traffic go to, by the SHA-256 of their bytes; at most `limit` bytes in all.

    `directory` is a descriptor, which must stay open. Raises `EngineError`.
    """

    def __init__(self, directory: int, limit: int, number: int = 0) -> None:
        out = ffi.new("reef_filestore **")
        check(lib.reef_filestore_new(directory, number, limit, out), "file store")
        self._c = ffi.gc(out[0], lib.reef_filestore_free)

    def kept(self) -> int:
        """Files that are new in the store."""
        c = ffi.new("reef_filestore_counters *")
        lib.reef_filestore_count(self._c, c)
        return int(c.kept)

    def refused(self) -> int:
        """Files that there was no room for, or that the system did not take."""
        c = ffi.new("reef_filestore_counters *")
        lib.reef_filestore_count(self._c, c)
        return int(c.refused + c.failed)

    def freed(self, size: int) -> None:
        """So many bytes of it were deleted: there is room for as many."""
        lib.reef_filestore_freed(self._c, size)


class Evidence:
    """Keeps the packets of conversations in which a rule alerts, as pcap files in `store` (`reef/evidence.h`).

    `ring` bytes of frames are remembered for what came before an alert; `most` bytes of one conversation are written.
    """

    def __init__(self, store: FileStore, *, ring: int = 8 << 20, most: int = 4 << 20) -> None:
        out = ffi.new("reef_evidence **")
        check(lib.reef_evidence_new(store._c, ring, most, out), "evidence")
        self._c = ffi.gc(out[0], lib.reef_evidence_free)
        self._store = store  # it outlives the evidence


def protocols() -> list[str]:
    """What the numbers of protocols are called; 0 is none."""
    count = int(lib.reef_protocols_count())
    named = (lib.reef_protocol_by_number(number).name for number in range(1, count + 1))
    return ["", *(ffi.string(name).decode() for name in named)]


class Feed:
    """What the detections look at, as events leave the ring (`reef/feed.h`)."""

    def __init__(self, size: int = 6 << 20) -> None:
        out = ffi.new("reef_feed **")
        check(lib.reef_feed_new(size, out), "feed")
        self.c = ffi.gc(out[0], lib.reef_feed_free)
        self._size = ffi.new("size_t *")

    def take(self) -> bytes:
        """The records that were gathered (`dataplane.watchfeed` reads them); then it is empty."""
        data = lib.reef_feed_data(self.c, self._size)
        taken = bytes(ffi.buffer(data, self._size[0]))
        lib.reef_feed_empty(self.c)
        return taken

    def lost(self) -> int:
        """What found no room, ever."""
        return int(lib.reef_feed_lost(self.c))


class Claims:
    """Conversations that lanes judge, so that taps leave them out (`reef/claims.h`). For workers of any thread."""

    def __init__(self) -> None:
        out = ffi.new("reef_claims **")
        check(lib.reef_claims_new((secrets.randbits(64), secrets.randbits(64)), out), "claims")
        self.c = ffi.gc(out[0], lib.reef_claims_free)


class Worker:
    """Scratch of one thread: flow table, buffers and event ring (`reef/engine.h`)."""

    def __init__(
        self,
        options: Options,
        rules: Rules | None = None,
        store: FileStore | None = None,
        evidence: Evidence | None = None,
        claims: Claims | None = None,
    ) -> None:
        c = ffi.new("reef_options *")
        lib.reef_options_default(c)
        c.flows = options.flows
        c.events, c.text_bytes = options.events, options.text_bytes
        c.seed = options.seed if options.seed is not None else (secrets.randbits(64), secrets.randbits(64))
        c.by_interface, c.only_entering = options.by_interface, options.only_entering
        c.report_flows, c.report_apps = options.report_flows, options.report_apps
        c.report_anomalies = options.report_anomalies
        c.feeds = options.feeds
        c.checksums, c.memory = options.checksums, options.memory
        c.depth = options.depth
        c.tcp.depth = 0 if options.whole else max(c.tcp.depth, options.depth)
        c.tcp.midstream, c.tcp.inline_ = options.midstream, options.act
        c.match.act, c.match.costs = options.act, options.rule_costs
        c.match.seed = c.seed
        self._places = ffi.new("char[]", options.places.encode()) if options.places else ffi.NULL
        c.match.places = self._places  # the file is opened with the first rules
        c.rules = ffi.NULL if rules is None else rules._c
        c.alerts_with = (lib.REEF_ALERT_WITH_PAYLOAD if options.payload else 0) | (
            lib.REEF_ALERT_WITH_RULE if options.rule_text else 0
        )
        c.claims = ffi.NULL if claims is None else claims.c
        self._claims = claims  # they outlive the worker
        c.evidence = ffi.NULL if evidence is None else evidence._c
        c.store = ffi.NULL if store is None else store._c
        c.files.store_all = store is not None
        c.files.sha256 = store is not None or options.file_digests
        c.files.md5 = c.files.sha1 = c.files.magic = options.file_digests
        self._rules, self._store, self._evidence = rules, store, evidence  # they outlive the worker
        self._reactions: Reactions | None = None
        self._stores = [store]
        out = ffi.new("reef_config **")
        check(lib.reef_config_new(c, out), "engine options")
        self._config = ffi.gc(out[0], lib.reef_config_free)
        worker = ffi.new("reef_worker **")
        check(lib.reef_worker_new(self._config, worker), "engine worker")
        self._c = ffi.gc(worker[0], lib.reef_worker_free)
        self._events = lib.reef_worker_events(self._c)
        self._buffer = ffi.new("char[]", DRAIN_BYTES)
        self._used = ffi.new("size_t *")
        self._lines = ffi.new("size_t *")

    def drain(
        self,
        names: Names,
        on_prefix: Callable[[bytes], RuleName],
        flows: FlowTable | None = None,
        feed: Feed | None = None,
    ) -> tuple[bytes, int]:
        """Up to a megabyte of EVE JSON lines and how many they are; (b"", 0) when the ring is empty.

        `on_prefix` is asked once for each log prefix that `names` does not know yet. With `flows`, what passed and
        what was refused is also counted there. With `feed`, what detections look at is gathered there; take it after
        every call.
        """
        table = ffi.NULL if flows is None else flows.c
        fed = ffi.NULL if feed is None else feed.c
        while True:
            status = lib.reef_eve_drain_and_log(
                self._events, names._c, table, fed, self._buffer, DRAIN_BYTES, self._used, self._lines
            )
            if status == lib.REEF_UNKNOWN_PREFIX:
                out = ffi.new("char[]", PREFIX_MAX)
                length = lib.reef_engine_first_prefix(self._events, out, PREFIX_MAX)
                prefix = bytes(ffi.buffer(out, length))
                names.prefix(prefix, on_prefix(prefix))
                if self._used[0] == 0:
                    continue
            else:
                check(status, "drain")
            return bytes(ffi.buffer(self._buffer, self._used[0])), self._lines[0]

    def change_rules(self, rules: Rules, reactions: Reactions | None = None) -> None:
        """Other rules, and what the policy has them do, from the next packet on; the state of flows stays.

        Raises `EngineError`.
        """
        check(lib.reef_worker_rules(self._c, rules._c), "rules")
        check(lib.reef_worker_reactions(self._c, ffi.NULL if reactions is None else reactions.c), "reactions")
        self._rules, self._reactions = rules, reactions

    def change_set(self, change: SetChange) -> bool:
        """Values come into a set of the rules, or leave it. Is there such a set? Raises `EngineError`."""
        return change.took(lib.reef_worker_set_change(self._c, *change.c))

    def keep(self, store: FileStore | None, evidence: Evidence | None, *, every: bool) -> None:
        """From the next packet on files go to `store` (`every` one, or those a rule asks for), packets to `evidence`.

        Raises `EngineError`.
        """
        check(
            lib.reef_worker_keep(
                self._c,
                ffi.NULL if store is None else store._c,
                every,
                ffi.NULL if evidence is None else evidence._c,
            ),
            "what is kept",
        )
        if store is not None and store is not self._store:
            self._stores.append(store)  # files that come lie in it until they end
        self._store, self._evidence = store, evidence

    def pass_time(self, now_ns: int) -> None:
        """No packets came for a while: flows time out all the same."""
        lib.reef_worker_time(self._c, now_ns)

    def finish(self) -> bool:
        """End the flows that are left; False when the ring must be drained and this called again."""
        return bool(lib.reef_worker_finish(self._c))

    def counters(self) -> Counters:
        c = ffi.new("reef_counters *")
        lib.reef_worker_count(self._c, c)
        return counters_of(c)

    def rule_costs(self) -> list[RuleCost]:
        """What the rules that were checked have cost since they came into force, the dearest first.

        [] where it is not counted (`Options.rule_costs`).
        """
        return costs_of(lambda start, out: int(lib.reef_worker_rule_costs(self._c, start, out, COSTS)))


def costs_of(ask: Callable[[Any, Any], int]) -> list[RuleCost]:
    """What `ask` writes, until it writes no more: from where it begins, at most `COSTS` into its second argument."""
    start, out = ffi.new("uint32_t *"), ffi.new("reef_rule_cost[]", COSTS)
    costs: list[RuleCost] = []
    while written := ask(start, out):
        costs += (
            RuleCost(
                gid=c.gid,
                sid=c.sid,
                rev=c.rev,
                message=bytes(ffi.buffer(c.message, c.message_length)).decode("utf-8", "replace"),
                checks=c.checks,
                matches=c.matches,
                ns=c.ns,
                worst_ns=c.worst_ns,
            )
            for c in out[0:written]
        )
    return sorted(costs, key=lambda cost: cost.ns, reverse=True)


class CaptureFile:
    """A pcap or pcapng file."""

    def __init__(self, path: Path) -> None:
        out = ffi.new("reef_file **")
        check(lib.reef_file_open(os.fsencode(path), out), str(path))
        self._path = path
        self._c = ffi.gc(out[0], lib.reef_file_free)

    def pull(self, worker: Worker) -> bool:
        """Feed the worker until there is enough to drain; False at the end of the file.

        Raises `EngineError` where the file cannot be read on; what came before that was fed.
        """
        status = lib.reef_file_pull(self._c, worker._c)
        if status == lib.REEF_END:
            return False
        check(status, str(self._path))
        return True

    def progress(self) -> tuple[int, int]:
        """Bytes read, bytes in all."""
        done, size = ffi.new("uint64_t *"), ffi.new("uint64_t *")
        lib.reef_file_progress(self._c, done, size)
        return done[0], size[0]


class Ring:
    """AF_PACKET on one interface, or with `interface` 0 on all. Opening needs CAP_NET_RAW."""

    def __init__(self, interface: int = 0, *, block_bytes: int = 1 << 18, blocks: int = 64) -> None:
        out = ffi.new("reef_ring **")
        check(lib.reef_ring_open(interface, block_bytes, blocks, out), "AF_PACKET")
        self._c = ffi.gc(out[0], lib.reef_ring_free)
        self._packets = ffi.new("uint64_t *")

    def fileno(self) -> int:
        return int(lib.reef_ring_fd(self._c))

    def select(self, interfaces: Iterable[int]) -> None:
        numbers = list(interfaces)
        check(lib.reef_ring_select(self._c, numbers, len(numbers)), "AF_PACKET interfaces")

    def pull(self, worker: Worker) -> int:
        """What is ready goes to the worker; how many packets that were."""
        check(lib.reef_ring_pull(self._c, worker._c, self._packets), "AF_PACKET")
        return int(self._packets[0])

    def lost(self) -> int:
        """Packets the kernel had no room for."""
        check(lib.reef_ring_lost(self._c, self._packets), "AF_PACKET statistics")
        return int(self._packets[0])


class Nflog:
    """What the ruleset's log statements send to a group, at most `rate` records a second of it.

    Opening needs CAP_NET_ADMIN.
    """

    def __init__(self, group: int, *, rate: int = 4096) -> None:
        out = ffi.new("reef_nflog **")
        check(lib.reef_nflog_open(group, rate, out), f"NFLOG group {group}")
        self._c = ffi.gc(out[0], lib.reef_nflog_free)
        self._packets = ffi.new("uint64_t *")

    def fileno(self) -> int:
        return int(lib.reef_nflog_fd(self._c))

    def pull(self, worker: Worker) -> int:
        check(lib.reef_nflog_pull(self._c, worker._c, self._packets), "NFLOG")
        return int(self._packets[0])

    def lost(self) -> int:
        """Log records that the kernel made and that never came up."""
        return int(lib.reef_nflog_lost(self._c))

    def left_out(self) -> int:
        """Those that came and were left out for the rate."""
        return int(lib.reef_nflog_left_out(self._c))


class Conntrack:
    """Connections that end, from the kernel's table. Opening needs CAP_NET_ADMIN."""

    def __init__(self) -> None:
        out = ffi.new("reef_conntrack **")
        check(lib.reef_conntrack_open(out), "conntrack events")
        self._c = ffi.gc(out[0], lib.reef_conntrack_free)
        self._flows = ffi.new("uint64_t *")

    def fileno(self) -> int:
        return int(lib.reef_conntrack_fd(self._c))

    def pull(self, worker: Worker) -> int:
        check(lib.reef_conntrack_pull(self._c, worker._c, self._flows), "conntrack events")
        return int(self._flows[0])

    def overruns(self) -> int:
        return int(lib.reef_conntrack_overruns(self._c))
