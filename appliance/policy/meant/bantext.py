"""What the `bans` section of a text means."""

from __future__ import annotations

from typing import cast

from appliance.policy import limits
from appliance.policy.meant.lengths import seconds
from appliance.policy.meant.profiles import signatures
from appliance.policy.meant.rules import Resolver
from appliance.policy.model import ANY, EVERYTHING, AddressSet, AutomaticBan, Banning, Level, Range, Signatures
from appliance.policy.written.prevention import AutomaticBanText, BansText
from appliance.policy.written.text import Report, Word

DETECTIONS = frozenset({"port-scan", "host-scan", "guessing"})
_DEFAULT = AutomaticBan("")


def banning(text: BansText | None, resolver: Resolver, report: Report) -> Banning:
    if text is None:
        return Banning()
    return Banning(
        allow=allowed(text.allow, resolver, report),
        automatic=tuple(_automatic(each, resolver, report) for each in text.automatic),
        most=Banning().most if text.most is None else int(text.most.value),
        rate=Banning().rate if text.rate is None else int(text.rate.value),
    )


def allowed(words: tuple[Word, ...], resolver: Resolver, report: Report) -> AddressSet:
    if not words:
        return AddressSet()
    found = resolver.addresses(words)[1]
    if found.dynamic:
        report.error(
            words[0].at,
            "what a DNS name stands for is whatever its owner says",
            "name addresses, networks, or objects of them",
        )
    elif any(_is_everybody(part) for part in found.ranges):
        report.error(words[0].at, "this allows everybody, so that no ban holds", "name who must never be banned")
    return AddressSet(found.ranges)


def _is_everybody(part: Range) -> bool:
    return any(
        (part.version, part.first, part.last) == (all.version, all.first, all.last) for all in EVERYTHING.ranges
    )


def _automatic(text: AutomaticBanText, resolver: Resolver, report: Report) -> AutomaticBan:
    findings: list[str] = []
    meant: list[Signatures] = []
    for word in text.after:
        if word.value in DETECTIONS:
            findings.append(word.value)
        elif word.value.startswith("feed "):
            report.error(
                word.at, "an alert does not say its feed", "name signatures by `sid`, `category`, `severity`"
            )
        else:
            meant.append(signatures(word, word.value, report))
    zones = resolver.zones(text.sources, "from") if text.sources else ()
    return AutomaticBan(
        id=text.id.value,
        findings=tuple(dict.fromkeys(findings)),
        signatures=tuple(dict.fromkeys(meant)),
        sources=() if zones == (ANY,) else zones,
        confidence=_DEFAULT.confidence if text.confidence is None else cast(Level, text.confidence.value),
        lasts=tuple(_seconds(word, report) for word in text.lasts) or _DEFAULT.lasts,
        memory=_DEFAULT.memory if text.memory is None else _seconds(text.memory, report),
        owner=text.owner.value,
        why=text.why.value,
        span=report.span(text.at),
    )


def _seconds(word: Word, report: Report) -> int:
    return seconds(word, 1, limits.MAX_BAN_SECONDS, "write 1 minute to 366 days", report)
