"""What the command line asks watchd: the registers of devices and services, and how it is."""

from __future__ import annotations

import msgspec


class Devices(msgspec.Struct, frozen=True, tag=True):
    """The devices that were ever seen on our own networks."""


class DeviceInfo(msgspec.Struct, frozen=True):
    """`state`: learned (in the time of learning), accepted (by `by`), unknown. Moments are seconds since
    the epoch.
    """

    mac: str
    state: str
    first: float
    last: float
    zone: str = ""
    maker: str = ""
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    by: str = ""
    how: str = ""
    quarantined: bool = False  # its zone holds it, for nobody accepted it


class DeviceList(msgspec.Struct, frozen=True, tag=True):
    """`learning_until`: until then what is new is noted and not told; 0 before anything was seen."""

    devices: tuple[DeviceInfo, ...]
    learning_until: float = 0.0
    forgotten: int = 0  # devices for which there was no room


class AcceptDevice(msgspec.Struct, frozen=True, tag=True):
    """These devices belong here."""

    macs: tuple[str, ...]


class ForgetDevice(msgspec.Struct, frozen=True, tag=True):
    """As if they had never been seen: they are told of when they come again."""

    macs: tuple[str, ...]


class KnownServices(msgspec.Struct, frozen=True, tag=True):
    """The services of our own hosts that were ever seen to answer."""


class ServiceInfo(msgspec.Struct, frozen=True):
    """`port` 0: so many ports that they are not told apart."""

    address: str
    protocol: str
    port: int
    first: float
    last: float
    app: str = ""
    zone: str = ""


class ServiceList(msgspec.Struct, frozen=True, tag=True):
    services: tuple[ServiceInfo, ...]
    learning_until: float = 0.0
