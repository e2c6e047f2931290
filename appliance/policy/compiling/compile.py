"""From the model to everything that runs: the compiler.

Pure: the same policy, generation, capabilities and day give the same value. With a `CompileCache`, what did not
change is taken from the compilation before.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from appliance.policy import schedule
from appliance.policy.boxes import Traffic, areas
from appliance.policy.compiling import emit
from appliance.policy.compiling.bundle import MAX_RULE_NUMBER, RuleInfo, ZoneInfo
from appliance.policy.compiling.hooks import Frame, QueueWay
from appliance.policy.compiling.nat import Translation
from appliance.policy.compiling.pairs import Part, Section, chain_of
from appliance.policy.compiling.reactions import directions
from appliance.policy.compiling.rulechain import (
    RuleChains,
    Surroundings,
    build_chains,
    chain_name,
    effect,
    schedule_set,
)
from appliance.policy.compiling.ruleset import Chain, Flowtable, Ruleset, Set
from appliance.policy.logprefix import RESERVED
from appliance.policy.model import ANY, GATEWAY, Dynamic, Policy, Rule, Schedule, Zone

Pair = tuple[str, str]
Slot = tuple[Pair, Traffic]


class Compiled(msgspec.Struct, frozen=True):
    """What a bundle needs from a policy."""

    ruleset: Ruleset
    rules: tuple[RuleInfo, ...]
    zones: tuple[ZoneInfo, ...]
    dynamics: tuple[Dynamic, ...]
    sysctls: dict[str, str]
    objects: dict[str, tuple[str, ...]]
    requires: tuple[str, ...]
    omitted: tuple[str, ...]
    # Until when schedules and expiries are compiled (seconds since the epoch); 0 when nothing depends on time.
    horizon: int = 0


class Piece(msgspec.Struct):
    """One rule, compiled."""

    rule: Rule
    number: int
    chains: RuleChains
    parts: dict[Traffic, Part]
    pairs: tuple[Pair, ...]
    info: RuleInfo


class CompileCache:
    """What the last compilation knew. Give the same one again; it is never wrong, only sometimes of no use."""

    def __init__(self) -> None:
        self.around: Surroundings | None = None
        self.zones: tuple[tuple[str, bool], ...] = ()
        self.pieces: dict[str, Piece] = {}
        self.sections: dict[Slot, Section] = {}


def compile_policy(
    policy: Policy,
    *,
    generation: int,
    capabilities: frozenset[str],
    cache: CompileCache | None = None,
    now: int | None = None,
) -> Compiled:
    """Compile `policy` for a kernel with `capabilities` ("queue" or "xt-queue", "flowtable").

    `now` (seconds since the epoch) is where compiled time begins: a policy with schedules or expiries needs it.
    Raises ValueError without it, and for a policy that no parser gives (a reserved rule id, two rules of one id).
    """
    cache = CompileCache() if cache is None else cache
    rules = [rule for rule in policy.rules if rule.enabled]
    if now is None and any(rule.when or rule.expires_at for rule in rules):
        raise ValueError("a policy with schedules or expiries is compiled for a moment: give now")
    with _no_collection():
        period = schedule.period(now) if now is not None else (0, 0)
        return _compile(policy, rules, generation, capabilities, cache, period)


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for cyclic garbage meanwhile: there is none, and with 10,000 rules it takes as long as the work."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _compile(
    policy: Policy,
    rules: list[Rule],
    generation: int,
    capabilities: frozenset[str],
    cache: CompileCache,
    period: schedule.Window,
) -> Compiled:
    begin, horizon = period
    timed = any(rule.when or rule.expires_at for rule in rules)
    around = Surroundings(
        queue=queue_way(capabilities) != "",
        not_before=begin,
        inspection={profile.name: profile.unavailable for profile in policy.profiles.values()},
    )
    pieces = _pieces(policy, rules, around, cache)
    _sections(pieces, cache)
    ruled = {pair for pair, _ in cache.sections}
    frame = Frame(
        policy,
        generation,
        ruled,
        queue=queue_way(capabilities),
        inspected=inspected_hooks(policy),
        flowtable="flowtable" in capabilities,
    ).build()
    nat = Translation(policy).build()
    ruleset = _assemble(policy, pieces, cache, frame, nat, begin, horizon)
    cache.around, cache.zones, cache.pieces = around, _zones(policy), pieces
    return Compiled(
        ruleset=ruleset,
        rules=tuple(piece.info for piece in pieces.values()),
        zones=tuple(
            ZoneInfo(zone.name, zone.interfaces, zone.antispoofing, zone.external) for zone in policy.zones.values()
        ),
        dynamics=tuple(policy.dynamics.values()),
        sysctls=dict(SYSCTLS),
        objects={name: _spoken(policy, name) for name in policy.objects},
        requires=tuple(filter(None, (frame.queue, "flowtable" if frame.flowtable else ""))),
        omitted=_omitted(rules, around),
        horizon=horizon if timed else 0,
    )


def queue_way(capabilities: Collection[str]) -> QueueWay:
    """How a kernel with these capabilities queues packets."""
    return "queue" if "queue" in capabilities else "xt-queue" if "xt-queue" in capabilities else ""


def inspected_hooks(policy: Policy) -> tuple[str, ...]:
    """The hooks that packets of inspected rules pass; those of the gateway's own connections pass both of its."""
    own = through = False
    for rule in policy.rules:
        if rule.enabled and rule.inspect and rule.action == "allow":
            for pair in pairs_of(rule, policy.zones):
                own, through = own or GATEWAY in pair, through or GATEWAY not in pair
    return (*(("input", "output") if own else ()), *(("forward",) if through else ()))


SYSCTLS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    # `log: end` and the flow records read what a connection moved from conntrack.
    "net.netfilter.nf_conntrack_acct": "1",
    # How old a flow is; and a confirm counts only from a session that began after the generation was loaded.
    "net.netfilter.nf_conntrack_timestamp": "1",
    # A gateway takes no advice on routes, and its reverse path is checked by the ruleset for both versions.
    "net.ipv4.conf.all.accept_redirects": "0",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",  # for interfaces that come later
    "net.ipv4.conf.all.accept_source_route": "0",
    "net.ipv6.conf.all.accept_redirects": "0",
    # A connection whose window was not seen from the start is not a connection.
    "net.netfilter.nf_conntrack_tcp_loose": "0",
}


def pairs_of(rule: Rule, zones: Iterable[str]) -> tuple[Pair, ...]:
    """The zone pairs a rule stands for. `any` is every zone but not the gateway itself."""
    named = tuple(zone for zone in zones if zone != GATEWAY)
    sources = named if ANY in rule.sources else rule.sources
    destinations = named if ANY in rule.destinations else rule.destinations
    return tuple((source, destination) for source in sources for destination in destinations)


def numbers(rules: Iterable[Rule]) -> dict[str, int]:
    """The number of every rule: its own, or the next free one where the text has none yet."""
    given = {rule.id: rule.number for rule in rules if rule.number}
    taken = set(given.values())
    free = 1
    for rule in rules:
        if not rule.number:
            while free in taken:
                free += 1
            given[rule.id] = free
            taken.add(free)
    if taken and max(taken) > MAX_RULE_NUMBER:
        raise ValueError(f"rule number {max(taken)} is above {MAX_RULE_NUMBER}")
    return given


def _pieces(policy: Policy, rules: list[Rule], around: Surroundings, cache: CompileCache) -> dict[str, Piece]:
    number = numbers(rules)
    zones = tuple(policy.zones)
    pieces: dict[str, Piece] = {}
    old = cache.pieces if cache.around == around and cache.zones == _zones(policy) else {}
    for rule in rules:
        piece = old.get(rule.id)
        if piece is not None and piece.number == number[rule.id]:
            if piece.rule is rule:
                pieces[rule.id] = piece
                continue
            if _same(piece.rule, rule):
                # Written elsewhere in the text now, but the same rule.
                pieces[rule.id] = msgspec.structs.replace(piece, rule=rule)
                continue
        if rule.id in RESERVED or rule.id in pieces:
            raise ValueError(f"rule id {rule.id!r} is taken")
        chains = build_chains(rule, number[rule.id], around)
        parts = {traffic: Part(found, chains.certain, found.wide) for traffic, found in areas(rule).items()}
        info = _info(rule, number[rule.id], around, policy.zones)
        pieces[rule.id] = Piece(rule, number[rule.id], chains, parts, pairs_of(rule, zones), info)
    return pieces


def _zones(policy: Policy) -> tuple[tuple[str, bool], ...]:
    """What a rule's pieces depend on of zones: `any` is all of them, and directions come from the external ones."""
    return tuple((name, zone.external) for name, zone in policy.zones.items())


def _same(one: Rule, other: Rule) -> bool:
    return one == other or msgspec.structs.replace(one, span=None) == msgspec.structs.replace(other, span=None)


def _sections(pieces: dict[str, Piece], cache: CompileCache) -> None:
    """Bring the sections of the cache to `pieces`."""
    order = {rule: position for position, rule in enumerate(pieces)}
    stays = {
        rule
        for rule, piece in pieces.items()
        if (old := cache.pieces.get(rule)) and old.parts is piece.parts and old.pairs == piece.pairs
    }
    if [rule for rule in cache.pieces if rule in stays] != [rule for rule in pieces if rule in stays]:
        cache.sections = {}
        stays = set()
        gone: dict[str, Piece] = {}
    else:
        gone = {rule: piece for rule, piece in cache.pieces.items() if rule not in stays}
    removed: dict[Slot, list[str]] = {}
    added: dict[Slot, dict[str, Part]] = {}
    for rule, piece in gone.items():
        for pair in piece.pairs:
            for traffic in piece.parts:
                removed.setdefault((pair, traffic), []).append(rule)
    for rule, piece in pieces.items():
        if rule in stays:
            continue
        for pair in piece.pairs:
            for traffic, found in piece.parts.items():
                added.setdefault((pair, traffic), {})[rule] = found
    for slot in removed.keys() | added.keys():
        section = cache.sections.get(slot)
        if section is None:
            section = cache.sections[slot] = Section(*slot)
        section.change(removed.get(slot, []), added.get(slot, {}), order)
        if section.empty:
            del cache.sections[slot]


def _assemble(
    policy: Policy,
    pieces: dict[str, Piece],
    cache: CompileCache,
    frame: Frame,
    nat: Translation,
    begin: int,
    horizon: int,
) -> Ruleset:
    counters = [*frame.counters, *(chain_name(rule) for rule in pieces), *nat.counters]
    sets: dict[str, Set] = dict(frame.sets)
    chains: dict[str, Chain] = {}
    for dynamic in policy.dynamics.values():
        for version in emit.VERSIONS:
            sets[emit.member_set(dynamic.name, version)] = Set(
                key=f"type {emit.ADDRESS_TYPE[version]}", flags=("interval",), live=True
            )
    sets |= _schedules(policy.schedules, [piece.rule for piece in pieces.values()], begin, horizon)
    guarded = _guarded(pieces)
    revisit: dict[str, str] = {}
    for rule, piece in pieces.items():
        chains.update(piece.chains.chains)
        sets.update(piece.chains.sets)
        if piece.chains.revisit and rule not in guarded:
            revisit[f"{piece.number:#x}"] = f"jump {piece.chains.revisit}"
    sets["revisit"] = Set(key="type mark", data="verdict", elements=revisit)
    maps: dict[str, dict[str, str]] = {"input_pairs": {}, "output_pairs": {}, "forward_pairs": {}}
    by_pair: dict[Pair, list[Section]] = {}
    for (pair, _), section in sorted(cache.sections.items()):
        by_pair.setdefault(pair, []).append(section)
    for pair, sections in by_pair.items():
        for section in sections:
            emitted = section.emit()
            chains[section.name] = emitted.chain
            chains.update(emitted.paths)
            sets.update(emitted.sets)
        name = f"{pair[0]}/{pair[1]}"
        chains[name] = Chain((*frame.asked(pair), frame.decided.begun(pair), *_dispatch(pair, sections)))
        _enter(policy, pair, name, maps)
    for name, elements in maps.items():
        key = "type ifname . ifname" if name == "forward_pairs" else "type ifname"
        sets[name] = Set(key=key, data="verdict", elements=elements)
    flowtables = {}
    if frame.flowtable:
        devices = tuple(sorted({name for zone in policy.zones.values() for name in zone.interfaces}))
        flowtables[frame.flowtable] = Flowtable(devices)
    return Ruleset(
        counters=tuple(counters),
        sets=sets | nat.sets,
        chains=frame.chains | nat.chains | chains,
        flowtables=flowtables,
    )


def _guarded(pieces: dict[str, Piece]) -> set[str]:
    """Timed rules that stand after a rule which may begin to deny: only the whole decision says what holds now."""
    seen: set[Pair] = set()
    guarded: set[str] = set()
    for rule, piece in pieces.items():
        timed = bool(piece.rule.people or piece.rule.when or piece.rule.expires_at)
        if piece.rule.action != "allow" and timed:
            seen.update(piece.pairs)
        elif timed and not seen.isdisjoint(piece.pairs):
            guarded.add(rule)
    return guarded


def _dispatch(pair: Pair, sections: list[Section]) -> list[str]:
    """To the section of the packet's class. What has no rules returns, and is denied by default.

    Plain comparisons, not a map: they lie in the chain itself, where a map is one more place to look.
    """
    present = {section.traffic for section in sections}
    rules = []
    for family in ("tcp", "udp", "icmp", "other"):
        for version in emit.VERSIONS:
            traffic = Traffic(version, family)
            verdict = f"goto {chain_of(pair, traffic)}" if traffic in present else "return"
            if verdict == "return" and Traffic(version, "other") not in present:
                continue
            word = {"icmp": "icmp" if version == 4 else "ipv6-icmp"}.get(family, family)
            protocol = "" if family == "other" else f" meta l4proto {word}"
            rules.append(f"meta nfproto ipv{version}{protocol} {verdict}")
    return rules


def _enter(policy: Policy, pair: Pair, chain: str, maps: dict[str, dict[str, str]]) -> None:
    source, destination = pair

    def interfaces(zone: str) -> tuple[str, ...]:
        return policy.zones[zone].interfaces

    if source == GATEWAY and destination == GATEWAY:
        return
    if destination == GATEWAY:
        maps["input_pairs"].update({f'"{name}"': f"jump {chain}" for name in interfaces(source)})
    elif source == GATEWAY:
        maps["output_pairs"].update({f'"{name}"': f"jump {chain}" for name in interfaces(destination)})
    else:
        maps["forward_pairs"].update(
            {
                f'"{entering}" . "{leaving}"': f"jump {chain}"
                for entering in interfaces(source)
                for leaving in interfaces(destination)
            }
        )


def _schedules(schedules: dict[str, Schedule], rules: list[Rule], begin: int, horizon: int) -> dict[str, Set]:
    sets = {}
    for rule in rules:
        if not rule.when:
            continue
        off = rule.action != "allow"
        name = schedule_set(rule.when, off)
        if name in sets:
            continue
        on = schedule.windows(schedules[rule.when], begin, horizon)
        spans = schedule.gaps(on, begin, horizon) if off else on
        elements = {f"{opens}-{closes - 1}": "" for opens, closes in spans}
        sets[name] = Set(key="typeof meta time", flags=("interval",), elements=elements)
    return sets


def _info(rule: Rule, number: int, around: Surroundings, zones: dict[str, Zone]) -> RuleInfo:
    said = " ".join(
        (
            ",".join(rule.said_source or rule.sources),
            "->",
            ",".join(rule.said_destination or rule.destinations),
            *rule.said_service,
        )
    )
    return RuleInfo(
        id=rule.id,
        number=number,
        action=effect(rule, around)[0],
        log=rule.log,
        owner=rule.owner,
        why=rule.why,
        expires_at=rule.expires_at,
        said=said,
        review=rule.review,
        inspect=rule.inspect if rule.action == "allow" else "",
        directions=directions(rule, zones) if rule.inspect and rule.action == "allow" else (),
    )


def _spoken(policy: Policy, name: str) -> tuple[str, ...]:
    where = policy.objects[name].addresses
    return tuple(emit.addresses((part.first, part.last), part.version) for part in where.ranges)


def _omitted(rules: list[Rule], around: Surroundings) -> tuple[str, ...]:
    """What the text asks and does not get here, in words."""
    words = []
    for rule in rules:
        if rule.inspect and rule.action == "allow" and not around.queue:
            closed = effect(rule, around)[0] == "deny"
            done = "its flows are denied (fail-closed)" if closed else "its flows pass without it (fail-open)"
            words.append(
                f"rule {rule.id}: inspection {rule.inspect} needs a kernel that queues packets (nft queue, or the "
                f"NFQUEUE target), which this one does not; {done}"
            )
    return tuple(words)
