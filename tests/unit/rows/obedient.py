"""A process for the supervisor's tests: says it is ready, repeats what its row is for, ends on SIGTERM."""

from __future__ import annotations

import os
import signal
import sys

from appliance.control.notify import ready

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(f"obedient {os.environ.get('WORD', '')}", flush=True)
ready("at your service")
while True:
    signal.pause()
