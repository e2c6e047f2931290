"""`reef unmask`: whom a pseudonym stands for, when two persons ask."""

from __future__ import annotations

import argparse

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.control.messages.privacy import Unmask, Unmasked

_MINUTE = 60


def unmask(options: argparse.Namespace, terminal: Terminal) -> int:
    found = Gateway(options).ask(Unmask(options.pseudonym, options.why), Unmasked, of="alertd")
    minutes = max(1, found.seconds // _MINUTE)
    if terminal.json:
        terminal.data(found)
    elif found.second:
        terminal.line(escape(f"{found.pseudonym} is {found.address}"))
        terminal.note(escape(f"{found.first} and {found.second} asked; both may ask again for {minutes} minutes"))
    else:
        words = f"{found.first} wants to know who it is; another person must ask too, within {minutes} minutes"
        terminal.line(escape(words))
    return OK
