"""What the command line asks the console: who may come in, who is in, and the way back for who lost theirs."""

from __future__ import annotations

import msgspec


class Invite(msgspec.Struct, frozen=True, tag=True):
    """A link by which a person of the policy makes a credential. With `reset` what they have is good no more."""

    person: str
    reset: bool = False


class Invited(msgspec.Struct, frozen=True, tag=True):
    """`link` is good once until `until`, seconds since the epoch. Where it is "" an approver must agree in the
    console until then, and is told it."""

    person: str
    link: str
    until: float


class ConsolePeople(msgspec.Struct, frozen=True, tag=True):
    pass


class ConsolePerson(msgspec.Struct, frozen=True):
    """Somebody whom the policy names, and what they come in with. `codes` of break-glass are left; `invited` is until
    when a link is good, 0 without one."""

    id: str
    name: str
    roles: tuple[str, ...]
    passkeys: int
    passphrase: bool
    certificate: bool
    codes: int
    invited: float
    sessions: int
    tokens: int


class ConsolePeopleAre(msgspec.Struct, frozen=True, tag=True):
    people: tuple[ConsolePerson, ...]


class ConsoleSessions(msgspec.Struct, frozen=True, tag=True):
    pass


class ConsoleSession(msgspec.Struct, frozen=True):
    """Times are seconds since the epoch. `how` they logged in: passkey, passphrase, certificate, provider,
    break-glass."""

    id: str
    person: str
    how: str
    began: float
    seen: float
    address: str
    device: str


class ConsoleSessionList(msgspec.Struct, frozen=True, tag=True):
    sessions: tuple[ConsoleSession, ...]


class RevokeSessions(msgspec.Struct, frozen=True, tag=True):
    """End all sessions of a person, or the one with this id; with `tokens` their tokens too."""

    person: str
    id: str = ""
    tokens: bool = False


class SessionsRevoked(msgspec.Struct, frozen=True, tag=True):
    sessions: int
    tokens: int


class BreakGlass(msgspec.Struct, frozen=True, tag=True):
    """New one-time codes for a person whom the policy lets break the glass; the old ones are good no more."""

    person: str


class GlassCodes(msgspec.Struct, frozen=True, tag=True):
    person: str
    codes: tuple[str, ...]
