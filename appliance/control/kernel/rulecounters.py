"""What rules have counted in the kernel, and since when the counting goes on.

The one place that knows where a rule's packets are counted: whoever wants to know what a rule matched asks here.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from appliance.control.kernel.bantable import BANS
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nfsets import counters
from appliance.policy.compiling.bundle import QUARANTINE_TABLE, Bundle
from appliance.policy.compiling.nat import counter_name
from appliance.policy.compiling.rulechain import chain_name

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SO_NETNS_COOKIE = 71  # <asm-generic/socket.h>; Linux 5.14


def rule_counters(netfilter: Netfilter, bundle: Bundle) -> dict[str, tuple[int, int]]:
    """(packets, bytes) by the id of the rule, then of what no rule decided, then of the translations."""
    counted = counters(netfilter) | counters(netfilter, BANS.table)
    names = {rule.id: chain_name(rule.id) for rule in bundle.rules}
    names |= {name: chain_name(name) for name in ("default", "invalid", "pinhole")}
    names |= {f"antispoofing {zone.name}": f"spoof_{zone.name}" for zone in bundle.zones}
    names["banned"] = "banned"
    if bundle.quarantines:
        counted |= counters(netfilter, QUARANTINE_TABLE)
        names |= {f"quarantine {held.zone}": f"quarantine_{held.zone}" for held in bundle.quarantines}
    # A published service is a rule of its own id; what is left are the translations of `nat`.
    prefix = counter_name("")
    for counter in bundle.ruleset.counters:
        if counter.startswith(prefix):
            names.setdefault(counter.removeprefix(prefix), counter)
    return {name: counted[counter] for name, counter in names.items() if counter in counted}


def origin() -> str:
    """The boot and the network namespace in which this process counts: another one begins from 0.

    Tables that are replaced meanwhile take their counters along (`nft.Rules.rebuilt`).
    """
    try:
        boot = _BOOT.read_text().strip()
    except OSError:
        boot = "unknown"
    return f"{boot}/{_namespace():x}"


def _namespace() -> int:
    """The cookie of this network namespace, unique in one boot; 0 where the kernel gives none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            cookie: int = struct.unpack("=Q", probe.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))[0]
        except OSError:
            return 0
    return cookie
