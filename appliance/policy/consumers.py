"""Who gets what the gateway sees, and what is kept for them: what the sections `alerts` and `consumers` mean."""

from __future__ import annotations

from typing import Literal

import msgspec

# FIRST's Traffic Light Protocol 2.0, from the widest sharing to the narrowest.
TlpWord = Literal["clear", "green", "amber", "amber+strict", "red"]
TLP: tuple[TlpWord, ...] = ("clear", "green", "amber", "amber+strict", "red")

# What the outbox keeps, in the order in which it is kept when there is no room for all of it.
Kept = Literal["alerts", "audit", "notices", "telemetry"]
KEPT: tuple[Kept, ...] = ("alerts", "audit", "notices", "telemetry")
Collection = Literal["alerts", "audit", "notices", "telemetry", "indicators", "sightings"]
COLLECTIONS: tuple[Collection, ...] = (*KEPT, "indicators", "sightings")

PORT = 8443
_DAY = 86_400


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds for which events wait for those who need them, and are there for who comes later."""

    alerts: int = 90 * _DAY
    audit: int = 365 * _DAY
    notices: int = 90 * _DAY
    telemetry: int = 7 * _DAY


class Pseudonyms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hosts of `zones` go by pseudonyms in what leaves the gateway; a key makes them for `keys` seconds."""

    zones: tuple[str, ...]
    keys: int = 7 * _DAY


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The label of the events of a kind, or of those that touch a zone; one of the two is set."""

    tlp: TlpWord
    kept: str = ""  # one of KEPT
    zone: str = ""


class AlertSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What alertd keeps and where it answers.

    `listen` are names of zones and addresses; without one nobody can ask. An event has the strictest label of the
    zones it touches that have one, else that of its kind, else `tlp`. `size` are bytes of the whole outbox.
    """

    listen: tuple[str, ...] = ()
    port: int = PORT
    tlp: TlpWord = "amber"
    marks: tuple[Mark, ...] = ()
    retention: Retention = Retention()
    size: int = 2 << 30
    pseudonyms: Pseudonyms | None = None


class Consumer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who may have events, and how they are known.

    `token` is the SHA-256 of their token and `certificate` that of their certificate (DER), both hexadecimal in
    small letters or "". They get what is in `collections` and labelled no higher than `tlp`, at most `rate` requests
    a second and `burst` at once. `names` says whose words labels are given in. `syslog` (host:port) and `webhook`
    (an https address) are where events are sent to without being asked for.
    """

    name: str
    collections: tuple[Collection, ...]
    tlp: TlpWord = "amber"
    token: str = ""
    certificate: str = ""
    names: Literal["standard", "intelmq"] = "standard"
    rate: int = 50
    burst: int = 100
    may: tuple[Literal["indicators"], ...] = ()  # what they may give
    syslog: str = ""
    webhook: str = ""
    owner: str = ""
    description: str = ""
