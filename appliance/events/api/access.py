"""Who asks, and how much they may ask: credentials, rate, and those who guess. Pure but for the clock it is given.

A consumer is known by the SHA-256 of a token (`Authorization: Bearer`, `Token`, or `Basic` with the token as
password: TAXII clients know no other), by the fingerprint of a certificate, or by both where the policy names both.
"""

from __future__ import annotations

import binascii
import hmac
import math
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Literal

import msgspec

from appliance.events import tlp
from appliance.events.classes import Class, classes_of
from appliance.events.tlp import Tlp
from appliance.policy.consumers import Consumer
from appliance.serving.bucket import Bucket

MAX_TOKEN = 512
_FREE_GUESSES = 5  # from one address, before it has to wait
_LONGEST_WAIT = 60.0
_FORGET = 3600.0  # seconds after which an address is forgiven
_MOST_GUESSERS = 4096
_AT_ONCE = 16  # requests of one consumer that are answered at the same time


class Told(msgspec.Struct, frozen=True):
    """Something an auditor wants to know, or an officer. `consumer` is "" where nobody was known."""

    what: Literal["export", "refused", "guessing", "slow"]
    consumer: str
    words: str
    address: str = ""
    count: int = 0


Tell = Callable[[Told], None]


class Refused(Exception):
    """Not now: `wait` seconds."""

    def __init__(self, words: str, wait: float) -> None:
        super().__init__(words)
        self.wait = max(1, math.ceil(wait))


class Guest:
    """A consumer who was recognised, with what they may have."""

    def __init__(self, consumer: Consumer, now: float) -> None:
        self.consumer = consumer
        self.highest = tlp.parse(consumer.tlp)
        self.classes = classes_of(consumer.collections)
        self.bucket = Bucket(consumer.rate, consumer.burst, now)
        self.active = 0

    @property
    def name(self) -> str:
        return self.consumer.name

    def reads(self, collection: str) -> bool:
        return collection in self.consumer.collections

    @property
    def gives_indicators(self) -> bool:
        return "indicators" in self.consumer.may

    @property
    def reads_alerts(self) -> bool:
        return Class.ALERT in self.classes

    def label(self, level: Tlp) -> str:
        """A label in the words that the consumer's tool knows. IntelMQ has those of TLP 1.0, where nothing lies
        between AMBER and RED: what is stricter than AMBER is RED there, never wider than it was meant."""
        if self.consumer.names == "standard":
            return level.label
        return {Tlp.CLEAR: "WHITE", Tlp.AMBER_STRICT: "RED"}.get(level, level.name)


class Access:
    """Recognises consumers and holds them to their rate. `clock` counts seconds and never goes back."""

    def __init__(self, consumers: Iterable[Consumer], clock: Callable[[], float], tell: Tell) -> None:
        self._clock = clock
        self.tell = tell
        self._guests: dict[str, Guest] = {}
        self._guesses: OrderedDict[str, tuple[int, float]] = OrderedDict()  # failures, not before
        self.renew(consumers)

    def renew(self, consumers: Iterable[Consumer]) -> None:
        """The consumers of another generation. Who did not change keeps what is left of their rate."""
        now = self._clock()
        before = self._guests
        self._guests = {
            one.name: known
            if (known := before.get(one.name)) is not None and known.consumer == one
            else Guest(one, now)
            for one in consumers
        }

    def guest(self, name: str) -> Guest | None:
        """Who has this name now."""
        return self._guests.get(name)

    def identify(self, authorization: str, certificate: bytes) -> Guest | None:
        """Who shows these: the value of the header, and the certificate as DER (b"": none). Every consumer is
        compared, in the same time whatever is right."""
        token = _token(authorization)
        digest = sha256(token).hexdigest() if token else ""
        fingerprint = sha256(certificate).hexdigest() if certificate else ""
        found = None
        for guest in self._guests.values():
            known = guest.consumer
            shown = [
                hmac.compare_digest(one, other)
                for one, other in ((known.token, digest), (known.certificate, fingerprint))
                if one
            ]
            if shown and all(shown):
                found = guest
        return found

    def failed(self, address: str) -> float:
        """Somebody there showed nothing that is known; gives the seconds they have to wait."""
        now = self._clock()
        key = _network(address)
        failures, until = self._guesses.pop(key, (0, 0.0))
        if now - until > _FORGET:
            failures = 0
        failures += 1
        beyond = failures - _FREE_GUESSES
        wait = min(_LONGEST_WAIT, 2.0 ** min(beyond, 16)) if beyond > 0 else 0.0
        self._guesses[key] = failures, now + wait
        while len(self._guesses) > _MOST_GUESSERS:
            self._guesses.popitem(last=False)
        if failures == _FREE_GUESSES or (beyond > 0 and beyond % 100 == 0):
            words = f"{failures} requests from {key} without a token that is known"
            self.tell(Told("guessing", "", words, key, failures))
        return wait

    def has_to_wait(self, address: str) -> float:
        """Seconds for which somebody there is not listened to, unless what they show is right; 0.0: none."""
        _, until = self._guesses.get(_network(address), (0, 0.0))
        return max(0.0, until - self._clock())

    def enter(self, guest: Guest) -> None:
        """A request begins; `leave` ends it. Raises `Refused`."""
        wait = guest.bucket.take(self._clock())
        if wait > 0:
            raise Refused(f"more than {guest.consumer.rate} requests a second", wait)
        if guest.active >= _AT_ONCE:
            raise Refused(f"more than {_AT_ONCE} requests at once", 1)
        guest.active += 1

    def leave(self, guest: Guest) -> None:
        guest.active -= 1


def _token(authorization: str) -> bytes:
    """The token in the header's value; b"" where there is none."""
    scheme, _, value = authorization.strip().partition(" ")
    value = value.strip()
    if len(value) > MAX_TOKEN:
        return b""
    if scheme.lower() in ("bearer", "token"):
        return value.encode("utf-8", "surrogateescape")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(value, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _network(address: str) -> str:
    """Whose guesses are counted together: an IPv4 address, an IPv6 network of 64 bits."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)
