"""What the command line asks alertd: who may have what the gateway sees, and how far each has it."""

from __future__ import annotations

import msgspec


class Consumers(msgspec.Struct, frozen=True, tag=True):
    """Those of the policy that runs."""


class ConsumerInfo(msgspec.Struct, frozen=True):
    """`position`: everything up to this number they have; `waiting`: events behind it that they may have and have
    not; `seen`: when they last asked or were sent something (seconds since the epoch), 0 for never."""

    name: str
    collections: tuple[str, ...]
    tlp: str
    position: int
    waiting: int
    seen: float
    owner: str = ""
    pushed: str = ""  # where events are sent to
    error: str = ""  # why what was sent last was not taken


class ConsumerList(msgspec.Struct, frozen=True, tag=True):
    """`last` is the newest number of the outbox, `held` how many events are in it, by class; `used` and `size` are
    bytes. `room`: what there is room for, "all", "no-telemetry", "nothing". `listens`: where it answers; `words`: why
    not where it should."""

    consumers: tuple[ConsumerInfo, ...]
    last: int
    used: int
    size: int
    room: str
    listens: tuple[str, ...] = ()
    fingerprint: str = ""  # SHA-256 of its certificate (DER), hexadecimal
    words: str = ""
