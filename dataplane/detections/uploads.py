"""Exfiltration by volume: a host inside that sends far more to the outside in an hour than it ever did.

Each host is its own measure: the most that it sent in one hour of the last two weeks, and a floor below which nothing
is told. What long conversations sent is counted as they go on.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.policy.detections import Thresholds
from dataplane.detections import bounds
from dataplane.detections.finding import Finding, moment, several, spelled
from dataplane.detections.seen import TCP, UDP, Conversation
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.table import Table

_HOUR = 3600
_KNOWN_HOURS = 24  # of its own baseline before that is a measure; until then several times the floor is
_UNKNOWN_TIMES = 4
_TARGETS = 16
_PROTOCOLS = {TCP: "tcp", UDP: "udp"}


class Sender(msgspec.Struct):
    """`days` is the most of an hour on each day (since the epoch), `hours` how many hours something was sent in."""

    hour: int = 0
    sent: int = 0
    received: int = 0
    told: bool = False
    hours: int = 0
    days: dict[int, int] = {}
    targets: dict[str, int] = {}


class Uploads:
    def __init__(self, thresholds: Thresholds, around: Surroundings) -> None:
        self._limits = thresholds
        self._around = around
        self._hosts: Table[bytes, Sender] = Table(bounds.VOLUME_HOSTS, bounds.VOLUME_HOURS * _HOUR)

    def state(self) -> dict[bytes, Sender]:
        return dict(self._hosts.items())

    def restore(self, hosts: dict[bytes, Sender], now: float) -> None:
        for address, sender in hosts.items():
            self._hosts.put(address, sender, now, sender.hours)

    def look(self, seen: Conversation, sent: int, received: int) -> Iterator[Finding]:
        """`sent` and `received` are what came since the conversation was seen last."""
        if not self._around.inside(seen.client) or self._around.inside(seen.server):
            return
        if self._around.own(seen.client) or not self._around.place(seen.server).host:
            return
        sender = self._hosts.get(seen.client, seen.time) or self._hosts.put(seen.client, Sender(), seen.time)
        hour = int(seen.time) // _HOUR
        if hour != sender.hour:
            _turn(sender, hour)
            self._hosts.weigh(seen.client, sender.hours)
        sender.sent += sent
        sender.received += received
        _add(sender.targets, spelled(seen.server), sent)
        limit = self._limit(sender)
        if not sender.told and sender.sent >= limit and sender.sent > sender.received:
            sender.told = True
            yield self._finding(seen, sender, limit)

    def _limit(self, sender: Sender) -> int:
        most = max(sender.days.values(), default=0)
        if sender.hours < _KNOWN_HOURS:
            return max(self._limits.upload_bytes * _UNKNOWN_TIMES, most)
        return max(self._limits.upload_bytes, most * self._limits.upload_times)

    def _finding(self, seen: Conversation, sender: Sender, limit: int) -> Finding:
        client = spelled(seen.client)
        most = max(sender.days.values(), default=0)
        targets = sorted(sender.targets.items(), key=lambda item: -item[1])
        named = several([f"{name} ({_size(sent)})" for name, sent in targets], 4)
        measure = (
            f"The most it sent in any of {sender.hours} hours before is {_size(most)}"
            if sender.hours >= _KNOWN_HOURS
            else f"It is known for {sender.hours} hours only"
        )
        return Finding(
            kind="upload",
            time=seen.time,
            since=float(sender.hour * _HOUR),
            offender=client,
            victim=targets[0][0],
            port=seen.port,
            protocol=_PROTOCOLS.get(seen.protocol, ""),
            words=(
                f"{client} ({self._around.words(seen.client)}) sent {_size(sender.sent)} to the outside in the "
                "hour from "
                f"{moment(sender.hour * _HOUR)} on (and received {_size(sender.received)}), to {named}. {measure}; "
                f"it is told from {_size(limit)} on"
            ),
            remedy=(
                f"Ask who is at {client} what was sent. A backup or a move of data that is meant to be is exempted "
                "under `detections`; else cut the line to the address and keep the machine as it is"
            ),
            confidence="medium" if sender.hours >= _KNOWN_HOURS else "low",
            seen=sender.sent,
            threshold=limit,
            evidence=tuple(name for name, _ in targets[:4]),
        )


def _turn(sender: Sender, hour: int) -> None:
    """An hour is over: it goes into the baseline, unless it was the one that was told of."""
    if sender.hour and not sender.told:
        day = sender.hour * _HOUR // 86400
        sender.days[day] = max(sender.days.get(day, 0), sender.sent)
        sender.hours += 1
        for old in sorted(sender.days)[: -bounds.VOLUME_HOURS // 24]:
            del sender.days[old]
    sender.hour, sender.sent, sender.received, sender.told = hour, 0, 0, False
    sender.targets.clear()


def _add(targets: dict[str, int], name: str, sent: int) -> None:
    targets[name] = targets.get(name, 0) + sent
    if len(targets) > _TARGETS:
        del targets[min(targets, key=targets.__getitem__)]


def _size(count: int) -> str:
    if count >= 1 << 30:
        return f"{count / (1 << 30):.1f} GiB"
    if count >= 1 << 20:
        return f"{count / (1 << 20):.1f} MiB"
    return f"{count / 1024:.1f} KiB"
