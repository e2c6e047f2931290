"""Quarantine: in zones that say so, a device that nobody accepted reaches nothing but what the text names (R3).

A device is its hardware address. Who is accepted is kept in a file of applyd's and stands in a table of its own,
which belongs to no generation: a device that nobody ever saw is not in its set, whether watchd lives or not. Only
policyd may change the set, when an operator asks; who watches traffic has no part in it.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from appliance.control.kernel.netlink import NetlinkError, attribute_map, string
from appliance.control.kernel.nfnetlink import NFTABLES, Netfilter, body
from appliance.control.kernel.nfsets import counters
from appliance.control.kernel.readback import MSG_GETTABLE
from appliance.control.messages.devices import Admit, Expel, Quarantine, QuarantinedZone, QuarantineReport
from appliance.control.messages.gateway import Refused
from appliance.durable import replace
from appliance.policy.boxes import PORT_PROTOCOLS
from appliance.policy.compiling import emit
from appliance.policy.compiling.bundle import QUARANTINE_TABLE as TABLE
from appliance.policy.compiling.bundle import QuarantineInfo
from appliance.policy.logprefix import NFLOG_GROUP, QUARANTINE, build
from appliance.policy.model import ServiceEntry
from ctypes_ext.nftables import Nftables, NftablesError

MOST = 20_000  # devices
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_PRIORITY = -305  # behind the bans, before connection tracking
_PORTS, _TYPES = (0, 65535), (0, 255)
_ICMP = {1: "icmp", 58: "icmpv6"}
_NEIGHBOURS = (
    "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } return"
)
_SET = "accepted"
_NAME, _USE = 1, 3
Counted = Mapping[str, tuple[int, int]]


class QuarantineRefused(Exception):
    """Nothing was changed. `reply` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Refused(code, message)


def counter(zone: str) -> str:
    """The counter of what a zone's quarantine dropped."""
    return f"quarantine_{zone}"


def commands(zones: Sequence[QuarantineInfo], admitted: Iterable[str], counted: Counted | None = None) -> str:
    """The table as nft commands, in place of what is there and with what it counted; without zones, none. Pure."""
    lines = [f"add table inet {TABLE}", f"delete table inet {TABLE}"]
    if not zones:
        return "\n".join([*lines, ""])
    elements = ", ".join(sorted(admitted))
    held = f" elements = {{ {elements} }};" if elements else ""
    lines += [f"add table inet {TABLE}", f"add set inet {TABLE} {_SET} {{ type ether_addr;{held} }}"]
    early = f"inet {TABLE} early"
    lines.append(f"add chain {early} {{ type filter hook prerouting priority {_PRIORITY}; policy accept; }}")
    for zone in zones:
        packets, size = (counted or {}).get(counter(zone.zone), (0, 0))
        chain = f"inet {TABLE} zone_{zone.zone}"
        lines.append(f"add counter inet {TABLE} {counter(zone.zone)} {{ packets {packets} bytes {size} }}")
        lines.append(f"add chain {chain}")
        rules = [f"ether saddr @{_SET} return", *map(_match, zone.may), _NEIGHBOURS]
        said = build(QUARANTINE, "deny", (zone.zone,), ())
        rules.append(f'counter name {counter(zone.zone)} log prefix "{said}" group {NFLOG_GROUP} drop')
        lines += [f"add rule {chain} {rule}" for rule in rules]
        if zone.interfaces:
            lines.append(f"add rule {early} iifname {emit.quoted(zone.interfaces)} goto zone_{zone.zone}")
    return "\n".join([*lines, ""])


def _match(entry: ServiceEntry) -> str:
    parts = [f"meta l4proto {entry.protocol}"]
    if entry.protocol in PORT_PROTOCOLS:
        parts += [f"th sport {emit.numbers(entry.source_ports)}"] if entry.source_ports != _PORTS else []
        parts += [f"th dport {emit.numbers(entry.ports)}"] if entry.ports != _PORTS else []
    elif entry.protocol in _ICMP and entry.icmp != _TYPES:
        parts.append(f"{_ICMP[entry.protocol]} type {emit.numbers(entry.icmp)}")
    return " ".join([*parts, "return"])


class Quarantines:
    """The quarantine of this gateway: in the kernel, and who is accepted in a file for the next start."""

    def __init__(
        self, netfilter: Netfilter, path: Path, leave_flowtable: Callable[[], None], log: Callable[[str], None]
    ) -> None:
        """`leave_flowtable` has every connection come past the rules again."""
        self._netfilter = netfilter
        self._path = path
        self._leave_flowtable = leave_flowtable
        self._log = log
        self._admitted: dict[str, str] = {}  # and by whom
        self._zones: tuple[QuarantineInfo, ...] = ()
        self._held: tuple[QuarantineInfo, ...] | None = None  # as the kernel has them; None: not known
        self._said = ""
        try:
            self._admitted = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            log(f"{path}: {error}; no device is accepted")

    def answer(self, request: Admit | Expel | Quarantine, asker: str) -> QuarantineReport:
        """Raises `QuarantineRefused`, `NetlinkError`."""
        if isinstance(request, Quarantine):
            return self._report()
        macs = tuple(dict.fromkeys(mac.lower() for mac in request.macs))
        wrong = [mac for mac in macs if _MAC.fullmatch(mac) is None]
        if wrong:
            raise QuarantineRefused("bad-address", f"no hardware address: {', '.join(wrong)[:200]}")
        wanted = dict(self._admitted)
        if isinstance(request, Admit):
            wanted |= dict.fromkeys(macs, request.by or asker)
        else:
            wanted = {mac: by for mac, by in wanted.items() if mac not in macs}
        if len(wanted) > MOST:
            raise QuarantineRefused("too-many", f"at most {MOST:,} devices can be accepted")
        self._take(wanted)
        verb = "accepted" if isinstance(request, Admit) else "no longer accepted"
        self._log(f"devices {verb} by {request.by or asker}: {', '.join(macs)}")
        return self._report()

    def _take(self, wanted: dict[str, str]) -> None:
        gone = self._admitted.keys() - wanted.keys()
        before, self._admitted = self._admitted, wanted
        try:
            self._load(self._zones)
            replace(self._path, msgspec.json.encode(wanted))
        except (OSError, NftablesError) as error:
            self._admitted, self._held = before, None
            raise QuarantineRefused("kernel", f"the quarantine stays as it was: {error}") from error
        if gone and self._zones:
            self._leave_flowtable()

    def prepare(self, zones: Sequence[QuarantineInfo]) -> None:
        """Before a generation with these zones is loaded: what both have holds. Raises `NftablesError`."""
        names = {zone.zone for zone in zones}
        both = (*zones, *(zone for zone in self._zones if zone.zone not in names))
        if both != self._zones:
            self._load(both)

    def follow(self, zones: Sequence[QuarantineInfo]) -> None:
        """These are the zones from now on."""
        self._zones = tuple(zones)
        self.settle()

    def settle(self) -> None:
        """Put right what is not as it must be: somebody wrote the table."""
        try:
            if self._held != self._zones or self._used() != (2 * len(self._zones) + 2 if self._zones else 0):
                self._load(self._zones)
            self._said = ""
        except (NetlinkError, NftablesError) as error:
            self._held = None
            if str(error) != self._said:
                self._said = str(error)
                self._log(f"the quarantine of unknown devices is not in force: {error}")

    @property
    def words(self) -> list[str]:
        """What a person should know of it."""
        return [f"the quarantine of unknown devices is not in force: {self._said}"] if self._said else []

    def _load(self, zones: Sequence[QuarantineInfo]) -> None:
        if zones or self._held != ():
            Nftables().run(commands(zones, self._admitted, self._counted()))
        self._held = tuple(zones)

    def _report(self) -> QuarantineReport:
        counted = self._counted()
        zones = tuple(QuarantinedZone(one.zone, counted.get(counter(one.zone), (0, 0))[0]) for one in self._zones)
        return QuarantineReport(tuple(sorted(self._admitted)), zones)

    def _counted(self) -> Counted:
        try:
            return counters(self._netfilter, TABLE)
        except NetlinkError as error:
            if error.errno != errno.ENOENT:
                raise
            return {}

    def _used(self) -> int:
        """How many sets, chains and counters the table has."""
        try:
            _, data = self._netfilter.get(NFTABLES | MSG_GETTABLE, body(string(_NAME, TABLE)))
        except NetlinkError as error:
            if error.errno != errno.ENOENT:
                raise
            return 0
        return int.from_bytes(attribute_map(data).get(_USE, b""), "big")
