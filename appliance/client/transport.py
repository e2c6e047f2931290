"""One request of the API and its answer, over HTTPS with a token."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from crypto.web import fetching_context

PORT = 8444
MOST = 64 << 20  # bytes of an answer
_PATIENCE = 60.0  # seconds


class Finding(msgspec.Struct, frozen=True):
    """What is wrong in a text, and where."""

    file: str
    line: int
    column: int
    message: str
    remedy: str = ""
    severity: str = "error"


class Refusal(msgspec.Struct, frozen=True):
    """A problem (RFC 9457) as the console tells it. `code` is stable, `detail` is for people."""

    title: str = ""
    status: int = 0
    detail: str = ""
    code: str = ""
    findings: tuple[Finding, ...] = ()


class RefusedError(Exception):
    """The gateway refused; nothing changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail or refusal.title)
        self.refusal = refusal


class Unreachable(Exception):
    """No answer came, or none that can be understood; the text says why."""


class Got(msgspec.Struct, frozen=True):
    """An answer that was no refusal. Names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    data: bytes


class Transport:
    """A gateway at `url` (https, its port where it is another than the console's own), asked with `token`.

    `trusted` is a file of certificates to believe besides those of this machine. Every request is a connection of its
    own: who confirms a change must come by one that began after it. Raises `ValueError` for a url that is none,
    OSError for a file that holds no certificates.
    """

    def __init__(self, url: str, token: str, trusted: Path | None = None, patience: float = _PATIENCE) -> None:
        found = urlsplit(url)
        if found.scheme != "https" or not found.hostname or found.path not in ("", "/") or found.query:
            raise ValueError(f"{url!r} is not the address of a gateway: write https://HOST or https://HOST:PORT")
        self._host = found.hostname
        self._port = found.port or PORT
        self._token = token
        self._context = fetching_context(trusted)
        self._patience = patience

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = 0.0,
    ) -> Got:
        """Raises `RefusedError`, `Unreachable`."""
        sent = {"Authorization": f"Bearer {self._token}", "Connection": "close", **(headers or {})}
        line = http.client.HTTPSConnection(
            self._host, self._port, timeout=patience or self._patience, context=self._context
        )
        try:
            line.request(method, path, body, sent)
            answer = line.getresponse()
            data = answer.read(MOST + 1)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self._host} port {self._port}: {error or type(error).__name__}") from error
        finally:
            line.close()
        if len(data) > MOST:
            raise Unreachable(f"{self._host} answered more than {MOST} bytes")
        if answer.status >= http.client.BAD_REQUEST:
            raise RefusedError(_refusal(answer.status, answer.reason, data))
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, data)


def _refusal(status: int, reason: str, data: bytes) -> Refusal:
    try:
        found = msgspec.json.decode(data, type=Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refusal(reason, status, f"{status} {reason}", "unknown")
    return msgspec.structs.replace(found, status=status)
