"""What an apply does to running connections and counters, and who may confirm: real TCP through the gateway."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.control import messages
from ctypes_ext import sandbox
from tests.netns.stand import Stand, policy, rule, until

HEAD = """\
reef: 1
site: stand
zones:
  internet: {role: internet, interfaces: [wan0], addresses: {wan0: [203.0.113.1/24]}}
  lan: {role: internal, interfaces: [lan0], networks: [10.20.0.0/16], addresses: {lan0: [10.20.0.1/16]}}
connections:
  wan0: {provider: Line, officer: "An Officer <noc@stand.example>", phone: "+501 555 0100"}
"""
SSH = rule("R-ssh", "tcp/22", "lan", "gateway")
WEB = rule("R-web", "tcp/443")
OLD = rule("R-old", "tcp/80")
ECHO = """
import socket, sys, threading
def serve(port):
    listener = socket.create_server((sys.argv[1], port))
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()
def echo(connection):
    while data := connection.recv(4096):
        connection.sendall(data)
ports = [int(port) for port in sys.argv[2:]]
for port in ports[1:]:
    threading.Thread(target=serve, args=(port,), daemon=True).start()
threading.Timer(0.1, lambda: print("ready", flush=True)).start()
serve(ports[0])
"""


class Site:
    """The stand between two hosts: 10.20.0.9 in the LAN, 203.0.113.9 outside with an echo server."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.lan, self.wan = f"{stand.namespace}-l", f"{stand.namespace}-w"
        self._processes: list[subprocess.Popen[bytes]] = []

    def build(self, stack: contextlib.ExitStack) -> None:
        for name, peer, address, via in (
            (self.lan, "lan0p", "10.20.0.9/16", "10.20.0.1"),
            (self.wan, "wan0p", "203.0.113.9/24", "203.0.113.1"),
        ):
            subprocess.run(["ip", "netns", "add", name], check=True)
            stack.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
            self.stand.sh(f"ip link set {peer} netns {name}")
            script = f"ip addr add {address} dev {peer}; ip link set {peer} up; ip route add default via {via}"
            subprocess.run(["ip", "netns", "exec", name, "sh", "-ec", script], check=True)
        stack.callback(self._stop)
        self._serve(self.wan, "203.0.113.9", 443, 80)

    def serve_gateway(self) -> None:
        """An echo server on the gateway's port 22, where sshd would be."""
        self._serve(self.stand.namespace, "10.20.0.1", 22)

    def _serve(self, namespace: str, address: str, *ports: int) -> None:
        child = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", ECHO, address, *map(str, ports)],
            stdout=subprocess.PIPE,
        )
        self._processes.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"

    def _stop(self) -> None:
        for child in self._processes:
            child.kill()
            child.wait()

    def connect(self, address: str, port: int) -> socket.socket:
        """A connection from the LAN host."""
        with inside(self.lan):
            connection = socket.socket()
        connection.settimeout(5)
        connection.connect((address, port))
        return connection

    def refused(self, address: str, port: int) -> bool:
        with inside(self.lan):
            connection = socket.socket()
        with connection:
            connection.settimeout(0.7)
            return connection.connect_ex((address, port)) != 0


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread is in another network namespace meanwhile; sockets made there stay there."""
    with Path("/proc/thread-self/ns/net").open() as home, Path(f"/run/netns/{namespace}").open() as there:
        sandbox.setns(there.fileno(), sandbox.CLONE_NEWNET)
        try:
            yield
        finally:
            sandbox.setns(home.fileno(), sandbox.CLONE_NEWNET)


def echoes(connection: socket.socket, seconds: float = 5) -> bool:
    """Whether a word comes back through the connection."""
    connection.settimeout(seconds)
    try:
        connection.sendall(b"word")
        return connection.recv(64).startswith(b"word")
    except (TimeoutError, ConnectionError):
        return False


def session(connection: socket.socket) -> str:
    """SSH_CONNECTION as sshd would set it for this connection."""
    client, server = connection.getsockname(), connection.getpeername()
    return f"{client[0]} {client[1]} {server[0]} {server[1]}"


@pytest.fixture
def site() -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        stand = stack.enter_context(Stand())
        found = Site(stand)
        found.build(stack)
        yield found


def counter(site: Site, rule_id: str) -> int:
    counted = site.stand.ask(messages.RuleCounters(), messages.RuleCounterList)
    return next(one.packets for one in counted.counters if one.id == rule_id)


def test_what_stays_allowed_goes_on_and_what_is_forbidden_is_cut(site: Site) -> None:
    site.stand.apply(policy(WEB, OLD, head=HEAD))
    kept, cut = site.connect("203.0.113.9", 443), site.connect("203.0.113.9", 80)
    assert echoes(kept)
    assert echoes(cut)
    before = counter(site, "R-web")
    assert before > 0
    site.stand.apply(policy(WEB, rule("R-new", "tcp/25"), head=HEAD))
    assert not echoes(cut, 1)
    assert echoes(kept)
    assert counter(site, "R-web") >= before  # counted on, not from nothing
    assert site.refused("203.0.113.9", 80)
    flows = site.stand.ask(messages.Flows(rule="R-web"), messages.FlowList).flows
    assert [(flow.source, flow.destination_port, flow.state) for flow in flows] == [("10.20.0.9", 443, "established")]


def test_a_rule_that_expires_ends_its_connections(site: Site) -> None:
    end = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() + 3600))
    site.stand.apply(policy(WEB, rule("R-brief", "tcp/80", expires=end), head=HEAD))
    connection = site.connect("203.0.113.9", 80)
    assert echoes(connection)
    # The same, with an end that is one second away, as the compiler would have made it of the minute.
    bundle = site.stand.bundle(1)
    (info,) = (one for one in bundle.rules if one.id == "R-brief")
    soon = int(time.time()) + 2
    data = site.stand.encoded(bundle).replace(str(info.expires_at).encode(), str(soon).encode())
    site.stand.load_as_policyd(site.stand.decoded(data, generation=2, parent=1))
    assert echoes(connection, 1)
    until(lambda: "rule R-brief has expired" in site.stand.words(), "the end is told")
    assert not echoes(connection, 1)
    assert site.refused("203.0.113.9", 80)


def test_only_a_session_that_came_in_through_the_new_rules_may_confirm(site: Site) -> None:
    site.stand.apply(policy(SSH, WEB, head=HEAD))
    site.serve_gateway()
    old = site.connect("10.20.0.1", 22)
    assert echoes(old)
    site.stand.apply(policy(SSH, head=HEAD), confirm_within=60)
    assert echoes(old)  # allowed, and decided again; but it shows nothing about whoever comes next
    refused = site.stand.refusal(messages.Confirm(session(old)))
    assert (refused.code, "log in again" in refused.message) == ("session", True)
    assert site.stand.status().confirmed == 1
    new = site.connect("10.20.0.1", 22)
    assert echoes(new)
    assert site.stand.ask(messages.Confirm(session(new)), messages.Confirmed).generation == 2


def test_a_policy_that_locks_out_comes_back_by_itself(site: Site) -> None:
    site.stand.apply(policy(SSH, WEB, head=HEAD))
    site.serve_gateway()
    ssh = site.connect("10.20.0.1", 22)
    assert echoes(ssh)
    site.stand.apply(policy(WEB, head=HEAD), confirm_within=3)
    assert not echoes(ssh, 0.5)
    assert site.refused("10.20.0.1", 22)
    # Whoever sits in the old session cannot confirm what cut it off.
    refused = site.stand.refusal(messages.Confirm(session(ssh)))
    assert refused.code == "session"
    assert "it is older" in refused.message
    refused = site.stand.refusal(messages.Confirm("10.20.0.9 1 10.20.0.1 22"))
    assert (refused.code, "no connection" in refused.message) == ("session", True)
    until(lambda: site.stand.status().running == 1, "generation 1 runs again")
    assert echoes(ssh)  # what was said meanwhile comes through late, and the connection lives
    assert not site.refused("10.20.0.1", 22)


def test_a_banned_host_is_cut_at_once(site: Site) -> None:
    site.stand.apply(policy(WEB, head=HEAD))
    connection = site.connect("203.0.113.9", 443)
    assert echoes(connection)
    site.stand.ask(messages.Ban(("203.0.113.0/24",), 0, "a test"), messages.BanList)
    assert not echoes(connection, 0.7)
    site.stand.kill("applyd")
    site.stand.restart("applyd")
    assert site.refused("203.0.113.9", 443)  # kept over a restart
    overlap = site.stand.refusal(messages.Ban(("203.0.113.0/25",)))
    assert overlap.code == "overlap"
    site.stand.ask(messages.Unban(("203.0.113.0/24",)), messages.BanList)
    assert not site.refused("203.0.113.9", 443)
    site.stand.ask(messages.Ban(("203.0.113.9",), 1), messages.BanList)
    assert site.refused("203.0.113.9", 443)
    until(lambda: not site.refused("203.0.113.9", 443), "the ban ends by itself")
    assert site.stand.ask(messages.Bans(), messages.BanList).bans == ()
