"""Whose answer is asked for: a text's alone, or the running gateway's with its routes, sets, bans and clock."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import msgspec

from appliance.asking.situation import MOST_MEMBERS, hop_of, members_of, naming, own_of, situation
from appliance.commands.failure import Failure
from appliance.commands.files import Baselines, ListFiles, baselines, folder_of, read_text, shown_name
from appliance.commands.gateway import Gateway, own_baselines
from appliance.commands.text import parse_text
from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live
from appliance.control.messages import why as messages_why
from appliance.control.messages.bans import Allowed, AllowList
from appliance.control.messages.indicators import IndicatorList, Indicators
from appliance.policy import addresses
from appliance.policy.answering.nearly import Rulebook
from appliance.policy.answering.reach import Hop
from appliance.policy.answering.why import Situation, of_text
from appliance.policy.model import Policy, Range


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
    return Asked(Rulebook(policy), of_text(policy, int(time.time())), own_of(own))


def _of_gateway(options: argparse.Namespace) -> Asked:
    gateway = Gateway(options)
    shown = gateway.ask(messages.Show(), messages.Shown)
    kept = Baselines([])
    kept.read.update(shown.inherited)
    policy, _ = parse_text(shown.text, f"generation {shown.summary.generation}", kept, shown.files)
    members: dict[str, frozenset[Range]] = {}
    for name in policy.dynamics:
        members[name] = members_of(gateway.ask(messages_live.Sets(name, MOST_MEMBERS), messages_live.SetList))
    known = gateway.ask(messages_why.Ways(()), messages_why.WayList)
    found = situation(
        policy,
        int(time.time()),
        _hops(gateway),
        members,
        gateway.ask(messages.Names(), messages.NameBook),
        gateway.ask(messages.Status(), messages.StatusReport),
        messages.BanList(tuple(banned(gateway))),
        gateway.ask(AllowList(), Allowed),
        known,
        _blocked(gateway),
    )
    return Asked(Rulebook(policy), found, own_of(own.address for own in known.own), gateway)


def banned(gateway: Gateway, word: str = "") -> Iterator[messages.BanEntry]:
    """Every ban that a word finds, newest first, page by page."""
    after = 0
    while True:
        page = gateway.ask(messages.Bans(word, after), messages.BanList)
        yield from page.bans
        after = page.after
        if not after:
            return


def _blocked(gateway: Gateway) -> Callable[[int, int], str]:
    """What alertd says of indicators that name an address. Where it does not answer nothing is said."""

    def blocked(version: int, address: int) -> str:
        words = addresses.text_of(version, address)
        try:
            return naming(words, gateway.ask(Indicators(holds=words, limit=1), IndicatorList, of="alertd"))
        except Failure:
            return ""

    return blocked


def _hops(gateway: Gateway) -> Callable[[int, int], Hop]:
    """The kernel's own answer, asked for when it is needed."""

    def hop(version: int, address: int) -> Hop:
        words = addresses.text_of(version, address)
        (way,) = gateway.ask(messages_why.Ways((words,)), messages_why.WayList).ways
        return hop_of(way)

    return hop
