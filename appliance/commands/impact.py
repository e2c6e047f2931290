"""`reef impact`: which logged flows a candidate would have decided otherwise; the plan of an apply shows the same."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from appliance.commands.failure import OK, Failure
from appliance.commands.files import list_files, read_text, shown_name
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time, size, took
from appliance.control.messages.impact import Impact, Impacted
from appliance.policy.answering.impact import ImpactGroup, Tally

SHOWN = 20  # groups that are printed; `--all` and `--json` have the rest
PLAN_DAYS = 7
PLAN_SECONDS = 0.3  # what a plan waits for at most
PLAN_SHOWN = 5

# Sign, style and what the candidate makes of the flows.
_KINDS = {
    "denied": ("-", "red", "would be denied"),
    "allowed": ("+", "green", "would be let through"),
    "elsewhere": ("~", "yellow", "would go elsewhere"),
    "refused": ("~", "yellow", "would be denied in another way"),
    "another-rule": (" ", "dim", "would be decided alike by another rule"),
}


def impact(options: argparse.Namespace, terminal: Terminal) -> int:
    text, name = read_text(options.file), options.called or shown_name(options.file)
    request = Impact(text, name, list_files(text, options.file), days=options.days, addresses=options.addresses)
    found = Gateway(options).ask(request, Impacted, texts={name: text})
    if terminal.json:
        terminal.data(found)
    else:
        _show(found, terminal, options.days, SHOWN if not options.all else len(found.groups))
    return OK


def show_in_plan(gateway: Gateway, text: str, name: str, files: dict[str, str], terminal: Terminal) -> None:
    """The short form, of the newest flows only where there are many. A plan is one without it, too."""
    request = Impact(text, name, files, days=PLAN_DAYS, seconds=PLAN_SECONDS)
    try:
        found = gateway.ask(request, Impacted, texts={name: text})
    except Failure as failure:
        if failure.name != "nothing-runs":
            terminal.note(f"real traffic was not looked at: {escape(str(failure))}", "yellow")
        return
    _show(found, terminal, PLAN_DAYS, PLAN_SHOWN, more=f" (`reef impact {escape(name)}` shows them)")


def _show(found: Impacted, terminal: Terminal, days: int, most: int, more: str = " (--all shows them)") -> None:
    told = [group for group in found.groups if group.kind != "another-rule"]
    alike = sum(group.flows for group in found.groups if group.kind == "another-rule")
    terminal.line(_head(found, told, days), "bold")
    for group in told[:most]:
        for line, style in _lines(group):
            terminal.line(line, style)
    hidden = len(told) - most + found.unlisted if len(told) > most else found.unlisted
    if hidden > 0:
        terminal.line(f"  … and {count(hidden, 'group')} more{more}", "bold")
    if alike:
        terminal.line(f"{count(alike, 'flow')} would be decided alike, by another rule.", "dim")
    if found.unsure:
        terminal.note(f"{count(found.unsure, 'flow')} may differ: it depends on the source port, which is not kept")
    for words in found.missing:
        terminal.note(f"not complete: {escape(words)}", "yellow")


def _head(found: Impacted, told: Sequence[ImpactGroup], days: int) -> str:
    looked = f"{count(found.flows, 'flow')} of the last {count(days, 'day')} ({took(found.seconds)})"
    if not found.flows:
        return f"Real traffic: no flows of the last {count(days, 'day')}."
    if not told:
        return f"Real traffic: none of {looked} would be decided otherwise."
    return (
        f"Real traffic: {count(sum(group.flows for group in told), 'flow')} of {looked} would be decided otherwise:"
    )


def _lines(group: ImpactGroup) -> Iterator[tuple[str, str]]:
    sign, style, words = _KINDS[group.kind]
    zones = f"{group.from_zone} -> {group.to_zone}"
    yield (
        escape(f"  {sign} {zones}: {count(group.flows, 'flow')} {words}, {size(group.bytes)}, ")
        + f"last {local_time(group.last)}",
        style,
    )
    yield escape(f"      {_by(group.rule, group.action, group.owner)}; now "
                 f"{_by(group.rule_now, group.action_now, group.owner_now)}"), ""  # fmt: skip
    ends = f"{_places(group.from_places, group.sources)} to {_places(group.to_places, group.destinations)}"
    yield escape(f"      {_tallies(group.services)}; {ends}"), "dim"


def _by(rule: str, action: str, owner: str) -> str:
    return f"{action} by {rule}" + (f" of {owner}" if owner else "")


def _tallies(found: Sequence[Tally]) -> str:
    return ", ".join(f"{tally.words} {tally.flows}" for tally in found)


def _places(found: Sequence[Tally], hosts: int) -> str:
    return f"{', '.join(tally.words for tally in found)} ({count(hosts, 'host')})"
