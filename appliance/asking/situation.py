"""What a running gateway says of itself, as the situation that its policy is asked in. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from appliance.asking.questions import Own
from appliance.control.messages.bans import Allowed
from appliance.control.messages.gateway import BanEntry, BanList, NameBook, StatusReport
from appliance.control.messages.indicators import IndicatorList
from appliance.control.messages.live import SetList
from appliance.control.messages.why import Way, WayList
from appliance.policy import addresses
from appliance.policy.answering.reach import NOWHERE, Hop
from appliance.policy.answering.why import Situation, nobody
from appliance.policy.model import Policy, Range

MOST_MEMBERS = 65536  # of a set that is asked for


def situation(
    policy: Policy,
    now: int,
    hop: Callable[[int, int], Hop],
    members: Mapping[str, frozenset[Range]],
    book: NameBook,
    status: StatusReport,
    bans: BanList,
    never: Allowed,
    ways: WayList,
    blocked: Callable[[int, int], str] = nobody,
) -> Situation:
    """The moment, the sets, the bans, what indicators block, and what is enforced otherwise than the text says."""
    said = {rule.id: rule.action for rule in policy.rules}
    allowed = addresses.normal(addresses.literal(entry.address) for entry in never.entries)
    return Situation(
        now=now,
        hop=hop,
        own=_first_of(ways),
        members=members,
        bans=tuple(
            (part, _banned(ban))
            for ban in bans.bans
            for part in addresses.without((addresses.literal(ban.address),), allowed)
        ),
        enforced={rule.id: rule.action for rule in book.rules if said.get(rule.id, rule.action) != rule.action},
        omitted=_omitted(status.omitted),
        blocked=_unless_allowed(blocked, allowed) if policy.indicators.sources else nobody,
    )


def naming(address: str, found: IndicatorList) -> str:
    """What is said of an address that indicators block; "" where none does."""
    return "".join(
        f"dropped whatever the rules say: an indicator of {one.source} names {address}: {one.name or one.id}"
        for one in found.indicators[:1]
    )


def _unless_allowed(blocked: Callable[[int, int], str], allowed: tuple[Range, ...]) -> Callable[[int, int], str]:
    def found(version: int, address: int) -> str:
        if any(part.version == version and part.first <= address <= part.last for part in allowed):
            return ""
        return blocked(version, address)

    return found


def members_of(found: SetList) -> frozenset[Range]:
    return frozenset(addresses.literal(element) for one in found.sets for element in one.elements)


def hop_of(way: Way) -> Hop:
    """The kernel's own answer."""
    return Hop(way.interface, way.via, way.source) if way.reachable else Hop(NOWHERE)


def own_of(words: Iterable[str]) -> Own:
    return tuple(addresses.address(one.partition("/")[0]) for one in words)


def _first_of(known: WayList) -> dict[tuple[str, int], int]:
    """What masquerade uses: the first address of an interface that is not only for its line."""
    found: dict[tuple[str, int], int] = {}
    for own in known.own:
        ((version, number),) = own_of([own.address])
        if version == 4 or number >> 118 != 0xFE80 >> 6:
            found.setdefault((own.interface, version), number)
    return found


def _banned(ban: BanEntry) -> str:
    return f" by {ban.by}" + (f": {ban.reason}" if ban.reason else "")


def _omitted(lines: tuple[str, ...]) -> dict[str, str]:
    """`rule R-1: inspection strict needs …` by the rule's id."""
    found: dict[str, str] = {}
    for line in lines:
        head, colon, words = line.partition(": ")
        if colon and head.startswith("rule "):
            found[head.removeprefix("rule ")] = words
    return found
