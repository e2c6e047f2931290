"""What was begun and must come back: challenges of log-ins, secrets of enrolments, states of OIDC.

A ticket carries what it stands for under a MAC, so that strangers who begin a million log-ins fill no memory. It is
for one purpose and one browser (a cookie's value), ends soon, and is good once: those that were taken are remembered
until they would have ended, and only who is believed takes one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import struct
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

SECONDS = 300.0
_HEAD = struct.Struct(">16sQ")  # what makes it unlike all others, milliseconds since the epoch at which it ends
_MAC = 32
_MOST_TAKEN = 65_536
_MOST = 4096  # letters


class Tickets:
    """`clock` gives seconds since the epoch. The key lives as long as this: a restart ends what was begun."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._key = os.urandom(32)
        self._clock = clock
        self._taken: OrderedDict[bytes, float] = OrderedDict()

    def make(self, purpose: str, browser: str, content: bytes = b"", seconds: float = SECONDS) -> bytes:
        ends = int((self._clock() + seconds) * 1000)
        head = _HEAD.pack(os.urandom(16), ends)
        return head + content + self._mac(purpose, browser, head + content)

    def read(self, ticket: bytes, purpose: str, browser: str) -> bytes | None:
        """Its content; None for one that was not made here for this, has ended, or was taken."""
        if not _HEAD.size + _MAC <= len(ticket) <= _MOST:
            return None
        body, mac = ticket[:-_MAC], ticket[-_MAC:]
        if not hmac.compare_digest(mac, self._mac(purpose, browser, body)):
            return None
        one, ends = _HEAD.unpack_from(body)
        if ends <= self._clock() * 1000 or one in self._taken:
            return None
        return body[_HEAD.size :]

    def take(self, ticket: bytes, purpose: str, browser: str) -> bytes | None:
        """`read`, and never again."""
        content = self.read(ticket, purpose, browser)
        if content is not None:
            one, ends = _HEAD.unpack_from(ticket)
            self._taken[one] = ends / 1000
            self._forget()
        return content

    def _forget(self) -> None:
        now = self._clock()
        while self._taken:
            one, ends = next(iter(self._taken.items()))
            if ends > now and len(self._taken) <= _MOST_TAKEN:
                break
            del self._taken[one]

    def _mac(self, purpose: str, browser: str, body: bytes) -> bytes:
        said = [purpose.encode(), browser.encode("utf-8", "surrogateescape"), body]
        framed = b"".join(struct.pack(">I", len(one)) + one for one in said)
        return hmac.digest(self._key, framed, sha256)


def written(ticket: bytes) -> str:
    """As forms and URLs carry it."""
    return base64.urlsafe_b64encode(ticket).decode().rstrip("=")


def read(text: str) -> bytes:
    """b"" for what is none."""
    if len(text) > _MOST:
        return b""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
