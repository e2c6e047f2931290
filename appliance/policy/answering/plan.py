"""The difference of two policies in words: what an apply would change, for the person who decides.

Values that are equal are passed over at once, so that one changed rule among ten thousand costs little. The
line numbers of a text do not count as a change.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeVar

import msgspec

from appliance.policy.addresses import words_of
from appliance.policy.banning import length
from appliance.policy.compiling.reactions import words_of_reaction, words_of_signatures, words_of_threshold
from appliance.policy.console import ConsoleSettings
from appliance.policy.console import Person as ConsolePerson
from appliance.policy.consumers import AlertSettings, Consumer, Mark, Pseudonyms, Retention
from appliance.policy.detections import Detections, Exemption, Thresholds
from appliance.policy.indicators import IndicatorSettings, IndicatorSource, Trust
from appliance.policy.model import (
    ANY,
    EVERYTHING,
    AddressSet,
    AutomaticBan,
    Banning,
    Bridge,
    Connection,
    Connections,
    DestinationNat,
    Dynamic,
    Feed,
    Group,
    Invariant,
    Object,
    Person,
    Policy,
    Profile,
    Range,
    Rate,
    Reaction,
    Risk,
    Route,
    Rule,
    Schedule,
    Service,
    ServiceEntry,
    Settings,
    Signatures,
    SourceNat,
    Suppression,
    Threshold,
    Zone,
)
from appliance.policy.records import AuditSettings, RecordRetention, Witness
from appliance.policy.times import words_of_spans
from appliance.policy.written.builtin import BUILT_IN_PROFILES
from appliance.policy.written.services import words_of_entry

MAX_LISTED = 6  # addresses and the like that one line of a plan names

V = TypeVar("V", bound=msgspec.Struct)


class Change(msgspec.Struct, frozen=True):
    """One line of a plan: `what` is for example "rule R-7", `words` says it to people."""

    kind: Literal["added", "removed", "changed", "moved"]
    what: str
    words: str


def plan(old: Policy | None, new: Policy) -> tuple[Change, ...]:
    """What changes from `old` (None: nothing runs yet) to `new`, in the order of the policy's sections."""
    if old is None:
        old = Policy(site=new.site, profiles=BUILT_IN_PROFILES)
    found: list[Change] = []
    if old.site != new.site:
        found.append(Change("changed", "site", f"site: {old.site} -> {new.site}"))
    for name in old.inherits:
        if name not in new.inherits:
            found.append(Change("removed", f"baseline {name}", f"baseline {name} is no longer inherited"))
    for name in new.inherits:
        if name not in old.inherits:
            found.append(Change("added", f"baseline {name}", f"baseline {name} is inherited"))
    _named("zone", old.zones, new.zones, found)
    _named("connection", old.connections, new.connections, found)
    _named("bridge", old.bridges, new.bridges, found)
    _named("object", old.objects, new.objects, found)
    _named("service", old.services, new.services, found)
    _named("schedule", old.schedules, new.schedules, found)
    _named("person", old.people, new.people, found)
    _named("group", old.groups, new.groups, found)
    _named("feed", old.feeds, new.feeds, found)
    _named("profile", old.profiles, new.profiles, found)
    _named("names of", _by(old.dynamics.values(), _dynamic_name), _by(new.dynamics.values(), _dynamic_name), found)
    _rules(old.rules, new.rules, found)
    _listed("source translation", old.source_nat, new.source_nat, lambda item: item.id, found)
    _listed("destination translation", old.destination_nat, new.destination_nat, lambda item: item.id, found)
    _listed("route", old.routes, new.routes, _route_name, found)
    _listed("invariant", old.invariants, new.invariants, lambda item: item.id, found)
    _listed("suppression", old.suppressions, new.suppressions, lambda item: item.id, found)
    _listed("risk", old.risks, new.risks, lambda item: item.id, found)
    _bans(old.bans, new.bans, found)
    _detections(old.detections, new.detections, found)
    _alerts(old.alerts, new.alerts, found)
    _named("consumer", old.consumers, new.consumers, found)
    _indicators(old.indicators, new.indicators, found)
    if old.notices != new.notices:
        found.append(Change("changed", "notices", f"notices: {_fields(old.notices, new.notices)}"))
    _audit(old.audit, new.audit, found)
    _console(old.console, new.console, found)
    if old.settings != new.settings:
        changes = _fields(old.settings, new.settings)
        found.append(Change("changed", "settings", f"settings: {changes}"))
    return tuple(found)


def _bans(old: Banning, new: Banning, found: list[Change]) -> None:
    _listed("automatic ban", old.automatic, new.automatic, lambda item: item.id, found)
    rest = [msgspec.structs.replace(each, automatic=()) for each in (old, new)]
    if rest[0] != rest[1]:
        found.append(Change("changed", "bans", f"bans: {_fields(*rest)}"))


def _dynamic_name(item: Dynamic) -> str:
    return item.name.partition("_")[2] if item.kind == "dns" else ""


def _by(items: Iterable[Dynamic], name: Callable[[Dynamic], str]) -> dict[str, Dynamic]:
    """DNS sets by the name of their object; people and groups are told as such."""
    return {name(item): item for item in items if name(item)}


def _route_name(route: Route) -> str:
    return " ".join(filter(None, (route.destination, route.via, route.interface)))


def _named(kind: str, old: Mapping[str, V], new: Mapping[str, V], found: list[Change]) -> None:
    if old is new or old == new:
        return
    for name, before in old.items():
        if name not in new:
            found.append(Change("removed", f"{kind} {name}", f"{kind} {name} is removed"))
        elif before is not new[name] and before != new[name]:
            said = _fields(before, new[name])
            if said:
                found.append(Change("changed", f"{kind} {name}", f"{kind} {name}: {said}"))
    for name, after in new.items():
        if name not in old:
            found.append(Change("added", f"{kind} {name}", f"{kind} {name} is new: {said_of(after)}"))


def _detections(old: Detections, new: Detections, found: list[Change]) -> None:
    if old == new:
        return
    changes = []
    if old.on != new.on:
        changes.append(f"watch {_item(old.on)} -> {_item(new.on)}")
    if old.off != new.off:
        changes.append(f"off {_several(list(old.off))} -> {_several(list(new.off))}")
    if old.learning != new.learning:
        whole = not old.learning % _DAY and not new.learning % _DAY
        unit, name = (_DAY, "days") if whole else (1, "seconds")
        changes.append(f"learning {old.learning // unit} -> {new.learning // unit} {name}")
    for name in Thresholds.__struct_fields__:
        before, after = getattr(old.thresholds, name), getattr(new.thresholds, name)
        if before != after:
            changes.append(f"{name.replace('_', ' ')} {before} -> {after}")
    if changes:
        found.append(Change("changed", "detections", f"detections: {'; '.join(changes)}"))
    _listed("exemption", old.exemptions, new.exemptions, lambda item: item.id, found)


def _alerts(old: AlertSettings, new: AlertSettings, found: list[Change]) -> None:
    if old == new:
        return
    changes = [_fields(msgspec.structs.replace(old, retention=new.retention, pseudonyms=new.pseudonyms), new)]
    if old.pseudonyms != new.pseudonyms:
        changes.append(f"pseudonyms {_pseudonyms(old.pseudonyms)} -> {_pseudonyms(new.pseudonyms)}")
    for name in Retention.__struct_fields__:
        before, after = getattr(old.retention, name), getattr(new.retention, name)
        if before != after:
            changes.append(f"{name} for {length(before)} -> {length(after)}")
    found.append(Change("changed", "alerts", f"alerts: {'; '.join(filter(None, changes))}"))


def _pseudonyms(settings: Pseudonyms | None) -> str:
    if settings is None:
        return "for nobody"
    return f"for {_several(list(settings.zones))}, a key for {length(settings.keys)}"


def _indicators(old: IndicatorSettings, new: IndicatorSettings, found: list[Change]) -> None:
    _listed("source of indicators", old.sources, new.sources, lambda item: item.name, found)
    if old.never != new.never:
        found.append(Change("changed", "indicators", f"never blocked: {_fields(old.never, new.never)}"))


def _console(old: ConsoleSettings, new: ConsoleSettings, found: list[Change]) -> None:
    _listed("person of the console", old.people, new.people, lambda item: item.id, found)
    changes = []
    for name in ("idle", "session"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            changes.append(f"{name} {length(before)} -> {length(after)}")
    rest = [msgspec.structs.replace(each, people=(), idle=0, session=0) for each in (old, new)]
    said = [_fields(*rest), *changes]
    if any(said):
        found.append(Change("changed", "console", f"console: {'; '.join(filter(None, said))}"))


def _audit(old: AuditSettings, new: AuditSettings, found: list[Change]) -> None:
    _listed("witness", old.witnesses, new.witnesses, lambda item: item.name, found)
    for name in RecordRetention.__struct_fields__:
        before, after = getattr(old.retention, name), getattr(new.retention, name)
        if before != after:
            words = f"records of {name} are kept for {length(before)} -> {length(after)}"
            found.append(Change("changed", "audit", words))


def _listed(kind: str, old: tuple[V, ...], new: tuple[V, ...], name: Callable[[V], str], found: list[Change]) -> None:
    if old == new:
        return
    before, after = {name(item): item for item in old}, {name(item): item for item in new}
    _named(kind, before, after, found)
    for ident in _moved([key for key in before if key in after], [key for key in after if key in before]):
        found.append(Change("moved", f"{kind} {ident}", f"{kind} {ident} takes another place"))


def _rules(old: tuple[Rule, ...], new: tuple[Rule, ...], found: list[Change]) -> None:
    """Changes of rules, in the order of the new policy; removed ones first."""
    # Equal beginnings and ends are the rule, not the exception: they need no dictionaries.
    start = 0
    shorter = min(len(old), len(new))
    while start < shorter and (old[start] is new[start] or old[start] == new[start]):
        start += 1
    end = 0
    while end < shorter - start and (old[-1 - end] is new[-1 - end] or old[-1 - end] == new[-1 - end]):
        end += 1
    before = {rule.id: rule for rule in old[start : len(old) - end]}
    after = {rule.id: rule for rule in new[start : len(new) - end]}
    for ident in before:
        if ident not in after:
            found.append(Change("removed", f"rule {ident}", f"rule {ident} is removed ({said_of(before[ident])})"))
    moved = set(_moved([key for key in before if key in after], [key for key in after if key in before]))
    above = new[start - 1].id if start else ""
    for ident, rule in after.items():
        place = f"below {above}" if above else "at the top"
        if ident not in before:
            found.append(Change("added", f"rule {ident}", f"rule {ident} is new, {place}: {said_of(rule)}"))
        else:
            if before[ident] != rule:
                said = _fields(before[ident], rule)
                if said:
                    found.append(Change("changed", f"rule {ident}", f"rule {ident}: {said}"))
            if ident in moved:
                found.append(Change("moved", f"rule {ident}", f"rule {ident} moves {place}"))
        above = ident


def _moved(old: list[str], new: list[str]) -> list[str]:
    """The fewest names that must move so that `old` has the order of `new`: all but a longest common order."""
    if old == new:
        return []
    place = {name: number for number, name in enumerate(old)}
    # Longest increasing subsequence of the old places, by patience sorting.
    tails: list[int] = []
    tail_names: list[str] = []
    previous: dict[str, str] = {}
    for name in new:
        number = place[name]
        at = bisect_left(tails, number)
        if at:
            previous[name] = tail_names[at - 1]
        if at == len(tails):
            tails.append(number)
            tail_names.append(name)
        else:
            tails[at] = number
            tail_names[at] = name
    stays: set[str] = set()
    name_or_none: str | None = tail_names[-1] if tail_names else None
    while name_or_none is not None:
        stays.add(name_or_none)
        name_or_none = previous.get(name_or_none)
    return [name for name in new if name not in stays]


# --- words ------------------------------------------------------------------------------------------

_DAY = 86_400
_UNSAID = {"span", "number", "origin", "name", "id", "expires_at", "said_source", "said_destination", "said_service"}
_WORDS = {
    "sources": "from",
    "destinations": "to",
    "services": "service",
    "excepted": "except",
    "people": "people",
    "rate": "limit",
    "spans": "times",
    "to_ports": "port",
    "last": "until",
    "first": "from",
    "full_name": "name",
    "reactions": "actions",
    "either": "host",
    "quarantined_may": "quarantine, but for",
}
# Everything that decides whether a rule matches, and what happens to what it allows.
_SAID_OF_A_RULE = (
    *("source", "destination", "services", "people", "when", "rate", "connections", "inspect"),
    *("log", "expires", "review"),
)
_SAID = {"source": "said_source", "destination": "said_destination", "services": "said_service"}
_NOTHING = {
    "expires": "never",
    "when": "always",
    "owner": "nobody",
    "people": "everybody",
    "inspect": "nothing",
    "quarantined_may": "no quarantine",
}


def _fields(old: msgspec.Struct, new: msgspec.Struct) -> str:
    """What differs between two values of one type: "service web -> web, ssh; expires 2027-03-31 -> never"."""
    said: list[str] = []
    for field in old.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if field in _UNSAID or before == after:
            continue
        words_before, words_after = _value(field, before, old), _value(field, after, new)
        name = _WORDS.get(field, field.replace("_", " "))
        if words_before == words_after:
            # The same names, standing for something else: their own line of the plan says so.
            if getattr(new, _SAID.get(field, ""), ()) == ():
                said.append(f"{name} {_difference(before, after)}")
        else:
            said.append(f"{name} {words_before} -> {words_after}")
    return "; ".join(said)


def _difference(before: object, after: object) -> str:
    if isinstance(before, AddressSet) and isinstance(after, AddressSet):
        gone = [words_of(item) for item in before.ranges if item not in set(after.ranges)]
        come = [words_of(item) for item in after.ranges if item not in set(before.ranges)]
        gone.extend(name for name in before.dynamic if name not in after.dynamic)
        come.extend(name for name in after.dynamic if name not in before.dynamic)
        return ", ".join([*(f"+{item}" for item in come[:MAX_LISTED]), *(f"-{item}" for item in gone[:MAX_LISTED])])
    if isinstance(before, tuple) and isinstance(after, tuple):
        gone = [_item(item) for item in before if item not in after]
        come = [_item(item) for item in after if item not in before]
        return ", ".join([*(f"+{item}" for item in come[:MAX_LISTED]), *(f"-{item}" for item in gone[:MAX_LISTED])])
    return f"{_item(before)} -> {_item(after)}"


def _value(field: str, value: object, owner: msgspec.Struct) -> str:
    words = getattr(owner, _SAID.get(field, ""), ())
    if words:
        return ", ".join(words)
    if field == "people" and isinstance(value, tuple) and value:
        return ", ".join(_person(str(name)) for name in value)
    if value in ("", (), None):
        return _NOTHING.get(field, "none")
    return _item(value)


def _person(dynamic: str) -> str:
    kind, _, name = dynamic.partition("_")
    return f"group:{name}" if kind == "group" else name


def _item(value: object) -> str:
    """One value in the words of the policy text."""
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, Range):
        return words_of(value)
    if isinstance(value, AddressSet):
        if value == EVERYTHING:
            return ANY
        named = [*(words_of(item) for item in value.ranges), *value.dynamic]
        return _several(named)
    if isinstance(value, ServiceEntry):
        return words_of_entry(value)
    if isinstance(value, Rate):
        unit = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}.get(value.seconds, f"{value.seconds} seconds")
        return f"{value.amount}/{unit} burst {value.burst} per {value.per}"
    if isinstance(value, Signatures):
        return words_of_signatures(value)
    if isinstance(value, Reaction):
        return f"{words_of_reaction(value)}: {value.action}"
    if isinstance(value, Threshold):
        return words_of_threshold(value)
    if isinstance(value, Connections):
        return f"{value.limit} per {value.per}"
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return words_of_spans(value)
        if len(value) == 2 and all(isinstance(part, int) for part in value):
            return str(value[0]) if value[0] == value[1] else f"{value[0]}-{value[1]}"
        return _several([_item(item) for item in value])
    if isinstance(value, Trust):
        return _trusted(value)
    if isinstance(value, Mark):
        return f"{value.kept or f'zone {value.zone}'} {value.tlp}"
    if isinstance(value, msgspec.Struct):
        return " ".join(str(part) for part in msgspec.structs.astuple(value))
    return str(value)


def _several(words: list[str]) -> str:
    if len(words) > MAX_LISTED:
        return ", ".join(words[:MAX_LISTED]) + f" and {len(words) - MAX_LISTED} more"
    return ", ".join(words) or "nothing"


def said_of(value: msgspec.Struct) -> str:
    """A value in one line: "allow lan -> internet, service web, people group:staff, limit 3/minute"."""
    if isinstance(value, Rule):
        parts = [f"{value.action} {', '.join(value.sources)} -> {', '.join(value.destinations)}"]
        for field in _SAID_OF_A_RULE:
            content = getattr(value, field)
            if content and content not in (EVERYTHING, (ServiceEntry(None),), "none"):
                parts.append(f"{_WORDS.get(field, field)} {_value(field, content, value)}")
        if not value.enabled:
            parts.append("not enabled")
        return ", ".join(parts)
    if isinstance(value, Object):
        return _item(value.addresses)
    if isinstance(value, Zone):
        held = "" if value.quarantined_may is None else "; unknown devices in quarantine"
        return _several([*value.interfaces, *(words_of(item) for item in value.networks)]) + held
    if isinstance(value, Service):
        return _several([words_of_entry(entry) for entry in value.entries])
    if isinstance(value, Schedule):
        return words_of_spans(value.spans)
    if isinstance(value, Group):
        return _several(list(value.members))
    if isinstance(value, Person):
        return value.name or value.id
    if isinstance(value, Bridge):
        return f"{' <-> '.join(value.between)}, inspect {value.inspect}, unavailable {value.unavailable}"
    if isinstance(value, Connection):
        return f"{value.provider}, {value.officer}"
    if isinstance(value, Profile):
        said = f"unavailable: {value.unavailable}"
        return said + (f", actions {_item(value.reactions)}" if value.reactions else "")
    if isinstance(value, Suppression):
        return f"{_item(value.signatures)} {value.action} until {value.expires}"
    if isinstance(value, AutomaticBan):
        return f"after {_several([*value.findings, *map(words_of_signatures, value.signatures)])}"
    if isinstance(value, Exemption):
        hosts = _several([words_of(Range(one.version, one.first, one.last)) for one in value.hosts])
        what = _several(list(value.detections)) if value.detections else "everything"
        return f"{hosts}, {what} until {value.expires}"
    if isinstance(value, Feed):
        return value.file or value.address
    if isinstance(value, IndicatorSource):
        return f"{value.address or 'posted'}, {_trusted(value.trust)}"
    if isinstance(value, Witness):
        return value.address
    if isinstance(value, ConsolePerson):
        return f"{value.name}, {_several(list(value.roles))}" + (", may break the glass" if value.break_glass else "")
    if isinstance(value, Consumer):
        return f"{_several(list(value.collections))} up to TLP:{value.tlp.upper()}"
    if isinstance(value, Dynamic):
        return _several(list(value.names))
    if isinstance(value, Invariant):
        return f"never {', '.join(value.sources)} -> {', '.join(value.destinations)}"
    if isinstance(value, Risk):
        against = [*value.safeguards, *value.measures]
        said = f"{value.threat}: likelihood {value.likelihood}, impact {value.impact}, {value.treatment}"
        return said + (f"; {_several(against)}" if against else "")
    if isinstance(value, SourceNat):
        to = "exempt" if value.exempt else "masquerade" if value.to is None else words_of(value.to)
        return f"{_item(value.source)} out {value.out}: {to}"
    if isinstance(value, DestinationNat):
        port = "" if value.to_ports is None else f" port {_item(value.to_ports)}"
        return f"{', '.join(value.sources)} -> {_item(value.destination)}: {words_of(value.to)}{port}"
    if isinstance(value, Route):
        return "drop" if value.blackhole else " ".join(filter(None, (value.via, value.interface)))
    assert isinstance(value, Settings)
    return "settings"


def _trusted(trust: Trust) -> str:
    words = ["watched"]
    if trust.alert is not None:
        words.append(f"told from {trust.alert} on")
    if trust.block is not None:
        words.append(f"blocked from {trust.block} on")
    return ", ".join(words)
