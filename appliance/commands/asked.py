"""Whose answer is asked for: a text's alone, or the running gateway's with its routes, sets, bans and clock."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable

import msgspec

from appliance.commands.failure import Failure
from appliance.commands.files import Baselines, ListFiles, baselines, folder_of, read_text, shown_name
from appliance.commands.gateway import Gateway, own_baselines
from appliance.commands.text import parse_text
from appliance.control import messages, messages_live, messages_why
from appliance.control.messages_bans import Allowed, AllowList
from appliance.control.messages_indicators import IndicatorList, Indicators
from appliance.policy import addresses
from appliance.policy.model import Policy, Range
from appliance.policy.nearly import Rulebook
from appliance.policy.reach import NOWHERE, Hop
from appliance.policy.why import Situation, nobody, of_text

_MOST_MEMBERS = 65536


class Asked(msgspec.Struct, frozen=True):
    """A policy, what it is asked in, and the gateway that runs it (None for a text)."""

    book: Rulebook
    situation: Situation
    own: tuple[tuple[int, int], ...]  # the gateway's own addresses: (version, number)
    gateway: Gateway | None = None

    @property
    def policy(self) -> Policy:
        return self.book.policy


def asked(options: argparse.Namespace) -> Asked:
    """The policy of `--file`, or the running one. Raises `Failure`."""
    return _of_file(options) if options.file else _of_gateway(options)


def _of_file(options: argparse.Namespace) -> Asked:
    inherited = baselines(options.file, None, own_baselines(options))
    text, name, files = read_text(options.file), shown_name(options.file), ListFiles(folder_of(options.file))
    policy, _ = parse_text(text, name, inherited, files)
    own = [own.address for zone in policy.zones.values() for own in zone.addresses]
    return Asked(Rulebook(policy), of_text(policy, int(time.time())), _plain(own))


def _of_gateway(options: argparse.Namespace) -> Asked:
    gateway = Gateway(options)
    shown = gateway.ask(messages.Show(), messages.Shown)
    kept = Baselines([])
    kept.read.update(shown.inherited)
    policy, _ = parse_text(shown.text, f"generation {shown.summary.generation}", kept, shown.files)
    members: dict[str, frozenset[Range]] = {}
    for name in policy.dynamics:
        sets = gateway.ask(messages_live.Sets(name, _MOST_MEMBERS), messages_live.SetList).sets
        members[name] = frozenset(addresses.literal(element) for one in sets for element in one.elements)
    book = gateway.ask(messages.Names(), messages.NameBook)
    said = {rule.id: rule.action for rule in policy.rules}
    status = gateway.ask(messages.Status(), messages.StatusReport)
    bans = gateway.ask(messages.Bans(), messages.BanList).bans
    entries = gateway.ask(AllowList(), Allowed).entries
    allowed = addresses.normal(addresses.literal(entry.address) for entry in entries)
    known = gateway.ask(messages_why.Ways(()), messages_why.WayList)
    situation = Situation(
        now=int(time.time()),
        hop=_hops(gateway),
        blocked=_blocked(gateway, allowed) if policy.indicators.sources else nobody,
        own=_first_of(known),
        members=members,
        bans=tuple(
            (part, _banned(ban))
            for ban in bans
            for part in addresses.without((addresses.literal(ban.address),), allowed)
        ),
        enforced={rule.id: rule.action for rule in book.rules if said.get(rule.id, rule.action) != rule.action},
        omitted=_omitted(status.omitted),
    )
    return Asked(Rulebook(policy), situation, _plain(own.address for own in known.own), gateway)


def _hops(gateway: Gateway) -> Callable[[int, int], Hop]:
    """The kernel's own answer, asked for when it is needed."""

    def hop(version: int, address: int) -> Hop:
        words = addresses.text_of(version, address)
        (way,) = gateway.ask(messages_why.Ways((words,)), messages_why.WayList).ways
        return Hop(way.interface, way.via, way.source) if way.reachable else Hop(NOWHERE)

    return hop


def _blocked(gateway: Gateway, allowed: tuple[Range, ...]) -> Callable[[int, int], str]:
    """What alertd says of indicators that name an address. Where it does not answer nothing is said."""

    def blocked(version: int, address: int) -> str:
        if any(part.version == version and part.first <= address <= part.last for part in allowed):
            return ""
        words = addresses.text_of(version, address)
        try:
            found = gateway.ask(Indicators(holds=words, limit=1), IndicatorList, of="alertd").indicators
        except Failure:
            return ""
        return "".join(
            f"dropped whatever the rules say: an indicator of {one.source} names {words}: {one.name or one.id}"
            for one in found
        )

    return blocked


def _first_of(known: messages_why.WayList) -> dict[tuple[str, int], int]:
    """What masquerade uses: the first address of an interface that is not only for its line."""
    found: dict[tuple[str, int], int] = {}
    for own in known.own:
        ((version, number),) = _plain([own.address])
        if version == 4 or number >> 118 != 0xFE80 >> 6:
            found.setdefault((own.interface, version), number)
    return found


def _plain(words: Iterable[str]) -> tuple[tuple[int, int], ...]:
    return tuple(addresses.address(one.partition("/")[0]) for one in words)


def _banned(ban: messages.BanEntry) -> str:
    return f" by {ban.by}" + (f": {ban.reason}" if ban.reason else "")


def _omitted(lines: tuple[str, ...]) -> dict[str, str]:
    """`rule R-1: inspection strict needs …` by the rule's id."""
    found: dict[str, str] = {}
    for line in lines:
        head, colon, words = line.partition(": ")
        if colon and head.startswith("rule "):
            found[head.removeprefix("rule ")] = words
    return found
