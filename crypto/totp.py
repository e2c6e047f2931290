"""One-time codes of an authenticator app: TOTP (RFC 6238), SHA-1, six digits, thirty seconds, as all apps know it."""

from __future__ import annotations

import base64
import binascii
import hmac
import os

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP = 30  # seconds
DIGITS = 6
_SECRET = 20  # bytes, RFC 4226 section 4
_AROUND = (-1, 0, 1)  # steps by which clocks may differ


def secret() -> str:
    """A new one, in base32 as people type it."""
    return base64.b32encode(os.urandom(_SECRET)).decode()


def uri(secret: str, account: str, issuer: str) -> str:
    """What an app takes it in by (`otpauth://`)."""
    return _of(secret).get_provisioning_uri(account, issuer)


def matches(secret: str, code: str, seconds: float, last: int = -1) -> int:
    """The step that `code` is of at `seconds` since the epoch; -1 where it is of none, or of one that is not behind
    `last`: a code is good once."""
    given = code.replace(" ", "")
    if len(given) != DIGITS or not (given.isascii() and given.isdecimal()):
        return -1
    app, found = _of(secret), -1
    for around in _AROUND:
        step = int(seconds // STEP) + around
        if step >= 0 and hmac.compare_digest(app.generate(step * STEP), given.encode()) and step > last:
            found = max(found, step)
    return found


def is_secret(text: str) -> bool:
    try:
        return len(base64.b32decode(text)) == _SECRET
    except (binascii.Error, ValueError):
        return False


def _of(secret: str) -> TOTP:
    # SHA-1 within HMAC is what RFC 4226 says, and unbroken there.
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP)  # noqa: S303
