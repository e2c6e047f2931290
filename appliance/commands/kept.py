"""`reef ips evidence`, `reef ips files`: what the taps kept of traffic, and taking it out of the store."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from string import hexdigits

import msgspec

from appliance.commands.failure import CONFLICT, FORBIDDEN, OK, USAGE, Failure
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time, size
from appliance.events import view
from appliance.events.record import Event
from appliance.events.stored import Held, NotWhatItSays, held, save

SHORT = 16  # figures of a digest in the table; a command takes as many as are unique
_SHORTEST = 4
_PROCESS = "inspectd"  # whose stores they are
_DAY = 86_400.0
_KEPT = re.compile(r"packets kept: ([0-9a-f]{64})")


class Carried(msgspec.Struct, frozen=True):
    """A flow in which it was: `alerts` are the rules that alerted there, `name` and `kind` those of a file."""

    time: float
    flow: int
    source: str
    destination: str
    protocol: str
    alerts: tuple[str, ...]
    name: str = ""
    kind: str = ""


class Kept(msgspec.Struct, frozen=True):
    """One file of a store. `flows`: those of the log that speak of it, oldest first; none when the log is older."""

    digest: str
    size: int
    written: float
    flows: tuple[Carried, ...]


class KeptList(msgspec.Struct, frozen=True):
    """What `reef ips evidence --json` and `reef ips files --json` print."""

    kept: tuple[Kept, ...]
    bytes: int


class Saved(msgspec.Struct, frozen=True):
    """What `save --json` prints."""

    digest: str
    size: int
    file: str


# --- what is there ------------------------------------------------------------------------------------------


def matched(stored: Iterable[Held], events: Iterable[Event]) -> tuple[Kept, ...]:
    """Each file of a store with the flows that the log knows of it. Pure."""
    alerts: dict[int, dict[str, None]] = {}
    spoken: dict[str, dict[int, Event]] = {}
    for event in events:
        flow = event.flow_id or 0
        if event.alert is not None:
            alerts.setdefault(flow, {})[_rule(event.alert)] = None
        elif digest := _digest(event):
            spoken.setdefault(digest, {}).setdefault(flow, event)
    return tuple(
        Kept(
            one.digest,
            one.size,
            one.written,
            tuple(_carried(event, tuple(alerts.get(flow, ()))) for flow, event in spoken.get(one.digest, {}).items()),
        )
        for one in stored
    )


def _digest(event: Event) -> str:
    if event.fileinfo is not None:
        return str(event.fileinfo.get("sha256", ""))
    if event.engine is not None and event.engine.get("module") == "evidence":
        found = _KEPT.match(str(event.engine.get("message", "")))
        return found[1] if found else ""
    return ""


def _rule(alert: dict[str, object]) -> str:
    return f"{alert.get('gid', 1)}:{alert.get('signature_id', 0)} {alert.get('signature', '')}".rstrip()


def _carried(event: Event, alerts: tuple[str, ...]) -> Carried:
    file = event.fileinfo or {}
    return Carried(
        event.time.timestamp(),
        event.flow_id or 0,
        _end(event.src_ip, event.src_port),
        _end(event.dest_ip, event.dest_port),
        event.app_proto or event.proto.lower(),
        alerts,
        str(file.get("filename", "")),
        str(file.get("magic", "")),
    )


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


# --- the commands -------------------------------------------------------------------------------------------


class _Shelf:
    """One of the two stores of a gateway."""

    def __init__(self, options: argparse.Namespace, store: str) -> None:
        self._gateway = Gateway(options)
        self.folder = self._gateway.instance.state_of(_PROCESS) / store
        self.store = store

    def command(self, verb: str) -> str:
        return self._gateway.command(f"ips {self.store} {verb}")

    def stored(self) -> list[Held]:
        try:
            return held(self.folder)
        except PermissionError as error:
            raise _forbidden(error) from error
        except OSError as error:
            raise Failure(f"{self.folder}: {error.strerror}", name="store") from error

    def kept(self, stored: list[Held]) -> tuple[Kept, ...]:
        """With what the log says of them; a flow may have begun a day before its bytes were written."""
        if not stored:
            return ()
        since = min(one.written for one in stored) - _DAY
        kind = "fileinfo" if self.store == "files" else "engine"
        selection = view.Selection(since=since, types=(kind, "alert"))
        try:
            return matched(stored, view.past(self._gateway.instance.events, selection))
        except PermissionError as error:
            raise _forbidden(error) from error

    def one(self, begin: str) -> Held:
        """The only file whose digest begins so."""
        begin = begin.lower()
        if not _SHORTEST <= len(begin) <= 64 or not set(begin) <= set(hexdigits):
            raise Failure(
                f"{escape(begin)}: not a digest",
                f"write {_SHORTEST} to 64 of its hexadecimal figures",
                code=USAGE,
                name="usage",
            )
        found = [one for one in self.stored() if one.digest.startswith(begin)]
        if not found:
            raise Failure(f"{begin}: nothing of that digest is kept", f"see {self.command('list')}", name="not-kept")
        if len(found) > 1:
            raise Failure(
                f"{begin}: {count(len(found), 'digest')} begin so",
                "write more of it: " + ", ".join(one.digest[: len(begin) + 8] for one in found[:5]),
                name="ambiguous",
            )
        return found[0]


def _forbidden(error: OSError) -> Failure:
    return Failure(
        f"{error.filename}: {error.strerror}", "what is kept says what people say: only root may look at it",
        code=FORBIDDEN, name="not-allowed",
    )  # fmt: skip


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    shelf = _Shelf(options, options.store)
    stored = shelf.stored()
    kept = shelf.kept(stored)
    amount = sum(one.size for one in stored)
    if terminal.json:
        terminal.data(KeptList(kept, amount))
        return OK
    rows = [_row(one) for one in kept]
    heads = ("kept", "flow", "from", "to", "protocol", "rule", "name", "size", "sha-256")
    terminal.table(heads, rows, right={7}, empty=f"nothing is kept; settings.keep_{shelf.store} says what is")
    if rows:
        noun = ("file", "") if shelf.store == "files" else ("capture", "")
        terminal.line(f"{count(len(rows), *noun)}, {size(amount)}", "dim")
    return OK


def _row(one: Kept) -> tuple[str, ...]:
    last = one.flows[-1] if one.flows else Carried(one.written, 0, "", "", "", ())
    rule = last.alerts[0] if last.alerts else ""
    more = f" and {len(last.alerts) - 1} more" if len(last.alerts) > 1 else ""
    return (
        local_time(last.time),
        str(last.flow or ""),
        last.source,
        last.destination,
        last.protocol,
        rule + more,
        last.name,
        size(one.size),
        one.digest[:SHORT],
    )


def show(options: argparse.Namespace, terminal: Terminal) -> int:
    shelf = _Shelf(options, options.store)
    [one] = shelf.kept([shelf.one(options.digest)])
    if terminal.json:
        terminal.data(one)
        return OK
    terminal.line(one.digest, "bold")
    terminal.line(f"{size(one.size)}, written {local_time(one.written)}")
    for flow in one.flows:
        terminal.line()
        terminal.line(f"{local_time(flow.time)}  flow {flow.flow}, {escape(flow.protocol)}")
        terminal.line(escape(f"  {flow.source} → {flow.destination}"))
        if flow.name or flow.kind:
            terminal.line(escape("  " + ", ".join(words for words in (flow.name, flow.kind) if words)))
        for alert in flow.alerts:
            terminal.line(escape(f"  rule {alert}"), "yellow")
    if not one.flows:
        terminal.note("the log does not speak of it any more")
    terminal.note(f"{shelf.command('save')} {one.digest[:SHORT]} FILE takes it out")
    return OK


def save_one(options: argparse.Namespace, terminal: Terminal) -> int:
    shelf = _Shelf(options, options.store)
    one = shelf.one(options.digest)
    to = Path(options.file)
    try:
        amount = save(shelf.folder, one.digest, to)
    except FileExistsError as error:
        raise Failure(
            f"{escape(str(to))} is there already", "name a file that is not", code=CONFLICT, name="exists"
        ) from error
    except NotWhatItSays as error:
        raise Failure(
            f"{one.digest} is not what its name says: {error}",
            "nothing was written; the store was tampered with, or the disk is failing: see reef doctor",
            name="digest",
        ) from error
    except OSError as error:
        raise Failure(f"{escape(str(error.filename or to))}: {error.strerror}", name="store") from error
    if terminal.json:
        terminal.data(Saved(one.digest, amount, str(to)))
        return OK
    terminal.line(f"{escape(str(to))}: {size(amount)}, SHA-256 {one.digest}")
    if shelf.store == "evidence":
        terminal.note(f"reef inspect {escape(str(to))} looks into it")
    else:
        terminal.note("it came from the network: do not open it outside of a place made for that", "yellow")
    return OK
