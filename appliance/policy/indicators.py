"""How far those are trusted who name what to look for, and what is never blocked: what `indicators` means."""

from __future__ import annotations

from typing import Literal

import msgspec

_DAY = 86_400
FORMATS: tuple[Literal["stix", "taxii", "misp", "csv"], ...] = ("stix", "taxii", "misp", "csv")


class Trust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The least confidence (0 to 100) from which on a source may alert and block; None for never.

    `unsaid` is the confidence of an indicator whose source says none; one without an end ends after `lasting`
    seconds, 0 for never.
    """

    alert: int | None = None
    block: int | None = None
    unsaid: int = 50
    lasting: int = 90 * _DAY


class IndicatorSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where indicators come from: fetched from `address` every `refresh` seconds, or posted by the consumer so named.

    `credential` names a file of the gateway with what the address wants to see; `key` is the Ed25519 public key
    (base64) that signs what is fetched.
    """

    name: str
    trust: Trust = Trust()
    address: str = ""
    format: Literal["stix", "taxii", "misp", "csv"] = "stix"
    refresh: int = 300
    key: str = ""
    credential: str = ""
    owner: str = ""
    description: str = ""


class NeverBlocked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Besides the gateway, its resolvers and the networks of its zones: CIDRs, names, and files with lists."""

    networks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


class IndicatorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sources: tuple[IndicatorSource, ...] = ()
    never: NeverBlocked = NeverBlocked()
