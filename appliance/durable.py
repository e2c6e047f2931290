"""Files that are replaced whole: after a crash or a power cut there is the old content or the new, never a piece."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def replace(path: Path, *parts: bytes | memoryview, mode: int | None = None, durable: bool = True) -> None:
    """Write `parts` beside `path`, then rename over it.

    `mode` is the file's mode whatever the umask says; None leaves it to the umask. With `durable` the content is on
    disk before the new name is, and the name before this returns; without, a power cut may take the newest content
    back, and on some file systems all of it: that is for what can be made anew. The caller is the path's one writer.
    Raises `OSError` (a full disk among others); then the old file is as it was and nothing lies beside it.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    # What lies there is left of a crash, or was put there for root to write through: it is not written to.
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    try:
        descriptor = os.open(temporary, _FLAGS, 0o666 if mode is None else mode)
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            for part in parts:
                write_all(descriptor, part)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        sync(path.parent)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """`os.write` until everything is written: one call may take less than it was given."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync(path: Path) -> None:
    """Have a file's content, or a directory's names, on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
