"""`reef show flows`: the connections that pass now, in the policy's words."""

from __future__ import annotations

import argparse

import msgspec

from appliance.commands.failure import OK
from appliance.commands.gateway import Gateway
from appliance.commands.names import Names
from appliance.commands.terminal import Terminal
from appliance.commands.words import duration, size
from appliance.control.messages import gateway as messages
from appliance.control.messages import live as messages_live

# States of connections that nothing passes through any more.
OVER = {"time-wait", "close", "cut"}


class FlowLine(msgspec.Struct, frozen=True):
    """One flow of `reef show flows --json`: the kernel's facts, and zones and names beside them."""

    flow: messages_live.Flow
    source_zone: str
    destination_zone: str
    source_name: str
    destination_name: str


def flows(options: argparse.Namespace, terminal: Terminal) -> int:
    gateway = Gateway(options)
    names = Names(gateway.ask(messages.Names(), messages.NameBook))
    request = messages_live.Flows(options.limit, options.rule, options.host, 0, options.port, options.sort)
    listed = gateway.ask(request, messages_live.FlowList)
    if terminal.json:
        lines = [
            FlowLine(
                flow,
                names.zone_of_address(flow.source),
                names.zone_of_address(inner(flow)[0]),
                names.object_of(flow.source),
                names.object_of(inner(flow)[0]),
            )
            for flow in listed.flows
        ]
        terminal.data({"generation": listed.generation, "total": listed.total, "flows": lines})
        return OK
    shown = [flow for flow in listed.flows if options.all or flow.state not in OVER]
    rows = [flow_row(flow, names) for flow in shown]
    heads = ("rule", "zones", "from", "to", "service", "state", "sent", "received", "age", "id")
    terminal.table(heads, rows, right={6, 7, 8, 9}, empty="no flow passes now")
    if hidden := len(listed.flows) - len(shown):
        terminal.note(f"{hidden} more have ended and are only remembered; --all shows them")
    if listed.total > len(listed.flows):
        terminal.note(
            f"{len(listed.flows)} of {listed.total} flows; --limit, --rule, --host and --port choose others"
        )
    return OK


def inner(flow: messages_live.Flow) -> tuple[str, int]:
    """Where the flow ends behind destination NAT: what answers come from. Port 0 where there are none."""
    return flow.reply_source, 0 if flow.protocol in _PORTLESS else flow.reply_source_port


_PORTLESS = {"icmp", "icmpv6"}


def flow_row(flow: messages_live.Flow, names: Names) -> tuple[str, ...]:
    address, port = inner(flow)
    target = names.host(address)
    outer_port = 0 if flow.protocol in _PORTLESS else flow.destination_port
    if (address, port) != (flow.destination, outer_port):
        target += f" as {flow.destination}:{outer_port}" if outer_port else f" as {flow.destination}"
    zones = f"{names.zone_of_address(flow.source) or '?'} → {names.zone_of_address(address) or '?'}"
    return (
        flow.rule or "-",
        zones,
        names.host(flow.source),
        target,
        names.service(flow.protocol, port),
        f"{flow.state}, {flow.inspection}" if flow.inspection else flow.state,
        size(flow.bytes[0]),
        size(flow.bytes[1]),
        duration(flow.age) if flow.age >= 0 else "",
        str(flow.id) if flow.id else "",
    )
