"""The words before the options: action, protocol, direction."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ctypes_ext.ruleset import PROTOCOLS, protocol_number
from dataplane.rules import codes
from dataplane.rules.problem import Refused

ACTIONS = {
    "alert": codes.ALERT, "pass": codes.PASS, "drop": codes.DROP, "reject": codes.REJECT, "rejectsrc": codes.REJECT,
    "rejectdst": codes.REJECT_DESTINATION, "rejectboth": codes.REJECT_BOTH,
}  # fmt: skip

TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
_ALL = (1 << 256) - 1

TRANSPORTS: dict[str, tuple[int, int]] = {  # bitmap of IP protocols, flags
    "tcp": (1 << TCP, 0),
    "tcp-pkt": (1 << TCP, codes.NO_STREAM),
    "tcp-stream": (1 << TCP, codes.ONLY_STREAM),
    "udp": (1 << UDP, 0),
    "icmpv4": (1 << ICMP, 0),
    "icmpv6": (1 << ICMPV6, 0),
    "icmp": (1 << ICMP | 1 << ICMPV6, 0),
    "sctp": (1 << SCTP, 0),
    "ipv4": (_ALL, codes.ONLY_V4),
    "ip4": (_ALL, codes.ONLY_V4),
    "ipv6": (_ALL, codes.ONLY_V6),
    "ip6": (_ALL, codes.ONLY_V6),
    "ip": (_ALL, 0),
    "pkthdr": (_ALL, codes.PACKET_HEADER),
}

# A name that stands for several protocols of the registry.
FAMILIES = {"http": ("http", "http2"), "dcerpc": ("dcerpc", "smb")}


class Protocol(NamedTuple):
    """What the second word of a rule says."""

    protocols: int  # bitmap of IP protocols
    any: bool  # it names none
    apps: int  # bitmap of application protocols, 0: any
    flags: int


@lru_cache(maxsize=256)
def apps_of(name: str) -> int:
    """The bitmap of application protocols that a name stands for; 0: not known."""
    names = FAMILIES.get(name, (name,))
    bits = 0
    for member in names:
        number = protocol_number(member)
        if number:
            bits |= 1 << number
    return bits


@lru_cache(maxsize=256)
def transports_of(apps: int) -> int:
    """The IP protocols that carry these application protocols."""
    bits = 0
    for protocol in PROTOCOLS.values():
        if apps >> protocol.number & 1:
            bits |= 1 << protocol.transport if protocol.transport else 1 << TCP | 1 << UDP
    return bits


@lru_cache(maxsize=256)
def protocol(word: str) -> Protocol:
    """Raises `Refused`."""
    name = word.lower()
    if name in TRANSPORTS:
        protocols, flags = TRANSPORTS[name]
        return Protocol(protocols, protocols == _ALL, 0, flags)
    apps = apps_of(name)
    if not apps:
        raise Refused(f"the protocol {word} is not known to this engine", unsupported=True)
    return Protocol(transports_of(apps), False, apps, 0)


def action(word: str) -> int:
    """Raises `Refused`."""
    number = ACTIONS.get(word.lower())
    if number is None:
        if word.lower() == "config":
            raise Refused(
                "config rules change how the engine logs; write that in the policy", "config", unsupported=True
            )
        raise Refused(f"the action {word!r} is not one of {', '.join(ACTIONS)}")
    return number


def direction(word: str) -> int:
    """The flags of -> and <>. Raises `Refused`."""
    if word == "->":
        return 0
    if word == "<>":
        return codes.BIDIRECTIONAL
    if word == "=>":
        raise Refused("=> (both sides of a transaction) comes with Suricata 8", unsupported=True)
    raise Refused(f"the direction must be -> or <>, not {word!r}")
