"""The messages behind `reef why`: which way an address lies now, and what the kernel does with one packet."""

from __future__ import annotations

import msgspec

from appliance.policy.model import InterfaceAddress

# A trace ends by itself, whoever forgets it.
MOST_SECONDS = 300
MOST_PROBE_SECONDS = 5  # what keeps a probe from its destination keeps the like of it, too


class Ways(msgspec.Struct, frozen=True, tag=True):
    """Which way the gateway would send to these addresses, by the routes that it has now."""

    addresses: tuple[str, ...]


class Way(msgspec.Struct, frozen=True):
    """`interface` is "" for the gateway's own addresses (and broadcast, multicast); `via` the next hop, "" on the
    line; `source` what the gateway would call itself. Where `reachable` is False there is no route."""

    address: str
    interface: str
    via: str = ""
    source: str = ""
    reachable: bool = True


class WayList(msgspec.Struct, frozen=True, tag=True):
    """`own` are the addresses that the interfaces have now."""

    ways: tuple[Way, ...]
    own: tuple[InterfaceAddress, ...]


class Trace(msgspec.Struct, frozen=True, tag=True):
    """Follow the next packet of this description through the kernel, for at most `seconds`.

    Ports and types of -1 match all. `entering` "" is the gateway itself. A `probe` is sent by who asks: it is kept
    from leaving and from being delivered once the kernel has decided, unless `deliver` says otherwise.
    """

    version: int
    source: str
    destination: str
    protocol: int
    source_port: int = -1
    destination_port: int = -1
    icmp_type: int = -1
    entering: str = ""
    seconds: int = 30
    probe: bool = False
    deliver: bool = False


class Tracing(msgspec.Struct, frozen=True, tag=True):
    """The kernel watches. `number` is what `Trail` asks for."""

    number: int


class Trail(msgspec.Struct, frozen=True, tag=True):
    """What became of the packet of a trace: answered when it is known, or when the time is over."""

    number: int


class Traced(msgspec.Struct, frozen=True, tag=True):
    """One packet's way through the kernel. With `seen` False none came, and the rest says nothing.

    `source` … `icmp_code` as it entered; `leaves_from` and `leaves_to` as it left, "" where it did not. `verdict`
    allow, deny, reject, or "" where no hook decided (the kernel dropped it while routing). `rule` is what decided:
    a rule's id, "default", "antispoofing", "invalid", "pinhole", "banned", "other <table> <chain>", or "" for what
    needs no rule. `origin` is the first packet of its connection (source, port, destination, port) where it is an
    answer. `path` are the chains it went through, `skipped` the rules that were tried and did not hold.
    """

    seen: bool
    entering: str = ""
    leaving: str = ""
    version: int = 4
    source: str = ""
    destination: str = ""
    protocol: int = 0
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0
    verdict: str = ""
    rule: str = ""
    leaves_from: str = ""
    leaves_to: str = ""
    leaves_to_port: int = 0
    origin: tuple[str, int, str, int] | None = None
    path: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class Disagreement(msgspec.Struct, frozen=True, tag=True):
    """The kernel decided otherwise than the policy says: somebody must look at it."""

    words: str


class Noted(msgspec.Struct, frozen=True, tag=True):
    """It is written down."""
