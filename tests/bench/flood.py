"""A SYN flood from ever other sources over the line that real clients use: what is left of their traffic.

Three namespaces: the outside (clients, and the flood), a gateway that forwards and tracks connections, a server. The
flood has a core for itself, clients and server share the other one, with and without it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple

from appliance.lab.netns import MOUNTS, inside
from ctypes_ext import sandbox as kernel
from ctypes_ext.gate import Gate, Limit, Way

CLIENT, STRANGER, SERVER, PORT, BULK_PORT = "10.99.1.2", "10.99.1.3", "10.99.2.2", 80, 5201
BULK = "400M"  # bits a second that the connection which is there already carries
FLOOD_CORE, OTHER_CORE = "0", "1"
QUEUES = "numtxqueues 2 numrxqueues 2"
RULES = """
table ip flood {
    chain forward { type filter hook forward priority 0; policy drop;
        ct state established,related accept
        ct state invalid drop
        tcp dport { 80, 5201 } ct state new accept
    }
}
"""


class Goodput(NamedTuple):
    """Bits a second of a connection that was there, new connections a second, SYNs beside them and their rate."""

    bulk: float
    connections: float
    sent: float = 0.0
    rate: float = 0.0


class Place:
    """Use as a context: the three namespaces, wired."""

    def __init__(self) -> None:
        stem = f"reef-flood-{os.getpid()}"
        self.outside, self.gateway, self.server = (f"{stem}-{name}" for name in ("out", "gw", "srv"))
        self._stack = ExitStack()

    def __enter__(self) -> Place:
        for name in (self.outside, self.gateway, self.server):
            sh("ip", "netns", "add", name)
            self._stack.callback(sh, "ip", "netns", "del", name)
        words = f"""
        ip -n {self.outside} link add up0 {QUEUES} type veth peer name wan0 {QUEUES} netns {self.gateway}
        ip -n {self.server} link add up0 type veth peer name lan0 netns {self.gateway}
        ip -n {self.outside} link set up0 address 02:00:00:00:09:09
        ip -n {self.gateway} link set wan0 address 02:00:00:00:09:01
        ip -n {self.outside} addr add {CLIENT}/24 dev up0
        ip -n {self.outside} addr add {STRANGER}/24 dev up0
        ip -n {self.gateway} addr add 10.99.1.1/24 dev wan0
        ip -n {self.gateway} addr add 10.99.2.1/24 dev lan0
        ip -n {self.server} addr add {SERVER}/24 dev up0
        ip -n {self.outside} link set up0 up
        ip -n {self.gateway} link set wan0 up
        ip -n {self.gateway} link set lan0 up
        ip -n {self.server} link set up0 up
        ip -n {self.outside} route add default via 10.99.1.1
        ip -n {self.server} route add default via 10.99.2.1
        ip -n {self.gateway} route add default via 10.99.1.2
        ip netns exec {self.gateway} sysctl -qw net.ipv4.ip_forward=1
        ip netns exec {self.gateway} ethtool -K wan0 gro on
        """
        for line in words.strip().splitlines():
            sh(*line.split())
        # A queue for each core, as network cards have: what a core sends lands in its own.
        for queue, mask in (("0", "1"), ("1", "2")):
            sh(
                "ip",
                "netns",
                "exec",
                self.outside,
                "sh",
                "-c",
                f"echo {mask} > /sys/class/net/up0/queues/tx-{queue}/xps_cpus",
            )
        subprocess.run(["ip", "netns", "exec", self.gateway, "nft", "-f", "-"], input=RULES, text=True, check=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def sh(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def pins() -> Iterator[str]:
    """A BPF file system of our own."""
    with tempfile.TemporaryDirectory(prefix="reef-bench-") as folder:
        kernel.mount("reef", folder, "bpf")
        try:
            yield folder
        finally:
            kernel.umount(folder, kernel.MNT_DETACH)


@contextmanager
def gate_at(place: Place) -> Iterator[Callable[[], int]]:
    """The gate at the line to the outside, as a policy with `strangers` has it; the client is on the allow-list.
    Gives what says how many SYNs it has dropped."""
    way = Way(syn=Limit(500, 500), syn_total=Limit(1000, 1000))
    with pins() as folder, inside(MOUNTS / place.gateway):
        gate, line = Gate(folder, 1024, 1024), socket.if_nametoindex("wan0")
        try:
            gate.allow(ip_network(CLIENT), unlimited=True)
            gate.attach(line, way)
            yield lambda: sum(tally.packets for why, tally in gate.counted_at(line).items() if why.startswith("syn-"))
        finally:
            gate.detach(line)
            gate.close()


def measured(place: Place, program: Path, seconds: int, *, flooded: bool) -> Goodput:
    """What goes through in so many seconds."""
    with ExitStack() as stack:
        server = _run(stack, place.server, sys.executable, "-c", _SERVER)
        _run(stack, place.server, "iperf3", "-s", "-1", "-p", str(BULK_PORT))
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        time.sleep(0.5)
        whole = str(seconds + 3)
        flood = None
        bulk = _run(stack, place.outside, "iperf3", "-c", SERVER, "-p", str(BULK_PORT), "-b", BULK, "-t", whole, "-J")
        time.sleep(1.0)
        if flooded:
            folder = stack.enter_context(pins())
            flood = _start(
                stack, ["taskset", "-c", FLOOD_CORE, str(program), "flood", folder, whole, place.outside, "up0"]
            )
            time.sleep(1.0)
        client = _run(stack, place.outside, sys.executable, "-c", _CLIENT, CLIENT, str(seconds))
        connections = float(client.communicate(timeout=120)[0])
        said = json.loads(bulk.communicate(timeout=120)[0])
        sent, rate = map(float, flood.communicate(timeout=120)[0].split()[-2:]) if flood is not None else (0.0, 0.0)
        return Goodput(float(said["end"]["sum_received"]["bits_per_second"]), connections, sent, rate)


def strangers(place: Place, program: Path, count: int) -> float:
    """The share of connections of somebody who is not on the allow-list that come about under the flood."""
    with ExitStack() as stack:
        server = _run(stack, place.server, sys.executable, "-c", _SERVER)
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        folder = stack.enter_context(pins())
        flood = _start(stack, ["taskset", "-c", FLOOD_CORE, str(program), "flood", folder, "8", place.outside, "up0"])
        time.sleep(1.0)
        client = _run(stack, place.outside, sys.executable, "-c", _STRANGER, STRANGER, str(count))
        share = float(client.communicate(timeout=120)[0])
        flood.communicate(timeout=120)
        return share


def _run(stack: ExitStack, namespace: str, *words: str) -> subprocess.Popen[bytes]:
    return _start(stack, ["ip", "netns", "exec", namespace, "taskset", "-c", OTHER_CORE, *words])


def _start(stack: ExitStack, words: list[str]) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(words, stdout=subprocess.PIPE)
    stack.callback(child.wait)
    stack.callback(child.kill)
    return child


_SERVER = f"""
import socket
listener = socket.create_server(("{SERVER}", {PORT}), backlog=1024)
print("ready", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"here")
    connection.close()
"""

_CLIENT = f"""
import socket, sys, time
done, end = 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        with socket.create_connection(("{SERVER}", {PORT}), 2, (sys.argv[1], 0)) as connection:
            done += connection.recv(4) == b"here"
    except OSError:
        pass
print(done / float(sys.argv[2]))
"""

_STRANGER = f"""
import socket, sys, threading
done = []
def one():
    try:
        with socket.create_connection(("{SERVER}", {PORT}), 7, (sys.argv[1], 0)) as connection:
            done.append(connection.recv(4) == b"here")
    except OSError:
        pass
threads = [threading.Thread(target=one) for _ in range(int(sys.argv[2]))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(done) / len(threads))
"""
