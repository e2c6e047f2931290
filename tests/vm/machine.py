"""A test machine: QEMU without KVM, Debian's cloud kernel, this machine's files under a tmpfs, a command channel.

A power cut is a SIGKILL of QEMU: what the guest had not flushed to its disk is lost, what it had fsynced stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.vm.kernel import Kernel

# TCG is some twenty times slower than the machine; limits are for hangs, not for speed.
BOOT_SECONDS = 120.0
VIRTIOFSD_PLACES = ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd")


class MachineError(Exception):
    """The machine did not start, or went away; the text holds the end of its console."""


class Result(NamedTuple):
    status: int
    output: str


class CommandFailed(MachineError):
    """A command in the machine ended with another status than 0."""


def virtiofsd() -> str:
    """The daemon that shares the host's files, where this Debian has it."""
    for place in VIRTIOFSD_PLACES:
        if Path(place).exists():
            return place
    raise MachineError("virtiofsd is not here: `make deps` installs it")


def make_disk(path: Path, megabytes: int = 64) -> Path:
    """A new ext4 disk image, the machine's /var/lib/reef, which outlives the machine."""
    with path.open("wb") as image:
        image.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True)
    return path


class Machine:
    """Starts on `with`; ends (SIGKILL: nothing in it is kept but its disk) when the block ends."""

    def __init__(
        self,
        kernel: Kernel,
        *,
        disk: Path | None = None,
        logged: Sequence[tuple[Path, Path]] = (),
        memory: int = 1024,
        cores: int = 2,
    ) -> None:
        """`memory` in MiB; `disk` an image made by `make_disk`; `logged` are further disks, each with the file that
        takes the log of its writes (`writelog.py`)."""
        self._kernel = kernel
        self._disk = disk
        self._logged = logged
        self._memory = memory
        self._cores = cores
        self._folder = Path(tempfile.mkdtemp(prefix="reef-vm-"))
        self._console = self._folder / "console"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._channel: socket.socket | None = None
        self._pending = b""
        self._answers: dict[int, Result] = {}
        self._last = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.cut_power()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut_power()

    def _start(self) -> None:
        share = self._folder / "share"
        with (self._folder / "virtiofsd").open("wb") as log:
            command = [virtiofsd(), f"--socket-path={share}"]
            if "libexec" in command[0]:
                # mount points announced as such are "remote" to overlayfs, and useless below it
                command += ["--shared-dir=/", "--cache=always", "--sandbox=none", "--log-level=error"]
                command += ["--no-announce-submounts"]
            else:
                command += [
                    "-f",
                    "-o",
                    "source=/",
                    "-o",
                    "sandbox=chroot",
                    "-o",
                    "cache=always",
                    "-o",
                    "log_level=err",
                ]
            self._processes["virtiofsd"] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait_for(share.exists, 30.0)
        channel = self._folder / "channel"
        command = [
            *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(self._cores)),
            *("-machine", "q35", "-nodefaults", "-display", "none", "-no-reboot", "-m", f"{self._memory}M"),
            # virtiofsd works in the guest's memory, so it must be shared
            *("-object", f"memory-backend-memfd,id=memory,size={self._memory}M,share=on"),
            *("-numa", "node,memdev=memory"),
            *("-kernel", str(self._kernel.image), "-initrd", str(self._kernel.initramfs)),
            # On a busy host ticks come late: the kernel would take its timer for broken (no_timer_check).
            *("-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on no_timer_check"),
            *("-serial", f"file:{self._console}"),
            *("-chardev", f"socket,id=share,path={share}", "-device", "vhost-user-fs-pci,chardev=share,tag=root"),
            *("-qmp", f"unix:{self._folder / 'control'},server=on,wait=off"),
            *("-chardev", f"socket,id=channel,path={channel},server=on,wait=off"),
            *("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=channel,name=reef"),
        ]
        if self._disk is not None:
            # write-back without O_DIRECT: a flush of the guest is an fsync here, as on a disk with a cache
            drive = f"file={self._disk},format=raw,if=none,id=disk,cache=writeback"
            command += ["-drive", drive, "-device", "virtio-blk-pci,drive=disk"]
        for number, pair in enumerate(self._logged):
            command += _logged(number, *pair)
        with (self._folder / "qemu").open("wb") as log:
            self._processes["qemu"] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._channel = connection = socket.socket(socket.AF_UNIX)
        self._wait_for(lambda: _connected(connection, channel), 30.0)
        self._receive(0, BOOT_SECONDS)

    def _wait_for(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self._check_alive()
            if time.monotonic() > deadline:
                raise self._failure(f"not there after {seconds:.0f} s")
            time.sleep(0.01)

    def _check_alive(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise self._failure(f"{name} ended with status {process.returncode}")

    def _failure(self, what: str) -> MachineError:
        said = [f"test machine: {what}"]
        for name in ("virtiofsd", "qemu", "console"):
            file = self._folder / name
            if file.exists() and (text := file.read_text(errors="replace").strip()):
                said.append(f"--- {name}\n" + "\n".join(text.splitlines()[-60:]))
        return MachineError("\n".join(said))

    def _receive(self, number: int, seconds: float) -> Result:
        deadline = time.monotonic() + seconds
        while number not in self._answers:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise self._failure(f"no answer after {seconds:.0f} s")
            self._hear(min(remaining, 1.0))
        return self._answers.pop(number)

    def _hear(self, seconds: float) -> None:
        """Take in what the machine says within so many seconds, if anything."""
        assert self._channel is not None
        self._channel.settimeout(seconds)
        try:
            chunk = self._channel.recv(65536)
        except (TimeoutError, BlockingIOError):
            self._check_alive()
            return
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            raise self._failure("the command channel closed")
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            message = json.loads(line)
            self._answers[message["id"]] = Result(message["status"], message["output"])

    def ended(self, number: int) -> bool:
        """Whether a started script has ended; `wait` then has its result at once."""
        self._hear(0.0)
        return number in self._answers

    def start(self, script: str, timeout: float = 60.0) -> int:
        """Start a shell script in the machine; the number to `wait` for. It is killed after `timeout` seconds."""
        assert self._channel is not None
        self._last += 1
        request = {"id": self._last, "script": script, "timeout": timeout}
        self._channel.settimeout(30.0)
        self._channel.sendall(json.dumps(request).encode() + b"\n")
        return self._last

    def wait(self, number: int, timeout: float = 60.0) -> Result:
        """The result of a started script, whatever its status. Raises `MachineError` when there is none in time."""
        return self._receive(number, timeout + 15.0)

    def run(self, script: str, timeout: float = 60.0) -> str:
        """Run a bash script (-eu) as root in the checkout and return what it printed.

        Raises `CommandFailed` with the output when its exit status is not 0.
        """
        result = self.wait(self.start(script, timeout), timeout)
        if result.status != 0:
            raise CommandFailed(f"in the test machine, status {result.status} of:\n{script}\n---\n{result.output}")
        return result.output

    def disk_as_after_a_power_cut(self, copy: Path) -> None:
        """Stop the machine for a moment and copy its disk: what a power cut at this instant would leave."""
        assert self._disk is not None
        self._control("stop")
        subprocess.run(["cp", "--sparse=always", str(self._disk), str(copy)], check=True)
        self._control("cont")

    def _control(self, command: str) -> None:
        """One command of QEMU's machine protocol."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30.0)
            connection.connect(str(self._folder / "control"))
            with connection.makefile("rw", encoding="utf-8") as channel:
                for name in ("qmp_capabilities", command):
                    channel.write(json.dumps({"execute": name, "id": name}) + "\n")
                    channel.flush()
                    while (answer := json.loads(channel.readline())).get("id") != name:
                        pass
                    if "error" in answer:
                        raise self._failure(f"QEMU refuses {name}: {answer['error']}")

    def cut_power(self) -> None:
        """The power is gone, this instant."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        for process in reversed(self._processes.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
        self._processes.clear()
        shutil.rmtree(self._folder, ignore_errors=True)


def _logged(number: int, image: Path, log: Path) -> list[str]:
    """QEMU's words for a disk with a log. The log says what was flushed, so the host need not flush it."""
    log.touch()
    options = [
        f"driver=file,filename={image},node-name=image{number},cache.no-flush=on",
        f"driver=file,filename={log},node-name=log{number},cache.no-flush=on",
        f"driver=blklogwrites,node-name=disk{number},file=image{number},log=log{number}",
    ]
    blocks = [word for option in options for word in ("-blockdev", option)]
    return [*blocks, "-device", f"virtio-blk-pci,drive=disk{number}"]


@contextlib.contextmanager
def booted(kernel: Kernel, disk: Path | None = None) -> Iterator[Machine]:
    """A machine for the time of a block."""
    with Machine(kernel, disk=disk) as machine:
        yield machine


def _connected(connection: socket.socket, channel: Path) -> bool:
    """QEMU makes the socket's file before it listens there."""
    try:
        connection.connect(str(channel))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True
