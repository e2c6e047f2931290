"""The frame of a policy: everything but the site's own rules.

Rules are most of a long text and change most often; the frame is what their words refer to. It is resolved
once and kept while only rules change (`parse.ParseCache`).
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.policy import limits, times
from appliance.policy.addresses import without
from appliance.policy.meant import (
    bantext,
    bridgetext,
    consoling,
    detecting,
    exporting,
    indicating,
    inherit,
    noticing,
    profiles,
    recording,
    risks,
    site,
    translate,
)
from appliance.policy.meant import names as vocabulary
from appliance.policy.meant.inherit import Baseline, Locks
from appliance.policy.meant.names import Names
from appliance.policy.meant.rules import Resolver
from appliance.policy.model import (
    ANY,
    Bridge,
    Connection,
    DestinationNat,
    Dynamic,
    Invariant,
    Policy,
    Risk,
    Route,
    Rule,
    Settings,
    SourceNat,
    Suppression,
)
from appliance.policy.problem import Problem
from appliance.policy.proving.invariants import common_services
from appliance.policy.times import TimeError
from appliance.policy.written.document import PublishText, SettingsText, SiteText
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.text import Report, Word


class Claims:
    """Who has which id. Rules, translations, published services and invariants share one namespace."""

    def __init__(self, earlier: Mapping[str, tuple[Report, int]] | None = None) -> None:
        self.taken: dict[str, tuple[Report, int]] = dict(earlier or {})

    def claim(self, word: Word, report: Report) -> bool:
        """Takes an id for its first user; a second one is a problem."""
        if not word.value:
            return False  # its absence was reported
        earlier = self.taken.get(word.value)
        if earlier is None:
            self.taken[word.value] = (report, report.base + word.at)
            return True
        owner, at = earlier
        if owner.file == report.file:
            report.error(
                word.at,
                f"the id `{word.value}` is taken (line {owner.line(at)})",
                "give this one an id of its own; an id is permanent and never used again",
            )
        else:
            report.error(
                word.at,
                f"the id `{word.value}` belongs to an inherited rule ({owner.file}:{owner.line(at)})",
                "what is inherited cannot be replaced; choose another id",
            )
        return False


class Frame:
    """A site's text without its rules, resolved. Its problems are in `report` and in those of `baselines`."""

    def __init__(
        self, document: SiteText, inherited: Mapping[str, str], files: Mapping[str, str], report: Report
    ) -> None:
        self.document = document
        self.files = files
        self.report = report
        self.names = Names()
        self.locks = Locks()
        self.claims = Claims()
        self.first: list[Rule] = []  # rules of baselines, outermost first
        self.last: list[Rule] = []  # and those that come last, outermost last
        self.published: list[Rule] = []
        self.source_nat: list[SourceNat] = []
        self.destination_nat: list[DestinationNat] = []
        self.invariants: list[Invariant] = []
        self.baselines = inherit.read(document, inherited, report)
        self.names.timezone = self._timezone()
        for baseline in self.baselines:
            if baseline.document is not None:
                site.nameservers(baseline.document.settings, baseline.report)
                self.locks.check(baseline.document, baseline.report)
                self.locks.add(baseline)
                vocabulary.define(baseline.document, self.names, files, baseline.report, baseline.name)
                profiles.define(baseline.document, self.names, baseline.report, baseline.name)
        site.nameservers(document.settings, report)
        self.locks.check(document, report)
        site.zones(document, self.names, report, self.locks)
        vocabulary.define(document, self.names, files, report)
        profiles.define(document, self.names, report)
        self.locks.profiles(self.names)
        self.connections: dict[str, Connection] = site.connections(document, self.names, report)
        self.resolver = Resolver(self.names, report)
        site.quarantines(document, self.names, self.resolver, report)
        for bridge_text in document.bridges:
            self.claims.claim(vocabulary.named(bridge_text.name), report)
        self.bridges: dict[str, Bridge] = bridgetext.bridges(document, self.resolver, report)
        for baseline in self.baselines:
            self._inherit(baseline)
        self._translations()
        self.routes: tuple[Route, ...] = site.routes(document.routes, self.names, report)
        self.settings: Settings = self._settings()
        for text in document.invariants:
            self.claims.claim(text.id, report)
            self.invariants.append(site.invariant(text, self.names, self.resolver, report))
        self.suppressions: list[Suppression] = []
        for suppression_text in document.suppressions:
            self.claims.claim(suppression_text.id, report)
            self.suppressions.append(profiles.suppression(suppression_text, self.names, self.resolver, report))
        for ban_text in document.bans.automatic if document.bans is not None else ():
            self.claims.claim(ban_text.id, report)
        self.bans = bantext.banning(document.bans, self.resolver, report)
        self.detections = detecting.detections(document.detections, self.resolver, report)
        for exemption in document.detections.exempt if document.detections is not None else ():
            self.claims.claim(exemption.id, report)
        self.alerts = exporting.alerts(document.alerts, self.names, report)
        self.consumers = exporting.consumers(document.consumers, report)
        self.indicators = indicating.indicators(document.indicators, self.consumers, self.resolver, report)
        self.audit = recording.audit(document.audit, report)
        self.notices = noticing.notices(document.notices, self.names.timezone, self.connections, report)
        self.console = consoling.console(document.console, self.names, report)
        self.risks: list[Risk] = []
        for risk_text in document.risks:
            self.claims.claim(risk_text.id, report)
            self.risks.append(risks.risk(risk_text, self.names, report))

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

    def _settings(self) -> Settings:
        layers: list[SettingsText | None] = [self.locks.settings(), self.document.settings]
        layers.extend(baseline.document.settings for baseline in reversed(self.baselines) if baseline.document)
        return site.settings([text for text in layers if text is not None], self.names.timezone)

    def _inherit(self, baseline: Baseline) -> None:
        """A baseline's rules and invariants. What a role says that no zone of this site has, says nothing here."""
        document, report = baseline.document, baseline.report
        if document is None:
            return
        inner = Resolver(self.names, report)
        last: list[Rule] = []
        for text in document.first:
            if self.claims.claim(text.id, report):
                self.first.append(inner.rule(text, "baseline-first"))
        for text in document.last:
            if self.claims.claim(text.id, report):
                last.append(inner.rule(text, "baseline-last"))
        self.first = [rule for rule in self.first if rule.sources and rule.destinations]
        self.last = [*(rule for rule in last if rule.sources and rule.destinations), *self.last]
        known = {text.id.value for text in (*document.first, *document.last)}
        for statement in document.invariants:
            self.claims.claim(statement.id, report)
            meant = site.invariant(statement, self.names, inner, report)
            if meant.sources and meant.destinations:
                self.invariants.append(meant)
            excepted(statement.excepted, known, report)

    def _translations(self) -> None:
        nat = self.document.nat
        for source_text in nat.source if nat is not None else ():
            self.claims.claim(source_text.id, self.report)
            source = translate.source_nat(source_text, self.resolver, self.report)
            if source is not None:
                self.source_nat.append(source)
        for destination_text in nat.destination if nat is not None else ():
            self.claims.claim(destination_text.id, self.report)
            destination = translate.destination_nat(destination_text, self.resolver, self.report)
            if destination is not None:
                self.destination_nat.append(destination)
        for publish_text in self.document.publish:
            self.claims.claim(publish_text.id, self.report)
            rule, nats = translate.publish(publish_text, self.resolver, self.report)
            if rule is not None:
                self.published.append(rule)
            for translation in nats:
                self._shadowed(translation, publish_text)
            self.destination_nat.extend(nats)

    def _shadowed(self, later: DestinationNat, text: PublishText) -> None:
        """Warns of a published service that an earlier one takes away whole: its packets never come here."""
        for earlier in self.destination_nat:
            takes = (
                set(later.sources) <= set(earlier.sources)
                and not without(later.destination.ranges, earlier.destination.ranges)
                and not without(later.source.ranges, earlier.source.ranges)
                and common_services(later.services, earlier.services) == later.services
            )
            if takes:
                message = f"`{text.id.value}` never gets a packet: `{earlier.id}` takes the same address and service"
                self.report.warn(text.at, message, "publish it on another address or port")
                return

    def problems(self) -> tuple[Problem, ...]:
        """The problems of the baselines; those of the site are in its report."""
        return tuple(found for baseline in self.baselines for found in baseline.report.problems())

    def policy(self, own: list[Rule], ids: set[str], report: Report, now: float | None) -> Policy:
        """The whole, with the site's own rules. `ids` are the ids of everything an invariant may except."""
        for text in self.document.invariants:
            excepted(text.excepted, ids, report)
        risks.references(self.document.risks, ids, report)
        rules = (*self.first, *own, *self.published, *self.last)
        self._within_bounds(rules, report)
        if now is not None:
            self._dates(rules, now, report)
        return Policy(
            site=self.document.site.value,
            zones=self.names.zones,
            connections=self.connections,
            bridges=self.bridges,
            objects=self.names.objects,
            services=self.names.services,
            schedules=self.names.schedules,
            people=self.names.people,
            groups=self.names.groups,
            profiles=self.names.profiles,
            dynamics={**self.names.dynamics, **self._people(rules)},
            rules=rules,
            source_nat=tuple(self.source_nat),
            destination_nat=tuple(self.destination_nat),
            routes=self.routes,
            invariants=tuple(self.invariants),
            risks=tuple(self.risks),
            suppressions=tuple(self.suppressions),
            feeds=self.names.feeds,
            bans=self.bans,
            detections=self.detections,
            alerts=self.alerts,
            consumers=self.consumers,
            indicators=self.indicators,
            notices=self.notices,
            audit=self.audit,
            console=self.console,
            settings=self.settings,
            description="" if self.document.description is None else self.document.description.value,
            inherits=tuple(baseline.name for baseline in self.baselines),
        )

    def _within_bounds(self, rules: tuple[Rule, ...], report: Report) -> None:
        """`any -> any` is a rule in every pair of zones; compiling costs what all of them are together."""
        zones, total = len(self.names.zones), 0
        for rule in rules:
            sources = zones if ANY in rule.sources else len(rule.sources)
            total += sources * (zones if ANY in rule.destinations else len(rule.destinations))
            if total > limits.MAX_PAIR_RULES and rule.span is not None:
                at_most = f"at most {limits.MAX_PAIR_RULES:,}, each counted once for every pair of zones it names"
                report.add(Problem(rule.span, f"with `{rule.id}` the rules are too many", f"{at_most}; name zones"))
                return

    def _people(self, rules: tuple[Rule, ...]) -> dict[str, Dynamic]:
        """The sets of the people and groups that rules name."""
        found: dict[str, Dynamic] = {}
        for rule in rules:
            for stem in rule.people:
                if stem not in found:
                    kind, _, name = stem.partition("_")
                    if kind == "group":
                        found[stem] = Dynamic(stem, "group", self.names.groups[name].members)
                    else:
                        found[stem] = Dynamic(stem, "person", (name,))
        return found

    def _dates(self, rules: tuple[Rule, ...], now: float, report: Report) -> None:
        """Warnings for what has expired and for reviews that are due."""
        zone = times.zone(self.names.timezone)
        for rule in rules:
            if rule.span is None or not (rule.expires_at or rule.review):
                continue
            message = remedy = ""
            if rule.expires_at and rule.expires_at <= now:
                message, remedy = f"`{rule.id}` expired on {rule.expires}", "remove it, or give it a new end"
            elif rule.review and times.day_end(rule.review, zone) <= now:
                message = f"`{rule.id}` waits for its review since {rule.review}"
                remedy = "look at it and set a new date"
            if message:
                report.add(Problem(rule.span, message, remedy, "warning"))
        for silent in self.suppressions:
            if silent.span is not None and 0 < silent.expires_at <= now:
                message = f"`{silent.id}` expired on {silent.expires}"
                report.add(Problem(silent.span, message, "remove it, or give it a new end", "warning"))
        for risk in self.risks:
            if risk.span is not None and risk.review and times.day_end(risk.review, zone) <= now:
                message = f"the risk `{risk.id}` waits for its review since {risk.review}"
                report.add(Problem(risk.span, message, "look at it and set a new date", "warning"))


def excepted(words: tuple[Word, ...], known: set[str], report: Report) -> None:
    """Reports the exceptions of an invariant that name no rule."""
    for word in words:
        if word.value not in known:
            guess = did_you_mean(word.value, sorted(known))
            report.error(word.at, f"there is no rule `{word.value}`", guess or "name the id of a rule")
