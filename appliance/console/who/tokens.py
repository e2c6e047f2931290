"""Tokens for programs: `reef_` and 256 bits, for some of what their maker may do, for a year at most."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from appliance.console.who import secret
from appliance.console.who.store import Store

MOST_OF_PERSON = 32
LONGEST = 366 * 86_400.0  # seconds
_GRAIN = 60.0
_LABEL = 64


class Token(msgspec.Struct):
    """Times are seconds since the epoch, `used` 0: never. `scopes` are permissions."""

    id: str
    person: str
    label: str
    scopes: tuple[str, ...]
    made: float
    until: float
    used: float = 0.0


class Unfit(Exception):
    """No such token can be made; the text says why."""


class Tokens:
    """Those that were made and not revoked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str, Token] = {}
        self._due: set[str] = set()
        for digest, id_, person, label, scopes, made, until, used in store.rows("SELECT * FROM token"):
            self._kept[digest] = Token(id_, person, label, tuple(scopes.split()), made, until, used)

    def make(self, person: str, label: str, scopes: Iterable[str], seconds: float) -> tuple[str, Token]:
        """The token itself, which is never seen again, and what is kept. Raises `Unfit`."""
        now, wanted = self._store.clock(), tuple(sorted(set(scopes)))
        if not wanted:
            raise Unfit("a token is for something: name its scopes")
        if not 0 < seconds <= LONGEST:
            raise Unfit("a token lasts from a second to a year")
        self._drop([digest for digest, one in self._kept.items() if one.until <= now])
        if sum(one.person == person for one in self._kept.values()) >= MOST_OF_PERSON:
            raise Unfit(f"{MOST_OF_PERSON} tokens are there already; revoke one first")
        given = secret.new(secret.TOKEN)
        made = Token(secret.new_id(), person, label[:_LABEL], wanted, now, now + seconds)
        digest = secret.digest(given)
        row = (digest, made.id, person, made.label, " ".join(wanted), now, made.until, 0.0)
        self._store.within(("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [row]))
        self._kept[digest] = made
        return given, made

    def find(self, given: str) -> Token | None:
        """What a token is, which was used now; None for one that is unknown or has ended."""
        digest = secret.digest(given) if secret.is_secret(given, secret.TOKEN) else ""
        found = self._kept.get(digest)
        now = self._store.clock()
        if found is None or found.until <= now:
            return None
        if now - found.used >= _GRAIN:
            found.used = now
            self._due.add(digest)
        return found

    def listed(self, person: str = "") -> list[Token]:
        now = self._store.clock()
        found = [one for one in self._kept.values() if person in ("", one.person) and one.until > now]
        return sorted(found, key=lambda one: (one.made, one.id))

    def revoke(self, id_: str, person: str = "") -> Token | None:
        for digest, one in self._kept.items():
            if one.id == id_ and person in ("", one.person):
                self._drop([digest])
                return one
        return None

    def revoke_all(self, person: str) -> int:
        mine = [digest for digest, one in self._kept.items() if one.person == person]
        self._drop(mine)
        return len(mine)

    def settle(self, people: Collection[str]) -> None:
        """Write what is due; what has ended goes. Tokens of who left the policy open nothing, and come back with them
        as passkeys do: whoever finds one asks for its person."""
        now = self._store.clock()
        self._drop([digest for digest, one in self._kept.items() if one.until <= now])
        due = [(self._kept[digest].used, digest) for digest in self._due if digest in self._kept]
        self._due.clear()
        if due:
            self._store.within(("UPDATE token SET used = ? WHERE digest = ?", due))

    def _drop(self, digests: list[str]) -> None:
        if digests:
            self._store.within(("DELETE FROM token WHERE digest = ?", [(digest,) for digest in digests]))
        for digest in digests:
            del self._kept[digest]
