"""All detections together: one thing seen in, findings out. What was told is not told again at once.

Time is that of what is seen and never goes backwards here: when a clock is set back, the time that was reached
goes on
from there, so that no window stands open for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from appliance.policy.detections import Detections
from dataplane.detections import bounds
from dataplane.detections.beacons import Beacons
from dataplane.detections.devices import Device, Devices
from dataplane.detections.dnsnames import DnsNames
from dataplane.detections.finding import Finding, packed
from dataplane.detections.guessing import Guessing
from dataplane.detections.makers import Makers
from dataplane.detections.scans import Scans
from dataplane.detections.seen import Conversation, Login, Neighbour, Question, Seen
from dataplane.detections.services import Service, Services
from dataplane.detections.surroundings import Surroundings
from dataplane.detections.sweeps import Sweeps
from dataplane.detections.table import Table
from dataplane.detections.uploads import Sender, Uploads

_GOES_ON = 86400.0  # seconds without a word of a conversation
_BACK = 60.0  # seconds by which things may come late without the clock having been set


class _Told(msgspec.Struct):
    at: float
    since: int = 0  # findings kept back since


class Kept(msgspec.Struct):
    """What outlives a restart."""

    began: float = 0.0  # when the time of learning began
    last: float = 0.0  # until when was looked
    devices: list[Device] = []
    services: list[Service] = []
    senders: dict[bytes, Sender] = {}
    told: list[tuple[str, str, str, float]] = []


class Watch:
    """`kept` is what an earlier one left, None for the first."""

    def __init__(
        self, settings: Detections, around: Surroundings, makers: Makers | None = None, kept: Kept | None = None
    ) -> None:
        self._settings = settings
        self._began = kept.began if kept is not None else 0.0
        self._shift = 0.0  # by which the clock was set back
        self._late: float | None = None  # what came since only late things did: the time of the first
        self._last = 0.0
        again = float(max(settings.thresholds.again, 1))
        self._told: Table[tuple[str, str, str], _Told] = Table(bounds.TOLD, 24 * again)
        self._going: Table[int, tuple[int, int]] = Table(bounds.GOING_ON, _GOES_ON)
        self.kept_back = 0  # findings that an exemption covers
        limits = settings.thresholds
        self._scans = Scans(limits, around)
        self._sweeps = Sweeps(limits, around)
        self._guessing = Guessing(limits, around)
        self._beacons = Beacons(limits, around)
        self._names = DnsNames(limits, around)
        self._uploads = Uploads(limits, around)
        self.devices = Devices(around, makers or Makers(), self._began + settings.learning)
        self.services = Services(around, self._began + settings.learning)
        if kept is not None:
            self._restore(kept)

    @property
    def learning_until(self) -> float:
        """When what is new begins to be told; 0 before anything was seen."""
        return self._began + self._settings.learning if self._began else 0.0

    def look(self, seen: Seen) -> list[Finding]:
        """What it gives reason to tell."""
        if not self._settings.on:
            return []
        shift = self._clock(seen.time)
        if not self._began:
            self._begin(seen.time)
        if shift:
            seen = _moved(seen, shift)
        return [told for found in self._find(seen) if (told := self._tell(found)) is not None]

    def kept(self) -> Kept:
        """What outlives a restart."""
        return Kept(
            self._began,
            self._last,
            self.devices.all(),
            self.services.all(),
            self._uploads.state(),
            [(*key, told.at) for key, told in self._told.items()],
        )

    def _restore(self, kept: Kept) -> None:
        self._last = kept.last
        self.devices.restore(kept.devices)
        self.services.restore(kept.services)
        self._uploads.restore(kept.senders, kept.last)
        for kind, offender, victim, at in kept.told:
            self._told.put((kind, offender, victim), _Told(at), at)

    def _begin(self, now: float) -> None:
        """The first thing ever seen: the time of learning begins."""
        self._began = now
        self.devices.learning_until = self.services.learning_until = now + self._settings.learning

    def _clock(self, time: float) -> float:
        """By how much what was seen then is to be moved.

        What ends by a time-out comes late, alone or in a crowd, and is told as if it came now. That the clock was set
        back is believed when for a minute, by its own time, nothing came that was not late: were every late one a
        clock that was set back, time would run away with them.
        """
        for shift in (0.0, self._shift):
            if time + shift >= self._last - _BACK:
                self._shift, self._late = shift, None
                self._last = max(self._last, time + shift)
                return shift
        moved = self._last - time
        if self._late is None:
            self._late = time
        elif time - self._late >= _BACK:
            self._shift, self._late = moved, None
        return moved

    # --- what looks at what -----------------------------------------------------------------------------

    def _find(self, seen: Seen) -> Iterator[Finding]:
        if isinstance(seen, Conversation):
            yield from self._scans.look(seen)
            if seen.phase in ("ended", "goes-on"):
                yield from self._uploads.look(seen, *self._since(seen))
            if seen.phase == "ended":
                yield from self._guessing.look(seen)
                yield from self._beacons.look(seen)
                yield from self.services.look(seen)
        elif isinstance(seen, Question):
            yield from self._names.look(seen)
        elif isinstance(seen, Login):
            yield from self._guessing.login(seen)
        elif isinstance(seen, Neighbour):
            if seen.how == "asks":
                yield from self._sweeps.look(seen)
                return
            self._sweeps.shown(seen)
            yield from self.devices.look(seen)

    def _since(self, seen: Conversation) -> tuple[int, int]:
        """What a conversation carried since it was told of last."""
        before = self._going.get(seen.flow, seen.time) or (0, 0)
        if seen.phase == "goes-on":
            self._going.put(seen.flow, (seen.sent, seen.received), seen.time, seen.sent)
        else:
            self._going.drop(seen.flow)
        return max(0, seen.sent - before[0]), max(0, seen.received - before[1])

    # --- what is told -----------------------------------------------------------------------------------

    def _tell(self, found: Finding) -> Finding | None:
        """The finding, unless it is not wanted, exempted, or was told not long ago."""
        if found.kind in self._settings.off:
            return None
        if self._exempted(found):
            self.kept_back += 1
            return None
        who = found.offender or found.device or found.victim
        key = (found.kind, found.device if found.kind == "new-device" else who, _about(found))
        told = self._told.get(key, found.time)
        if told is not None and found.time - told.at < self._settings.thresholds.again:
            told.since += 1
            return None
        self._told.put(key, _Told(found.time), found.time, _WORTH.get(found.confidence, 0.0))
        return msgspec.structs.replace(found, again=told.since) if told is not None and told.since else found

    def _exempted(self, found: Finding) -> bool:
        address = packed(found.offender)
        if not address:
            return False
        version, number = (4 if len(address) == 4 else 6), int.from_bytes(address, "big")
        return any(
            (not one.detections or found.kind in one.detections)
            and (not one.until or found.time < one.until)
            and any(part.version == version and part.first <= number <= part.last for part in one.hosts)
            for one in self._settings.exemptions
        )


_WORTH = {"low": 0.0, "medium": 1.0, "high": 2.0}


def _about(found: Finding) -> str:
    """Whom or what it is about besides the offender: a scanner of a hundred hosts is told once for each service, not
    for each host."""
    if found.kind in ("port-scan", "upload", "dga", "new-device", "moved-address"):
        return ""
    if found.kind == "dns-tunnel":
        return found.evidence[0]
    if found.kind == "host-scan":
        return f"{found.protocol}/{found.port}"
    if found.kind == "new-service":
        return f"{found.protocol}/{found.port}"
    return f"{found.victim} {found.protocol}/{found.port}"


def _moved(seen: Seen, shift: float) -> Seen:
    if isinstance(seen, Conversation):
        return msgspec.structs.replace(seen, time=seen.time + shift, start=seen.start + shift)
    return msgspec.structs.replace(seen, time=seen.time + shift)
