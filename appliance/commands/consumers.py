"""`reef consumers`: who may have what the gateway sees, how far each has it, and a token for one of them."""

from __future__ import annotations

import argparse
import hashlib
import secrets

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.terminal import Terminal, escape
from appliance.commands.words import count, local_time
from appliance.control.messages.events import ConsumerInfo, ConsumerList, Consumers

_OF = "alertd"
_BYTES = 32  # of a token: as many as its digest, so that nobody ever finds another that has the same


def listing(options: argparse.Namespace, terminal: Terminal) -> int:
    answer = Gateway(options).ask(Consumers(), ConsumerList, of=_OF)
    if terminal.json:
        terminal.data(answer)
        return OK
    terminal.table(
        ("consumer", "may have", "up to", "has", "waiting", "last seen", "sent to", "owner"),
        [_row(one) for one in answer.consumers],
        empty="the policy names no consumers",
    )
    percent = 100 * answer.used // answer.size
    terminal.note(f"the newest event is number {answer.last}; the outbox uses {percent} % of its size")
    if answer.listens:
        terminal.note(f"the API answers at {', '.join(answer.listens)}; certificate SHA-256 {answer.fingerprint}")
    if answer.words:
        terminal.note(answer.words, "yellow")
    for one in answer.consumers:
        if one.error:
            terminal.note(f"{one.name} does not take what is sent: {one.error}", "red")
    if answer.room != "all":
        what = "telemetry is" if answer.room == "no-telemetry" else "events are"
        terminal.note(f"the outbox has no room: {what} not taken in until somebody takes what waits", "red")
    return OK


def _row(one: ConsumerInfo) -> tuple[str, ...]:
    fields = (
        one.name, ", ".join(one.collections), one.tlp, str(one.position), count(one.waiting, "event"),
        local_time(one.seen) if one.seen else "never", one.pushed, one.owner,
    )  # fmt: skip
    return tuple(escape(field) for field in fields)


def token(options: argparse.Namespace, terminal: Terminal) -> int:
    """A new one each time; nobody keeps it. What the policy gets is its digest."""
    made = secrets.token_urlsafe(_BYTES)
    digest = hashlib.sha256(made.encode("ascii")).hexdigest()
    if terminal.json:
        terminal.data({"consumer": options.name, "token": made, "digest": f"sha256:{digest}"})
        return OK
    terminal.line(f"The token, for {options.name} alone; it is shown this once and kept nowhere:")
    terminal.line(f"  {made}")
    terminal.line(f"In the policy, under consumers: {options.name}:")
    terminal.line(f"  token: sha256:{digest}")
    return OK
