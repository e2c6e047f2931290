"""One lab, from claim to removal: namespaces, hosts, the Reef gateway in the middle, its first policy, a way in.

A lab is a directory below /run/reef-lab, named by the lab's id and locked by the process that owns it. When
that process dies, however it dies, the lock is free; whoever starts a lab next finds that and cleans up.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from appliance.control.pins import unmount_pins
from appliance.control.placement import PROJECT
from appliance.control.processes import PROCESSES, Process
from appliance.lab import netns
from appliance.lab.forward import Forwarder
from appliance.lab.gateway import EXAMPLES, GatewayError, LabGateway, free_block
from appliance.lab.hosts import Plan
from appliance.lab.registry import ID, ROOT, LabError, console_file, folders, instance_file, is_free, running
from appliance.lab.ssh import Ssh
from appliance.lab.topology import ADMINISTRATOR, CONSOLE_NAME, MANAGEMENT, Topology, ministry
from appliance.lab.traffic import PACE, Attempt
from appliance.policy.console import PORT as CONSOLE_PORT
from crypto.apitls import CERTIFICATE
from crypto.selfsigned import self_signed
from ctypes_ext import sandbox as kernel

POLICY = EXAMPLES / "lab" / "ministry.yaml"
POLICIES = {"gw": POLICY, "gw2": EXAMPLES / "lab" / "education.yaml"}


@contextlib.contextmanager
def _turnstile() -> Iterator[None]:
    """One process at a time claims and cleans labs."""
    while True:
        ROOT.mkdir(parents=True, exist_ok=True)
        ROOT.chmod(0o755)
        try:
            fd = os.open(ROOT / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # the last lab went away in between
            continue
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            break
        os.close(fd)
    try:
        yield
    finally:
        os.close(fd)


def clean() -> list[str]:
    """Remove what labs left that died without cleaning up. Returns the ids of those labs."""
    with _turnstile():
        return _clean()


def _clean() -> list[str]:
    cleaned = []
    for folder in folders():
        if is_free(folder):
            netns.remove(folder.name)
            for pins in folder.glob("*/run/gated/bpf"):
                unmount_pins(pins)
            shutil.rmtree(folder)
            cleaned.append(folder.name)
    return cleaned


def _read(policy: Path) -> str:
    try:
        return policy.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"{policy}: {error}; name a policy text") from error


class Lab:
    """A running lab. Use it as a context manager; `start` does the work, leaving it removes everything.

    `lab` is its id (None: the lowest free number). `traffic`: the hosts live, with `pace`
    seconds between the deeds of each; without it they only serve.
    `log` gets (who, line) of everything the processes print. `policies` are applied,
    by the gateway's name; `rows` are the processes of a gateway; `two_gateways`: the second ministry runs Reef too.
    `console`: browsers of this machine reach the gateway's console (`console_url`).
    """

    def __init__(
        self,
        lab: str | None = None,
        *,
        traffic: bool = True,
        pace: float = PACE,
        policies: Mapping[str, Path] = POLICIES,
        two_gateways: bool = False,
        console: bool = False,
        rows: Sequence[Process] = PROCESSES,
        log: Callable[[str, str], None] = lambda _who, _line: None,
        stage: Callable[[str, float], None] = lambda _what, _seconds: None,
    ) -> None:
        if lab is not None and not ID.fullmatch(lab):
            raise LabError(f"{lab!r} is no id for a lab; use one to ten small letters and digits")
        self._wanted = lab
        self._traffic = traffic
        self._pace = pace
        self._policies = policies
        self._rows = rows
        self._console = console
        self._forwarder: Forwarder | None = None
        self._log = log
        self._stage = stage
        self._lock = -1
        self._hosts: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._attempts: list[Attempt] = []
        self.topology: Topology = ministry(two_gateways=two_gateways)
        self.gateways: dict[str, LabGateway] = {}
        self.ssh: Ssh | None = None
        self.lab = ""
        self.directory = ROOT

    def __enter__(self) -> Lab:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- up -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring everything up. Raises LabError, NamespaceError or GatewayError; call `stop` then."""
        reefs = [host.name for host in self.topology.hosts if host.reef]
        texts = {name: _read(self._policies[name]) for name in reefs if name in self._policies}
        with self._timed("claimed"):
            blocks = self._claim(len(reefs))
        with self._timed("namespaces wired"):
            netns.create(self.lab, self.topology)
        for name, block in zip(reefs, blocks, strict=True):
            self.gateways[name] = LabGateway(self.lab, name, self.directory / name, block, self._log, self._rows)
        self.ssh = Ssh(self.gateway.directory, self.ssh_config, ROOT, self.gateway.placement, MANAGEMENT)
        with self._timed("hosts and daemons up"):
            self._start_hosts()
            for gateway in self.gateways.values():
                gateway.begin()
            for gateway in self.gateways.values():
                gateway.wait()
            self._await_hosts()
            self.ssh.start()
        with self._timed("policy applied"):
            for name, text in texts.items():
                self.gateways[name].apply(text, "the lab's first policy", str(self._policies[name]))
        with self._timed("inspection begun"):
            for name in texts:
                self.gateways[name].await_inspection()
        if self._console:
            self._forwarder = Forwarder(
                CONSOLE_PORT, netns.path_of(self.lab, ADMINISTRATOR), MANAGEMENT, CONSOLE_PORT
            )
            console_file(self.lab).write_text(self.console_url, encoding="ascii")
        if self._traffic:
            self.live()

    @property
    def console_url(self) -> str:
        """Where a browser of this machine finds the console; "" where no way leads to it."""
        return f"https://{CONSOLE_NAME}:{self._forwarder.port}/" if self._forwarder is not None else ""

    @property
    def console_certificate(self) -> Path:
        """What a browser has to trust for that."""
        return self.gateway.instance.console / CERTIFICATE

    @property
    def gateway(self) -> LabGateway:
        """The ministry's."""
        return self.gateways["gw"]

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._stage(what, time.monotonic() - started)

    def _claim(self, count: int) -> list[int]:
        """Take an id and so many blocks of user numbers; what dead labs left goes first."""
        if os.geteuid() != 0:
            raise LabError("a lab makes network namespaces and needs root: run it as root, for example with sudo")
        with _turnstile():
            for lab in _clean():
                self._log("lab", f"removed what lab {lab} had left behind")
            there = {folder.name for folder in folders()}
            if self._wanted is None:
                self.lab = next(str(number) for number in range(1, 10_000) if str(number) not in there)
            elif self._wanted in there:
                raise LabError(f"lab {self._wanted} runs already; `reef lab` without an id takes a free one")
            else:
                self.lab = self._wanted
            taken = {int(word) for folder in folders() for word in (folder / "block").read_text().split()}
            blocks: list[int] = []
            for _ in range(count):
                blocks.append(free_block(taken | set(blocks)))
            self.directory = ROOT / self.lab
            self.directory.mkdir()
            (self.directory / "block").write_text(" ".join(map(str, blocks)))
            self._lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            os.write(self._lock, f"{os.getpid()}\n".encode())
        return blocks

    def _start_hosts(self) -> None:
        names = sorted(self.topology.names)
        key, certificate = self_signed(names, datetime.datetime.now(datetime.UTC))
        files = {"key.pem": key, "ca.pem": certificate, "names.json": msgspec.json.encode(self.topology.names)}
        for name, content in files.items():
            (self.directory / name).touch(0o600 if name == "key.pem" else 0o644)
            (self.directory / name).write_bytes(content)
        plan = Plan(
            self.lab,
            self.topology,
            names=str(self.names_file),
            key=str(self.directory / "key.pem"),
            certificate=str(self.certificate),
            pace=self._pace,
            directory=str(self.directory),
        )
        file = self.directory / "plan.json"
        file.write_bytes(msgspec.json.encode(plan))
        self._hosts = subprocess.Popen(
            [sys.executable, "-m", "appliance.lab.hosts", str(file)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            preexec_fn=lambda: kernel.parent_death_signal(signal.SIGKILL),
            start_new_session=True,
        )

    def _await_hosts(self) -> None:
        if self._hosts is None or self._hosts.stdout is None:
            raise LabError("the hosts were not started")
        if self._hosts.stdout.readline().strip() != b"ready":
            raise LabError(f"the hosts' process ended with exit code {self._hosts.wait()}; its words are above")
        os.set_blocking(self._hosts.stdout.fileno(), False)

    def live(self) -> None:
        """From now on the hosts do what their people do."""
        if self._hosts and self._hosts.stdin:
            self._hosts.stdin.write(b"live\n")

    # --- while it runs ------------------------------------------------------------------------------

    @property
    def names_file(self) -> Path:
        """What the DNS host answers, as JSON; replace it by rename to change the answers."""
        return self.directory / "names.json"

    @property
    def certificate(self) -> Path:
        """The certificate of every https host of the lab."""
        return self.directory / "ca.pem"

    def namespace(self, host: str) -> str:
        return netns.name_of(self.lab, host)

    def poll(self, timeout: float) -> list[Attempt]:
        """Keep everything running for at most `timeout` seconds; returns what the hosts tried since the last call."""
        self._listen(timeout)
        attempts, self._attempts = self._attempts, []
        return attempts

    def _listen(self, timeout: float) -> None:
        for gateway in self.gateways.values():
            gateway.poll(timeout / len(self.gateways))
        if self._hosts is None or self._hosts.stdout is None:
            return
        if self._hosts.poll() is not None:
            raise LabError(f"the hosts' process ended with exit code {self._hosts.returncode}")
        data = self._hosts.stdout.read(65536) or b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._attempts += [msgspec.json.decode(line, type=Attempt) for line in lines]

    def run(
        self, host: str, *command: str, timeout: float = 20.0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host, with the host's resolver, as `ip netns exec` does; the lab runs on meanwhile."""
        return self.command(["ip", "netns", "exec", self.namespace(host), *command], timeout=timeout, stdin=stdin)

    def command(
        self, command: Sequence[str], *, timeout: float = 20.0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run any command while the lab runs on. Raises subprocess.TimeoutExpired, with the command ended."""
        deadline = time.monotonic() + timeout
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as running:
            given: str | None = stdin
            while True:
                try:
                    out, error = running.communicate(given, timeout=0.05)
                except subprocess.TimeoutExpired:
                    given = None
                    self._listen(0)
                    if time.monotonic() > deadline:
                        running.kill()
                        raise
                else:
                    return subprocess.CompletedProcess(list(command), running.returncode, out, error)

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`: the host `gw` is the gateway as its LAN sees it."""
        return self.directory / "ssh_config"

    def ssh_command(self, *command: str, host: str = "lan1") -> list[str]:
        """The command line that goes over ssh from a host to the gateway."""
        return ["ip", "netns", "exec", self.namespace(host), "ssh", "-F", str(self.ssh_config), "gw", *command]

    # --- down ---------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Remove everything; harmless when some of it was never there."""
        if self._lock < 0:
            return
        if self._forwarder is not None:
            self._forwarder.stop()
        if self.ssh is not None:
            self.ssh.stop()
        for gateway in self.gateways.values():
            gateway.stop()
        if self._hosts is not None:
            self._hosts.kill()  # it keeps nothing, and may wait for us to read what it tells
            self._hosts.wait()
            for pipe in (self._hosts.stdin, self._hosts.stdout):
                if pipe:
                    pipe.close()
        with _turnstile():
            netns.remove(self.lab)
            shutil.rmtree(self.directory)
            os.close(self._lock)
            self._lock = -1
            if not folders():
                (ROOT / ".lock").unlink()
                ROOT.rmdir()


__all__ = ["GatewayError", "Lab", "LabError", "clean", "instance_file", "running"]
