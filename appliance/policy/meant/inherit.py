"""Baselines: what a site inherits and cannot weaken (R9).

A baseline gives objects, services and schedules to use; settings to start from; rules before (`first`) and
after (`last`) those of the site in every zone pair; invariants; and locked values. It does not know the
zones of a site, so it speaks of `any`, `gateway`, and zones by their role. A baseline may inherit from
baselines; what the outermost says weighs most.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from appliance.policy import limits
from appliance.policy.meant.names import Names
from appliance.policy.model import Span
from appliance.policy.written.builtin import BUILT_IN_PROFILES
from appliance.policy.written.document import BaselineText, DocumentText, SettingsText, SiteText
from appliance.policy.written.kinds import Choice, did_you_mean
from appliance.policy.written.schema import declared, decode
from appliance.policy.written.text import Report, Table, Word, check_characters, compose, refuse_size, unix_lines

# A gateway takes baselines from its own folder only: who may apply a policy must not bring a weaker one along.
_PLACES = "put `{name}.yaml` beside the policy to check it, and into the gateway's `baselines` folder to apply it"


class Baseline(msgspec.Struct, frozen=True):
    """A baseline that was read. `document` is None when it could not be."""

    name: str
    report: Report
    document: BaselineText | None


class Lock(msgspec.Struct, frozen=True):
    """A value that nobody below `baseline` may change."""

    value: str
    baseline: str
    span: Span


def read(document: DocumentText, inherited: Mapping[str, str], report: Report) -> list[Baseline]:
    """The baselines of a document, outermost first, each once. Problems of a baseline are in its own report."""
    found: dict[str, Baseline] = {}
    _read_into(found, document, inherited, report, [])
    return list(found.values())


def _read_into(
    found: dict[str, Baseline],
    document: DocumentText,
    inherited: Mapping[str, str],
    report: Report,
    above: list[str],
) -> None:
    for word in document.inherits:
        name = word.value
        if name in above:
            cycle = " -> ".join([*above[above.index(name) :], name])
            report.error(word.at, f"the baselines inherit each other: {cycle}", "remove one of them")
            continue
        if name in found:
            continue
        if len(found) + len(above) >= limits.MAX_BASELINES:
            report.error(word.at, f"more than {limits.MAX_BASELINES} baselines", "join some of them")
            return
        text = inherited.get(name)
        if text is None:
            guess = did_you_mean(name, list(inherited))
            report.error(word.at, f"there is no baseline `{name}`", guess or _PLACES.format(name=name))
            continue
        inner = Report(f"{name}.yaml")
        own = _read_one(text, name, inner)
        if own is not None:
            _read_into(found, own, inherited, inner, [*above, name])
        found[name] = Baseline(name, inner, own)


def _read_one(text: str, name: str, report: Report) -> BaselineText | None:
    refuse_size(text, report.file)
    text = unix_lines(text)
    check_characters(text, report)
    node = None if report.failed else compose(text, report)
    if node is None or report.failed:
        return None
    if isinstance(node, Table) and "site" in node.entries and "baseline" not in node.entries:
        report.error(
            node.at, f"`{name}` is the policy of a site, not a baseline", "inherit a text with `baseline: <name>`"
        )
        return None
    document = decode(node, BaselineText, report, "the baseline")
    if document is not None and document.baseline.value and document.baseline.value != name:
        report.error(
            document.baseline.at,
            f"this baseline calls itself `{document.baseline.value}`",
            f"write `baseline: {name}`",
        )
    return document


class Locks:
    """The locked values, and the judgement whether somebody tries to change one."""

    def __init__(self) -> None:
        self.locks: dict[str, Lock] = {}

    def add(self, baseline: Baseline) -> None:
        """Takes the locks of a baseline; one that contradicts an outer baseline is a problem of the inner one."""
        if baseline.document is None:
            return
        for path, value in baseline.document.locked:
            earlier = self.locks.get(path.value)
            if earlier is not None and earlier.value != value.value:
                _refuse(value, path.value, earlier, baseline.report)
            elif _lockable(path, value, baseline.report):
                lock = Lock(value.value, baseline.name, baseline.report.span(path.at))
                self.locks.setdefault(path.value, lock)

    def check(self, document: DocumentText, report: Report) -> None:
        """Reports every value of a document that a lock forbids, with the line of the lock."""
        if document.settings is not None:
            for key, known in declared(SettingsText).items():
                lock = self.locks.get(f"settings.{key}")
                written = getattr(document.settings, known.field)
                for word in written if isinstance(written, tuple) else (written,):
                    if lock is not None and word is not None and word.value != lock.value:
                        _refuse(word, f"settings.{key}", lock, report)
        if isinstance(document, SiteText):
            for zone in document.zones:
                assert zone.name is not None
                role = zone.role.value if zone.role is not None else ""
                lock = self.of_zone(zone.name.value, role)
                if lock is not None and zone.antispoofing is not None and zone.antispoofing.value != lock.value:
                    _refuse(zone.antispoofing, f"zones.{zone.name.value}.antispoofing", lock, report)
            for bridge in document.bridges:
                lock = self.of_profile(bridge.inspect.value)
                if lock is not None and bridge.unavailable is not None and bridge.unavailable.value != lock.value:
                    _refuse(bridge.unavailable, f"profiles.{bridge.inspect.value}.unavailable", lock, report)
        for profile in document.profiles:
            assert profile.name is not None
            lock = self.of_profile(profile.name.value)
            if lock is not None and profile.unavailable is not None and profile.unavailable.value != lock.value:
                _refuse(profile.unavailable, f"profiles.{profile.name.value}.unavailable", lock, report)

    def of_zone(self, name: str, role: str) -> Lock | None:
        """What holds for a zone's anti-spoofing: by its name, by its role, for every zone."""
        for part in (name, f"role:{role}", "*"):
            lock = self.locks.get(f"zones.{part}.antispoofing")
            if lock is not None:
                return lock
        return None

    def of_profile(self, name: str) -> Lock | None:
        return self.locks.get(f"profiles.{name}.unavailable") or self.locks.get("profiles.*.unavailable")

    def settings(self) -> SettingsText:
        """The locked settings, as if they had been written."""
        entries = {
            path.removeprefix("settings."): Word(lock.value, 0)
            for path, lock in self.locks.items()
            if path.startswith("settings.")
        }
        found = decode(Table(dict(entries), dict.fromkeys(entries, 0), 0), SettingsText, Report(""), "the settings")
        assert found is not None
        return found

    def profiles(self, names: Names) -> None:
        """Brings the profiles to what is locked."""
        for name, profile in names.profiles.items():
            lock = self.of_profile(name)
            if lock is not None:
                unavailable = "fail-open" if lock.value == "fail-open" else "fail-closed"
                names.profiles[name] = msgspec.structs.replace(profile, unavailable=unavailable)


def _refuse(written: Word, path: str, lock: Lock, report: Report) -> None:
    report.error(
        written.at,
        f"`{path}` is locked at `{lock.value}` by the baseline `{lock.baseline}` ({lock.span})",
        f"write `{lock.value}`, or leave the key out",
    )


def _lockable(path: Word, value: Word, report: Report) -> bool:
    """Whether a path names a value that can be locked, and the value is one it can have."""
    head, _, rest = path.value.partition(".")
    middle, _, last = rest.rpartition(".")
    if head == "settings" and not middle:
        known = declared(SettingsText).get(last)
        if known is not None:
            before = len(report.found)
            known.read(value, path.value, report)
            return len(report.found) == before
        guess = did_you_mean(last, list(declared(SettingsText)))
        known_settings = ", ".join(f"`{key}`" for key in declared(SettingsText))
        report.error(path.at, f"there is no setting `{last}`", guess or f"the settings are {known_settings}")
        return False
    choices = {"zones": ("antispoofing", ("yes", "no")), "profiles": ("unavailable", ("fail-open", "fail-closed"))}
    if head in choices and middle and last == choices[head][0]:
        if head == "profiles" and middle not in ("*", *BUILT_IN_PROFILES) and middle.startswith("role:"):
            report.error(path.at, f"`{path.value}`: profiles have no role", "write `profiles.*.unavailable`")
            return False
        said = Choice(choices[head][1]).wrong(value.value)
        if said is not None:
            report.error(value.at, f"`{path.value}`: {said[0]}", said[1])
        return said is None
    report.error(
        path.at,
        f"`{path.value}` cannot be locked",
        "write `settings.<key>`, `zones.<name, role or *>.antispoofing`, or `profiles.<name or *>.unavailable`",
    )
    return False
