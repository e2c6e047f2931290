"""Lists in: CSV with a header line, or one value on each line (a block list).

Columns: `value` (needed), `type`, `name`, `confidence`, `until` (RFC 3339), `id`, `tlp`, `revoked` (yes). What has no
type gets the one that it looks like; what has no id gets one from its value, so that a list read again is the same.
"""

from __future__ import annotations

import csv
import re
import uuid
from collections.abc import Iterator, Mapping
from hashlib import sha1

from appliance.events import tlp
from appliance.indicators.indicator import Indicator, Read, Refused, Unreadable, moment, plain
from appliance.indicators.values import KINDS, Kind, Value, ValueRefused, value

MAX_DOCUMENT = 64 << 20
MAX_LINE = 4_096
COLUMNS = ("value", "type", "name", "confidence", "until", "id", "tlp", "revoked")
_SPACE = uuid.UUID("3f0c2f1e-6a5b-5c0e-9d53-7f1a54b1f0aa").bytes  # of ids made from values
# RFC 9562, 5.5: the bits of such an id that are not of the digest. (`uuid.uuid5` takes three times as long.)
_VERSION_5 = 5 << 76 | 2 << 62
_FREE = ~(15 << 76 | 3 << 62)
_TYPES: dict[str, Kind] = {
    **{kind: kind for kind in KINDS},
    # MISP's and others' words for the same.
    "ip": "address", "ipv4": "address", "ipv6": "address", "ip-src": "address", "ip-dst": "address",
    "cidr": "network", "hostname": "domain", "fqdn": "domain", "uri": "url", "sha-256": "sha256", "sha-1": "sha1",
    "email": "sender", "email-src": "sender", "ja3-fingerprint-md5": "ja3", "ja4-fingerprint": "ja4",
    "x509-fingerprint-sha256": "certificate", "x509-fingerprint-sha1": "certificate",
}  # fmt: skip
_HEXADECIMAL: dict[int, Kind] = {32: "md5", 40: "sha1", 64: "sha256"}
_DIGEST = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_REFANG = (("hxxp", "http"), ("[.]", "."), ("(.)", "."), ("[:]", ":"), ("[@]", "@"))


def read(document: bytes, *, now: float) -> Read:
    """`now` is since when what has no date of its own holds. Raises `Unreadable`."""
    if len(document) > MAX_DOCUMENT:
        raise Unreadable(f"{len(document):,} bytes; a list of {MAX_DOCUMENT:,} is read at most")
    try:
        text = document.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {error.start}: not UTF-8") from error
    found: dict[str, Indicator] = {}
    refused: list[Refused] = []
    for number, row in _rows(text):
        try:
            indicator = _row(row, now)
            found[indicator.id] = indicator
        except (ValueError, OverflowError) as error:
            refused.append(Refused(f"line {number}", str(error)))
    return Read(tuple(found.values()), tuple(refused))


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows with their line numbers. Raises `Unreadable`."""
    lines = text.splitlines()
    kept = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not kept:
        return
    header = [word.strip().lower() for word in kept[0][1].split(",")]
    if "value" not in header:
        for number, line in kept:  # a block list: what follows a space or # on its line is a remark
            yield number, {"value": re.split(r"[\s#;]", line.strip(), maxsplit=1)[0]}
        return
    unknown = sorted(set(header) - set(COLUMNS))
    if unknown:
        raise Unreadable(
            f"line {kept[0][0]}: no column is named {', '.join(unknown)}; there are {', '.join(COLUMNS)}"
        )
    for number, line in kept[1:]:
        if len(line) > MAX_LINE:
            yield number, {"value": line[:MAX_LINE] + "…"}
            continue
        cells = next(csv.reader([line]), []) if '"' in line else line.split(",")
        yield number, dict(zip(header, map(str.strip, cells), strict=False))


def _row(row: Mapping[str, str], now: float) -> Indicator:
    found = guessed(row.get("value", ""), row.get("type", ""))
    confidence = int(row["confidence"]) if row.get("confidence") else None
    if confidence is not None and not 0 <= confidence <= 100:
        raise ValueError(f"a confidence of {confidence}; 0 to 100 is one")
    return Indicator(
        id=plain(row.get("id", "")) or id_of(found),
        name=plain(row.get("name", "")),
        values=(found,),
        confidence=confidence,
        tlp=tlp.parse(row["tlp"]) if row.get("tlp") else tlp.Tlp.CLEAR,
        created=now,
        modified=now,
        since=now,
        until=moment(row["until"]) if row.get("until") else 0.0,
        revoked=row.get("revoked", "").lower() in ("yes", "true", "1"),
    )


def id_of(found: Value) -> str:
    """The id that a value without one gets: always the same."""
    digest = sha1(_SPACE + f"{found.kind} {found.text}".encode(), usedforsecurity=False).digest()[:16]
    made = (int.from_bytes(digest, "big") & _FREE | _VERSION_5).to_bytes(16, "big").hex()
    return f"indicator--{made[:8]}-{made[8:12]}-{made[12:16]}-{made[16:20]}-{made[20:]}"


def guessed(text: str, word: str = "") -> Value:
    """The value that a cell says, of the type that `word` names or that it looks like. Raises `ValueRefused`."""
    text = text.strip()
    for written, meant in _REFANG:
        text = text.replace(written, meant)
    if not text:
        raise ValueRefused("no value")
    if word:
        kind = _TYPES.get(word.strip().lower())
        if kind is None:
            raise ValueRefused(f"the type {word[:40]!r} is not looked for; known are {', '.join(KINDS)}")
        return value(kind, text)
    return value(_looks_like(text), text)


def _looks_like(text: str) -> Kind:
    if "://" in text:
        return "url"
    if "@" in text:
        return "sender"
    if _DIGEST.fullmatch(text) and len(text) in _HEXADECIMAL:
        return _HEXADECIMAL[len(text)]
    if ":" in text or "/" in text or text.replace(".", "").isdigit():
        return "address"
    return "domain"
