"""The normalised policy: what a site's text means, with every default filled in.

The text (`text.py`, `document.py`) and this model are different types on purpose: the text keeps what a
person wrote, the model keeps what it means. Values here are parsed and checked; references between
parts are by name and are known to resolve. Everything is immutable and compares by value.

Addresses are closed integer intervals, so that compiler, prover and the model's own `decide` share
one arithmetic for IPv4 and IPv6.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.policy.console import ConsoleSettings
from appliance.policy.consumers import AlertSettings, Consumer
from appliance.policy.detections import Detections
from appliance.policy.indicators import IndicatorSettings
from appliance.policy.notices import NoticeSettings
from appliance.policy.records import AuditSettings

# The zone that is the box itself: `to: gateway` is nftables' input hook, `from: gateway` its output hook.
GATEWAY = "gateway"
ANY = "any"

Action = Literal["allow", "deny", "reject"]
LogPhase = Literal["none", "start", "end", "both"]
Level = Literal["low", "medium", "high"]
Bogons = Literal["martians", "private", "documentation"]
BOGONS: tuple[Bogons, ...] = ("martians", "private", "documentation")
Treatment = Literal["reduce", "accept", "avoid", "transfer"]
SignatureAction = Literal["alert", "drop", "reject", "pass", "off"]
# What inspection can leave out to save time: file bodies, connections that carried much, connections that turned to
# ciphertext, connections that were looked into without a find, connections that begin.
Shed = Literal["files", "transfers", "encrypted", "established", "new"]
SHED_FIRST: tuple[Shed, ...] = ("files", "transfers", "encrypted", "established")
DEPTH = 1 << 20  # bytes of each direction


class Span(msgspec.Struct, frozen=True, eq=False, forbid_unknown_fields=True):
    """Where something was written. `line` and `column` count from 1.

    Any two spans are equal: values of this model compare by what they mean, not by where they stand, so a
    rule that only moved down a line is still the same rule.
    """

    file: str
    line: int
    column: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Span)

    def __hash__(self) -> int:
        return 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Range(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """A closed interval of IP addresses of one family (`version` 4 or 6, `first` <= `last`)."""

    version: int
    first: int
    last: int


class AddressSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an object or an endpoint stands for.

    `ranges` are disjoint, sorted, not adjacent. `dynamic` names the kernel sets that are filled while
    the generation runs (`Dynamic.name`). A packet matches when its address lies in `ranges` or in one
    of `dynamic`. With both empty, nothing matches.
    """

    ranges: tuple[Range, ...] = ()
    dynamic: tuple[str, ...] = ()


EVERYTHING = AddressSet(
    ranges=(Range(4, 0, 2**32 - 1), Range(6, 0, 2**128 - 1)),
)


class Dynamic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named set that changes between generations: DNS names, people, bans, pinholes.

    `name` is the stem of the kernel sets (`<name>_v4`, `<name>_v6`). For `kind` "dns" the `names` are
    resolved again when their TTL ends (bounded by `refresh`, seconds); more than `cap` addresses are
    refused and the last good answer stays. For "person" and "group" `names` are the members' ids.
    """

    name: str
    kind: Literal["dns", "person", "group"]
    names: tuple[str, ...]
    cap: int = 256
    refresh: int = 300


class Object(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named piece of the world: addresses with an owner-facing name and a classification."""

    name: str
    addresses: AddressSet
    classification: str = ""
    description: str = ""
    span: Span | None = None


class Protection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the XDP gate drops at the lines of a zone, besides what is banned. Rates are packets of one source;
    `strangers` are the SYNs of all sources of a line that have not asked twice."""

    malformed: bool = True
    bogons: tuple[Bogons, ...] = ()
    syn: Rate | None = None
    udp: Rate | None = None
    icmp: Rate | None = None
    strangers: Rate | None = None


class Zone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A set of interfaces and networks of one trust.

    With `antispoofing` a packet that enters through `interfaces` is dropped when the route back to its
    source leaves through another interface; where `networks` is not empty, its source must also lie in
    them (link-local and DHCP/ND bootstrap addresses excepted).
    """

    name: str
    interfaces: tuple[str, ...] = ()
    networks: tuple[Range, ...] = ()
    addresses: tuple[InterfaceAddress, ...] = ()
    antispoofing: bool = True
    description: str = ""
    role: str = "internal"  # what it is to the country: internet, internal, dmz, partner, ...
    external: bool = False  # its lines leave the house and are registered in `Policy.connections`
    span: Span | None = None
    protect: Protection | None = None
    # Devices that nobody accepted reach nothing through it, but for these services; None: they are only told.
    quarantined_may: tuple[ServiceEntry, ...] | None = None


class Bridge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bump in the wire: every frame goes from either interface to the other, looked into under a profile.

    No rule decides there and no address is translated. `number` as that of a rule: alerts and reactions name it.
    """

    name: str
    between: tuple[str, str]
    inspect: str  # name of a profile
    unavailable: Literal["fail-open", "fail-closed"] = "fail-closed"
    protect: Protection | None = None
    owner: str = ""
    why: str = ""
    number: int = 0
    span: Span | None = None


class InterfaceAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An address the gateway itself has, e.g. interface "lan0", address "10.20.0.1/16"."""

    interface: str
    address: str


class Connection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One external line and who answers for it (R2)."""

    interface: str
    provider: str
    officer: str
    phone: str = ""
    span: Span | None = None


class ServiceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One protocol of a service.

    `protocol` is the IANA number, or None for every protocol. `ports` and `source_ports` are closed
    intervals for tcp, udp, sctp, dccp and udplite; `icmp` is a closed interval of types, with `code` None for
    every code. ICMP (1) matches IPv4 only and ICMPv6 (58) IPv6 only.
    """

    protocol: int | None
    ports: tuple[int, int] = (0, 65535)
    source_ports: tuple[int, int] = (0, 65535)
    icmp: tuple[int, int] = (0, 255)
    code: int | None = None


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    entries: tuple[ServiceEntry, ...]
    span: Span | None = None


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weekly times in a zone of the IANA time zone database.

    Each entry of `spans` is (first minute, end minute) of the week, Monday 00:00 = 0, half open, at most
    10080; local wall-clock time of `timezone`. `first`/`last` (ISO dates, inclusive) bound it where given.
    """

    name: str
    timezone: str
    spans: tuple[tuple[int, int], ...]
    first: str = ""
    last: str = ""
    span: Span | None = None


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person; `id` is what rules and logs name, e.g. "h.officer"."""

    id: str
    name: str = ""
    email: str = ""
    span: Span | None = None


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    members: tuple[str, ...]
    span: Span | None = None


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`amount` new connections per `seconds`, `burst` more at once; counted per source, destination or rule."""

    amount: int
    seconds: int
    burst: int = 5
    per: Literal["rule", "source", "destination"] = "rule"


class Connections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `limit` connections at a time, counted per source, destination or rule."""

    limit: int
    per: Literal["rule", "source", "destination"] = "source"


class Signatures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which signatures are meant: one by `sid` (of `gid`), those of a category, a severity or a feed, or every one.

    At most one of the four is set. `category` is the name of a class ("trojan-activity"), not its words.
    """

    sid: int = 0
    gid: int = 1
    category: str = ""
    severity: int = 0  # 1 is the worst
    feed: str = ""


class Reaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What some signatures do under a profile, in connections of one direction or, with "", of any."""

    signatures: Signatures
    action: SignatureAction
    direction: Literal["", "inbound", "outbound", "inside"] = ""


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often signatures are told of. What they drop they drop nonetheless.

    `at-most`: the first `count` in `seconds`. `every`: each `count`-th in `seconds`. `once-after`: one for all of
    `seconds`, at the `count`-th. Counted for each signature by itself, per source, destination, both, or over all.
    """

    signatures: Signatures
    kind: Literal["at-most", "every", "once-after"]
    count: int
    seconds: int
    per: Literal["rule", "source", "destination", "pair"] = "rule"


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An inspection profile.

    `unavailable` says what happens to its flows while inspectd is away. `depth` is how many bytes of each direction
    are looked into before a connection is handed back, 0 for all. Of `reactions` the most particular one holds
    (`reactions.py`), and where none does, a signature does what it says itself. `overload` is what is shed, first
    to last, when the engine cannot keep up; what is not in it is not shed. Signatures of `feeds` are looked for, of
    every one with ().
    """

    name: str
    unavailable: Literal["fail-open", "fail-closed"] = "fail-closed"
    depth: int = DEPTH
    reactions: tuple[Reaction, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    overload: tuple[Shed, ...] = SHED_FIRST
    feeds: tuple[str, ...] = ()
    description: str = ""
    span: Span | None = None


class Suppression(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Signatures that say nothing, or with `action` "alert" stop nothing, where they were found to be wrong.

    It holds for a packet of a connection when each condition does: its client is in `source`, its server in
    `destination`, either of them in `either`, it came from one of the zones `sources` to one of `destinations`,
    and its profile is one of `profiles`; what is () or `EVERYTHING` is no condition. It ends at `expires_at`
    (seconds since the epoch), which is never 0.
    """

    id: str
    signatures: tuple[Signatures, ...]
    action: Literal["off", "alert"] = "off"
    source: AddressSet = EVERYTHING
    destination: AddressSet = EVERYTHING
    either: AddressSet = EVERYTHING
    sources: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    owner: str = ""
    why: str = ""
    ticket: str = ""
    expires: str = ""
    expires_at: int = 0
    span: Span | None = None


class Feed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where signatures come from: a `file` (or folder) beneath the gateway's folder of rules, or an https `address`.

    What an address gives must have the digest `sha256`, or the one that `checksum` (an https address) says, or be
    signed by `key` (Ed25519, base64). It is fetched every `refresh` hours. Signatures that are new or changed alert
    only for `trial` days.
    """

    name: str
    file: str = ""
    address: str = ""
    sha256: str = ""
    checksum: str = ""
    key: str = ""
    refresh: int = 24
    trial: int = 0
    description: str = ""
    span: Span | None = None


class AutomaticBan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom the gateway bans by itself: who does one of `findings` (names of detections), or is the source of a packet
    that one of `signatures` stopped, comes from one of the zones `sources` (() any), and is found with at least
    `confidence`.

    Banned for `lasts[0]` seconds, the second time for `lasts[1]` and so on, the last from then on; what is longer ago
    than `memory` seconds does not count.
    """

    id: str
    findings: tuple[str, ...] = ()
    signatures: tuple[Signatures, ...] = ()
    sources: tuple[str, ...] = ()
    confidence: Level = "medium"
    lasts: tuple[int, ...] = (3600,)
    memory: int = 30 * 86_400
    owner: str = ""
    why: str = ""
    span: Span | None = None


class Banning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is never banned (`allow`), and who is without anybody asking. At most `most` automatic bans hold at a time,
    and at most `rate` begin in a minute."""

    allow: AddressSet = AddressSet()
    automatic: tuple[AutomaticBan, ...] = ()
    most: int = 1000
    rate: int = 60


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One filter rule. Order matters only inside one zone pair; `Policy.rules` is in evaluation order.

    `number` is small, permanent for `id` on this gateway and carried in the conntrack mark; 0 means not
    yet given (the generation store gives it). `expires` and `review` are ISO dates or minutes
    ("2027-03-31" means the end of that day, "2027-03-31T17:00") in the site's time zone; `expires_at` is
    the same as seconds since the epoch (UTC), 0 for never. `origin` says which text it came from.
    """

    id: str
    sources: tuple[str, ...]  # zone names, or (ANY,)
    destinations: tuple[str, ...]
    source: AddressSet = EVERYTHING
    destination: AddressSet = EVERYTHING
    services: tuple[ServiceEntry, ...] = (ServiceEntry(None),)
    action: Action = "deny"
    log: LogPhase = "none"
    people: tuple[str, ...] = ()  # names of Dynamic sets of kind person/group; matched as the source
    when: str = ""  # name of a schedule
    rate: Rate | None = None
    connections: Connections | None = None
    inspect: str = ""  # name of a profile
    expires: str = ""
    expires_at: int = 0
    review: str = ""
    owner: str = ""
    why: str = ""
    ticket: str = ""
    enabled: bool = True
    origin: Literal["site", "baseline-first", "baseline-last", "inherited"] = "site"
    number: int = 0
    # The words of the text, for plans and answers: object and service names as written.
    said_source: tuple[str, ...] = ()
    said_destination: tuple[str, ...] = ()
    said_service: tuple[str, ...] = ()
    span: Span | None = None


class SourceNat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Packets of these flows leave with another source. `to` None is masquerade (the interface's own address)."""

    id: str
    out: str  # the zone they leave through
    source: AddressSet = EVERYTHING
    destination: AddressSet = EVERYTHING
    services: tuple[ServiceEntry, ...] = (ServiceEntry(None),)
    to: Range | None = None
    ports: tuple[int, int] | None = None
    exempt: bool = False  # these flows keep their source
    owner: str = ""
    why: str = ""
    number: int = 0
    span: Span | None = None


class DestinationNat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Flows that enter from `sources` for `destination` go to `to` instead.

    A published service is this plus the rule that allows it and, with `hairpin`, the same for hosts of
    the inner zones that use the outer address (their source becomes the gateway's on the way).
    """

    id: str
    sources: tuple[str, ...]
    destination: AddressSet
    services: tuple[ServiceEntry, ...]
    to: Range
    to_ports: tuple[int, int] | None = None
    source: AddressSet = EVERYTHING
    hairpin: bool = False
    hairpin_zones: tuple[str, ...] = ()
    owner: str = ""
    why: str = ""
    number: int = 0
    span: Span | None = None


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A static route. `destination` is a CIDR; `via` an address or ""; `interface` a name or ""."""

    destination: str
    via: str = ""
    interface: str = ""
    metric: int = 0
    blackhole: bool = False
    span: Span | None = None


class Invariant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A statement about all packets that every generation must satisfy: `never: a -> b`, but for `excepted` rules."""

    id: str
    sources: tuple[str, ...]  # zone or object names, or (ANY,)
    destinations: tuple[str, ...]
    services: tuple[ServiceEntry, ...] = (ServiceEntry(None),)
    excepted: tuple[str, ...] = ()
    why: str = ""
    span: Span | None = None


class Risk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A threat to what the site has, how bad it is, and what is done about it (R6). It changes no packet.

    `assets` are names of objects and zones, `safeguards` ids of rules, translations, published services and
    invariants; `measures` are words for what no policy can hold.
    """

    id: str
    threat: str
    assets: tuple[str, ...]
    likelihood: Level
    impact: Level
    treatment: Treatment = "reduce"
    safeguards: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    owner: str = ""
    review: str = ""
    span: Span | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values that are not rules. The baseline may lock any of them (R9)."""

    drift: Literal["report", "repair"] = "repair"
    log_default: bool = True  # log what no rule matched
    confirm_within: int = 120  # seconds; what `reef apply` uses when nothing is said
    timezone: str = "UTC"
    history: int = 500  # generations kept besides the running and the confirmed one
    flow_log_days: int = 30  # how long the flow log is kept (R30, R31); 0: none is
    keep_files: Literal["none", "rules", "all"] = "none"  # files of inspected traffic; they say what people say (R30)
    keep_evidence: bool = False  # packets of connections with alerts
    keep_days: int = 30
    nameservers: tuple[str, ...] = ()


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything one site's text means. Dict keys are the names used in the text.

    `inherits` are the names of all baselines it stands under, outermost first.
    """

    site: str
    zones: dict[str, Zone] = {}
    connections: dict[str, Connection] = {}
    bridges: dict[str, Bridge] = {}
    objects: dict[str, Object] = {}
    services: dict[str, Service] = {}
    schedules: dict[str, Schedule] = {}
    people: dict[str, Person] = {}
    groups: dict[str, Group] = {}
    profiles: dict[str, Profile] = {}
    dynamics: dict[str, Dynamic] = {}
    rules: tuple[Rule, ...] = ()
    source_nat: tuple[SourceNat, ...] = ()
    destination_nat: tuple[DestinationNat, ...] = ()
    routes: tuple[Route, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    risks: tuple[Risk, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    feeds: dict[str, Feed] = {}
    bans: Banning = Banning()
    detections: Detections = Detections()
    alerts: AlertSettings = AlertSettings()
    consumers: dict[str, Consumer] = {}
    indicators: IndicatorSettings = IndicatorSettings()
    notices: NoticeSettings = NoticeSettings()
    console: ConsoleSettings = ConsoleSettings()
    audit: AuditSettings = AuditSettings()
    settings: Settings = Settings()
    description: str = ""
    inherits: tuple[str, ...] = ()
