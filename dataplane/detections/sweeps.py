"""Sweeps of one's own network: a device that asks by ARP for many addresses that nobody has.

Answers go from device to device and are seen by nobody else, so an address counts as had when its device showed
itself within the last hour, by a question of its own or otherwise. Whoever knows its network asks for devices that
are there.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.policy.detections import Thresholds
from dataplane.detections import bounds
from dataplane.detections.finding import Finding, lasting, moment, several, spelled
from dataplane.detections.seen import Neighbour
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.table import Table

_HOUR = 3600.0
_MISSES_TO_HITS = 3


class _Swept(msgspec.Struct):
    """When it asked for what; oldest first."""

    missed: dict[bytes, float] = {}
    got: dict[bytes, float] = {}


class Sweeps:
    def __init__(self, thresholds: Thresholds, around: Surroundings) -> None:
        self._limits = thresholds
        self._around = around
        self._devices: Table[str, _Swept] = Table(bounds.SWEEPERS, float(thresholds.sweep_seconds))
        self._shown: Table[bytes, bool] = Table(bounds.SHOWN, _HOUR)

    def shown(self, seen: Neighbour) -> None:
        """Somebody has this address."""
        if seen.address:
            self._shown.put(seen.address, True, seen.time)

    def look(self, seen: Neighbour) -> Iterator[Finding]:
        if self._around.own(seen.address):
            return
        swept = self._devices.get(seen.mac, seen.time) or self._devices.put(seen.mac, _Swept(), seen.time)
        side = swept.got if self._shown.get(seen.asked, seen.time) else swept.missed
        side.pop(seen.asked, None)
        side[seen.asked] = seen.time
        for asked in (swept.got, swept.missed):
            _forget(asked, seen.time - self._limits.sweep_seconds)
        missed = len(swept.missed)
        self._devices.weigh(seen.mac, missed)
        if missed >= self._limits.scan_hosts and missed >= _MISSES_TO_HITS * len(swept.got):
            self._devices.drop(seen.mac)
            yield self._finding(seen, swept)

    def _finding(self, seen: Neighbour, swept: _Swept) -> Finding:
        client = spelled(seen.address)
        hosts = [spelled(address) for address in swept.missed]
        began = min(swept.missed.values())
        there = f", and for {len(swept.got)} that somebody has" if swept.got else ""
        return Finding(
            kind="host-scan",
            time=seen.time,
            since=began,
            offender=client,
            protocol="arp",
            device=seen.mac,
            outside=False,
            words=(
                f"{client} ({self._around.words(seen.address)}), device {seen.mac}, asked its own network by ARP for "
                f"{len(hosts)} addresses within {lasting(seen.time - began)} from {moment(began)} on that nobody "
                f"showed to have{there}: {several(hosts, bounds.WORDS_SHOWN)}. It is told from "
                f"{self._limits.scan_hosts} addresses in {lasting(self._limits.sweep_seconds)} on"
            ),
            remedy=(
                f"Find out what {client} does: somebody looks which hosts there are, or a program keeps asking for "
                "old ones. A router that somebody scans through looks the same; one that is meant to is exempted "
                "under `detections`"
            ),
            confidence="medium",
            seen=len(hosts),
            threshold=self._limits.scan_hosts,
            evidence=tuple(hosts[: bounds.WORDS_SHOWN]),
        )


def _forget(asked: dict[bytes, float], before: float) -> None:
    while asked:
        oldest = next(iter(asked))
        if asked[oldest] >= before and len(asked) <= bounds.SCAN_TARGETS:
            return
        del asked[oldest]
