"""The messages of quarantine: which devices an operator accepted, as applyd enforces it."""

from __future__ import annotations

import msgspec


class Admit(msgspec.Struct, frozen=True, tag=True):
    """These hardware addresses are in quarantine nowhere."""

    macs: tuple[str, ...]
    by: str = ""  # policyd tells applyd who asked


class Expel(msgspec.Struct, frozen=True, tag=True):
    """They are again, where a zone has one."""

    macs: tuple[str, ...]
    by: str = ""


class Quarantine(msgspec.Struct, frozen=True, tag=True):
    pass


class QuarantinedZone(msgspec.Struct, frozen=True):
    name: str
    packets: int  # dropped


class QuarantineReport(msgspec.Struct, frozen=True, tag=True):
    """Who is accepted, and the zones in which everybody else is held."""

    admitted: tuple[str, ...]
    zones: tuple[QuarantinedZone, ...] = ()
