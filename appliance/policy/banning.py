"""Who is banned by itself, for how long, and who is never: pure.

Who saw something asks `chosen` whether the policy bans for it; applyd, which trusts nobody's word for that, asks
again what it may know, whether the address is `spared`, and how long `lasting` is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from appliance.policy.addresses import words_of
from appliance.policy.model import AutomaticBan, Banning, Level, Range, Signatures

_SURE: tuple[Level, ...] = ("low", "medium", "high")
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


class Offence(msgspec.Struct, frozen=True):
    """What an address did: a finding of a detection, or a packet that a signature stopped.

    `zone` is where the address is. A signature is told by its numbers, the name of its class and its severity.
    """

    address: str
    finding: str = ""
    confidence: Level = "high"
    gid: int = 1
    sid: int = 0
    category: str = ""
    severity: int = 0
    zone: str = ""

    @property
    def author(self) -> str:
        """Who bans, as the list of bans names it: "detection port-scan", "signature 1:2019401"."""
        return f"detection {self.finding}" if self.finding else f"signature {self.gid}:{self.sid}"


def chosen(bans: Banning, offence: Offence) -> AutomaticBan | None:
    """The first automatic ban that is for such an offence; None when nobody is to be banned for it."""
    for each in bans.automatic:
        if each.sources and offence.zone not in each.sources:
            continue
        if offence.finding:
            if offence.finding in each.findings and _SURE.index(offence.confidence) >= _SURE.index(each.confidence):
                return each
        elif any(_means(words, offence) for words in each.signatures):
            return each
    return None


def _means(words: Signatures, offence: Offence) -> bool:
    if words.sid:
        return (words.gid, words.sid) == (offence.gid, offence.sid)
    if words.category:
        return words.category == offence.category
    return bool(words.severity) and words.severity == offence.severity


def of_author(automatic: AutomaticBan, author: str) -> bool:
    """Can this be the author of such a ban? A signature's class and severity are not in its name."""
    kind, _, name = author.partition(" ")
    if kind == "detection":
        return name in automatic.findings
    gid, _, sid = name.partition(":")
    if kind != "signature" or not (gid.isascii() and gid.isdigit() and sid.isascii() and sid.isdigit()):
        return False
    numbered = [words for words in automatic.signatures if words.sid]
    return len(numbered) < len(automatic.signatures) or (int(gid), int(sid)) in {
        (one.gid, one.sid) for one in numbered
    }


def lasting(automatic: AutomaticBan, earlier: int) -> int:
    """Seconds of a ban when `earlier` ones count."""
    return automatic.lasts[min(earlier, len(automatic.lasts) - 1)]


class Spared(msgspec.Struct, frozen=True):
    """Addresses that bans do not hold for, and why, as it follows "which is": "an address of the gateway"."""

    part: Range
    why: str


def held(spared: Iterable[Spared], wanted: Range) -> Spared | None:
    """The first whose addresses a ban would hold."""
    return next((one for one in spared if _meet(one.part, wanted)), None)


def around(spared: Iterable[Spared], wanted: Range) -> Spared | None:
    """The first that holds all of what would be banned."""
    return next((one for one in spared if _within(wanted, one.part)), None)


def said(spared: Spared, wanted: Range) -> str:
    """`10.20.0.0/16 holds 10.20.0.1, which is an address of the gateway`."""
    if spared.part == wanted:
        return f"{words_of(wanted)} is {spared.why}"
    if _within(wanted, spared.part):
        return f"{words_of(wanted)} is in {words_of(spared.part)}, which is {spared.why}"
    return f"{words_of(wanted)} holds {words_of(spared.part)}, which is {spared.why}"


def everybody(wanted: Range) -> bool:
    """Is it so wide that it can only be a mistake: all of one version of the Internet Protocol?"""
    return wanted.last - wanted.first + 1 == 1 << (32 if wanted.version == 4 else 128)


def inside(networks: Mapping[str, Sequence[Range]], outer: Iterable[str]) -> tuple[Spared, ...]:
    """The site's own networks, by zone; zones of `outer` are others'. One that is everybody's is nobody's own."""
    others = set(outer)
    return tuple(
        Spared(part, f"in the zone {zone}")
        for zone, parts in networks.items()
        if zone not in others
        for part in parts
        if not everybody(part)
    )


def length(seconds: int) -> str:
    """`1 hour`, `30 days`: in the greatest unit that fits without rest."""
    size, unit = next((one for one in _UNITS if seconds % one[0] == 0), (1, "second"))
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _meet(one: Range, other: Range) -> bool:
    return one.version == other.version and one.first <= other.last and other.first <= one.last


def _within(inner: Range, outer: Range) -> bool:
    return inner.version == outer.version and outer.first <= inner.first and inner.last <= outer.last
