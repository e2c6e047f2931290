"""Devices on our own networks: when each was seen first, by which addresses and names it goes, and who made it (R3).

A device is its hardware address. Who accepted it stands in the register, which outlives restarts; in the time of
learning every device is accepted as found.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from dataplane.detections import bounds
from dataplane.detections.finding import Finding, moment, spelled
from dataplane.detections.makers import Makers
from dataplane.detections.seen import Neighbour
from dataplane.detections.surroundings import Surroundings

_SHARED = (
    "00:00:5e:00:01",
    "00:00:5e:00:02",
    "00:00:0c:07:ac",
    "00:00:0c:9f:f",
)  # VRRP and HSRP: two boxes, one name
_FLAPS = 3  # times that an address changes hands before it is told
_FLAP_SECONDS = 600.0


class Device(msgspec.Struct):
    """One of the register. `state`: learned, accepted (by `by`), unknown."""

    mac: str
    first: float
    last: float
    zone: str = ""
    how: str = ""
    maker: str = ""
    state: str = "unknown"
    by: str = ""
    addresses: dict[str, float] = {}
    names: list[str] = []


class Devices:
    def __init__(self, around: Surroundings, makers: Makers, learning_until: float) -> None:
        self._around = around
        self._makers = makers
        self.learning_until = learning_until
        self._known: dict[str, Device] = {}
        self._holders: dict[bytes, str] = {}  # address: the device that has it
        self._flaps: dict[bytes, list[float]] = {}
        self.forgotten = 0

    # --- the register ---------------------------------------------------------------------------------

    def all(self) -> list[Device]:
        return sorted(self._known.values(), key=lambda device: (device.first, device.mac))

    def restore(self, devices: list[Device]) -> None:
        self._known = {device.mac: device for device in devices[: bounds.DEVICES]}

    def accept(self, mac: str, by: str) -> Device | None:
        device = self._known.get(mac.lower())
        if device is not None:
            device.state, device.by = "accepted", by
        return device

    def forget(self, mac: str) -> Device | None:
        """As if it had never been seen."""
        return self._known.pop(mac.lower(), None)

    # --- what is seen ---------------------------------------------------------------------------------

    def look(self, seen: Neighbour) -> Iterator[Finding]:
        mac = seen.mac.lower() or self._holders.get(seen.address, "")
        if not mac or not _of_one_device(mac):
            return
        device = self._known.get(mac)
        new = device is None
        if device is None:
            device = self._begin(seen, mac)
        device.last = max(device.last, seen.time)
        device.zone = self._zone(seen) or device.zone
        if seen.name and seen.name not in device.names and len(device.names) < bounds.DEVICE_NAMES:
            device.names.append(seen.name[:80])
        if seen.address:
            text = spelled(seen.address)
            device.addresses[text] = seen.time
            if len(device.addresses) > bounds.DEVICE_ADDRESSES:
                del device.addresses[min(device.addresses, key=device.addresses.__getitem__)]
        if new and device.state == "unknown":
            yield self._new(seen, device)
        if seen.address and seen.mac and seen.how in ("arp", "nd"):
            yield from self._holds(seen, mac)

    def _zone(self, seen: Neighbour) -> str:
        """By its line where that is known: a link-local address is of no zone, and anybody can claim another's."""
        line = self._around.line(seen.interface)
        if line or not seen.address or ip_address(seen.address).is_link_local:
            return line
        return self._around.place(seen.address).zone

    def _begin(self, seen: Neighbour, mac: str) -> Device:
        if len(self._known) >= bounds.DEVICES:
            # Nobody answers for the unknown: the newest of them goes, so that a flood pushes out itself.
            unknown = [device for device in self._known.values() if device.state == "unknown"]
            gone = max(unknown, key=lambda d: d.first) if unknown else min(self._known.values(), key=lambda d: d.last)
            del self._known[gone.mac]
            self.forgotten += 1
        state = "learned" if seen.time < self.learning_until else "unknown"
        device = Device(mac, seen.time, seen.time, how=seen.how, maker=self._makers.of(mac), state=state)
        self._known[mac] = device
        return device

    def _new(self, seen: Neighbour, device: Device) -> Finding:
        address = spelled(seen.address)
        named = f", which calls itself {device.names[0]}" if device.names else ""
        maker = f"made by {device.maker}" if device.maker else "whose maker is in no register"
        if device.maker.startswith("a private"):
            maker = "with a private hardware address (phones change theirs), so nobody's register says who made it"
        where = f" in zone {device.zone}" if device.zone else ""
        at = f" with address {address}" if address else ""
        return Finding(
            kind="new-device",
            time=seen.time,
            since=seen.time,
            offender=address,
            device=device.mac,
            words=(
                f"a device that was never seen here, {device.mac}{named}, {maker}, showed itself{where}{at} by "
                f"{_HOW.get(seen.how, seen.how)} at {moment(seen.time)}. Every device that is not in the "
                "register is told once"
            ),
            remedy=(
                f"Find it. If it belongs here: reef devices accept {device.mac}. If not, unplug it, or shut the port "
                "of the switch"
            ),
            confidence="high",
            seen=1,
            threshold=1,
        )

    def _holds(self, seen: Neighbour, mac: str) -> Iterator[Finding]:
        """An address that goes to and fro between devices: somebody takes what is another's."""
        holder = self._holders.get(seen.address)
        if len(self._holders) >= bounds.DEVICES * 2 and holder is None:
            self._holders.clear()
            self._flaps.clear()
        self._holders[seen.address] = mac
        if holder is None or holder == mac or not seen.address:
            return
        flaps = [time for time in self._flaps.get(seen.address, []) if seen.time - time <= _FLAP_SECONDS]
        flaps.append(seen.time)
        self._flaps[seen.address] = flaps
        if len(flaps) < _FLAPS:
            return
        del self._flaps[seen.address]
        address = spelled(seen.address)
        yield Finding(
            kind="moved-address",
            time=seen.time,
            since=flaps[0],
            offender=address,
            device=mac,
            words=(
                f"{address} ({self._around.words(seen.address)}) went {len(flaps)} times from one device to the "
                "other: "
                f"{holder} and {mac} both say that it is theirs, from {moment(flaps[0])} on. It is told from "
                f"{_FLAPS} "
                f"times in {round(_FLAP_SECONDS / 60)} min on"
            ),
            remedy=(
                "Either two devices were given one address, or one of them listens to what is meant for the other "
                "(ARP poisoning): unplug the one that does not belong there"
            ),
            confidence="medium",
            seen=len(flaps),
            threshold=_FLAPS,
            evidence=(holder, mac),
        )


_HOW = {"arp": "ARP", "nd": "neighbour discovery", "dhcp": "DHCP", "mdns": "multicast DNS"}


def _of_one_device(mac: str) -> bool:
    return not int(mac[:2], 16) & 1 and mac != "00:00:00:00:00:00" and not mac.startswith(_SHARED)
