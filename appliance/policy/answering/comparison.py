"""What a candidate would have decided otherwise of the flows that were logged, for the person who applies it.

Whole flows go in, groups come out: which zones, by which rule before and after, whose rule that is, how many
flows and bytes, when last, which services, and between which places. A place is an object or a network of the policy;
who the single hosts are is said only where it is asked for (R30).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import get_args

from appliance.policy.addresses import words_of
from appliance.policy.answering.classifier import Encoder, Members
from appliance.policy.answering.impact import ImpactGroup, Kind, Tally
from appliance.policy.boxes import PORT_PROTOCOLS, icmp_protocol
from appliance.policy.decide import DEFAULT, SPOOFED
from appliance.policy.logprefix import RESERVED
from appliance.policy.model import GATEWAY, Policy, Range, Rule, ServiceEntry
from appliance.policy.written.services import names_of_entries, words_of_entry
from ctypes_ext import replay
from ctypes_ext.replay import ChangeFound, DetailFound, Heads, LoweredPolicy, Replay

Address = IPv4Address | IPv6Address
_COUNTED = 1000  # addresses of a group that are looked up, the most frequent ones
_TOLD = 5  # services and places of a group that are named
_MINUTE = 60
_NEGATIVE = {replay.BY_DEFAULT: DEFAULT, replay.SPOOFED: SPOOFED}
# What the ruleset decides before the rules, whatever the policy says.
_BESIDE_RULES = RESERVED - {DEFAULT, SPOOFED}


class _Known(dict[str, int]):
    """Numbers of names, each found once: every block names the same thousands of rules."""

    def __init__(self, find: Callable[[str], int]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, name: str) -> int:
        self[name] = number = self._find(name)
        return number


class Comparison:
    """The running policy and a candidate, and what was found between them so far.

    `members` hold the live sets now. Flows are expected between `first` and `last` (seconds since the epoch).
    Raises `replay.ReplayError` when a policy is too large for it.
    """

    def __init__(
        self, running: Policy, candidate: Policy, encoder: Encoder, *, members: Members, first: int, last: int
    ) -> None:
        self._running, self._candidate = running, candidate
        self._encoder = encoder
        words = encoder.encode(running, candidate, members=members, first=first, last=last)
        self._zones = [str(name) for name in encoder.zones.names()]
        self._rules = [rule for rule in running.rules if rule.enabled]
        self._rules_now = [rule for rule in candidate.rules if rule.enabled]
        self._index = {rule.id: index for index, rule in enumerate(self._rules)}
        self._zone_numbers = _Known(self._zone_of)
        self._rule_numbers = _Known(self._rule_of)
        self._replay = Replay(*(LoweredPolicy(one) for one in words))

    def wants(self, heads: Heads) -> bool:
        """Whether a block holds flows that could be decided otherwise."""
        return self._replay.wants(heads, self._zones_of(heads))

    def feed(self, heads: Heads, body: bytes, addresses: bytes, *, everything: bool = False) -> None:
        """Decide the flows of a block. Raises `replay.BadColumns`, and `replay.ReplayError` for want of memory."""
        rules = array("i", map(self._rule_numbers.__getitem__, heads.names))
        self._replay.feed(heads, body, addresses, self._zones_of(heads), rules, everything=everything)

    def sum(self) -> replay.ReplaySum:
        return self._replay.sum()

    def differing(self) -> int:
        """How many flows are decided otherwise, or alike by another rule."""
        return sum(change.flows for change in self._replay.changes())

    def groups(self, *, addresses: bool = False, most: int = 200) -> tuple[ImpactGroup, ...]:
        """What differs, what is denied first and most flows first; with `addresses` it names hosts."""
        found = sorted(
            enumerate(self._replay.changes()),
            key=lambda item: (get_args(Kind).index(item[1].kind), -item[1].flows),
        )
        names = Places(self._running, self._candidate, addresses=addresses)
        return tuple(self._group(index, change, names) for index, change in found[:most])

    # --- numbers and names ----------------------------------------------------------------------------

    def _zones_of(self, heads: Heads) -> array[int]:
        return array("i", map(self._zone_numbers.__getitem__, heads.names))

    def _zone_of(self, name: str) -> int:
        number = self._encoder.zones.get(name) if name else replay.NO_ZONE
        return number if number < len(self._zones) else replay.NO_ZONE

    def _rule_of(self, name: str) -> int:
        if name in _BESIDE_RULES:
            return replay.NOT_BY_RULES
        if name == DEFAULT:
            return replay.BY_DEFAULT
        if name == SPOOFED:
            return replay.SPOOFED
        return self._index.get(name, replay.NO_RULE)

    def _zone(self, number: int) -> str:
        return self._zones[number] if number >= 0 else "?"

    def _group(self, index: int, change: ChangeFound, names: Places) -> ImpactGroup:
        rule, rule_now = _rule(self._rules, change.rule), _rule(self._rules_now, change.rule_now)
        _, services = self._replay.details(index, "service", _COUNTED)
        sources, from_hosts = self._replay.details(index, "source", _COUNTED)
        destinations, to_hosts = self._replay.details(index, "destination", _COUNTED)
        to_zone = self._zone(change.to_zone)
        if change.to_zone_now != change.to_zone:
            to_zone += f" (now {self._zone(change.to_zone_now)})"
        return ImpactGroup(
            kind=change.kind,  # type: ignore[arg-type]
            from_zone=self._zone(change.from_zone),
            to_zone=to_zone,
            rule=rule.id if rule else _NEGATIVE[change.rule],
            rule_now=rule_now.id if rule_now else _NEGATIVE[change.rule_now],
            action=change.action,
            action_now=change.action_now,
            owner=rule.owner if rule else "",
            owner_now=rule_now.owner if rule_now else "",
            flows=change.flows,
            bytes=change.bytes,
            first=change.first * _MINUTE,
            last=change.last * _MINUTE,
            services=_most(
                (names.service(one.protocol, one.port, one.address.version), one.flows) for one in services
            ),
            sources=sources,
            from_places=_most(_placed(from_hosts, names)),
            destinations=destinations,
            to_places=_most(_placed(to_hosts, names)),
            example=(
                f"{names.place(change.source)} -> {names.place(change.destination)} "
                f"{names.service(change.protocol, change.port, change.source.version)}"
            ),
        )


def _rule(rules: Sequence[Rule], index: int) -> Rule | None:
    return rules[index] if index >= 0 else None


def _placed(found: list[DetailFound], names: Places) -> list[tuple[str, int]]:
    return [(names.place(one.address), one.flows) for one in found]


def _most(counted: object) -> tuple[Tally, ...]:
    total: Counter[str] = Counter()
    for words, flows in counted:  # type: ignore[attr-defined]
        total[words] += flows
    return tuple(Tally(words, flows) for words, flows in total.most_common(_TOLD))


class Places:
    """The words of two policies for hosts and services; the first that knows a thing says it."""

    def __init__(self, *policies: Policy, addresses: bool = False) -> None:
        self._addresses = addresses
        self._hosts: dict[tuple[int, int], str] = {}
        self._wider: list[tuple[int, Range, str]] = []
        services = {name: service for policy in reversed(policies) for name, service in policy.services.items()}
        self._services = names_of_entries(
            {name: tuple(map(words_of_entry, service.entries)) for name, service in services.items()}
        )
        known: set[int] = set()
        for policy in policies:
            for name, found in policy.objects.items():
                if id(found) not in known:
                    known.add(id(found))
                    self._object(name, found.addresses.ranges)
            for zone in policy.zones.values():
                self._wider.extend((part.last - part.first, part, words_of(part)) for part in zone.networks)
                for item in zone.addresses:
                    address = item.address.partition("/")[0]
                    version = 6 if ":" in address else 4
                    number = int(IPv4Address(address)) if version == 4 else int(IPv6Address(address))
                    self._hosts.setdefault((version, number), GATEWAY)
        self._wider.sort(key=lambda item: item[0])

    def _object(self, name: str, ranges: tuple[Range, ...]) -> None:
        for part in ranges:
            if part.first == part.last:
                self._hosts.setdefault((part.version, part.first), name)
            else:
                self._wider.append((part.last - part.first, part, name))

    def place(self, address: Address) -> str:
        version, number = address.version, int(address)
        name = self._hosts.get((version, number))
        if name is None:
            name = next(
                (
                    words
                    for _, part, words in self._wider
                    if part.version == version and part.first <= number <= part.last
                ),
                "elsewhere",
            )
        return f"{name} ({address})" if self._addresses else name

    def service(self, protocol: int, port: int, version: int) -> str:
        """`web (tcp/443)`, or `tcp/8443` where it has no name; of ICMP `port` is type and code."""
        if protocol in PORT_PROTOCOLS:
            entry = ServiceEntry(protocol, ports=(port, port))
        elif protocol == icmp_protocol(version):
            entry = ServiceEntry(protocol, icmp=(port >> 8, port >> 8))
        else:
            entry = ServiceEntry(protocol)
        words = words_of_entry(entry)
        name = self._services.get(words, "")
        return f"{name} ({words})" if name else words


def members_of(sets: Mapping[str, Sequence[str]]) -> dict[str, tuple[Range, ...]]:
    """The elements of live sets as ranges: "10.0.0.1", "10.0.0.0/24", "10.0.0.1-10.0.0.9", as the kernel has them."""
    from appliance.policy.addresses import network, span_of

    return {
        name: tuple(span_of(word) if "-" in word else network(word) for word in words) for name, words in sets.items()
    }
