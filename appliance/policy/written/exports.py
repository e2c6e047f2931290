"""What a person may write of who gets what the gateway sees: the sections `alerts` and `consumers`.

What they mean is in `consumers.py`.
"""

from __future__ import annotations

from typing import Annotated

from appliance.policy import limits
from appliance.policy.consumers import COLLECTIONS, PORT, TLP
from appliance.policy.written import kinds
from appliance.policy.written.keys import Key, Record, Words
from appliance.policy.written.kinds import Choice, Many, Named, Number, Part
from appliance.policy.written.text import Word

LABEL = Choice(TLP)


class RetentionText(Record, frozen=True, kw_only=True):
    """For how long events are kept for those who need them. It counts time in which the gateway runs or is off,
    not what its clock is set to."""

    alerts: Annotated[
        Word | None, Key(kinds.LASTING, "what somebody must look at", default="90 days", example="180 days")
    ] = None
    audit: Annotated[Word | None, Key(kinds.LASTING, "who did what to the gateway", default="365 days")] = None
    notices: Annotated[Word | None, Key(kinds.LASTING, "what concerns the gateway itself", default="90 days")] = None
    telemetry: Annotated[
        Word | None, Key(kinds.LASTING, "flows, refusals, questions and answers", default="7 days", example="1 day")
    ] = None


class PseudonymsText(Record, frozen=True, kw_only=True):
    """Whose addresses do not leave the gateway as they are ([privacy.md](privacy.md))."""

    zones: Annotated[
        Words,
        Key(
            Many(kinds.ZONE_NAME),
            "the zones whose hosts go by pseudonyms; each needs networks, which say who its hosts are",
            example="[lan, guest]",
        ),
    ]
    keys: Annotated[
        Word | None,
        Key(
            kinds.LASTING,
            "for how long a host keeps its pseudonym; under the next key it is somebody else",
            default="7 days",
            example="1 day",
        ),
    ] = None


class AlertsText(Record, frozen=True, kw_only=True):
    """What is kept for consumers, how it is labelled, and where they ask for it."""

    listen: Annotated[
        Words,
        Key(
            Many(kinds.LISTEN),
            "where the gateway answers: zones (its own addresses there) or addresses; a rule to `gateway` with the "
            "service `reef-api` must allow it",
            default="nowhere",
            example="[management]",
        ),
    ] = ()
    port: Annotated[Word | None, Key(Number(1024, 65535), "the port it answers at", default=str(PORT))] = None
    tlp: Annotated[
        Word | None, Key(LABEL, "the TLP 2.0 label of what nothing else is said of", default="amber", example="green")
    ] = None
    marks: Annotated[
        tuple[tuple[Word, Word], ...],
        Key(
            Named(kinds.MARKED, LABEL),
            "labels of kinds of events, and of those that touch a zone; of several zones the strictest holds, and "
            "it holds over that of the kind",
            example="{audit: amber+strict, zone guest: green}",
        ),
    ] = ()
    retention: Annotated[RetentionText | None, Key(Part(RetentionText), "for how long it is kept")] = None
    size: Annotated[
        Word | None,
        Key(
            kinds.SIZE,
            "the most that is kept; telemetry goes first, an alert that somebody waits for never",
            default="2 GiB",
            example="8 GiB",
        ),
    ] = None
    pseudonyms: Annotated[
        PseudonymsText | None, Key(Part(PseudonymsText), "whose addresses leave the gateway as pseudonyms")
    ] = None


class PushText(Record, frozen=True, kw_only=True):
    """Where events are sent to without being asked for."""

    syslog: Annotated[
        Word | None,
        Key(kinds.SYSLOG, "a collector of syslog (RFC 5424) over TLS (RFC 5425)", example="siem.example.org:6514"),
    ] = None
    webhook: Annotated[
        Word | None, Key(kinds.HTTPS, "an address to POST to", example="https://soc.example.org/reef")
    ] = None


class ConsumerText(Record, frozen=True, kw_only=True):
    """Somebody who may have events."""

    token: Annotated[
        Word | None,
        Key(
            kinds.TOKEN_DIGEST,
            "the SHA-256 of their token, never the token itself",
            example=f"sha256:{'0' * 64}",
        ),
    ] = None
    certificate: Annotated[
        Word | None, Key(kinds.SHA256, "the SHA-256 fingerprint of the certificate they show (mutual TLS)")
    ] = None
    collections: Annotated[
        Words, Key(Many(Choice(COLLECTIONS)), "what they may have", example="[alerts, indicators, sightings]")
    ]
    tlp: Annotated[
        Word | None, Key(LABEL, "the highest label they may have", default="amber", example="amber+strict")
    ] = None
    names: Annotated[
        Word | None,
        Key(
            Choice(("standard", "intelmq")),
            "in whose words labels are given: FIRST's, or IntelMQ's, which knows neither `CLEAR` nor `AMBER+STRICT`",
            default="standard",
        ),
    ] = None
    rate: Annotated[
        Word | None,
        Key(
            kinds.REQUESTS,
            f"requests, at most {limits.MAX_CONSUMER_RATE:,}",
            default="50/second burst 100",
            example="5/second burst 20",
        ),
    ] = None
    may: Annotated[
        Words, Key(Many(Choice(("indicators",))), "what they may give to the gateway", default="nothing")
    ] = ()
    push: Annotated[PushText | None, Key(Part(PushText), "where events are sent to them")] = None
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="soc@health.example")]
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None
