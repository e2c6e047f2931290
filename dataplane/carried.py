"""verdictd's part of bridges: while inspection carries the frames of one, the kernel does not.

What becomes of the frames of bridges that nobody carries stands in applyd's table `netdev reef_bridge`. For each
bridge that is carried, a table of this process stands before it and drops what comes in by both lines; who inspects
has read it before. The table belongs to a netlink socket of this process: it goes when the bridge's worker goes or is
silent for too long, and when this process dies, however it dies. Then applyd's table holds.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.policy.compiling.bundle import carried_table
from ctypes_ext.nftables import Nftables, NftablesError

SOCKET = "bridges.sock"
ANSWER = b"+"  # the kernel leaves the frames to whoever asked
PATIENCE = 0.1  # seconds of silence (REEF_BRIDGE_PATIENCE_MS)
_PRIORITY = -10  # before applyd's table
_MOST = 8  # who are connected: a bridge has one worker, and an old one may not have gone yet
_NAME_MAX = 64
_READ = 4096

Log = Callable[[str], None]


class Line(msgspec.Struct, frozen=True):
    """A bridge of `running.json`, as far as it concerns the kernel."""

    name: str
    between: tuple[str, str]
    open: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """The part of `running.json` that says which bridges there are."""

    bridges: tuple[Line, ...] = ()


def bridge_of(running: Path, name: str) -> Line | None:
    """The bridge of that name in what runs. Raises OSError, `msgspec.DecodeError`."""
    wanted = msgspec.json.decode(running.read_bytes(), type=Wanted)
    return next((line for line in wanted.bridges if line.name == name), None)


def commands(line: Line) -> str:
    """The table that takes the frames of both lines away from the kernel, as nft commands. Pure."""
    table = carried_table(line.name)
    chains = "".join(
        f'add chain netdev {table} side_{side} {{ type filter hook ingress device "{interface}" '
        f"priority {_PRIORITY}; policy drop; }}\n"
        for side, interface in enumerate(line.between)
    )
    return f"add table netdev {table} {{ flags owner; }}\n{chains}"


class Carrier:
    """One worker that carries a bridge, or asks to."""

    def __init__(self, peer: socket.socket, now: float) -> None:
        self.peer = peer
        self.heard = now
        self.line: Line | None = None
        self.table: Nftables | None = None  # whose socket the table belongs to

    def end(self) -> None:
        """The kernel takes the table away with the socket that owns it."""
        self.table = None
        self.peer.close()


class Carriers:
    """All of them. `selector` is that of the process: what is ready there comes to `read`."""

    def __init__(self, path: Path, running: Path, selector: selectors.BaseSelector, log: Log) -> None:
        self._running = running
        self._selector = selector
        self._log = log
        self._carriers: dict[socket.socket, Carrier] = {}
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.listener.bind(str(path))
        path.chmod(0o666)  # who may is decided by credentials
        self.listener.listen(_MOST)
        self.listener.setblocking(False)
        selector.register(self.listener, selectors.EVENT_READ)

    def meet(self, peer: socket.socket) -> None:
        """Somebody who may."""
        if len(self._carriers) >= _MOST:
            peer.close()
            return
        peer.setblocking(False)
        self._carriers[peer] = Carrier(peer, time.monotonic())
        self._selector.register(peer, selectors.EVENT_READ)

    def read(self, peer: socket.socket) -> None:
        """What it says: first the name of its bridge, then that it lives."""
        carrier = self._carriers.get(peer)
        if carrier is None:
            return  # ended since it was found ready
        said = b""
        with contextlib.suppress(OSError):
            said = peer.recv(_READ)
        carrier.heard = time.monotonic()
        if not said:
            self._end(carrier, "inspection went away")
        elif carrier.table is None and not self._begin(carrier, said):
            self._end(carrier, "")

    def look(self) -> None:
        """Who has been silent for too long carries nothing any more. Behind `read` of all that was said."""
        now = time.monotonic()
        for carrier in [one for one in self._carriers.values() if now - one.heard > PATIENCE]:
            self._end(carrier, "inspection is silent")

    @property
    def busy(self) -> bool:
        """Whether somebody's silence would have to be noticed."""
        return bool(self._carriers)

    def _begin(self, carrier: Carrier, said: bytes) -> bool:
        try:
            line = bridge_of(self._running, said[:_NAME_MAX].decode(errors="replace"))
        except (OSError, ValueError) as error:  # msgspec.DecodeError is one
            self._log(f"{self._running}: {error}")
            return False
        if line is None:
            return False  # of another generation: it asks again
        for other in [one for one in self._carriers.values() if one.line is not None and one.line.name == line.name]:
            self._end(other, "another worker takes it")
        table = Nftables()
        try:
            table.run(commands(line))
            carrier.peer.send(ANSWER)
        except (NftablesError, OSError) as error:
            self._log(f"bridge {line.name}: it cannot be left to inspection: {error}")
            return False
        carrier.line, carrier.table, carrier.heard = line, table, time.monotonic()
        self._log(f"bridge {line.name}: inspected from now on")
        return True

    def _end(self, carrier: Carrier, words: str) -> None:
        self._selector.unregister(carrier.peer)
        del self._carriers[carrier.peer]
        carrier.end()
        if carrier.line is not None:
            with contextlib.suppress(OSError, ValueError):  # another generation may say something else of it
                carrier.line = bridge_of(self._running, carrier.line.name) or carrier.line
            passes = "frames pass uninspected (fail-open)" if carrier.line.open else "nothing passes (fail-closed)"
            self._log(f"bridge {carrier.line.name}: {words}; {passes}")
