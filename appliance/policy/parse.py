"""Policy text -> `Policy`: read, resolve, cross-check. All problems of a text at once.

text --compose--> nodes --decode--> SiteText --resolve--> Policy
                                       ^ names, first from the baselines
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from appliance.policy import inherit, limits, site, times, translate
from appliance.policy import names as vocabulary
from appliance.policy.document import SiteText
from appliance.policy.inherit import Baseline, Locks
from appliance.policy.kinds import did_you_mean
from appliance.policy.model import DestinationNat, Invariant, Policy, Rule, SourceNat
from appliance.policy.names import Names
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.rules import Resolver
from appliance.policy.schema import decode
from appliance.policy.text import (
    Report,
    Table,
    TooManyProblems,
    Word,
    check_characters,
    compose,
    refuse_size,
    unix_lines,
)
from appliance.policy.times import TimeError

NOTHING: Mapping[str, str] = MappingProxyType({})


class ParseCache:
    """What a parse remembers for the next one of nearly the same text."""


def parse(
    text: str,
    file: str,
    *,
    inherited: Mapping[str, str],
    files: Mapping[str, str] = NOTHING,
    cache: ParseCache | None = None,
    now: float | None = None,
) -> tuple[Policy, tuple[Problem, ...]]:
    """The policy that a text means, and warnings.

    `inherited` maps the names of baselines to their texts, `files` the paths of list files to their
    contents. With `now` (seconds since the epoch) rules that have expired or wait for a review are warned of.
    Raises `PolicyError` with every problem found, in the order of the text, if one of them is an error.
    """
    refuse_size(text, file)
    report = Report(file)
    baselines: list[Baseline] = []
    policy: Policy | None = None
    try:
        document = _read(unix_lines(text), report)
        if document is not None:
            baselines = inherit.read(document, inherited, report)
            policy = _Reading(document, baselines, files, report, now).policy()
    except TooManyProblems:
        pass  # what was found is told
    problems = report.problems() + tuple(found for baseline in baselines for found in baseline.report.problems())
    if policy is None or any(problem.severity == "error" for problem in problems):
        raise PolicyError(problems)
    return policy, problems


def _read(text: str, report: Report) -> SiteText | None:
    check_characters(text, report)
    if report.failed:
        return None
    node = compose(text, report)
    if node is None:
        return None
    if isinstance(node, Table) and "baseline" in node.entries and "site" not in node.entries:
        report.error(node.at, "this is a baseline, not the policy of a site", "check a site that inherits it")
        return None
    return decode(node, SiteText, report)


class _Reading:
    """One text on its way to a policy."""

    def __init__(
        self,
        document: SiteText,
        baselines: list[Baseline],
        files: Mapping[str, str],
        report: Report,
        now: float | None,
    ) -> None:
        self.document = document
        self.baselines = baselines
        self.files = files
        self.report = report
        self.now = now
        self.names = Names()
        self.locks = Locks()
        # id -> where it was written; rules, translations, published services and invariants share one namespace.
        self.ids: dict[str, tuple[Report, int]] = {}

    def policy(self) -> Policy:
        self.names.timezone = self._timezone()
        for baseline in self.baselines:
            if baseline.document is not None:
                self.locks.check(baseline.document, baseline.report)
                self.locks.add(baseline)
                vocabulary.define(baseline.document, self.names, self.files, baseline.report, baseline.name)
        self.locks.check(self.document, self.report)
        site.zones(self.document, self.names, self.report, self.locks)
        vocabulary.define(self.document, self.names, self.files, self.report)
        self.locks.profiles(self.names)
        connections = site.connections(self.document, self.names, self.report)

        resolver = Resolver(self.names, self.report)
        first, last, invariants = self._inherited(resolver)
        own = self._rules(resolver)
        source_nat, destination_nat, published = self._translations(resolver)
        rules = (*first, *own, *published, *last)
        known = {rule.id for rule in rules} | {text.id.value for text in self.document.publish}
        known.update(text.id.value for text in self.document.rules)
        own_invariants: list[Invariant] = []
        for text in self.document.invariants:
            self._claim(text.id, self.report)
            own_invariants.append(site.invariant(text, self.names, resolver, self.report))
            self._excepted(text.excepted, known, self.report)
        if self.now is not None:
            self._dates(rules, self.now)
        layers = [self.locks.settings(), self.document.settings]
        layers.extend(baseline.document.settings for baseline in reversed(self.baselines) if baseline.document)
        return Policy(
            site=self.document.site.value,
            zones=self.names.zones,
            connections=connections,
            objects=self.names.objects,
            services=self.names.services,
            schedules=self.names.schedules,
            people=self.names.people,
            groups=self.names.groups,
            profiles=self.names.profiles,
            dynamics={**self.names.dynamics, **resolver.used_dynamics},
            rules=rules,
            source_nat=source_nat,
            destination_nat=destination_nat,
            routes=site.routes(self.document.routes, self.names, self.report),
            invariants=(*invariants, *own_invariants),
            settings=site.settings([text for text in layers if text is not None], self.names.timezone),
            description="" if self.document.description is None else self.document.description.value,
        )

    def _timezone(self) -> str:
        word = self.document.timezone
        if word is None:
            return "UTC"
        try:
            times.zone(word.value)
        except TimeError as error:
            self.report.error(word.at, str(error), error.remedy)
            return "UTC"
        return word.value

    def _claim(self, word: Word, report: Report) -> bool:
        """Takes an id for its first user; a second one is a problem."""
        if not word.value:
            return False
        earlier = self.ids.get(word.value)
        if earlier is None:
            self.ids[word.value] = (report, word.at)
            return True
        owner, at = earlier
        if owner is report:
            message = f"the id `{word.value}` is taken (line {report.span(at).line})"
            report.error(word.at, message, "give this one an id of its own; an id is permanent and never used again")
        else:
            message = f"the id `{word.value}` belongs to an inherited rule ({owner.span(at)})"
            report.error(word.at, message, "what is inherited cannot be replaced; choose another id")
        return False

    def _inherited(self, resolver: Resolver) -> tuple[list[Rule], list[Rule], list[Invariant]]:
        """First rules (outermost baseline first), last rules (outermost last), invariants."""
        first: list[Rule] = []
        last: list[Rule] = []
        invariants: list[Invariant] = []
        for baseline in self.baselines:
            document = baseline.document
            if document is None:
                continue
            inner = Resolver(self.names, baseline.report)
            own_last: list[Rule] = []
            for text in document.first:
                if self._claim(text.id, baseline.report):
                    first.append(inner.rule(text, "baseline-first"))
            for text in document.last:
                if self._claim(text.id, baseline.report):
                    own_last.append(inner.rule(text, "baseline-last"))
            last = [*own_last, *last]
            known = {text.id.value for text in (*document.first, *document.last)}
            for statement in document.invariants:
                self._claim(statement.id, baseline.report)
                invariants.append(site.invariant(statement, self.names, inner, baseline.report))
                self._excepted(statement.excepted, known, baseline.report)
            resolver.used_dynamics.update(inner.used_dynamics)
        # A role that no zone of this site has leaves a rule without a direction: it says nothing here.
        return (
            [rule for rule in first if rule.sources and rule.destinations],
            [rule for rule in last if rule.sources and rule.destinations],
            [item for item in invariants if item.sources and item.destinations],
        )

    def _rules(self, resolver: Resolver) -> list[Rule]:
        if len(self.document.rules) > limits.MAX_RULES:
            self.report.error(0, f"{len(self.document.rules):,} rules", f"at most {limits.MAX_RULES:,}")
            return []
        found: list[Rule] = []
        for text in self.document.rules:
            self._claim(text.id, self.report)
            rule = resolver.rule(text)
            if not text.flawed and not (rule.sources and rule.destinations) and not self.report.failed:
                self.report.warn(text.at, f"`{rule.id}` says nothing: no zone has its role", "name a zone")
            found.append(rule)
        return found

    def _translations(
        self, resolver: Resolver
    ) -> tuple[tuple[SourceNat, ...], tuple[DestinationNat, ...], tuple[Rule, ...]]:
        sources: list[SourceNat] = []
        destinations: list[DestinationNat] = []
        published: list[Rule] = []
        nat = self.document.nat
        for source_text in nat.source if nat is not None else ():
            self._claim(source_text.id, self.report)
            source = translate.source_nat(source_text, resolver, self.report)
            if source is not None:
                sources.append(source)
        for destination_text in nat.destination if nat is not None else ():
            self._claim(destination_text.id, self.report)
            destination = translate.destination_nat(destination_text, resolver, self.report)
            if destination is not None:
                destinations.append(destination)
        for publish_text in self.document.publish:
            self._claim(publish_text.id, self.report)
            rule, nats = translate.publish(publish_text, resolver, self.report)
            if rule is not None:
                published.append(rule)
            destinations.extend(nats)
        return tuple(sources), tuple(destinations), tuple(published)

    def _excepted(self, words: tuple[Word, ...], known: set[str], report: Report) -> None:
        for word in words:
            if word.value not in known:
                guess = did_you_mean(word.value, sorted(known))
                report.error(word.at, f"there is no rule `{word.value}`", guess or "name the id of a rule")

    def _dates(self, rules: tuple[Rule, ...], now: float) -> None:
        """Warnings for what has expired and for reviews that are due."""
        for rule in rules:
            if rule.span is None or not (rule.expires_at or rule.review):
                continue
            at = (rule.span.line - 1) << 20 | (rule.span.column - 1)
            if rule.expires_at and rule.expires_at <= now:
                self.report.warn(at, f"`{rule.id}` expired on {rule.expires}", "remove it, or give it a new end")
            elif rule.review and times.day_end(rule.review, times.zone(self.names.timezone)) <= now:
                self.report.warn(
                    at, f"`{rule.id}` waited for a review on {rule.review}", "look at it and set a new date"
                )
