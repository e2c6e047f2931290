"""What a person may write of inspection and prevention: gate, bridges, profiles, feeds, suppressions, detections,
bans.

The other sections, and what is made of all of them, are in `document.py`.
"""

from __future__ import annotations

from typing import Annotated

from appliance.policy import detections as detected
from appliance.policy import limits
from appliance.policy.written import kinds
from appliance.policy.written.keys import LEVEL, Key, Record, Words
from appliance.policy.written.kinds import Choice, Flag, Many, Named, Number, Part, Parts
from appliance.policy.written.text import Word


class ProtectText(Record, frozen=True, kw_only=True):
    """What is dropped at a zone's lines before the gateway makes a packet of it (the XDP gate)."""

    malformed: Annotated[
        Word | None,
        Key(
            Flag(),
            "drop what no host may send: wrong lengths, flags that contradict each other",
            default="yes",
        ),
    ] = None
    bogons: Annotated[
        Words,
        Key(
            Many(Choice(("martians", "private", "documentation"))),
            "drop sources that are nobody's there: `martians` (nowhere anybody's), `private`, `documentation`",
            default="none",
            example="[martians, private]",
        ),
    ] = ()
    syn: Annotated[
        Word | None,
        Key(
            kinds.FLOOD, "at most so many new TCP connections of one source", default="no limit", example="99/second"
        ),
    ] = None
    udp: Annotated[
        Word | None,
        Key(kinds.FLOOD, "at most so many datagrams of one source", default="no limit", example="20000/second"),
    ] = None
    icmp: Annotated[
        Word | None,
        Key(kinds.FLOOD, "at most so many ICMP packets of one source", default="no limit", example="50/second"),
    ] = None
    strangers: Annotated[
        Word | None,
        Key(
            kinds.FLOOD,
            "beyond so many new TCP connections of all sources, a source must ask twice, as every real one does",
            default="no limit",
            example="5000/second burst 5000",
        ),
    ] = None


class BridgeText(Record, frozen=True, kw_only=True):
    """A bump in the wire: two lines between which every frame passes, inspected, for sites that cannot re-address."""

    between: Annotated[
        Words, Key(Many(kinds.INTERFACE), "the two interfaces; they are in no zone", example="[ens1, ens2]")
    ]
    inspect: Annotated[Word, Key(kinds.NAME_KIND, "the inspection profile of what passes", example="strict")]
    unavailable: Annotated[
        Word | None,
        Key(
            Choice(("fail-open", "fail-closed")),
            "while inspection is away the kernel carries the frames itself, uninspected, or nothing passes",
            default="what the profile says",
        ),
    ] = None
    protect: Annotated[
        ProtectText | None,
        Key(Part(ProtectText), "put the XDP gate at both interfaces: who is banned is dropped there"),
    ] = None
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="noc@health.example")]
    why: Annotated[Word, Key(kinds.TEXT, "the reason", example="the clinic's addresses belong to its provider")]


class ProfileText(Record, frozen=True, kw_only=True):
    """An inspection profile."""

    unavailable: Annotated[
        Word | None,
        Key(
            Choice(("fail-open", "fail-closed")),
            "what happens to its flows while inspection is away: they pass, or they do not",
            default="fail-closed",
        ),
    ] = None
    extends: Annotated[
        Word | None,
        Key(kinds.NAME_KIND, "the profile it begins as; what is said here stands over that", example="strict"),
    ] = None
    depth: Annotated[
        Word | None,
        Key(
            kinds.SIZE,
            "how much of each direction is looked into before a connection is handed back to the kernel",
            default="1 MiB",
            example="256 KiB",
        ),
    ] = None
    actions: Annotated[
        tuple[tuple[Word, Word], ...],
        Key(
            Named(kinds.REACTING, Choice(("alert", "drop", "reject", "pass", "off"))),
            "what signatures do; where nothing is said, what they say themselves",
            example="{severity 1 inbound: drop, category trojan-activity: reject, sid 2019401: alert}",
        ),
    ] = ()
    thresholds: Annotated[
        tuple[tuple[Word, Word], ...],
        Key(
            Named(kinds.SIGNATURES, kinds.THRESHOLD),
            "how often signatures are told of",
            example="{sid 2001219: at most 1/hour per source}",
        ),
    ] = ()
    overload: Annotated[
        Words,
        Key(
            Many(Choice(("files", "transfers", "encrypted", "established", "new", "nothing"))),
            "what is left out first to last when there is more to look into than time",
            default="files, transfers, encrypted, established",
            example="[files, encrypted]",
        ),
    ] = ()
    feeds: Annotated[
        Words,
        Key(Many(kinds.NAME_KIND), "the feeds whose signatures are looked for", default="all", example="[et-open]"),
    ] = ()
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None


class FeedText(Record, frozen=True, kw_only=True):
    """Where signatures come from."""

    file: Annotated[
        Word | None,
        Key(
            kinds.RULE_FILE,
            "signatures that lie on the gateway",
            example="own.rules",
        ),
    ] = None
    address: Annotated[
        Word | None,
        Key(kinds.HTTPS, "where it is fetched", example="https://rules.example.org/feed.tar.gz"),
    ] = None
    sha256: Annotated[Word | None, Key(kinds.SHA256, "the digest that what is fetched must have")] = None
    checksum: Annotated[
        Word | None,
        Key(
            kinds.HTTPS,
            "where its digest is said",
            example="https://sums.example.org/feed.tar.gz.sha256",
        ),
    ] = None
    key: Annotated[Word | None, Key(kinds.PUBLIC_KEY, "who signs it")] = None
    refresh: Annotated[Word | None, Key(Number(1, 8_760, "hours"), "how often it is fetched", default="24")] = None
    trial: Annotated[
        Word | None,
        Key(
            Number(0, 366, "days"),
            "how long what is new or changed only alerts, whatever profiles say",
            default="0",
        ),
    ] = None
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None


class SuppressionText(Record, frozen=True, kw_only=True):
    """Signatures that are silent somewhere, because they were found to be wrong there, until a day."""

    id: Annotated[Word, Key(kinds.ID, "permanent", example="S-1")]
    signatures: Annotated[
        Words,
        Key(Many(kinds.SIGNATURES), "which signatures", example="[sid 2019401, category policy-violation]"),
    ]
    host: Annotated[
        Words,
        Key(Many(kinds.ADDRESS_WORD), "for these, whether they began the connection or not", example="scanner"),
    ] = ()
    source: Annotated[Words, Key(Many(kinds.ADDRESS_WORD), "for connections that these began")] = ()
    destination: Annotated[
        Words, Key(Many(kinds.ADDRESS_WORD), "for connections to these", example="[records, 10.21.0.9]")
    ] = ()
    sources: Annotated[
        Words, Key(Many(kinds.ZONE_WORD), "for connections from these zones", name="from", example="guest")
    ] = ()
    destinations: Annotated[Words, Key(Many(kinds.ZONE_WORD), "for connections to these zones", name="to")] = ()
    profiles: Annotated[Words, Key(Many(kinds.NAME_KIND), "only under these profiles", default="all")] = ()
    action: Annotated[
        Word | None,
        Key(
            Choice(("off", "alert")),
            "`off`: they say and stop nothing there; `alert`: they tell, and stop nothing",
            default="off",
        ),
    ] = None
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="it@health.example")]
    why: Annotated[Word, Key(kinds.TEXT, "the reason", example="the backup server looks like a scanner")]
    ticket: Annotated[Word | None, Key(kinds.TEXT, "where it was asked for")] = None
    expires: Annotated[Word, Key(kinds.MOMENT, "when it ends, in the site's time", example="2027-03-31")]


class ExemptionText(Record, frozen=True, kw_only=True):
    """Hosts of which something is not told, because somebody knows why they do it, until a day."""

    id: Annotated[Word, Key(kinds.ID, "permanent", example="E-1")]
    host: Annotated[
        Words, Key(Many(kinds.ADDRESS_WORD), "who does it: the offender of the finding", example="scanner")
    ]
    detections: Annotated[
        Words, Key(Many(Choice(detected.NAMES)), "what is not told of them", default="all", example="host-scan")
    ] = ()
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="it@health.example")]
    why: Annotated[Word, Key(kinds.TEXT, "the reason", example="the inventory asks every host each night")]
    expires: Annotated[Word, Key(kinds.MOMENT, "when it ends, in the site's time", example="2027-03-31")]


class DetectionsText(Record, frozen=True, kw_only=True):
    """What is found without signatures, and from when on it is told."""

    watch: Annotated[Word | None, Key(Flag(), "look for any of it", default="yes")] = None
    off: Annotated[
        Words, Key(Many(Choice(detected.NAMES)), "what is not wanted", default="nothing", example="beacon")
    ] = ()
    learning: Annotated[
        Word | None,
        Key(
            kinds.LEARNING,
            "how long from the first packet on new devices and services are noted and not told",
            default="7",
            example="14",
        ),
    ] = None
    port_scan: Annotated[
        Word | None,
        Key(
            kinds.COUNT_IN,
            "ports of one host that one source asks for and does not get",
            name="port-scan",
            default="15/5 minutes",
        ),
    ] = None
    host_scan: Annotated[
        Word | None,
        Key(
            kinds.COUNT_IN,
            "hosts of which one source does not get one port",
            name="host-scan",
            default="20/5 minutes",
        ),
    ] = None
    guessing: Annotated[
        Word | None, Key(kinds.COUNT_IN, "failed logins of one source at one service", default="15/10 minutes")
    ] = None
    shared_guessing: Annotated[
        Word | None,
        Key(
            kinds.COUNT_IN,
            "sources that fail at one service",
            name="shared-guessing",
            default="30/10 minutes",
        ),
    ] = None
    beacon: Annotated[
        Word | None, Key(Number(5, 60, "conversations"), "conversations at even intervals", default="16")
    ] = None
    dns_tunnel: Annotated[
        Word | None,
        Key(kinds.COUNT_IN, "different long names of one domain", name="dns-tunnel", default="150/hour"),
    ] = None
    dga: Annotated[Word | None, Key(kinds.COUNT_IN, "made-up domains that do not exist", default="20/hour")] = None
    upload: Annotated[
        Word | None, Key(kinds.SIZE, "bytes that a host must send outside in an hour at the least", default="1 GiB")
    ] = None
    again: Annotated[
        Word | None,
        Key(Number(1, 10_080, "minutes"), "until what goes on is told again", default="60"),
    ] = None
    exempt: Annotated[
        tuple[ExemptionText, ...], Key(Parts(ExemptionText), "hosts of which something is not told")
    ] = ()


class AutomaticBanText(Record, frozen=True, kw_only=True):
    """Whom the gateway bans by itself. Own networks, resolvers and who is allowed never are."""

    id: Annotated[Word, Key(kinds.ID, "permanent; in every ban that it makes", example="A-1")]
    after: Annotated[
        Words,
        Key(
            Many(kinds.OFFENCE),
            "what they do: detections, or signatures that stopped a packet of theirs",
            example="[port-scan, guessing, severity 1]",
        ),
    ]
    sources: Annotated[
        Words,
        Key(Many(kinds.ZONE_WORD), "only who comes from these zones", name="from", default="any", example="internet"),
    ] = ()
    confidence: Annotated[
        Word | None, Key(LEVEL, "how sure the detection must be at least; a signature always is", default="medium")
    ] = None
    lasts: Annotated[
        Words,
        Key(
            Many(kinds.LASTING),
            "for how long; with more than one, the first time, the second, and so on",
            name="for",
            default="1 hour",
            example="[1 hour, 1 day, 7 days]",
        ),
    ] = ()
    memory: Annotated[
        Word | None, Key(kinds.LASTING, "for how long an earlier time counts", default="30 days", example="90 days")
    ] = None
    owner: Annotated[Word, Key(kinds.TEXT, "who answers for it", example="soc@health.example")]
    why: Annotated[Word, Key(kinds.TEXT, "the reason", example="who scans us has no business here")]


class BansText(Record, frozen=True, kw_only=True):
    """Who is never banned, and who is without anybody asking."""

    allow: Annotated[
        Words,
        Key(
            Many(kinds.ADDRESS_WORD),
            "no ban holds for them, whoever made it: objects or literals",
            default="nobody else than the gateway and its resolvers",
            example="[partners, 198.51.100.7]",
        ),
    ] = ()
    automatic: Annotated[
        tuple[AutomaticBanText, ...], Key(Parts(AutomaticBanText), "bans that nobody has to ask for", default="none")
    ] = ()
    most: Annotated[
        Word | None,
        Key(
            Number(1, limits.MAX_AUTOMATIC_BANS),
            "at most so many of them hold at a time; what is beyond is told and not banned",
            default="1000",
        ),
    ] = None
    rate: Annotated[
        Word | None, Key(Number(1, limits.MAX_AUTOMATIC_BANS, "a minute"), "and so many begin", default="60")
    ] = None
