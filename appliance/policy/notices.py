"""How the officers of the connections register are told of what concerns their lines (R2)."""

from __future__ import annotations

from typing import Literal

import msgspec


class NoticeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`relay` (host:port) takes mail from `sender`; `webhook` gets the same as JSON; without both nobody is told.

    What concerns a line is gathered for `every` seconds into one notice. In the quiet hours, `quiet` as minutes of
    the day in the site's time (from, to; to may be less), only alerts of the highest severity are told. `credential`
    names the file with user and password for the relay, or the secret of the webhook.
    """

    relay: str = ""
    sender: str = ""
    webhook: str = ""
    tls: Literal["starttls", "implicit"] = "starttls"
    credential: str = ""
    every: int = 900
    quiet: tuple[int, int] | None = None
    timezone: str = "UTC"


class Officer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who answers for a line: `who` as the register has it, "Name <mail@example>", and how they are called."""

    line: str
    zone: str
    who: str
    provider: str
    phone: str = ""
