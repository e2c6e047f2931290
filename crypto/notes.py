"""Signatures of the records: checkpoints of the audit trail as signed notes, files as OpenSSH signs them.

The key is one of its own, and what it signs is always composed here, from parts that were checked: the text of a
checkpoint (C2SP tlog-checkpoint), or the preamble "SSHSIG" with a digest (OpenSSH's PROTOCOL.sshsig). Neither can be
the other, nor what the key of generations signs.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

HASH_BYTES = 32
SEAL_NAMESPACE = "reef-evidence"
_SEAL_HASH = "sha512"
_SEAL_BYTES = 64
_KEY_KIND = b"ssh-ed25519"
_MAGIC = b"SSHSIG"
_ORIGIN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]{0,200}")
_LINE = 70


def signed_by(public: bytes, content: bytes, signature: bytes) -> bool:
    """Is `signature` (Ed25519, RFC 8032, 64 bytes) that of `content` by the holder of `public` (32 bytes)?"""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def origin_of(public: bytes) -> str:
    """The name of the log whose checkpoints this key signs: one that no other log has, whatever its site."""
    return f"reef/{hashlib.sha256(public).hexdigest()[:16]}"


def sign_checkpoint(key: Ed25519PrivateKey, origin: str, size: int, root: bytes) -> bytes:
    """The signature over the text of that checkpoint. Raises ValueError for what is none."""
    if not _ORIGIN.fullmatch(origin) or not 0 <= size < 1 << 63 or len(root) != HASH_BYTES:
        raise ValueError("a checkpoint has the name of its log, a number of entries and a root of 32 bytes")
    return key.sign(f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode())


# --- seals ------------------------------------------------------------------------------------------------


def seal_file(key: Ed25519PrivateKey, digest: bytes) -> str:
    """The signature of a file with this SHA-512, as `ssh-keygen -Y verify -n reef-evidence` takes it."""
    if len(digest) != _SEAL_BYTES:
        raise ValueError("a seal is over the SHA-512 of a file, 64 bytes")
    public = key.public_key().public_bytes_raw()
    signature = _string(_KEY_KIND) + _string(key.sign(_sealed(digest)))
    blob = (
        _MAGIC
        + struct.pack(">I", 1)
        + _string(_public_blob(public))
        + _string(SEAL_NAMESPACE.encode())
        + _string(b"")
        + _string(_SEAL_HASH.encode())
        + _string(signature)
    )
    encoded = base64.b64encode(blob).decode()
    lines = [encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def sealed_by(public: bytes, digest: bytes, seal: str) -> bool:
    """Is `seal` that of the file with this SHA-512 by the holder of `public`?"""
    lines = seal.strip().splitlines()
    if len(lines) < 3 or "BEGIN SSH SIGNATURE" not in lines[0] or "END SSH SIGNATURE" not in lines[-1]:
        return False
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
        if blob[:6] != _MAGIC or blob[6:10] != struct.pack(">I", 1):
            return False
        given, rest = _read(blob[10:])
        namespace, rest = _read(rest)
        _, rest = _read(rest)
        hashed, rest = _read(rest)
        kind, inner = _read(_read(rest)[0])
        signature, _ = _read(inner)
    except (ValueError, struct.error):
        return False
    if (given, namespace, hashed, kind) != (
        _public_blob(public),
        SEAL_NAMESPACE.encode(),
        _SEAL_HASH.encode(),
        _KEY_KIND,
    ):
        return False
    return signed_by(public, _sealed(digest), signature)


def ssh_public(public: bytes, comment: str) -> str:
    """The public key as OpenSSH writes it."""
    return f"ssh-ed25519 {base64.b64encode(_public_blob(public)).decode()} {comment}"


def pem_public(public: bytes) -> str:
    """The public key as openssl reads it (SubjectPublicKeyInfo, RFC 8410)."""
    der = bytes.fromhex("302a300506032b6570032100") + public
    return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"


def _sealed(digest: bytes) -> bytes:
    return _MAGIC + _string(SEAL_NAMESPACE.encode()) + _string(b"") + _string(_SEAL_HASH.encode()) + _string(digest)


def _public_blob(public: bytes) -> bytes:
    return _string(_KEY_KIND) + _string(public)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _read(data: bytes) -> tuple[bytes, bytes]:
    size = struct.unpack_from(">I", data)[0]
    if len(data) < 4 + size:
        raise ValueError("it ends within a string")
    return data[4 : 4 + size], data[4 + size :]
