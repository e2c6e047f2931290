"""Where addresses are, as the running generation says it."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from appliance.control.messages.gateway import NameBook
from dataplane.detections.surroundings import Surroundings
from dataplane.naming import zone_of_interface


def around(book: NameBook | None, lines: Mapping[int, str] | None = None) -> Surroundings:
    """Where addresses are, as the running generation says it. `lines`: the zones of interfaces by number."""
    if book is None:
        return Surroundings()
    networks = {
        zone: tuple(ip_network(text, strict=False) for text in texts) for zone, texts in book.networks.items()
    }
    outer = [zone.name for zone in book.zones if zone.external]
    elsewhere = [name for name in outer if not networks.get(name)]
    own = (ip_address(one.address.partition("/")[0]).packed for one in book.addresses)
    return Surroundings(networks, outer, own, elsewhere[0] if len(elsewhere) == 1 else "", lines)


def zones_of(book: NameBook | None, links: Mapping[int, str]) -> dict[int, str]:
    """The zones of interfaces; `links` are their names."""
    zones = zone_of_interface(book)
    return {number: zones[name] for number, name in links.items() if name in zones}
