"""What the command line asks alertd about pseudonyms."""

from __future__ import annotations

import msgspec


class Unmask(msgspec.Struct, frozen=True, tag=True):
    """Whom a pseudonym stands for; two persons must ask."""

    pseudonym: str
    why: str


class Unmasked(msgspec.Struct, frozen=True, tag=True):
    """`second` and `address` are "" while another person must still agree, which they may for `seconds`; afterwards
    it is how long the two may ask again. `key` is the number of the key that the pseudonym was made under."""

    pseudonym: str
    first: str
    second: str
    address: str
    key: int
    seconds: int


class FindSubject(msgspec.Struct, frozen=True, tag=True):
    """Where something of an address lies, under its pseudonyms too; who asked is audited."""

    address: str
    why: str


class Held(msgspec.Struct, frozen=True):
    """`count` of `what`. Moments are seconds since the epoch, 0 where they are not known."""

    what: str
    count: int
    first: float = 0.0
    last: float = 0.0


class SubjectFound(msgspec.Struct, frozen=True, tag=True):
    """`keys`: under how many keys pseudonyms were looked for."""

    address: str
    keys: int
    held: tuple[Held, ...]


class PrivacyStores(msgspec.Struct, frozen=True, tag=True):
    """What does alertd keep, how much, and since when?"""


class PrivacyStored(msgspec.Struct, frozen=True, tag=True):
    """By name: the classes of the outbox, `objects`, `indicators`, `pseudonyms` (the keys)."""

    held: dict[str, Held]
