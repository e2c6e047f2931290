"""The lab's map: hosts, the cables between them, their addresses and what each of them serves. Pure values.

Addresses are those that RFC 5737, RFC 3849 and RFC 1918 set apart for documentation and private use. They
exist only inside the lab's network namespaces, so that every lab can have the same ones.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Service = Literal["web", "dns", "mail"]
Habit = Literal["office", "attacker", "partner", "server", "visitor", "csirt"]


class Interface(msgspec.Struct, frozen=True):
    """One end of a cable. `bridge` is the bridge of this host that it is a port of, `mac` its hardware address where
    that matters. One that is not `plugged` stays down until somebody plugs it in.
    """

    name: str
    addresses: tuple[str, ...] = ()  # CIDR
    bridge: str = ""
    mac: str = ""
    plugged: bool = True


class Host(msgspec.Struct, frozen=True):
    """One network namespace.

    `routes` are (destination, via). `forwards`: it is a router. `reef`: it is a gateway that runs Reef: what
    its interfaces get comes from its policy, not from here. `masquerade` names the interface behind whose
    address a simple router hides its LAN. `habit` is the traffic the host makes by itself.
    """

    name: str
    does: str
    interfaces: tuple[Interface, ...] = ()
    bridges: tuple[Interface, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    forwards: bool = False
    reef: bool = False
    masquerade: str = ""
    resolver: str = ""
    services: tuple[Service, ...] = ()
    habit: Habit | None = None


class Cable(msgspec.Struct, frozen=True):
    """(host, interface) at both ends."""

    a: tuple[str, str]
    b: tuple[str, str]


class Topology(msgspec.Struct, frozen=True):
    """`names` is what the lab's DNS host answers: name -> addresses."""

    hosts: tuple[Host, ...]
    cables: tuple[Cable, ...]
    names: dict[str, tuple[str, ...]] = {}

    def host(self, name: str) -> Host:
        """Raises KeyError."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)


DNS4, DNS6 = "198.51.100.53", "2001:db8:5::53"
WEB4, WEB6 = "198.51.100.80", "2001:db8:5::80"
MAIL4, MAIL6 = "198.51.100.25", "2001:db8:5::25"
CSIRT4, CSIRT6 = "198.51.100.40", "2001:db8:5::40"
CSIRT_TOKEN = "of-this-lab-and-known-to-everybody"  # noqa: S105 - the lab's policy has its digest
GATEWAY4, GATEWAY6 = "203.0.113.2", "2001:db8:a::2"
HOSTILE4, HOSTILE6 = "203.0.113.66", "2001:db8:a::66"
# What else the hostile host calls itself: who scans or attacks is banned, and comes back by another address.
SCANNERS = tuple(f"203.0.113.{number}" for number in range(101, 109))
INTRUDERS = tuple(f"203.0.113.{number}" for number in range(111, 119))
FLOODER = "203.0.113.121"
PROBERS = tuple(f"203.0.113.{number}" for number in range(141, 149))
BY_HAND = ("203.0.113.131", "203.0.113.132", "203.0.113.133")  # for who tries it: nothing comes from there by itself
PARTNER4, PARTNER6 = "192.0.2.2", "2001:db8:b::2"
MANAGEMENT = "10.20.0.1"  # where administrators find the gateway
ADMINISTRATOR = "lan1"  # the one workstation that may manage it
CONSOLE_NAME = "gateway.localhost"  # what they type in a browser: RFC 6761 has it on their own machine
LAN1, LAN2, DMZ = "10.20.0.11", "10.20.0.12", "10.21.0.10"
VISITOR, VISITOR_MAC = "10.20.0.77", "b8:27:eb:20:07:77"  # by its maker's number a Raspberry Pi


def _plain(name: str, does: str, addresses: tuple[str, str], routers: tuple[str, str], **more: object) -> Host:
    """A host with one interface, `eth0`, and a default route of each family."""
    fields: dict[str, object] = {
        "name": name,
        "does": does,
        "interfaces": [{"name": "eth0", "addresses": addresses}],
        "routes": [("default", router) for router in routers],
        **more,
    }
    return msgspec.convert(fields, Host)


def _internet() -> Host:
    """The Internet: a router with the gateway's access network, a network of servers, and the partner's line."""
    return Host(
        "inet",
        "the Internet: a router",
        forwards=True,
        bridges=(
            Interface("access", ("203.0.113.1/24", "2001:db8:a::1/64")),
            Interface("servers", ("198.51.100.1/24", "2001:db8:5::1/64")),
        ),
        interfaces=(
            Interface("gw", bridge="access"),
            Interface("hostile", bridge="access"),
            Interface("web", bridge="servers"),
            Interface("dns", bridge="servers"),
            Interface("mail", bridge="servers"),
            Interface("csirt", bridge="servers"),
            Interface("gw2", ("192.0.2.1/24", "2001:db8:b::1/64")),
        ),
        # What the provider routes to its customers. The ministry's private IPv4 networks are not among it.
        routes=(("2001:db8:20::/48", GATEWAY6), ("2001:db8:30::/48", PARTNER6)),
    )


def _second_router() -> Host:
    return Host(
        "gw2",
        "the second ministry's router",
        forwards=True,
        masquerade="wan0",
        interfaces=(
            Interface("wan0", (f"{PARTNER4}/24", f"{PARTNER6}/64")),
            Interface("lan0", ("10.30.0.1/24", "2001:db8:30:1::1/64")),
        ),
        routes=(("default", "192.0.2.1"), ("default", "2001:db8:b::1")),
    )


def _second_gateway() -> Host:
    return Host(
        "gw2",
        "the second ministry's gateway, running Reef",
        reef=True,
        interfaces=(Interface("wan0"), Interface("lan0")),
    )


def ministry(*, two_gateways: bool = False) -> Topology:
    """The site of `make run`: a ministry behind a gateway, the Internet, a hostile neighbour, a second ministry.

    The second ministry stands behind a simple router, or with `two_gateways` behind a Reef gateway of its own.
    """
    servers = ("198.51.100.1", "2001:db8:5::1")
    lan = (MANAGEMENT, "2001:db8:20:1::1")
    # The attacker sends what is meant for the ministry's inner networks straight to the gateway.
    inward = (("10.20.0.0/16", GATEWAY4), ("10.21.0.0/24", GATEWAY4), ("2001:db8:20::/48", GATEWAY6))
    hosts = (
        _internet(),
        _plain("web", "a web server on the Internet", (f"{WEB4}/24", f"{WEB6}/64"), servers, services=("web",)),
        _plain("dns", "the DNS server of the Internet", (f"{DNS4}/24", f"{DNS6}/64"), servers, services=("dns",)),
        _plain("mail", "a mail server on the Internet", (f"{MAIL4}/24", f"{MAIL6}/64"), servers, services=("mail",)),
        _plain(
            "csirt", "the national CSIRT", (f"{CSIRT4}/24", f"{CSIRT6}/64"), servers, resolver=DNS4, habit="csirt"
        ),
        Host(
            "hostile",
            "a hostile host on the gateway's access network",
            interfaces=(
                Interface(
                    "eth0",
                    (
                        f"{HOSTILE4}/24",
                        f"{HOSTILE6}/64",
                        *(f"{address}/24" for address in (*SCANNERS, *INTRUDERS, FLOODER, *PROBERS, *BY_HAND)),
                    ),
                ),
            ),
            routes=(("default", "203.0.113.1"), ("default", "2001:db8:a::1"), *inward),
            resolver=DNS4,
            habit="attacker",
        ),
        Host(
            "gw",
            "the ministry's gateway, running Reef",
            reef=True,
            interfaces=(Interface("wan0"), Interface("lan0"), Interface("dmz0")),
        ),
        Host(
            "lan",
            "the switch of the ministry's LAN",
            bridges=(Interface("switch"),),
            interfaces=tuple(Interface(port, bridge="switch") for port in ("gw", "lan1", "lan2", "visitor")),
        ),
        _plain(
            "lan1",
            "an administrator's workstation",
            (f"{LAN1}/16", "2001:db8:20:1::11/64"),
            lan,
            resolver=DNS4,
            habit="office",
        ),
        _plain(
            "lan2",
            "an officer's workstation",
            (f"{LAN2}/16", "2001:db8:20:1::12/64"),
            lan,
            resolver=DNS4,
            habit="office",
        ),
        _plain(
            "dmz",
            "the ministry's published web server",
            (f"{DMZ}/24", "2001:db8:20:2::10/64"),
            ("10.21.0.1", "2001:db8:20:2::1"),
            resolver=DNS4,
            services=("web",),
            habit="server",
        ),
        Host(
            "visitor",
            "a small computer that somebody plugs into the ministry's LAN",
            interfaces=(Interface("eth0", (f"{VISITOR}/16",), mac=VISITOR_MAC, plugged=False),),
            habit="visitor",
        ),
        _second_gateway() if two_gateways else _second_router(),
        _plain(
            "m2",
            "a workstation of the second ministry",
            ("10.30.0.11/24", "2001:db8:30:1::11/64"),
            ("10.30.0.1", "2001:db8:30:1::1"),
            resolver=DNS4,
            habit="partner",
        ),
    )
    cables = (
        *(Cable(("inet", port), (port, "eth0")) for port in ("web", "dns", "mail", "csirt", "hostile")),
        Cable(("inet", "gw"), ("gw", "wan0")),
        Cable(("inet", "gw2"), ("gw2", "wan0")),
        Cable(("lan", "gw"), ("gw", "lan0")),
        *(Cable(("lan", port), (port, "eth0")) for port in ("lan1", "lan2", "visitor")),
        Cable(("dmz", "eth0"), ("gw", "dmz0")),
        Cable(("gw2", "lan0"), ("m2", "eth0")),
    )
    names: dict[str, tuple[str, ...]] = {
        "www.example.org": (WEB4, WEB6),
        "updates.example.org": (WEB4, WEB6),
        "mail.example.org": (MAIL4, MAIL6),
        "dns.example.org": (DNS4, DNS6),
        "csirt.example.org": (CSIRT4, CSIRT6),
        "www.health.example": (GATEWAY4, "2001:db8:20:2::10"),
        "gw.health.example": (GATEWAY4, GATEWAY6),
        "gw.education.example": (PARTNER4, PARTNER6),
    }
    return Topology(hosts, cables, names)
