"""The line from alertd to inspectd: what indicators are looked for now, and every change of it.

inspectd connects; alertd says everything, then each change, and inspectd keeps it all, for rules that are loaded anew
begin with empty sets. While alertd is away what it said last holds.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from appliance.durable import replace
from appliance.events.indicatorline import HEAD, KINDS, MAX_FRAME, MODES, Batch, Told
from ctypes_ext.sets import SetChange
from dataplane import indicated

_AGAIN = 0.5  # seconds until an alertd that is away is tried again
_MOST = 2_000_000  # values in all


class IndicatorLine(threading.Thread):
    """inspectd's end. `take` gives changes to be made in every worker; `everything` what all sets hold.

    `folder` is where the compiler finds the rules.
    """

    def __init__(self, path: Path, folder: Path, log: Callable[[str], None]) -> None:
        super().__init__(name="indicators", daemon=True)
        self._path = path
        self._rules = folder / "indicators.rules"
        self._log = log
        self._decoder = msgspec.msgpack.Decoder(Told)
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], set[str]] = {}
        self._changes: queue.SimpleQueue[SetChange] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._said = ""

    def fileno(self) -> int:
        """Readable when there is something to take."""
        return self._bell

    def take(self) -> list[SetChange]:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._changes.get_nowait())
        return found

    def everything(self) -> list[SetChange]:
        with self._lock:
            return [indicated.change(kind, mode, values) for (kind, mode), values in self._held.items() if values]

    def stop(self) -> None:
        self._stop.set()

    # --- the line -------------------------------------------------------------------------------------

    def run(self) -> None:
        while not self._stop.is_set():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as peer:
                try:
                    peer.connect(str(self._path))
                    self._said = ""
                    self._read(peer)
                except (OSError, msgspec.DecodeError, ValueError) as error:
                    self._tell(error)
            self._stop.wait(_AGAIN)

    def _tell(self, error: Exception) -> None:
        """A line that is away is no news (alertd says by itself that it ended); one that says nonsense is."""
        words = str(error)
        if not isinstance(error, OSError) and words != self._said:
            self._said = words
            self._log(f"alertd's indicators cannot be read: {words}; those known hold")

    def _read(self, peer: socket.socket) -> None:
        with peer.makefile("rb") as stream:
            while not self._stop.is_set():
                head = stream.read(HEAD.size)
                if len(head) < HEAD.size:
                    return
                (size,) = HEAD.unpack(head)
                if size > MAX_FRAME:
                    raise ValueError(f"a message of {size:,} bytes")
                payload = stream.read(size)
                if len(payload) < size:
                    return
                self.follow(self._decoder.decode(payload))

    def follow(self, told: Told) -> None:
        """Raises ValueError for a value that no set can hold; what was said before holds then."""
        with self._lock:
            add = _grouped(told.add)
            out = _grouped(told.out)
            if told.whole:
                out = {key: values - add.get(key, set()) for key, values in self._held.items()}
            if sum(map(len, self._held.values())) + sum(map(len, add.values())) > _MOST:
                raise ValueError(f"more than {_MOST:,} values")
            changes = [indicated.change(*key, values, out=True) for key, values in out.items() if values]
            changes += [indicated.change(*key, values) for key, values in add.items() if values]
            kinds = {kind for kind, _ in self._held}
            for key, values in out.items():
                self._held.get(key, set()).difference_update(values)
            for key, values in add.items():
                self._held.setdefault(key, set()).update(values)
            grown = {kind for kind, _ in self._held} - kinds
        if grown:
            self._write()
        for change in changes:
            self._changes.put(change)
        os.eventfd_write(self._bell, 1)

    def _write(self) -> None:
        """The rules, where the compiler looks for them."""
        try:
            self._rules.parent.mkdir(exist_ok=True)
            replace(self._rules, indicated.rules(kind for kind, _ in self._held).encode())
        except OSError as error:
            self._log(f"{self._rules}: {error.strerror}; new kinds of indicators are not looked for")


def _grouped(batches: Iterable[Batch]) -> dict[tuple[str, str], set[str]]:
    """Raises ValueError for a kind that is not known."""
    found: dict[tuple[str, str], set[str]] = {}
    for batch in batches:
        if batch.kind not in KINDS or batch.mode not in MODES:
            raise ValueError(f"`{batch.kind}` in the mode `{batch.mode}` is not known")
        found.setdefault((batch.kind, batch.mode), set()).update(batch.values)
    return found
