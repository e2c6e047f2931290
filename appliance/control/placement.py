"""Where a process runs: its network namespace, and a view of the disk in which it can read its own code.

Used between fork and exec. A daemon gives up root soon after its start; a checkout below a directory that
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
    """`netns` is the file of a network namespace ("" for the one we are in); `roots` the code it must read."""

    netns: str = ""
    roots: tuple[str, ...] = ()


def here(netns: Path | None = None) -> Placement:
    """The placement for this code and this interpreter."""
    prefix = Path(sys.prefix)
    roots = [PROJECT]
    if PROJECT not in prefix.parents and sys.prefix != sys.base_prefix:
        roots.append(prefix)
    return Placement(str(netns) if netns else "", tuple(str(root) for root in roots))


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
    if not any(closed.values()):
        return
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
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
