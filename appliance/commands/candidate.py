"""The text that runs, as verbs edit it: nothing is applied, the edit is shown as a difference."""

from __future__ import annotations

import difflib

import msgspec

from appliance.commands.files import Baselines
from appliance.commands.gateway import Gateway
from appliance.commands.text import parse_text
from appliance.control.messages import gateway as messages
from appliance.policy.model import Policy


class Running(msgspec.Struct, frozen=True):
    """The text that runs, with what it takes to read it again after an edit."""

    name: str
    text: str
    policy: Policy
    inherited: dict[str, str]
    files: dict[str, str]

    def parsed(self, text: str) -> Policy:
        inherited = Baselines([])
        inherited.read.update(self.inherited)
        return parse_text(text, self.name, inherited, self.files)[0]


def running_text(gateway: Gateway) -> Running:
    shown = gateway.ask(messages.Show(), messages.Shown)
    name = f"generation {shown.summary.generation}"
    running = Running(name, shown.text, Policy(""), shown.inherited, shown.files)
    return msgspec.structs.replace(running, policy=running.parsed(shown.text))


def difference(running: Running, text: str) -> tuple[str, ...]:
    old, new = running.text.splitlines(), text.splitlines()
    return tuple(difflib.unified_diff(old, new, running.name, f"{running.name}, as proposed", lineterm="", n=3))
