"""Other tables on the same hooks: what they do to packets that are the gateway's to decide.

A chain elsewhere that only counts, logs or accepts changes nothing: the packet comes to the gateway's own chains
all the same. One that drops closes something; one that writes marks, translates or cannot be understood is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from appliance.policy.compiling.bundle import BRIDGE_TABLE, INDICATORS_TABLE, QUARANTINE_TABLE, carried_table
from appliance.policy.model import Policy
from appliance.policy.readback import oldqueue
from appliance.policy.readback.execute import Item, Reader, TooMuch
from appliance.policy.readback.expected import Case, Decided
from appliance.policy.readback.expressions import (
    Malformed,
    Offload,
    Queue,
    Reject,
    Remember,
    Store,
    Target,
    Translate,
    Unknown,
    fields_of,
    words_of,
)
from appliance.policy.readback.kernel import DORMANT, KernelChain, KernelTable, Snapshot
from appliance.policy.readback.packets import Place

_VERSIONS = {"inet": (4, 6), "ip": (4,), "ip6": (6,)}
_PASSED = {"forward": ("prerouting", "forward", "postrouting"), "input": ("prerouting", "input"),
           "output": ("output", "postrouting")}  # fmt: skip
# nfnl_hook_attributes; what belongs to nftables, connection tracking and translation.
_FUNCTION, _MODULE = 4, 5
_OWN_MODULES = frozenset({"nf_tables", "nf_conntrack", "nf_nat", "nf_defrag_ipv4", "nf_defrag_ipv6", "nft_chain_nat"})
_OWN_FUNCTIONS = (
    "nft_", "nf_nat_", "nf_conntrack_", "nf_confirm", "ipv4_conntrack_", "ipv6_conntrack_", "ipv4_confirm",
    "ipv6_confirm", "ipv6_defrag", "ipv4_defrag", "apparmor_", "selinux_",
)  # fmt: skip
_DROP = 0
_TRACKED = -200  # priority of connection tracking
_CHANGES = (Store, Translate, Queue, Target, Offload, Remember, Reject, Unknown)
_QUARANTINED = "devices that nobody accepted are held back before the rules (table inet reef_quarantine)"
_BRIDGED = "the frames of bridges (table netdev reef_bridge) come past no rule"


class _Listing(NamedTuple):
    """A table of the gateway that drops who is in its sets; they change beside the policy. It stands at `hooks`."""

    assumed: str
    purpose: str
    hooks: frozenset[str]


_LISTING = {
    ("inet", "reef_ban"): _Listing(
        "the bans (table inet reef_ban) drop who is banned before anything else",
        "drop who is banned",
        frozenset({"prerouting", "postrouting"}),
    ),
    ("inet", INDICATORS_TABLE): _Listing(
        "the indicators (table inet reef_indicators) drop what they name before anything else",
        "drop and log what indicators name",
        frozenset({"prerouting", "postrouting", "output"}),
    ),
}


class Foreign:
    """The tables besides the gateway's own."""

    def __init__(
        self,
        tables: Mapping[tuple[str, str], KernelTable],
        snapshot: Snapshot,
        own: tuple[str, str],
        policy: Policy,
    ) -> None:
        self.unknown: dict[str, None] = {}
        self.assumed: dict[str, None] = {}
        self.unread: dict[str, None] = {}
        self.differences: list[str] = []
        self.tables: list[KernelTable] = []
        self._chains: list[tuple[Reader, KernelChain]] = []
        self._kept: dict[int, Case] = {}
        self._items: list[Item] = []
        for key, table in tables.items():
            if key == oldqueue.KEY:
                self.differences += (f"the {table}: {words}" for words in oldqueue.wrong(table))
                continue
            if key == own or table.flags & DORMANT:
                continue
            if key in _LISTING:
                self._listing(table, _LISTING[key], snapshot)
                continue
            if key == ("inet", QUARANTINE_TABLE) and _only_closes(table):
                self.assumed[_QUARANTINED] = None
                continue
            if _of_bridges(table, policy):
                self.assumed[_BRIDGED] = None
                continue
            self._table(table, snapshot)
        self._hooks(snapshot)

    def _listing(self, table: KernelTable, known: _Listing, snapshot: Snapshot) -> None:
        self.assumed[known.assumed] = None
        for chain in table.bases:
            hook = chain.hook
            if hook is None or hook.kind != "filter" or hook.name not in known.hooks:
                self.differences.append(f"the chain {chain.name} of the {table} does not belong there")
        # What it may do is drop who is in a set.
        reader = Reader(table, frozenset(table.sets), snapshot.links)
        for chain in table.bases:
            for version in (4, 6):
                for item in self._read(
                    reader, chain, Place(chain.hook.name if chain.hook else "", "?", "?", version)
                ):
                    deed = item.deed
                    if deed is None or (deed.verdict == "accept" and deed.mark == (0, 0xFFFFFFFF)):
                        continue
                    listed = any(asked[0] == "in the set" and holds for asked, holds in item.literals)
                    if deed.verdict != "drop" or not listed:
                        self.differences.append(
                            f"the {table} does more than {known.purpose}: {deed.verdict} in chain {chain.name}"
                        )
        self.unknown |= reader.unknown

    def _table(self, table: KernelTable, snapshot: Snapshot) -> None:
        bases = table.bases
        if not bases:
            return
        if table.family not in _VERSIONS:
            for chain in bases:
                self.unknown[
                    f"{table}, chain {chain.name}: a {table.family} chain sees packets before or after these"
                ] = None
            return
        self.tables.append(table)
        reader = Reader(table, frozenset(), snapshot.links)
        for chain in bases:
            hook = chain.hook
            if hook is None:
                continue
            if hook.kind != "filter":
                self.differences.append(
                    f"the {table} has the chain {chain.name} of type {hook.kind} at hook {hook.name}, which "
                    "may change where packets go"
                )
            else:
                self._chains.append((reader, chain))

    def _hooks(self, snapshot: Snapshot) -> None:
        """What is hooked beside nftables: the old iptables and whatever else the kernel tells of."""
        for name in snapshot.xtables:
            self.unknown[f"the {name} of the old iptables sees packets too"] = None
        if snapshot.hooks is None:
            self.unread["what else is hooked into the kernel's path: it does not tell (nfnetlink_hook)"] = None
            return
        for family, hook, messages in snapshot.hooks:
            for message in messages:
                fields = fields_of(message, 4)
                module, function = words_of(fields.get(_MODULE)), words_of(fields.get(_FUNCTION))
                if module not in _OWN_MODULES and not function.startswith(_OWN_FUNCTIONS):
                    words = f"{function or 'a function'}{f' of {module}' if module else ''}"
                    self.unknown[f"{words} is hooked at {hook} of {family}"] = None

    def _read(self, reader: Reader, chain: KernelChain, place: Place) -> list[Item]:
        try:
            return reader.read(chain, place)
        except TooMuch as error:
            self.unknown[str(error)] = None
            return []

    def cases(self, place: Place) -> list[Case]:
        """What other tables do on the way of a packet, as cases before the gateway's own."""
        found: list[Case] = []
        for reader, chain in self._chains:
            hook = chain.hook
            if hook is None or hook.name not in _PASSED.get(place.hook, ()):
                continue
            if place.version not in _VERSIONS[reader.table.family]:
                continue
            seen = place
            if hook.name == "prerouting":
                seen = Place("prerouting", place.entering, "", place.version)
            elif hook.name == "postrouting" and place.hook == "output":
                seen = Place("postrouting", "", place.leaving, place.version)
            items = self._read(reader, chain, seen)
            for number, item in enumerate(items):
                found.append(self._case(reader.table, chain, item, len(items) - number))
            self.unknown |= reader.unknown
        return found

    def _case(self, table: KernelTable, chain: KernelChain, item: Item, rest: int) -> Case:
        """A drop decides; an acceptance only ends the other table's own chain."""
        deed = item.deed
        if deed is None:
            return Case(item.product, item.literals, None, item.skip)
        if deed.mark != (0, 0xFFFFFFFF):
            self.unknown[f"{table}, chain {chain.name}: writes the connection's mark"] = None
        if deed.verdict == "accept":
            return Case(item.product, item.literals, None, rest)
        action = {"drop": "deny", "reject": "reject"}.get(deed.verdict, deed.verdict)
        return Case(item.product, item.literals, Decided(action, f"{table}, chain {chain.name}"))


def _of_bridges(table: KernelTable, policy: Policy) -> bool:
    """Whether a table stands where the policy has bridges and nowhere else; or, in front of lines that no zone has,
    only closes: so it may be for a moment when a bridge goes."""
    if table.family != "netdev":
        return False
    chains = list(table.chains.values())
    devices = {device for chain in chains if chain.hook is not None for device in chain.hook.devices}
    if table.name == BRIDGE_TABLE:
        return devices <= {interface for bridge in policy.bridges.values() for interface in bridge.between}
    if not table.name.startswith(carried_table("")):
        return False
    closes = all(chain.hook is not None and chain.hook.policy == _DROP and not chain.raw for chain in chains)
    return closes and devices.isdisjoint(name for zone in policy.zones.values() for name in zone.interfaces)


def _only_closes(table: KernelTable) -> bool:
    """Whether the table looks at packets before connection tracking, drops some, and does nothing else to any."""
    for chain in table.chains.values():
        hook = chain.hook
        if hook is not None and ((hook.name, hook.kind) != ("prerouting", "filter") or hook.priority >= _TRACKED):
            return False
        try:
            if any(isinstance(found, _CHANGES) for rule in chain.rules for found in rule):
                return False
        except Malformed:
            return False
    return True
