"""Services that were never seen before: a port of a host inside that answers for the first time.

Each is told once and then known. What a host opens for one conversation only (FTP's data, calls) are high ports
that come and go; a host that begins to answer on many of them is told once, as such.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from dataplane.detections import bounds
from dataplane.detections.finding import Finding, moment, spelled
from dataplane.detections.seen import TCP, UDP, Conversation
from dataplane.detections.surroundings import Surroundings

_PROTOCOLS = {TCP: "tcp", UDP: "udp"}
_DYNAMIC = 32768  # from here on systems take ports for a while (ip_local_port_range)


class Service(msgspec.Struct):
    """One of the register. Of a host with many `port` is 0: whatever else it answers is known."""

    address: bytes
    protocol: int
    port: int
    first: float
    last: float
    app: str = ""


class Services:
    def __init__(self, around: Surroundings, learning_until: float) -> None:
        self._around = around
        self.learning_until = learning_until
        self._known: dict[tuple[bytes, int, int], Service] = {}
        self._of_host: dict[bytes, int] = {}
        self.forgotten = 0

    def all(self) -> list[Service]:
        return sorted(self._known.values(), key=lambda one: (one.address, one.protocol, one.port))

    def restore(self, services: list[Service]) -> None:
        for service in services[: bounds.SERVICES]:
            self._note(service)

    def look(self, seen: Conversation) -> Iterator[Finding]:
        if seen.phase != "ended" or not seen.answered or not self._is_service(seen):
            return
        key = (seen.server, seen.protocol, seen.port)
        known = self._known.get(key) or self._known.get((seen.server, seen.protocol, 0))
        if known is not None:
            known.last = max(known.last, seen.time)
            known.app = known.app or (seen.app if known.port else "")
            return
        many = self._of_host.get(seen.server, 0) >= bounds.SERVICES_OF_HOST
        port = 0 if many else seen.port
        if len(self._known) >= bounds.SERVICES:
            self._forget(max(self._known.values(), key=lambda one: one.first))
        self._note(Service(seen.server, seen.protocol, port, seen.time, seen.time, seen.app))
        if seen.time >= self.learning_until:
            yield self._new(seen, port)

    def _is_service(self, seen: Conversation) -> bool:
        if seen.protocol == TCP:
            # The one who was asked is known only where the beginning was seen, and data came.
            if not seen.flags_received & 0x02 or seen.packets_received < 3 or seen.port >= _DYNAMIC:
                return False
        elif seen.protocol != UDP or (seen.port >= 1024 and (not seen.app or seen.port >= _DYNAMIC)):
            return False
        place = self._around.place(seen.server)
        return place.inside and place.host and not self._around.own(seen.server)

    def _note(self, service: Service) -> None:
        self._known[service.address, service.protocol, service.port] = service
        self._of_host[service.address] = self._of_host.get(service.address, 0) + 1

    def _forget(self, service: Service) -> None:
        del self._known[service.address, service.protocol, service.port]
        left = self._of_host[service.address] - 1
        if left:
            self._of_host[service.address] = left
        else:
            del self._of_host[service.address]
        self.forgotten += 1

    def _new(self, seen: Conversation, port: int) -> Finding:
        server, client = spelled(seen.server), spelled(seen.client)
        protocol = _PROTOCOLS[seen.protocol]
        speaks = f" ({seen.app})" if seen.app else ""
        outside = not self._around.inside(seen.client)
        if port:
            what = f"answered on {protocol}/{port}{speaks} for the first time"
        else:
            what = f"answers on more than {bounds.SERVICES_OF_HOST} ports, {protocol}/{seen.port} among them"
        return Finding(
            kind="new-service",
            time=seen.time,
            since=seen.start,
            offender=server,
            victim=client,
            port=seen.port,
            protocol=protocol,
            words=(
                f"{server} ({self._around.words(seen.server)}) {what}, to {client} "
                f"({self._around.words(seen.client)}) at {moment(seen.start)}. Every service that was never "
                "seen is told once"
            ),
            remedy=(
                f"Ask who runs it. If nobody does, somebody else may: see what listens on {server}"
                + (", and why the outside may reach it" if outside else "")
            ),
            confidence="high" if outside else "medium",
            seen=1,
            threshold=1,
            evidence=(f"{protocol}/{seen.port}",),
        )
