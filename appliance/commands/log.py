"""`reef log`: what the gateway decided and saw, from the spools of its processes, one line per event."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from appliance.commands.failure import FORBIDDEN, OK, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.logline import STYLES, line_of, networks_of, today, verdict
from appliance.commands.names import Names
from appliance.commands.terminal import Terminal
from appliance.commands.words import count, parse_moment
from appliance.control.messages import gateway as messages
from appliance.events import record, view
from appliance.events.record import Event

# How many of the last events are shown when nothing says how many.
LATEST = 100
BEFORE_FOLLOWING = 10
_RENEW = 5.0  # seconds after which the names are asked for again, since a new generation may run
_OVERLAP = 2.0  # seconds around the begin of following in which an event may be seen twice


class Vocabulary:
    """The names of the running generation, kept up to date while the log is followed."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.names = Names(gateway.ask(messages.Names(), messages.NameBook))
        self._asked = time.monotonic()

    def current(self) -> Names:
        if time.monotonic() - self._asked > _RENEW:
            self._asked = time.monotonic()
            # While the daemon is away the log goes on with the names it has.
            with contextlib.suppress(Failure):
                self.names = Names(self._gateway.ask(messages.Names(), messages.NameBook))
        return self.names


class _Plain:
    """Stands in for the vocabulary while nobody can be asked: addresses stay as they are."""

    names = Names()

    def current(self) -> Names:
        return self.names


def log(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options, patience=5.0)
    vocabulary = _vocabulary(gateway, terminal)
    selection = _selection(options, vocabulary.names)
    events = gateway.instance.events
    limit = options.limit
    if limit is None and options.since is None:
        limit = BEFORE_FOLLOWING if options.follow else LATEST
    show = _printer(terminal, vocabulary)
    try:
        if options.follow:
            _follow(events, selection, limit, show, terminal)
            return OK
        found = view.past(events, selection, limit=limit)
    except PermissionError as error:
        raise Failure(
            f"{error.filename}: {error.strerror}",
            "be root or in the operators' group to read the log",
            code=FORBIDDEN,
            name="not-allowed",
        ) from error
    for event in found:
        show(event)
    if not found and not terminal.json:
        terminal.note("no such event" if _chosen(selection) else "nothing was logged yet")
    elif limit == LATEST and len(found) == limit and not terminal.json:
        terminal.note(f"the last {count(limit, 'event')}; --since and --limit show more")
    return OK


def _vocabulary(gateway: Gateway, terminal: Terminal) -> Vocabulary | _Plain:
    try:
        return Vocabulary(gateway)
    except Failure as failure:
        if failure.name == "no-gateway":
            raise
        # The log must be readable when policyd is dead: that is when it is needed.
        terminal.note(f"without names: {failure.message}", "yellow")
        return _Plain()


def _selection(options: argparse.Namespace, names: Names) -> view.Selection:
    now = time.time()
    try:
        return view.Selection(
            since=parse_moment(options.since, now) if options.since else None,
            until=parse_moment(options.until, now) if options.until else None,
            types=tuple(options.type),
            rules=tuple(options.rule),
            actions=tuple(options.action),
            zones=tuple(options.zone),
            networks=networks_of(options.host, names),
        )
    except ValueError as error:
        raise Failure(str(error), code=USAGE, name="usage") from error


def _chosen(selection: view.Selection) -> bool:
    return selection != view.Selection()


def _printer(terminal: Terminal, vocabulary: Vocabulary | _Plain) -> Callable[[Event], None]:
    def words(event: Event) -> None:
        terminal.line(line_of(event, vocabulary.current(), today()), STYLES.get(verdict(event), ""))

    return terminal.record if terminal.json else words


def _follow(
    events: Path, selection: view.Selection, limit: int | None, show: Callable[[Event], None], terminal: Terminal
) -> None:
    begun = record.format_time(time.time() - _OVERLAP)
    coming = view.follow(events, selection, lambda: False)  # its place is taken now, before the past is read
    past = view.past(events, selection, limit=limit)
    for event in past:
        show(event)
    terminal.out.flush()
    twice = {record.encode(event) for event in past if event.timestamp >= begun}
    for item in coming:
        if isinstance(item, view.Lost):
            terminal.note(f"{count(item.records, 'event')} of {item.process} are lost", "red bold")
        elif not twice or record.encode(item) not in twice:
            show(item)
            terminal.out.flush()
