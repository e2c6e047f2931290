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
