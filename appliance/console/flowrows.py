"""Connections in the policy's words, as the console tells them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from appliance.commands.names import Names
from appliance.control.messages.gateway import NameBook
from appliance.control.messages.live import Flow

_PORTLESS = frozenset({"icmp", "icmpv6"})


class FlowRow(msgspec.Struct, frozen=True):
    """A connection: who began it, whom it reached (behind destination NAT; `asked` is what it asked for where that is
    something else), and the rule that let it through.

    `id` is its number in digits: they are more than a number of a browser holds. `sent` and `received` are bytes from
    and to who began it, -1 where the kernel does not count; `age` in seconds, -1 where it keeps no time.
    """

    id: str
    protocol: str
    source: str
    source_port: int
    source_name: str
    source_zone: str
    destination: str
    destination_port: int
    destination_name: str
    destination_zone: str
    asked: str
    service: str
    state: str
    inspection: str
    rule: str
    said: str
    sent: int
    received: int
    packets_sent: int
    packets_received: int
    age: int
    timeout: int


class Book:
    """The names of a generation, made when they are asked for first."""

    def __init__(self) -> None:
        self._of: NameBook | None = None
        self._names = Names()

    def names(self, book: NameBook | None) -> Names:
        if book is not self._of:
            self._of, self._names = book, Names(book)
        return self._names


def row(flow: Flow, names: Names) -> FlowRow:
    ported = flow.protocol not in _PORTLESS
    port = flow.reply_source_port if ported else 0
    outer = flow.destination_port if ported else 0
    translated = (flow.reply_source, port) != (flow.destination, outer)
    rule = names.rules.get(flow.rule)
    return FlowRow(
        str(flow.id) if flow.id else "",
        flow.protocol,
        flow.source,
        flow.source_port if ported else 0,
        names.object_of(flow.source),
        names.zone_of_address(flow.source),
        flow.reply_source,
        port,
        names.object_of(flow.reply_source),
        names.zone_of_address(flow.reply_source),
        (_end(flow.destination, outer)) if translated else "",
        names.service(flow.protocol, port),
        flow.state,
        flow.inspection,
        flow.rule,
        rule.said if rule is not None else "",
        *flow.bytes,
        *flow.packets,
        flow.age,
        flow.timeout,
    )


def between(rows: Iterable[FlowRow], zone: str) -> list[FlowRow]:
    """Those with an end in a zone."""
    return [one for one in rows if zone in (one.source_zone, one.destination_zone)]


def _end(address: str, port: int) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
