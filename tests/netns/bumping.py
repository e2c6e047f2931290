"""Run by the tests of transparent mode as a process of its own, in the namespace of the bump.

Arguments: two interfaces, a folder of rules, the file for events, a user. It opens the bridge, becomes that user
without any capability, says "ready" and carries frames until it is ended; then it prints what it counted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from ctypes_ext import engine, sandbox
from ctypes_ext.inline import Bridge
from dataplane.bridging import OPTIONS, Bump, Pair
from dataplane.links import Links
from dataplane.rulefiles import load
from dataplane.rulewatch import RuleChange


def main() -> None:
    one, other, folder, out, user = sys.argv[1:6]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    bridge, links = Bridge(), Links()
    rules = RuleChange(load([Path(folder)]).rules, None)
    os.setgroups([])
    os.setresgid(int(user), int(user), int(user))
    os.setresuid(int(user), int(user), int(user))
    sandbox.keep_capabilities(0)
    bump = Bump(0, bridge, OPTIONS, rules, lambda: links.names, None)
    bump.carry(Pair("wire", one, other))
    bump.start()
    names = engine.Names("bump")
    print("ready", flush=True)
    with Path(out).open("wb") as events:
        while not stop.wait(0.02):
            events.write(bump.worker.drain(names, lambda _: engine.RuleName("", ""))[0])
            events.flush()
    bump.stop()
    bump.join()
    print(*bridge.counters(), flush=True)


if __name__ == "__main__":
    main()
