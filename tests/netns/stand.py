"""The control plane on a stand: keyd, applyd, policyd (and namesd) as processes in one network namespace.

No lab hosts, no supervisor: a test starts, kills and starts them again itself, and asks over their sockets.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from appliance.control import ipc
from appliance.control.applying.generations import Entry, Kept, Store
from appliance.control.messages import gateway as messages
from appliance.control.pins import mount_pins, unmount_pins
from appliance.control.processes import INSTANCE_VARIABLE, PROCESSES, Identity, Instance, encode_instance, process
from appliance.control.sandbox import SUPERVISOR_VARIABLE
from appliance.policy.compiling import bundle as bundles
from crypto.signing import SigningKey, load_or_create

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
PATIENCE = 60.0
_FIRST_UID = 62_000
LINKS = ("wan0", "lan0", "dmz0")

POLICY = """\
reef: 1
site: stand
zones:
  internet: {role: internet, interfaces: [wan0]}
  lan: {role: internal, interfaces: [lan0], networks: [10.20.0.0/16]}
connections:
  wan0: {provider: Line, officer: "An Officer <noc@stand.example>", phone: "+501 555 0100"}
"""


def rule(name: str, service: str = "tcp/443", origin: str = "lan", to: str = "internet", **more: str) -> str:
    """One rule of a policy text."""
    extra = "".join(f"    {key}: {value}\n" for key, value in more.items())
    return (
        f"  - id: {name}\n    from: {origin}\n    to: {to}\n    service: {service}\n    action: allow\n"
        f"    why: a test\n    owner: it@stand.example\n{extra}"
    )


def policy(*rules: str, head: str = POLICY) -> str:
    return head + "rules:\n" + "".join(rules)


class Stand:
    """One instance of the control plane. `with Stand() as stand:` starts it and leaves nothing behind."""

    def __init__(self, names: tuple[str, ...] = ("keyd", "applyd", "policyd"), *, state: Path | None = None) -> None:
        self.names = names
        self._own = Path(tempfile.mkdtemp(prefix="reef-stand-"))
        self._own.chmod(0o755)
        self.namespace = self._own.name
        self.state = state or self._own / "state"
        self.instance = Instance(
            name=self.namespace,
            run=str(self._own / "run"),
            state=str(self.state),
            config=str(self._own / "config"),
            identities={
                row.name: Identity(_FIRST_UID + number, _FIRST_UID + number) for number, row in enumerate(PROCESSES)
            },
            operators=_FIRST_UID + len(PROCESSES),
        )
        self.file = self._own / "instance.json"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.log = self._own / "log"
        self.environment: dict[str, str] = {}  # further variables for processes that are started from now on

    def __enter__(self) -> Stand:
        try:
            self._enter()
        except BaseException:
            self.__exit__()  # a stand that does not come up leaves nothing behind either
            raise
        return self

    def _enter(self) -> None:
        _ip("netns", "add", self.namespace)
        self.sh("ip link set lo up")
        for name in LINKS:
            self.sh(
                f"ip link add {name} type veth peer name {name}p && ip link set {name} up && ip link set {name}p up"
            )
        self.instance.baselines.mkdir(parents=True)
        for row in PROCESSES:
            identity = self.instance.identity(row.name)
            for directory, group, mode in (
                (self.instance.run_of(row.name), identity.gid, 0o755),
                (self.instance.state_of(row.name), identity.gid, 0o700),
                (self.instance.events_of(row.name), self.instance.operators, 0o2755),
                *([(self.instance.shared_of(row.name), identity.gid, 0o700)] if row.reader else []),
            ):
                directory.mkdir(parents=True, exist_ok=True)
                os.chown(directory, identity.uid, group)
                directory.chmod(mode)
        self.file.write_bytes(encode_instance(self.instance))
        if "gated" in self.names:
            mount_pins(self.instance)
        for name in self.names:
            self.start(name)
        for name in self.names:
            self.wait_for(name)

    def __exit__(self, *_: object) -> None:
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)
        _ip("netns", "del", self.namespace)
        unmount_pins(Path(self.instance.pins))
        shutil.rmtree(self._own, ignore_errors=True)

    # --- processes ------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        with self.log.open("ab") as log:
            self.running[name] = subprocess.Popen(
                [
                    *("ip", "netns", "exec", self.namespace),
                    *(sys.executable, "-m", process(name).module, "--instance", str(self.file)),
                ],
                cwd=ROOT,
                stderr=log,
                # Should this test run be killed, its processes end with it.
                env=os.environ
                | process(name).environment
                | {SUPERVISOR_VARIABLE: str(os.getpid())}
                | self.environment,
            )

    def stop(self, name: str, number: int = signal.SIGTERM) -> int:
        """Signal a process and wait for its end; its exit status."""
        child = self.running.pop(name)
        child.send_signal(number)
        return child.wait(10)

    def kill(self, name: str) -> None:
        self.stop(name, signal.SIGKILL)

    def wait_for(self, name: str) -> None:
        """Until the process accepts connections. A socket that a killed process left does not count."""
        until(lambda: self._accepts(name), f"{name} answers; its log:\n{self.words()[-2000:]}")

    def _accepts(self, name: str) -> bool:
        child = self.running[name]
        assert child.poll() is None, f"{name} ended with {child.returncode}; log:\n{self.words()[-3000:]}"
        with contextlib.suppress(OSError), contextlib.closing(_connect(self.instance.socket(name))):
            return True
        return False

    def restart(self, name: str) -> None:
        self.start(name)
        self.wait_for(name)

    def words(self) -> str:
        """What the processes logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    # --- asking ---------------------------------------------------------------------------------------

    def ask(self, request: messages.Request, reply: type[T], *, to: str = "policyd", timeout: float = 30) -> T:
        return ipc.call(self.instance.socket(to), request, reply, timeout=timeout)

    def status(self) -> messages.StatusReport:
        return self.ask(messages.Status(), messages.StatusReport, to="applyd")

    def apply(
        self, text: str, *, confirm_within: int = 0, base: int | None = None, reason: str = "a test"
    ) -> messages.Applied:
        base = self.status().running if base is None else base
        return self.ask(messages.Apply(text, base, reason, confirm_within=confirm_within), messages.Applied)

    def refusal(self, request: messages.Request, *, to: str = "policyd") -> messages.Refused:
        """The refusal that a request must get."""
        try:
            answer = ipc.call(self.instance.socket(to), request, object, timeout=30)
        except ipc.RefusedError as error:
            return error.reply
        raise AssertionError(f"not refused: {answer}")

    def bundle(self, generation: int) -> bundles.Bundle:
        """A kept generation, from the disk as a boot would read it."""
        store = Store(self.instance.state_of("applyd"))
        try:
            return bundles.decode(store.read(generation)[0])
        finally:
            store.close()

    def keep(self, bundle: bundles.Bundle) -> None:
        """Put a sealed, confirmed generation into the store of an applyd that does not run."""
        data = bundles.encode(bundle)
        signature = load_or_create(self.instance.state_of("keyd") / "signing.key").sign(bundles.digest(data))
        store = Store(self.instance.state_of("applyd"))
        store.keep(
            Kept(bundle.generation, bundle.parent, "a test", "kept", 0.0, bundles.digest(data), 0, signature), data
        )
        store.record(Entry(bundle.generation, "confirmed", 0.0))
        store.close()
        identity = self.instance.identity("applyd")
        for path in self.instance.state_of("applyd").rglob("*"):
            os.chown(path, identity.uid, identity.gid)

    @staticmethod
    def encoded(bundle: bundles.Bundle) -> bytes:
        return bundles.encode(bundle)

    @staticmethod
    def decoded(data: bytes, *, generation: int, parent: int) -> bundles.Bundle:
        return msgspec.structs.replace(bundles.decode(data), generation=generation, parent=parent)

    def load_as_policyd(
        self, bundle: bundles.Bundle, key: SigningKey | None = None
    ) -> messages.Loaded | messages.Refused:
        """Have applyd load a bundle without policyd, signed with this gateway's key or another."""
        data = bundles.encode(bundle)
        signer = key or load_or_create(self.instance.state_of("keyd") / "signing.key")
        return self.ask_as("policyd", messages.Load(data, signer.sign(bundles.digest(data)), 0), messages.Loaded)

    def ask_as(self, name: str, request: messages.Request, reply: type[T]) -> T | messages.Refused:
        """Ask applyd as another process would: the kernel shows it that process's user."""
        with as_user(self.instance.identity(name).uid):
            try:
                return ipc.call(self.instance.socket("applyd"), request, reply, timeout=30)
            except ipc.RefusedError as error:
                return error.reply

    def sh(self, command: str) -> str:
        """Run a command in the stand's namespace; its output."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, "sh", "-c", command], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def marker(self) -> str:
        """The marker chain that the kernel holds, "" for none."""
        found = [line.split()[1] for line in self.chains() if "generation_" in line]
        assert len(found) <= 1, found
        return found[0] if found else ""

    def chains(self) -> list[str]:
        listing = self.sh("nft -t list table inet reef 2>/dev/null || true")
        return [line.strip() for line in listing.splitlines() if line.strip().startswith("chain ")]


def reef(stand: Stand, *words: str, ends: int = 0) -> Any:
    """What the command line says to root on this stand: one JSON value, or a list of those of its lines."""
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli", "--json", *words],
        cwd=ROOT,
        env=os.environ | {INSTANCE_VARIABLE: str(stand.file)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == ends, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    return json.loads(done.stdout) if lines and lines[0] in "{[" else [json.loads(line) for line in lines]


@contextlib.contextmanager
def as_user(uid: int, groups: tuple[int, ...] = ()) -> Iterator[None]:
    """This process shows the kernel another user meanwhile: whom it connects to sees that one."""
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def until(holds: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        time.sleep(0.01)


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    connection.connect(str(path))
    return connection


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
