"""Secrets that somebody else keeps: cookies, tokens, links, codes. Here only their digests are."""

from __future__ import annotations

import base64
import re
import secrets
from hashlib import sha256

TOKEN = "reef_"  # noqa: S105 - what tokens begin with, so that scanners of repositories know one
_BYTES = 32
_CODE_BYTES = 10  # 80 bits: 16 letters of base32, which a person can type from paper
_SECRET = re.compile(r"(?:reef_)?[A-Za-z0-9_-]{43}")
_CODE = re.compile(r"[A-Z2-7]{16}")


def new(prefix: str = "") -> str:
    """256 bits, in letters that a URL, a cookie and a header take as they are."""
    return prefix + secrets.token_urlsafe(_BYTES)


def new_id() -> str:
    """What a session or a token is listed and revoked by; it opens nothing."""
    return secrets.token_hex(8)


def new_code() -> str:
    """A code for paper: `ABCD-EFGH-IJKL-MNOP`."""
    letters = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def code_of(typed: str) -> str:
    """The code that a person typed, as it was given out; "" where it is none."""
    letters = re.sub(r"[\s-]", "", typed[:64]).upper().replace("0", "O").replace("1", "I").replace("8", "B")
    return "-".join(letters[at : at + 4] for at in range(0, 16, 4)) if _CODE.fullmatch(letters) else ""


def is_secret(text: str, prefix: str = "") -> bool:
    return text.startswith(prefix) and _SECRET.fullmatch(text) is not None


def digest(secret: str) -> str:
    """What is kept of a secret. It has the bits of a key, so one pass of a hash is enough; whoever looks it up by its
    digest learns nothing of others from how long that takes."""
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
