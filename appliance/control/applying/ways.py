"""Which way packets to an address would leave (`Ways`), and what the gateway's own addresses are."""

from __future__ import annotations

from appliance.control.kernel.rtnetlink import Routing
from appliance.control.messages.gateway import Refused, Reply
from appliance.control.messages.why import WayList, Ways
from appliance.policy.model import InterfaceAddress

MOST_WAYS = 64  # addresses of one question


def ways(request: Ways, routing: Routing, links: dict[int, str]) -> Reply:
    """`links` are names of interfaces by their numbers."""
    own = sorted(address for address in routing.addresses() if address.index in links)
    try:
        found = tuple(routing.way(address, links) for address in request.addresses[:MOST_WAYS])
    except ValueError as error:
        return Refused("bad-address", str(error))
    return WayList(found, tuple(InterfaceAddress(links[one.index], one.address) for one in own))
