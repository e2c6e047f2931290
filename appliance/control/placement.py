"""Where a process runs: its network namespace, and a view of the disk in which it can read its own code.

Used between fork and exec. A network namespace alone would still have the machine's accounts: a lab's
gateway has its own. A daemon gives up root soon after its start; a checkout below a directory that
only root may enter (a clone in /root) would then be closed to it. In a mount namespace of its own that
directory is replaced by an empty one which holds nothing but the code.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import msgspec

from ctypes_ext import sandbox as kernel

PROJECT = Path(__file__).resolve().parents[2]


class Placement(msgspec.Struct, frozen=True):
    """`netns` is the file of a network namespace ("" for the one we are in); `roots` the code it must read.

    `binds` are (what, where): files that the process sees in the place of others.
    """

    netns: str = ""
    roots: tuple[str, ...] = ()
    binds: tuple[tuple[str, str], ...] = ()


ACCOUNT_FILES = ("passwd", "group", "shadow")


def here(netns: Path | None = None, accounts: Path | None = None) -> Placement:
    """The placement for this code and this interpreter.

    `accounts` is a folder with a passwd, group and shadow that the process takes for the machine's.
    """
    roots = [PROJECT]
    for prefix in (Path(sys.prefix), Path(sys.base_prefix)):  # the environment, and the interpreter it is made from
        if not any(prefix == root or root in prefix.parents for root in roots):
            roots.append(prefix)
    binds = tuple((str(accounts / name), f"/etc/{name}") for name in ACCOUNT_FILES) if accounts else ()
    return Placement(str(netns) if netns else "", tuple(str(root) for root in roots), binds)


def closed_ancestor(path: Path) -> Path | None:
    """The highest directory on the way to `path` that not everybody may pass."""
    for directory in (*reversed(path.parents), path):
        if not directory.stat().st_mode & stat.S_IXOTH:
            return directory
    return None


def enter_placement(placement: Placement) -> None:
    """Go there. Raises OSError."""
    if placement.netns:
        fd = os.open(placement.netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            kernel.setns(fd, kernel.CLONE_NEWNET)
        finally:
            os.close(fd)
    closed = {root: closed_ancestor(Path(root)) for root in placement.roots}
    if not any(closed.values()) and not placement.binds:
        return
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    for what, where in placement.binds:
        kernel.mount(what, where, flags=kernel.MS_BIND)
    opened = {root: os.open(root, os.O_PATH | os.O_DIRECTORY) for root, ancestor in closed.items() if ancestor}
    for ancestor in sorted({str(ancestor) for ancestor in closed.values() if ancestor}):
        kernel.mount("reef", ancestor, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=64k")
    for root, fd in opened.items():
        Path(root).mkdir(parents=True, exist_ok=True)
        for directory in (Path(root), *Path(root).parents):
            if directory == closed[root]:
                break
            directory.chmod(0o755)
        kernel.mount(f"/proc/self/fd/{fd}", root, flags=kernel.MS_BIND | kernel.MS_REC)
        os.close(fd)
