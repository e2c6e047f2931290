"""`reef ips suppress`, `reef ips escalate`: the edit of the policy text, as a candidate. Nothing else changes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import msgspec

from appliance.commands.candidate import Running, difference, running_text
from appliance.commands.failure import OK, REFUSED, USAGE, Failure
from appliance.commands.files import list_files, read_text, shown_name
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.text import show_lines
from appliance.durable import replace
from appliance.policy.model import Policy
from appliance.policy.written import edit_inspection
from appliance.policy.written.edit import EditError

_SID = re.compile(r"(?:[0-9]{1,10}:)?[0-9]{1,10}")


class Candidate(msgspec.Struct, frozen=True):
    """What `--json` prints: the id that is new or the profile that changes, the difference, and where it was written.

    `text` is the candidate, whole."""

    changed: str
    diff: tuple[str, ...]
    file: str
    text: str


def suppress(options: argparse.Namespace, terminal: Terminal) -> int:
    sid = _sid(options.sid)
    base = _base(options)
    place = _place(options.place, base.policy)
    ident = options.id or edit_inspection.free_name([one.id for one in base.policy.suppressions], "S-")
    keys = {
        "id": ident,
        "signatures": f"sid {sid}",
        **place,
        "owner": _quoted(options.owner),
        "why": _quoted(options.why),
        "expires": options.expires,
    }
    return _show(base, lambda text: edit_inspection.suppress(text, keys), ident, options, terminal)


def escalate(options: argparse.Namespace, terminal: Terminal) -> int:
    words = f"sid {_sid(options.sid)}"
    base = _base(options)
    name = options.profile or _only_profile(base.policy)
    if name not in base.policy.profiles:
        known = ", ".join(base.policy.profiles)
        raise Failure(f"there is no profile {name!r}", f"there are {known}", code=REFUSED, name="unknown")

    changed = name
    own = base.policy.profiles[name].span
    if own is not None and own.file == base.name:

        def edit(text: str) -> str:
            return edit_inspection.react(text, name, words, options.action)
    else:  # built in, or of a baseline: what rules here are inspected under becomes one of their own
        changed = edit_inspection.free_name(base.policy.profiles, f"{name}-here-")

        def edit(text: str) -> str:
            return edit_inspection.own_profile(text, changed, name, words, options.action)

    return _show(base, edit, changed, options, terminal)


def _base(options: argparse.Namespace) -> Running:
    """The text that is edited: the file, or what runs."""
    running = running_text(Gateway(options)) if not options.file else None
    if running is not None:
        return running
    text, name = read_text(options.file), shown_name(options.file)
    base = Running(name, text, Policy(""), _inherited(options), list_files(text, options.file))
    return msgspec.structs.replace(base, policy=base.parsed(text))


def _inherited(options: argparse.Namespace) -> dict[str, str]:
    """Baselines of a file are those that run."""
    try:
        return running_text(Gateway(options)).inherited
    except Failure:
        return {}


def _sid(words: str) -> str:
    if not _SID.fullmatch(words):
        raise Failure(f"{words!r} is no number of a signature", "write 2019401 or 1:2", code=USAGE, name="usage")
    return words


def _place(words: str, policy: Policy) -> dict[str, str]:
    """Where: connections that come from a zone, or of a host, network or object, whichever side it is on."""
    if words in policy.zones:
        return {"from": words}
    if words in policy.objects:
        return {"host": words}
    try:
        network = ip_network(words)
    except ValueError as error:
        remedy = "name a zone or an object of the policy, an address or a network"
        raise Failure(f"{words!r} is nothing of the policy, and no address", remedy, name="unknown") from error
    return {"host": str(network.network_address) if network.num_addresses == 1 else str(network)}


def _only_profile(policy: Policy) -> str:
    used = sorted({rule.inspect for rule in policy.rules if rule.inspect})
    if len(used) != 1:
        message = "rules are inspected under " + (", ".join(used) if used else "no profile")
        raise Failure(message, "say --profile NAME" if used else "give a rule `inspect`", code=USAGE, name="usage")
    return used[0]


def _quoted(words: str) -> str:
    """A text as it is written in the policy, whatever is in it."""
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _show(
    base: Running, edit: Callable[[str], str], changed: str, options: argparse.Namespace, terminal: Terminal
) -> int:
    try:
        text = edit(base.text)
    except EditError as error:
        raise Failure(str(error), error.remedy, code=REFUSED, name="edit") from error
    base.parsed(text)  # a candidate that is no policy is none
    diff = difference(base, text)
    file = options.output
    if file:
        try:
            replace(Path(file), text.encode(), mode=0o644)
        except OSError as error:
            raise Failure(f"{file}: {error.strerror}", "name another file", name="unreadable") from error
    if terminal.json:
        terminal.data(Candidate(changed, diff, file, text))
        return OK
    show_lines(diff, terminal)
    if file:
        terminal.note(escape(f"written to {file}; nothing runs yet: reef plan {file}, then reef apply {file}"))
    else:
        terminal.note("nothing runs yet; --output FILE writes the text for reef plan and reef apply")
    return OK
