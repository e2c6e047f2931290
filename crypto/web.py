"""What is fetched from strangers: how a client of the web looks at certificates, and at signatures of files."""

from __future__ import annotations

import base64
import binascii
import ssl
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TlsContext = ssl.SSLContext


def fetching_context(more: Path | None = None) -> ssl.SSLContext:
    """A client that trusts the authorities of this machine, and those in the file `more` where it is there, with TLS
    1.2 or later; names are checked. Raises OSError for a file that holds no certificates."""
    context = ssl.create_default_context()
    if more is not None and more.exists():
        context.load_verify_locations(more)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def signed_by(public: bytes, content: bytes, signature: bytes) -> bool:
    """Is `signature` (Ed25519, RFC 8032, 64 bytes) that of `content` by the holder of `public` (32 bytes)?"""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def signed_beside(key: str, content: bytes, beside: bytes) -> bool:
    """The same by a key in base64 and a signature file: 64 bytes as `openssl pkeyutl -sign` writes them, or those in
    base64."""
    try:
        public = base64.b64decode(key.strip(), validate=True)
        signature = beside if len(beside) == 64 else base64.b64decode(beside.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return signed_by(public, content, signature)
