"""Who vouches for the audit trail, and how long its records are kept: what `audit` in a text means."""

from __future__ import annotations

import msgspec

_DAY = 86_400


class Witness(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who sees every checkpoint and signs that the trail only grew (C2SP tlog-witness).

    `key` is their verifier key (NAME+ID+base64), `address` the https prefix that checkpoints are posted below.
    """

    name: str
    key: str
    address: str
    owner: str = ""


class RecordRetention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds for which the records of a class are kept (`appliance/events/record.py` says what is in which)."""

    administration: int = 3650 * _DAY
    enforcement: int = 1825 * _DAY
    access: int = 1825 * _DAY
    assets: int = 1825 * _DAY


class AuditSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    witnesses: tuple[Witness, ...] = ()
    retention: RecordRetention = RecordRetention()
