"""The way in for administrators: OpenSSH's sshd on the lab's gateway, with keys made for this lab alone."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

from appliance.control.placement import Placement, enter_placement
from appliance.control.processes import INSTANCE_VARIABLE
from appliance.lab.gateway import OFFICER, GatewayError
from ctypes_ext import sandbox as kernel

RUN = Path("/run")
SSHD = "/usr/sbin/sshd"


class Ssh:
    """`directory` is the gateway's; `lab_root` stays visible to who comes in.

    `client_config` becomes an ssh_config(5) with which `ssh gw` comes in as the officer, at `address`.
    """

    def __init__(
        self, directory: Path, client_config: Path, lab_root: Path, placement: Placement, address: str
    ) -> None:
        self._client_config = client_config
        self._address = address
        self._gateway = directory
        self.directory = directory / "ssh"
        self._lab_root = lab_root
        self._placement = placement
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make keys and start sshd inside the gateway. Raises GatewayError."""
        if not Path(SSHD).exists():
            raise GatewayError(f"{SSHD} is not here; install openssh-server (`make deps`)")
        self.directory.mkdir()
        officer = self.directory / "officer_key"
        for key in (officer, self.directory / "host_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "reef lab", "-f", str(key)],  # noqa: S607
                check=True,
                stdin=subprocess.DEVNULL,
            )
        shutil.copy(self.directory / "officer_key.pub", self.directory / "authorized_keys")
        self.directory.chmod(0o755)
        (self.directory / "authorized_keys").chmod(0o644)
        known_hosts = self.directory / "known_hosts"
        known_hosts.write_text(f"* {(self.directory / 'host_key.pub').read_text()}")
        self._client_config.write_text(
            f"Host gw\n  HostName {self._address}\n  User {OFFICER}\n  IdentityFile {officer}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {known_hosts}\n  BatchMode yes\n  ConnectTimeout 5\n"
        )
        log = self.directory / "sshd.log"
        with log.open("wb") as output:
            self._running = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self._configuration())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=self._between_fork_and_exec,
                start_new_session=True,
            )

    def _configuration(self) -> Path:
        file = self.directory / "sshd_config"
        lines = (
            "Port 22",
            f"HostKey {self.directory / 'host_key'}",
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}",
            "StrictModes no",  # the key file lies in the lab's directory, not in a home
            "PidFile none",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            f"AllowUsers {OFFICER}",
            "PrintLastLog no",
            "X11Forwarding no",
            "AllowTcpForwarding no",
            f"SetEnv {INSTANCE_VARIABLE}={self._gateway / 'instance.json'} "
            f"PATH={self._gateway / 'bin'}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        )
        file.write_text("\n".join(lines) + "\n")
        return file

    def _between_fork_and_exec(self) -> None:
        kernel.parent_death_signal(signal.SIGKILL)
        enter_placement(self._placement)  # with accounts of its own, hence in a mount namespace of its own
        # sshd wants /run/sshd. A /run of its own, with the lab in it, leaves the machine's untouched.
        view = self.directory / "run"
        view.mkdir()
        kernel.mount("reef", str(view), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m")
        (view / "sshd").mkdir(mode=0o755)
        lab = view / self._lab_root.relative_to(RUN)
        lab.mkdir(parents=True)
        kernel.mount(str(self._lab_root), str(lab), flags=kernel.MS_BIND | kernel.MS_REC)
        kernel.mount(str(view), str(RUN), flags=kernel.MS_MOVE)

    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def stop(self) -> None:
        """Ends sshd; sessions that are open end with their namespace."""
        if self._running is not None:
            self._running.terminate()
            self._running.wait()
            self._running = None
