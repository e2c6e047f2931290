"""Run by the inline tests as a process of its own: the inline half of inspectd, with rules from a folder.

Arguments: the socket of verdictd, a folder of rules, the file for events; a folder for compiled rules or "-"; bytes
of a direction that are looked at; "all" or "alerts", what is written. SIGHUP: load the rules anew. SIGUSR1: say how
often each rule matched. It says "ready" on standard output when it asks for lanes, and "loaded" after each reload. No
policy and no applyd: a test says by its own ruleset what is inspected.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import msgspec

from ctypes_ext import engine
from dataplane.costs import together
from dataplane.inline import OPTIONS, Lines
from dataplane.rulefiles import load
from dataplane.rulewatch import RuleChange


def main() -> None:
    socket, folder, out = (Path(word) for word in sys.argv[1:4])
    cache = None if sys.argv[4] == "-" else Path(sys.argv[4])
    told = sys.argv[6] == "all"
    options = msgspec.structs.replace(OPTIONS, depth=int(sys.argv[5]), report_apps=told, report_anomalies=told)
    stop, reload, costs = threading.Event(), threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: reload.set())
    signal.signal(signal.SIGUSR1, lambda *_: costs.set())
    lines, names = Lines(socket, options), engine.Names("stand")
    lines.begin(RuleChange(load([folder], cache=cache).rules, None))
    print("ready", flush=True)
    with out.open("wb") as events:
        while not stop.wait(0.02):
            if reload.is_set():
                reload.clear()
                lines.change_rules(RuleChange(load([folder], cache=cache).rules, None))
                print("loaded", flush=True)
            if costs.is_set():
                costs.clear()
                counted = {one.sid: one.matches for one in together(lines.rule_costs())}
                print("matched", *(f"{sid}:{counted[sid]}" for sid in sorted(counted)), flush=True)
            for worker in lines.workers():
                events.write(worker.drain(names, lambda _: engine.RuleName("", ""))[0])
            events.flush()
    lines.stop()


if __name__ == "__main__":
    main()
