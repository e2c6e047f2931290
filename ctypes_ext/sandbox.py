"""Giving up privilege, and entering namespaces: typed calls over `_sandbox`.

Each raises OSError when the kernel refuses.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from ctypes_ext._sandbox import ffi, lib

# <sched.h> and <sys/mount.h>
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MNT_DETACH = 0x2


def _checked(status: int, what: str) -> None:
    if status < 0:
        raise OSError(-status, f"{what}: {os.strerror(-status)}")


def load_seccomp(rules: Sequence[tuple[str, Sequence[tuple[int, int, int]]]], refusal: int) -> None:
    """Allow these system calls, for every thread, for good; any other fails with errno `refusal`.

    A rule is (name, conditions); a condition is (argument index, mask, value): argument & mask == value.
    At most three conditions; several rules of one name are alternatives.
    """
    names = [ffi.new("char[]", name.encode()) for name, _ in rules]
    table = ffi.new("struct reef_syscall_rule[]", len(rules))
    for row, text, (_, conditions) in zip(table, names, rules, strict=True):
        row.name = text
        row.arguments = len(conditions)
        for slot, (index, mask, value) in enumerate(conditions):
            row.argument[slot].index = index
            row.argument[slot].mask = mask
            row.argument[slot].value = value
    _checked(lib.reef_seccomp_load(table, len(rules), refusal), "seccomp filter")


def keep_capabilities(keep: int) -> None:
    """Hold exactly the capabilities of the bit mask `keep`: permitted, effective and, where allowed, bounding."""
    _checked(lib.reef_capabilities_keep(keep), "capabilities")


def held_capabilities() -> tuple[int, int]:
    """Bit masks: (permitted, bounding)."""
    permitted = ffi.new("uint64_t *")
    bounding = ffi.new("uint64_t *")
    _checked(lib.reef_capabilities_held(permitted, bounding), "capabilities")
    return int(permitted[0]), int(bounding[0])


def no_new_privileges() -> None:
    _checked(lib.reef_no_new_privileges(), "no_new_privs")


def keep_capabilities_over_setuid(on: bool) -> None:
    _checked(lib.reef_keep_capabilities_over_setuid(int(on)), "keepcaps")


def write_only_beneath(paths: Sequence[str]) -> bool:
    """From now on nothing outside of these files and directories can be changed, whatever their modes say.

    Needs `no_new_privileges`. Returns False where this kernel has no Landlock, or it is switched off.
    """
    kept = [ffi.new("char[]", path.encode()) for path in paths]
    status = lib.reef_landlock_writes(ffi.new("const char *[]", kept), len(kept))
    if status in (-errno.ENOSYS, -errno.EOPNOTSUPP):
        return False
    _checked(status, "landlock")
    return True


def dumpable(on: bool) -> None:
    """Off: no core file, no ptrace and no /proc/<pid>/mem for others of the same user."""
    _checked(lib.reef_dumpable(int(on)), "dumpable")


def parent_death_signal(signal: int) -> None:
    """The kernel sends `signal` when the thread that started this process ends. A change of user clears it."""
    _checked(lib.reef_parent_death_signal(signal), "parent death signal")


def setns(fd: int, kind: int) -> None:
    _checked(lib.reef_setns(fd, kind), "setns")


def unshare(flags: int) -> None:
    _checked(lib.reef_unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    _checked(
        lib.reef_mount(
            source.encode(),
            target.encode(),
            kind.encode() if kind else ffi.NULL,
            flags,
            data.encode() if data else ffi.NULL,
        ),
        f"mount {source} on {target}",
    )


def umount(target: str, flags: int = 0) -> None:
    _checked(lib.reef_umount(target.encode(), flags), f"umount {target}")
