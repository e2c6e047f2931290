"""`reef --gateway https://HOST VERB`: the verb runs here and asks the console of that gateway, with a token.

The token is in $REEF_TOKEN or in a file that only its owner can read; certificates to believe besides those of this
machine are in $REEF_CA or in a file beside it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.client.transport import RefusedError, Transport, Unreachable
from appliance.commands.failure import AWAY, FORBIDDEN, USAGE, Failure
from appliance.commands.gateway import SCHEME
from appliance.control.messages import gateway as messages

TOKEN_VARIABLE = "REEF_TOKEN"  # noqa: S105 - a name
AUTHORITIES_VARIABLE = "REEF_CA"
_MESSAGE = {"Content-Type": "application/vnd.reef.message+json"}

Answer = TypeVar("Answer", bound=msgspec.Struct)


def transport(url: str, patience: float) -> Transport:
    """The way to that gateway. Raises `Failure`."""
    place = url.removeprefix(SCHEME).strip("/")
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "reef"
    own = os.environ.get(AUTHORITIES_VARIABLE)
    trusted = Path(own) if own else folder / f"{place}.pem"
    try:
        return Transport(url, _token(folder / f"{place}.token"), trusted, patience)
    except ValueError as error:
        raise Failure(str(error), code=USAGE, name="usage") from error
    except OSError as error:
        raise Failure(f"{trusted}: {error}", "name a file of certificates in PEM", name="unreadable") from error


def _token(path: Path) -> str:
    said = os.environ.get(TOKEN_VARIABLE, "")
    if said:
        return said
    try:
        if path.stat().st_mode & 0o077:
            raise Failure(f"{path} can be read by others", f"chmod 600 {path}", name="unsafe")
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(
            f"no token for this gateway: {path}: {error}",
            f"make one in the console, and put it into {path} or {TOKEN_VARIABLE}",
            code=FORBIDDEN, name="no-token",
        ) from error  # fmt: skip


def ask(way: Transport, request: messages.Request, expected: type[Answer], process: str, patience: float) -> Answer:
    """The answer of a process of that gateway. Raises `RefusedError`, and `Failure` where none came."""
    body = msgspec.json.encode(request)
    try:
        got = way.ask("POST", f"/api/v1/ask/{process}", body=body, headers=_MESSAGE, patience=patience)
        return msgspec.json.decode(got.data, type=expected)
    except Unreachable as error:
        raise Failure(f"the gateway cannot be reached: {error}", code=AWAY, name="away") from error
    except msgspec.DecodeError as error:
        words = f"the gateway answered what this version does not understand: {error}"
        raise Failure(words, "use the reef of that gateway's version", code=AWAY, name="version") from error


__all__ = ["RefusedError", "ask", "transport"]
