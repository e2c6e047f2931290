"""The nft table that stands in for the XDP gate at lines where it cannot stand: lists, bogons, flood limits. Pure.

It decides what the gate decides, in the same order, as far as nft can say it: what is malformed is left to the
kernel, and a first SYN beyond `strangers` passes whenever it comes again within four seconds. A limit knows 65,535
sources at once; those beyond it are not limited.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from appliance.policy.compiling.ruleset import Chain, Ruleset, Set
from appliance.policy.model import Protection, Rate

TABLES = ("reef_gate_a", "reef_gate_b")  # one counts while the other is filled
FILLED = ("listed", "allowed", "own")
COUNTS = "counts"  # an empty chain of the table that counts
REASONS = ("banned", "bogon", "syn-flood", "udp-flood", "icmp-flood", "syn-total")
_BEFORE = -305  # behind single bans, before connection tracking
_SOURCES = 65_535
_LEAST_QUIET = 10  # seconds until a source is forgotten
_ASKED = 4  # seconds in which TCP asks again
_MOST_RATE = 1_000_000

_LINE = re.compile(r"line(\d+)_([0-9a-f]+)")
_FAMILY = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}
_WHO = {4: "ip saddr", 6: "ip6 saddr & ffff:ffff:ffff:ffff::"}
_SYN = "tcp flags & (syn | ack) == syn"
_OF_ICMP = "meta l4proto { icmp, ipv6-icmp }"
# RFC 6890, RFC 4291: as in the gate (dataplane/xdp/packet_kept.bpf.h).
_NOBODYS = {
    "martians": ("0.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3", "::/96, ::ffff:0:0/96, ff00::/8"),
    "private": ("10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16", "fc00::/7, fec0::/10"),
    "documentation": (
        "192.0.0.0/24, 192.0.2.0/24, 198.18.0.0/15, 198.51.100.0/24, 203.0.113.0/24",
        "2001:2::/48, 2001:db8::/32, 3fff::/20",
    ),
}
# Who has no address yet asks for one from nowhere (DHCP, IGMP, neighbour discovery).
_FROM_NOWHERE = (
    "ip saddr 0.0.0.0 ip daddr 255.255.255.255 meta l4proto udp return",
    "ip saddr 0.0.0.0 meta l4proto igmp return",
    "ip6 saddr :: ip6 daddr ff00::/8 return",
)


def counter(number: int, reason: str) -> str:
    return f"line{number}_{reason}"


def chain(number: int, interface: str) -> str:
    """The chain of a line says which it is, and a name of an interface may hold what no chain's may."""
    return f"line{number}_{interface.encode().hex()}"


def line_of(name: str) -> dict[int, str]:
    """The number and the interface of a line's chain; nothing for any other chain."""
    found = _LINE.fullmatch(name)
    return {int(found[1]): bytes.fromhex(found[2]).decode()} if found else {}


def standin(table: str, lines: Mapping[str, Protection]) -> Ruleset:
    """The table under this name. `lines` says what the policy wants at each; its live sets are empty."""
    sets = {
        f"{name}_v{version}": Set(key=f"type {key}", flags=("interval",), live=True)
        for version, (_, key) in _FAMILY.items()
        for name in FILLED
    }
    chains: dict[str, Chain] = {}
    entered: list[str] = []
    for number, (name, protection) in enumerate(lines.items()):
        sets |= _sources(number, protection)
        chains |= _beside(number, protection)
        chains[chain(number, name)] = Chain(tuple(_line(number, protection)))
        entered.append(f'iifname "{name}" jump {chain(number, name)}')
    chains["early"] = Chain(tuple(entered), base=f"type filter hook prerouting priority {_BEFORE}; policy accept;")
    counters = tuple(counter(number, reason) for number in range(len(lines)) for reason in REASONS)
    return Ruleset(table=table, counters=counters, sets=sets, chains=chains)


def _line(number: int, protection: Protection) -> Iterator[str]:
    for version, (word, _) in _FAMILY.items():
        yield f"{word} saddr @allowed_v{version} return"
    for version, (word, _) in _FAMILY.items():
        yield f"{word} saddr @listed_v{version} {word} saddr != @own_v{version} {_drop(number, 'banned')}"
    if protection.bogons:
        yield f"jump bogons{number}"
    for kind, packets, rate in _limits(protection):
        for version, who in _WHO.items():
            limited = f"update @{kind}{number}_v{version} {{ {who} {_over(rate)} }}"
            yield f"{packets} {limited} {_drop(number, f'{kind}-flood')}"
    if protection.strangers is not None:
        yield f"{_SYN} {_over(protection.strangers)} jump strangers{number}"


def _beside(number: int, protection: Protection) -> dict[str, Chain]:
    """The chains that a line's own leads to."""
    chains = {}
    if protection.bogons:
        chains[f"bogons{number}"] = Chain(tuple(_bogons(number, protection)))
    if protection.strangers is not None:
        chains[f"strangers{number}"] = Chain(tuple(_strangers(number)))
    return chains


def _limits(protection: Protection) -> Iterator[tuple[str, str, Rate]]:
    for kind, packets, rate in (
        ("syn", _SYN, protection.syn),
        ("udp", "meta l4proto udp", protection.udp),
        ("icmp", _OF_ICMP, protection.icmp),
    ):
        if rate is not None:
            yield kind, packets, rate


def _bogons(number: int, protection: Protection) -> Iterator[str]:
    if "martians" in protection.bogons:
        yield from _FROM_NOWHERE
    for kind in protection.bogons:
        for networks, (word, _) in zip(_NOBODYS[kind], _FAMILY.values(), strict=True):
            yield f"{word} saddr {{ {networks} }} {_drop(number, 'bogon')}"


def _strangers(number: int) -> Iterator[str]:
    flows = {
        version: f"{word} saddr . {word} daddr . tcp sport . tcp dport" for version, (word, _) in _FAMILY.items()
    }
    for version, flow in flows.items():
        yield f"{flow} @asked{number}_v{version} return"
    for version, flow in flows.items():
        yield f"add @asked{number}_v{version} {{ {flow} }} {_drop(number, 'syn-total')}"
    yield _drop(number, "syn-total")  # where there is no room to remember who asked


def _sources(number: int, protection: Protection) -> dict[str, Set]:
    found: dict[str, Set] = {}
    for version, (_, key) in _FAMILY.items():
        for kind, _, rate in _limits(protection):
            quiet = max(_LEAST_QUIET, -(-max(rate.burst, 1) // _a_second(rate)))
            found[f"{kind}{number}_v{version}"] = _dynamic(f"type {key}", quiet)
        if protection.strangers is not None:
            flow = f"type {key} . {key} . inet_service . inet_service"
            found[f"asked{number}_v{version}"] = _dynamic(flow, _ASKED)
    return found


def _dynamic(key: str, seconds: int) -> Set:
    options = f"size {_SOURCES};", f"timeout {seconds}s;"
    return Set(key=key, flags=("dynamic", "timeout"), options=options, live=True)


def _a_second(rate: Rate) -> int:
    return min(max(rate.amount // rate.seconds, 1), _MOST_RATE)


def _over(rate: Rate) -> str:
    return f"limit rate over {_a_second(rate)}/second burst {max(rate.burst, 1)} packets"


def _drop(number: int, reason: str) -> str:
    return f"counter name {counter(number, reason)} drop"
