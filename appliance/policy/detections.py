"""From how much on the detections tell, and where they do not: what a policy's `detections` section means."""

from __future__ import annotations

import msgspec

# What can be found, by the names that texts and findings use.
NAMES = (
    "port-scan", "host-scan", "guessing", "shared-guessing", "beacon", "dns-tunnel", "dga", "new-device",
    "new-service", "upload", "moved-address",
)  # fmt: skip


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts from which on something is told, and the seconds in which they are counted.
    docs/detections.md says why.
    """

    scan_ports: int = 15  # ports of one host that one source does not get
    scan_hosts: int = 20  # hosts of which one source does not get one port
    scan_seconds: int = 300
    sweep_seconds: int = 300
    guessing: int = 15  # failed logins, or connections in which nothing but a login can have happened
    guessing_sources: int = 30  # sources that fail at one service
    guessing_seconds: int = 600
    shared_seconds: int = 600
    beacon_times: int = 16  # conversations at even intervals
    beacon_jitter: int = 20  # percent of the interval by which they may be off
    beacon_seconds: int = 1800  # how long it must go on
    tunnel_names: int = 150  # different names of one domain
    tunnel_bytes: int = 8192  # that those names could carry
    tunnel_seconds: int = 3600
    dga_domains: int = 20  # domains that do not exist
    dga_seconds: int = 3600
    upload_bytes: int = 1 << 30  # to the outside in one hour
    upload_times: int = 5  # the most that the host sent in any hour of its baseline
    again: int = 3600  # seconds until what goes on is told again


class Hosts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A closed interval of addresses, as numbers."""

    version: int
    first: int
    last: int


class Exemption(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hosts of which something is not told; `detections` empty: nothing is. `until` in seconds since the
    epoch, 0: ever.
    """

    id: str
    hosts: tuple[Hosts, ...]
    detections: tuple[str, ...] = ()
    owner: str = ""
    why: str = ""
    expires: str = ""
    until: float = 0.0


class Detections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`off` are names of detections that are not wanted, `learning` seconds in which what is new is noted
    and not told.
    """

    on: bool = True
    off: tuple[str, ...] = ()
    learning: int = 7 * 86400
    thresholds: Thresholds = Thresholds()
    exemptions: tuple[Exemption, ...] = ()
