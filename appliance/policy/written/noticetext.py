"""What a person may write of how officers are told: the section `notices`."""

from __future__ import annotations

from typing import Annotated

from appliance.policy.written import kinds
from appliance.policy.written.keys import Key, Record
from appliance.policy.written.kinds import Choice
from appliance.policy.written.text import Word


class NoticesText(Record, frozen=True, kw_only=True):
    """How the officers of `connections` are told of what concerns their lines: by mail, by a webhook, or both."""

    relay: Annotated[
        Word | None,
        Key(kinds.SYSLOG, "the mail relay and its port", example="mail.health.example:587"),
    ] = None
    sender: Annotated[
        Word | None, Key(kinds.MAIL, "who the mail is from", name="from", example="gateway@health.example")
    ] = None
    tls: Annotated[
        Word | None,
        Key(
            Choice(("starttls", "implicit")),
            "how the relay begins TLS; nothing is sent without",
            default="starttls",
        ),
    ] = None
    webhook: Annotated[
        Word | None,
        Key(kinds.HTTPS, "an address that gets each notice as JSON", example="https://noc.health.example/reef"),
    ] = None
    credential: Annotated[
        Word | None,
        Key(
            kinds.CREDENTIAL,
            "the file in the gateway's folder `credentials` with `user:password` of the relay",
            example="relay",
        ),
    ] = None
    every: Annotated[
        Word | None,
        Key(kinds.LASTING, "for how long what concerns a line is gathered into one notice", default="15 minutes"),
    ] = None
    quiet: Annotated[
        Word | None,
        Key(
            kinds.HOURS,
            "hours in which only alerts of the highest severity are told; the rest waits",
            default="none",
            example="22:00-06:00",
        ),
    ] = None
