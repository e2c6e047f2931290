"""Addresses and networks of indicators in force: what alertd asks for, bounded by what must never be blocked.

alertd keeps them and says them again when this process starts; the kernel's table stays meanwhile. Nobody's word is
believed for what the gateway and its own networks cannot do without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from appliance.control.kernel.indicatedtable import BLOCK, TELL, IndicatedTable
from appliance.control.kernel.netlink import NetlinkError
from appliance.control.kernel.nfnetlink import Netfilter
from appliance.control.kernel.nfsets import Element
from appliance.control.messages.gateway import Refused
from appliance.control.messages.indicators import Enforce, Enforced, Held
from appliance.policy import addresses
from appliance.policy.addresses import AddressError
from appliance.policy.banning import Spared
from appliance.policy.model import Range
from appliance.policy.spans import Spans

MOST = 1_000_000
ANEW = "anew"  # the code of a refusal: alertd shall say everything
MOST_NETWORKS = 100_000
_MODES = (BLOCK, TELL)
_VERSIONS = (4, 6)


class Indicated:
    """What is in force. `vital` are those that are never blocked, `allowed` whom the operators allow."""

    def __init__(
        self, netfilter: Netfilter, vital: Callable[[], Iterable[Spared]], allowed: Callable[[], Iterable[Range]]
    ) -> None:
        self._table = IndicatedTable(netfilter)
        self._vital = vital
        self._allowed = allowed
        self._in_kernel: tuple[Range, ...] | None = None
        self._stands = False
        self._told = False  # everything was said to this process; what an earlier one left holds until then
        # (mode, version) to hosts and when they end (monotonic, 0 for never), and likewise networks.
        self._hosts: dict[tuple[str, int], dict[int, float]] = {(m, v): {} for m in _MODES for v in _VERSIONS}
        self._networks: dict[tuple[str, int], dict[Range, float]] = {(m, v): {} for m in _MODES for v in _VERSIONS}

    def answer(self, request: Enforce) -> Enforced | Refused:
        """All that may be in force is; the table is as before when the kernel refuses."""
        if not (self._told or request.whole):
            return Refused(ANEW, "what is in force is not known here any more; say everything again")
        wanted: dict[str, dict[Range, float]] = {BLOCK: {}, TELL: {}}
        refused = self._sorted(request, wanted)
        released = {part for word in request.release if (part := _parsed(word)) is not None}
        if not request.whole and not self._room(wanted):
            words = f"at most {MOST:,} addresses and {MOST_NETWORKS:,} networks are in force at once"
            return Refused("too-many", words)
        try:
            if request.whole:
                self._fill(wanted)
            else:
                self._change(wanted, released)
            self._told = True
            self._settle()
        except NetlinkError as error:
            self._stands = self._told = False
            return Refused("kernel", f"the kernel refuses the indicators: {error}")
        return Enforced(self._count(BLOCK), self._count(TELL), tuple(refused))

    def tick(self) -> None:
        """Networks end by the clock here, hosts by the kernel's own. To be called now and then; raises nothing."""
        now = time.monotonic()
        for hosts in self._hosts.values():
            for host in [host for host, until in hosts.items() if until and until <= now]:
                del hosts[host]
        ended = [
            (networks, part)
            for networks in self._networks.values()
            for part, until in networks.items()
            if until and until <= now
        ]
        for networks, part in ended:
            del networks[part]
        try:
            if ended:
                self._renew_networks()
            self._settle()
        except NetlinkError:
            self._stands = self._told = False  # somebody took the table away

    # --- what is asked for ----------------------------------------------------------------------------

    def _sorted(self, request: Enforce, wanted: dict[str, dict[Range, float]]) -> list[tuple[str, str]]:
        """What is asked for, parsed, into `wanted`; what must not be is returned with the reason."""
        refused: list[tuple[str, str]] = []
        spans = Spans((one.part, one.why) for one in self._vital())
        now = time.monotonic()
        for mode, asked in ((TELL, request.tell), (BLOCK, request.block)):
            for held in asked:
                part = _parsed(held.address)
                if part is None:
                    refused.append((held.address, "neither an address nor a network"))
                    continue
                why = spans.why(part.version, part.first, part.last) if mode == BLOCK else ""
                if why:
                    refused.append((held.address, why))
                    continue
                wanted[mode][part] = _until(held, now)
        return refused

    def _room(self, wanted: dict[str, dict[Range, float]]) -> bool:
        parts = [part for each in wanted.values() for part in each]
        hosts = sum(part.first == part.last for part in parts)
        held, nets = (sum(map(len, kept.values())) for kept in (self._hosts, self._networks))
        return held + hosts <= MOST and nets + len(parts) - hosts <= MOST_NETWORKS

    # --- into the kernel ------------------------------------------------------------------------------

    def _fill(self, wanted: dict[str, dict[Range, float]]) -> None:
        """Exactly these."""
        self._stand()
        for mode in _MODES:
            for version in _VERSIONS:
                parts = {part: until for part, until in wanted[mode].items() if part.version == version}
                hosts = {part.first: until for part, until in parts.items() if part.first == part.last}
                self._table.replace(mode, version, _elements(hosts))
                self._hosts[mode, version] = hosts
                self._networks[mode, version] = {p: until for p, until in parts.items() if p.first != p.last}
        self._renew_networks()

    def _change(self, wanted: dict[str, dict[Range, float]], released: set[Range]) -> None:
        """An address is in one mode: what is wanted in one leaves the other."""
        if any(wanted.values()):
            self._stand()
        renewed = False
        for mode in _MODES:
            other = wanted[TELL if mode == BLOCK else BLOCK]
            for version in _VERSIONS:
                hosts, networks = self._hosts[mode, version], self._networks[mode, version]
                mine = {part: until for part, until in wanted[mode].items() if part.version == version}
                leaving = {part for part in (*released, *other) if part.version == version and part not in mine}
                add = {part.first: until for part, until in mine.items() if part.first == part.last}
                gone = [h for h in (*add, *(part.first for part in leaving if part.first == part.last)) if h in hosts]
                if add or gone:
                    self._exchange(mode, version, add, gone)
                for part in leaving & networks.keys():
                    del networks[part]
                    renewed = True
                for part, until in mine.items():
                    if part.first != part.last:
                        networks[part] = until
                        renewed = True
        if renewed and self._stands:
            self._renew_networks()

    def _exchange(self, mode: str, version: int, add: dict[int, float], gone: list[int]) -> None:
        hosts = self._hosts[mode, version]
        try:
            self._table.change(mode, version, _elements(add), [Element(host, host) for host in gone])
        except NetlinkError:
            # One that ended by itself this moment cannot be taken out: then all of them are said again.
            left = {host: until for host, until in hosts.items() if host not in set(gone)} | add
            self._table.replace(mode, version, _elements(left))
        for host in gone:
            hosts.pop(host, None)
        hosts.update(add)

    def _renew_networks(self) -> None:
        for mode in _MODES:
            merged = {v: addresses.normal(self._networks[mode, v]) for v in _VERSIONS}
            self._table.networks(mode, merged)

    def _stand(self) -> None:
        if not self._stands:
            self._table.stand()
            self._stands, self._in_kernel = True, None

    def _settle(self) -> None:
        """Without an indicator there is no table; with one it knows who is allowed."""
        if not self._told:
            return
        if not any(self._hosts.values()) and not any(self._networks.values()):
            if self._stands:
                self._table.remove()
                self._stands = False
            return
        wanted = addresses.normal(self._allowed())
        if self._stands and wanted != self._in_kernel:
            self._table.allow(wanted)
            self._in_kernel = wanted

    def _count(self, mode: str) -> int:
        return sum(len(self._hosts[mode, v]) + len(self._networks[mode, v]) for v in _VERSIONS)


def _parsed(words: str) -> Range | None:
    try:
        return addresses.literal(words)
    except AddressError:
        return None


def _until(held: Held, now: float) -> float:
    return now + held.seconds if held.seconds else 0.0


def _elements(hosts: dict[int, float]) -> Iterable[Element]:
    now = time.monotonic()
    return (Element(host, host, max(until - now, 0.001) if until else 0.0) for host, until in hosts.items())
