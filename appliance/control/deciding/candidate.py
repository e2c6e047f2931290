"""From a text to a bundle: parse, number, compile, seal. Pure but for the numbers' file; caches stay warm."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec

from appliance.control.deciding.numbering import Numbers
from appliance.control.messages.text import Finding
from appliance.policy.compiling.bundle import BridgeInfo, Bundle, QuarantineInfo
from appliance.policy.compiling.compile import CompileCache, Compiled, compile_policy
from appliance.policy.compiling.emit import addresses
from appliance.policy.meant.noticing import officers
from appliance.policy.meant.parse import ParseCache, parse
from appliance.policy.model import AutomaticBan, Feed, Policy, Profile, Suppression
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.written.services import words_of_entry

# What every text is called while it is parsed, so that the parser knows one again that came under another name.
_NAME = "<policy>"
_SAME = 60.0  # seconds: warnings of what has expired are not older than that
MAX_FINDINGS = 1000  # more than a person reads, fewer than a frame holds


class Candidate(msgspec.Struct, frozen=True):
    """A text that parsed. `seconds` is how long it took."""

    text: str
    file: str
    files: dict[str, str]
    inherited: dict[str, str]
    policy: Policy
    findings: tuple[Finding, ...]
    seconds: float


class Origin(msgspec.Struct, frozen=True):
    """Whose generation it is to be, and made from which."""

    generation: int
    parent: int
    author: str
    reason: str


class Workshop:
    """Parses and compiles, and remembers for the next time: one rule of many that changed is then quick."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._parsed = ParseCache()
        self._compiled = CompileCache()
        self._last: Candidate | None = None
        self._last_at = 0.0

    def read(self, text: str, file: str, files: Mapping[str, str], inherited: Mapping[str, str]) -> Candidate:
        """Raises `PolicyError` with every problem of the text."""
        begun = time.perf_counter()
        last = self._last
        if last is not None and begun - self._last_at < _SAME:
            # A plan and the apply after it are of one text.
            same = (last.text, last.file, last.files, last.inherited) == (text, file, files, inherited)
            if same:
                return msgspec.structs.replace(last, seconds=time.perf_counter() - begun)
        now = time.time()
        try:
            policy, warnings = parse(text, _NAME, inherited=inherited, files=files, cache=self._parsed, now=now)
        except PolicyError as error:
            raise PolicyError(renamed(error.problems, file)) from error
        warnings = renamed(warnings, file)
        seconds = time.perf_counter() - begun
        self._last = Candidate(text, file, dict(files), dict(inherited), policy, findings(warnings), seconds)
        self._last_at = begun
        return self._last

    def compile(self, candidate: Candidate, origin: Origin, capabilities: frozenset[str]) -> Bundle:
        """Raises `OutOfNumbers`, and OSError when new rule numbers cannot be kept."""
        policy = self._numbers.number(candidate.policy)
        now = time.time()
        compiled = compile_policy(
            policy, generation=origin.generation, capabilities=capabilities, cache=self._compiled, now=int(now)
        )
        return _bundle(candidate, policy, compiled, origin, now)


def renamed(problems: Iterable[Problem], file: str) -> tuple[Problem, ...]:
    """The problems in the name that the person gave the text."""
    return tuple(
        msgspec.structs.replace(
            problem,
            span=msgspec.structs.replace(problem.span, file=file) if problem.span.file == _NAME else problem.span,
            message=problem.message.replace(_NAME, file),
            remedy=problem.remedy.replace(_NAME, file),
        )
        for problem in problems
    )


def findings(problems: Iterable[Problem]) -> tuple[Finding, ...]:
    found = []
    for problem in list(problems)[:MAX_FINDINGS]:
        span = problem.span
        found.append(Finding(span.file, span.line, span.column, problem.message, problem.remedy, problem.severity))
    return tuple(found)


def _bundle(candidate: Candidate, policy: Policy, compiled: Compiled, origin: Origin, now: float) -> Bundle:
    settings = policy.settings
    return Bundle(
        site=policy.site,
        generation=origin.generation,
        parent=origin.parent,
        author=origin.author,
        reason=origin.reason,
        created=now,
        text=candidate.text,
        inherited=candidate.inherited,
        ruleset=compiled.ruleset,
        rules=compiled.rules,
        zones=compiled.zones,
        dynamics=compiled.dynamics,
        addresses=tuple(address for zone in policy.zones.values() for address in zone.addresses),
        routes=policy.routes,
        sysctls=compiled.sysctls,
        objects=compiled.objects,
        services={name: tuple(map(words_of_entry, found.entries)) for name, found in policy.services.items()},
        networks={
            name: tuple(addresses((part.first, part.last), part.version) for part in zone.networks)
            for name, zone in policy.zones.items()
        },
        drift=settings.drift,
        confirm_within=settings.confirm_within,
        nameservers=settings.nameservers,
        files=candidate.files,
        history=settings.history,
        flow_log_days=settings.flow_log_days,
        keep_files=settings.keep_files,
        keep_evidence=settings.keep_evidence,
        keep_days=settings.keep_days,
        profiles=_without_places(_used_profiles(policy)),
        suppressions=_without_places(policy.suppressions),
        feeds=_without_places(policy.feeds.values()),
        protections={name: zone.protect for name, zone in policy.zones.items() if zone.protect is not None},
        bans=msgspec.structs.replace(policy.bans, automatic=_without_places(policy.bans.automatic)),
        bridges=tuple(
            BridgeInfo(
                each.name, each.between, each.number, each.inspect, each.unavailable == "fail-open", each.protect
            )
            for each in policy.bridges.values()
        ),
        quarantines=tuple(
            QuarantineInfo(name, zone.interfaces, zone.quarantined_may)
            for name, zone in policy.zones.items()
            if zone.quarantined_may is not None
        ),
        detections=policy.detections,
        alerts=policy.alerts,
        consumers=tuple(policy.consumers.values()),
        indicators=policy.indicators,
        notices=policy.notices,
        officers=officers(policy.connections.values(), policy.zones),
        audit=policy.audit,
        console=policy.console,
        horizon=compiled.horizon,
        requires=compiled.requires,
        omitted=compiled.omitted,
    )


def _used_profiles(policy: Policy) -> list[Profile]:
    used = {rule.inspect for rule in policy.rules if rule.enabled}
    used |= {bridge.inspect for bridge in policy.bridges.values()}
    return [profile for name, profile in policy.profiles.items() if name in used]


S = TypeVar("S", Profile, Suppression, Feed, AutomaticBan)


def _without_places(parts: Iterable[S]) -> tuple[S, ...]:
    """Equal policies have equal bundles, wherever in a text something stands."""
    return tuple(msgspec.structs.replace(part, span=None) for part in parts)
