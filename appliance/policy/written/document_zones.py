"""What a person may write of zones and lines.

The other sections, and what is made of all of them, are in `document.py`.
"""

from __future__ import annotations

from typing import Annotated

from appliance.policy.written import kinds
from appliance.policy.written.keys import Key, Record, Words
from appliance.policy.written.kinds import Choice, Flag, Many, Named, Part
from appliance.policy.written.prevention import ProtectText
from appliance.policy.written.text import Word

ROLES = ("internet", "internal", "dmz", "management", "guest", "backbone", "partner", "voice", "safety")


class ZoneText(Record, frozen=True, kw_only=True):
    """A set of interfaces and networks of one trust."""

    interfaces: Annotated[
        Words, Key(Many(kinds.INTERFACE), "the interfaces that belong to the zone", example="[lan0]")
    ] = ()
    networks: Annotated[
        Words,
        Key(
            Many(kinds.NETWORK),
            "the networks that live there; with anti-spoofing a source outside of them is dropped",
            default="every address",
            example="[10.20.0.0/16, 2001:db8:20::/48]",
        ),
    ] = ()
    addresses: Annotated[
        tuple[tuple[Word, Words], ...],
        Key(
            Named(kinds.INTERFACE, Many(kinds.INTERFACE_ADDRESS)),
            "the gateway's own addresses, by interface",
            example="{lan0: [10.20.0.1/16, 2001:db8:20::1/48]}",
        ),
    ] = ()
    role: Annotated[
        Word | None,
        Key(
            Choice(ROLES),
            "what the zone is to the country; a baseline speaks of zones by their role (`role:internal`)",
            default="`internet` for a zone of that name, else `internal`",
            example="dmz",
        ),
    ] = None
    external: Annotated[
        Word | None,
        Key(
            Flag(),
            "whether its lines leave the house: each of its interfaces must then stand in `connections`",
            default="`yes` for the roles `internet` and `partner`",
            example="yes",
        ),
    ] = None
    antispoofing: Annotated[
        Word | None,
        Key(Flag(), "drop packets whose source does not belong to this zone", default="yes", example="no"),
    ] = None
    protect: Annotated[
        ProtectText | None,
        Key(Part(ProtectText), "put the XDP gate at its lines: bans and lists are dropped there, and what this says"),
    ] = None
    unknown_devices: Annotated[
        Word | None,
        Key(
            Choice(("tell", "quarantine")),
            "what becomes of devices that nobody accepted (`reef devices accept`): they are told, or reach nothing",
            name="unknown-devices",
            default="tell",
            example="quarantine",
        ),
    ] = None
    quarantined_may: Annotated[
        Words,
        Key(
            Many(kinds.SERVICE_WORD),
            "what a device in quarantine may ask for all the same, where rules allow it",
            name="quarantined-may",
            default="dhcp, dhcpv6, dns",
            example="[dhcp]",
        ),
    ] = ()
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None


class ConnectionText(Record, frozen=True, kw_only=True):
    """One external line and who answers for it."""

    provider: Annotated[Word, Key(kinds.TEXT, "who provides the line", example="BTL fibre")]
    officer: Annotated[
        Word,
        Key(
            kinds.OFFICER,
            "the officer responsible for its firewall; alerts go there",
            example='"H. Officer <noc@health.example>"',
        ),
    ]
    phone: Annotated[Word | None, Key(kinds.PHONE, "how to call the officer", example='"+501 555 0100"')] = None
    description: Annotated[Word | None, Key(kinds.LONG_TEXT, "for people")] = None
