"""Why a rule that nearly decided did not, and by how much, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from appliance.policy import addresses
from appliance.policy.answering.nearly import Near
from appliance.policy.answering.packetwords import service_words
from appliance.policy.decide import Packet, World, zone_of
from appliance.policy.model import AddressSet, Policy, Range, Rule, Schedule
from appliance.policy.schedule import is_on, windows
from appliance.policy.written import services

_LISTED = 3  # of a long list, so many are said
_DAY = 86400
_WOULD = {"allow": "would allow it", "deny": "would deny it", "reject": "would reject it"}


def words(policy: Policy, near: Near, packet: Packet, world: World, decided: Rule | None) -> str:
    """`R-7 would allow it, but its schedule office is off until Mon 2026-11-23 07:30 CET`."""
    reasons = [_miss(policy, near.rule, field, packet, world, decided) for field in near.missed]
    return f"{near.rule.id} {_WOULD[near.rule.action]}, but {', and '.join(reasons)}"


def _miss(policy: Policy, rule: Rule, field: str, packet: Packet, world: World, decided: Rule | None) -> str:
    match field:
        case "order":
            return f"it comes after {decided.id if decided else 'the rule that decides'}"
        case "when":
            schedule = policy.schedules[rule.when]
            change = next_change(schedule, world.now)
            return f"its schedule {rule.when} is off " + (f"until {change}" if change else "and does not come again")
        case "expires":
            return f"it expired {rule.expires or datetime.fromtimestamp(rule.expires_at, UTC).isoformat()}"
        case "enabled":
            return "it is disabled"
        case "limit":
            return "its limit is exceeded"
        case "people":
            who = _few(_person(policy, name) for name in rule.people)
            return f"nobody of {who} is behind {addresses.text_of(packet.version, packet.source)}"
        case "source":
            return _outside("source", packet.version, packet.source, rule.source, rule.said_source, policy)
        case "destination":
            said = rule.said_destination
            return _outside("destination", packet.version, packet.destination, rule.destination, said, policy)
        case "from" | "to":
            interface = packet.entering if field == "from" else packet.leaving
            zones = rule.sources if field == "from" else rule.destinations
            return f"it is {field} {_few(zones)}, not {field} {zone_of(policy, interface)}"
        case _:
            return _service(rule, field, packet)


def _service(rule: Rule, field: str, packet: Packet) -> str:
    mine = [entry for entry in rule.services if entry.protocol == packet.protocol]
    if field == "port":
        held = _few(_interval(entry.ports) for entry in mine)
        return f"destination port {packet.destination_port} is not in {held}"
    if field == "source port":
        held = _few(_interval(entry.source_ports) for entry in mine)
        return f"source port {packet.source_port} is not in {held}"
    asked = services.words_of_entry(mine[0]).partition("/")[0] if mine else service_words(packet)
    return f"{asked} is not in its service {_few(map(services.words_of_entry, rule.services))}"


def _interval(interval: tuple[int, int]) -> str:
    return str(interval[0]) if interval[0] == interval[1] else f"{interval[0]}-{interval[1]}"


def _outside(what: str, version: int, address: int, where: AddressSet, said: tuple[str, ...], policy: Policy) -> str:
    """Which addresses the rule has instead, the nearest first: a mistyped digit is seen at once."""
    nearest = sorted(
        (part for part in where.ranges if part.version == version), key=lambda part: _distance(part, address)
    )
    held = [addresses.words_of(part) for part in nearest]
    held += [f"the addresses of {_few(policy.dynamics[name].names)}" for name in where.dynamic]
    named = f"{_few(said)}: " if said and list(said) != held else ""
    text = addresses.text_of(version, address)
    if not held:
        return f"its {what} {_few(said)} has no IPv{version} address".replace("  ", " ")
    return f"{text} is not in its {what} ({named}{_few(held)})"


def _distance(part: Range, address: int) -> int:
    return max(part.first - address, address - part.last, 0)


def _person(policy: Policy, name: str) -> str:
    kind, _, who = name.partition("_")
    return f"group {who}" if kind == "group" else who


def _few(items: Iterable[str]) -> str:
    listed = list(dict.fromkeys(items))
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def next_change(schedule: Schedule, now: int) -> str:
    """When the schedule goes on or off next, by its own wall clock; "" when that does not come within a year."""
    on = is_on(schedule, now)
    for days in (8, 400):
        # Two days back, so that a window that is on now is seen from its beginning.
        for opens, closes in windows(schedule, now - 2 * _DAY, now + days * _DAY):
            edge = closes if on else opens
            if edge > now and (not on or opens <= now) and edge < now + days * _DAY:
                return f"{datetime.fromtimestamp(edge, ZoneInfo(schedule.timezone)):%a %Y-%m-%d %H:%M %Z}"
    return ""
