"""Where something of an address lies in what alertd keeps: as itself, and under its pseudonyms.

What is told are counts and times. To tell the pseudonyms would say who goes by them, and that takes two persons
(`unmasking.py`).
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import Protocol

from appliance.control.auditing import Write, origin_of
from appliance.control.ipc import Peer
from appliance.control.messages.gateway import Refused
from appliance.control.messages.privacy import FindSubject, Held, PrivacyStored, SubjectFound
from appliance.events.classes import OF_COLLECTION
from appliance.events.objects import Objects
from appliance.events.outbox import Outbox, Reader
from appliance.events.pseudonyms import Keys
from crypto import pseudonyms

_PAGE = 5_000
_MOST_WHY = 500
HIDDEN = ", by pseudonym"


def spellings(address: str) -> tuple[str, ...]:
    """How lines write it: IPv6 in full, as Suricata does, and short. Raises ValueError."""
    found = ip_address(address)
    return tuple(dict.fromkeys((str(found), found.exploded)))


def naming(words: Iterable[str]) -> Callable[[bytes], bool]:
    """Whether a line names one of these addresses, and not only one that begins or ends like it."""
    parts = (
        rf"(?<![0-9a-f:]){re.escape(word)}(?![0-9a-f:])"
        if ":" in word
        else rf"(?<![0-9.]){re.escape(word)}(?!\.?[0-9])"
        for word in words
    )
    pattern = re.compile("|".join(parts).encode(), re.IGNORECASE)
    return lambda line: pattern.search(line) is not None


def of_keys(address: str, secrets: Iterable[bytes]) -> tuple[str, ...]:
    """Every spelling of every pseudonym that the address has under these keys."""
    found = ip_address(address)
    return tuple(word for secret in secrets for word in spellings(pseudonyms.of_address(secret, found)))


def in_outbox(reader: Reader, words: tuple[str, ...], how: str) -> Iterator[Held]:
    """The events of each class that name one of these. Raises `sqlite3.Error`."""
    if not words:
        return
    named = naming(words)
    holding = tuple(word.encode() for word in words)
    for name, class_ in OF_COLLECTION.items():
        count, first, last, after = 0, 0, 0, 0
        while True:
            page = reader.read(after, limit=_PAGE, classes=(class_,), holding=holding)
            for event in page.events:
                if named(event.body):
                    count += 1
                    first, last = min(first or event.time, event.time), max(last, event.time)
            after = page.through
            if after >= page.last:
                break
        if count:
            yield Held(f"outbox: {name}{how}", count, first / 1e6, last / 1e6)


def in_objects(objects: Objects, words: tuple[str, ...], how: str) -> Iterator[Held]:
    """The STIX objects whose value or pattern is one of these. Raises `sqlite3.Error`."""
    for name in objects.collections:
        count = objects.holding(name, [word.encode() for word in words]) if words else 0
        if count:
            yield Held(f"objects: {name}{how}", count)


class Indicating(Protocol):
    """Who knows the indicators."""

    async def naming(self, address: str) -> int:
        """How many name it, or a network that it lies in."""

    async def known(self) -> int:
        """How many there are."""


class Subjects:
    """Answers who asks. `objects` are there as soon as a policy is known."""

    def __init__(self, outbox: Outbox, keys: Keys, indicators: Indicating) -> None:
        self._outbox = outbox
        self._keys = keys
        self._indicators = indicators
        self.objects: Objects | None = None

    async def find(self, request: FindSubject, peer: Peer, write: Write) -> SubjectFound | Refused:
        why = request.why.strip()
        if not why or len(why) > _MOST_WHY:
            return Refused("bad-request", f"say why, in at most {_MOST_WHY} letters")
        try:
            words = spellings(request.address)
        except ValueError:
            return Refused("bad-request", f"{request.address} is no address")
        address = words[0]
        write(peer.name, "look.subject", address, why=why, origin=origin_of(peer))
        secrets = [key.secret for key in self._keys.all()]
        try:
            held = await asyncio.to_thread(self._find, words, of_keys(address, secrets))
        except sqlite3.Error as error:
            return Refused("store", f"not everything could be looked through: {error}")
        named = await self._indicators.naming(address)
        return SubjectFound(address, len(secrets), (*held, *([Held("indicators", named)] if named else ())))

    def _find(self, words: tuple[str, ...], hidden: tuple[str, ...]) -> list[Held]:
        reader = self._outbox.reader()
        try:
            held = [*in_outbox(reader, words, ""), *in_outbox(reader, hidden, HIDDEN)]
        finally:
            reader.close()
        if self.objects is not None:
            held += [*in_objects(self.objects, words, ""), *in_objects(self.objects, hidden, HIDDEN)]
        return held

    async def stored(self) -> PrivacyStored | Refused:
        try:
            held = await asyncio.to_thread(self._stored)
        except sqlite3.Error as error:
            return Refused("store", str(error))
        return PrivacyStored(held | {"indicators": Held("indicators", await self._indicators.known())})

    def _stored(self) -> dict[str, Held]:
        reader = self._outbox.reader()
        try:
            found = {
                name: Held(name, reader.count(each), (reader.oldest(each) or 0) / 1e6)
                for name, each in OF_COLLECTION.items()
            }
        finally:
            reader.close()
        keys = self._keys.all()
        found["pseudonyms"] = Held("pseudonyms", len(keys), keys[0].made if keys else 0.0)
        if self.objects is not None:
            number = sum(self.objects.count(name) for name in self.objects.collections)
            found["objects"] = Held("objects", number)
        return found
