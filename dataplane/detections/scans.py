"""Scans: one source that asks for many ports of a host, or for one port of many hosts, and does not get them.

Only what fails counts, so a busy client is none: a refused packet, a reset, no answer. Where a port of many hosts is
asked for, a source that gets what it wants most of the time is none either (as in Jung, Paxson, Berger and
Balakrishnan, "Fast Portscan Detection Using Sequential Hypothesis Testing", 2004).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.policy.detections import Thresholds
from dataplane.detections import bounds
from dataplane.detections.finding import Confidence, Finding, lasting, moment, several, spelled
from dataplane.detections.seen import ICMP, ICMPV6, TCP, UDP, Conversation
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.table import K, Table

_PROTOCOLS = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "ipv6-icmp"}
_ECHO = {ICMP: 8, ICMPV6: 128}
_TRACEROUTE = range(33434, 33535)  # its datagrams are meant not to be answered
_MISSES_TO_HITS = 3  # a source that fails so many times as often as it succeeds is none that has a bad day


class _Asked(msgspec.Struct):
    """What a source did not get, when last; and how often it got what it asked for."""

    missed: dict[int | bytes, float] = {}
    got: int = 0
    first: float = 0.0


class Scans:
    def __init__(self, thresholds: Thresholds, around: Surroundings) -> None:
        self._limits = thresholds
        self._around = around
        seconds = float(thresholds.scan_seconds)
        self._ports: Table[tuple[bytes, bytes, int], _Asked] = Table(bounds.SCANNERS, seconds)
        sweep = float(thresholds.sweep_seconds)
        self._hosts: Table[tuple[bytes, int, int], _Asked] = Table(bounds.SCANNERS, sweep)

    def look(self, seen: Conversation) -> Iterator[Finding]:
        if seen.phase in ("goes-on",) or seen.protocol not in _PROTOCOLS:
            return
        if seen.protocol in _ECHO and seen.port != _ECHO[seen.protocol]:
            return
        if not self._around.place(seen.server).host or self._around.own(seen.client):
            return
        if seen.failed:
            if seen.protocol == UDP and seen.port in _TRACEROUTE:
                return
            yield from self._missed_port(seen)
            yield from self._missed_host(seen)
        elif seen.phase == "answered":
            found = self._hosts.get((seen.client, seen.protocol, seen.port), seen.time)
            if found is not None:
                found.got += 1

    def _missed_port(self, seen: Conversation) -> Iterator[Finding]:
        if seen.protocol in _ECHO:
            return
        key = (seen.client, seen.server, seen.protocol)
        asked = _count(self._ports, key, seen.port, seen, self._limits.scan_seconds)
        if len(asked.missed) >= self._limits.scan_ports:
            self._ports.drop(key)
            yield self._port_scan(seen, asked)

    def _missed_host(self, seen: Conversation) -> Iterator[Finding]:
        key = (seen.client, seen.protocol, seen.port)
        asked = _count(self._hosts, key, seen.server, seen, self._limits.sweep_seconds)
        missed = len(asked.missed)
        if missed >= self._limits.scan_hosts and missed >= _MISSES_TO_HITS * asked.got:
            self._hosts.drop(key)
            yield self._host_scan(seen, asked)

    def _port_scan(self, seen: Conversation, asked: _Asked) -> Finding:
        client, server = spelled(seen.client), spelled(seen.server)
        protocol = _PROTOCOLS[seen.protocol]
        ports = sorted(port for port in asked.missed if isinstance(port, int))
        examples = several([str(port) for port in ports], bounds.WORDS_SHOWN)
        return Finding(
            kind="port-scan",
            time=seen.time,
            since=asked.first,
            offender=client,
            victim=server,
            protocol=protocol,
            outside=not self._around.inside(seen.client),
            words=(
                f"{client} ({self._around.words(seen.client)}) asked for {len(ports)} {protocol} ports of {server} "
                f"({self._around.words(seen.server)}) within {lasting(seen.time - asked.first)} from "
                f"{moment(asked.first)} on, and got none of them: {examples}. It is told from "
                f"{self._limits.scan_ports} ports in {lasting(self._limits.scan_seconds)} on"
            ),
            remedy=self._remedy(seen.client, client),
            confidence=self._confidence(seen.client),
            seen=len(ports),
            threshold=self._limits.scan_ports,
            evidence=tuple(f"{protocol}/{port}" for port in ports),
        )

    def _host_scan(self, seen: Conversation, asked: _Asked) -> Finding:
        client = spelled(seen.client)
        protocol = _PROTOCOLS[seen.protocol]
        service = protocol if seen.protocol in _ECHO else f"{protocol}/{seen.port}"
        hosts = [spelled(address) for address in asked.missed if isinstance(address, bytes)]
        what = "sent an echo request to" if seen.protocol in _ECHO else f"asked for {service} of"
        return Finding(
            kind="host-scan",
            time=seen.time,
            since=asked.first,
            offender=client,
            port=0 if seen.protocol in _ECHO else seen.port,
            protocol=protocol,
            outside=not self._around.inside(seen.client),
            words=(
                f"{client} ({self._around.words(seen.client)}) {what} {len(hosts)} hosts within "
                f"{lasting(seen.time - asked.first)} from {moment(asked.first)} on that refused it or did not answer"
                f"{f', and {asked.got} times one did' if asked.got else ''}: {several(hosts, bounds.WORDS_SHOWN)}. "
                f"It is told from {self._limits.scan_hosts} hosts in {lasting(self._limits.sweep_seconds)} on"
            ),
            remedy=self._remedy(seen.client, client),
            confidence=self._confidence(seen.client) if not asked.got else "medium",
            seen=len(hosts),
            threshold=self._limits.scan_hosts,
            evidence=tuple(hosts[: bounds.WORDS_SHOWN]),
        )

    def _confidence(self, client: bytes) -> Confidence:
        """Who scans needs no answer to be seen scanning: from outside the address may be another's (nmap -D)."""
        return "high" if self._around.inside(client) else "medium"

    def _remedy(self, client: bytes, name: str) -> str:
        if self._around.inside(client):
            return (
                f"Find out what {name} does: a worm and a curious person look alike. An inventory or audit that is "
                "meant to scan is exempted under `detections`"
            )
        return f"See whether it reached something: reef log --host {name}. Ban it if it goes on: reef ban add {name}"


def _count(table: Table[K, _Asked], key: K, what: int | bytes, seen: Conversation, seconds: int) -> _Asked:
    """One more that failed; those that are too long ago are forgotten."""
    asked = table.get(key, seen.time)
    if asked is None:
        asked = table.put(key, _Asked(first=seen.time), seen.time)
    asked.missed.pop(what, None)
    asked.missed[what] = seen.time
    while asked.missed:
        oldest = next(iter(asked.missed))
        if seen.time - asked.missed[oldest] <= seconds and len(asked.missed) <= bounds.SCAN_TARGETS:
            break
        del asked.missed[oldest]
        asked.first = next(iter(asked.missed.values()))
    table.weigh(key, len(asked.missed))
    return asked
