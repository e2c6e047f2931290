"""Completion on TAB: the scripts of the shells, and the answers to what they ask."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterable

import argcomplete
from argcomplete.shell_integration import shellcode

from appliance.commands.failure import OK, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal
from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live
from appliance.control.messages.indicators import IndicatorList, Indicators
from appliance.policy.model import GATEWAY
from appliance.policy.written.services import WELL_KNOWN


def script(options: argparse.Namespace, terminal: Terminal) -> int:
    terminal.line(shellcode(["reef"], shell=options.shell))
    return OK


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell (argcomplete's protocol) and end the process."""
    _attach(parser)
    if " lab " in os.environ.get("COMP_LINE", ""):
        _attach_lab(parser)
    argcomplete.autocomplete(parser)


def _attach_lab(parser: argparse.ArgumentParser) -> None:
    """The lab has a command line of its own, which takes time to load."""
    from appliance.lab.demo import parser as lab_parser

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            action.choices["lab"] = lab_parser()


# What is known only to the running gateway. TAB must never fail, so a gateway that is away completes nothing.
def _generations(gateway: Gateway) -> Iterable[str]:
    listed = gateway.ask(messages.History(), messages.HistoryList).generations
    return [str(one.generation) for one in listed]


def _rules(gateway: Gateway) -> Iterable[str]:
    return [rule.id for rule in gateway.ask(messages.Names(), messages.NameBook).rules]


def _zones(gateway: Gateway) -> Iterable[str]:
    return [zone.name for zone in gateway.ask(messages.Names(), messages.NameBook).zones]


def _ends(gateway: Gateway) -> Iterable[str]:
    book = gateway.ask(messages.Names(), messages.NameBook)
    return [*book.objects, *(zone.name for zone in book.zones), GATEWAY]


def _sets(gateway: Gateway) -> Iterable[str]:
    return [one.name for one in gateway.ask(messages_live.Sets(), messages_live.SetList).sets]


def _bans(gateway: Gateway) -> Iterable[str]:
    return [one.address for one in gateway.ask(messages.Bans(), messages.BanList).bans]


def _people(gateway: Gateway) -> Iterable[str]:
    from appliance.commands.whereused import uses_of

    return [name for kind, name in uses_of(gateway).definitions if kind == "person"]


def _services(gateway: Gateway) -> Iterable[str]:
    own = gateway.ask(messages.Names(), messages.NameBook).services
    return [*own, *(name for name in WELL_KNOWN if name not in own)]


def _sources(gateway: Gateway) -> Iterable[str]:
    return [one.name for one in gateway.ask(Indicators(limit=0), IndicatorList, of="alertd").sources]


def _overridden(gateway: Gateway) -> Iterable[str]:
    return [one[0] for one in gateway.ask(Indicators(limit=0), IndicatorList, of="alertd").overrides]


def _used(gateway: Gateway) -> Iterable[str]:
    from appliance.commands.whereused import uses_of

    return uses_of(gateway).names


_ASKED = {
    ("rollback", "generation"): _generations,
    ("generation", "generation"): _generations,
    ("diff", "old"): _generations,
    ("diff", "new"): _generations,
    ("flows", "rule"): _rules,
    ("suggest", "rule"): _rules,
    ("log", "rule"): _rules,
    ("log", "zone"): _zones,
    ("sets", "name"): _sets,
    ("where-used", "name"): _used,
    ("remove", "addresses"): _bans,
    ("list", "source"): _sources,
    ("add", "source"): _sources,
    ("override", "value"): _overridden,
    ("restore", "value"): _overridden,
    ("why", "from_"): _ends,
    ("why", "to"): _ends,
    ("why", "in_"): _zones,
    ("why", "as_"): _people,
    ("why", "what"): _services,
}


def _attach(parser: argparse.ArgumentParser, verb: str = "") -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                _attach(child, name)
        elif (verb, action.dest) in _ASKED:
            setattr(action, "completer", _completer(_ASKED[verb, action.dest]))  # noqa: B010  # argcomplete's own way


def _completer(ask: Callable[[Gateway], Iterable[str]]) -> Callable[..., list[str]]:
    def complete_one(parsed_args: argparse.Namespace, **_: object) -> list[str]:
        with contextlib.suppress(Failure):
            return list(ask(Gateway(parsed_args, patience=1.0)))
        return []

    return complete_one
