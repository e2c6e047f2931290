"""A process that does not end on SIGTERM."""

from __future__ import annotations

import signal

from appliance.control.notify import ready

signal.signal(signal.SIGTERM, signal.SIG_IGN)
ready()
while True:
    signal.pause()
