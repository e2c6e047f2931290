"""Links for the first credential and for who lost theirs: good once, for a day.

Whoever has somebody's link becomes that person. Where the policy asks two people for a change it asks two for a link
as well, or who makes it could be both of them: one wants it, another agrees, and only then it is there.
"""

from __future__ import annotations

import msgspec

from appliance.console.who import secret
from appliance.console.who.store import Store

SECONDS = 86_400.0


class Invitation(msgspec.Struct, frozen=True):
    """`by` made it for `person`; it ends at `until`, seconds since the epoch."""

    person: str
    by: str
    until: float


class Wanted(msgspec.Struct, frozen=True):
    """`by` wants a link for `person`, to which somebody else must agree before `until` (seconds since the epoch).
    With `reset` what the person comes in with is good no more from then on."""

    person: str
    by: str
    reset: bool
    until: float


class Invitations:
    """Only digests of the links are kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(self, person: str, by: str) -> tuple[str, Invitation]:
        """A new secret for the link; what was given to the person before is good no more."""
        made, now = secret.new(), self._store.clock()
        found = Invitation(person, by, now + SECONDS)
        self._store.within(
            ("DELETE FROM invitation WHERE person = ? OR until <= ?", [(person, now)]),
            ("INSERT INTO invitation VALUES (?, ?, ?, ?)", [(secret.digest(made), person, by, found.until)]),
        )
        return made, found

    def look(self, link: str) -> Invitation | None:
        """What it is for; it stays good."""
        if not secret.is_secret(link):
            return None
        words = "SELECT person, by, until FROM invitation WHERE digest = ? AND until > ?"
        found = self._store.rows(words, (secret.digest(link), self._store.clock()))
        return Invitation(*found[0]) if found else None

    def take(self, link: str) -> bool:
        """Whether it was still good; it is not any more."""
        words = "DELETE FROM invitation WHERE digest = ? AND until > ?"
        return self._store.within((words, [(secret.digest(link), self._store.clock())])) > 0

    def want(self, person: str, by: str, reset: bool) -> Wanted:
        """What was wanted for the person before is not any more."""
        now = self._store.clock()
        found = Wanted(person, by, reset, now + SECONDS)
        self._store.within(
            ("DELETE FROM wanted WHERE person = ? OR until <= ?", [(person, now)]),
            ("INSERT INTO wanted VALUES (?, ?, ?, ?)", [(person, by, reset, found.until)]),
        )
        return found

    def wanted(self) -> list[Wanted]:
        """The oldest first."""
        words = "SELECT person, by, reset, until FROM wanted WHERE until > ? ORDER BY until, person"
        found = self._store.rows(words, (self._store.clock(),))
        return [Wanted(person, by, bool(reset), until) for person, by, reset, until in found]

    def drop(self, wanted: Wanted) -> bool:
        """Whether it was still there; it is not any more."""
        words = "DELETE FROM wanted WHERE person = ? AND by = ? AND until = ?"
        return self._store.within((words, [(wanted.person, wanted.by, wanted.until)])) > 0

    def waiting(self) -> dict[str, float]:
        """Who has a link that is good, and until when."""
        found = self._store.rows("SELECT person, until FROM invitation WHERE until > ?", (self._store.clock(),))
        return {str(person): float(until) for person, until in found}
