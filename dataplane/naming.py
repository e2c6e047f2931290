"""What the running generation calls things, made into the engine's `Names`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from appliance.control.messages.gateway import NameBook
from appliance.policy import logprefix
from appliance.policy.model import GATEWAY
from ctypes_ext.engine import Names, RuleName


def zone_of_interface(book: NameBook | None) -> dict[str, str]:
    """Interface name to zone."""
    return {name: zone.name for zone in book.zones for name in zone.interfaces} if book else {}


def place_of_interface(book: NameBook | None) -> dict[str, str]:
    """Interface name to its zone, or the bridge that it is a line of."""
    bridges = {name: bridge.name for bridge in book.bridges for name in bridge.between} if book else {}
    return zone_of_interface(book) | bridges


def names_of(book: NameBook | None, links: Mapping[int, str]) -> Names:
    """The names for events of now: `links` are interface numbers and names. Before any generation runs
    (`book` None) interfaces are all that has a name."""
    names = Names(book.site if book else "")
    zones = place_of_interface(book)
    for number, name in links.items():
        names.interface(number, name, zones.get(name, ""))
    if book is None:
        return names
    known = {zone.name for zone in book.zones} | {GATEWAY}
    for zone, networks in book.networks.items():
        for network in networks:
            names.network(ip_network(network, strict=False), zone)
    for rule in (*book.rules, *(bridge.rule for bridge in book.bridges)):
        source, destination = _zones_said(rule.said, known)
        names.rule(
            rule.number,
            RuleName(
                rule.id,
                rule.action,
                source,
                destination,
                log_start=rule.log in ("start", "both"),
                log_end=rule.log in ("end", "both"),
            ),
        )
    return names


def _zones_said(said: str, known: set[str]) -> tuple[str, str]:
    """The zones of "lan -> internet web", where the words are one zone each."""
    source, arrow, rest = said.partition(" -> ")
    destination = rest.split(" ", 1)[0]
    if not arrow:
        return "", ""
    return (source if source in known else ""), (destination if destination in known else "")


def rule_of_prefix(prefix: bytes) -> RuleName:
    """What a log prefix says; an action of "" for one that another table wrote."""
    said = logprefix.parse(prefix.decode(errors="replace"))
    if said is None:
        return RuleName("", "")
    return RuleName(said.rule, said.action, said.source, said.destination, log_start=True)
