"""Drift: somebody changed the gateway's table by hand. Noticed from the kernel's notifications and by looking.

After each change of our own the table is read back once and its fingerprint kept. Whatever the kernel
announces later is ours only if the fingerprint is still the same. The contents of live sets and meters,
and what counters count, are no part of it.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable

from appliance.control.netlink import DumpInterrupted, NetlinkError, attribute_map, string, text
from appliance.control.nfnetlink import GENMSG, NFTABLES, Netfilter, body
from appliance.control.nfsets import LIST_SET, MSG_GETSET, MSG_GETSETELEM, SET_FLAGS, SET_NAME, SET_TABLE

GROUP_NFTABLES = 7
MSG_GETTABLE, MSG_GETCHAIN, MSG_GETRULE, MSG_GETFLOWTABLE = 1, 4, 7, 23
TABLE_NAME, TABLE_FLAGS = 1, 2
_EVALUATED = 0x20  # NFT_SET_EVAL: filled by packets
_TIMEOUT = 0x10
_SKIP = GENMSG.size
# Messages about elements, counters' values and generations announce no change of the rules as such.
_QUIET = frozenset({12, 13, 14, 15, 16, 17})


class Drift:
    """Watches one table. `words` says what was found, "" while the table is as it was loaded."""

    def __init__(self, netfilter: Netfilter, log: Callable[[str], None], table: str = "reef") -> None:
        self._netfilter = netfilter
        self._monitor = Netfilter((GROUP_NFTABLES,))
        self._log = log
        self._table = table
        self._live: frozenset[str] = frozenset()
        self._reference: bytes | None = None
        self.words = ""

    def fileno(self) -> int:
        return self._monitor.fileno()

    def loaded(self, live: frozenset[str]) -> None:
        """The table was just loaded by us: what it holds now is what it shall hold. `live` names its live sets."""
        self._live = live
        self._reference = self.fingerprint()
        self.words = ""
        self.announced()  # that was us

    def announced(self) -> bool:
        """Read the kernel's notifications; whether one of them may be a change of our rules."""
        try:
            waiting = self._monitor.receive()
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            return True  # so many that some were lost
        return any(
            kind & 0xFF not in _QUIET and text(attribute_map(data).get(1, b"")) == self._table
            for kind, _, data in waiting
        )

    def look(self) -> bool:
        """Compare the table with what was loaded; whether it drifted since."""
        if self._reference is None:
            return False
        found = self.fingerprint()
        if found == self._reference:
            if self.words:
                self._log("the table is again as it was loaded")
            self.words = ""
            return False
        if not self.words:
            self.words = (
                f"the table inet {self._table} is gone"
                if not found
                else f"somebody changed the table inet {self._table}"
            )
            self._log(f"drift: {self.words}")
        return True

    def fingerprint(self) -> bytes:
        """A digest of the table's chains, rules, sets and what static sets hold; b"" when there is no table."""
        for _ in range(8):
            try:
                return self._read()
            except DumpInterrupted:
                continue
            except NetlinkError as error:
                if error.errno != errno.ENOENT:
                    raise
                return b""
        raise NetlinkError(errno.EAGAIN, "the tables change faster than they can be read")

    def _read(self) -> bytes:
        state = hashlib.sha256()
        named = string(SET_TABLE, self._table)  # attribute 1 is the table in every message
        _, data = self._netfilter.get(NFTABLES | MSG_GETTABLE, body(named))
        state.update(attribute_map(data).get(TABLE_FLAGS, b""))  # a dormant table filters nothing
        for kind in (MSG_GETCHAIN, MSG_GETRULE, MSG_GETFLOWTABLE):
            for _, payload in self._netfilter.dump_whole(NFTABLES | kind, body(named)):
                if text(attribute_map(payload[_SKIP : _SKIP + 64]).get(1, b"")) == self._table:
                    state.update(payload[_SKIP:])
        static: list[str] = []
        for _, data in self._netfilter.dump(NFTABLES | MSG_GETSET, body(named)):
            fields = attribute_map(data)
            name, flags = text(fields[SET_NAME]), int.from_bytes(fields.get(SET_FLAGS, b""), "big")
            state.update(f"{name} {flags}\n".encode())
            if name not in self._live and not flags & (_EVALUATED | _TIMEOUT):
                static.append(name)
        for name in static:
            request = body(named + string(LIST_SET, name))
            for _, payload in self._netfilter.dump_whole(NFTABLES | MSG_GETSETELEM, request):
                state.update(payload[_SKIP:])
        return state.digest()
