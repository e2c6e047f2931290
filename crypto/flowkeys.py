"""The keys of the flow log, one for each day, and what they close (AES-256-GCM, NIST SP 800-38D).

The addresses of a block are closed under the key of the day it was written. To destroy a day's key is to destroy the
addresses of that day wherever copies of its blocks lie (R30).
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from appliance.durable import replace, sync

KEY_BYTES = 32
MOST_DAYS = 400  # a key is destroyed after that, whoever forgot to ask for it
_NONCE_BYTES = 12
_SUFFIX = ".flowkey"


class SealBroken(Exception):
    """What was to be opened was closed by another key, or was changed."""


def seal(key: bytes, data: bytes, beside: bytes) -> bytes:
    """Close `data`; it opens only beside the same `beside`. Nonces are random: a day has few blocks."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, beside)


def unseal(key: bytes, closed: bytes, beside: bytes) -> bytes:
    """Raises `SealBroken`."""
    try:
        return AESGCM(key).decrypt(closed[:_NONCE_BYTES], closed[_NONCE_BYTES:], beside)
    except (InvalidTag, ValueError) as error:
        raise SealBroken("the key does not fit, or the block was changed") from error


class FlowKeys:
    """The keys in a directory that only its process can enter. Days count from the epoch, UTC."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)

    def days(self) -> list[int]:
        return sorted(int(path.stem) for path in self._directory.glob(f"*{_SUFFIX}") if path.stem.isdigit())

    def get(self, day: int) -> bytes | None:
        """The key of a day; None when it was never made, or destroyed."""
        try:
            key = self._path(day).read_bytes()
        except FileNotFoundError:
            return None
        return key if len(key) == KEY_BYTES else None

    def make(self, day: int) -> bytes:
        """The key of a day, made when it is not there. Raises OSError."""
        key = self.get(day)
        if key is None:
            self.forget(day - MOST_DAYS)
            key = os.urandom(KEY_BYTES)
            replace(self._path(day), key, mode=0o600)
        return key

    def forget(self, before: int) -> int:
        """Destroy the keys of all days before that one; how many those were. Raises OSError.

        What a file system overwrites in place is overwritten; flash and copy-on-write disks may keep the old bytes
        until they are used again, which an encrypted disk below makes good.
        """
        old = [day for day in self.days() if day < before]
        for day in old:
            path = self._path(day)
            descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, bytes(KEY_BYTES), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            path.unlink()
        if old:
            sync(self._directory)
        return len(old)

    def _path(self, day: int) -> Path:
        return self._directory / f"{day}{_SUFFIX}"
