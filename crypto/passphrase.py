"""Passphrases as they are kept: Argon2id (RFC 9106), with the costs beside the digest.

19 MiB and two passes are OWASP's least; the process that does it has 120 MB in all, so one is done at a time.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

LEAST, MOST = 12, 256  # characters
_MEMORY = 19 * 1024  # KiB
_PASSES = 2
_SALT = 16
_DIGEST = 32


def keep(passphrase: str) -> str:
    """What is kept of it, in the PHC form (`$argon2id$…`)."""
    made = Argon2id(salt=os.urandom(_SALT), length=_DIGEST, iterations=_PASSES, lanes=1, memory_cost=_MEMORY)
    return made.derive_phc_encoded(passphrase.encode("utf-8", "surrogateescape"))


def matches(passphrase: str, kept: str) -> bool:
    """Whether this is the passphrase that `kept` was made from."""
    if len(passphrase) > MOST:
        return False
    try:
        Argon2id.verify_phc_encoded(passphrase.encode("utf-8", "surrogateescape"), kept)
    except (InvalidKey, ValueError):
        return False
    return True
