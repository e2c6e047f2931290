"""Drift: somebody changed the gateway's table by hand. Noticed from the kernel's notifications and by looking.

After each change of our own the table is read back once and its fingerprint kept. Whatever the kernel
announces later is ours only if the fingerprint is still the same. The contents of live sets and meters,
and what counters count, are no part of it.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from appliance.control.kernel.netlink import DumpInterrupted, NetlinkError, attribute_map, string, text
from appliance.control.kernel.nfnetlink import NFTABLES, Netfilter, body
from appliance.control.kernel.nfsets import (
    LIST_SET,
    MSG_GETSET,
    MSG_GETSETELEM,
    SET_FLAGS,
    SET_NAME,
    SET_TABLE,
    kernel_generation,
)

QUEUES = "reef_inspect"
GROUP_NFTABLES = 7
MSG_GETTABLE, MSG_GETCHAIN, MSG_GETRULE, MSG_GETFLOWTABLE = 1, 4, 7, 23
TABLE_NAME, TABLE_FLAGS = 1, 2
_EVALUATED = 0x20  # NFT_SET_EVAL: filled by packets
_TIMEOUT = 0x10
_TABLE_ROOM = 80  # bytes at the start of a message that hold the table's name
MSG_NEWSETELEM, MSG_DELSETELEM = 12, 14
# Messages about counters' values and generations announce no change of the rules as such.
_QUIET = frozenset({MSG_GETSETELEM, 15, 16, 17})


class Drift:
    """Watches one table. `words` says what was found, "" while the table is as it was loaded."""

    def __init__(self, log: Callable[[str], None], table: str = "reef") -> None:
        self._netfilter = Netfilter()
        self._monitor = Netfilter((GROUP_NFTABLES,))
        self._log = log
        self._table = table
        self._reference: bytes | None = None
        self._disturbed = False
        self.words = ""
        self.queues_touched = False  # the table beside, which queues with the old target, was written

    def fileno(self) -> int:
        return self._monitor.fileno()

    @contextmanager
    def own_change(self) -> Iterator[None]:
        """Around a transaction of our own. The kernel need not announce its ten thousand rules to us; that nobody
        else came between is seen by its count of transactions."""
        self._monitor.leave(GROUP_NFTABLES)
        before = kernel_generation(self._netfilter).id
        try:
            yield
        finally:
            self._monitor.join(GROUP_NFTABLES)
            self.announced(frozenset())
            self._reference = None
            self._disturbed = kernel_generation(self._netfilter).id - before > 1

    def refer(self, fingerprint: bytes) -> None:
        """What the table held after our last change, read back (`fingerprint`): what it shall hold."""
        self._reference = fingerprint
        self.words = ""

    def announced(self, live: frozenset[str]) -> bool:
        """Read the kernel's notifications; whether one of them may be a change of our rules, or of what they look up.

        `live` names the sets that are filled meanwhile: their elements come and go.
        """
        try:
            waiting = self._monitor.receive()
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            return True  # so many that some were lost
        return any(self._loud(kind & 0xFF, data, live) for kind, _, data in waiting)

    def _loud(self, kind: int, data: bytes, live: frozenset[str]) -> bool:
        if kind in _QUIET:
            return False
        fields = attribute_map(data)
        table = text(fields.get(SET_TABLE, b""))  # attribute 1 is the table in every message
        if table == QUEUES:
            self.queues_touched = True
        if table != self._table:
            return False
        return kind not in (MSG_NEWSETELEM, MSG_DELSETELEM) or text(fields.get(LIST_SET, b"")) not in live

    def disturb(self) -> None:
        """Somebody else changed the table before it was read back: what it holds is not known to be ours."""
        self._disturbed = True

    def look(self, found: bytes | None) -> bool:
        """Compare what was read of the table with what was loaded; whether it drifted."""
        if self._disturbed:
            self._tell(f"somebody changed the table inet {self._table} while it was loaded")
            return True
        if self._reference is None or found is None:
            return False
        if found == self._reference:
            if self.words:
                self._log("the table is again as it was loaded")
            self.words = ""
            return False
        self._tell(f"{'somebody changed' if found else 'somebody deleted'} the table inet {self._table}")
        return True

    @property
    def known(self) -> bool:
        """Whether there is something to compare with."""
        return self._reference is not None

    def _tell(self, words: str) -> None:
        if words != self.words:
            self.words = words
            self._log(f"drift: {words}")


def fingerprint(live: frozenset[str], table: str = "reef") -> bytes:
    """A digest of the table's chains, rules, sets and what its static sets hold; b"" when there is no table.

    `live` names the sets that are filled meanwhile. Reads over a socket of its own, so that a thread may do it.
    """
    with Netfilter() as netfilter:
        for _ in range(8):
            try:
                return _read(netfilter, live, table)
            except DumpInterrupted:
                continue
            except NetlinkError as error:
                if error.errno != errno.ENOENT:
                    raise
                return b""
    raise NetlinkError(errno.EAGAIN, "the tables change faster than they can be read")


def _read(netfilter: Netfilter, live: frozenset[str], table: str) -> bytes:
    state = hashlib.sha256()
    named = string(SET_TABLE, table)  # attribute 1 is the table in every message
    _, data = netfilter.get(NFTABLES | MSG_GETTABLE, body(named))
    state.update(attribute_map(data).get(TABLE_FLAGS, b""))  # a dormant table filters nothing
    # Not every kernel keeps to the table that was asked for.
    for kind in (MSG_GETCHAIN, MSG_GETFLOWTABLE):
        for _, data in netfilter.dump(NFTABLES | kind, body(named)):
            if text(attribute_map(data, 0, min(len(data), _TABLE_ROOM)).get(1, b"")) == table:
                state.update(data)
    for _, data in netfilter.dump(NFTABLES | MSG_GETRULE, body(named)):
        state.update(data)
    static: list[str] = []
    for _, data in netfilter.dump(NFTABLES | MSG_GETSET, body(named)):
        fields = attribute_map(data)
        name, flags = text(fields[SET_NAME]), int.from_bytes(fields.get(SET_FLAGS, b""), "big")
        state.update(f"{name} {flags}\n".encode())
        if name not in live and not flags & (_EVALUATED | _TIMEOUT):
            static.append(name)
    for name in static:
        for _, data in netfilter.dump(NFTABLES | MSG_GETSETELEM, body(named + string(LIST_SET, name))):
            state.update(data)
    return state.digest()
