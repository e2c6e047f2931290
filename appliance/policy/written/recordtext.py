"""What a person may write of the audit trail: the section `audit`. What it means is in `records.py`."""

from __future__ import annotations

from typing import Annotated

from appliance.policy.written import kinds
from appliance.policy.written.keys import Key, Record
from appliance.policy.written.kinds import Named, Part
from appliance.policy.written.text import Word


class WitnessText(Record, frozen=True, kw_only=True):
    """Somebody who sees every checkpoint of the audit trail and signs that it only grew."""

    key: Annotated[
        Word,
        Key(
            kinds.WITNESS_KEY,
            "their verifier key, as they gave it",
            example="witness.csirt.example/w1+92960a29+BAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
        ),
    ]
    address: Annotated[
        Word,
        Key(
            kinds.HTTPS,
            "the prefix below which they take checkpoints (`<address>add-checkpoint`, C2SP tlog-witness)",
            example="https://witness.csirt.example/",
        ),
    ]
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="csirt@egov.example")]


class RecordRetentionText(Record, frozen=True, kw_only=True):
    """How long records are kept before they are disposed of, class by class. What holds them back is `reef audit
    hold`."""

    administration: Annotated[
        Word | None,
        Key(kinds.LASTING, "changes of the policy, approvals, starts", default="3650 days", example="1825 days"),
    ] = None
    enforcement: Annotated[
        Word | None, Key(kinds.LASTING, "bans, the allow-list, suppressions, indicators", default="1825 days")
    ] = None
    access: Annotated[
        Word | None,
        Key(kinds.LASTING, "log-ins, exports, unmasking, questions about hosts and people", default="1825 days"),
    ] = None
    assets: Annotated[Word | None, Key(kinds.LASTING, "devices, feeds", default="1825 days")] = None


class AuditText(Record, frozen=True, kw_only=True):
    """Who vouches for the audit trail, and how long its records are kept."""

    witnesses: Annotated[
        tuple[WitnessText, ...],
        Key(Named(kinds.NAME_KIND, Part(WitnessText)), "who cosigns its checkpoints", default="nobody"),
    ] = ()
    retention: Annotated[
        RecordRetentionText | None, Key(Part(RecordRetentionText), "how long its records are kept")
    ] = None
