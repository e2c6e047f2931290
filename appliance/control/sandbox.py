"""Give up every privilege that the process table does not list: `enter` is called once, before the loop.

The order is the whole art: directories and sockets that need privilege are open already; limits and the
user while that is still allowed; capabilities after the user, because the change of user would take them
away; the system call filter last, because it forbids all of this.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

from appliance.control.processes import Instance, Process, Seccomp
from appliance.control.syscalls import allowed
from ctypes_ext import sandbox as kernel

# Linux capability numbers, <linux/capability.h>.
CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_ADMIN": 21,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}

# The supervisor names itself here to its children, so that they end when it does.
SUPERVISOR_VARIABLE = "REEF_SUPERVISOR"


class SandboxError(Exception):
    """The process could not give up what it must not have. It must not go on."""


def mask_of(names: tuple[str, ...]) -> int:
    """The capability bit mask of these names. Raises SandboxError for a name that is not known here."""
    mask = 0
    for name in names:
        if name not in CAPABILITIES:
            raise SandboxError(f"{name} is not a capability that sandbox.py knows; add its number to CAPABILITIES")
        mask |= 1 << CAPABILITIES[name]
    return mask


def enter(process: Process, instance: Instance) -> None:
    """Become the process's own user with only the capabilities it keeps, its limits, its files and its system calls.

    Call it with one thread running, after what needs privilege is open. It cannot be undone. Started by
    systemd the user is right already; only what remains to be given up is.
    Raises SandboxError when any step fails, also when nothing was left to give up but something stayed.
    """
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise SandboxError(f"{process.name}: {threads} threads run; enter the sandbox before starting threads")
    os.umask(0o027)  # nothing for the world; the operators' group may read the spools
    try:
        _limits(process)
        _user(process, instance)
        kernel.keep_capabilities(mask_of(process.keeps))
        kernel.no_new_privileges()
        # A second lock on the files, beside users and modes; a kernel without Landlock has the first one alone.
        kernel.write_only_beneath(["/dev/null", *(str(path) for path in instance.writable(process))])
        kernel.dumpable(False)
        _end_with_supervisor()
        _check(process, instance)
        _filter(process.seccomp)
    except OSError as error:
        raise SandboxError(f"{process.name}: cannot give up privilege: {error}") from error


def confine(seccomp: Seccomp, writable: Sequence[Path]) -> None:
    """Give up what a child of a command does not need: sockets, programs, files but `writable`, every capability.

    For work on input that comes from anywhere, as any user. Call it with one thread running. It cannot be undone.
    Raises SandboxError.
    """
    try:
        kernel.keep_capabilities(0)
        kernel.no_new_privileges()
        kernel.write_only_beneath(["/dev/null", *(str(path) for path in writable)])
        kernel.dumpable(False)
        _filter(seccomp)
    except OSError as error:
        raise SandboxError(f"cannot give up privilege: {error}") from error


def _filter(seccomp: Seccomp) -> None:
    kernel.load_seccomp(
        [
            (rule.name, [(c.index, c.mask, c.value) for c in rule.conditions])
            for rule in allowed(seccomp, os.getpid())
        ],
        refusal=errno.EPERM,
    )


def _limits(process: Process) -> None:
    def lower(kind: int, wanted: int) -> None:
        _, hard = resource.getrlimit(kind)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (value, value))

    if process.nice and os.geteuid() == 0:  # otherwise whoever started it has seen to that
        os.setpriority(os.PRIO_PROCESS, 0, process.nice)
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, process.limits.files)
    lower(resource.RLIMIT_AS, process.limits.memory << 20)
    lower(resource.RLIMIT_MEMLOCK, 64 << 20)  # packet rings and nothing larger


def _user(process: Process, instance: Instance) -> None:
    identity = instance.identity(process.name)
    if identity.uid == 0 or identity.gid == 0:
        raise SandboxError(f"{process.name}: the instance file makes it root; give it a user of its own")
    if os.getresuid() == (identity.uid,) * 3:
        return
    # Keep the permitted set over the change of user; `keep_capabilities` then cuts it to what the row says.
    kernel.keep_capabilities_over_setuid(True)
    os.setgroups(_groups(process, instance))
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    kernel.keep_capabilities_over_setuid(False)


def _groups(process: Process, instance: Instance) -> list[int]:
    return [instance.operators] if process.reads_spools else []


def _end_with_supervisor() -> None:
    """The change of user cleared the parent death signal; set it again where the supervisor started us."""
    supervisor = os.environ.get(SUPERVISOR_VARIABLE, "")
    if not supervisor:
        return
    kernel.parent_death_signal(signal.SIGKILL)
    if os.getppid() != int(supervisor):  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def _check(process: Process, instance: Instance) -> None:
    """Believe the kernel, not the calls: what is held now must be what the row says."""
    identity = instance.identity(process.name)
    if os.getresuid() != (identity.uid,) * 3 or os.getresgid() != (identity.gid,) * 3:
        raise SandboxError(f"{process.name}: runs as {os.getresuid()}/{os.getresgid()}, not as {identity}")
    others = sorted(set(os.getgroups()) - {identity.gid, *_groups(process, instance)})
    if others:
        raise SandboxError(f"{process.name}: is still in the groups {others}")
    permitted, _ = kernel.held_capabilities()
    if permitted != mask_of(process.keeps):
        raise SandboxError(f"{process.name}: holds capabilities {permitted:#x}, wanted {mask_of(process.keeps):#x}")
