"""The frame of the table: base chains, the shared verdict chains, anti-spoofing.

Everything here is the same for every policy but for zones, capabilities and the generation; the rules
themselves are reached through the maps of zone pairs.
"""

from __future__ import annotations

from appliance.policy import emit
from appliance.policy.bundle import (
    FLAG_QUEUE_CLOSED,
    FLAG_QUEUE_OPEN,
    FLAG_REVISIT,
    MARK_FLAGS,
    MARK_GENERATION,
    MARK_RULE,
    generation_mark,
)
from appliance.policy.logprefix import DEFAULT_RULE, NFLOG_GROUP, build
from appliance.policy.model import Policy, Zone
from appliance.policy.ruleset import Chain, Set

QUEUES = "0-3"
FLOWTABLE = "fast"
INVALID = "invalid"
PINHOLE = "pinhole"
SPOOFED = "antispoofing"
NEIGHBOURS = "{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }"
LISTENERS = "{ mld-listener-query, mld-listener-report, mld-listener-reduction, mld2-listener-report }"


class Frame:
    """The parts of the table that no single rule owns."""

    def __init__(self, policy: Policy, generation: int, *, queue: bool, flowtable: bool) -> None:
        self.policy = policy
        self.stamp = generation_mark(generation)
        self.queue = queue
        self.flowtable = f"{FLOWTABLE}_{self.stamp >> 18}" if flowtable else ""
        self.counters = [f"r_{DEFAULT_RULE}", f"r_{INVALID}", f"r_{PINHOLE}"]
        self.sets: dict[str, Set] = {}
        self.chains: dict[str, Chain] = {}

    def build(self) -> Frame:
        self.chains["early"] = Chain(
            ('iifname "lo" accept', "iifname vmap @antispoofing"),
            base="type filter hook prerouting priority raw; policy accept;",
        )
        self._antispoofing()
        self._pinholes()
        for hook in ("input", "forward", "output"):
            self.chains[hook] = Chain(
                tuple(getattr(self, f"_{hook}")()), base=f"type filter hook {hook} priority filter; policy drop;"
            )
        self._verdicts()
        return self

    # --- the hooks --------------------------------------------------------------------------------------

    def _decided(self, *, offload: bool = False) -> list[str]:
        """Packets of connections that this generation has decided."""
        plain = f"ct mark and {MARK_FLAGS | MARK_GENERATION:#010x} == {self.stamp:#010x}"
        rules = []
        if offload and self.flowtable:
            rules.append(f"{plain} ct state established meta l4proto {{ tcp, udp }} flow add @{self.flowtable}")
        rules.append(f"{plain} accept")
        return rules

    def _decided_with_flags(self) -> list[str]:
        known = f"ct mark and {MARK_GENERATION:#010x} == {self.stamp:#010x}"
        rules = []
        if self.queue:
            queued = f"ct mark and {FLAG_REVISIT | MARK_GENERATION:#010x} == {self.stamp:#010x}"
            rules.append(f"{queued} goto accepted_again")
        timed = f"ct mark and {FLAG_REVISIT | MARK_GENERATION:#010x} == {FLAG_REVISIT | self.stamp:#010x}"
        rules += [
            f"{timed} ct mark and {MARK_RULE:#010x} vmap @revisit",
            # An ICMP error belongs to a connection, and is worth what that is worth.
            f"ct state related meta l4proto {{ icmp, ipv6-icmp }} {known} accept",
            f"ct mark and {FLAG_REVISIT:#010x} != 0 ct mark set ct mark and {0xFFFFFFFF ^ FLAG_REVISIT:#010x}",
        ]
        return rules

    def _input(self) -> list[str]:
        return [
            *self._decided(),
            'iifname "lo" accept',
            f"ct state invalid goto {INVALID}",
            f"ip6 hoplimit 255 icmpv6 type {NEIGHBOURS} accept",
            f"ip6 hoplimit 1 icmpv6 type {LISTENERS} accept",
            *self._decided_with_flags(),
            "ct direction original iifname vmap @input_pairs",
            "ct direction reply iifname vmap @output_pairs",
            "goto default_deny",
        ]

    def _forward(self) -> list[str]:
        lines = [*self._decided(offload=True), f"ct state invalid goto {INVALID}", *self._decided_with_flags()]
        for version in emit.VERSIONS:
            family = emit.IP[version]
            lines.append(
                f"meta l4proto udp ct original {family} saddr . ct reply {family} saddr . ct reply proto-src "
                f"@{PINHOLE}_v{version} goto r_{PINHOLE}"
            )
        return [
            *lines,
            "ct direction original iifname . oifname vmap @forward_pairs",
            "ct direction reply oifname . iifname vmap @forward_pairs",
            "goto default_deny",
        ]

    def _output(self) -> list[str]:
        return [
            *self._decided(),
            'oifname "lo" accept',
            f"ct state invalid goto {INVALID}",
            # The gateway's own errors and resets, which answer packets of connections that may not exist.
            "ct state related accept",
            f"ip6 hoplimit 255 icmpv6 type {NEIGHBOURS} accept",
            f"ip6 hoplimit 1 icmpv6 type {LISTENERS} accept",
            *self._decided_with_flags(),
            "ct direction original oifname vmap @output_pairs",
            "ct direction reply oifname vmap @input_pairs",
            "goto default_deny",
        ]

    # --- shared verdicts --------------------------------------------------------------------------------

    def _verdicts(self) -> None:
        mark = f"ct mark set ct mark and {MARK_FLAGS | MARK_RULE:#010x} or {self.stamp:#010x}"
        # The only chain that names the generation for writing: changing it makes every connection be decided again.
        self.chains["accepted"] = Chain((mark, *self._finish()))
        self.chains["accepted_again"] = Chain(tuple(self._finish()))
        if self.queue:
            self.chains["inspected"] = Chain(
                (
                    f"ct mark and {FLAG_QUEUE_CLOSED:#010x} != 0 queue to {QUEUES}",
                    f"queue flags bypass to {QUEUES}",
                )
            )
        self.chains["rejected"] = Chain(
            ("meta l4proto tcp reject with tcp reset", "reject with icmpx admin-prohibited")
        )
        log = [f'log prefix "{build(DEFAULT_RULE, "deny")}" group {NFLOG_GROUP}']
        if not self.policy.settings.log_default:
            log = []
        self.chains["default_deny"] = Chain((f"counter name r_{DEFAULT_RULE}", *log, "drop"))
        self.chains[INVALID] = Chain((f"counter name r_{INVALID}", "drop"))

    def _finish(self) -> list[str]:
        queued = FLAG_QUEUE_OPEN | FLAG_QUEUE_CLOSED
        return [*([f"ct mark and {queued:#010x} != 0 goto inspected"] if self.queue else []), "accept"]

    def _pinholes(self) -> None:
        """The seam for media of calls: addresses and a UDP port, each with its own end."""
        for version in emit.VERSIONS:
            kind = emit.ADDRESS_TYPE[version]
            self.sets[f"{PINHOLE}_v{version}"] = Set(
                key=f"type {kind} . {kind} . inet_service", flags=("timeout",), live=True
            )
        self.chains[f"r_{PINHOLE}"] = Chain((f"counter name r_{PINHOLE}", "goto accepted"))

    # --- anti-spoofing ----------------------------------------------------------------------------------

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

    def _sources(self, zone: Zone) -> list[str]:
        """Where a source is not what the zone may have, to the zone's `spoof` chain."""
        rules = [
            # What has no address yet asks for one; link-local never crosses the gateway.
            "ip saddr 0.0.0.0 udp dport 67 accept",
            "ip6 saddr :: icmpv6 type { nd-neighbor-solicit, nd-router-solicit, mld2-listener-report } accept",
            "ip6 saddr fe80::/10 accept",
        ]
        if zone.networks:
            for version in emit.VERSIONS:
                parts = [
                    emit.addresses((part.first, part.last), version)
                    for part in zone.networks
                    if part.version == version
                ]
                if parts:
                    rules.append(f"{emit.IP[version]} saddr != {emit.braces(parts)} goto spoof_{zone.name}")
                else:
                    rules.append(f"meta nfproto ipv{version} goto spoof_{zone.name}")
        rules.append(f"fib saddr . iif oif missing goto spoof_{zone.name}")
        return rules
