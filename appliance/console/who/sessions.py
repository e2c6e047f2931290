"""Who is in: sessions by cookie. A cookie is 256 bits and new at each log-in; only its digest is kept.

What is asked at each request is in memory; when a session was seen last is written now and then.
"""

from __future__ import annotations

from collections.abc import Collection
from hmac import compare_digest
from typing import Literal

import msgspec

from appliance.console.who import secret
from appliance.console.who.store import Store

How = Literal["passkey", "passphrase", "certificate", "provider", "break-glass"]
MOST_OF_PERSON = 16
MOST = 4096
_GRAIN = 60.0  # seconds by which `seen` on disk may lag behind


class Session(msgspec.Struct):
    """Times are seconds since the epoch. `most` seconds it may last, 0: as the policy says. `certificate` is the
    SHA-256 of the one that must be shown with it. `proven` is when they showed last that it is they who sit there; it
    is kept nowhere, so after a restart they show it again."""

    id: str
    person: str
    how: How
    began: float
    seen: float
    most: float
    address: str
    device: str
    certificate: str = ""
    proven: float = 0.0


_KEPT = Session.__struct_fields__[:-1]


class Bounds(msgspec.Struct, frozen=True):
    """Seconds after which a session ends: unused, and at the latest."""

    idle: float
    most: float


class Sessions:
    """Those that are open."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[str, Session] = {}
        self._written: dict[str, float] = {}
        for digest, *row in store.rows(
            "SELECT digest, id, person, how, began, seen, most, address, device, certificate FROM session"
        ):
            self._open[digest] = found = Session(*row)
            self._written[digest] = found.seen

    def begin(
        self, person: str, how: How, address: str, device: str, *, certificate: str = "", most: float = 0.0
    ) -> tuple[str, Session]:
        """A new one with its cookie. The oldest goes where a person has too many."""
        cookie, now = secret.new(), self._store.clock()
        made = Session(secret.new_id(), person, how, now, now, most, address[:64], device[:64], certificate)
        own = sorted((one.seen, digest) for digest, one in self._open.items() if one.person == person)
        self._drop([digest for _, digest in own[: max(0, len(own) + 1 - MOST_OF_PERSON)]])
        if len(self._open) >= MOST:
            self._drop([min(self._open, key=lambda digest: self._open[digest].seen)])
        digest = secret.digest(cookie)
        row = (digest, *(getattr(made, name) for name in _KEPT))
        self._store.within(("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [row]))
        self._open[digest], self._written[digest] = made, now
        return cookie, made

    def find(self, cookie: str, certificate: str, bounds: Bounds, *, used: bool = True) -> Session | None:
        """The session of a cookie, which is `used` now; None where there is none, or none any more."""
        digest = secret.digest(cookie) if secret.is_secret(cookie) else ""
        found = self._open.get(digest)
        if found is None:
            return None
        now = self._store.clock()
        if _over(found, now, bounds):
            self._drop([digest])
            return None
        if found.certificate and not compare_digest(found.certificate, certificate):
            return None
        if used:
            found.seen = max(found.seen, now)
        return found

    def proven(self, id_: str) -> float:
        """When who has the session showed last that it is they; 0.0 for never."""
        return next((one.proven for one in self._open.values() if one.id == id_), 0.0)

    def prove(self, id_: str) -> None:
        """They showed it now."""
        for one in self._open.values():
            if one.id == id_:
                one.proven = self._store.clock()

    def listed(self, bounds: Bounds, person: str = "") -> list[Session]:
        """Those that have not ended, of one person or of all; the newest first."""
        now = self._store.clock()
        found = [one for one in self._open.values() if person in ("", one.person) and not _over(one, now, bounds)]
        return sorted(found, key=lambda one: (-one.seen, one.id))

    def end_of(self, session: Session, bounds: Bounds) -> float:
        """When it ends however much it is used."""
        return session.began + _most(session, bounds)

    def end(self, id_: str, person: str = "") -> Session | None:
        """End one, of `person` where that is given; gives it, None where there was none."""
        for digest, one in self._open.items():
            if one.id == id_ and person in ("", one.person):
                self._drop([digest])
                return one
        return None

    def end_all(self, person: str, but: str = "") -> int:
        """End all of a person but the one with that id; gives how many."""
        mine = [digest for digest, one in self._open.items() if one.person == person and one.id != but]
        self._drop(mine)
        return len(mine)

    def settle(self, people: Collection[str], bounds: Bounds) -> list[Session]:
        """Write what is due, and end what has ended or belongs to nobody any more, which it gives."""
        now = self._store.clock()
        left = [digest for digest, one in self._open.items() if one.person not in people]
        over = [digest for digest, one in self._open.items() if one.person in people and _over(one, now, bounds)]
        gone = [self._open[digest] for digest in left]
        self._drop([*left, *over])
        due = [(one.seen, digest) for digest, one in self._open.items() if one.seen - self._written[digest] >= _GRAIN]
        if due:
            self._store.within(("UPDATE session SET seen = ? WHERE digest = ?", due))
            self._written.update((digest, seen) for seen, digest in due)
        return gone

    def _drop(self, digests: list[str]) -> None:
        if digests:
            # First on disk: what could not be revoked there must not look revoked.
            self._store.within(("DELETE FROM session WHERE digest = ?", [(digest,) for digest in digests]))
        for digest in digests:
            del self._open[digest], self._written[digest]


def _over(session: Session, now: float, bounds: Bounds) -> bool:
    return now >= session.began + _most(session, bounds) or now >= session.seen + bounds.idle


def _most(session: Session, bounds: Bounds) -> float:
    return min(session.most, bounds.most) if session.most else bounds.most
