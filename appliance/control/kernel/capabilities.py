"""What the running kernel can do, found out by trying: each probe is a transaction that is checked and forgotten.

A dry run reaches the kernel's own checks (and loads its modules where they are missing), so what it takes
here it takes in a policy. Nothing is left behind.
"""

from __future__ import annotations

import platform

import msgspec

from appliance.control.kernel import xtqueue
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.messages.gateway import Capability
from ctypes_ext.nftables import Nftables, NftablesError

_TABLE = "reef_probe"


class Probe(msgspec.Struct, frozen=True):
    """`rule` is tried in a chain with `hook` after `declarations`; `words` say what it is for."""

    name: str
    words: str
    rule: str = ""
    hook: str = "type filter hook forward priority filter;"
    declarations: tuple[str, ...] = ()


PROBES = (
    Probe("conntrack mark", "the rule and generation of each connection", "ct mark set 0x1"),
    Probe(
        "connection limits",
        "`connections:` of a rule",
        "add @s { ct original ip saddr ct count over 5 }",
        declarations=("add set inet {table} s {{ type ipv4_addr; flags dynamic; size 16; }}",),
    ),
    Probe(
        "rate limits",
        "`rate:` of a rule",
        "add @s { ip saddr limit rate 5/minute burst 5 packets }",
        declarations=("add set inet {table} s {{ type ipv4_addr; flags dynamic; size 16; }}",),
    ),
    Probe("time", "expiry and schedules", "meta time < 1700000000 accept"),
    Probe(
        "time intervals",
        "schedules",
        "meta time @w accept",
        declarations=("add set inet {table} w {{ typeof meta time; flags interval; }}",),
    ),
    Probe(
        "verdict maps",
        "zone pairs",
        "iifname . oifname vmap @m",
        declarations=("add map inet {table} m {{ type ifname . ifname : verdict; }}",),
    ),
    Probe(
        "concatenated intervals",
        "rules that share one look-up",
        "ip saddr . ip daddr . th dport vmap @m",
        declarations=(
            "add map inet {table} m {{ type ipv4_addr . ipv4_addr . inet_service : verdict; flags interval; }}",
        ),
    ),
    Probe("fib", "anti-spoofing", "fib saddr . iif oif missing drop", "type filter hook prerouting priority filter;"),
    Probe("reject", "action reject", "reject with icmpx type admin-prohibited"),
    Probe("nflog", "logs", 'log prefix "probe" group 1'),
    Probe("source nat", "source NAT", "masquerade", "type nat hook postrouting priority srcnat;"),
    Probe(
        "destination nat", "published services", "dnat ip to 192.0.2.1", "type nat hook prerouting priority dstnat;"
    ),
    Probe("queue", "inspection of flows", "queue num 0 bypass"),
    Probe(
        "flowtable",
        "the fast path of established connections",
        "flow add @f",
        declarations=("add flowtable inet {table} f {{ hook ingress priority filter; devices = {{ lo }}; }}",),
    ),
    Probe(
        "tproxy",
        "application proxies",
        "meta l4proto tcp tproxy to :1",
        "type filter hook prerouting priority mangle;",
    ),
    Probe(
        "synproxy",
        "SYN floods",
        "tcp flags syn synproxy mss 1460 wscale 7",
        "type filter hook input priority filter;",
    ),
)


def probe(nftables: Nftables, netfilter: Netfilter) -> tuple[Capability, ...]:
    """Try everything in the network namespace of both. Needs CAP_NET_ADMIN there."""
    found = [_try(nftables, wanted) for wanted in PROBES]
    refused = xtqueue.missing(netfilter)
    words = "inspection of flows by the old NFQUEUE target, where nftables cannot queue"
    if refused:
        words += f": not on this kernel ({refused})"
    found.append(Capability(xtqueue.XT_QUEUE, not refused, words))
    return tuple(found)


def _try(nftables: Nftables, wanted: Probe) -> Capability:
    lines = [f"add table inet {_TABLE}"]
    lines += [line.format(table=_TABLE) for line in wanted.declarations]
    lines.append(f"add chain inet {_TABLE} c {{ {wanted.hook} }}")
    lines.append(f"add rule inet {_TABLE} c {wanted.rule}")
    try:
        nftables.run("\n".join(lines), dry_run=True)
    except NftablesError as error:
        reason = str(error).splitlines()[0].removeprefix("Error: ")
        return Capability(wanted.name, False, f"{wanted.words}: not on this kernel ({reason})")
    return Capability(wanted.name, True, wanted.words)


def names(found: tuple[Capability, ...]) -> frozenset[str]:
    """The names the compiler asks for."""
    return frozenset(capability.name for capability in found if capability.available)


def with_need(found: tuple[Capability, ...], requires: tuple[str, ...]) -> tuple[Capability, ...]:
    """Say beside each capability whether the running generation uses it."""
    return tuple(
        msgspec.structs.replace(capability, needed_by=("the running generation",))
        if capability.name in requires
        else capability
        for capability in found
    )


def kernel() -> str:
    return f"{platform.system()} {platform.release()}"
