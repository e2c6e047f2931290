"""What the section `audit` of a text means."""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Any

import msgspec

from appliance.policy import limits
from appliance.policy.meant.lengths import seconds
from appliance.policy.meant.names import named
from appliance.policy.records import AuditSettings, RecordRetention, Witness
from appliance.policy.written.recordtext import AuditText, WitnessText
from appliance.policy.written.text import Report, Word

_COSIGNATURE = 4  # C2SP tlog-cosignature: the kind of key that signs what it saw
_KEY_BYTES = 33


def audit(text: AuditText | None, report: Report) -> AuditSettings:
    if text is None:
        return AuditSettings()
    said: dict[str, Any] = {}
    for name in RecordRetention.__struct_fields__:
        word: Word | None = getattr(text.retention, name) if text.retention is not None else None
        if word is not None:
            said[name] = _seconds(word, report)
    if len(text.witnesses) > limits.MAX_WITNESSES:
        report.error(text.witnesses[0].at, f"{len(text.witnesses)} witnesses", f"at most {limits.MAX_WITNESSES}")
    witnesses = [_witness(one, report) for one in text.witnesses[: limits.MAX_WITNESSES]]
    keys: dict[str, str] = {}
    for one, read in zip(text.witnesses, witnesses, strict=False):
        other = keys.setdefault(read.key, read.name)
        if other != read.name:
            message = f"`{read.name}` has the key of `{other}`: they would be one witness"
            report.error(one.at, message, "write the key of each")
    return AuditSettings(tuple(witnesses), msgspec.structs.replace(RecordRetention(), **said))


def _witness(text: WitnessText, report: Report) -> Witness:
    name = named(text.name)
    if not text.flawed and (wrong := _wrong(text.key.value)):
        report.error(text.key.at, wrong, "ask the witness for its verifier key and copy it whole")
    return Witness(name.value, text.key.value, text.address.value, text.owner.value)


def _wrong(key: str) -> str:
    """Why this is no key of a witness; "" for one that is."""
    name, ident, encoded = key.split("+", 2)
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return "the verifier key is not base64 behind its second `+`"
    if len(data) != _KEY_BYTES or data[0] != _COSIGNATURE:
        return "this is no key for cosignatures (Ed25519, type 4): a log's own key is another kind"
    if sha256(f"{name}\n".encode() + data).digest()[:4].hex() != ident:
        return f"the verifier key was copied wrong: `{ident}` does not belong to it"
    return ""


def _seconds(word: Word, report: Report) -> int:
    return seconds(word, limits.MIN_RECORD_SECONDS, limits.MAX_RETENTION_SECONDS, "write 1 day to 3660 days", report)
