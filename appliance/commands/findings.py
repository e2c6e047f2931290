"""`reef findings`: what the detections found, in their own words, newest last."""

from __future__ import annotations

import argparse
import time
from typing import Any

import msgspec

from appliance.commands.failure import FORBIDDEN, OK, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.logline import networks_of
from appliance.commands.names import Names
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time, parse_moment
from appliance.events import view
from dataplane.detections.finding import KIND, Finding, of_event

LATEST = 20
_STYLES = {1: "red", 2: "yellow"}


def findings(options: argparse.Namespace, terminal: Terminal) -> int:
    unknown = [kind for kind in options.kind if kind not in KIND]
    if unknown:
        words = f"no such finding: {', '.join(unknown)}"
        raise Failure(words, f"known are {', '.join(KIND)}", code=USAGE, name="usage")
    gateway = Gateway(options, patience=5.0)
    try:
        selection = view.Selection(
            since=parse_moment(options.since, time.time()) if options.since else None,
            types=("alert",),
            networks=networks_of(options.host, Names()),
        )
        found = [one for event in view.past(gateway.instance.events, selection) if (one := of_event(event))]
    except ValueError as error:
        raise Failure(str(error), code=USAGE, name="usage") from error
    except PermissionError as error:
        raise Failure(
            f"{error.filename}: {error.strerror}",
            "be root or in the operators' group to read findings",
            code=FORBIDDEN,
            name="not-allowed",
        ) from error
    if options.kind:
        found = [one for one in found if one.kind in options.kind]
    limit = options.limit or (None if options.since else LATEST)
    left_out = max(0, len(found) - limit) if limit else 0
    found = found[left_out:]
    if terminal.json:
        terminal.data({"findings": [as_data(one) for one in found], "left_out": left_out})
        return OK
    show(found, terminal)
    if left_out:
        terminal.note(f"{count(left_out, 'finding')} before these; --since and --limit show more")
    elif not found:
        terminal.note("no such finding" if options.kind or options.host or options.since else "nothing was found yet")
    return OK


def as_data(found: Finding) -> dict[str, Any]:
    """A finding for programs, with what all of its kind have in common."""
    kind = KIND[found.kind]
    common = {"title": kind.title, "severity": kind.severity, "technique": kind.technique, "number": kind.number}
    said: dict[str, Any] = msgspec.to_builtins(found)
    return common | said


def show(found: list[Finding], terminal: Terminal) -> None:
    for one in found:
        kind = KIND[one.kind]
        again = f", {one.again} times since it was told last" if one.again else ""
        head = f"{local_time(one.time)}  {kind.title} ({one.kind}, confidence {one.confidence}{again})"
        terminal.line(escape(head), _STYLES.get(kind.severity, "bold"))
        terminal.line(escape(f"  {one.words}."))
        terminal.line(escape(f"  {one.remedy}."), "dim")
