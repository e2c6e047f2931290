"""The traffic that an edit opens and closes, as `reef diff`, `plan` and `apply` print it."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count
from appliance.control.messages.traffic import TrafficChange, TrafficDifference

SHOWN = 20  # lines of each kind; `--all` and `--json` have the rest


def show_traffic(traffic: TrafficDifference | None, terminal: Terminal, *, everything: bool) -> None:
    """Nothing is printed where nothing ran before: all of it would be new."""
    if traffic is None:
        return
    if not (traffic.opened or traffic.closed or traffic.other or traffic.undecided):
        terminal.line("No packet is decided otherwise than before.", "bold")
    for head, mark, style, changes in (
        ("Opened", "+", "green", traffic.opened),
        ("Closed", "-", "red", traffic.closed),
        ("Denied otherwise", "~", "yellow", traffic.other),
    ):
        if changes:
            terminal.line(f"{head}, {count(len(changes), 'line')}:", "bold")
            _lines(changes, mark, style, terminal, everything=everything)
    if traffic.unlisted:
        terminal.line(f"… and {traffic.unlisted} more lines of traffic that are not listed", "bold")
    for words in traffic.undecided:
        terminal.note(f"not decided: {escape(words)}; there may be more than is listed", "yellow")


def _lines(changes: Sequence[TrafficChange], mark: str, style: str, terminal: Terminal, *, everything: bool) -> None:
    for change in changes if everything else changes[:SHOWN]:
        terminal.line(f"  {mark} {escape(change.words)}", style)
        terminal.line(f"      for example {escape(change.example)}", "dim")
    if not everything and len(changes) > SHOWN:
        terminal.line(f"  … and {len(changes) - SHOWN} more (--all shows them)", "bold")
