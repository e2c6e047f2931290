"""Connections in the policy's words, for `reef show flows`."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from ipaddress import ip_address

from appliance.control.conntrack import Flow
from appliance.control.messages import Flow as ShownFlow
from appliance.control.messages import FlowList, Flows

_PROTOCOLS = {
    number: name.removeprefix("IPPROTO_").lower()
    for name, number in vars(socket).items()
    if name.startswith("IPPROTO_") and name not in ("IPPROTO_IP", "IPPROTO_RAW", "IPPROTO_MAX")
}


def shown_flows(flows: Iterable[Flow], request: Flows, generation: int, rules: dict[int, str]) -> FlowList:
    """Those of `flows` that the request asks for; `rules` maps rule numbers to ids. Raises ValueError for a `host`
    that is no address."""
    wanted = [flow for flow in flows if _rule(flow, rules) == request.rule] if request.rule else list(flows)
    if request.host:
        host = ip_address(request.host)
        wanted = [
            flow
            for flow in wanted
            if host in (flow.original.source, flow.original.destination, flow.reply.source, flow.reply.destination)
        ]
    now = time.time_ns()
    return FlowList(generation, len(wanted), tuple(_shown(flow, rules, now) for flow in wanted[: request.limit]))


def _rule(flow: Flow, rules: dict[int, str]) -> str:
    return rules.get(flow.rule, "") if flow.rule else ""


def _shown(flow: Flow, rules: dict[int, str], now: int) -> ShownFlow:
    original, reply = flow.original, flow.reply
    return ShownFlow(
        protocol=protocol_name(original.protocol),
        source=str(original.source),
        source_port=original.source_port,
        destination=str(original.destination),
        destination_port=original.destination_port,
        reply_source=str(reply.source),
        reply_source_port=reply.source_port,
        reply_destination=str(reply.destination),
        reply_destination_port=reply.destination_port,
        state=flow.state,
        rule=_rule(flow, rules),
        packets=flow.packets,
        bytes=flow.bytes,
        age=(now - flow.started) // 1_000_000_000 if flow.started else -1,
        timeout=flow.timeout,
    )


def protocol_name(number: int) -> str:
    return _PROTOCOLS.get(number, str(number))
