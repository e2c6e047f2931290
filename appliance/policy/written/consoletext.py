"""What a person may write of the console: the section `console`. What it means is in `console.py`."""

from __future__ import annotations

from typing import Annotated, get_args

from appliance.policy import limits
from appliance.policy.console import PORT
from appliance.policy.roles import Role
from appliance.policy.written import kinds
from appliance.policy.written.keys import Key, Record, Words
from appliance.policy.written.kinds import Choice, Flag, Many, Named, Number, Part
from appliance.policy.written.text import Word


class ConsoleOidcText(Record, frozen=True, kw_only=True):
    """A provider of OpenID Connect that people log in with."""

    issuer: Annotated[
        Word,
        Key(kinds.ISSUER, "the issuer, exactly as the provider writes it", example="https://login.health.example"),
    ]
    client: Annotated[Word, Key(kinds.CLIENT, "the client's id there", example="reef")]
    claim: Annotated[
        Word | None,
        Key(
            Choice(("email", "preferred_username", "sub")),
            "what says who somebody is: `email` is their `mail` here, the others their id",
            default="email",
        ),
    ] = None


class ConsolePersonText(Record, frozen=True, kw_only=True):
    """Somebody who may use the console, by the id they log in with."""

    full_name: Annotated[Word, Key(kinds.TEXT, "the name", name="name", example="Amara Diaz")]
    mail: Annotated[Word, Key(kinds.MAIL, "the mail address", example="amara@health.example")]
    roles: Annotated[
        Words,
        Key(
            Many(Choice(get_args(Role))),
            "what they may do",
            example="[editor]",
        ),
    ]
    zones: Annotated[
        Words,
        Key(
            Many(kinds.ZONE_NAME),
            "they may propose changes of rules between these zones only",
            default="all",
            example="[lan, dmz]",
        ),
    ] = ()
    certificate: Annotated[
        Word | None, Key(kinds.SHA256, "the SHA-256 fingerprint of a certificate that is theirs")
    ] = None
    break_glass: Annotated[
        Word | None,
        Key(Flag(), "they may apply what nobody approved; that is an alert, and goes on record", default="no"),
    ] = None


class ConsoleText(Record, frozen=True, kw_only=True):
    """Who works at the gateway with a browser, where it answers, and how many must agree before a change runs."""

    listen: Annotated[
        Words,
        Key(
            Many(kinds.LISTEN),
            "where the console answers: zones (the gateway's own addresses there) or addresses; a rule to `gateway` "
            "with the service `reef-console` must allow it",
            default="nowhere",
            example="[management]",
        ),
    ] = ()
    port: Annotated[Word | None, Key(Number(1024, 65535), "the port it answers at", default=str(PORT))] = None
    host: Annotated[
        Word | None,
        Key(
            kinds.HOST_NAME,
            "what people type; passkeys are bound to it, and the certificate carries it",
            name="name",
            example="gateway.health.example",
        ),
    ] = None
    approvals: Annotated[
        Word | None,
        Key(
            Number(0, limits.MAX_APPROVALS),
            "how many others must approve a change before it runs, whoever applies it and wherever",
            default="0",
            example="1",
        ),
    ] = None
    idle: Annotated[
        Word | None,
        Key(kinds.LASTING, "a session ends when it is not used for so long", default="30 minutes", example="1 hour"),
    ] = None
    session: Annotated[
        Word | None, Key(kinds.LASTING, "and at the latest after that", default="12 hours", example="8 hours")
    ] = None
    oidc: Annotated[
        ConsoleOidcText | None, Key(Part(ConsoleOidcText), "who says who people are, besides their passkeys")
    ] = None
    people: Annotated[
        tuple[ConsolePersonText, ...],
        Key(Named(kinds.PERSON_ID, Part(ConsolePersonText)), "who has an account", default="nobody"),
    ] = ()
