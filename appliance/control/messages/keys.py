"""The messages to keyd about generations and records; those about the flow log are in `impact.py`."""

from __future__ import annotations

import msgspec


class Sign(msgspec.Struct, frozen=True, tag=True):
    """Sign a generation by the digest of its bundle (SHA-256, hexadecimal)."""

    digest: str


class Signed(msgspec.Struct, frozen=True, tag=True):
    signature: bytes  # Ed25519, 64 bytes


class PublicKey(msgspec.Struct, frozen=True, tag=True):
    pass


class PublicKeyIs(msgspec.Struct, frozen=True, tag=True):
    key: bytes  # Ed25519, raw 32 bytes


class SignCheckpoint(msgspec.Struct, frozen=True, tag=True):
    """Sign that the audit trail has `size` entries whose tree has this root (32 bytes)."""

    size: int
    root: bytes


class Seal(msgspec.Struct, frozen=True, tag=True):
    """Sign a file of evidence by its SHA-512 (64 bytes), as OpenSSH signs files."""

    digest: bytes


class Sealed(msgspec.Struct, frozen=True, tag=True):
    signature: str  # as `ssh-keygen -Y verify` takes it


class RecordsKey(msgspec.Struct, frozen=True, tag=True):
    """The key of checkpoints and seals."""


class RecordsKeyIs(msgspec.Struct, frozen=True, tag=True):
    """`origin` is the name of the log in its checkpoints."""

    key: bytes  # Ed25519, raw 32 bytes
    origin: str
