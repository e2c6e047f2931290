"""Where addresses are, as the running generation says it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from appliance.control.messages import NameBook
from dataplane.detections.surroundings import Surroundings


def around(book: NameBook | None) -> Surroundings:
    """Where addresses are, as the running generation says it."""
    if book is None:
        return Surroundings()
    networks = {
        zone: tuple(ip_network(text, strict=False) for text in texts) for zone, texts in book.networks.items()
    }
    lines = [zone.name for zone in book.zones if zone.external]
    elsewhere = [name for name in lines if not networks.get(name)]
    own = (ip_address(one.address.partition("/")[0]).packed for one in book.addresses)
    return Surroundings(networks, lines, own, elsewhere[0] if len(elsewhere) == 1 else "")
