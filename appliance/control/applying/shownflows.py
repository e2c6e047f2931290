"""Connections in the policy's words, for `reef show flows`."""

from __future__ import annotations

import asyncio
import socket
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_network
from typing import Literal

import msgspec

from appliance.control.kernel.conntrack import WITH_PORTS, Address, Flow, flows
from appliance.control.messages.gateway import Refused, Reply
from appliance.control.messages.live import Flow as ShownFlow
from appliance.control.messages.live import FlowList, Flows
from appliance.policy import addresses
from appliance.policy.compiling.bundle import FLAGS_QUEUE, MARK_GENERATION, Bundle, RuleInfo, generation_mark
from appliance.policy.model import Range

_PROTOCOLS = {
    number: name.removeprefix("IPPROTO_").lower()
    for name, number in vars(socket).items()
    if name.startswith("IPPROTO_") and name not in ("IPPROTO_IP", "IPPROTO_RAW", "IPPROTO_MAX")
}


# A connection that the running generation forbids: the kernel drops its packets, and remembers it until it times out.
CUT = "cut"


class FlowDesk:
    """Who asks for connections. A big table takes seconds to read: it is read beside the loop, one at a time, so that
    it keeps nobody from confirming or banning."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def answer(self, request: Flows, bundle: Bundle | None) -> Reply:
        if bundle is None:
            return Refused("nothing-runs", "no generation runs yet; `reef apply` one")
        async with self._one:
            try:
                return await asyncio.to_thread(_read, request, bundle)
            except ValueError as error:
                return Refused("bad-host", str(error))


def _read(request: Flows, bundle: Bundle) -> FlowList:
    return shown_flows(flows(), request, bundle.generation, bundle.rules)


def shown_flows(known: Iterable[Flow], request: Flows, generation: int, infos: Sequence[RuleInfo]) -> FlowList:
    """Those of `known` that the request asks for, under the rules of the running generation. Raises ValueError for a
    `host` that is no address and no network, and for `hosts` that are none and no range."""
    rules = {info.number: info.id for info in infos}
    allowing = frozenset(info.number for info in infos if info.action == "allow")
    inspecting = frozenset(info.number for info in infos if info.inspect)
    stamp = generation_mark(generation)
    wanted = [flow for flow in known if _rule(flow, rules) == request.rule] if request.rule else list(known)
    if request.id:
        wanted = [flow for flow in wanted if flow.id == request.id]
    if request.host:
        host = ip_network(request.host, strict=False)
        wanted = [flow for flow in wanted if any(address in host for address in _addresses(flow))]
    if request.hosts:
        spans = addresses.normal([addresses.literal(one) for one in request.hosts])
        wanted = [flow for flow in wanted if any(_within(address, spans) for address in _addresses(flow))]
    if request.port:
        wanted = [flow for flow in wanted if request.port in _ports(flow)]
    if request.order:
        wanted.sort(key=_ORDER[request.order], reverse=True)
    now = time.time_ns()
    return FlowList(
        generation,
        len(wanted),
        tuple(
            msgspec.structs.replace(
                _shown(flow, rules, _state(flow, stamp, allowing), now),
                inspection=_inspection(flow, stamp, inspecting),
            )
            for flow in wanted[request.skip : request.skip + request.limit]
        ),
    )


_ORDER: dict[str, Callable[[Flow], int]] = {
    "biggest": lambda flow: sum(flow.bytes),
    "newest": lambda flow: flow.started,
}


def _addresses(flow: Flow) -> tuple[Address, ...]:
    return flow.original.source, flow.original.destination, flow.reply.source, flow.reply.destination


def _within(address: Address, spans: Sequence[Range]) -> bool:
    """Whether one of them holds it; they are disjoint and in order."""
    version, number = address.version, int(address)
    place = bisect_right(spans, Range(version, number, addresses.LAST[version])) - 1
    return place >= 0 and spans[place].version == version and number <= spans[place].last


def _ports(flow: Flow) -> tuple[int, ...]:
    """The ports of both ends; what has none has numbers of its own in their place."""
    one, other = flow.original, flow.reply
    if one.protocol not in WITH_PORTS:
        return ()
    return one.source_port, one.destination_port, other.source_port, other.destination_port


def _state(flow: Flow, stamp: int, allowing: frozenset[int]) -> str:
    """The kernel's state; or that a rule let it in that does so no more, or that a later decision did not."""
    if not flow.rule:
        return flow.state
    decided = flow.mark & MARK_GENERATION
    return CUT if not decided or (decided != stamp and flow.rule not in allowing) else flow.state


def _inspection(flow: Flow, stamp: int, inspecting: frozenset[int]) -> Literal["", "judged", "handed back"]:
    """A connection that an earlier generation decided is decided, and inspected, anew at its next packet."""
    if flow.rule not in inspecting:
        return ""
    handed_back = flow.mark & MARK_GENERATION == stamp and not flow.mark & FLAGS_QUEUE
    return "handed back" if handed_back else "judged"


def _rule(flow: Flow, rules: dict[int, str]) -> str:
    return rules.get(flow.rule, "") if flow.rule else ""


def _shown(flow: Flow, rules: dict[int, str], state: str, now: int) -> ShownFlow:
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
        state=state,
        rule=_rule(flow, rules),
        packets=flow.packets,
        bytes=flow.bytes,
        age=(now - flow.started) // 1_000_000_000 if flow.started else -1,
        timeout=flow.timeout,
        id=flow.id,
    )


def protocol_name(number: int) -> str:
    return _PROTOCOLS.get(number, str(number))
