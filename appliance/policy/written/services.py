"""What service words mean: `tcp/443`, `udp/68 from 67`, `icmp/echo-request`, `esp`, and well-known names."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.policy.model import ServiceEntry
from appliance.policy.written.kinds import did_you_mean

# https://www.iana.org/assignments/protocol-numbers
WITH_PORTS = {"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132, "udplite": 136}
WITHOUT_PORTS = {
    "igmp": 2,
    "ipip": 4,
    "ipv6-in-ip": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
    "l2tp": 115,
}
ICMP, ICMPV6 = 1, 58

# https://www.iana.org/assignments/icmp-parameters; (types, code)
ICMP_TYPES: dict[str, tuple[int, int | None]] = {
    "echo-reply": (0, None),
    "destination-unreachable": (3, None),
    "network-unreachable": (3, 0),
    "host-unreachable": (3, 1),
    "port-unreachable": (3, 3),
    "fragmentation-needed": (3, 4),
    "redirect": (5, None),
    "echo-request": (8, None),
    "router-advertisement": (9, None),
    "router-solicitation": (10, None),
    "time-exceeded": (11, None),
    "parameter-problem": (12, None),
    "timestamp-request": (13, None),
    "timestamp-reply": (14, None),
}
# https://www.iana.org/assignments/icmpv6-parameters
ICMPV6_TYPES: dict[str, tuple[int, int | None]] = {
    "destination-unreachable": (1, None),
    "no-route": (1, 0),
    "admin-prohibited": (1, 1),
    "port-unreachable": (1, 4),
    "packet-too-big": (2, None),
    "time-exceeded": (3, None),
    "parameter-problem": (4, None),
    "echo-request": (128, None),
    "echo-reply": (129, None),
    "mld-query": (130, None),
    "mld-report": (131, None),
    "mld-done": (132, None),
    "router-solicitation": (133, None),
    "router-advertisement": (134, None),
    "neighbour-solicitation": (135, None),
    "neighbor-solicitation": (135, None),
    "neighbour-advertisement": (136, None),
    "neighbor-advertisement": (136, None),
    "redirect": (137, None),
    "mld2-report": (143, None),
}

# Names that every policy may use and redefine nowhere. Ports: IANA service names and port numbers.
WELL_KNOWN: dict[str, tuple[str, ...]] = {
    "ping": ("icmp/echo-request", "icmpv6/echo-request"),
    "traceroute": ("udp/33434-33534", "icmp/echo-request", "icmpv6/echo-request"),
    "ssh": ("tcp/22",),
    "telnet": ("tcp/23",),
    "ftp": ("tcp/21",),
    "smtp": ("tcp/25",),
    "submission": ("tcp/587", "tcp/465"),
    "imap": ("tcp/143",),
    "imaps": ("tcp/993",),
    "pop3s": ("tcp/995",),
    "dns": ("udp/53", "tcp/53"),
    "dns-over-tls": ("tcp/853",),
    "dhcp": ("udp/67 from 68",),
    "dhcp-reply": ("udp/68 from 67",),
    "dhcpv6": ("udp/547 from 546",),
    "http": ("tcp/80",),
    "https": ("tcp/443",),
    "http3": ("udp/443",),
    "ntp": ("udp/123",),
    "nts": ("tcp/4460",),
    "snmp": ("udp/161",),
    "snmp-trap": ("udp/162",),
    "ldap": ("tcp/389",),
    "ldaps": ("tcp/636",),
    "kerberos": ("tcp/88", "udp/88"),
    "radius": ("udp/1812-1813",),
    "radsec": ("tcp/2083",),
    "syslog": ("udp/514",),
    "syslog-tls": ("tcp/6514",),
    "smb": ("tcp/445",),
    "nfs": ("tcp/2049",),
    "rdp": ("tcp/3389", "udp/3389"),
    "vnc": ("tcp/5900",),
    "sip": ("udp/5060", "tcp/5060"),
    "sips": ("tcp/5061",),
    "rtp": ("udp/16384-32767",),
    "ike": ("udp/500", "udp/4500"),
    "ipsec": ("udp/500", "udp/4500", "esp"),
    "wireguard": ("udp/51820",),
    "openvpn": ("udp/1194",),
    "bgp": ("tcp/179",),
    "nats": ("tcp/4222",),
    "postgresql": ("tcp/5432",),
    "mysql": ("tcp/3306",),
    "mqtt-tls": ("tcp/8883",),
    "ipp": ("tcp/631",),
    "git": ("tcp/9418",),
    "reef-api": ("tcp/8443",),
    "reef-console": ("tcp/8444",),
}

ANY_SERVICE = (ServiceEntry(None),)


class ServiceError(ValueError):
    """A service word that cannot be; `remedy` says what would be right."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def looks_literal(word: str) -> bool:
    """Whether a word says a protocol rather than the name of a service."""
    head = word.partition("/")[0]
    return (
        "/" in word or " from " in word or head in WITHOUT_PORTS or head in WITH_PORTS or head in ("icmp", "icmpv6")
    )


def entries_of(word: str) -> tuple[ServiceEntry, ...]:
    """The entries of a literal: `tcp/443`, `icmp/echo-request`, `esp`, `proto/89`. Raises `ServiceError`."""
    main, _, origin = word.partition(" from ")
    head, slash, tail = main.partition("/")
    if head in WITH_PORTS:
        to = ports(tail, word) if slash else (0, 65535)
        return (ServiceEntry(WITH_PORTS[head], to, ports(origin, word) if origin else (0, 65535)),)
    if origin:
        raise ServiceError(f"`{word}`: only {', '.join(WITH_PORTS)} have source ports", "remove `from ...`")
    if head == "icmp":
        return (_icmp(ICMP, tail, ICMP_TYPES, word) if slash else ServiceEntry(ICMP),)
    if head == "icmpv6":
        return (_icmp(ICMPV6, tail, ICMPV6_TYPES, word) if slash else ServiceEntry(ICMPV6),)
    if head == "proto":
        if tail.isascii() and tail.isdigit() and int(tail) <= 255:
            return (ServiceEntry(int(tail)),)
        raise ServiceError(f"`{word}` is not a protocol", "write a number from 0 to 255, for example `proto/89`")
    if head in WITHOUT_PORTS:
        if slash:
            raise ServiceError(f"`{head}` has no ports", f"write `{head}`")
        return (ServiceEntry(WITHOUT_PORTS[head]),)
    guess = did_you_mean(head, [*WITH_PORTS, *WITHOUT_PORTS, "icmp", "icmpv6", "proto"])
    raise ServiceError(
        f"`{head}` is not a protocol", guess or "write `tcp/...`, `udp/...`, `icmp/...`, or `proto/<number>`"
    )


def ports(text: str, word: str) -> tuple[int, int]:
    """`443` or `8000-8100` as a closed interval. Raises `ServiceError`."""
    head, dash, tail = text.partition("-")
    both = (head, tail) if dash else (head, head)
    if not all(part.isascii() and part.isdigit() and len(part) <= 5 and int(part) <= 65535 for part in both):
        raise ServiceError(
            f"`{word}`: `{text}` is not a port", "write a number from 0 to 65535, or a range `8000-8100`"
        )
    first, last = int(both[0]), int(both[1])
    if first > last:
        raise ServiceError(f"`{word}`: the range ends before it begins", f"write `{last}-{first}`")
    return first, last


def _icmp(protocol: int, text: str, names: dict[str, tuple[int, int | None]], word: str) -> ServiceEntry:
    """`echo-request`, `8`, `3/4` (type and code), `128-129`."""
    if text in names:
        kind, code = names[text]
        return ServiceEntry(protocol, icmp=(kind, kind), code=code)
    head, slash, tail = text.partition("/")
    low, dash, high = head.partition("-")
    numbers = [low, high] if dash else [low, low]
    if all(
        part.isascii() and part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in (*numbers, tail or "0")
    ):
        first, last = int(numbers[0]), int(numbers[1])
        if first > last:
            raise ServiceError(f"`{word}`: the range ends before it begins", f"write `{last}-{first}`")
        if slash and tail and dash:
            raise ServiceError(f"`{word}`: a code needs one type, not a range", "write for example `icmp/3/4`")
        return ServiceEntry(protocol, icmp=(first, last), code=int(tail) if tail else None)
    guess = did_you_mean(text, list(names))
    raise ServiceError(
        f"`{word}`: `{text}` is not a type", guess or f"write a number from 0 to 255, or {', '.join(names)}"
    )


def normal(entries: list[ServiceEntry]) -> tuple[ServiceEntry, ...]:
    """Without repetition; one entry for every protocol swallows the rest."""
    if ANY_SERVICE[0] in entries:
        return ANY_SERVICE
    return tuple(dict.fromkeys(entries))


_NAMES = {number: name for name, number in {**WITH_PORTS, **WITHOUT_PORTS, "icmp": ICMP, "icmpv6": ICMPV6}.items()}


def words_of_entry(entry: ServiceEntry) -> str:
    """An entry as a person writes it: `tcp/443`, `udp/68 from 67`, `icmp/8`, `any`."""
    if entry.protocol is None:
        return "any"
    name = _NAMES.get(entry.protocol)
    if name is None:
        return f"proto/{entry.protocol}"
    if entry.protocol in (ICMP, ICMPV6):
        if entry.icmp == (0, 255):
            return name
        types = ICMP_TYPES if entry.protocol == ICMP else ICMPV6_TYPES
        for known, (kind, code) in types.items():
            if entry.icmp == (kind, kind) and entry.code == code:
                return f"{name}/{known}"
        kinds = _words_of_ports(entry.icmp)
        return f"{name}/{kinds}" if entry.code is None else f"{name}/{kinds}/{entry.code}"
    if name not in WITH_PORTS:
        return name
    words = name if entry.ports == (0, 65535) else f"{name}/{_words_of_ports(entry.ports)}"
    return words if entry.source_ports == (0, 65535) else f"{words} from {_words_of_ports(entry.source_ports)}"


def _words_of_ports(interval: tuple[int, int]) -> str:
    return str(interval[0]) if interval[0] == interval[1] else f"{interval[0]}-{interval[1]}"


# A service of more entries is a group of several things: its name says less than that of the one thing.
_SPECIFIC = 3


def names_of_entries(own: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """entry ("tcp/443") -> the name to say: the policy's most specific one, else the well-known one."""
    groups = sorted(own.items(), key=lambda item: len(item[1]))
    ranked = [(name, entries) for name, entries in groups if len(entries) <= _SPECIFIC]
    ranked += sorted(WELL_KNOWN.items(), key=lambda item: len(item[1]))
    ranked += [(name, entries) for name, entries in groups if len(entries) > _SPECIFIC]
    found: dict[str, str] = {}
    for name, entries in ranked:
        for entry in entries:
            found.setdefault(entry, name)
    return found
