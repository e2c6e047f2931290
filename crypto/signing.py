"""Ed25519 signatures of generations (RFC 8032): the private key as a file, digests in, signatures out."""

from __future__ import annotations

import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from appliance.durable import replace

# Says what the signature is of, so that it can never pass for one of something else.
_DOMAIN = b"reef generation 1\0"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class KeyFileError(Exception):
    """The key file cannot be used; says why and what would be right."""


class SigningKey:
    """A private key in memory. Never printed, never pickled."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def public(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def private(self) -> Ed25519PrivateKey:
        """For what this package signs with it."""
        return self._key

    def sign(self, digest: str) -> bytes:
        """Sign a bundle's digest (64 hexadecimal digits). Raises ValueError for anything else."""
        return self._key.sign(_message(digest))


def load_or_create(path: Path) -> SigningKey:
    """The key in `path` (PEM, mode 0600); made at the first start. Raises `KeyFileError`."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _create(path)
    if mode & 0o077:
        raise KeyFileError(f"{path} is open to others (mode {mode & 0o777:04o}); chmod 0600 it, replace the key")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise KeyFileError(f"{path} holds no private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a {type(key).__name__}; an Ed25519 key is needed")
    return SigningKey(key)


def _create(path: Path) -> SigningKey:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace(path, pem, mode=0o600)
    return SigningKey(key)


def verify(public: bytes, digest: str, signature: bytes) -> bool:
    """Whether `signature` is that of the holder of `public` (raw, 32 bytes) under `digest`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _message(digest))
    except (InvalidSignature, ValueError):
        return False
    return True


def _message(digest: str) -> bytes:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest[:80]!r} is no SHA-256 digest: 64 hexadecimal digits")
    return _DOMAIN + digest.encode()
