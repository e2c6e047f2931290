"""Everything a word of a policy can refer to, resolved: objects, services, schedules, people, profiles.

`Names` is filled document by document: first the baselines, then the site. What a baseline defines, a site
may use and not define again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from appliance.policy import addresses, limits, times
from appliance.policy.addresses import AddressError
from appliance.policy.model import (
    ANY,
    GATEWAY,
    AddressSet,
    Dynamic,
    Feed,
    Group,
    Object,
    Person,
    Profile,
    Range,
    Schedule,
    Service,
    ServiceEntry,
    Span,
    Zone,
)
from appliance.policy.times import TimeError
from appliance.policy.written import services
from appliance.policy.written.builtin import BUILT_IN_PROFILES
from appliance.policy.written.document import DocumentText, GroupText, ObjectText, ScheduleText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.services import ServiceError
from appliance.policy.written.text import LINE_SHIFT, Report, Word, value_of

V = TypeVar("V")

RESERVED = (ANY, GATEWAY, "not", "role", "group", "none", "yes", "no")


class Names(msgspec.Struct):
    """The vocabulary of one policy. Dicts are in the order of definition, baselines first."""

    timezone: str = "UTC"
    zones: dict[str, Zone] = {}
    objects: dict[str, Object] = {}
    services: dict[str, Service] = {}
    schedules: dict[str, Schedule] = {}
    people: dict[str, Person] = {}
    groups: dict[str, Group] = {}
    feeds: dict[str, Feed] = {}
    profiles: dict[str, Profile] = msgspec.field(default_factory=lambda: dict(BUILT_IN_PROFILES))
    dynamics: dict[str, Dynamic] = {}
    # "object records" -> the baseline that defined it and where; what a site may not define again.
    inherited: dict[str, tuple[str, Span]] = {}
    # Names whose definition had problems: a reference to them says nothing new.
    broken: set[str] = msgspec.field(default_factory=set)


def define(
    document: DocumentText, names: Names, files: Mapping[str, str], report: Report, baseline: str = ""
) -> None:
    """Adds what a document defines to `names`; `baseline` is its name when it is one."""
    _Objects(document, names, files, report, baseline).define()
    _Services(document, names, report, baseline).define()
    _schedules(document.schedules, names, report, baseline)
    _people(document, names, report, baseline)


def named(word: Word | None) -> Word:
    assert word is not None  # `schema` gives every named record its name
    return word


def may_define(kind: str, name: Word, names: Names, report: Report, baseline: str) -> bool:
    """Whether a document may define a name; records who did."""
    if name.value in RESERVED:
        report.error(
            name.at, f"`{name.value}` means something else in a policy", f"choose another name for this {kind}"
        )
        return False
    earlier = names.inherited.get(f"{kind} {name.value}")
    if earlier is not None:
        owner, span = earlier
        report.error(
            name.at,
            f"the {kind} `{name.value}` is defined by the baseline `{owner}` ({span})",
            "use it as it is, or choose another name",
        )
        return False
    if baseline:
        names.inherited[f"{kind} {name.value}"] = (baseline, report.span(name.at))
    return True


class _Objects:
    """Resolves objects on demand, so that they may stand in any order; finds cycles."""

    def __init__(
        self, document: DocumentText, names: Names, files: Mapping[str, str], report: Report, baseline: str
    ) -> None:
        self.texts = {named(text.name).value: text for text in document.objects}
        self.names = names
        self.files = files
        self.report = report
        self.baseline = baseline
        self.open: list[str] = []

    def define(self) -> None:
        if len(self.texts) > limits.MAX_OBJECTS:
            self.report.error(
                0, f"{len(self.texts):,} objects", f"at most {limits.MAX_OBJECTS:,}; use lists from files"
            )
            return
        # First what may be defined here at all, so that a member never means a refused definition.
        for text in list(self.texts.values()):
            name = named(text.name)
            if not may_define("object", name, self.names, self.report, self.baseline):
                del self.texts[name.value]
                if name.value not in self.names.objects:
                    self.names.broken.add(name.value)
        for key, text in self.texts.items():
            if key not in self.names.objects:
                self._define_one(text)

    def _define_one(self, text: ObjectText) -> None:
        name = named(text.name)
        if text.flawed:
            self.names.broken.add(name.value)
        self.open.append(name.value)
        ranges: list[Range] = []
        for word, read in (
            *((word, addresses.network) for word in text.networks),
            *((word, self._single) for word in text.addresses),
            *((word, addresses.span_of) for word in text.ranges),
        ):
            try:
                ranges.append(read(word.value))
            except AddressError as error:
                self._broken(name, word.at, str(error), error.remedy)
        if text.file is not None:
            ranges.extend(self._list(text.file, name))
        dynamic: list[str] = []
        if text.names:
            dynamic.append(self._dns(text, name))
        elif text.cap is not None or text.refresh is not None:
            extra = text.cap or text.refresh
            assert extra is not None
            self.report.error(extra.at, f"`{name.value}` has no DNS names to bound", "remove the key, or add `names`")
        for member in text.members:
            found = self._member(member, name)
            if found is not None:
                ranges.extend(found.addresses.ranges)
                dynamic.extend(found.addresses.dynamic)
        if not ranges and not dynamic and name.value not in self.names.broken:
            self._broken(
                name,
                name.at,
                f"the object `{name.value}` stands for nothing",
                "give it `networks`, `names` or `members`",
            )
        self.open.pop()
        whole = addresses.normal(ranges)
        if len(whole) > limits.MAX_RANGES:
            self._broken(name, name.at, f"`{name.value}` has {len(whole):,} ranges", f"at most {limits.MAX_RANGES:,}")
        self.names.objects[name.value] = Object(
            name.value,
            AddressSet(whole, tuple(dict.fromkeys(dynamic))),
            value_of(text.classification),
            value_of(text.description),
            self.report.span(name.at),
        )

    def _broken(self, name: Word, at: int, message: str, remedy: str) -> None:
        self.names.broken.add(name.value)
        self.report.error(at, message, remedy)

    @staticmethod
    def _single(word: str) -> Range:
        version, number = addresses.address(word)
        return Range(version, number, number)

    def _dns(self, text: ObjectText, name: Word) -> str:
        stem = f"dns_{name.value}"
        self.names.dynamics[stem] = Dynamic(
            stem,
            "dns",
            tuple(dict.fromkeys(word.value.lower() for word in text.names)),
            cap=int(value_of(text.cap) or 256),
            refresh=int(value_of(text.refresh) or 300),
        )
        return stem

    def _member(self, member: Word, owner: Word) -> Object | None:
        name = member.value
        if name in self.open:
            cycle = " -> ".join([*self.open[self.open.index(name) :], name])
            self._broken(owner, member.at, f"the objects contain each other: {cycle}", "take one of them out")
            return None
        if len(self.open) >= limits.MAX_NESTING:
            self._broken(owner, member.at, f"objects nested more than {limits.MAX_NESTING} deep", "unfold them")
            return None
        if name not in self.names.objects:
            text = self.texts.get(name)
            if text is None:
                guess = did_you_mean(name, [*self.texts, *self.names.objects])
                self._broken(owner, member.at, f"there is no object `{name}`", guess or "define it under `objects`")
                return None
            self._define_one(text)
        if name in self.names.broken:
            self.names.broken.add(owner.value)
        return self.names.objects.get(name)

    def _list(self, file: Word, name: Word) -> list[Range]:
        """The ranges of a list file; its problems are told at the file's own lines."""
        content = self.files.get(file.value)
        if content is None:
            self._broken(name, file.at, f"the list `{file.value}` is not there", "put it beside the policy")
            return []
        if len(content) > limits.MAX_LIST_FILE_BYTES:
            self._broken(
                name, file.at, f"the list `{file.value}` is too big", f"at most {limits.MAX_LIST_FILE_BYTES:,} bytes"
            )
            return []
        ranges: list[Range] = []
        inner = Report(file.value)
        for number, line in enumerate(content.split("\n")):
            word = line.partition("#")[0].strip()
            if word:
                try:
                    ranges.append(addresses.literal(word))
                except AddressError as error:
                    if len(inner.found) < 100:
                        inner.error(number << LINE_SHIFT, str(error), error.remedy)
        if inner.found:
            self._broken(name, file.at, f"the list `{file.value}` has problems", "see below")
            self.report.include(file.at, inner)
        return ranges


class _Services:
    """Resolves named services on demand; finds cycles."""

    def __init__(self, document: DocumentText, names: Names, report: Report, baseline: str) -> None:
        self.texts = {name.value: (name, words) for name, words in document.services}
        self.names = names
        self.report = report
        self.baseline = baseline
        self.open: list[str] = []

    def define(self) -> None:
        for key, (name, _) in list(self.texts.items()):
            if services.looks_literal(key) or key in services.WELL_KNOWN:
                self.report.error(name.at, f"the service `{key}` is built in", "choose another name")
                del self.texts[key]
            elif not may_define("service", name, self.names, self.report, self.baseline):
                del self.texts[key]
        for key in self.texts:
            if key not in self.names.services:
                self._define_one(key)

    def _define_one(self, key: str) -> None:
        name, words = self.texts[key]
        self.open.append(key)
        entries: list[ServiceEntry] = []
        for word in words:
            entries.extend(self._entries(word))
        self.open.pop()
        self.names.services[key] = Service(key, services.normal(entries), self.report.span(name.at))

    def _entries(self, word: Word) -> tuple[ServiceEntry, ...]:
        key = word.value
        if key in self.open:
            cycle = " -> ".join([*self.open[self.open.index(key) :], key])
            self.report.error(word.at, f"the services contain each other: {cycle}", "take one of them out")
            return ()
        if key in self.texts and key not in self.names.services:
            if len(self.open) >= limits.MAX_NESTING:
                self.report.error(word.at, f"services nested more than {limits.MAX_NESTING} deep", "unfold them")
                return ()
            self._define_one(key)
        return service_entries(word, self.names, self.report, self.texts)


def service_entries(
    word: Word, names: Names, report: Report, more: Mapping[str, object] | None = None
) -> tuple[ServiceEntry, ...]:
    """What one service word stands for; () and a problem when it stands for nothing."""
    key = word.value
    named = names.services.get(key)
    if named is not None:
        return named.entries
    if key == ANY:
        return services.ANY_SERVICE
    known = services.WELL_KNOWN.get(key)
    if known is not None:
        return tuple(entry for literal in known for entry in services.entries_of(literal))
    if more is not None and key in more:
        return ()  # its own definition was reported
    if services.looks_literal(key):
        try:
            return services.entries_of(key)
        except ServiceError as error:
            report.error(word.at, str(error), error.remedy)
            return ()
    guess = did_you_mean(key, [*names.services, *(more or ()), *services.WELL_KNOWN])
    report.error(
        word.at, f"there is no service `{key}`", guess or "define it under `services`, or write `tcp/<port>`"
    )
    return ()


def _schedules(texts: tuple[ScheduleText, ...], names: Names, report: Report, baseline: str) -> None:
    for text in texts:
        name = named(text.name)
        if not may_define("schedule", name, names, report, baseline):
            continue
        if len(text.times) > limits.MAX_TIMES:
            report.error(name.at, f"{len(text.times):,} times in one schedule", f"at most {limits.MAX_TIMES:,}")
            continue
        spans: list[tuple[int, int]] = []
        for word in text.times:
            spans.extend(_timely(times.week_spans, word, report) or [])
        _timely(times.zone, text.timezone, report)
        _timely(times.day, text.first, report)
        _timely(times.day, text.last, report)
        first, last = value_of(text.first), value_of(text.last)
        if first and last and first > last and text.last is not None:
            report.error(
                text.last.at, f"`{name.value}` ends on {last}, before it begins on {first}", "exchange the dates"
            )
        names.schedules[name.value] = Schedule(
            name.value,
            value_of(text.timezone) or names.timezone,
            times.merge(spans),
            first,
            last,
            report.span(name.at),
        )


def _timely(read: Callable[[str], V], word: Word | None, report: Report) -> V | None:
    if word is None:
        return None
    try:
        return read(word.value)
    except TimeError as error:
        report.error(word.at, str(error), error.remedy)
        return None


def _people(document: DocumentText, names: Names, report: Report, baseline: str) -> None:
    for person in document.people:
        name = named(person.name)
        if may_define("person", name, names, report, baseline):
            names.people[name.value] = Person(
                name.value, value_of(person.full_name), value_of(person.email), report.span(name.at)
            )
    texts = {named(text.name).value: text for text in document.groups}
    done: dict[str, tuple[str, ...]] = {}
    for text in document.groups:
        name = named(text.name)
        if may_define("group", name, names, report, baseline):
            members = _group_members(text, texts, done, [], names, report)
            names.groups[name.value] = Group(name.value, members, report.span(name.at))


def _group_members(
    text: GroupText,
    texts: dict[str, GroupText],
    done: dict[str, tuple[str, ...]],
    above: list[str],
    names: Names,
    report: Report,
) -> tuple[str, ...]:
    """The ids of everybody in a group, groups in groups unfolded."""
    own = named(text.name).value
    if own in done:
        return done[own]
    found: dict[str, None] = {}
    for word in text.members:
        _, colon, inner = word.value.partition(":")
        if not colon:
            if word.value in names.people:
                found[word.value] = None
            else:
                guess = did_you_mean(word.value, list(names.people))
                if word.value in texts or word.value in names.groups:
                    guess = f"write `group:{word.value}`"
                report.error(
                    word.at, f"there is no person `{word.value}`", guess or "define the person under `people`"
                )
        elif inner in (*above, own):
            cycle = " -> ".join([*above, own, inner])
            report.error(word.at, f"the groups contain each other: {cycle}", "take one of them out")
        elif inner in texts:
            if len(above) >= limits.MAX_NESTING:
                report.error(word.at, f"groups nested more than {limits.MAX_NESTING} deep", "unfold them")
                continue
            found.update(dict.fromkeys(_group_members(texts[inner], texts, done, [*above, own], names, report)))
        elif inner in names.groups:
            found.update(dict.fromkeys(names.groups[inner].members))
        else:
            guess = did_you_mean(inner, [*texts, *names.groups])
            report.error(word.at, f"there is no group `{inner}`", guess or "define it under `groups`")
    done[own] = tuple(found)
    return done[own]
