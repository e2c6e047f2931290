"""What a person may write of indicators: who is trusted how far, and what is never blocked. What it means is in
`indicating.py`.
"""

from __future__ import annotations

from typing import Annotated

from appliance.policy.indicators import FORMATS
from appliance.policy.written import kinds
from appliance.policy.written.keys import Key, Record, Words
from appliance.policy.written.kinds import Choice, Many, Named, Number, Part
from appliance.policy.written.text import Word


class IndicatorSourceText(Record, frozen=True, kw_only=True):
    """Somebody who names what to look for: fetched from an address, or posted by the consumer of the same name."""

    address: Annotated[
        Word | None,
        Key(
            kinds.HTTPS,
            "where they are fetched; without one the consumer of this name posts them",
            example="https://csirt.example.org/taxii2/api/collections/6f1c/",
        ),
    ] = None
    format: Annotated[
        Word | None,
        Key(
            Choice(FORMATS),
            "what lies there: a STIX 2.1 bundle, a TAXII 2.1 collection, a MISP feed, or CSV and plain lists",
            default="stix",
        ),
    ] = None
    refresh: Annotated[Word | None, Key(Number(1, 10_080, "minutes"), "how often it is fetched", default="5")] = None
    key: Annotated[Word | None, Key(kinds.PUBLIC_KEY, "who signs it; the signature lies beside it as `.sig`")] = None
    credential: Annotated[
        Word | None,
        Key(
            kinds.CREDENTIAL,
            "the file in the gateway's folder `credentials` with the token, or user and password, that it asks for",
            example="csirt",
        ),
    ] = None
    alert: Annotated[
        Word | None,
        Key(Number(0, 100), "the confidence from which on a hit is an alert", default="never", example="30"),
    ] = None
    block: Annotated[
        Word | None,
        Key(Number(0, 100), "the confidence from which on it is blocked", default="never", example="80"),
    ] = None
    confidence: Annotated[
        Word | None, Key(Number(0, 100), "the confidence of what the source says none of", default="50")
    ] = None
    lasting: Annotated[
        Word | None,
        Key(kinds.LASTING, "how long one is in force at most; `0 days` for no end", default="90 days"),
    ] = None
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="soc@health.example")]
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None


class NeverText(Record, frozen=True, kw_only=True):
    """What no indicator blocks, whoever names it."""

    addresses: Annotated[
        Words,
        Key(
            Many(kinds.ADDRESS_WORD),
            "objects or literals",
            default="the gateway, its resolvers and the networks of its zones, always",
            example="[partners, 198.51.100.7]",
        ),
    ] = ()
    names: Annotated[Words, Key(Many(kinds.HOST_NAME), "names", example="[portal.egov.example]")] = ()
    lists: Annotated[
        Words,
        Key(
            Many(kinds.WARNING_LIST),
            "files in the gateway's folder `never-block`, in the format of MISP's warning lists",
            default="every file there",
            example="[top-sites.json]",
        ),
    ] = ()


class IndicatorsText(Record, frozen=True, kw_only=True):
    """Warnings and indicators that the gateway takes in and enforces."""

    sources: Annotated[
        tuple[IndicatorSourceText, ...],
        Key(Named(kinds.NAME_KIND, Part(IndicatorSourceText)), "who names what to look for", default="nobody"),
    ] = ()
    never: Annotated[NeverText | None, Key(Part(NeverText), "what is never blocked, whoever names it")] = None
