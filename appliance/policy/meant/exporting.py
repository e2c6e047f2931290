"""What the sections `alerts` and `consumers` of a text mean."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, cast

import msgspec

from appliance.policy import limits
from appliance.policy.consumers import AlertSettings, Collection, Consumer, Mark, Pseudonyms, Retention, TlpWord
from appliance.policy.meant.lengths import seconds
from appliance.policy.meant.names import Names, named
from appliance.policy.meant.profiles import UNITS
from appliance.policy.written.exports import AlertsText, ConsumerText, PseudonymsText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.text import Report, Word, value_of

_DEFAULT = AlertSettings()


def alerts(text: AlertsText | None, names: Names, report: Report) -> AlertSettings:
    if text is None:
        return _DEFAULT
    said: dict[str, Any] = {}
    for key in Retention.__struct_fields__:
        word: Word | None = getattr(text.retention, key) if text.retention is not None else None
        if word is not None:
            said[key] = _seconds(word, report)
    return AlertSettings(
        listen=tuple(dict.fromkeys(place(word, names, report) for word in text.listen)),
        port=_DEFAULT.port if text.port is None else int(text.port.value),
        tlp=_DEFAULT.tlp if text.tlp is None else _label(text.tlp),
        marks=tuple(_mark(key, value, names, report) for key, value in text.marks),
        retention=msgspec.structs.replace(_DEFAULT.retention, **said),
        size=_DEFAULT.size if text.size is None else _bytes(text.size, report),
        pseudonyms=None if text.pseudonyms is None else _pseudonyms(text.pseudonyms, names, report),
    )


def _pseudonyms(text: PseudonymsText, names: Names, report: Report) -> Pseudonyms:
    for word in text.zones:
        zone = names.zones.get(word.value)
        if zone is None:
            guess = did_you_mean(word.value, list(names.zones))
            report.error(word.at, f"there is no zone `{word.value}`", guess or "name a zone")
        elif not zone.networks:
            message = f"nothing says which addresses are those of hosts of `{word.value}`"
            report.error(word.at, message, "give the zone `networks`")
    keys = Pseudonyms(()).keys if text.keys is None else _key_life(text.keys, report)
    return Pseudonyms(tuple(dict.fromkeys(word.value for word in text.zones)), keys)


def consumers(texts: tuple[ConsumerText, ...], report: Report) -> dict[str, Consumer]:
    """By their names, in the order of the text."""
    found: dict[str, Consumer] = {}
    proofs: dict[tuple[str, str], str] = {}  # what proves who somebody is -> who it is
    if len(texts) > limits.MAX_CONSUMERS:
        report.error(texts[0].at, f"{len(texts):,} consumers", f"at most {limits.MAX_CONSUMERS:,}")
    for text in texts[: limits.MAX_CONSUMERS]:
        one = _consumer(text, report)
        for kind, word, digest in (
            ("token", text.token, one.token),
            ("certificate", text.certificate, one.certificate),
        ):
            if word is None:
                continue
            other = proofs.setdefault((kind, digest), one.name)
            if other != one.name:
                message = f"`{one.name}` would be taken for `{other}`: it is the same {kind}"
                report.error(word.at, message, f"give each consumer a {kind} of its own")
        found[one.name] = one
    return found


def _consumer(text: ConsumerText, report: Report) -> Consumer:
    name = named(text.name)
    push = text.push
    if not text.flawed and text.token is None and text.certificate is None and push is None:
        message = f"nobody can be `{name.value}`: it has neither a token nor a certificate"
        report.error(name.at, message, "write `token`, the digest of one, or `certificate`, the fingerprint of one")
    if push is not None and not push.flawed and (push.syslog is None) == (push.webhook is None):
        report.error(push.at, "`push` goes to one place", "write `syslog` or `webhook`")
    default = Consumer("", ())
    rate, burst = (default.rate, default.burst) if text.rate is None else _rate(text.rate, report)
    return Consumer(
        name=name.value,
        collections=tuple(dict.fromkeys(cast(Collection, word.value) for word in text.collections)),
        tlp=default.tlp if text.tlp is None else _label(text.tlp),
        token=value_of(text.token).removeprefix("sha256:").lower(),
        certificate=value_of(text.certificate).lower(),
        names="intelmq" if value_of(text.names) == "intelmq" else "standard",
        rate=rate,
        burst=burst,
        may=("indicators",) if text.may else (),
        syslog="" if push is None else value_of(push.syslog),
        webhook="" if push is None else value_of(push.webhook),
        owner=text.owner.value,
        description=value_of(text.description),
    )


def place(word: Word, names: Names, report: Report) -> str:
    """The name of a zone, or an address of the gateway."""
    if word.value in names.zones:
        if not names.zones[word.value].addresses:
            message = f"the gateway has no address in `{word.value}` that this text knows"
            report.error(word.at, message, "give the zone `addresses`, or write the address here")
        return word.value
    try:
        address = str(ip_address(word.value))
    except ValueError:
        guess = did_you_mean(word.value, list(names.zones))
        report.error(word.at, f"there is no zone `{word.value}`", guess or "name a zone or an address of the gateway")
        return word.value
    own = {one.address.partition("/")[0] for zone in names.zones.values() for one in zone.addresses}
    if address not in {str(ip_address(one)) for one in own} and not ip_address(address).is_loopback:
        report.error(word.at, f"{address} is no address of the gateway", "write one of its zones' `addresses`")
    return address


def _mark(key: Word, value: Word, names: Names, report: Report) -> Mark:
    kind, _, zone = key.value.partition(" ")
    if not zone:
        return Mark(_label(value), kept=kind)
    if zone not in names.zones:
        guess = did_you_mean(zone, list(names.zones))
        report.error(key.at, f"there is no zone `{zone}`", guess or "name a zone")
    return Mark(_label(value), zone=zone)


def _rate(word: Word, report: Report) -> tuple[int, int]:
    """`50/second burst 100`; `kinds.REQUESTS` has checked how it is written."""
    amount, _, rest = word.value.partition("/second")
    rate = int(amount)
    burst = int(rest.removeprefix(" burst ") or 2 * rate)
    if not 0 < rate <= limits.MAX_CONSUMER_RATE or not 0 < burst <= 10 * limits.MAX_CONSUMER_RATE:
        at_most = f"write 1 to {limits.MAX_CONSUMER_RATE:,} a second, and at most ten times that at once"
        report.error(word.at, f"`{word.value}` is out of bounds", at_most)
    return rate, burst


def _seconds(word: Word, report: Report) -> int:
    return seconds(
        word, limits.MIN_RETENTION_SECONDS, limits.MAX_RETENTION_SECONDS, "write 1 hour to 3660 days", report
    )


def _key_life(word: Word, report: Report) -> int:
    least, most = limits.MIN_PSEUDONYM_SECONDS, limits.MAX_PSEUDONYM_SECONDS
    return seconds(word, least, most, "write 1 hour to 366 days", report)


def _bytes(word: Word, report: Report) -> int:
    number, _, unit = word.value.partition(" ")
    found = 0 if number == "all" else int(number) * UNITS.get(unit, 1)
    if not limits.MIN_OUTBOX_BYTES <= found <= limits.MAX_OUTBOX_BYTES:
        report.error(word.at, f"`{word.value}` is out of bounds", "write 64 MiB to 999 GiB")
    return found


def _label(word: Word) -> TlpWord:
    return cast(TlpWord, word.value)
