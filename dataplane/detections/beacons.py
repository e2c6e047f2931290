"""Beaconing: a host inside that calls the same service outside again and again at even intervals.

What people do is bunched; a program that waits for orders calls by the clock, give or take. So: enough conversations,
over enough time, whose intervals lie close to their median. Services that much of the house uses are no beacon, nor
are those that keep time or names.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from statistics import median

import msgspec

from appliance.policy.detections import Thresholds
from dataplane.detections import bounds
from dataplane.detections.finding import Finding, lasting, moment, spelled
from dataplane.detections.seen import ICMP, ICMPV6, TCP, UDP, Conversation
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.table import Table

_PROTOCOLS = {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "ipv6-icmp"}
# By the clock because they are made so: names, DHCP, time, NetBIOS, SNMP, IKE and its keepalive, discovery, STUN.
_REGULAR = frozenset({53, 67, 68, 123, 137, 138, 161, 500, 546, 547, 853, 1900, 3478, 4500, 5353, 5355})
_POPULAR = 4  # hosts inside that use a service: then it is what the house does
_LEAST_INTERVAL = 5.0  # seconds: what comes faster is one burst
_LONGEST_INTERVAL = 86400.0
_EVEN = 0.85  # share of the intervals that must lie close to the median


class _Calls(msgspec.Struct):
    times: list[float] = []  # beginnings, oldest first
    sent: int = 0
    received: int = 0
    ended: int = 0


class Beacons:
    def __init__(self, thresholds: Thresholds, around: Surroundings) -> None:
        self._limits = thresholds
        self._around = around
        self._calls: Table[tuple[bytes, bytes, int, int], _Calls] = Table(bounds.BEACON_PAIRS, 3 * _LONGEST_INTERVAL)
        self._users: Table[tuple[bytes, int, int], set[bytes]] = Table(bounds.POPULAR, 3 * _LONGEST_INTERVAL)

    def look(self, seen: Conversation) -> Iterator[Finding]:
        if seen.phase != "ended" or seen.protocol not in _PROTOCOLS or seen.port in _REGULAR:
            return
        if not self._around.inside(seen.client) or self._around.inside(seen.server):
            return
        if not self._around.place(seen.server).host or self._around.own(seen.client):
            return
        key = (seen.client, seen.server, seen.protocol, seen.port)
        service = (seen.server, seen.protocol, seen.port)
        users = self._users.get(service, seen.time) or self._users.put(service, set(), seen.time)
        if len(users) < bounds.POPULAR_HOSTS:
            users.add(seen.client)
        calls = self._calls.get(key, seen.time) or self._calls.put(key, _Calls(), seen.time)
        calls.ended += 1
        calls.sent += seen.sent
        calls.received += seen.received
        _insert(calls.times, seen.start)
        self._calls.weigh(key, len(calls.times))
        if len(calls.times) >= self._limits.beacon_times and len(users) < _POPULAR:
            yield from self._judge(seen, calls, key)

    def _judge(self, seen: Conversation, calls: _Calls, key: tuple[bytes, bytes, int, int]) -> Iterator[Finding]:
        times = calls.times
        lasted = times[-1] - times[0]
        if lasted < self._limits.beacon_seconds:
            return
        gaps = [later - earlier for earlier, later in pairwise(times)]
        middle = median(gaps)
        if not _LEAST_INTERVAL <= middle <= _LONGEST_INTERVAL:
            return
        allowed = middle * self._limits.beacon_jitter / 100
        even = sum(abs(gap - middle) <= allowed for gap in gaps)
        if even < _EVEN * len(gaps):
            return
        self._calls.drop(key)
        yield self._finding(seen, calls, middle, even, len(gaps))

    def _finding(self, seen: Conversation, calls: _Calls, middle: float, even: int, gaps: int) -> Finding:
        client, server = spelled(seen.client), spelled(seen.server)
        protocol = _PROTOCOLS[seen.protocol]
        service = f"{protocol}/{seen.port}" if seen.protocol in (TCP, UDP) else protocol
        return Finding(
            kind="beacon",
            time=seen.time,
            since=calls.times[0],
            offender=client,
            victim=server,
            port=seen.port if seen.protocol in (TCP, UDP) else 0,
            protocol=protocol,
            words=(
                f"{client} ({self._around.words(seen.client)}) called {service} of {server} "
                f"({self._around.words(seen.server)}) {len(calls.times)} times from {moment(calls.times[0])} "
                "on, every "
                f"{lasting(middle)}: {even} of {gaps} intervals lie within {self._limits.beacon_jitter} % of that. "
                f"{calls.sent // calls.ended} bytes went out and {calls.received // calls.ended} came back each "
                "time. "
                f"It is told from {self._limits.beacon_times} calls over "
                f"{lasting(self._limits.beacon_seconds)} on"
            ),
            remedy=(
                f"Find the program on {client} that does it. One that looks for updates or keeps a line open is "
                "harmless and is exempted under `detections`; one that nobody knows waits for orders"
            ),
            confidence="high" if even == gaps and len(calls.times) >= 2 * self._limits.beacon_times else "medium",
            seen=len(calls.times),
            threshold=self._limits.beacon_times,
        )


def _insert(times: list[float], start: float) -> None:
    """Conversations end in another order than they begin. What begins together is one call."""
    at = len(times)
    while at > 0 and times[at - 1] > start:
        at -= 1
    near = times[max(0, at - 1) : at + 1]
    if any(abs(start - other) < 1.0 for other in near):
        return
    times.insert(at, start)
    if len(times) > bounds.BEACON_TIMES:
        del times[0]
