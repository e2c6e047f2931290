"""Asks applyd to give inspection again what it handed back, when other rules are in force. Apart from the loop."""

from __future__ import annotations

import threading
from pathlib import Path

from appliance.control import daemon
from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call
from appliance.control.messages.live import Recall, Recalled

_AGAIN = 1.0  # seconds until it is asked again, where it could not be
_PATIENCE = 120.0  # for a hundred thousand connections


class Recalling(threading.Thread):
    """Recalls that are wanted while one is under way become one, which sees what they would have."""

    def __init__(self, socket: Path, log: daemon.Log) -> None:
        super().__init__(name="recall", daemon=True)
        self._socket = socket
        self._log = log
        self._wanted = threading.Event()
        self._stopped = False
        self._said = ""

    def want(self) -> None:
        """Other rules judge from now on."""
        self._wanted.set()

    def stop(self) -> None:
        self._stopped = True
        self._wanted.set()

    def run(self) -> None:
        while True:
            self._wanted.wait()
            if self._stopped:
                return
            self._wanted.clear()
            try:
                found = call(self._socket, Recall(), Recalled, timeout=_PATIENCE)
            except (DaemonAway, ProtocolError, RefusedError) as error:
                if str(error) != self._said:
                    self._said = str(error)
                    self._log(f"connections that were handed back are not recalled: {error}; tried again")
                self._wanted.wait(_AGAIN)
                self._wanted.set()
            else:
                self._said = ""
                if found.flows:
                    self._log(f"{found.flows} connections are inspected again under the new rules")
