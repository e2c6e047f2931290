"""Where a name of a policy is used: every place that says it, directly or through what contains it.

Read from the texts as they are written, so that each place has its line and column, in baselines too. The policy must
parse: what refers to nothing is not looked for here.
"""

from __future__ import annotations

import functools
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from appliance.policy import addresses
from appliance.policy.addresses import AddressError
from appliance.policy.meant import inherit
from appliance.policy.model import ANY, GATEWAY, Range, Span
from appliance.policy.problem import PolicyError
from appliance.policy.written import consoletext, document, document_zones, exports, indicatortext, prevention
from appliance.policy.written.document import BaselineText, DocumentText, ObjectText, SiteText
from appliance.policy.written.keys import Record
from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.schema import declared, decode
from appliance.policy.written.text import (
    LINE_SHIFT,
    Report,
    Word,
    check_characters,
    compose,
    refuse_size,
    unix_lines,
    value_of,
)

Kind = Literal["zone", "object", "service", "schedule", "person", "group", "profile", "feed", "rule", "address"]
KINDS: tuple[Kind, ...] = ("zone", "object", "service", "schedule", "person", "group", "profile", "feed", "rule")
# What is defined to be used; rules are there for themselves.
DEFINED: tuple[Kind, ...] = ("zone", "object", "service", "schedule", "person", "group", "profile", "feed")

# What the words of a key name, by record and field. A test holds it to the declarations.
NAMING: dict[type[Record], dict[str, str]] = {
    document_zones.ZoneText: {"networks": "literal", "quarantined_may": "service"},
    document.ObjectText: {"members": "object", "networks": "literal", "addresses": "literal", "ranges": "literal"},
    document.GroupText: {"members": "people"},
    document.InvariantText: {"never": "never", "service": "service", "excepted": "rule"},
    document.RuleText: {
        "sources": "zone", "destinations": "zone", "source": "address", "destination": "address",
        "service": "service", "people": "people", "when": "schedule", "inspect": "profile",
    },
    document.SourceNatText: {
        "out": "zone", "source": "address", "destination": "address", "service": "service", "to": "literal",
    },
    document.DestinationNatText: {
        "sources": "zone", "source": "address", "destination": "address", "service": "service", "to": "literal",
    },
    document.PublishText: {
        "sources": "zone", "source": "address", "address": "literal", "service": "service", "to": "literal",
        "zone": "zone", "hairpin": "hairpin", "when": "schedule", "inspect": "profile",
    },
    prevention.ProfileText: {
        "extends": "profile", "feeds": "feed", "actions": "signatures", "thresholds": "signatures",
    },
    prevention.SuppressionText: {
        "signatures": "signatures", "host": "address", "source": "address", "destination": "address",
        "sources": "zone", "destinations": "zone", "profiles": "profile",
    },
    prevention.BridgeText: {"inspect": "profile"},
    prevention.BansText: {"allow": "address"},
    prevention.AutomaticBanText: {"after": "signatures", "sources": "zone"},
    prevention.ExemptionText: {"host": "address"},
    exports.AlertsText: {"listen": "listen", "marks": "marks"},
    exports.PseudonymsText: {"zones": "zone"},
    consoletext.ConsoleText: {"listen": "listen"},
    consoletext.ConsolePersonText: {"zones": "zone"},
    indicatortext.NeverText: {"addresses": "address"},
    document.RouteText: {"to": "literal", "via": "literal"},
    document.RiskText: {"assets": "asset", "safeguards": "rule"},
    document.SettingsText: {"nameservers": "literal"},
}  # fmt: skip

_CALLED: dict[type[Record], str] = {
    document.RuleText: "rule",
    document.PublishText: "published service",
    document.SourceNatText: "translation",
    document.DestinationNatText: "translation",
    document.InvariantText: "invariant",
    document.RiskText: "risk",
    prevention.ProfileText: "profile",
    prevention.SuppressionText: "suppression",
    prevention.BridgeText: "bridge",
    prevention.BansText: "bans",
    prevention.AutomaticBanText: "automatic ban",
    prevention.ExemptionText: "exemption",
    exports.AlertsText: "alerts",
    exports.PseudonymsText: "pseudonyms",
    consoletext.ConsoleText: "console",
    consoletext.ConsolePersonText: "person of the console",
    indicatortext.NeverText: "never blocked",
    document.ObjectText: "object",
    document.GroupText: "group",
    document_zones.ZoneText: "zone",
    document.RouteText: "route",
    document.SettingsText: "settings",
}
# What the members of a holder belong to: whoever uses the holder uses them.
_CONTAINERS: dict[str, Kind] = {"object": "object", "service": "service", "group": "group", "zone": "zone"}
_KIND_OF: dict[str, Kind] = {kind: kind for kind in KINDS}
_ARROW = re.compile(r"[,\s]+|->")


class Use(msgspec.Struct, frozen=True):
    """One place. `holder` is what says it ("rule R-7"), under `key`; `through` the names between, nearest first.

    `alone` says that the key names nothing else; `taken` that it takes the name away (`not x`).
    """

    kind: Kind
    name: str
    span: Span
    holder: str
    holder_kind: str
    holder_id: str
    key: str
    alone: bool = True
    taken: bool = False
    off: bool = False  # the holder is there without effect (`enabled: no`)
    through: tuple[str, ...] = ()


class Definition(msgspec.Struct, frozen=True):
    """What is defined where; `baseline` is the name of the baseline that does."""

    kind: Kind
    name: str
    span: Span
    baseline: str = ""


class UnknownName(ValueError):
    """Nothing of that name is defined; `remedy` says what may be meant."""

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(f"nothing is called `{name}` here")
        self.remedy = remedy


class Uses:
    """Every place of a policy that names something. Raises `PolicyError` for a text that cannot be read."""

    def __init__(
        self, text: str, file: str, *, inherited: Mapping[str, str], files: Mapping[str, str] | None = None
    ) -> None:
        self.definitions: dict[tuple[Kind, str], Definition] = {}
        self._uses: dict[tuple[Kind, str], list[Use]] = {}
        self._literals: list[tuple[Range, Use]] = []
        self._roles: dict[str, list[str]] = {}
        self._files: Mapping[str, str] = {} if files is None else files
        report = Report(file)
        site = _read(text, report)
        for zone in site.zones:
            name = value_of(zone.name)
            role = value_of(zone.role) or ("internet" if name == "internet" else "internal")
            self._roles.setdefault(role, []).append(name)
        baselines = inherit.read(site, inherited, report)
        self._texts = {name: number for number, name in enumerate((*(b.report.file for b in baselines), file))}
        for baseline in baselines:
            if baseline.document is not None:
                self._document(baseline.document, baseline.report, baseline.name)
        self._document(site, report, "")

    # --- questions ------------------------------------------------------------------------------------

    def kinds_of(self, name: str) -> tuple[Kind, ...]:
        """What is called so, or "address" for a literal. Raises `UnknownName`, `AddressError`."""
        found = tuple(kind for kind in KINDS if (kind, name) in self.definitions or (kind, name) in self._uses)
        if found:
            return found
        if addresses.looks_literal(name):
            addresses.literal(name)
            return ("address",)
        if name.startswith("group:"):
            return self.kinds_of(name.removeprefix("group:"))
        guess = did_you_mean(name, sorted({known for _, known in self.definitions}))
        raise UnknownName(name, guess or "name an object, service, zone, schedule, person, group, profile or rule")

    def of(self, kind: Kind, name: str) -> tuple[Use, ...]:
        """Every use, in the order of the texts; those through something that contains it behind the direct ones."""
        direct = self._holding(addresses.literal(name)) if kind == "address" else self._uses.get((kind, name), [])
        found: list[Use] = []
        seen = {f"{kind} {name}"}
        waiting: deque[tuple[list[Use], tuple[str, ...]]] = deque([(direct, ())])
        while waiting:
            uses, through = waiting.popleft()
            for use in sorted(uses, key=self._place):
                found.append(msgspec.structs.replace(use, through=(*through, *use.through)) if through else use)
                if use.holder_kind in _CONTAINERS and use.holder not in seen:
                    seen.add(use.holder)
                    users = self._uses.get((_CONTAINERS[use.holder_kind], use.holder_id), [])
                    waiting.append((users, (*through, use.holder)))
        return tuple(found)

    def _place(self, use: Use) -> tuple[int, str, int, int]:
        return self._texts.get(use.span.file, len(self._texts)), use.span.file, use.span.line, use.span.column

    def unused(self) -> tuple[Definition, ...]:
        """What is defined and used by nothing but, perhaps, by what is itself unused."""
        live: set[tuple[Kind, str]] = set()
        waiting: list[tuple[Kind, str]] = []
        contents: dict[tuple[Kind, str], list[tuple[Kind, str]]] = {}
        for named, uses in self._uses.items():
            for use in uses:
                if use.holder_kind in ("object", "service", "group"):
                    contents.setdefault((_CONTAINERS[use.holder_kind], use.holder_id), []).append(named)
                else:
                    waiting.append(named)
        while waiting:
            one = waiting.pop()
            if one not in live:
                live.add(one)
                waiting.extend(contents.get(one, ()))
        return tuple(found for key, found in self.definitions.items() if found.kind in DEFINED and key not in live)

    def _holding(self, wanted: Range) -> list[Use]:
        return [
            use
            for known, use in self._literals
            if known.version == wanted.version and known.first <= wanted.first and wanted.last <= known.last
        ]

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is defined, for completion."""
        return tuple(dict.fromkeys(name for _, name in self.definitions))

    # --- reading --------------------------------------------------------------------------------------

    def _document(self, text: DocumentText, report: Report, baseline: str) -> None:
        named: list[tuple[Kind, Record]] = [
            *(("object", record) for record in text.objects),
            *(("schedule", record) for record in text.schedules),
            *(("person", record) for record in text.people),
            *(("group", record) for record in text.groups),
            *(("profile", record) for record in text.profiles),
            *(("feed", record) for record in text.feeds),
        ]
        if isinstance(text, SiteText):
            named += [("zone", record) for record in text.zones]
        defined: list[tuple[Kind, Word]] = [(kind, record.name) for kind, record in named if record.name is not None]
        defined += [("service", name) for name, _ in text.services]
        defined += [("rule", ident) for ident, _ in _numbered(text)]
        for kind, word in defined:
            self.definitions[kind, word.value] = Definition(kind, word.value, report.span(word.at), baseline)
        for _, record in named:
            self._record(record, value_of(record.name), report)
        for name, words in text.services:
            for word in words:
                self._note(_Saying("service", "service", name.value, "", len(words) == 1), "service", word, report)
        for ident, record in _numbered(text):
            self._record(record, ident.value, report)
        if isinstance(text, SiteText):
            for zone in text.zones:
                own = [Word(word.value.partition("/")[0], word.at) for _, words in zone.addresses for word in words]
                for word in own:
                    self._note(
                        _Saying("zone", "zone", value_of(zone.name), "addresses", False), "literal", word, report
                    )
            for bridge in text.bridges:
                self._record(bridge, value_of(bridge.name), report)
            for route in text.routes:
                self._record(route, route.to.value, report)
            hidden = text.alerts.pseudonyms if text.alerts else None
            never = text.indicators.never if text.indicators else None
            for section in (text.bans, text.alerts, hidden, never, text.console):
                if section is not None:
                    self._record(section, "", report)
            for person in text.console.people if text.console is not None else ():
                self._record(person, value_of(person.name), report)
        if text.settings is not None:
            self._record(text.settings, "", report)
        if isinstance(text, BaselineText):
            for path, _ in text.locked:
                self._lock(path, report)

    def _record(self, record: Record, name: str, report: Report) -> None:
        called = _CALLED.get(type(record), "")
        off = value_of(getattr(record, "enabled", None)) == "no"
        for field, naming in NAMING.get(type(record), {}).items():
            written = getattr(record, field)
            words = written if isinstance(written, tuple) else () if written is None else (written,)
            key = _keys(type(record))[field]
            for item in words:
                word = item[0] if isinstance(item, tuple) else item
                self._note(_Saying(called, called, name, key, len(words) == 1, off), naming, word, report)
        if isinstance(record, ObjectText) and record.file is not None:
            saying = _Saying("object", "object", name, f"file {record.file.value}", False)
            self._list(saying, record.file.value)

    def _list(self, saying: _Saying, path: str) -> None:
        """The addresses of a list file; each use says the line of the list."""
        if path not in self._files:
            return
        inner = Report(path)
        for number, line in enumerate(self._files[path].split("\n")):
            literal = line.partition("#")[0].strip()
            if literal:
                self._note(saying, "literal", Word(literal, number << LINE_SHIFT), inner)

    def _note(self, saying: _Saying, naming: str, word: Word, report: Report) -> None:
        """Everything that one word names. Nothing is said of words that are wrong: the parser does that."""
        value = word.value
        taken = value.startswith("not ")
        value = value[4:].strip() if taken else value
        if naming == "literal" or (naming in ("address", "listen") and addresses.looks_literal(value)):
            try:
                self._literals.append((addresses.literal(value), _use(saying, "address", value, word, report, taken)))
            except AddressError:
                return
            return
        for kind, name, through in self._named(naming, value):
            use = _use(saying, kind, name, word, report, taken)
            self._uses.setdefault((kind, name), []).append(
                msgspec.structs.replace(use, through=(through,), alone=False) if through else use
            )

    def _named(self, naming: str, value: str) -> Iterator[tuple[Kind, str, str]]:
        """(kind, name, the word that stands for it where it is not said itself)."""
        if naming == "zone":
            if value.startswith("role:"):
                for zone in self._roles.get(value.partition(":")[2], ()):
                    yield "zone", zone, value
            elif value == ANY:
                for zones in self._roles.values():
                    for zone in zones:
                        yield "zone", zone, ANY
            elif value != GATEWAY:
                yield "zone", value, ""
        elif naming == "hairpin":
            if value not in ("yes", "no"):
                yield "zone", value, ""
        elif naming == "people":
            kind, colon, group = value.partition(":")
            yield ("group", group, "") if colon else ("person", kind, "")
        elif naming == "never":
            for part in filter(None, _ARROW.split(value)):
                # A zone weighs more than an object of the same name, as in the parser.
                is_object = ("object", part) in self.definitions and part not in self._zones
                yield from ((("object", part, ""),) if is_object else self._named("zone", part))
        elif naming == "listen":
            yield "zone", value, ""
        elif naming == "marks":
            if value.startswith("zone "):
                yield "zone", value.removeprefix("zone "), ""
        elif naming == "asset":
            yield ("zone", value, "") if value in self._zones else ("object", value, "")
        elif naming == "address":
            if value != ANY:
                yield "object", value, ""
        elif naming == "signatures":
            kind, _, feed = value.partition(" ")
            if kind == "feed":
                yield "feed", feed.partition(" ")[0], ""
        elif naming in KINDS:
            yield _KIND_OF[naming], value, ""

    @property
    def _zones(self) -> set[str]:
        return {zone for zones in self._roles.values() for zone in zones}

    def _lock(self, path: Word, report: Report) -> None:
        """`zones.dmz.antispoofing`, `profiles.strict.unavailable`: a lock may name a zone or a profile."""
        head, _, rest = path.value.partition(".")
        name = rest.rpartition(".")[0]
        saying = _Saying("lock", "lock", path.value, "locked", True)
        if head == "zones" and name != "*":
            self._note(saying, "zone", Word(name, path.at), report)
        elif head == "profiles" and name != "*":
            self._note(saying, "profile", Word(name, path.at), report)


class _Saying(msgspec.Struct, frozen=True):
    """Who says a word, and under which key."""

    kind: str
    words: str
    name: str
    key: str
    alone: bool
    off: bool = False


def _use(saying: _Saying, kind: Kind, name: str, word: Word, report: Report, taken: bool) -> Use:
    return Use(
        kind=kind,
        name=name,
        span=report.span(word.at),
        holder=f"{saying.words} {saying.name}".strip(),
        holder_kind=saying.kind,
        holder_id=saying.name,
        key=saying.key,
        alone=saying.alone and not taken,
        taken=taken,
        off=saying.off,
    )


def _numbered(text: DocumentText) -> Iterator[tuple[Word, Record]]:
    """What has an id, in the order of the text."""
    if isinstance(text, BaselineText):
        for rule in (*text.first, *text.last):
            yield rule.id, rule
    if isinstance(text, SiteText):
        for rule in text.rules:
            yield rule.id, rule
        for source in text.nat.source if text.nat is not None else ():
            yield source.id, source
        for destination in text.nat.destination if text.nat is not None else ():
            yield destination.id, destination
        for published in text.publish:
            yield published.id, published
        for suppression in text.suppressions:
            yield suppression.id, suppression
        for ban in text.bans.automatic if text.bans is not None else ():
            yield ban.id, ban
        for exemption in text.detections.exempt if text.detections is not None else ():
            yield exemption.id, exemption
        for risk in text.risks:
            yield risk.id, risk
    for invariant in text.invariants:
        yield invariant.id, invariant


@functools.cache
def _keys(record: type[Record]) -> dict[str, str]:
    return {known.field: known.key for known in declared(record).values()}


def _read(text: str, report: Report) -> SiteText:
    refuse_size(text, report.file)
    text = unix_lines(text)
    check_characters(text, report)
    node = None if report.failed else compose(text, report)
    site = None if node is None else decode(node, SiteText, report)
    if site is None or report.failed:
        raise PolicyError(report.problems())
    return site
