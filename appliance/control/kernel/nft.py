"""The nftables consumer: checks and loads the difference between two generations as one transaction.

Beside what the ruleset says, the table holds one empty chain `generation_<n>_<digest>`: it is changed in
the same transaction, so it says which generation the kernel holds, whoever asks and whoever died.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection
from pathlib import Path

import msgspec

from appliance.control.kernel.batch import KernelRefused, locate
from appliance.control.kernel.drift import Drift
from appliance.control.kernel.netlink import NetlinkError, attribute_map, string, text
from appliance.control.kernel.nfnetlink import NFTABLES, Netfilter, body
from appliance.control.kernel.nfsets import Sets, counters, format_element
from appliance.policy.compiling.bundle import Bundle
from appliance.policy.compiling.delta import delta, refill, repair
from appliance.policy.compiling.ruleset import Ruleset, Set
from ctypes_ext.nftables import Nftables, NftablesError

TABLE = "reef"
MSG_GETCHAIN = 4
CHAIN_TABLE, CHAIN_NAME = 1, 3
_ENOENT = 2

_MARKER = re.compile(r"generation_(\d+)_([0-9a-f]{16})")
# An element of a set of interfaces as nft lists it; one that is no more has a bare number.
_OF_INTERFACES = re.compile(r'0x[0-9a-f]{8}(?: \. (?:"[^"]*"|\d+))+')
_QUOTED = re.compile('"([^"]*)"')
_ADDRESS_KEYS = ("type ipv4_addr", "type ipv6_addr")


class Marker(msgspec.Struct, frozen=True):
    """Which generation the kernel holds."""

    generation: int
    digest: str

    @property
    def chain(self) -> str:
        return f"generation_{self.generation}_{self.digest[:16]}"


class Rules:
    """The table of this gateway in the kernel."""

    def __init__(self, netfilter: Netfilter, drift: Drift, scratch: Path) -> None:
        self._nftables = Nftables()
        self._netfilter = netfilter
        self._drift = drift
        self._scratch = scratch

    def transaction(self, old: Bundle | None, new: Bundle, held: Marker | None, marker: Marker) -> str:
        """The batch that turns what is `held` (the ruleset of `old`) into `new`; with no `old`, from anything."""
        wanted = present_devices(new.ruleset)
        if old is None or held is None:
            return f"{delta(None, wanted)}\nadd chain inet {TABLE} {marker.chain}\n"
        changes = delta(present_devices(old.ruleset), wanted)
        if held.chain == marker.chain:
            return changes
        return f"{changes}\ndelete chain inet {TABLE} {held.chain}\nadd chain inet {TABLE} {marker.chain}\n"

    def rebuilt(self, new: Bundle, marker: Marker) -> str:
        """The batch that puts `new` in place of whatever the table holds, with its counters and live sets kept."""
        try:
            counted = counters(self._netfilter, TABLE)
            elements = self._live_elements(new)
        except NetlinkError as error:
            if error.errno != _ENOENT:
                raise
            counted, elements = {}, {}
        batch = repair(present_devices(new.ruleset), counters=counted, elements=elements)
        return f"{batch}\nadd chain inet {TABLE} {marker.chain}\n"

    def _live_elements(self, new: Bundle) -> dict[str, list[str]]:
        sets = Sets(self._netfilter, TABLE)
        return {
            info.name: [format_element(element, info.key_length) for element in sets.elements(info)]
            for info in sets.all()
            if info.name in new.ruleset.sets
            and new.ruleset.sets[info.name].live
            and new.ruleset.sets[info.name].key in _ADDRESS_KEYS
        }

    def check(self, batch: str) -> None:
        """Let the kernel check the transaction and forget it. Raises `KernelRefused`."""
        self._run(batch, dry_run=True)

    def load(self, batch: str) -> None:
        """Commit the transaction: all of it or, with `KernelRefused`, nothing."""
        with self._drift.own_change():
            self._run(batch, dry_run=False)

    def close(self) -> None:
        """A table that forwards nothing, for a box that has no generation, or whose kernel does not take it."""
        self.load(
            f"add table inet {TABLE}\ndelete table inet {TABLE}\nadd table inet {TABLE}\n"
            f"add chain inet {TABLE} forward {{ type filter hook forward priority filter; policy drop; }}\n"
        )

    def _run(self, batch: str, *, dry_run: bool) -> None:
        try:
            self._nftables.run(batch, dry_run=dry_run)
        except NftablesError as error:
            raise self._explain(batch, error) from error

    def _explain(self, batch: str, error: NftablesError) -> KernelRefused:
        """Find the statement: only a file is refused with its line number, so check it once more as a file."""
        try:
            self._scratch.write_text(batch)
            self._nftables.run_file(str(self._scratch), dry_run=True)
        except NftablesError as second:
            error = second
        except OSError:
            return KernelRefused(str(error))
        finally:
            self._scratch.unlink(missing_ok=True)
        return locate(batch, str(error))

    def attach(self, ruleset: Ruleset, fresh: Collection[str]) -> None:
        """Give the table the interfaces that appeared after it was loaded; `ruleset` says what it shall hold now."""
        batch = []
        for name, flowtable in ruleset.flowtables.items():
            if listed := ", ".join(device for device in flowtable.devices if device in fresh):
                batch.append(
                    f"add flowtable inet {TABLE} {name} "
                    f"{{ hook ingress priority {flowtable.priority}; devices = {{ {listed} }}; counter; }}"
                )
        for name, declared in ruleset.sets.items():
            if by_index(declared):
                batch.append(refill(TABLE, name, declared))
        self.load("\n".join([*batch, ""]))

    def outdated(self, ruleset: Ruleset) -> bool:
        """Whether an interface came or was made anew since the table got its interfaces."""
        for name, declared in present_devices(ruleset).sets.items():
            if by_index(declared):
                try:
                    listed = self._nftables.listing(f"list set inet {TABLE} {name}")
                except NftablesError:
                    return False  # somebody took it away: that is drift
                if set(_OF_INTERFACES.findall(listed)) != declared.elements.keys():
                    return True
        return False

    def held(self) -> Marker | None:
        """The generation that the kernel's table says it is; None without a table or without exactly one marker."""
        found: list[Marker] = []
        try:
            for _, data in self._netfilter.dump(NFTABLES | MSG_GETCHAIN, body(string(CHAIN_TABLE, TABLE))):
                fields = attribute_map(data)
                if text(fields.get(CHAIN_TABLE, b"")) != TABLE:
                    continue
                match = _MARKER.fullmatch(text(fields[CHAIN_NAME]))
                if match:
                    found.append(Marker(int(match[1]), match[2]))
        except NetlinkError as error:
            if error.errno != _ENOENT:
                raise
        return found[0] if len(found) == 1 else None

    def listing(self) -> str:
        """The whole table in nft's words, without counters' values."""
        return self._nftables.listing(f"list table inet {TABLE}")


def by_index(declared: Set) -> bool:
    """Whether the set holds interfaces by their number, which only an interface that is there has."""
    return "iface_index" in declared.key


def devices(ruleset: Ruleset) -> frozenset[str]:
    """The interfaces that must be there for the ruleset to name them."""
    named = {device for flowtable in ruleset.flowtables.values() for device in flowtable.devices}
    for declared in ruleset.sets.values():
        if by_index(declared):
            named.update(*map(_QUOTED.findall, declared.elements))
    return frozenset(named)


def present_devices(ruleset: Ruleset) -> Ruleset:
    """The ruleset with the interfaces that this box has now: the kernel refuses a whole transaction for one that is
    not plugged in yet."""
    here = {name for _, name in socket.if_nameindex()}
    sets = {
        name: msgspec.structs.replace(
            declared,
            elements={
                key: value for key, value in declared.elements.items() if here.issuperset(_QUOTED.findall(key))
            },
        )
        for name, declared in ruleset.sets.items()
        if by_index(declared)
    }
    flowtables = {
        name: msgspec.structs.replace(
            flowtable, devices=tuple(device for device in flowtable.devices if device in here)
        )
        for name, flowtable in ruleset.flowtables.items()
    }
    if not sets and not flowtables:
        return ruleset
    return msgspec.structs.replace(ruleset, sets=ruleset.sets | sets, flowtables=flowtables)
