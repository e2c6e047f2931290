"""The stores of files and packets that the taps keep by digest: what lies there, and taking one out.

They belong to a process that reads what strangers send, and whoever looks into them is root. So nothing in them is
believed: no link is followed, nothing but plain files is opened, and what is taken out is what its name says.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20


class Held(NamedTuple):
    """One file of a store: the SHA-256 of its bytes in hexadecimal, its size, when it was written (seconds, UTC)."""

    digest: str
    size: int
    written: float


class NotWhatItSays(Exception):
    """The bytes are not those that the name stands for. The text says what is there instead."""


def held(folder: Path) -> list[Held]:
    """What the store holds, oldest first; nothing where there is no store. Raises OSError."""
    found: list[Held] = []
    try:
        top = os.open(folder, _FOLDER)
    except FileNotFoundError:
        return []
    try:
        for part in range(256):
            found += _of_part(top, f"{part:02x}")
    finally:
        os.close(top)
    return sorted(found, key=lambda one: (one.written, one.digest))


def _of_part(top: int, name: str) -> Iterator[Held]:
    try:
        part = os.open(name, _FOLDER, dir_fd=top)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        with os.scandir(part) as entries:
            for entry in entries:
                if not entry.name.startswith(name) or not _DIGEST.match(entry.name):
                    continue
                with suppress(FileNotFoundError):  # its days are over
                    known = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(known.st_mode):
                        yield Held(entry.name, known.st_size, known.st_mtime)
    finally:
        os.close(part)


def save(folder: Path, digest: str, to: Path) -> int:
    """Copies one file of the store to `to`, which must not be there yet, and returns its size.

    Raises OSError, and `NotWhatItSays` when the bytes have another digest; nothing is left at `to` then.
    """
    with _opened(folder, digest) as source:
        target = os.open(to, _NEW, 0o600)
        whole = False
        try:
            size = _copied(source, target, digest)
            os.fsync(target)
            whole = True
        finally:
            os.close(target)
            if not whole:
                to.unlink()
    return size


@contextmanager
def _opened(folder: Path, digest: str) -> Iterator[int]:
    top = os.open(folder, _FOLDER)
    try:
        part = os.open(digest[:2], _FOLDER, dir_fd=top)
        try:
            source = os.open(digest, _FILE, dir_fd=part)
        finally:
            os.close(part)
    finally:
        os.close(top)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise NotWhatItSays("it is no plain file")
        yield source
    finally:
        os.close(source)


def _copied(source: int, target: int, digest: str) -> int:
    """No more than the file has now: one that grows while it is read is not what its name says anyway."""
    left = size = os.fstat(source).st_size
    found = sha256()
    while left > 0 and (piece := os.read(source, min(left, _PIECE))):
        found.update(piece)
        left -= len(piece)
        while piece:
            piece = piece[os.write(target, piece) :]
    if found.hexdigest() != digest:
        raise NotWhatItSays(f"its bytes have the SHA-256 {found.hexdigest()}")
    return size
