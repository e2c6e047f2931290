"""What the `bridges` section of a text means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from appliance.policy import limits
from appliance.policy.meant import site
from appliance.policy.meant.names import named
from appliance.policy.meant.rules import Resolver
from appliance.policy.model import ANY, GATEWAY, Bridge, Profile, Zone
from appliance.policy.written.document import SiteText
from appliance.policy.written.prevention import BridgeText
from appliance.policy.written.text import Report, Word

_SIDES = 2


def bridges(document: SiteText, resolver: Resolver, report: Report) -> dict[str, Bridge]:
    """The bridges by name. An interface is in one of them, or in a zone: the kernel routes the frames of a zone, and
    has nothing to do with those of a bridge."""
    if len(document.bridges) > limits.MAX_BRIDGES:
        word = named(document.bridges[limits.MAX_BRIDGES].name)
        report.error(word.at, f"{len(document.bridges)} bridges", f"at most {limits.MAX_BRIDGES} of one gateway")
        return {}
    found: dict[str, Bridge] = {}
    taken: dict[str, str] = {}
    for text in document.bridges:
        name = named(text.name)
        if name.value in (ANY, GATEWAY):
            report.error(name.at, f"`{name.value}` is not for you to define", "choose another name for this bridge")
            continue
        if name.value in resolver.names.zones:
            report.error(
                name.at, f"`{name.value}` is a zone", "give this bridge a name of its own: events say either"
            )
        _claim(text, name.value, resolver.names.zones, taken, report)
        inspect = resolver.profile(text.inspect)
        between = [word.value for word in text.between]
        if len(between) != _SIDES or len(set(between)) != _SIDES:
            if between or not text.flawed:
                report.error(
                    text.between[0].at if text.between else name.at,
                    f"the bridge `{name.value}` is not between two interfaces",
                    "name two, as in `between: [ens1, ens2]`",
                )
            continue
        found[name.value] = Bridge(
            name.value,
            (between[0], between[1]),
            inspect,
            _unavailable(text.unavailable, resolver.names.profiles.get(inspect)),
            None if text.protect is None else site.protection(text.protect, report),
            text.owner.value,
            text.why.value,
            span=report.span(name.at),
        )
    return found


def _claim(text: BridgeText, name: str, zones: Mapping[str, Zone], taken: dict[str, str], report: Report) -> None:
    for word in text.between:
        zone = next((zone.name for zone in zones.values() if word.value in zone.interfaces), "")
        if zone:
            report.error(
                word.at,
                f"the interface `{word.value}` is in the zone `{zone}`",
                "what a bridge passes on is not routed: give the zone, and its addresses, another interface",
            )
        other = taken.setdefault(word.value, name)
        if other != name:
            report.error(
                word.at,
                f"the interface `{word.value}` is in the bridge `{other}` already",
                "an interface belongs to one bridge",
            )


def _unavailable(word: Word | None, profile: Profile | None) -> Literal["fail-open", "fail-closed"]:
    if word is not None and word.value:
        return cast(Literal["fail-open", "fail-closed"], word.value)
    return "fail-closed" if profile is None else profile.unavailable
