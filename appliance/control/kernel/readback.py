"""Reading back what the kernel holds: tables, chains, rules, sets and elements, as one consistent moment.

Raw dumps: a table of 10,000 rules is some 6 MB and 0.1 s that way, 1.4 s as JSON from libnftables. Nothing is
understood here (`appliance/policy/readback` does that); needs CAP_NET_ADMIN.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from appliance.control.kernel.netlink import DumpInterrupted, NetlinkError, attribute_map, string, text
from appliance.control.kernel.nfnetlink import GENMSG, NFPROTO_UNSPEC, NFTABLES, Netfilter, body
from appliance.control.kernel.nfsets import (
    LIST_SET,
    MSG_GETSET,
    MSG_GETSETELEM,
    SET_NAME,
    SET_TABLE,
    kernel_generation,
)
from appliance.policy.readback.kernel import FAMILIES, Snapshot

MSG_GETTABLE, MSG_GETCHAIN, MSG_GETRULE = 1, 4, 7
NFNL_SUBSYS_HOOK, MSG_GETHOOK = 12, 0
HOOK_NUMBER = 1
_HOOK_FAMILIES = {2: "ip", 10: "ip6"}
_HOOKS = {0: "prerouting", 1: "input", 2: "forward", 3: "output", 4: "postrouting"}
_TRIES = 8
_ABSENT = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT})


def snapshot(
    sysctls: Iterable[str] = (), skipped: frozenset[str] = frozenset(), proc: Path = Path("/proc/sys")
) -> Snapshot:
    """Everything nftables holds in this network namespace. Of sets named in `skipped` the elements are not read.

    Read again when it changed meanwhile. Raises `NetlinkError`, EAGAIN when it changes faster than it can be read.
    """
    with Netfilter() as netfilter:
        for _ in range(_TRIES):
            before = kernel_generation(netfilter).id
            try:
                found = _read(netfilter, skipped)
            except DumpInterrupted:
                continue
            except NetlinkError as error:
                if error.errno != errno.ENOENT:  # a set that went while it was being read
                    raise
                continue
            if kernel_generation(netfilter).id == before:
                break
        else:
            raise NetlinkError(errno.EAGAIN, "the tables change faster than they can be read")
        tables, chains, rules, sets, elements = found
        return Snapshot(
            kernel=" ".join(os.uname()[0:3:2]),
            taken=time.time(),
            count=before,
            tables=tables,
            chains=chains,
            rules=rules,
            sets=sets,
            elements=elements,
            hooks=_hooks(netfilter),
            sysctls={name: _sysctl(proc, name) for name in sysctls},
            xtables=_xtables(),
            links={name: number for number, name in socket.if_nameindex()},
        )


Messages = tuple[bytes, ...]
Elements = tuple[tuple[str, str, str, Messages], ...]


def _read(netfilter: Netfilter, skipped: frozenset[str]) -> tuple[Messages, Messages, Messages, Messages, Elements]:
    def dump(kind: int) -> Messages:
        found = netfilter.dump_whole(NFTABLES | kind, body(family=NFPROTO_UNSPEC))
        return tuple(message for _, message in found)

    tables, chains, rules, sets = (dump(kind) for kind in (MSG_GETTABLE, MSG_GETCHAIN, MSG_GETRULE, MSG_GETSET))
    elements: list[tuple[str, str, str, Messages]] = []
    for message in sets:
        fields = attribute_map(message, GENMSG.size)
        family, table, name = message[0], text(fields[SET_TABLE]), text(fields[SET_NAME])
        if name in skipped:
            continue
        request = body(string(SET_TABLE, table) + string(LIST_SET, name), family)
        held = tuple(part for _, part in netfilter.dump_whole(NFTABLES | MSG_GETSETELEM, request))
        elements.append((FAMILIES.get(family, f"family {family}"), table, name, held))
    return tables, chains, rules, sets, tuple(elements)


def _hooks(netfilter: Netfilter) -> tuple[tuple[str, str, Messages], ...] | None:
    """What is hooked where, in order; None on a kernel that does not tell."""
    found: list[tuple[str, str, Messages]] = []
    for family, family_name in _HOOK_FAMILIES.items():
        for number, hook in _HOOKS.items():
            request = body(_hook_number(number), family)
            try:
                dump = netfilter.dump_whole(NFNL_SUBSYS_HOOK << 8 | MSG_GETHOOK, request)
                found.append((family_name, hook, tuple(message for _, message in dump)))
            except NetlinkError as error:
                if error.errno not in _ABSENT:
                    raise
                return None
            except DumpInterrupted:
                return None
    return tuple(found)


def _hook_number(number: int) -> bytes:
    return (8).to_bytes(2, "little") + HOOK_NUMBER.to_bytes(2, "little") + number.to_bytes(4, "big")


def _xtables() -> tuple[str, ...]:
    """The tables of the old iptables in this namespace, as /proc/net names them."""
    found = []
    for family in ("ip", "ip6"):
        try:
            names = Path(f"/proc/thread-self/net/{family}_tables_names").read_text().split()
        except OSError:
            continue
        found += [f"{family} table {name}" for name in names]
    return tuple(found)


def _sysctl(proc: Path, name: str) -> str:
    try:
        return (proc / name.replace(".", "/")).read_text().strip()
    except OSError:
        return ""
