"""The messages to keyd about generations; those about the flow log are in `messages_impact.py`."""

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
