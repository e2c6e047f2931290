"""Inside the test machine: log a connection's beginning and its end; print the numbers both events give it."""

from __future__ import annotations

import json
import socket
import subprocess
import time

from ctypes_ext.engine import Conntrack, Names, Nflog, Options, RuleName, Source, Worker
from dataplane.naming import rule_of_prefix

RULES = """
table inet numbers {
    chain input {
        type filter hook input priority 0
        udp dport 7 ct mark set 0x00040005 log prefix "R-5 allow lan - " group 1 accept
    }
}
"""
PATIENCE = 20.0


def numbers(source: Source, worker: Worker, names: Names) -> list[int]:
    """The numbers of the first events that the source brings."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        source.pull(worker)
        lines = worker.drain(names, rule_of_prefix)[0].splitlines()
        if lines:
            return [json.loads(line).get("flow_id", 0) for line in lines]
        time.sleep(0.01)
    raise TimeoutError(f"{type(source).__name__} brought nothing")


def main() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["nft", "-f", "-"], input=RULES, text=True, check=True)
    names = Names()
    names.rule(5, RuleName("R-5", "allow", log_end=True))
    worker, nflog, conntrack = Worker(Options()), Nflog(1), Conntrack()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", ("127.0.0.1", 7))
        begun = numbers(nflog, worker, names)
        subprocess.run(["conntrack", "-D", "-p", "udp", "--dport", "7"], check=True, stdout=subprocess.DEVNULL)
        ended = numbers(conntrack, worker, names)
    print(json.dumps([begun, ended]))


if __name__ == "__main__":
    main()
