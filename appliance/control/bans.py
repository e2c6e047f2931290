"""Bans: addresses whose packets are dropped before anything else, in a table of their own.

They belong to no generation, survive every apply and are kept in a file. Hosts lie in hash sets, where one
among a million costs what one among ten does (some 10 µs to change); networks in interval sets, whose
change costs with their size, so there should be few.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from appliance.control.messages import BanEntry, Refused
from appliance.control.netlink import NetlinkError
from appliance.control.nfnetlink import Netfilter
from appliance.control.nfsets import Element, ElementError, Sets, format_element, parse_address
from appliance.durable import replace
from appliance.policy.delta import repair
from appliance.policy.ruleset import Chain, Ruleset, Set
from ctypes_ext.nftables import Nftables

TABLE = "reef_ban"
_FAMILY = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}


def _drops(direction: str) -> tuple[str, ...]:
    return tuple(
        f"{word} {direction} @{kind}_v{version} goto banned"
        for version, (word, _) in _FAMILY.items()
        for kind in ("ban", "ban_net")
    )


BANS = Ruleset(
    table=TABLE,
    counters=("banned",),
    sets={
        f"{kind}_v{version}": Set(key=f"type {key}", flags=flags, live=True)
        for version, (_, key) in _FAMILY.items()
        for kind, flags in (("ban", ("timeout",)), ("ban_net", ("interval", "timeout")))
    },
    chains={
        "banned": Chain(("counter name banned", "drop")),
        "early": Chain(_drops("saddr"), base="type filter hook prerouting priority -310; policy accept;"),
        "leaving": Chain(_drops("daddr"), base="type filter hook postrouting priority -310; policy accept;"),
    },
)


class BanRefused(Exception):
    """The bans were refused and are as they were. `reply` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.reply = Refused(code, message)


class Bans:
    """The bans of this gateway: in the kernel, and in a file for the next start."""

    def __init__(self, netfilter: Netfilter, path: Path, log: Callable[[str], None]) -> None:
        self._sets = Sets(netfilter, TABLE)
        self._path = path
        self._log = log
        self._entries: dict[str, BanEntry] = {}

    def restore(self) -> None:
        """Put the kept bans that still hold into the kernel. Damaged files are reported and left aside."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=tuple[BanEntry, ...])
        except FileNotFoundError:
            kept = ()
        except (OSError, ValueError) as error:
            self._log(f"{self._path}: the bans cannot be read and are not in force: {error}")
            kept = ()
        now = time.time()
        self._entries = {entry.address: entry for entry in kept if not entry.until or entry.until > now}
        if not self._declared():
            Nftables().run(repair(BANS))
        # Over what an earlier process left there: never a moment without the bans that hold.
        grouped = self._grouped(self._entries.values())
        for name in BANS.sets:
            info = self._sets.info(name)
            self._sets.replace(info, [_timed(entry, plain, now) for entry, plain in grouped.get(name, [])])

    def ban(self, addresses: tuple[str, ...], seconds: int, reason: str, by: str) -> tuple[BanEntry, ...]:
        """Raises `BanRefused`."""
        now = time.time()
        until = now + seconds if seconds else 0.0
        entries = {name: BanEntry(name, by, reason, now, until) for name in map(_canonical, addresses)}
        overlap = [name for name in entries if "/" in name or "-" in name if name not in self._entries]
        for name in overlap:
            self._no_overlap(name)
        renewed = [name for name in entries if name in self._entries]
        if renewed:
            self._delete(renewed)
        self._insert(entries.values(), now)
        self._entries.update(entries)
        self._save()
        return tuple(entries.values())

    def unban(self, addresses: tuple[str, ...]) -> tuple[BanEntry, ...]:
        """Take bans back; those that there were. Raises `BanRefused` when one is not banned."""
        names = [_canonical(name) for name in addresses]
        self._forget_ended()
        unknown = [name for name in names if name not in self._entries]
        if unknown:
            raise BanRefused("not-banned", f"not banned: {', '.join(unknown)}; `reef ban list` lists what is")
        self._delete(names)
        gone = tuple(self._entries.pop(name) for name in dict.fromkeys(names))
        self._save()
        return gone

    def current(self) -> tuple[BanEntry, ...]:
        self._forget_ended()
        return tuple(self._entries.values())

    def _declared(self) -> bool:
        try:
            return {info.name for info in self._sets.all()} == set(BANS.sets)
        except NetlinkError as error:
            if error.errno != errno.ENOENT:
                raise
            return False

    def _forget_ended(self) -> None:
        now = time.time()
        for name in [name for name, entry in self._entries.items() if entry.until and entry.until <= now]:
            del self._entries[name]

    def _no_overlap(self, name: str) -> None:
        version, wanted = parse_address(name)
        info = self._sets.info(f"ban_net_v{version}")
        for element in self._sets.elements(info):
            if element.first <= wanted.last and wanted.first <= element.last:
                held = format_element(element, info.key_length)
                raise BanRefused("overlap", f"{name} overlaps the banned network {held}; unban that first")

    def _insert(self, entries: Iterable[BanEntry], now: float) -> None:
        try:
            for name, pairs in self._grouped(entries).items():
                self._sets.add(self._sets.info(name), [_timed(entry, plain, now) for entry, plain in pairs])
        except (NetlinkError, ElementError) as error:
            raise BanRefused("kernel", f"the kernel refuses the ban: {error}") from error

    def _delete(self, names: Iterable[str]) -> None:
        entries = [BanEntry(name, "", "", 0.0, 0.0) for name in names]
        for name, pairs in self._grouped(entries).items():
            info = self._sets.info(name)
            for _, plain in pairs:
                try:
                    self._sets.remove(info, [plain])
                except NetlinkError as error:
                    self._log(f"a ban was gone already: {error}")

    def _grouped(self, entries: Iterable[BanEntry]) -> dict[str, list[tuple[BanEntry, Element]]]:
        """The entries by the set that holds them."""
        found: dict[str, list[tuple[BanEntry, Element]]] = {}
        for entry in entries:
            version, plain = parse_address(entry.address)
            name = f"ban_v{version}" if plain.first == plain.last else f"ban_net_v{version}"
            found.setdefault(name, []).append((entry, plain))
        return found

    def _save(self) -> None:
        try:
            replace(self._path, msgspec.json.encode(tuple(self._entries.values())))
        except OSError as error:
            raise BanRefused("store", f"the bans are in force but cannot be kept: {error.strerror}") from error


def _timed(entry: BanEntry, plain: Element, now: float) -> Element:
    """The element of a ban, with the seconds it has left."""
    return Element(plain.first, plain.last, max(entry.until - now, 0.001) if entry.until else 0.0)


def _canonical(words: str) -> str:
    try:
        version, element = parse_address(words)
    except ElementError as error:
        raise BanRefused("bad-address", str(error)) from error
    return format_element(element, 4 if version == 4 else 16)
