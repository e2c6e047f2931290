"""The kernel's side of bans: a table of its own, which belongs to no generation.

Hosts lie in hash sets, where one among a million costs what one among ten does (some 10 µs to change); networks in
interval sets, whose change costs with their size, so there should be few. Who is allowed is asked only of packets
that a ban would drop: nobody else pays for the allow-list.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import NamedTuple

from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nfsets import Element, Sets, format_element, parse_address
from appliance.policy.compiling.delta import repair
from appliance.policy.compiling.ruleset import Chain, Ruleset, Set
from appliance.policy.model import Range
from ctypes_ext.nftables import Nftables

TABLE = "reef_ban"
_FAMILY = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}


def _sent_to(chain: str, direction: str) -> tuple[str, ...]:
    return tuple(
        f"{word} {direction} @{kind}_v{version} goto {chain}"
        for version, (word, _) in _FAMILY.items()
        for kind in ("ban", "ban_net")
    )


def _dropped(direction: str) -> Chain:
    """Whoever is sent there, but for who is allowed: behind `goto` a return ends the table's look at the packet."""
    spared = tuple(f"{word} {direction} @allow_v{version} return" for version, (word, _) in _FAMILY.items())
    return Chain((*spared, "counter name banned", "drop"))


BANS = Ruleset(
    table=TABLE,
    counters=("banned",),
    sets={
        f"{kind}_v{version}": Set(key=f"type {key}", flags=flags, live=True)
        for version, (_, key) in _FAMILY.items()
        for kind, flags in (("ban", ("timeout",)), ("ban_net", ("interval", "timeout")), ("allow", ("interval",)))
    },
    chains={
        "banned": _dropped("saddr"),
        "banned_to": _dropped("daddr"),
        "early": Chain(_sent_to("banned", "saddr"), base="type filter hook prerouting priority -310; policy accept;"),
        "leaving": Chain(
            _sent_to("banned_to", "daddr"), base="type filter hook postrouting priority -310; policy accept;"
        ),
    },
)


class Held(NamedTuple):
    """A ban as the kernel holds it: `left` are the seconds until it ends, 0 for none."""

    address: str
    left: float = 0.0


class BanTable:
    """The sets of the table. Everything raises `NetlinkError`, or `ElementError` for what is no address."""

    def __init__(self, netfilter: Netfilter) -> None:
        self._sets = Sets(netfilter, TABLE)

    def restore(self, bans: Iterable[Held], allowed: Iterable[Range]) -> None:
        """Over what an earlier process left there: never a moment without the bans that hold."""
        if not self._declared():
            Nftables().run(repair(BANS))
        self.allow(allowed)
        grouped = _grouped(bans)
        for name in BANS.sets:
            if name.startswith("ban"):
                self._sets.replace(self._sets.info(name), grouped.get(name, []))

    def add(self, bans: Iterable[Held]) -> None:
        for name, elements in _grouped(bans).items():
            self._sets.add(self._sets.info(name), elements)

    def remove(self, addresses: Iterable[str]) -> list[NetlinkError]:
        """Takes them out; what was not there is returned as the kernel said it."""
        missed = []
        for name, elements in _grouped(map(Held, addresses)).items():
            info = self._sets.info(name)
            for element in elements:
                try:
                    self._sets.remove(info, [element])
                except NetlinkError as error:
                    missed.append(error)
        return missed

    def overlapping(self, network: str) -> str:
        """A banned network that shares addresses with this one; "" when there is none."""
        version, wanted = parse_address(network)
        info = self._sets.info(f"ban_net_v{version}")
        for element in self._sets.elements(info):
            if element.first <= wanted.last and wanted.first <= element.last:
                return format_element(element, info.key_length)
        return ""

    def allow(self, parts: Iterable[Range]) -> None:
        """Exactly these are allowed; disjoint, not adjacent."""
        listed = list(parts)
        for version in _FAMILY:
            elements = [Element(part.first, part.last) for part in listed if part.version == version]
            self._sets.replace(self._sets.info(f"allow_v{version}"), elements)

    def _declared(self) -> bool:
        try:
            return {info.name for info in self._sets.all()} == set(BANS.sets)
        except NetlinkError as error:
            if error.errno != errno.ENOENT:
                raise
            return False


def _grouped(bans: Iterable[Held]) -> dict[str, list[Element]]:
    """Elements by the set that holds them."""
    found: dict[str, list[Element]] = {}
    for ban in bans:
        version, plain = parse_address(ban.address)
        name = f"ban_v{version}" if plain.first == plain.last else f"ban_net_v{version}"
        found.setdefault(name, []).append(Element(plain.first, plain.last, ban.left))
    return found
