"""A gateway between two hosts whose forwarded packets wait for verdictd: with its real process, and one that judges.

The ruleset is iptables' NFQUEUE, which every kernel of the tests has; it does what the compiled ruleset does with
queues, marks and hand-back (`appliance/policy`), and counts what leaves.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from appliance.control.processes import PROCESSES, Identity, Instance, encode_instance, process
from appliance.control.sandbox import SUPERVISOR_VARIABLE
from appliance.lab.netns import inside
from dataplane.queues import CLOSED, OPEN

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
DEPTH = 1 << 20  # bytes of a direction that are looked at
CLIENT, SERVER = "10.71.0.2", "10.72.0.2"
_UID = 62_400
_QUEUED, _PLAIN = "0x80000001", "0x1"  # of the connection: it waits for verdicts, or was handed back


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Inlined:
    """`with Inlined(open_=False) as site:` the namespaces and verdictd; `judge` starts who judges."""

    def __init__(self, *, open_: bool, mtu: int = 1500) -> None:
        self.open, self.mtu = open_, mtu
        self._own = Path(tempfile.mkdtemp(prefix="reef-inline-"))
        self._own.chmod(0o755)
        tag = self._own.name[-6:]
        self.names = {role: f"inl{tag}-{role}" for role in ("client", "gateway", "server")}
        self.instance = Instance(
            name=tag,
            run=str(self._own / "run"),
            state=str(self._own / "state"),
            config=str(self._own / "config"),
            identities={row.name: Identity(_UID + n, _UID + n) for n, row in enumerate(PROCESSES)},
            operators=_UID + len(PROCESSES),
        )
        self.rules = self._own / "rules"
        self.events = self._own / "events.json"
        self.log = self._own / "log"
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Inlined:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in self.running.values():
            child.send_signal(signal.SIGKILL)
            child.wait()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self._own, ignore_errors=True)

    # --- the network ---------------------------------------------------------------------------------------

    def at(self, role: str, *command: str) -> str:
        return run("ip", "netns", "exec", self.names[role], *command)

    def _make(self) -> None:
        client, gateway, server = self.names.values()
        for name in self.names.values():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for host, inner, outer in ((client, "lan0", "10.71.0"), (server, "wan0", "10.72.0")):
            run("ip", "link", "add", "eth0", "netns", host, "type", "veth", "peer", "name", inner, "netns", gateway)
            run("ip", "-n", host, "address", "add", f"{outer}.2/24", "dev", "eth0")
            run("ip", "-n", gateway, "address", "add", f"{outer}.1/24", "dev", inner)
            for name, link in ((host, "eth0"), (gateway, inner)):
                run("ip", "-n", name, "link", "set", link, "mtu", str(self.mtu), "up")
            run("ip", "-n", host, "route", "add", "default", "via", f"{outer}.1")
        self.at("gateway", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.ruleset()
        self.rules.mkdir()
        self._directories()
        self.start_verdictd()

    def ruleset(self, queues: int = len(CLOSED)) -> None:
        """As the compiled ruleset has it: the connection's mark says that its packets wait, and until when."""
        first = (OPEN if self.open else CLOSED).start
        before = ("-t", "mangle", "-A", "FORWARD", "-m", "connmark", "--mark")
        waits = (*before, "0x80000000/0x80000000", "-j")
        bypass = ("--queue-bypass",) if self.open else ()
        self._iptables("-t", "mangle", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
        self._iptables(*before, "0", "-j", "CONNMARK", "--set-mark", _QUEUED)
        self._iptables(*waits, "CONNMARK", "--restore-mark")
        self._iptables(*waits, "NFQUEUE", "--queue-balance", f"{first}:{first + queues - 1}", *bypass)
        behind = ("-t", "filter", "-A", "FORWARD", "-m", "mark", "--mark")
        self._iptables(*behind, "1", "-j", "CONNMARK", "--set-mark", _PLAIN)
        self._iptables(*behind, "2", "-j", "REJECT", "--reject-with", "icmp-admin-prohibited")

    def without_ruleset(self) -> None:
        """From now on packets are forwarded as they come; connections that were queued are forgotten."""
        for table in ("mangle", "filter"):
            self._iptables("-t", table, "-F", "FORWARD")
        self.at("gateway", "conntrack", "-F")

    def _iptables(self, *words: str) -> None:
        self.at("gateway", "iptables-nft", "-w", *words)

    def forwarded(self) -> int:
        """Packets that left by the server's line."""
        text = self.at("gateway", "cat", "/sys/class/net/wan0/statistics/tx_packets")
        return int(text)

    def kernel_counts(self) -> list[list[int]]:
        """nfnetlink_queue of /proc: number, holder, waiting, mode, range, dropped, of those by the socket, id."""
        text = self.at("gateway", "cat", "/proc/net/netfilter/nfnetlink_queue")
        return [[int(word) for word in line.split()] for line in text.splitlines()]

    # --- the processes -------------------------------------------------------------------------------------

    def _directories(self) -> None:
        self.instance.baselines.mkdir(parents=True)
        for row in PROCESSES:
            identity = self.instance.identity(row.name)
            for directory in (
                self.instance.run_of(row.name),
                self.instance.state_of(row.name),
                self.instance.events_of(row.name),
            ):
                directory.mkdir(parents=True, exist_ok=True)
                directory.chmod(0o755)
                os.chown(directory, identity.uid, identity.gid)
        (self._own / "instance.json").write_bytes(encode_instance(self.instance))

    def _start(self, name: str, *words: str, user: int | None = None, output: int | None = None) -> None:
        with self.log.open("ab") as log:
            self.running[name] = subprocess.Popen(
                ["ip", "netns", "exec", self.names["gateway"], *self._as(user), sys.executable, "-m", *words],
                cwd=ROOT,
                stdout=output,
                stderr=log,
                env=os.environ | {SUPERVISOR_VARIABLE: str(os.getpid())},
            )

    def _as(self, user: int | None) -> tuple[str, ...]:
        if user is None:
            return ()
        return (
            "nice",
            "-n",
            "-10",
            "setpriv",
            f"--reuid={user}",
            f"--regid={user}",
            "--clear-groups",
            "--bounding-set=-all",
        )

    def start_verdictd(self) -> None:
        self.instance.socket("verdictd").unlink(missing_ok=True)
        self._start("verdictd", process("verdictd").module, "--instance", str(self._own / "instance.json"))
        self.until(self.instance.socket("verdictd").exists, "verdictd listens")

    def judge(self, *rules: str, cache: Path | None = None, depth: int = DEPTH, writes: str = "all") -> None:
        """Start who judges, by these rules and what lies in the folder, and wait until every lane has its worker."""
        self.write_rules(*rules)
        user = self.instance.identity("inspectd").uid
        self.events.touch()
        os.chown(self.events, user, user)
        before = self.words().count("inspected from now on")
        words = (
            "tests.netns.judging",
            str(self.instance.socket("verdictd")),
            str(self.rules),
            str(self.events),
            str(cache or "-"),
            str(depth),
            writes,
        )
        self._start("judge", *words, user=user, output=subprocess.PIPE)
        self.said("ready")
        lanes = min(os.cpu_count() or 1, 4)
        self.until(lambda: self.words().count("inspected from now on") >= before + lanes, "every lane is judged")

    def write_rules(self, *rules: str) -> None:
        partial = self.rules / "test.new"
        partial.write_text("".join(f"{rule}\n" for rule in rules))
        partial.rename(self.rules / "test.rules")

    def said(self, word: str) -> None:
        """The next line of who judges."""
        stdout = self.running["judge"].stdout
        assert stdout is not None
        line = stdout.readline()
        assert line.strip() == word.encode(), f"{line!r}; its log:\n{self.words()[-2000:]}"

    def send_signal(self, name: str, number: int) -> None:
        self.running[name].send_signal(number)

    def end(self, name: str, number: int = signal.SIGKILL) -> int:
        child = self.running.pop(name)
        child.send_signal(number)
        return child.wait(PATIENCE)

    def words(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, holds: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
        deadline = time.monotonic() + patience
        while not holds():
            assert time.monotonic() < deadline, f"not within {patience:g} s: {what}; the log:\n{self.words()[-3000:]}"
            for name, child in self.running.items():
                assert child.poll() is None, f"{name} ended; the log:\n{self.words()[-3000:]}"
            time.sleep(0.02)

    def socket(self, role: str, kind: int, protocol: int = 0) -> socket.socket:
        with inside(Path("/run/netns") / self.names[role]):
            return socket.socket(socket.AF_INET, kind, protocol)


class Stream(threading.Thread):
    """Numbered datagrams from client to server, one each `every` seconds until `finish`; what came, and when."""

    def __init__(self, site: Inlined, port: int, every: float = 0.001, text: bytes = b"harmless") -> None:
        super().__init__(daemon=True)
        self._sender, self._receiver = (
            site.socket("client", socket.SOCK_DGRAM),
            site.socket("server", socket.SOCK_DGRAM),
        )
        self._receiver.bind((SERVER, port))
        self._receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._receiver.settimeout(0.05)
        self._port, self._every, self._text = port, every, text
        self._done = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self.sent = 0
        self.came: list[tuple[float, int]] = []

    def run(self) -> None:
        self._reader.start()
        due = time.monotonic()
        while not self._done.is_set():
            self._sender.sendto(b"%d %s" % (self.sent, self._text), (SERVER, self._port))
            self.sent += 1
            due += self._every
            time.sleep(max(0.0, due - time.monotonic()))

    def _read(self) -> None:
        quiet = 0
        while not (self._done.is_set() and quiet > 10):
            try:
                data = self._receiver.recv(65536)
            except TimeoutError:
                quiet += 1
                continue
            quiet = 0
            self.came.append((time.monotonic(), int(data.split()[0])))

    def finish(self) -> None:
        """No more is sent, and what is on its way has come."""
        self._done.set()
        self.join()
        self._reader.join()

    @property
    def lost(self) -> int:
        return self.sent - len({number for _, number in self.came})

    def gap(self) -> float:
        """The longest time without a packet, seconds."""
        times = [when for when, _ in self.came]
        return max(b - a for a, b in itertools.pairwise(times))
