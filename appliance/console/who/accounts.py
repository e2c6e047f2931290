"""What people come in with: passkeys, a passphrase with an app, codes for the day when all else fails.

Who the people are says the policy; who leaves it cannot come in from that moment on. What they came in with is kept
for thirty days more, because a rollback brings people back too.
"""

from __future__ import annotations

import os
from collections.abc import Collection

import msgspec

from appliance.console.who import secret
from appliance.console.who.store import Store
from crypto import webauthn

MOST_PASSKEYS = 16  # of a person
CODES = 10
_KEPT = 30 * 86_400.0  # seconds
_WORDS = 64  # letters of a passkey's name


class Passkey(msgspec.Struct, frozen=True):
    """`name` is what it is listed by, `words` what its owner calls it. Times are seconds since the epoch;
    0: never."""

    id: bytes
    name: str
    person: str
    public: bytes
    count: int
    eligible: bool
    backed_up: bool
    words: str
    added: float
    used: float


class Second(msgspec.Struct, frozen=True):
    """A passphrase as it is kept, the secret of the app, and the step of the last code."""

    passphrase: str
    app: str
    step: int


class Full(Exception):
    """There is no room for one more; the text says what to do."""


_PASSKEY = "SELECT id, name, person, public, count, eligible, backed, words, added, used FROM passkey"


class Accounts:
    """Of the people who are in the database; whether somebody is in the policy is asked elsewhere."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- the person -------------------------------------------------------------------------------------------------

    def handle(self, person: str) -> bytes:
        """What devices keep for the person: random, for ever the same."""
        self._store.within(
            ("INSERT OR IGNORE INTO account VALUES (?, ?, '', '', -1, 0)", [(person, os.urandom(32))]),
        )
        return bytes(self._store.rows("SELECT handle FROM account WHERE person = ?", (person,))[0][0])

    def person_of(self, handle: bytes) -> str:
        found = self._store.rows("SELECT person FROM account WHERE handle = ?", (handle,))
        return str(found[0][0]) if found else ""

    def forget(self, person: str) -> None:
        """Everything that they come in with."""
        one = [(person,)]
        self._store.within(
            ("DELETE FROM passkey WHERE person = ?", one),
            ("DELETE FROM code WHERE person = ?", one),
            ("DELETE FROM invitation WHERE person = ?", one),
            ("DELETE FROM wanted WHERE person = ?", one),
            ("DELETE FROM account WHERE person = ?", one),
        )

    def settle(self, people: Collection[str]) -> list[str]:
        """These are in the policy now. Who has been out of it for long is forgotten; gives who."""
        now = self._store.clock()
        known = self._store.rows("SELECT person, gone FROM account")
        back = [(0.0, person) for person, gone in known if gone and person in people]
        left = [(now, person) for person, gone in known if not gone and person not in people]
        if back or left:
            self._store.within(("UPDATE account SET gone = ? WHERE person = ?", [*back, *left]))
        old = [str(person) for person, gone in known if gone and person not in people and gone + _KEPT < now]
        for person in old:
            self.forget(person)
        return old

    # --- passkeys ---------------------------------------------------------------------------------------------------

    def passkeys(self, person: str) -> list[Passkey]:
        return [_passkey(row) for row in self._store.rows(f"{_PASSKEY} WHERE person = ? ORDER BY added", (person,))]

    def passkey(self, id_: bytes) -> Passkey | None:
        found = self._store.rows(f"{_PASSKEY} WHERE id = ?", (id_,))
        return _passkey(found[0]) if found else None

    def add_passkey(self, person: str, key: webauthn.Passkey, words: str) -> Passkey:
        """Raises `Full`; an id that is there already is refused as well, whoever has it."""
        if len(self.passkeys(person)) >= MOST_PASSKEYS:
            raise Full(f"{MOST_PASSKEYS} passkeys are there already; take one away first")
        now = self._store.clock()
        row = (
            key.id, secret.new_id(), person, key.public, key.count, key.eligible, key.backed_up, words[:_WORDS], now,
            0.0,
        )  # fmt: skip
        if not self._store.within(("INSERT OR IGNORE INTO passkey VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [row])):
            raise Full("this passkey is known already")
        return _passkey(row)

    def used_passkey(self, key: Passkey, asserted: webauthn.Asserted) -> None:
        values = (asserted.count, asserted.backed_up, self._store.clock(), key.id)
        self._store.within(("UPDATE passkey SET count = ?, backed = ?, used = ? WHERE id = ?", [values]))

    def remove_passkey(self, person: str, name: str) -> bool:
        return self._store.within(("DELETE FROM passkey WHERE person = ? AND name = ?", [(person, name)])) > 0

    # --- a passphrase and an app ------------------------------------------------------------------------------------

    def second(self, person: str) -> Second | None:
        found = self._store.rows("SELECT passphrase, app, step FROM account WHERE person = ?", (person,))
        return Second(*found[0]) if found and found[0][0] else None

    def set_second(self, person: str, passphrase: str, app: str, step: int) -> None:
        self.handle(person)
        values = (passphrase, app, step, person)
        self._store.within(("UPDATE account SET passphrase = ?, app = ?, step = ? WHERE person = ?", [values]))

    def used_step(self, person: str, step: int) -> bool:
        """Whether the code of this step was still good: two who show it at once are one too many."""
        words = "UPDATE account SET step = ? WHERE person = ? AND step < ?"
        return self._store.within((words, [(step, person, step)])) > 0

    def remove_second(self, person: str) -> bool:
        words = "UPDATE account SET passphrase = '', app = '', step = -1 WHERE person = ? AND passphrase <> ''"
        return self._store.within((words, [(person,)])) > 0

    # --- codes that break the glass ---------------------------------------------------------------------------------

    def new_codes(self, person: str) -> list[str]:
        """New ones; those from before are good no more."""
        codes, now = [secret.new_code() for _ in range(CODES)], self._store.clock()
        self.handle(person)
        self._store.within(
            ("DELETE FROM code WHERE person = ?", [(person,)]),
            ("INSERT INTO code VALUES (?, ?, ?)", [(secret.digest(code), person, now) for code in codes]),
        )
        return codes

    def take_code(self, person: str, typed: str) -> bool:
        """Whether it was good; then it is not any more."""
        code = secret.code_of(typed)
        words = "DELETE FROM code WHERE digest = ? AND person = ?"
        return bool(code) and self._store.within((words, [(secret.digest(code), person)])) > 0

    def codes_left(self, person: str) -> int:
        return int(self._store.rows("SELECT count(*) FROM code WHERE person = ?", (person,))[0][0])

    def enrolled(self, person: str) -> bool:
        """Whether they have anything to come in with that is kept here."""
        return bool(self.passkeys(person)) or self.second(person) is not None


def _passkey(row: tuple[object, ...]) -> Passkey:
    return msgspec.convert(
        dict(zip(Passkey.__struct_fields__, row, strict=True)), Passkey, strict=False, builtin_types=(bytes,)
    )
