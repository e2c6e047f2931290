"""Is what the kernel runs what the policy means? The answer, with a packet for every difference.

Spoken of are first packets of connections at every place (each interface to each, and to and from the gateway, both
IP versions). What is assumed, and what cannot be told, is part of the answer.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from appliance.policy import schedule
from appliance.policy.compiling import emit
from appliance.policy.compiling.bundle import (
    FLAG_QUEUE_CLOSED,
    FLAGS_QUEUE,
    VERDICT_DONE,
    VERDICT_GO_ON,
    VERDICT_REJECT,
)
from appliance.policy.compiling.compile import SYSCTLS, inspected_hooks, queue_way
from appliance.policy.compiling.emit import address
from appliance.policy.compiling.hooks import JUDGED_PRIORITY, QueueWay
from appliance.policy.compiling.rulechain import Surroundings
from appliance.policy.decide import Packet, zone_of
from appliance.policy.model import GATEWAY, Policy, Range
from appliance.policy.proving.proof import Region, Witness
from appliance.policy.readback import oldqueue, packets
from appliance.policy.readback.compare import Comparison, Differs, Undecided, packet_of
from appliance.policy.readback.decisions import Identities
from appliance.policy.readback.execute import Item, Reader, TooMuch
from appliance.policy.readback.expected import PINHOLE, Case, Decided, Expected
from appliance.policy.readback.expressions import Compare, Load, Lookup, Malformed
from appliance.policy.readback.foreign import Foreign
from appliance.policy.readback.kernel import DORMANT, KernelChain, KernelTable, Snapshot, read
from appliance.policy.readback.packets import OTHER, Interval, Place
from appliance.policy.readback.steps import FULL_MARK
from appliance.policy.readback.translation import UNTOUCHED, after_routing, before_routing

TABLE = ("inet", "reef")
BUDGET = 200_000_000  # steps of the comparison: some seconds
SHOWN = 50  # differences that are told; there may be more
LOOPBACK = "lo"
_NAMES = (("meta", "iifname"), ("meta", "oifname"))
FILTER_HOOKS = ("input", "forward", "output")
NAT_HOOKS = {"prerouting": -100, "postrouting": 100}


class Difference(msgspec.Struct, frozen=True):
    """Traffic that the kernel decides otherwise than the policy says, or a part of the table that is not as it must
    be (then without region and witness). `words` is one line."""

    words: str
    found: str = ""  # what the kernel does: "allow by R-7"
    wanted: str = ""  # what the policy says
    region: Region | None = None
    witness: Witness | None = None


class Equivalence(msgspec.Struct, frozen=True):
    """`equal` only when everything was read, understood and compared, and nothing differs.

    `unknown` names what was met and cannot be told, `unread` what no reader of nftables sees here, `assumed` under
    which assumptions the rest holds. `places` were compared, with `cases` read from the kernel; `count` is the
    kernel's count of transactions that it speaks of.
    """

    generation: int
    equal: bool
    differences: tuple[Difference, ...] = ()
    more: int = 0  # differences beyond those that are told
    unknown: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    places: int = 0
    cases: int = 0
    steps: int = 0
    seconds: float = 0.0
    count: int = 0
    taken: float = 0.0


class Intent(msgspec.Struct, frozen=True):
    """What is to run: the policy, and what its bundle adds. `numbers` are those of the rules by id."""

    policy: Policy
    generation: int
    numbers: Mapping[str, int]
    around: Surroundings
    period: Interval  # the time that schedules are compiled for: first and last second
    live: frozenset[str]  # sets whose elements come and go while the generation runs
    sysctls: Mapping[str, str] = {}
    queue: QueueWay = ""  # how this kernel queues packets


ASSUMED = (
    "first packets of connections that no generation has decided yet; packets of decided ones pass by the mark",
    "who is in a live set (people, DNS names, pinholes, meters) is what the gateway was told meanwhile",
    "the routing table leads back to the hosts of an interface's own networks through it",
)
UNREAD = (
    "programs of XDP, tc and other BPF hooks, which see packets before and after nftables",
    "the routing table, neighbours and bridges: where a packet goes that is let through",
)
# What comes back from the queues: the packet's mark, what must become of it, and of the connection's mark.
_DECIDED = FLAG_QUEUE_CLOSED | 0x00040000 | 5
_JUDGED = (
    (VERDICT_GO_ON, "accept", _DECIDED),
    (VERDICT_DONE, "accept", _DECIDED & ~FLAGS_QUEUE),
    (VERDICT_REJECT, "reject", _DECIDED),
    (_DECIDED, "drop", _DECIDED),
    (_DECIDED - 4, "drop", _DECIDED),  # a rule whose number is that of a verdict
    (_DECIDED - 4 ^ FLAGS_QUEUE, "accept", _DECIDED),
)
MAX_NAMES = 64  # of interfaces that are told apart


def intent_of(
    policy: Policy, generation: int, numbers: Mapping[str, int], created: int, capabilities: frozenset[str]
) -> Intent:
    """What is to run when `policy` was compiled at `created` (seconds since the epoch) for a kernel with
    `capabilities`."""
    begin, horizon = schedule.period(created)
    names = [*policy.dynamics, PINHOLE]
    return Intent(
        policy=policy,
        generation=generation,
        numbers=numbers,
        around=Surroundings(
            queue=queue_way(capabilities) != "",
            not_before=begin,
            inspection={profile.name: profile.unavailable for profile in policy.profiles.values()},
        ),
        period=(begin, horizon - 1),
        live=frozenset(emit.member_set(name, version) for name in names for version in emit.VERSIONS),
        sysctls=SYSCTLS,
        queue=queue_way(capabilities),
    )


def equivalence(snapshot: Snapshot, intent: Intent, *, budget: int = BUDGET) -> Equivalence:
    """Compare what was read from the kernel with what is to run. Pure."""
    begun = time.perf_counter()
    was = gc.isenabled()
    gc.disable()  # many small values and no cycles: looking for garbage would take a third of the time
    try:
        found = _Examination(snapshot, intent, budget).answer()
    except Malformed as error:
        found = Equivalence(intent.generation, equal=False, unknown=(f"the kernel's answer cannot be read: {error}",))
    finally:
        if was:
            gc.enable()
    return msgspec.structs.replace(
        found, seconds=time.perf_counter() - begun, count=snapshot.count, taken=snapshot.taken
    )


class _Examination:
    def __init__(self, snapshot: Snapshot, intent: Intent, budget: int) -> None:
        self._snapshot = snapshot
        self._intent = intent
        self._tables = read(snapshot)
        self._expected = Expected(intent.policy, intent.around, intent.period)
        self._comparison = Comparison(intent.period, budget)
        timed = frozenset(
            rule.id
            for rule in intent.policy.rules
            if rule.action == "allow" and (rule.people or rule.when or rule.expires_at)
        )
        self._identities = Identities(intent.numbers, timed, intent.generation, intent.queue)
        self._inspected = inspected_hooks(intent.policy) if intent.queue else ()
        self._differences: list[Difference] = []
        self._more = 0
        self._seen: set[tuple[object, ...]] = set()
        self._unknown: dict[str, None] = {}
        self._assumed: dict[str, None] = dict.fromkeys(ASSUMED)
        self._unread = dict.fromkeys(UNREAD)
        self._places = self._cases = 0

    def answer(self) -> Equivalence:
        table = self._tables.get(TABLE)
        if table is None:
            self._differ(f"there is no table {' '.join(TABLE)}: nothing is filtered")
        elif table.flags & DORMANT:
            self._differ(f"the {table} is dormant: nothing is filtered")
        else:
            self._table(table)
        self._sysctls()
        return Equivalence(
            generation=self._intent.generation,
            equal=not self._differences and not self._unknown,
            differences=tuple(self._differences),
            more=self._more,
            unknown=tuple(self._unknown),
            unread=tuple(self._unread),
            assumed=tuple(self._assumed),
            places=self._places,
            cases=self._cases,
            steps=self._comparison.steps,
        )

    # --- the table ----------------------------------------------------------------------------------

    def _table(self, table: KernelTable) -> None:
        reader = Reader(table, self._intent.live, self._snapshot.links, own=True)
        foreign = Foreign(self._tables, self._snapshot, TABLE, self._intent.policy)
        bases = self._bases(table)
        self._behind_queues(reader, table)
        names = self._interfaces(table, foreign)
        for place in _places(names):
            base = bases.get((place.hook, "filter"))
            if base is None:
                continue
            items = self._read(reader, base, place)
            if items is None:
                continue
            wanted = self._expected.at(place)
            before = foreign.cases(place)
            impossible = self._expected.impossible(place)
            found = [*impossible, *before, *self._identities.cases(items, place)]
            self._compare(place, found, wanted)
        self._translation(reader, bases, names)
        self._unknown |= dict.fromkeys((*reader.unknown, *foreign.unknown))
        self._unread |= dict.fromkeys(foreign.unread)
        self._assumed |= dict.fromkeys(foreign.assumed)
        for words in foreign.differences:
            self._differ(words)

    def _bases(self, table: KernelTable) -> dict[tuple[str, str], KernelChain]:
        """The base chains by hook and kind, each where it must be; others are named."""
        found: dict[tuple[str, str], KernelChain] = {}
        wanted = {(hook, "filter"): 0 for hook in FILTER_HOOKS}
        wanted |= {(hook, "nat"): priority for hook, priority in NAT_HOOKS.items()}
        for chain in table.bases:
            hook = chain.hook
            if hook is None:
                continue
            key = (hook.name, hook.kind)
            if key in found and hook.name in self._inspected and hook.priority == JUDGED_PRIORITY:
                continue  # `_behind_queues`
            if key not in wanted or key in found:
                self._differ(f"the chain {chain.name} of the {table} at hook {hook.name} does not belong there")
            elif hook.priority != wanted[key]:
                self._differ(
                    f"the chain {chain.name} of the {table} has priority {hook.priority} at hook {hook.name}, "
                    f"not {wanted[key]}"
                )
                found[key] = chain
            else:
                found[key] = chain
        for hook_name in FILTER_HOOKS:
            if (hook_name, "filter") not in found:
                self._differ(f"the {table} filters nothing at hook {hook_name}")
        return found

    def _behind_queues(self, reader: Reader, table: KernelTable) -> None:
        """What is judged, or should have been, is dealt with behind the queues as it must be."""
        if self._inspected and self._intent.queue == "xt-queue" and oldqueue.KEY not in self._tables:
            self._differ(f"there is no table {' '.join(oldqueue.KEY)}: nothing is queued for inspection")
        behind = {
            chain.hook.name: chain
            for chain in table.bases
            if chain.hook is not None and (chain.hook.kind, chain.hook.priority) == ("filter", JUDGED_PRIORITY)
        }
        for name in self._inspected:
            chain = behind.get(name)
            if chain is None:
                self._differ(f"the {table} heeds nothing of what inspection says at hook {name}")
                continue
            place = Place(name, "" if name == "output" else OTHER, "" if name == "input" else OTHER, 4)
            policy = "accept" if chain.hook is not None and chain.hook.policy else "drop"
            for tag, verdict, mark in _JUDGED:
                deeds = reader.judged(chain, place, _DECIDED, tag)
                if any((deed.verdict if deed else policy) != verdict for deed in deeds) or any(
                    deed is not None and deed.verdict == "accept" and deed.mark != (mark, FULL_MARK) for deed in deeds
                ):
                    self._differ(
                        f"the {table}, chain {chain.name} at hook {name}: a packet that comes back with {tag:#x} is "
                        f"not dealt with as it must be ({verdict})"
                    )

    def _interfaces(self, table: KernelTable, foreign: Foreign) -> list[str]:
        """Every name that the policy or a table asks for, and one that stands for all others."""
        names = dict.fromkeys(self._expected.interfaces())
        names |= dict.fromkeys(_asked_names([table, *foreign.tables]))
        names.pop("", None)
        names.pop(LOOPBACK, None)
        if len(names) > MAX_NAMES:
            self._unknown[f"the tables name {len(names)} interfaces; {MAX_NAMES} are looked at"] = None
        return [*list(names)[:MAX_NAMES], OTHER]

    def _read(self, reader: Reader, base: KernelChain, place: Place) -> list[Item] | None:
        try:
            items = reader.read(base, place)
        except TooMuch as error:
            self._unknown[str(error)] = None
            return None
        self._cases += len(items)
        return items

    def _compare(self, place: Place, found: Sequence[Case], wanted: Sequence[Case]) -> None:
        self._places += 1
        for each in self._comparison.compare(place, found, wanted):
            if isinstance(each, Undecided):
                self._unknown[f"{place.words}: {each.words}"] = None
            else:
                self._tell(each)

    # --- translation --------------------------------------------------------------------------------

    def _translation(
        self, reader: Reader, bases: Mapping[tuple[str, str], KernelChain], names: Sequence[str]
    ) -> None:
        policy = self._intent.policy
        pairs = [(entering, leaving) for entering in (*names, "") for leaving in names]
        for version in (4, 6):
            for name in names:
                place = Place("prerouting", name, "", version)
                self._translates(reader, bases.get(("prerouting", "nat")), place, before_routing(policy, place))
            for entering, leaving in pairs:
                place = Place("postrouting", entering, leaving, version)
                self._translates(reader, bases.get(("postrouting", "nat")), place, after_routing(policy, place))

    def _translates(self, reader: Reader, base: KernelChain | None, place: Place, wanted: list[Case]) -> None:
        found = [Case(packets.EVERY, frozenset(), UNTOUCHED)]
        if base is not None:
            items = self._read(reader, base, place)
            if items is None:
                return
            found = [
                Case(
                    item.product,
                    item.literals,
                    None if item.deed is None else self._identities.translation(item.deed),
                    item.skip,
                )
                for item in items
            ]
        never = self._expected.impossible(place)[:1]
        self._compare(place, [*never, *found], [*never, *wanted])

    # --- what differs -------------------------------------------------------------------------------

    def _tell(self, differs: Differs) -> None:
        place = differs.place
        zones = tuple(zone_of(self._intent.policy, name) or name for name in (place.entering, place.leaving))
        key = (zones, place.hook, place.version, differs.found, differs.wanted)
        if key in self._seen:
            self._more += 1
            return
        self._seen.add(key)
        packet, moment = packet_of(differs, *(self._hosts(zone, place.version) for zone in zones))
        given = tuple(_condition_words(asked, holds) for asked, holds in differs.given)
        box = differs.box
        version = place.version
        region = Region(
            from_zone=zones[0],
            to_zone=zones[1],
            source=Range(version, *box[packets.SOURCE]),
            destination=Range(version, *box[packets.DESTINATION]),
            protocol=box[packets.PROTOCOL],
            key=box[packets.KEY],
            source_ports=box[packets.SOURCE_PORT],
            assumed=given,
        )
        witness = Witness(packet, zones[0], zones[1], at=moment, assumed=given)
        found, wanted = _said(differs.found), _said(differs.wanted)
        words = f"{packet_words(packet)} ({zones[0]} -> {zones[1]}): the kernel says {found}, the policy {wanted}"
        if given:
            words += f", where {' and '.join(given)}"
        self._differ(words, found, wanted, region, witness)

    def _hosts(self, name: str, version: int) -> tuple[int, ...]:
        """Addresses that read well for a zone: a host of its networks, or of the world outside."""
        zone = self._intent.policy.zones.get(name)
        own = [part.first + 10 for part in zone.networks if part.version == version] if zone is not None else []
        return (*own, 0xCB007101 if version == 4 else 0x20010DB8 << 96 | 1)  # 203.0.113.1, 2001:db8::1

    def _differ(
        self,
        words: str,
        found: str = "",
        wanted: str = "",
        region: Region | None = None,
        witness: Witness | None = None,
    ) -> None:
        if len(self._differences) < SHOWN:
            self._differences.append(Difference(words, found, wanted, region, witness))
        else:
            self._more += 1

    def _sysctls(self) -> None:
        for name, wanted in self._intent.sysctls.items():
            found = self._snapshot.sysctls.get(name, "")
            if not found:
                self._unknown[f"{name} cannot be read"] = None
            elif found != wanted:
                self._differ(f"{name} is {found}, not {wanted}", found, wanted)


def _places(names: Sequence[str]) -> Iterator[Place]:
    for version in (4, 6):
        for entering in (*names, LOOPBACK):
            yield Place("input", entering, "", version)
            yield Place("output", "", entering, version)
        pairs = [(entering, leaving) for entering in names for leaving in names]
        for entering, leaving in sorted(pairs, key=lambda pair: pair[0] == pair[1]):
            yield Place("forward", entering, leaving, version)


def _asked_names(tables: Iterable[KernelTable]) -> Iterator[str]:
    """The interface names that tables ask for. A name that ends in `*` stands for one that begins so."""
    for table in tables:
        looked_up: dict[str, None] = {}
        for chain in table.chains.values():
            for raw, rule in zip(chain.raw, chain.rules, strict=True):
                if b"meta\0" not in raw:
                    continue
                asked = False
                for each in rule:
                    if isinstance(each, Load):
                        asked = asked or each.field in _NAMES
                    elif asked and isinstance(each, Compare) and _printable(each.data):
                        yield _name(each.data)
                    elif asked and isinstance(each, Lookup):
                        looked_up[each.set] = None
        for held in (table.sets[name] for name in looked_up if name in table.sets):
            for element in held.elements:
                for at in range(0, held.key_length, 16):
                    part = element.first[at : at + 16]
                    if _printable(part):
                        yield _name(part)


def _printable(data: bytes) -> bool:
    text = data.rstrip(b"\0")
    return bool(text) and text.isascii() and text.decode("ascii").isprintable()


def _name(data: bytes) -> str:
    text = data.split(b"\0", 1)[0].decode(errors="replace")
    return text if b"\0" in data or len(data) == 16 else f"{text}*"


def packet_words(packet: Packet) -> str:
    """A packet in one line: `tcp 10.1.0.7:40000 -> 203.0.113.5:443 by lan0`."""
    name = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmpv6"}.get(packet.protocol, f"protocol {packet.protocol}")
    ends = []
    for value, port in ((packet.source, packet.source_port), (packet.destination, packet.destination_port)):
        text = address(value, packet.version)
        if packet.destination_port or packet.source_port:
            text = f"{text}:{port}" if packet.version == 4 else f"[{text}]:{port}"
        ends.append(text)
    kind = f" type {packet.icmp_type}" if name.startswith("icmp") else ""
    way = f"{packet.entering or GATEWAY} -> {packet.leaving or GATEWAY}"
    return f"{name}{kind} {ends[0]} -> {ends[1]} by {way}"


def _said(decided: Decided) -> str:
    words = f"{decided.action} by {decided.rule}" if decided.rule else decided.action
    if decided.inspected:
        words += f" with inspection ({decided.inspected})"
    return words + (", asked again while it lasts" if decided.revisited else "")


def _condition_words(asked: tuple[str, ...], holds: bool) -> str:
    words = " ".join(asked)
    return words if holds else f"not ({words})"
