"""Network address translation: published services, source NAT, hairpin.

Translation looks at the first packet of a connection only, so these chains are read once per connection, in the
order of the text. Filtering comes after destination NAT and sees the real addresses.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.policy.boxes import FULL_PORTS, PORT_PROTOCOLS, icmp_protocol
from appliance.policy.compiling import emit
from appliance.policy.compiling.ruleset import Chain, Set
from appliance.policy.model import ANY, GATEWAY, AddressSet, DestinationNat, Policy, ServiceEntry, SourceNat

# More ranges than this are matched through a named set.
INLINE_RANGES = 16


class Translation:
    """Collects the chains, sets and counters of a policy's NAT."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.counters: list[str] = []
        self.sets: dict[str, Set] = {}
        self.chains: dict[str, Chain] = {}

    def build(self) -> Translation:
        """Fill in everything; chains only where there is something to translate."""
        before: list[str] = []
        after: list[str] = []
        for published in self.policy.destination_nat:
            self.counters.append(counter_name(published.id))
            before += self._destination(published)
            after += self._hairpin(published)
        for rule in self.policy.source_nat:
            self.counters.append(counter_name(rule.id))
            after += self._source(rule)
        if before:
            self.chains["prerouting_nat"] = Chain(
                tuple(before), base="type nat hook prerouting priority dstnat; policy accept;"
            )
        if after:
            self.chains["postrouting_nat"] = Chain(
                tuple(after), base="type nat hook postrouting priority srcnat; policy accept;"
            )
        return self

    def _destination(self, rule: DestinationNat) -> Iterator[str]:
        interfaces = self._interfaces(rule.sources)
        if rule.hairpin:
            interfaces += [name for name in self._interfaces(rule.hairpin_zones) if name not in interfaces]
        if not interfaces:
            return
        version = rule.to.version
        target = self._target(rule)
        entering = f"iifname {emit.quoted(interfaces)}"
        source = self._address(rule.source, version, f"ct original {emit.IP[version]} saddr", f"{rule.id}_source")
        destination = self._address(rule.destination, version, f"{emit.IP[version]} daddr", f"{rule.id}_destination")
        if source is None or destination is None:
            return
        for entry in rule.services:
            for match in service(entry, version):
                to = target
                if rule.to_ports is not None and entry.protocol in PORT_PROTOCOLS:
                    to += f":{emit.numbers(rule.to_ports)}"
                words = (entering, source, destination, match, f"counter name {counter_name(rule.id)}", to)
                yield " ".join(word for word in words if word)

    def _target(self, rule: DestinationNat) -> str:
        version, first, last = rule.to.version, rule.to.first, rule.to.last
        text = emit.address(first, version)
        bracket = version == 6
        if first != last:
            text = f"{_bracketed(text, bracket)}-{_bracketed(emit.address(last, version), bracket)}"
        else:
            text = _bracketed(text, bracket)
        return f"dnat {emit.IP[version]} to {text}"

    def _hairpin(self, rule: DestinationNat) -> Iterator[str]:
        """Where client and server share a zone, replies would not pass the gateway: hide the client behind it."""
        if not rule.hairpin:
            return
        version = rule.to.version
        family = emit.IP[version]
        outer = self._address(rule.destination, version, f"ct original {family} daddr", f"{rule.id}_destination")
        if outer is None:
            return
        to = emit.addresses((rule.to.first, rule.to.last), version)
        for zone in rule.hairpin_zones:
            if interfaces := self._interfaces((zone,)):
                inside = emit.quoted(interfaces)
                yield (
                    f"iifname {inside} oifname {inside} ct status dnat {outer} {family} daddr {to} "
                    f"counter name {counter_name(rule.id)} masquerade"
                )

    def _source(self, rule: SourceNat) -> Iterator[str]:
        interfaces = self._interfaces((rule.out,))
        if not interfaces:
            return
        for version in emit.VERSIONS:
            if rule.to is not None and rule.to.version != version:
                continue
            family = emit.IP[version]
            source = self._address(rule.source, version, f"{family} saddr", f"{rule.id}_source")
            destination = self._address(rule.destination, version, f"{family} daddr", f"{rule.id}_destination")
            if source is None or destination is None:
                continue
            leaving = f"oifname {emit.quoted(interfaces)}"
            for entry in rule.services:
                for match in service(entry, version):
                    yield from self._translated(rule, version, (leaving, source, destination, match), entry)

    def _translated(
        self, rule: SourceNat, version: int, matches: tuple[str, ...], entry: ServiceEntry
    ) -> Iterator[str]:
        count = f"counter name {counter_name(rule.id)}"
        family = emit.IP[version]
        # Without an address in the match, the family must be said.
        said = any(f"{family} " in match for match in matches)
        start = [*(() if said else (f"meta nfproto ipv{version}",)), *(match for match in matches if match), count]
        if rule.exempt:
            yield " ".join([*start, "accept"])
            return
        to = "masquerade"
        if rule.to is not None:
            ends = sorted({rule.to.first, rule.to.last})
            text = "-".join(_bracketed(emit.address(end, version), version == 6) for end in ends)
            to = f"snat {family} to {text}"
        if rule.ports is not None and entry.protocol in (None, *PORT_PROTOCOLS):
            ports = f"{':' if rule.to is not None else ' to :'}{emit.numbers(rule.ports)}"
            if entry.protocol is None:
                yield " ".join(["meta l4proto { tcp, udp }", *start, to + ports])
                yield " ".join([*start, to])
            else:
                yield " ".join([*start, to + ports])
        else:
            yield " ".join([*start, to])

    def _interfaces(self, zones: tuple[str, ...]) -> list[str]:
        names = [name for name in self.policy.zones if name != GATEWAY] if ANY in zones else list(zones)
        return [
            interface
            for name in names
            if name in self.policy.zones
            for interface in self.policy.zones[name].interfaces
        ]

    def _address(self, where: AddressSet, version: int, words: str, name: str) -> str | None:
        """A match for `where`; "" where it is everything, None where it is nothing."""
        if emit.whole(where, version):
            return ""
        parts = emit.spoken(where, version)
        if where.dynamic:
            # Sets cannot be joined in one match: each dynamic set of NAT is its own rule's only address.
            if parts or len(where.dynamic) > 1:
                raise ValueError(f"NAT rule {name}: one DNS object or addresses, not both")
            return f"{words} @{emit.member_set(where.dynamic[0], version)}"
        if not parts:
            return None
        if len(parts) <= INLINE_RANGES:
            return f"{words} {emit.braces(parts)}"
        named = f"nat_{name}_v{version}"
        self.sets[named] = Set(
            key=f"type {emit.ADDRESS_TYPE[version]}", flags=("interval",), elements=dict.fromkeys(parts, "")
        )
        return f"{words} @{named}"


def counter_name(rule: str) -> str:
    return f"n_{rule}"


def service(entry: ServiceEntry, version: int) -> Iterator[str]:
    """Matches for one entry on the packet itself: NAT sees first packets only. Nothing for another version's ICMP."""
    protocol = entry.protocol
    if protocol is None:
        yield ""
    elif protocol in PORT_PROTOCOLS:
        match = f"meta l4proto {protocol}"
        if entry.source_ports != FULL_PORTS:
            match += f" th sport {emit.numbers(entry.source_ports)}"
        if entry.ports != FULL_PORTS:
            match += f" th dport {emit.numbers(entry.ports)}"
        yield match
    elif protocol in (icmp_protocol(4), icmp_protocol(6)):
        if protocol == icmp_protocol(version):
            kind = "icmp" if version == 4 else "icmpv6"
            match = f"{kind} type {emit.numbers(entry.icmp)}"
            yield match if entry.code is None else f"{match} {kind} code {entry.code}"
    else:
        yield f"meta l4proto {protocol}"


def _bracketed(text: str, bracket: bool) -> str:
    return f"[{text}]" if bracket else text
