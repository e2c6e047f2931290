"""Run by the inline tests as a process of its own: the inline half of inspectd, with rules from a folder.

Arguments: the socket of verdictd, a folder of rules, the file for events. SIGHUP: load the rules anew. It says
"ready" on standard output when it asks for lanes, and "loaded" after each reload. No policy and no applyd: a test
says by its own ruleset what is to be inspected.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from ctypes_ext import engine
from dataplane.inline import Lines
from dataplane.rulefiles import load


def main() -> None:
    socket, folder, out = (Path(word) for word in sys.argv[1:4])
    stop, reload = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: reload.set())
    lines, names = Lines(socket), engine.Names("stand")
    lines.begin(load([folder]).rules)
    print("ready", flush=True)
    with out.open("wb") as events:
        while not stop.wait(0.02):
            if reload.is_set():
                reload.clear()
                lines.change_rules(load([folder]).rules)
                print("loaded", flush=True)
            for worker in lines.workers():
                events.write(worker.drain(names, lambda _: engine.RuleName("", ""))[0])
            events.flush()
    lines.stop()


if __name__ == "__main__":
    main()
