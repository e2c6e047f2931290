"""A rule as written becomes a rule as meant: every word resolved, every default filled in.

Most rules of a long policy use the same few words, so what a tuple of words means is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from appliance.policy import addresses, limits, times
from appliance.policy.addresses import AddressError
from appliance.policy.meant.names import Names, service_entries
from appliance.policy.model import (
    ANY,
    EVERYTHING,
    GATEWAY,
    AddressSet,
    Connections,
    Range,
    Rate,
    Rule,
    ServiceEntry,
)
from appliance.policy.times import TimeError
from appliance.policy.written import services
from appliance.policy.written.document import RuleText
from appliance.policy.written.document_zones import ROLES
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.text import Report, Word

V = TypeVar("V")
Words = tuple[Word, ...]
Origin = Literal["site", "baseline-first", "baseline-last", "inherited"]
Per = Literal["rule", "source", "destination"]

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
DEFAULT_BURST = 5


class Resolver:
    """Resolves the words of rules against `names`. One for each document, since it reports there."""

    def __init__(self, names: Names, report: Report) -> None:
        self.names = names
        self.report = report
        self._zone_memo: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._address_memo: dict[tuple[str, ...], AddressSet] = {}
        self._service_memo: dict[tuple[str, ...], tuple[ServiceEntry, ...]] = {}
        self._people_memo: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._moment_memo: dict[str, tuple[str, int]] = {}
        self._rate_memo: dict[str, Rate] = {}
        self._connections_memo: dict[str, Connections] = {}

    def _remember(
        self, memo: dict[tuple[str, ...], V], words: Words, resolve: Callable[[Words], V]
    ) -> tuple[tuple[str, ...], V]:
        """The words as strings and what they mean. What has problems is not remembered: each place is told."""
        key = tuple([word.value for word in words])
        found = memo.get(key)
        if found is None:
            before = len(self.report.found)
            found = resolve(words)
            if len(self.report.found) == before:
                memo[key] = found
        return key, found

    # --- zones ---------------------------------------------------------------------------------------

    def zones(self, words: Words, side: str) -> tuple[str, ...]:
        """Zone names, or (ANY,). `side` is the key, for the words of a problem."""
        return self._remember(self._zone_memo, words, lambda given: self._zones(given, side))[1]

    def _zones(self, words: Words, side: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for word in words:
            name = word.value
            if name in self.names.zones or name in (ANY, GATEWAY):
                found[name] = None
            elif name.startswith("role:"):
                found.update(dict.fromkeys(self._role(word)))
            else:
                self._unknown_zone(word, side)
        if ANY in found:
            # `any` is every zone; the gateway itself is meant only where it is named.
            return (*self.names.zones, GATEWAY) if GATEWAY in found else (ANY,)
        return tuple(found)

    def _role(self, word: Word) -> list[str]:
        role = word.value.partition(":")[2]
        if role not in ROLES:
            guess = did_you_mean(role, list(ROLES))
            self.report.error(word.at, f"there is no role `{role}`", guess or f"the roles are {', '.join(ROLES)}")
        return [zone.name for zone in self.names.zones.values() if zone.role == role]

    def _unknown_zone(self, word: Word, side: str) -> None:
        name = word.value
        if name in self.names.objects:
            key = "source" if side == "from" else "destination"
            where = self._zone_of(self.names.objects[name].addresses)
            zone = where or "<its zone>"
            self.report.error(
                word.at,
                f"`{name}` is an object, not a zone",
                f"write `{side}: {zone}` and `{key}: {name}`",
            )
            return
        guess = did_you_mean(name, [*self.names.zones, ANY, GATEWAY])
        known = ", ".join(list(self.names.zones)[:12])
        self.report.error(word.at, f"there is no zone `{name}`", guess or f"the zones are {known}, any, gateway")

    def _zone_of(self, meant: AddressSet) -> str:
        """The one zone whose networks hold an address set, or ""."""
        for zone in self.names.zones.values():
            if meant.ranges and zone.networks and not addresses.without(meant.ranges, zone.networks):
                return zone.name
        return ""

    # --- addresses -----------------------------------------------------------------------------------

    def addresses(self, words: Words) -> tuple[tuple[str, ...], AddressSet]:
        """The words, and what they stand for: the union of them without what follows a `not`."""
        if not words:
            return (), EVERYTHING
        return self._remember(self._address_memo, words, self._addresses)

    def _addresses(self, words: Words) -> AddressSet:
        if len(words) == 1 and words[0].value[0].isdigit() and "-" not in words[0].value:
            # The common case of a long policy: one literal.
            try:
                return AddressSet((addresses.network(words[0].value),))
            except AddressError as error:
                self.report.error(words[0].at, str(error), error.remedy)
                return AddressSet()
        ranges: list[Range] = []
        dynamic: dict[str, None] = {}
        taken: list[Range] = []
        positive = False
        for word in words:
            negated = word.value.startswith("not ")
            meant = self._address(word, word.value[4:].strip() if negated else word.value)
            if not negated:
                positive = True
                ranges.extend(meant.ranges)
                dynamic.update(dict.fromkeys(meant.dynamic))
            elif meant.dynamic:
                self.report.error(
                    word.at,
                    f"`{word.value}`: what a DNS name stands for is known only later, so it cannot be taken away",
                    "write a rule with action deny for it, above this one",
                )
            else:
                taken.extend(meant.ranges)
        whole = addresses.normal(ranges) if positive else EVERYTHING.ranges
        if taken and dynamic:
            self.report.error(
                next(word.at for word in words if word.value.startswith("not ")),
                "what the DNS names here stand for is known only later, so nothing can be taken away from them",
                "write a rule with action deny for it, above this one",
            )
        if taken:
            whole = addresses.without(whole, addresses.normal(taken))
            if not whole and not dynamic:
                self.report.error(words[0].at, "nothing is left of these addresses", "take less away")
        return AddressSet(whole, tuple(dynamic))

    def _address(self, word: Word, name: str) -> AddressSet:
        found = self.names.objects.get(name)
        if found is not None:
            return found.addresses
        if name == ANY:
            return EVERYTHING
        if name in self.names.broken:
            return AddressSet()
        if addresses.looks_literal(name):
            try:
                return AddressSet((addresses.literal(name),))
            except AddressError as error:
                self.report.error(word.at, str(error), error.remedy)
                return AddressSet()
        if name in self.names.zones:
            self.report.error(
                word.at,
                f"`{name}` is a zone, not an object",
                "write the zone in `from` or `to`, or define an object with its networks",
            )
            return AddressSet()
        guess = did_you_mean(name, list(self.names.objects))
        self.report.error(
            word.at, f"there is no object `{name}`", guess or "define it under `objects`, or write an address"
        )
        return AddressSet()

    # --- services, people, times, bounds -------------------------------------------------------------

    def services(self, words: Words) -> tuple[tuple[str, ...], tuple[ServiceEntry, ...]]:
        """The words, and their entries."""
        if not words:
            return (), services.ANY_SERVICE
        return self._remember(self._service_memo, words, self._services)

    def _services(self, words: Words) -> tuple[ServiceEntry, ...]:
        entries: list[ServiceEntry] = []
        for word in words:
            entries.extend(service_entries(word, self.names, self.report))
        whole = services.normal(entries)
        if len(whole) > limits.MAX_SERVICE_ENTRIES:
            self.report.error(
                words[0].at, f"{len(whole):,} services in one place", f"at most {limits.MAX_SERVICE_ENTRIES:,}"
            )
        return whole

    def people(self, words: Words) -> tuple[str, ...]:
        """The names of the `Dynamic` sets of people and groups."""
        if not words:
            return ()
        return self._remember(self._people_memo, words, self._people)[1]

    def _people(self, words: Words) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for word in words:
            kind, colon, name = word.value.partition(":")
            if colon:
                if name not in self.names.groups:
                    guess = did_you_mean(name, list(self.names.groups))
                    self.report.error(word.at, f"there is no group `{name}`", guess or "define it under `groups`")
                    continue
                found[f"group_{name}"] = None
            else:
                if kind not in self.names.people:
                    guess = did_you_mean(kind, list(self.names.people))
                    if kind in self.names.groups:
                        guess = f"`{kind}` is a group: write `group:{kind}`"
                    self.report.error(
                        word.at, f"there is no person `{kind}`", guess or "define the person under `people`"
                    )
                    continue
                found[f"person_{kind}"] = None
        return tuple(found)

    def schedule(self, word: Word | None) -> str:
        if word is None:
            return ""
        if word.value not in self.names.schedules:
            guess = did_you_mean(word.value, list(self.names.schedules))
            self.report.error(word.at, f"there is no schedule `{word.value}`", guess or "define it under `schedules`")
        return word.value

    def profile(self, word: Word | None) -> str:
        if word is None:
            return ""
        if word.value not in self.names.profiles:
            guess = did_you_mean(word.value, list(self.names.profiles))
            known = ", ".join(self.names.profiles)
            self.report.error(
                word.at, f"there is no inspection profile `{word.value}`", guess or f"the profiles are {known}"
            )
        return word.value

    def moment(self, word: Word | None) -> tuple[str, int]:
        """(normal form, seconds since the epoch); ("", 0) for never."""
        if word is None:
            return "", 0
        found = self._moment_memo.get(word.value)
        if found is None:
            try:
                found = times.moment(word.value, times.zone(self.names.timezone))
            except TimeError as error:
                self.report.error(word.at, str(error), error.remedy)
                return "", 0
            self._moment_memo[word.value] = found
        return found

    def day(self, word: Word | None) -> str:
        if word is None:
            return ""
        try:
            times.day(word.value)
        except TimeError as error:
            self.report.error(word.at, str(error), error.remedy)
        return word.value

    def rate(self, word: Word | None) -> Rate | None:
        """`100/second burst 20 per source`; `kinds.RATE` has checked how it is written."""
        if word is None:
            return None
        found = self._rate_memo.get(word.value)
        if found is None:
            parts = word.value.split(" ")
            amount, _, unit = parts[0].partition("/")
            options = dict(zip(parts[1::2], parts[2::2], strict=True))
            found = Rate(
                int(amount), SECONDS[unit], int(options.get("burst", DEFAULT_BURST)), _per(options.get("per", "rule"))
            )
            if not 1 <= found.amount <= limits.MAX_RATE or found.burst > limits.MAX_RATE:
                self.report.error(word.at, f"`{word.value}` is out of bounds", f"write 1 to {limits.MAX_RATE:,}")
                return found
            self._rate_memo[word.value] = found
        return found

    def bound(self, word: Word | None) -> Connections | None:
        """`50 per source`; `kinds.CONNECTIONS` has checked how it is written."""
        if word is None:
            return None
        found = self._connections_memo.get(word.value)
        if found is None:
            parts = word.value.split(" ")
            found = Connections(int(parts[0]), _per(parts[2] if len(parts) == 3 else "source"))
            if not 1 <= found.limit <= limits.MAX_CONNECTIONS:
                self.report.error(
                    word.at, f"`{word.value}` is out of bounds", f"write 1 to {limits.MAX_CONNECTIONS:,}"
                )
                return found
            self._connections_memo[word.value] = found
        return found

    # --- the rule ------------------------------------------------------------------------------------

    def rule(self, text: RuleText, origin: Origin = "site") -> Rule:
        """The rule that a text means. Problems are reported; the rule is then as good as it can be."""
        said_source, source = self.addresses(text.source)
        said_destination, destination = self.addresses(text.destination)
        said_service, entries = self.services(text.service)
        sources = self.zones(text.sources, "from")
        destinations = self.zones(text.destinations, "to")
        action = text.action.value
        if not text.flawed:
            if action == "allow":
                self._accountable(text)
            if sources == (GATEWAY,) and destinations == (GATEWAY,):
                self.report.error(
                    text.destinations[0].at, "from the gateway to itself", "the gateway may always talk to itself"
                )
            if source.ranges and destination.ranges and not source.dynamic and not destination.dynamic:
                self._families(text, source, destination)
        expires, expires_at = self.moment(text.expires)
        return Rule(
            text.id.value,
            sources,
            destinations,
            source,
            destination,
            entries,
            "allow" if action == "allow" else "reject" if action == "reject" else "deny",
            _log(text.log),
            self.people(text.people),
            self.schedule(text.when),
            self.rate(text.limit),
            self.bound(text.connections),
            self.profile(text.inspect),
            expires,
            expires_at,
            self.day(text.review),
            "" if text.owner is None else text.owner.value,
            "" if text.why is None else text.why.value,
            "" if text.ticket is None else text.ticket.value,
            text.enabled is None or text.enabled.value == "yes",
            origin,
            0,
            said_source,
            said_destination,
            said_service,
            self.report.span(text.at),
        )

    def _accountable(self, text: RuleText) -> None:
        """R1: every permit has an owner and a reason."""
        for word, key, example in (
            (text.owner, "owner", "it@health.example"),
            (text.why, "why", "web access for staff"),
        ):
            if word is None:
                self.report.error(
                    text.at, f"`{text.id.value}` allows and has no `{key}`", f"write for example `{key}: {example}`"
                )

    def _families(self, text: RuleText, source: AddressSet, destination: AddressSet) -> None:
        left = {item.version for item in (source.ranges[0], source.ranges[-1])}
        right = {item.version for item in (destination.ranges[0], destination.ranges[-1])}
        if not left & right:
            self.report.warn(
                text.at,
                f"`{text.id.value}` matches nothing: its source is IPv{left.pop()}, its destination IPv{right.pop()}",
                "give both sides addresses of one version",
            )


def _per(word: str) -> Per:
    return "source" if word == "source" else "destination" if word == "destination" else "rule"


def _log(word: Word | None) -> Literal["none", "start", "end", "both"]:
    value = "none" if word is None else word.value
    return "start" if value == "start" else "end" if value == "end" else "both" if value == "both" else "none"
