"""Who may use the console, and where it answers: what the section `console` means."""

from __future__ import annotations

import msgspec

from appliance.policy.roles import Role

PORT = 8444


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody with an account. `id` is what they log in as.

    `zones` are those whose rules they may change; () is all. `certificate` is the SHA-256 of a certificate (DER) that
    is theirs, "" for none. With `break_glass` they may apply what nobody else approved, which is told.
    """

    id: str
    name: str
    mail: str
    roles: tuple[Role, ...]
    zones: tuple[str, ...] = ()
    certificate: str = ""
    break_glass: bool = False


class Oidc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenID Connect provider that says who people are: `claim` of its token is their `mail` or their `id`."""

    issuer: str
    client: str
    claim: str = "email"


class ConsoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`listen` are zones and addresses; without one the console answers nowhere. `name` is what people type.

    `approvals` others must agree before a change runs. A session ends `idle` seconds after it was used last, and
    `session` seconds after it began.
    """

    listen: tuple[str, ...] = ()
    port: int = PORT
    name: str = ""
    approvals: int = 0
    idle: int = 1800
    session: int = 43_200
    oidc: Oidc | None = None
    people: tuple[Person, ...] = ()
