"""Inspection as the text asks for it: profiles, the feeds of signatures, and suppressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar, cast

import msgspec

from appliance.policy import limits
from appliance.policy.meant.names import Names, may_define, named
from appliance.policy.meant.rules import SECONDS, Resolver
from appliance.policy.model import (
    ANY,
    DEPTH,
    EVERYTHING,
    AddressSet,
    Feed,
    Profile,
    Reaction,
    Shed,
    SignatureAction,
    Signatures,
    Suppression,
    Threshold,
)
from appliance.policy.written.builtin import BUILT_IN_PROFILES
from appliance.policy.written.categories import CATEGORIES
from appliance.policy.written.document import DocumentText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.prevention import FeedText, ProfileText, SuppressionText
from appliance.policy.written.text import Report, Word, value_of

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DIRECTIONS = ("inbound", "outbound", "inside")
_ID_MAX = (1 << 32) - 1
K = TypeVar("K")


def define(document: DocumentText, names: Names, report: Report, baseline: str = "") -> None:
    """Adds the feeds and profiles of a document to `names`; `baseline` is its name when it is one."""
    for text in document.feeds:
        name = named(text.name)
        if may_define("feed", name, names, report, baseline):
            names.feeds[name.value] = _feed(text, report)
    _Profiles(document, names, report, baseline).define()


def _feed(text: FeedText, report: Report) -> Feed:
    name = named(text.name)
    sure = (text.sha256, text.checksum, text.key)
    if not text.flawed:
        if (text.file is None) == (text.address is None):
            message = f"the feed `{name.value}` has " + ("two origins" if text.file else "no origin")
            report.error(name.at, message, "give it `file`, or `address`")
        elif text.address is not None and not any(sure):
            report.error(
                text.address.at,
                f"nothing says that what `{name.value}` gives is what was meant",
                "give it `sha256`, `checksum` or `key`",
            )
        elif text.file is not None and any((*sure, text.refresh)):
            report.error(name.at, f"the feed `{name.value}` is a file", "`sha256`, `checksum`, `key`, `refresh` go")
    return Feed(
        name.value,
        value_of(text.file),
        value_of(text.address),
        value_of(text.sha256).lower(),
        value_of(text.checksum),
        value_of(text.key),
        int(value_of(text.refresh) or 24),
        int(value_of(text.trial) or 0),
        value_of(text.description),
        report.span(name.at),
    )


class _Profiles:
    """Resolves profiles on demand, so that they may stand in any order; finds cycles."""

    def __init__(self, document: DocumentText, names: Names, report: Report, baseline: str) -> None:
        self.texts = {named(text.name).value: text for text in document.profiles}
        self.names = names
        self.report = report
        self.baseline = baseline
        self.open: list[str] = []

    def define(self) -> None:
        for key, text in list(self.texts.items()):
            name = named(text.name)
            if key in BUILT_IN_PROFILES:
                self.report.error(
                    name.at, f"the profile `{key}` is built in", f"choose another name, and write `extends: {key}`"
                )
                del self.texts[key]
            elif not may_define("profile", name, self.names, self.report, self.baseline):
                del self.texts[key]
        for key, text in self.texts.items():
            if key not in self.names.profiles:
                self._define_one(text)

    def _define_one(self, text: ProfileText) -> None:
        name = named(text.name)
        self.open.append(name.value)
        begins = self._extended(text.extends) if text.extends is not None else Profile(name.value)
        self.open.pop()
        found = msgspec.structs.replace(
            begins, name=name.value, description=value_of(text.description), span=self.report.span(name.at)
        )
        changes: dict[str, object] = {}
        if text.unavailable is not None:
            changes["unavailable"] = text.unavailable.value
        if text.depth is not None:
            changes["depth"] = size(text.depth, self.report)
        if text.overload:
            changes["overload"] = _overload(text.overload, self.report)
        if text.feeds:
            changes["feeds"] = tuple(word.value for word in text.feeds if self._feed_is_there(word, word.value))
        changes["reactions"] = _over(
            begins.reactions, self._reactions(text), lambda one: (one.signatures, one.direction)
        )
        changes["thresholds"] = _over(begins.thresholds, self._thresholds(text), lambda one: one.signatures)
        self.names.profiles[name.value] = msgspec.structs.replace(found, **changes)

    def _extended(self, word: Word) -> Profile:
        name = word.value
        if name in self.open:
            cycle = " -> ".join([*self.open[self.open.index(name) :], name])
            self.report.error(word.at, f"the profiles extend each other: {cycle}", "take one of them out")
            return Profile(name)
        if name not in self.names.profiles:
            text = self.texts.get(name)
            if text is None:
                guess = did_you_mean(name, [*self.texts, *self.names.profiles])
                self.report.error(
                    word.at, f"there is no inspection profile `{name}`", guess or "define it under `profiles`"
                )
                return Profile(name)
            if len(self.open) >= limits.MAX_NESTING:
                self.report.error(word.at, f"profiles nested more than {limits.MAX_NESTING} deep", "unfold them")
                return Profile(name)
            self._define_one(text)
        return self.names.profiles[name]

    def _feed_is_there(self, word: Word, name: str) -> bool:
        if name in self.names.feeds:
            return True
        guess = did_you_mean(name, list(self.names.feeds))
        self.report.error(word.at, f"there is no feed `{name}`", guess or "define it under `feeds`")
        return False

    def _reactions(self, text: ProfileText) -> list[Reaction]:
        found: dict[tuple[Signatures, str], Reaction] = {}
        for written, action in text.actions:
            words, _, last = written.value.rpartition(" ")
            direction = last if last in _DIRECTIONS else ""
            meant = self._signatures(written, words if direction else written.value)
            if (meant, direction) in found:
                self.report.error(written.at, f"`{written.value}` is said twice", "keep one of them")
            found[meant, direction] = Reaction(
                meant,
                cast(SignatureAction, action.value),
                cast(Literal["", "inbound", "outbound", "inside"], direction),
            )
        return list(found.values())

    def _thresholds(self, text: ProfileText) -> list[Threshold]:
        found: dict[Signatures, Threshold] = {}
        for written, word in text.thresholds:
            meant = self._signatures(written, written.value)
            if meant in found:
                self.report.error(written.at, f"`{written.value}` is said twice", "keep one of them")
            found[meant] = _threshold(meant, word, self.report)
        return list(found.values())

    def _signatures(self, word: Word, words: str) -> Signatures:
        meant = signatures(word, words, self.report)
        if meant.feed:
            self._feed_is_there(word, meant.feed)
        return meant


def _over(below: tuple[K, ...], above: list[K], about: Callable[[K], object]) -> tuple[K, ...]:
    """Both, without what `above` says anew."""
    said = {about(item) for item in above}
    return (*(item for item in below if about(item) not in said), *above)


def signatures(word: Word, words: str, report: Report) -> Signatures:
    """What `sid 1:2019401`, `category x`, `severity 1`, `feed x` or `any` stands for; `word` is where it is said."""
    kind, _, value = words.partition(" ")
    if kind == "sid":
        gid, _, sid = value.rpartition(":")
        meant = Signatures(sid=int(sid), gid=int(gid or 1))
        if not 0 < meant.sid <= _ID_MAX or meant.gid > _ID_MAX:
            report.error(word.at, f"`{words}` is no number of a signature", f"write 1 to {_ID_MAX:,}")
        return meant
    if kind == "severity":
        if not 1 <= int(value) <= 255:
            report.error(word.at, f"`{words}` is no severity", "write 1 (the worst) to 255")
        return Signatures(severity=int(value))
    if kind == "category":
        if value not in CATEGORIES:
            guess = did_you_mean(value, sorted(CATEGORIES))
            remedy = "otherwise a feed must bring a class of this name" if guess else "only a feed could bring it"
            report.warn(
                word.at, f"`{value}` is no category that is known here", " ".join(filter(None, (guess, remedy)))
            )
        return Signatures(category=value)
    return Signatures(feed=value) if kind == "feed" else Signatures()


def _threshold(meant: Signatures, word: Word, report: Report) -> Threshold:
    """`at most 1/10 minutes per source`; `kinds.THRESHOLD` has checked how it is written."""
    said, _, per = word.value.partition(" per ")
    said, _, span = said.partition("/")
    kind, _, count = said.rpartition(" ")
    number, _, unit = span.rpartition(" ")
    seconds = int(number or 1) * SECONDS[unit.removesuffix("s")]
    if not int(count) or not 0 < seconds <= limits.MAX_THRESHOLD_SECONDS:
        report.error(word.at, f"`{word.value}` is out of bounds", "write a number from 1, and at most 30 days")
    return Threshold(
        meant,
        cast(Literal["at-most", "every", "once-after"], kind.replace(" ", "-")),
        int(count),
        seconds,
        cast(Literal["rule", "source", "destination", "pair"], per or "rule"),
    )


def size(word: Word, report: Report) -> int:
    """Bytes; 0 for `all`."""
    if word.value == "all":
        return 0
    number, _, unit = word.value.partition(" ")
    count = int(number) * UNITS.get(unit, 1)
    if not limits.MIN_DEPTH <= count <= limits.MAX_DEPTH_BYTES:
        report.error(word.at, f"`{word.value}` is out of bounds", "write 4 KiB to 1024 GiB, or `all`")
        return DEPTH
    return count


def _overload(words: tuple[Word, ...], report: Report) -> tuple[Shed, ...]:
    said = [word.value for word in words]
    for number, word in enumerate(words):
        if word.value in said[:number]:
            report.error(word.at, f"`{word.value}` is said twice", "keep the first")
        if word.value == "nothing" and len(words) > 1:
            report.error(word.at, "`nothing` beside other words", "write `nothing` alone, or leave it out")
    return () if "nothing" in said else tuple(cast(Shed, word) for word in dict.fromkeys(said))


def suppression(text: SuppressionText, names: Names, resolver: Resolver, report: Report) -> Suppression:
    """What a suppression means. One that holds everywhere is an error: for that there are the actions of profiles."""
    meant = [signatures(word, word.value, report) for word in text.signatures]
    for word, one in zip(text.signatures, meant, strict=True):
        if one.feed and one.feed not in names.feeds:
            guess = did_you_mean(one.feed, list(names.feeds))
            report.error(word.at, f"there is no feed `{one.feed}`", guess or "define it under `feeds`")
    somewhere = (text.host, text.source, text.destination, text.sources, text.destinations)
    if not any(somewhere) and not text.flawed:
        report.error(
            text.at,
            f"`{text.id.value}` does not say where",
            "give it `host`, `source`, `destination`, `from` or `to`; what is to be silent everywhere is "
            f"`{text.signatures[0].value}: off` among the `actions` of a profile",
        )
    expires, expires_at = resolver.moment(text.expires) if text.expires.value else ("", 0)
    return Suppression(
        id=text.id.value,
        signatures=tuple(dict.fromkeys(meant)),
        action="alert" if value_of(text.action) == "alert" else "off",
        source=_static(text.source, resolver, report),
        destination=_static(text.destination, resolver, report),
        either=_static(text.host, resolver, report),
        sources=_zones(text.sources, "from", resolver),
        destinations=_zones(text.destinations, "to", resolver),
        profiles=tuple(resolver.profile(word) for word in text.profiles),
        owner=text.owner.value,
        why=text.why.value,
        ticket=value_of(text.ticket),
        expires=expires,
        expires_at=expires_at,
        span=report.span(text.at),
    )


def _zones(words: tuple[Word, ...], side: str, resolver: Resolver) -> tuple[str, ...]:
    found = resolver.zones(words, side) if words else ()
    return () if found == (ANY,) else found


def _static(words: tuple[Word, ...], resolver: Resolver, report: Report) -> AddressSet:
    if not words:
        return EVERYTHING
    found = resolver.addresses(words)[1]
    if found.dynamic:
        report.error(
            words[0].at,
            "what a DNS name stands for is known only later, and to the kernel",
            "name addresses, networks, or objects of them",
        )
    return found
