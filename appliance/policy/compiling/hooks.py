"""The frame of the table: base chains, the shared verdict chains, anti-spoofing.

Everything here is the same for every policy but for zones, capabilities and the generation; the rules
themselves are reached through the maps of zone pairs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from appliance.policy.compiling import emit
from appliance.policy.compiling.bundle import (
    FLAG_QUEUE_CLOSED,
    FLAG_QUEUE_OPEN,
    FLAG_REVISIT,
    FLAGS_QUEUE,
    MARK_FLAGS,
    MARK_GENERATION_SHIFT,
    MARK_PAIR,
    MARK_RULE,
    QUEUES_CLOSED,
    QUEUES_OPEN,
    VERDICT_DONE,
    VERDICT_GO_ON,
    VERDICT_REJECT,
    generation_mark,
)
from appliance.policy.compiling.decided import BEGUN, Decided, Pair
from appliance.policy.compiling.onlink import onlink
from appliance.policy.compiling.ruleset import Chain, Set
from appliance.policy.logprefix import DEFAULT_RULE, NFLOG_GROUP, build
from appliance.policy.model import GATEWAY, Policy, Zone

# How packets get to inspection: by nftables itself, or by the old NFQUEUE target in a table of its own.
QueueWay = Literal["", "queue", "xt-queue"]
# Behind the filter, and behind where the old target queues: packets come here judged, or never were to be.
JUDGED_PRIORITY = 60
FLOWTABLE = "fast"
INLINE_NETWORKS = 4  # a comparison in the chain is cheaper than a set, up to about so many
INVALID = "invalid"
PINHOLE = "pinhole"
SPOOFED = "antispoofing"
NEIGHBOURS = "{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }"
LISTENERS = "{ mld-listener-query, mld-listener-report, mld-listener-reduction, mld2-listener-report }"


class Frame:
    """The parts of the table that no single rule owns."""

    def __init__(
        self,
        policy: Policy,
        generation: int,
        ruled: Collection[Pair],
        *,
        queue: QueueWay,
        inspected: Collection[str],
        flowtable: bool,
    ) -> None:
        """`queue` is how packets are queued, `inspected` the hooks in which some are."""
        self.policy = policy
        self.stamp = generation_mark(generation)
        self.queue: QueueWay = queue if inspected else ""
        self.inspected = inspected if queue else ()
        self.flowtable = f"{FLOWTABLE}_{self.stamp >> MARK_GENERATION_SHIFT}" if flowtable else ""
        self.decided = Decided(policy, ruled, self.stamp, self.flowtable)
        self.counters = [f"r_{DEFAULT_RULE}", f"r_{INVALID}", f"r_{PINHOLE}"]
        self.sets: dict[str, Set] = {}
        self.chains: dict[str, Chain] = {}

    def build(self) -> Frame:
        self._antispoofing()
        self._pinholes()
        for hook in ("input", "forward", "output"):
            base, rest = getattr(self, f"_{hook}")()
            self.chains[hook] = Chain(
                (self.decided.at_once(hook), *base, f"goto decide_{hook}"),
                base=f"type filter hook {hook} priority filter; policy drop;",
            )
            self.chains[f"decide_{hook}"] = Chain((*rest, "goto default_deny"))
        self.chains |= self.decided.chains()
        self.sets |= self.decided.sets()
        self._verdicts()
        return self

    # --- the hooks --------------------------------------------------------------------------------------

    def _begin(self, hook: str) -> list[str]:
        """Most of what is not decided yet is quite new: it goes straight to the decision."""
        return [f"ct state new ct mark 0 goto decide_{hook}", f"ct state invalid goto {INVALID}"]

    def _input(self) -> tuple[list[str], list[str]]:
        return [
            'iifname "lo" accept',
            *self._begin("input"),
            f"ip6 hoplimit 255 icmpv6 type {NEIGHBOURS} accept",
            f"ip6 hoplimit 1 icmpv6 type {LISTENERS} accept",
            *self.decided.again("input"),
            *self._strays(),
        ], [
            "iifname vmap @antispoofing",
            "ct direction original iifname vmap @input_pairs",
            "ct direction reply iifname vmap @output_pairs",
        ]

    def _forward(self) -> tuple[list[str], list[str]]:
        pinholes = [
            f"meta l4proto udp ct original {emit.IP[version]} saddr . ct reply {emit.IP[version]} saddr "
            f". ct reply proto-src @{PINHOLE}_v{version} goto r_{PINHOLE}"
            for version in emit.VERSIONS
        ]
        return [
            *self._begin("forward"),
            *self.decided.again("forward"),
            *self._strays(),
        ], [
            # The chain of the pair asks for the source itself: its zone is known there without one more look-up.
            "ct direction original iifname . oifname vmap @forward_pairs",
            "iifname vmap @antispoofing",
            "ct direction reply oifname . iifname vmap @forward_pairs",
            # Media of calls: what no rule decided.
            *pinholes,
        ]

    def asked(self, pair: Pair) -> list[str]:
        """What the chain of a pair of zones asks of packets that begin a connection, before anything is decided."""
        source = pair[0]
        if GATEWAY in pair or f"source_{source}" not in self.chains:
            return []
        return [f"ct direction original jump source_{source}"]

    def _output(self) -> tuple[list[str], list[str]]:
        return [
            'oifname "lo" accept',
            *self._begin("output"),
            # The gateway's own errors and resets, which answer packets of connections that may not exist.
            "ct state related accept",
            f"ip6 hoplimit 255 icmpv6 type {NEIGHBOURS} accept",
            f"ip6 hoplimit 1 icmpv6 type {LISTENERS} accept",
            *self.decided.again("output"),
        ], [
            "ct direction original oifname vmap @output_pairs",
            "ct direction reply oifname vmap @input_pairs",
        ]

    def _strays(self) -> list[str]:
        """ICMP errors of no decided connection, or between other zones than its own: they never decide."""
        return ["ct state related iifname vmap @antispoofing", f"ct state related goto {INVALID}"]

    # --- shared verdicts --------------------------------------------------------------------------------

    def _verdicts(self) -> None:
        mark = f"ct mark set ct mark and {MARK_FLAGS | MARK_PAIR | MARK_RULE:#010x} or {self.stamp:#010x}"
        # The only chain that names the generation for writing: changing it makes every connection be decided again.
        self.chains["accepted"] = Chain((mark, *self._finish()))
        self.chains["accepted_again"] = Chain(tuple(self._finish()))
        self.chains["flagged"] = Chain(tuple(self._flagged()))
        if self.queue:
            self.chains["inspected"] = Chain(tuple(self._queued()))
        for hook in self.inspected:
            self.chains[f"judged_{hook}"] = Chain(
                tuple(_judged()), base=f"type filter hook {hook} priority {JUDGED_PRIORITY}; policy drop;"
            )
        self.chains["rejected"] = Chain(
            ("meta l4proto tcp reject with tcp reset", "reject with icmpx admin-prohibited")
        )
        log = [f'log prefix "{build(DEFAULT_RULE, "deny")}" group {NFLOG_GROUP}']
        if not self.policy.settings.log_default:
            log = []
        self.chains["default_deny"] = Chain((f"counter name r_{DEFAULT_RULE}", *log, "drop"))
        self.chains[INVALID] = Chain((f"counter name r_{INVALID}", "drop"))

    def _flagged(self) -> list[str]:
        """Packets of decided connections with flags. What returns is decided anew, but for errors."""
        queued = [f"ct mark and {FLAG_REVISIT:#010x} == 0 goto accepted_again"] if self.queue else []
        return [
            *queued,
            f"ct mark and {MARK_RULE:#010x} vmap @revisit",
            "ct state related meta l4proto { icmp, ipv6-icmp } accept",
        ]

    def _finish(self) -> list[str]:
        return [*([f"ct mark and {FLAGS_QUEUE:#010x} != 0 goto inspected"] if self.queue else []), "accept"]

    def _queued(self) -> list[str]:
        """To the queues. Who judges knows the rule by the packet's mark, which is the connection's until then."""
        mark = "meta mark set ct mark"
        if self.queue == "xt-queue":
            return [f"{mark} accept"]
        closed, opened = ("-".join(map(str, queues)) for queues in (QUEUES_CLOSED, QUEUES_OPEN))
        return [
            mark,
            f"ct mark and {FLAG_QUEUE_CLOSED:#010x} != 0 queue to {closed}",
            f"queue flags bypass to {opened}",
        ]

    def _pinholes(self) -> None:
        """The seam for media of calls: addresses and a UDP port, each with its own end."""
        for version in emit.VERSIONS:
            kind = emit.ADDRESS_TYPE[version]
            self.sets[f"{PINHOLE}_v{version}"] = Set(
                key=f"type {kind} . {kind} . inet_service", flags=("timeout",), live=True
            )
        self.chains[f"r_{PINHOLE}"] = Chain((f"counter name r_{PINHOLE}", BEGUN, "goto accepted"))

    # --- anti-spoofing: part of the decision, so a connection is checked when it begins and with each generation

    def _antispoofing(self) -> None:
        elements = {}
        for zone in self.policy.zones.values():
            if not zone.antispoofing or not zone.interfaces:
                continue
            self.counters.append(f"spoof_{zone.name}")
            self.chains[f"source_{zone.name}"] = Chain(tuple(self._sources(zone)))
            said = build(SPOOFED, "deny", (zone.name,), ())
            self.chains[f"spoof_{zone.name}"] = Chain(
                (f"counter name spoof_{zone.name}", f'log prefix "{said}" group {NFLOG_GROUP}', "drop")
            )
            elements.update({f'"{name}"': f"jump source_{zone.name}" for name in zone.interfaces})
        self.sets["antispoofing"] = Set(key="type ifname", data="verdict", elements=elements)

    def _behind(self, zone: Zone) -> list[str]:
        """Hosts of an interface's own networks, to which only one route can lead: it need not be looked up."""
        own = onlink(self.policy, zone)
        if len(own) > 2 * INLINE_NETWORKS:
            return []
        rules = []
        for interface, part in own:
            where = f' iifname "{interface}"' if len(zone.interfaces) > 1 else ""
            source = emit.addresses((part.first, part.last), part.version)
            rules.append(f"{emit.IP[part.version]} saddr {source}{where} return")
        return rules

    def _sources(self, zone: Zone) -> list[str]:
        """A source that the zone may have returns; everything else ends in the zone's `spoof` chain."""
        back = "fib saddr . iif oif exists"
        rules = []
        if zone.networks:
            rules += self._behind(zone)
            for version in emit.VERSIONS:
                parts = [
                    emit.addresses((part.first, part.last), version)
                    for part in zone.networks
                    if part.version == version
                ]
                if len(parts) > INLINE_NETWORKS:
                    parts = [emit.braces(parts)]
                rules += [f"{emit.IP[version]} saddr {part} {back} return" for part in parts]
        else:
            rules.append(f"{back} return")
        return [
            *rules,
            # What has no address yet asks for one; link-local never crosses the gateway.
            "ip saddr 0.0.0.0 udp dport 67 return",
            "ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } return",
            "ip6 saddr fe80::/10 return",
            f"goto spoof_{zone.name}",
        ]


def _judged() -> list[str]:
    """Behind the queue. What still has the mark of a connection was not judged: only fail-open ones go on."""
    return [
        f"meta mark {VERDICT_GO_ON:#010x} accept",
        f"meta mark {VERDICT_DONE:#010x} ct mark set ct mark and {~FLAGS_QUEUE & 0xFFFFFFFF:#010x} "
        f"meta mark set {VERDICT_GO_ON:#010x} accept",
        f"meta mark {VERDICT_REJECT:#010x} goto rejected",
        f"meta mark and {FLAG_QUEUE_CLOSED:#010x} != 0 drop",
        f"meta mark and {FLAG_QUEUE_OPEN:#010x} != 0 meta mark set {VERDICT_GO_ON:#010x}",
        "accept",
    ]
