"""The kernel's side of indicators: a table that is there only while there are some, so that others pay nothing.

Hosts lie in hash sets and end by themselves; networks, merged, in interval sets. A packet from or to `block` is
dropped, before connection tracking on its way in and before it leaves; a new connection from or to `tell` is logged.
Whom the operators allow is asked only of packets that would be dropped.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping

from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nfsets import Element, Sets
from appliance.policy.compiling.bundle import INDICATORS_TABLE
from appliance.policy.compiling.delta import repair
from appliance.policy.compiling.ruleset import Chain, Ruleset, Set
from appliance.policy.logprefix import INDICATOR, NFLOG_GROUP, build
from appliance.policy.model import Range
from ctypes_ext.nftables import Nftables

BLOCK, TELL = "block", "tell"
_FAMILY = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}
_LOGGED = "limit rate 100/second burst 200 packets"  # a flood of refused packets is no flood of events


def _said(action: str) -> str:
    return f'{_LOGGED} log prefix "{build(INDICATOR, action)}" group {NFLOG_GROUP}'


def _sent_to(chain: str, mode: str, direction: str) -> tuple[str, ...]:
    return tuple(
        f"{word} {direction} @{kind}_v{version} goto {chain}"
        for version, (word, _) in _FAMILY.items()
        for kind in (mode, f"{mode}_net")
    )


def _dropped(direction: str) -> Chain:
    spared = tuple(f"{word} {direction} @allow_v{version} return" for version, (word, _) in _FAMILY.items())
    return Chain((*spared, "counter name blocked", _said("deny"), "drop"))


_NEW = tuple(f"ct state new {rule}" for direction in ("saddr", "daddr") for rule in _sent_to("told", TELL, direction))

INDICATED = Ruleset(
    table=INDICATORS_TABLE,
    counters=("blocked", "told"),
    sets={
        f"{kind}_v{version}": Set(key=f"type {key}", flags=flags, live=True)
        for version, (_, key) in _FAMILY.items()
        for kind, flags in (
            (BLOCK, ("timeout",)),
            (f"{BLOCK}_net", ("interval",)),
            (TELL, ("timeout",)),
            (f"{TELL}_net", ("interval",)),
            ("allow", ("interval",)),
        )
    },
    chains={
        "blocked": _dropped("saddr"),
        "blocked_to": _dropped("daddr"),
        "told": Chain(("counter name told", _said("allow"))),
        "early": Chain(
            _sent_to("blocked", BLOCK, "saddr"), base="type filter hook prerouting priority -309; policy accept;"
        ),
        "leaving": Chain(
            _sent_to("blocked_to", BLOCK, "daddr"), base="type filter hook postrouting priority -309; policy accept;"
        ),
        # Behind connection tracking: only what begins is told.
        "coming": Chain(_NEW, base="type filter hook prerouting priority -190; policy accept;"),
        "own": Chain(_NEW, base="type filter hook output priority -190; policy accept;"),
    },
)


class IndicatedTable:
    """Everything raises `NetlinkError`."""

    def __init__(self, netfilter: Netfilter) -> None:
        self._sets = Sets(netfilter, INDICATORS_TABLE)

    def stand(self) -> None:
        """Be there, empty or as it was."""
        if not self._declared():
            Nftables().run(repair(INDICATED))

    def remove(self) -> None:
        if self._declared(anything=True):
            Nftables().run(f"delete table inet {INDICATORS_TABLE}")

    def change(self, mode: str, version: int, add: Iterable[Element], remove: Iterable[Element]) -> None:
        """Hosts of a set; what is to go must be there."""
        self._sets.change(self._sets.info(f"{mode}_v{version}"), add, remove)

    def replace(self, mode: str, version: int, hosts: Iterable[Element]) -> None:
        self._sets.replace(self._sets.info(f"{mode}_v{version}"), hosts)

    def hosts(self, mode: str, version: int) -> list[Element]:
        return self._sets.elements(self._sets.info(f"{mode}_v{version}"))

    def networks(self, mode: str, parts: Mapping[int, Iterable[Range]]) -> None:
        """Exactly these, by version; disjoint."""
        for version in _FAMILY:
            elements = [Element(part.first, part.last) for part in parts.get(version, ())]
            self._sets.replace(self._sets.info(f"{mode}_net_v{version}"), elements)

    def allow(self, parts: Iterable[Range]) -> None:
        """Exactly these are allowed; disjoint, not adjacent."""
        listed = list(parts)
        for version in _FAMILY:
            elements = [Element(part.first, part.last) for part in listed if part.version == version]
            self._sets.replace(self._sets.info(f"allow_v{version}"), elements)

    def _declared(self, *, anything: bool = False) -> bool:
        try:
            names = {info.name for info in self._sets.all()}
        except NetlinkError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
        return anything or names == set(INDICATED.sets)
