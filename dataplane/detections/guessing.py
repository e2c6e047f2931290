"""Password guessing: logins that fail, one after the other, by one source or by many at one service.

Where a protocol tells what came of a login, that counts. Where it is encrypted (ssh, imaps …), a short connection
counts: one in which a login was possible and nothing after it. Its sizes are those that Hofstede, Hendriks, Sperotto
and Pras found of the brute-force phase ("SSH Compromise Detection using NetFlow/IPFIX", 2014): 11 to 51 packets.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.policy.detections import Thresholds
from dataplane.detections import bounds
from dataplane.detections.finding import Finding, lasting, moment, several, spelled
from dataplane.detections.seen import TCP, Conversation, Login
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.table import Table

# Services whose logins nobody reads on the line: by protocol where the engine knows it, else by port.
_BY_APP = {"ssh": "ssh", "imap": "imap", "rdp": "rdp", "rfb": "vnc", "telnet": "telnet"}
_BY_PORT = {
    22: "ssh", 23: "telnet", 110: "pop3", 143: "imap", 465: "smtp", 587: "smtp", 993: "imap", 995: "pop3",
    3306: "mysql", 3389: "rdp", 5432: "postgresql", 5900: "vnc",
}  # fmt: skip
_LEAST_RECEIVED = 4  # packets of the server: it said something, and more than once
_MOST_PACKETS = 60  # of both sides
_MOST_BYTES = 16 << 10
_MOST_SECONDS = 120.0
# OpenSSH lets a client try six passwords in one connection and waits some two seconds after each that is wrong. A
# connection of ssh from outside counts once for each four seconds that it takes, so that a slow link counts little.
_SECONDS_EACH = 4.0
_MOST_EACH = 3
_SHORT = 2  # so many times the threshold where only the length of connections speaks, and programs may be at work
_CLEAN = 0.5  # logins that succeed are at least so many times those that fail: no guessing


class _Tried(msgspec.Struct):
    """When it failed, oldest first; what succeeded meanwhile."""

    failed: list[float] = []
    users: dict[str, None] = {}
    succeeded: int = 0
    sizes: list[int] = []


class _Service(msgspec.Struct):
    sources: dict[bytes, float] = {}
    told: int = 0


class Guessing:
    def __init__(self, thresholds: Thresholds, around: Surroundings) -> None:
        self._limits = thresholds
        self._around = around
        seconds = float(thresholds.guessing_seconds)
        self._sources: Table[tuple[bytes, bytes, str], _Tried] = Table(bounds.GUESSERS, seconds)
        self._services: Table[tuple[bytes, str], _Service] = Table(
            bounds.GUESSED_SERVICES, float(thresholds.shared_seconds)
        )

    def login(self, seen: Login) -> Iterator[Finding]:
        """A login whose outcome was read."""
        if not seen.failed:
            known = self._sources.get((seen.client, seen.server, seen.protocol), seen.time)
            if known is not None:
                known.succeeded += 1
            return
        tried = self._tried(seen.client, seen.server, seen.protocol, seen.time)
        if seen.user and len(tried.users) < bounds.WORDS_SHOWN * 2:
            tried.users[seen.user] = None
        yield from self._failed(
            tried, seen.client, seen.server, seen.port, seen.protocol, seen.time, short=not seen.certain
        )

    def look(self, seen: Conversation) -> Iterator[Finding]:
        """A connection to a service whose logins cannot be read."""
        if seen.phase != "ended" or seen.protocol != TCP:
            return
        name = _BY_APP.get(seen.app) or _BY_PORT.get(seen.port)
        if name is None or not seen.answered or seen.packets_received < _LEAST_RECEIVED:
            return
        tried = self._tried(seen.client, seen.server, name, seen.time)
        size = seen.sent + seen.received
        packets = seen.packets_sent + seen.packets_received
        if size > _MOST_BYTES or packets > _MOST_PACKETS or seen.time - seen.start > _MOST_SECONDS:
            tried.succeeded += 1
            return
        tried.sizes.append(size)
        times = 1
        if name == "ssh" and not self._around.inside(seen.client):
            times = min(1 + int((seen.time - seen.start) / _SECONDS_EACH), _MOST_EACH)
        tried.failed += [seen.time] * (times - 1)
        yield from self._failed(tried, seen.client, seen.server, seen.port, name, seen.time, short=True)

    def _tried(self, client: bytes, server: bytes, protocol: str, now: float) -> _Tried:
        key = (client, server, protocol)
        return self._sources.get(key, now) or self._sources.put(key, _Tried(), now)

    def _failed(
        self, tried: _Tried, client: bytes, server: bytes, port: int, protocol: str, now: float, *, short: bool
    ) -> Iterator[Finding]:
        # From outside nobody's programs are expected to log in again and again.
        doubtful = short and self._around.inside(client)
        limit = self._limits.guessing * (_SHORT if doubtful else 1)
        tried.failed.append(now)
        while now - tried.failed[0] > self._limits.guessing_seconds or len(tried.failed) > limit:
            del tried.failed[0]
        del tried.sizes[:-limit]
        self._sources.weigh((client, server, protocol), len(tried.failed))
        if len(tried.failed) >= limit and tried.succeeded < _CLEAN * len(tried.failed):
            self._sources.drop((client, server, protocol))
            yield self._finding(tried, client, server, port, protocol, now, limit, short=short)
        yield from self._shared(client, server, port, protocol, now, short=short)

    def _shared(
        self, client: bytes, server: bytes, port: int, protocol: str, now: float, *, short: bool
    ) -> Iterator[Finding]:
        """Many sources, each of which may stay below the threshold."""
        key = (server, protocol)
        service = self._services.get(key, now) or self._services.put(key, _Service(), now)
        service.sources.pop(client, None)
        service.sources[client] = now
        while True:
            oldest = next(iter(service.sources))
            held = len(service.sources) <= bounds.GUESSING_SOURCES
            if now - service.sources[oldest] <= self._limits.shared_seconds and held:
                break
            del service.sources[oldest]
        self._services.weigh(key, len(service.sources))
        limit = self._limits.guessing_sources * (_SHORT if short else 1)
        if len(service.sources) < limit:
            return
        began = next(iter(service.sources.values()))
        sources = [spelled(address) for address in service.sources]
        outside = sum(not self._around.inside(address) for address in service.sources)
        self._services.drop(key)
        name = spelled(server)
        how = "were gone again at once" if short else "failed to log in"
        yield Finding(
            kind="shared-guessing",
            time=now,
            since=began,
            offender="",
            victim=name,
            port=port,
            protocol=_transport(protocol),
            outside=outside > 0,
            words=(
                f"{len(sources)} sources ({outside} of them outside) {how} at {protocol} of {name} "
                f"({self._around.words(server)}) within {lasting(now - began)} from {moment(began)} on: "
                f"{several(sources, bounds.WORDS_SHOWN)}. It is told from {limit} sources in "
                f"{lasting(self._limits.shared_seconds)} on"
            ),
            remedy=(
                f"See in the logs of {name} whether one of them came in. Let {protocol} be reached only by those who "
                "need it, and have it ask for keys or a second factor"
            ),
            confidence="medium" if short else "high",
            seen=len(sources),
            threshold=limit,
            evidence=tuple(sources[: bounds.WORDS_SHOWN]),
        )

    def _finding(
        self, tried: _Tried, client: bytes, server: bytes, port: int, protocol: str, now: float, limit: int, *,
        short: bool,
    ) -> Finding:  # fmt: skip
        source, target = spelled(client), spelled(server)
        began = tried.failed[0]
        count = len(tried.failed)
        if short:
            most = f" (at most {max(tried.sizes)} bytes each)" if tried.sizes else ""
            begun = len(set(tried.failed))
            if begun < count:
                most += f", by their length at least {count} logins"
            how = (
                f"began {begun} conversations with {protocol} of {target} ({self._around.words(server)}) in which no "
                f"more than a login can have happened{most}"
            )
        else:
            how = f"failed {count} times to log in at {protocol} of {target} ({self._around.words(server)})"
        users = f", as {several(list(tried.users), bounds.WORDS_SHOWN)}" if tried.users else ""
        inside = self._around.inside(client)
        return Finding(
            kind="guessing",
            time=now,
            since=began,
            offender=source,
            victim=target,
            port=port,
            protocol=_transport(protocol),
            outside=not inside,
            words=(
                f"{source} ({self._around.words(client)}) {how}{users}, within {lasting(now - began)} from "
                f"{moment(began)} on. It is told from {limit} in {lasting(self._limits.guessing_seconds)} on"
            ),
            remedy=(
                (
                    f"Ask who is at {source}: a program with an old password looks the same. "
                    if inside
                    else f"Ban it: reef ban add {source}. "
                )
                + f"See in the logs of {target} whether a login succeeded"
            ),
            confidence="medium" if short else "high",
            seen=count,
            threshold=limit,
            evidence=tuple(tried.users),
        )


def _transport(protocol: str) -> str:
    return "udp" if protocol in ("ike", "sip") else "tcp"
