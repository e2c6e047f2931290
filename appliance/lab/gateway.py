"""Puts a Reef gateway into a host of the lab: its directories, users, daemons and first policy."""

from __future__ import annotations

import datetime
import grp
import os
import pwd
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.control.ipc import DaemonAway, ProtocolError, RefusedError, call
from appliance.control.messages.gateway import Applied, Apply, ProcessHealth, Status, StatusReport
from appliance.control.notify import INSPECTED
from appliance.control.placement import PROJECT, here
from appliance.control.processes import PROCESSES, Identity, Instance, Process, encode_instance
from appliance.control.supervisor import Supervisor, SupervisorError
from appliance.lab.netns import path_of
from appliance.lab.topology import CONSOLE_NAME, MANAGEMENT
from crypto.apitls import CERTIFICATE, KEY
from crypto.selfsigned import self_signed

EXAMPLES = PROJECT / "examples"
OFFICER = "officer"
PATIENCE = 60.0  # seconds for all daemons: a machine on which nothing was read from the disk yet is slow

# Numbers for the users of labs: a block for each lab, from a range in which Debian gives none out by itself
# (Debian policy 9.2.2: 60000-64999 on demand only). A block in which somebody has an account is passed over.
FIRST_NUMBER = 63000
BLOCK = 20
BLOCKS = 50


class GatewayError(Exception):
    """The gateway of the lab did not come up; the text says what failed."""


def free_block(taken: set[int]) -> int:
    """The first block of numbers that no lab in `taken` has and no account of this machine uses."""
    for block in range(BLOCKS):
        first = FIRST_NUMBER + block * BLOCK
        if block not in taken and not any(_has_account(number) for number in range(first, first + BLOCK)):
            return block
    raise GatewayError(f"{BLOCKS} labs run already, or their user numbers from {FIRST_NUMBER} on are in use")


def _has_account(number: int) -> bool:
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(number)
        except KeyError:
            continue
        return True
    return False


class LabGateway:
    """One gateway of a lab.

    `directory` is its own, made here; `block` its block of user numbers; `rows` the processes to start.
    """

    def __init__(
        self,
        lab: str,
        host: str,
        directory: Path,
        block: int,
        log: Callable[[str, str], None],
        rows: Sequence[Process] = PROCESSES,
    ) -> None:
        self.host = host
        self._rows = rows
        self.directory = directory
        first = FIRST_NUMBER + block * BLOCK
        self.officer = Identity(first + BLOCK - 1, first + BLOCK - 1)
        self.instance = Instance(
            name=f"lab {lab}, {host}",
            run=str(directory / "run"),
            state=str(directory / "state"),
            config=str(directory / "config"),
            identities={row.name: Identity(first + n, first + n) for n, row in enumerate(PROCESSES)},
            operators=first + BLOCK - 2,
        )
        self.file = directory / "instance.json"
        self.placement = here(path_of(lab, host), accounts=directory / "accounts")
        self._log = log
        self._supervisor: Supervisor | None = None

    def begin(self) -> None:
        """Make the directories and start the daemons; they enforce nothing yet. Raises GatewayError."""
        self.directory.mkdir(parents=True)
        self.instance.baselines.mkdir(parents=True)
        for baseline in (EXAMPLES / "baselines").glob("*.yaml"):
            shutil.copy(baseline, self.instance.baselines)
        self._rules()
        self._console()
        self.instance.required.write_text("# Every site of this country stands under it (R9).\nnational-baseline\n")
        self.file.write_bytes(encode_instance(self.instance))
        self._accounts()
        self._command()
        self._supervisor = Supervisor(self.instance, self.file, self._rows, placement=self.placement, log=self._log)
        try:
            self._supervisor.begin()
        except SupervisorError as error:
            raise GatewayError(f"{self.host}: {error}") from error

    def wait(self, patience: float = PATIENCE) -> None:
        """Until every daemon said it is ready. Raises GatewayError."""
        if self._supervisor is not None:
            try:
                self._supervisor.wait(patience)
            except SupervisorError as error:
                raise GatewayError(f"{self.host}: {error}") from error

    def await_inspection(self, patience: float = PATIENCE) -> None:
        """Until what the running policy has inspected is looked at; before that, fail-closed traffic is dropped.

        Raises GatewayError."""
        if not {"inspectd", "verdictd"} <= {row.name for row in self._rows}:
            return
        deadline = time.monotonic() + patience
        while (words := self._words_of("verdictd")) != INSPECTED:
            if time.monotonic() > deadline:
                raise GatewayError(f"{self.host}: inspection did not begin; verdictd: {words}")
            self.poll(0.05)

    def _words_of(self, name: str) -> str:
        return next((one.words for one in self.health() if one.name == name), "is not there")

    def _rules(self) -> None:
        """What the taps are inspected with."""
        self.instance.rules.mkdir()
        for file in (EXAMPLES / "rules").iterdir():
            shutil.copy(file, self.instance.rules)

    def _console(self) -> None:
        """Key and certificate of the console, for the name of the lab's policy: browsers can be told to trust it
        before it is there."""
        folder = self.instance.console
        folder.mkdir()
        key, certificate = self_signed((CONSOLE_NAME, MANAGEMENT), datetime.datetime.now(datetime.UTC))
        (folder / KEY).touch(0o600)
        (folder / KEY).write_bytes(key)
        (folder / CERTIFICATE).write_bytes(certificate)
        own = self.instance.identity("console")
        os.chown(folder / KEY, own.uid, own.gid)

    def _accounts(self) -> None:
        """The box's own passwd, shadow and group: root, the daemons, sshd and an officer who may operate it."""
        folder = self.directory / "accounts"
        folder.mkdir()
        home = self.directory / "home"
        home.mkdir(mode=0o700)
        lines = ["root:x:0:0:root:/root:/bin/sh", "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin"]
        sshd = Identity(self.officer.uid - 2, 65534)
        lines.append(f"sshd:x:{sshd.uid}:{sshd.gid}::/run/sshd:/usr/sbin/nologin")
        groups = ["root:x:0:", "nogroup:x:65534:", f"reef-operators:x:{self.instance.operators}:{OFFICER}"]
        for row in PROCESSES:
            who = self.instance.identity(row.name)
            lines.append(f"{row.user}:x:{who.uid}:{who.gid}::/nonexistent:/usr/sbin/nologin")
            groups.append(f"{row.user}:x:{who.gid}:")
        lines.append(f"{OFFICER}:x:{self.officer.uid}:{self.officer.gid}:An officer:{home}:/bin/sh")
        groups.append(f"{OFFICER}:x:{self.officer.gid}:")
        names = [line.partition(":")[0] for line in lines]
        shadow = folder / "shadow"
        shadow.touch(mode=0o600)
        shadow.write_text("".join(f"{name}:*:20000:0:99999:7:::\n" for name in names))
        (folder / "passwd").write_text("\n".join(lines) + "\n")
        (folder / "group").write_text("\n".join(groups) + "\n")
        os.chown(home, self.officer.uid, self.officer.gid)

    def _command(self) -> None:
        """`reef` as a person on the gateway types it: this code, this instance."""
        folder = self.directory / "bin"
        folder.mkdir()
        command = folder / "reef"
        command.write_text(
            "#!/bin/sh\n"
            f"REEF_INSTANCE=${{REEF_INSTANCE:-{self.file}}} PYTHONPATH={PROJECT} "
            f'exec {sys.executable} -m appliance.cli "$@"\n'
        )
        command.chmod(0o755)

    def apply(self, text: str, reason: str, file: str = "policy.yaml") -> Applied:
        """Apply a policy text for good; `file` is what findings call it. Raises GatewayError with every finding."""
        base = self.status().running
        request = Apply(text=text, base=base, reason=reason, file=file, confirm_within=0)
        try:
            return call(self.instance.socket("policyd"), request, Applied)
        except RefusedError as error:
            findings = "\n".join(
                f"{one.file}:{one.line}:{one.column}: {one.message}; {one.remedy}" for one in error.reply.findings
            )
            raise GatewayError(f"{self.host}: the policy was refused: {error}\n{findings}") from error
        except (DaemonAway, ProtocolError) as error:
            raise GatewayError(f"{self.host}: the policy was not applied: {error}") from error

    def status(self) -> StatusReport:
        try:
            return call(self.instance.socket("policyd"), Status(), StatusReport)
        except (DaemonAway, ProtocolError, RefusedError) as error:
            raise GatewayError(str(error)) from error

    def poll(self, timeout: float) -> None:
        """Keep the daemons running; call it again and again."""
        if self._supervisor is not None:
            self._supervisor.poll(timeout)

    def health(self) -> tuple[ProcessHealth, ...]:
        return self._supervisor.health() if self._supervisor else ()

    def pid(self, name: str) -> int:
        """The process id of a daemon. Raises KeyError."""
        if self._supervisor is None:
            raise KeyError(name)
        return self._supervisor.pid(name)

    def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
