"""Lists of banned prefixes and the XDP gate that drops them: typed calls over `_gate`.

Prefixes are `ipaddress` networks here and packed numbers below. What the calls mean stands in
`dataplane/include/reef/{banlist,bans,gate}.h`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from ctypes_ext._gate import ffi, lib

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Version = Literal[4, 6]

LISTS = 127  # ids 1 to this
SHORTEST: dict[int, int] = {4: 8, 6: 16}  # bits of a prefix that may be banned: a wider one is a mistake
_OK, _END, _FULL = 0, 1, 8
_WORDS = 512
_PACKED: dict[Version, int] = {4: 5, 6: 17}


class GateError(Exception):
    """The gate cannot do it; the text says why."""


class GateFull(GateError):
    """The tables hold no more; what was banned is banned."""


class ListReport(msgspec.Struct, frozen=True):
    """What reading a text found. `notes` are the first bad lines: their number, and whether they are too wide."""

    lines: int
    bad: int
    masked: int
    duplicates: int
    notes: tuple[tuple[int, bool], ...] = ()


class PrefixList:
    """Prefixes, sorted, each once."""

    def __init__(self) -> None:
        out = ffi.new("reef_banlist **")
        if lib.reef_banlist_new(out):
            raise MemoryError
        self._list: Any = ffi.gc(out[0], lib.reef_banlist_free)

    @classmethod
    def read(cls, text: bytes) -> tuple[PrefixList, ListReport]:
        """The list that a text says: an address, prefix or range at the beginning of each line."""
        found, report = cls(), ffi.new("struct reef_banlist_report *")
        if lib.reef_banlist_text(found._list, ffi.from_buffer(text), len(text), report):
            raise MemoryError
        lib.reef_banlist_finish(found._list, report)
        notes = tuple((note.line, bool(note.wide)) for note in report.notes[0 : report.note_count])
        return found, ListReport(report.lines, report.bad, report.masked, report.duplicates, notes)

    @classmethod
    def unpack(cls, packed4: bytes, packed6: bytes) -> tuple[PrefixList, int]:
        """The list of these packed entries, and how many were there twice. Raises ValueError."""
        found, report = cls(), ffi.new("struct reef_banlist_report *")
        for version, packed in ((4, packed4), (6, packed6)):
            status = lib.reef_banlist_unpack(found._list, version, ffi.from_buffer("uint8_t[]", packed), len(packed))
            if status:
                raise ValueError(f"not a packed list of IPv{version} prefixes that may be banned")
        lib.reef_banlist_finish(found._list, report)
        return found, int(report.duplicates)

    def packed(self, version: Version) -> bytes:
        """The entries of a version, as messages and files have them."""
        size = self.count(version) * _PACKED[version]
        out = ffi.new("uint8_t[]", size + 1)
        lib.reef_banlist_pack(self._list, version, out)
        return bytes(ffi.buffer(out, size))

    def count(self, version: Version) -> int:
        return int(lib.reef_banlist_count(self._list, version))

    def __len__(self) -> int:
        return self.count(4) + self.count(6)

    def _given(self) -> Any:
        """The C list, for whoever takes it over: this object is empty afterwards."""
        given, self._list = self._list, PrefixList()._list
        return given


class Limit(msgspec.Struct, frozen=True):
    """Packets a second, and how many at once; 0 a second is no limit."""

    rate: int = 0
    burst: int = 0


class Way(msgspec.Struct, frozen=True):
    """What is checked of what comes in by a line."""

    malformed: bool = True
    martians: bool = False
    private_sources: bool = False
    examples: bool = False
    syn: Limit = Limit()
    udp: Limit = Limit()
    icmp: Limit = Limit()
    syn_total: Limit = Limit()


class Tally(msgspec.Struct, frozen=True):
    packets: int
    bytes: int


Mode = Literal["", "native", "generic"]
_MODES: tuple[Mode, ...] = ("", "native", "generic")
REASONS: tuple[str, ...] = tuple(
    ffi.string(lib.reef_gate_reason_name(number)).decode() for number in range(lib.reef_gate_reasons())
)


class Gate:
    """The program in the kernel, its tables and the lines it stands at. `close` leaves it there."""

    def __init__(self, pins: str, hosts4: int, hosts6: int) -> None:
        """`pins` is a directory of the BPF file system. Raises `GateError`."""
        out, words = ffi.new("reef_gate **"), ffi.new("char[]", _WORDS)
        room = ffi.new("struct reef_gate_room *", {"hosts4": hosts4, "hosts6": hosts6})
        if lib.reef_gate_new(pins.encode(), room, out, words):
            raise GateError(ffi.string(words).decode() or "out of memory")
        self._gate: Any = out[0]
        self._bans: Any = lib.reef_gate_bans(self._gate)

    def close(self) -> None:
        if self._gate is not None:
            lib.reef_gate_free(self._gate)
            self._gate = None

    @property
    def memory(self) -> int:
        """Bytes of the tables."""
        return int(lib.reef_gate_memory(self._gate))

    # --- bans ---------------------------------------------------------------------------------------

    def ban(self, number: int, network: Network) -> bool:
        """Ban at once. False: the list bans it already. Raises `GateFull`, `GateError`."""
        return self._done(lib.reef_bans_add(self._bans, number, _prefix(network)), f"{network} cannot be banned")

    def unban(self, number: int, network: Network) -> bool:
        """False: the list does not ban it. Where `unsettled` is set then, it goes with `settle`."""
        return self._done(lib.reef_bans_remove(self._bans, number, _prefix(network)), f"{network} is never banned")

    @property
    def unsettled(self) -> bool:
        return bool(lib.reef_bans_unsettled(self._bans))

    def settle(self) -> None:
        """Takes a while: for a thread."""
        self._done(lib.reef_bans_settle(self._bans), "the table cannot be built")

    def replace(self, number: int, entries: PrefixList) -> None:
        """The list bans exactly `entries` from one moment on. Takes a while: for a thread. Raises `GateFull`."""
        given = entries._given()
        taken = lib.reef_bans_replace(self._bans, number, given)
        if taken == _OK:
            ffi.gc(given, None)  # it belongs to the gate now
        self._done(taken, "the list cannot be banned")

    def count(self, number: int) -> int:
        return int(lib.reef_bans_count(self._bans, number))

    def banned_by(self, address: str) -> int:
        """The list that bans a host, 0 when none does."""
        return int(lib.reef_bans_find(self._bans, _prefix(ipaddress.ip_network(address))))

    # --- the allow-list -----------------------------------------------------------------------------

    def allow(self, network: Network, *, unlimited: bool) -> None:
        """Never ban it; with `unlimited` it is no bogon and no flood either. Raises `GateFull`, `GateError`."""
        self._done(lib.reef_gate_allow(self._gate, _prefix(network), unlimited), f"{network} cannot be allowed")

    def disallow(self, network: Network) -> None:
        self._done(lib.reef_gate_disallow(self._gate, _prefix(network)), f"{network} cannot be taken back")

    # --- lines --------------------------------------------------------------------------------------

    def attach(self, interface: int, way: Way, *, generic: bool = False) -> Mode:
        """Put the program at a line, or change what is set there. Raises `GateError`."""
        mode, words = ffi.new("reef_gate_mode *"), ffi.new("char[]", _WORDS)
        wanted = ffi.new("struct reef_gate_way *", msgspec.to_builtins(way))
        if lib.reef_gate_attach(self._gate, interface, wanted, generic, mode, words):
            raise GateError(ffi.string(words).decode())
        return _MODES[int(ffi.cast("int", mode[0]))]

    def detach(self, interface: int) -> None:
        lib.reef_gate_detach(self._gate, interface)

    def mode(self, interface: int) -> Mode:
        return _MODES[int(ffi.cast("int", lib.reef_gate_mode_at(self._gate, interface)))]

    # --- counters -----------------------------------------------------------------------------------

    def counted(self, number: int) -> Tally:
        """What a list dropped, at all lines."""
        out = ffi.new("reef_gate_tally *")
        lib.reef_gate_count_list(self._gate, number, out)
        return Tally(out.packets, out.bytes)

    def forget(self, number: int) -> None:
        lib.reef_gate_forget_list(self._gate, number)

    def counted_at(self, interface: int) -> dict[str, Tally]:
        """What was dropped at a line, by reason; reasons that never were are left out."""
        out, found = ffi.new("reef_gate_tally *"), {}
        for number, reason in enumerate(REASONS):
            if lib.reef_gate_count_line(self._gate, interface, number, out) == _OK and out.packets:
                found[reason] = Tally(out.packets, out.bytes)
        return found

    def passes(self, interface: int, frame: bytes) -> bool:
        """What the program would do with a frame that comes by this line: it is asked. Raises `GateError`."""
        passes, nanoseconds = ffi.new("bool *"), ffi.new("uint32_t *")
        data = ffi.from_buffer("uint8_t[]", frame)
        if lib.reef_gate_try(self._gate, interface, data, len(frame), 1, passes, nanoseconds):
            raise GateError("the kernel does not run the program on this frame")
        return bool(passes[0])

    def _done(self, status: int, words: str) -> bool:
        if status == _FULL:
            raise GateFull(f"{words}: the tables of the gate are full")
        if status not in {_OK, _END}:
            raise GateError(words)
        return status == _OK


def detach_others(pins: str, interfaces: Sequence[int]) -> None:
    """Take the program away from every line but these, whoever put it there. Raises `GateError`."""
    kept = ffi.new("uint32_t[]", list(interfaces) or [0])
    if lib.reef_gate_detach_others(pins.encode(), kept, len(interfaces)):
        raise GateError(f"{pins}: cannot be tidied")


def _prefix(network: Network) -> Any:
    packed = network.network_address.packed.ljust(16, b"\0")
    return ffi.new(
        "struct reef_prefix *", {"address": packed, "version": network.version, "length": network.prefixlen}
    )
