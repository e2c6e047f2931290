"""What a person may write: every section and key of a policy text, declared once.

From these declarations come the reader (`schema.decode`), the JSON Schema (`schema.json_schema`) and the key
reference of the handbook (`schema.reference`). The values are words with positions, as written; what they
mean is `model.py`. A field without a default is a key that must be there.
"""

from __future__ import annotations

from typing import Annotated

from appliance.policy import limits
from appliance.policy.written import kinds
from appliance.policy.written.consoletext import ConsoleText
from appliance.policy.written.document_zones import ConnectionText, ZoneText
from appliance.policy.written.exports import AlertsText, ConsumerText
from appliance.policy.written.indicatortext import IndicatorsText
from appliance.policy.written.keys import LEVEL, Key, Record, Words
from appliance.policy.written.kinds import Choice, Flag, Many, Named, Number, Part, Parts
from appliance.policy.written.noticetext import NoticesText
from appliance.policy.written.prevention import (
    BansText,
    BridgeText,
    DetectionsText,
    FeedText,
    ProfileText,
    SuppressionText,
)
from appliance.policy.written.recordtext import AuditText
from appliance.policy.written.text import Word

ACTION = Choice(("allow", "deny", "reject"))
LOG = Choice(("none", "start", "end", "both"))


class ObjectText(Record, frozen=True, kw_only=True):
    """A named piece of the world. It stands for the union of everything it lists."""

    networks: Annotated[Words, Key(Many(kinds.NETWORK), "networks", example="[10.21.0.0/24]")] = ()
    addresses: Annotated[
        Words, Key(Many(kinds.ADDRESS), "single addresses", example="[10.21.0.10, 2001:db8:21::10]")
    ] = ()
    ranges: Annotated[Words, Key(Many(kinds.RANGE), "ranges of addresses", example="[10.21.0.20-10.21.0.29]")] = ()
    names: Annotated[
        Words,
        Key(
            Many(kinds.HOST_NAME),
            "DNS names, resolved on the gateway again and again",
            example="[updates.example.org]",
        ),
    ] = ()
    members: Annotated[Words, Key(Many(kinds.NAME_KIND), "other objects", example="[mirrors, records]")] = ()
    file: Annotated[
        Word | None,
        Key(
            kinds.FILE_NAME,
            "a list beside the policy: one address, network or range a line, `#` begins a comment",
            example="lists/blocked.txt",
        ),
    ] = None
    cap: Annotated[
        Word | None,
        Key(
            Number(1, limits.MAX_DNS_CAP),
            "an answer with more addresses is refused and the last good one stays",
            default="256",
        ),
    ] = None
    refresh: Annotated[
        Word | None, Key(Number(10, 86_400, "seconds"), "the longest time between two resolutions", default="300")
    ] = None
    classification: Annotated[
        Word | None,
        Key(
            Choice(("public", "internal", "restricted", "confidential", "secret")),
            "how sensitive what lives there is",
            example="confidential",
        ),
    ] = None
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None


class ScheduleText(Record, frozen=True, kw_only=True):
    """Weekly times."""

    times: Annotated[
        Words,
        Key(
            Many(kinds.SCHEDULE_TIME),
            "days and hours; a time that ends before it begins runs past midnight",
            example='[mon-fri 07:30-17:00, "sat 08:00-12:00"]',
        ),
    ]
    timezone: Annotated[Word | None, Key(kinds.TIMEZONE, "whose clock", default="the site's")] = None
    first: Annotated[Word | None, Key(kinds.DATE, "the first day it holds", name="from", example="2027-01-04")] = None
    last: Annotated[Word | None, Key(kinds.DATE, "the last day it holds", name="until", example="2027-06-30")] = None
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None


class PersonText(Record, frozen=True, kw_only=True):
    """A person, by the id that rules and logs name."""

    full_name: Annotated[Word | None, Key(kinds.TEXT, "the name", name="name", example="Hazel Officer")] = None
    email: Annotated[Word | None, Key(kinds.MAIL, "the mail address", example="h.officer@health.example")] = None
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None


class GroupText(Record, frozen=True, kw_only=True):
    """A group of people."""

    members: Annotated[
        Words,
        Key(Many(kinds.PEOPLE_WORD), "people, and groups as `group:<name>`", example="[h.officer, group:nurses]"),
    ]
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None


class InvariantText(Record, frozen=True, kw_only=True):
    """A statement about all packets that every generation must satisfy."""

    id: Annotated[Word, Key(kinds.ID, "permanent", example="I-1")]
    never: Annotated[
        Word,
        Key(kinds.NEVER, "no packet from the left may reach the right: zones or objects", example="internet -> lan"),
    ]
    service: Annotated[
        Words, Key(Many(kinds.SERVICE_WORD), "only of these services", default="every service", example="[ssh]")
    ] = ()
    excepted: Annotated[
        Words, Key(Many(kinds.ID), "but for what these rules allow", name="except", example="[R-12]")
    ] = ()
    why: Annotated[Word | None, Key(kinds.TEXT, "the reason")] = None


class RuleText(Record, frozen=True, kw_only=True):
    """One filter rule. Order matters only inside one zone pair; what no rule allows is denied."""

    id: Annotated[Word, Key(kinds.ID, "permanent; in every log line", example="R-7")]
    sources: Annotated[
        Words,
        Key(
            Many(kinds.ZONE_WORD),
            "the zones it comes from: names, `any`, `gateway`, `role:<role>`",
            name="from",
            example="lan",
        ),
    ]
    destinations: Annotated[Words, Key(Many(kinds.ZONE_WORD), "the zones it goes to", name="to", example="internet")]
    source: Annotated[
        Words,
        Key(
            Many(kinds.ADDRESS_WORD),
            "the addresses it comes from: objects or literals; `not x` takes x away",
            default="any",
            example="[clinics, not 10.20.9.0/24]",
        ),
    ] = ()
    destination: Annotated[
        Words, Key(Many(kinds.ADDRESS_WORD), "the addresses it goes to", default="any", example="records")
    ] = ()
    service: Annotated[
        Words, Key(Many(kinds.SERVICE_WORD), "the services", default="any", example="[web, tcp/8443]")
    ] = ()
    people: Annotated[
        Words,
        Key(Many(kinds.PEOPLE_WORD), "only these people and groups", default="everybody", example="[group:staff]"),
    ] = ()
    when: Annotated[Word | None, Key(kinds.NAME_KIND, "a schedule", default="always", example="office")] = None
    action: Annotated[Word, Key(ACTION, "what happens; `reject` tells the sender", example="allow")]
    inspect: Annotated[
        Word | None, Key(kinds.NAME_KIND, "an inspection profile", default="no inspection", example="strict")
    ] = None
    log: Annotated[Word | None, Key(LOG, "which ends of a connection are logged", default="none", example="end")] = (
        None
    )
    limit: Annotated[
        Word | None,
        Key(
            kinds.RATE,
            "at most so many new connections; what is beyond does not match",
            example="100/second burst 20 per source",
        ),
    ] = None
    connections: Annotated[
        Word | None, Key(kinds.CONNECTIONS, "at most so many connections at a time", example="50 per source")
    ] = None
    expires: Annotated[
        Word | None,
        Key(
            kinds.MOMENT,
            "when it ends, in the site's time; the gateway enforces that minute",
            default="never",
            example="2027-03-31",
        ),
    ] = None
    review: Annotated[Word | None, Key(kinds.DATE, "when somebody must look at it again", example="2027-01-31")] = (
        None
    )
    owner: Annotated[
        Word | None, Key(kinds.TEXT, "who answers for it; `allow` needs one", example="it@health.example")
    ] = None
    why: Annotated[Word | None, Key(kinds.TEXT, "the reason; `allow` needs one", example="web access for staff")] = (
        None
    )
    ticket: Annotated[Word | None, Key(kinds.TEXT, "where it was asked for", example="CHG-1042")] = None
    enabled: Annotated[Word | None, Key(Flag(), "`no` keeps the rule and its id, without effect", default="yes")] = (
        None
    )


class SourceNatText(Record, frozen=True, kw_only=True):
    """Flows that leave with another source address. The first one that matches holds."""

    id: Annotated[Word, Key(kinds.ID, "permanent", example="N-1")]
    out: Annotated[Word, Key(kinds.NAME_KIND, "the zone they leave through", example="internet")]
    source: Annotated[Words, Key(Many(kinds.ADDRESS_WORD), "their source", default="any", example="clinics")] = ()
    destination: Annotated[Words, Key(Many(kinds.ADDRESS_WORD), "their destination", default="any")] = ()
    service: Annotated[Words, Key(Many(kinds.SERVICE_WORD), "their service", default="any")] = ()
    to: Annotated[
        Word,
        Key(
            kinds.Kind(
                "`masquerade`, `exempt`, an address or a range",
                r"masquerade|exempt|[0-9A-Fa-f.:]{2,45}(?: ?- ?[0-9A-Fa-f.:]{2,45})?",
                "write `masquerade`, `exempt`, or an address of the gateway",
                "masquerade",
                100,
            ),
            "the new source: `masquerade` (the interface's own), an address or range, or `exempt` (unchanged)",
            example="masquerade",
        ),
    ]
    ports: Annotated[Word | None, Key(kinds.PORTS, "the new source ports", example="1024-65535")] = None
    owner: Annotated[Word | None, Key(kinds.TEXT, "who answers for it")] = None
    why: Annotated[Word | None, Key(kinds.TEXT, "the reason")] = None


class DestinationNatText(Record, frozen=True, kw_only=True):
    """Flows that go to another destination than the sender wrote.

    A rule must allow them; `publish` is both in one.
    """

    id: Annotated[Word, Key(kinds.ID, "permanent", example="N-10")]
    sources: Annotated[Words, Key(Many(kinds.ZONE_WORD), "the zones they come from", name="from", example="lan")]
    source: Annotated[Words, Key(Many(kinds.ADDRESS_WORD), "their source", default="any")] = ()
    destination: Annotated[
        Words, Key(Many(kinds.ADDRESS_WORD), "the address they were sent to", example="203.0.113.10")
    ]
    service: Annotated[Words, Key(Many(kinds.SERVICE_WORD), "their service", default="any", example="dns")] = ()
    to: Annotated[Word, Key(kinds.ADDRESS, "the address they go to", example="10.21.0.10")]
    port: Annotated[Word | None, Key(kinds.PORTS, "the port they go to", default="unchanged", example="8443")] = None
    owner: Annotated[Word | None, Key(kinds.TEXT, "who answers for it")] = None
    why: Annotated[Word | None, Key(kinds.TEXT, "the reason")] = None


class NatText(Record, frozen=True, kw_only=True):
    """Address translation."""

    source: Annotated[
        tuple[SourceNatText, ...], Key(Parts(SourceNatText), "flows that leave with another source")
    ] = ()
    destination: Annotated[
        tuple[DestinationNatText, ...], Key(Parts(DestinationNatText), "flows that go to another destination")
    ] = ()


class PublishText(Record, frozen=True, kw_only=True):
    """A service of the inside that the outside may use: the translation and the rule that allows it, in one."""

    id: Annotated[Word, Key(kinds.ID, "permanent; in every log line", example="P-1")]
    sources: Annotated[Words, Key(Many(kinds.ZONE_WORD), "who may use it", name="from", example="internet")]
    source: Annotated[Words, Key(Many(kinds.ADDRESS_WORD), "only from these addresses", default="any")] = ()
    address: Annotated[
        Words,
        Key(
            Many(kinds.ADDRESS),
            "the outer address, one for each IP version",
            example="[203.0.113.10, 2001:db8:21::10]",
        ),
    ]
    service: Annotated[Words, Key(Many(kinds.SERVICE_WORD), "the service as the outside sees it", example="https")]
    to: Annotated[
        Words,
        Key(
            Many(kinds.ADDRESS),
            "the inner address, one for each IP version; the same as `address` means no translation",
            example="[10.21.0.10, 2001:db8:21::10]",
        ),
    ]
    port: Annotated[Word | None, Key(kinds.PORTS, "the inner port", default="the same", example="8443")] = None
    zone: Annotated[
        Word | None,
        Key(
            kinds.NAME_KIND, "the zone the service is in", default="the zone whose networks hold `to`", example="dmz"
        ),
    ] = None
    hairpin: Annotated[
        Words,
        Key(
            Many(kinds.NAME_KIND),
            "`yes`, or the inner zones whose hosts may use the outer address too",
            default="no",
            example="yes",
        ),
    ] = ()
    when: Annotated[Word | None, Key(kinds.NAME_KIND, "a schedule", default="always")] = None
    inspect: Annotated[Word | None, Key(kinds.NAME_KIND, "an inspection profile", default="no inspection")] = None
    log: Annotated[Word | None, Key(LOG, "which ends of a connection are logged", default="none")] = None
    limit: Annotated[Word | None, Key(kinds.RATE, "at most so many new connections")] = None
    connections: Annotated[Word | None, Key(kinds.CONNECTIONS, "at most so many connections at a time")] = None
    expires: Annotated[Word | None, Key(kinds.MOMENT, "when it ends", default="never")] = None
    review: Annotated[Word | None, Key(kinds.DATE, "when somebody must look at it again")] = None
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="portal@egov.example")]
    why: Annotated[Word, Key(kinds.TEXT, "the reason", example="the citizens' portal")]
    ticket: Annotated[Word | None, Key(kinds.TEXT, "where it was asked for")] = None
    enabled: Annotated[Word | None, Key(Flag(), "`no` keeps it and its id, without effect", default="yes")] = None


class RouteText(Record, frozen=True, kw_only=True):
    """A static route."""

    to: Annotated[
        Word, Key(kinds.NETWORK, "the destination; `0.0.0.0/0` and `::/0` are the default", example="10.30.0.0/16")
    ]
    via: Annotated[Word | None, Key(kinds.ADDRESS, "the next hop", example="10.20.0.254")] = None
    interface: Annotated[Word | None, Key(kinds.INTERFACE, "the interface", example="wan0")] = None
    metric: Annotated[Word | None, Key(Number(0, 2**31 - 1), "the lowest wins", default="0")] = None
    blackhole: Annotated[Word | None, Key(Flag(), "drop what goes there", default="no")] = None


class RiskText(Record, frozen=True, kw_only=True):
    """A threat to what the site has, how bad it is, and what is done about it. It changes no packet."""

    id: Annotated[Word, Key(kinds.ID, "permanent", example="T-1")]
    threat: Annotated[
        Word, Key(kinds.TEXT, "what could happen", example="the records are copied by malware on a workstation")
    ]
    assets: Annotated[
        Words, Key(Many(kinds.NAME_KIND), "what it would happen to: objects and zones", example="[records]")
    ]
    likelihood: Annotated[Word, Key(LEVEL, "how likely it is, with the safeguards in place", example="low")]
    impact: Annotated[Word, Key(LEVEL, "how bad it would be", example="high")]
    treatment: Annotated[
        Word | None,
        Key(
            Choice(("reduce", "accept", "avoid", "transfer")),
            "what was decided; to `reduce` needs safeguards or measures",
            default="reduce",
        ),
    ] = None
    safeguards: Annotated[
        Words,
        Key(
            Many(kinds.ID),
            "what of this policy stands against it: ids of rules, translations, published services, invariants",
            example="[I-2, R-12]",
        ),
    ] = ()
    measures: Annotated[
        Words, Key(Many(kinds.TEXT), "what stands against it beside the policy", example='"nightly backup"')
    ] = ()
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="director@health.example")]
    review: Annotated[Word | None, Key(kinds.DATE, "when somebody must look at it again", example="2027-01-31")] = (
        None
    )


class SettingsText(Record, frozen=True, kw_only=True):
    """Values that are not rules."""

    drift: Annotated[
        Word | None,
        Key(
            Choice(("report", "repair")),
            "when the kernel no longer holds what was applied: tell, or tell and restore",
            default="repair",
        ),
    ] = None
    log_default: Annotated[Word | None, Key(Flag(), "log what no rule matched", default="yes")] = None
    confirm_within: Annotated[
        Word | None,
        Key(
            Number(0, limits.MAX_CONFIRM_WITHIN, "seconds"),
            "how long an apply waits for its confirm; 0 asks for none",
            default="120",
        ),
    ] = None
    history: Annotated[
        Word | None, Key(Number(2, limits.MAX_HISTORY), "how many generations are kept", default="500")
    ] = None
    flow_log_days: Annotated[
        Word | None,
        Key(
            Number(0, limits.MAX_FLOW_LOG_DAYS, "days"),
            "how long is kept which zones and hosts talked, for `reef impact`; 0 keeps nothing",
            default="30",
        ),
    ] = None
    keep_files: Annotated[
        Word | None,
        Key(
            Choice(("none", "rules", "all")),
            "files of inspected traffic that are kept: none, those a rule asks for, all",
            default="none",
        ),
    ] = None
    keep_evidence: Annotated[
        Word | None, Key(Flag(), "keep the packets of connections in which an inspection rule alerts", default="no")
    ] = None
    keep_days: Annotated[
        Word | None, Key(Number(1, limits.MAX_FLOW_LOG_DAYS, "days"), "how long those two are kept", default="30")
    ] = None
    nameservers: Annotated[
        Words,
        Key(
            Many(kinds.ADDRESS), "who resolves the names of objects", default="the box's own", example="[10.21.0.53]"
        ),
    ] = ()


class DocumentText(Record, frozen=True, kw_only=True):
    """What a site and a baseline have in common."""

    reef: Annotated[Word, Key(Choice(("1",)), "the version of this language", example="1")]
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None
    inherits: Annotated[
        Words, Key(Many(kinds.NAME_KIND), "the baselines that hold here too", example="[national-baseline]")
    ] = ()
    objects: Annotated[
        tuple[ObjectText, ...], Key(Named(kinds.NAME_KIND, Part(ObjectText)), "named addresses, networks and names")
    ] = ()
    services: Annotated[
        tuple[tuple[Word, Words], ...],
        Key(
            Named(kinds.NAME_KIND, Many(kinds.SERVICE_WORD)),
            "named services",
            example="{web: [tcp/443, udp/443, tcp/80]}",
        ),
    ] = ()
    schedules: Annotated[
        tuple[ScheduleText, ...],
        Key(
            Named(kinds.NAME_KIND, Part(ScheduleText, shorthand="times")),
            "named times",
            example="{office: mon-fri 07:30-17:00}",
        ),
    ] = ()
    people: Annotated[tuple[PersonText, ...], Key(Named(kinds.PERSON_ID, Part(PersonText)), "people, by id")] = ()
    groups: Annotated[
        tuple[GroupText, ...],
        Key(
            Named(kinds.NAME_KIND, Part(GroupText, shorthand="members")),
            "groups of people",
            example="{staff: [h.officer]}",
        ),
    ] = ()
    profiles: Annotated[
        tuple[ProfileText, ...],
        Key(
            Named(kinds.NAME_KIND, Part(ProfileText)), "inspection profiles; `strict` and `standard` are always there"
        ),
    ] = ()
    feeds: Annotated[
        tuple[FeedText, ...],
        Key(
            Named(kinds.NAME_KIND, Part(FeedText)),
            "where signatures come from",
            default="every file in the gateway's folder of rules",
        ),
    ] = ()
    invariants: Annotated[
        tuple[InvariantText, ...], Key(Parts(InvariantText), "statements that every generation must satisfy")
    ] = ()
    settings: Annotated[SettingsText | None, Key(Part(SettingsText), "values that are not rules")] = None


class SiteText(DocumentText, frozen=True, kw_only=True):
    """The policy of one site."""

    site: Annotated[Word, Key(kinds.NAME_KIND, "the name of the site", example="ministry-health")]
    timezone: Annotated[
        Word | None, Key(kinds.TIMEZONE, "whose clock expiry and schedules follow", default="UTC")
    ] = None
    zones: Annotated[
        tuple[ZoneText, ...], Key(Named(kinds.NAME_KIND, Part(ZoneText)), "sets of interfaces and networks")
    ] = ()
    connections: Annotated[
        tuple[ConnectionText, ...],
        Key(Named(kinds.INTERFACE, Part(ConnectionText)), "the register of external lines, by interface"),
    ] = ()
    bridges: Annotated[
        tuple[BridgeText, ...],
        Key(Named(kinds.NAME_KIND, Part(BridgeText)), "bumps in the wire between two lines, without addresses"),
    ] = ()
    rules: Annotated[tuple[RuleText, ...], Key(Parts(RuleText), "the filter rules, in order")] = ()
    nat: Annotated[NatText | None, Key(Part(NatText), "address translation")] = None
    publish: Annotated[tuple[PublishText, ...], Key(Parts(PublishText), "services that the outside may use")] = ()
    routes: Annotated[tuple[RouteText, ...], Key(Parts(RouteText), "static routes")] = ()
    detections: Annotated[
        DetectionsText | None, Key(Part(DetectionsText), "what is found without signatures, and when it is told")
    ] = None
    suppressions: Annotated[
        tuple[SuppressionText, ...], Key(Parts(SuppressionText), "signatures that are silent somewhere")
    ] = ()
    bans: Annotated[BansText | None, Key(Part(BansText), "who is never banned, and who is by itself")] = None
    alerts: Annotated[
        AlertsText | None, Key(Part(AlertsText), "what is kept for consumers, and where they ask for it")
    ] = None
    consumers: Annotated[
        tuple[ConsumerText, ...],
        Key(Named(kinds.NAME_KIND, Part(ConsumerText)), "who may have what the gateway sees", default="nobody"),
    ] = ()
    indicators: Annotated[
        IndicatorsText | None, Key(Part(IndicatorsText), "warnings that are taken in and enforced, and whose")
    ] = None
    audit: Annotated[
        AuditText | None, Key(Part(AuditText), "who vouches for the audit trail, and how long records are kept")
    ] = None
    notices: Annotated[
        NoticesText | None, Key(Part(NoticesText), "how officers are told of what concerns their lines")
    ] = None
    console: Annotated[
        ConsoleText | None, Key(Part(ConsoleText), "who works at it with a browser, and who must agree to changes")
    ] = None
    risks: Annotated[
        tuple[RiskText, ...], Key(Parts(RiskText), "threats to what the site has, and what stands against them")
    ] = ()


class BaselineText(DocumentText, frozen=True, kw_only=True):
    """What every site that inherits it has, and cannot weaken."""

    baseline: Annotated[Word, Key(kinds.NAME_KIND, "the name of the baseline", example="national-baseline")]
    first: Annotated[tuple[RuleText, ...], Key(Parts(RuleText), "rules before every rule of the site")] = ()
    last: Annotated[tuple[RuleText, ...], Key(Parts(RuleText), "rules after every rule of the site")] = ()
    locked: Annotated[
        tuple[tuple[Word, Word], ...],
        Key(
            Named(kinds.LOCK_PATH, kinds.TEXT),
            "values that no site may change",
            example="{settings.drift: repair, zones.*.antispoofing: yes}",
        ),
    ] = ()
