"""What the kernel and the disk of a gateway say of it: base chains, settings, processes, files, the clock."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.control.processes import PROCESSES, Instance
from appliance.control.sandbox import CAPABILITIES
from appliance.events import view
from appliance.events.segments import HEADER_BYTES, segments, unpack_header
from appliance.report.evidence import Reading
from appliance.report.facts import Access, Credentials, Disk, Hook, KernelTable, SpoolState

LIST_CHAINS = ("nft", "-j", "list", "chains", "inet")
CLOCK = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
PROCESS_QUERY = "grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/<pid of each process>/status"
NEWEST_SEGMENTS = 8  # of each spool, that are looked through: 64 MiB
_PATIENCE = 30.0

# Of the whole gateway, and `{}` of each of its interfaces.
SYSCTLS = (
    "net.ipv4.ip_forward",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.ipv4.tcp_syncookies",
    "net.ipv6.conf.all.accept_redirects",
    "net.ipv6.conf.all.accept_source_route",
    "net.netfilter.nf_conntrack_tcp_loose",
)
OF_INTERFACE = ("net/ipv4/conf/{}/send_redirects", "net/ipv6/conf/{}/accept_ra")


class NotReadable(Exception):
    """It cannot be read; the text says why, and what would make it possible."""


class Namespace:
    """The network namespace of a process, and how a person runs a command there."""

    def __init__(self, pid: int) -> None:
        self._prefix: tuple[str, ...] = ()
        self._pid = pid
        with contextlib.suppress(OSError):  # not root: `run` says so
            if pid and not Path(f"/proc/{pid}/ns/net").samefile("/proc/self/ns/net"):
                self._prefix = ("nsenter", f"--net=/proc/{pid}/ns/net", "--")

    def said(self, command: Sequence[str]) -> str:
        return " ".join((*self._prefix, *command))

    def run(self, command: Sequence[str]) -> str:
        """The output of `command`. Raises `NotReadable`."""
        if os.geteuid() != 0:
            raise NotReadable(f"only root may run `{command[0]}` on a gateway; run the report as root")
        if not self._pid:
            raise NotReadable("applyd does not run, so its network cannot be found")
        return _run((*self._prefix, *command))


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except FileNotFoundError as error:
        raise NotReadable(f"there is no `{command[0]}` here; install it") from error
    except subprocess.TimeoutExpired as error:
        raise NotReadable(f"`{command[0]}` gave no answer in {_PATIENCE:g} s") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().split("\n")[0]
        raise NotReadable(f"`{' '.join(command)}` failed: {words}")
    return done.stdout


def table(where: Namespace) -> KernelTable:
    """The chains of `table inet reef`."""
    listed = json.loads(where.run(LIST_CHAINS))
    chains = [
        item["chain"] for item in listed["nftables"] if "chain" in item and item["chain"].get("table") == "reef"
    ]
    hooks = [
        Hook(chain["name"], chain["hook"], chain.get("type", ""), chain.get("policy", "accept"))
        for chain in chains
        if "hook" in chain
    ]
    return KernelTable(
        tuple(sorted(hooks, key=lambda hook: hook.chain)),
        tuple(sorted(chain["name"] for chain in chains if "hook" not in chain)),
    )


def sysctl_names(interfaces: Sequence[str]) -> tuple[str, ...]:
    return (*SYSCTLS, *(name.format(interface) for interface in interfaces for name in OF_INTERFACE))


def sysctls(where: Namespace, names: Sequence[str]) -> dict[str, str]:
    """The values of settings, by the name that was asked for; what this kernel does not have is left out."""
    answers = where.run(("sysctl", "--ignore", *names)).splitlines()
    said = {line.partition(" =")[0].replace("/", "."): line.partition("= ")[2].strip() for line in answers}
    return {name: said[key] for name in names if (key := name.replace("/", ".")) in said}


def processes(instance: Instance, proc: Path = Path("/proc")) -> tuple[Credentials, ...]:
    """The processes that run as the users of this gateway. Everybody may read what a process may do."""
    users = {instance.identities[row.name].uid: row.name for row in PROCESSES if row.name in instance.identities}
    found: list[Credentials] = []
    for path in proc.glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            lines = path.read_text(errors="replace").splitlines()
            facts = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            uid = int(facts["Uid"].split()[0])
            if uid in users and not facts["State"].startswith(("Z", "X")):
                found.append(_credentials(users[uid], int(path.parent.name), uid, facts))
    return tuple(sorted(found, key=lambda one: (one.name, one.pid)))


def _credentials(name: str, pid: int, uid: int, facts: dict[str, str]) -> Credentials:
    held = int(facts["CapEff"], 16)
    known = {bit: capability for capability, bit in CAPABILITIES.items()}
    capabilities = tuple(known.get(bit, f"capability {bit}") for bit in range(64) if held >> bit & 1)
    return Credentials(name, pid, uid, capabilities, facts.get("NoNewPrivs") == "1", facts.get("Seccomp") == "2")


def clock() -> bool:
    """Whether the clock follows a time source, as systemd says it for every NTP client."""
    answer = _run(CLOCK).strip()
    if answer not in ("yes", "no"):
        raise NotReadable(f"`{' '.join(CLOCK)}` said {answer!r}")
    return answer == "yes"


def disk(state: Path) -> Disk:
    try:
        usage = shutil.disk_usage(state)
    except OSError as error:
        raise NotReadable(f"{state}: {error.strerror}") from error
    return Disk(usage.free, usage.total)


def spools(instance: Instance) -> tuple[SpoolState, ...]:
    """What the spools of all processes hold, and what is missing in the newest of it."""
    try:
        rows = {row.name: instance.events_of(row.name) for row in PROCESSES if row.spool}
        found = rows | view.spools(instance.events)
        return tuple(_spool(name, directory) for name, directory in found.items())
    except OSError as error:
        raise NotReadable(f"{error.filename}: {error.strerror}; the operators' group may read the spools") from error


def _spool(name: str, directory: Path) -> SpoolState:
    if not directory.is_dir():
        raise NotReadable(f"{directory}: there is no such spool")
    files = segments(directory)
    size = sum(path.stat().st_size for _, path in files)
    records, missing, following = 0, 0, None
    for _, path in files[-NEWEST_SEGMENTS:]:
        with path.open("rb") as file:
            offset = 0
            while (header := unpack_header(file.read(HEADER_BYTES))) is not None:
                if following is not None:
                    missing += max(0, header.serial - following)
                records += header.records
                following = header.serial + header.records
                offset += HEADER_BYTES + header.payload
                file.seek(offset)
    oldest = files[0][1].stat().st_mtime if files else 0.0
    return SpoolState(name, size, records, missing, oldest)


def guarded(instance: Instance) -> tuple[Path, ...]:
    """The files that only some may use: sockets, states, keys, spools."""
    paths: list[Path] = []
    for row in PROCESSES:
        if row.peers:
            paths.append(instance.socket(row.name))
        paths.append(instance.state_of(row.name))
        if row.spool:
            paths.append(instance.events_of(row.name))
    return (*paths, instance.state_of("keyd") / "signing.key", instance.baselines)


def access(paths: Sequence[Path]) -> tuple[Access, ...]:
    """Owner and mode of each path that is there."""
    found: list[Access] = []
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise NotReadable(f"{path}: {error.strerror}; run the report as root") from error
        found.append(Access(str(path), status.st_mode & 0o7777, status.st_uid, status.st_gid))
    return tuple(found)


class Box(msgspec.Struct, frozen=True):
    """What everybody at the box may read."""

    processes: Reading[tuple[Credentials, ...]]
    sysctls: Reading[dict[str, str]]
    disk: Reading[Disk]


def local(instance: Instance, proc: Path = Path("/proc")) -> Box:
    """Read without any privilege, by a process in the gateway's own network namespace."""
    at = time.time()
    found = processes(instance, proc)
    interfaces = tuple(sorted(path.name for path in (proc / "sys/net/ipv4/conf").glob("*")))
    names = sysctl_names(tuple(name for name in interfaces if name not in ("all", "default", "lo")))
    settings: dict[str, str] = {}
    for name in names:
        path = proc / "sys" / (name if "/" in name else name.replace(".", "/"))
        with contextlib.suppress(OSError):  # this kernel does not have it
            settings[name] = path.read_text().strip()
    missing = "" if found else "the processes of the gateway cannot be seen from here"
    return Box(
        Reading(PROCESS_QUERY, at, found or None, missing),
        Reading("sysctl -a", at, settings or None, "" if settings else "no setting can be read from here"),
        _disk(instance, at),
    )


def _disk(instance: Instance, at: float) -> Reading[Disk]:
    query = f"df -B1 --output=avail,size {instance.state}"
    try:
        return Reading(query, at, disk(Path(instance.state)))
    except NotReadable as error:
        return Reading(query, at, None, str(error))
