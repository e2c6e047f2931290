"""`reef where-used`: every place that names an object, service, zone, person …, and what the rules there matched."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping

import msgspec

from appliance.commands.failure import OK, REFUSED, USAGE, Failure
from appliance.commands.files import ListFiles, baselines, folder_of, read_text, shown_name
from appliance.commands.gateway import Gateway, own_baselines
from appliance.commands.names import Names, interval
from appliance.commands.observed import observed
from appliance.commands.problems import finding, summary
from appliance.commands.rules import last_hit, number
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count
from appliance.control.messages import gateway as messages
from appliance.control.messages.hits import HitList, Hits, RuleHits
from appliance.policy.addresses import AddressError
from appliance.policy.meant.uses import UnknownName, Use, Uses
from appliance.policy.problem import PolicyError


class Place(msgspec.Struct, frozen=True):
    """One place that names it, as `reef where-used --json` prints it.

    `through` are the names between, nearest first. `hits` and `last` are those of the rule that stands there, -1 and
    0 where none does or its history is not asked; `exact` says that they are all of what is asked for: the rule
    names nothing else under this key. With --seen, `seen` are the connections of this rule from or to its
    addresses that the flow log has, or that run; -1 where that is not known.
    """

    file: str
    line: int
    column: int
    holder: str
    key: str
    through: tuple[str, ...]
    taken: bool
    off: bool
    hits: int = -1
    last: float = 0.0
    exact: bool = False
    seen: int = -1
    holder_id: str = ""


class Named(msgspec.Struct, frozen=True):
    """One meaning of the name. `defined` is its place in the text, "" for what is built in or an address."""

    kind: str
    name: str
    defined: str
    places: tuple[Place, ...]


class Unused(msgspec.Struct, frozen=True):
    """A definition that nothing uses; `baseline` is the baseline that defines it."""

    kind: str
    name: str
    file: str
    line: int
    column: int
    baseline: str


def where_used(options: argparse.Namespace, terminal: Terminal) -> int:
    if bool(options.name) == options.unused:
        raise Failure("give a name, or --unused", "for example `reef where-used records`", code=USAGE, name="usage")
    uses = read(options)
    if options.unused:
        return _unused(uses, terminal)
    try:
        kinds = uses.kinds_of(options.name)
    except UnknownName as error:
        raise Failure(str(error), error.remedy, code=REFUSED, name="unknown") from error
    except AddressError as error:
        raise Failure(str(error), error.remedy, code=REFUSED, name="unknown") from error
    if options.file and options.seen is not None:
        raise Failure("--seen asks what runs, --file a text", "leave one of them out", code=USAGE, name="usage")
    hits = {} if options.file else _hits(options)
    name = options.name.removeprefix("group:")
    found = []
    for kind in kinds:
        defined = str(uses.definitions[kind, name].span) if (kind, name) in uses.definitions else ""
        places = tuple(_place(use, hits) for use in uses.of(kind, name))
        if options.seen is not None:
            places = _with_seen(places, kind, name, options, terminal)
        found.append(Named(kind, name, defined, places))
    if terminal.json:
        terminal.data({"names": found})
        return OK
    for one in found:
        _show(one, terminal)
    return OK


def read(options: argparse.Namespace) -> Uses:
    """The uses in FILE, or in the text that runs. Raises `Failure`."""
    if not options.file:
        return uses_of(Gateway(options))
    inherited = baselines(options.file, None, own_baselines(options))
    return _uses(read_text(options.file), shown_name(options.file), inherited, ListFiles(folder_of(options.file)))


def uses_of(gateway: Gateway) -> Uses:
    """The uses in the text that runs. Raises `Failure`."""
    shown = gateway.ask(messages.Show(), messages.Shown)
    return _uses(shown.text, f"generation {shown.summary.generation}", shown.inherited, shown.files)


def _uses(text: str, name: str, inherited: Mapping[str, str], files: Mapping[str, str]) -> Uses:
    try:
        return Uses(text, name, inherited=inherited, files=files)
    except PolicyError as error:
        findings = [finding(problem) for problem in error.problems]
        raise Failure(f"{name}: refused, {summary(findings)}", findings=findings, texts={name: text}) from error


def _hits(options: argparse.Namespace) -> dict[str, RuleHits]:
    """The history by rule; without one the places are said all the same."""
    try:
        return {one.id: one for one in Gateway(options).ask(Hits(), HitList).rules}
    except Failure as failure:
        if failure.name != "store":
            raise
        return {}


def _place(use: Use, hits: dict[str, RuleHits]) -> Place:
    one = hits.get(use.holder_id) if use.holder_kind in ("rule", "published service", "translation") else None
    return Place(
        file=use.span.file,
        line=use.span.line,
        column=use.span.column,
        holder=use.holder,
        key=use.key,
        through=use.through,
        taken=use.taken,
        off=use.off,
        hits=one.hits if one is not None else -1,
        last=one.last if one is not None else 0.0,
        exact=one is not None and use.alone and not use.through,
        holder_id=use.holder_id,
    )


def _with_seen(
    places: tuple[Place, ...], kind: str, name: str, options: argparse.Namespace, terminal: Terminal
) -> tuple[Place, ...]:
    """The places with what the flow log has of the addresses themselves: exact, whatever else the rules name."""
    gateway = Gateway(options)
    said = (name,) if kind == "address" else Names(gateway.ask(messages.Names(), messages.NameBook)).ranges(name)
    ranges = [interval(words) for words in said]
    rules = sorted({place.holder_id for place in places if place.hits >= 0})
    if not ranges or not rules:
        return places
    now = time.time()
    found = observed(gateway, rules, now - options.seen, now)
    if not found.every:
        terminal.note("no flow log is kept: --seen counts only the connections of rules with `log`", "yellow")
    for words in found.missing:
        terminal.note(f"not looked at: {escape(words)}", "yellow")

    def seen(place: Place) -> int:
        total = 0
        for one in (*found.rules.get(place.holder_id, ()), *found.running.get(place.holder_id, ())):
            number = one.source if place.key == "source" else one.destination
            total += one.times * any(v == one.version and low <= number <= high for v, low, high in ranges)
        return total

    return tuple(
        msgspec.structs.replace(place, seen=seen(place)) if place.hits >= 0 and place.key in _SIDES else place
        for place in places
    )


# The keys under which a rule names addresses.
_SIDES = ("source", "destination")


def _show(one: Named, terminal: Terminal) -> None:
    defined = f", defined at {one.defined}" if one.defined else ""
    terminal.line(f"{one.kind} {escape(one.name)}{escape(defined)}: {count(len(one.places), 'place')}", "bold")
    now = time.time()
    rows = [
        (
            f"{place.file}:{place.line}:{place.column}",
            place.holder,
            f"not in {place.key}" if place.taken else place.key,
            " in ".join(place.through),
            "" if place.hits < 0 else number(place.hits) if place.exact else f"≤ {number(place.hits)}",
            "" if place.hits < 0 else last_hit(place.last, now),
            "" if place.seen < 0 else number(place.seen),
            "off" if place.off else "",
        )
        for place in one.places
    ]
    heads = ("where", "who", "as", "through", "hits", "last hit", "seen", "state")
    terminal.table(heads, rows, right={4, 6}, styles=["dim" if p.off else "" for p in one.places], empty="not used")


def _unused(uses: Uses, terminal: Terminal) -> int:
    found = [
        Unused(one.kind, one.name, one.span.file, one.span.line, one.span.column, one.baseline)
        for one in uses.unused()
    ]
    if terminal.json:
        terminal.data({"unused": found})
        return OK
    own = [one for one in found if not one.baseline]
    rows = [(f"{one.file}:{one.line}:{one.column}", one.kind, one.name) for one in own]
    terminal.table(("where", "kind", "name"), rows, empty="everything that the text defines is used")
    inherited = len(found) - len(own)
    if inherited:
        terminal.note(
            f"{count(inherited, 'definition')} of baselines not used here either (--json names them)", "dim"
        )
    return OK
