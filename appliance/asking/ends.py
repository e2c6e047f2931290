"""From and to, as a person names them: an address, an object, a person, a DNS name, a zone, the gateway. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from appliance.asking.refusal import CannotAsk
from appliance.policy import addresses
from appliance.policy.model import GATEWAY, Policy, Range
from appliance.policy.written.kinds import did_you_mean


class End(msgspec.Struct, frozen=True):
    """Addresses of either version that a word may mean, the one to ask for first; `person` where it names one.
    `note` says what was chosen where the word means more than one address."""

    numbers: dict[int, int]
    word: str
    person: str = ""
    gateway: bool = False
    note: str = ""


def end_of(word: str, policy: Policy, members: Mapping[str, frozenset[Range]], own: Iterable[tuple[int, int]]) -> End:
    """What `word` means. `own` are the gateway's (version, address). Raises `CannotAsk`."""
    if addresses.looks_literal(word):
        try:
            version, number = addresses.address(word)
        except addresses.AddressError as error:
            raise CannotAsk(str(error), error.remedy, code="bad-address") from error
        return End({version: number}, word)
    mine = list(own)
    if word == GATEWAY:
        return End(dict(reversed(mine)), word, gateway=True)
    if word in policy.objects:
        where = policy.objects[word].addresses
        held = [*where.ranges, *_held(where.dynamic, members)]
        return _one_of(word, "object", held, mine)
    if word in policy.people:
        names = [name for name, dynamic in policy.dynamics.items() if dynamic.names == (word,)]
        held = _held([name for name in names if policy.dynamics[name].kind == "person"], members)
        if not held:
            raise CannotAsk(
                f"it is not known where {word} is", f"write --from ADDRESS --as {word}", code="no-address"
            )
        return msgspec.structs.replace(_one_of(word, "person", held, mine), person=word)
    named = [name for name, dynamic in policy.dynamics.items() if dynamic.kind == "dns" and word in dynamic.names]
    if named:
        return _one_of(word, "name", _held(named, members), mine)
    if word in policy.zones:
        return _one_of(word, "zone", policy.zones[word].networks, mine)
    known = [*policy.objects, *policy.people, *policy.zones, GATEWAY]
    raise CannotAsk(
        f"{word!r} is no address, and no object, person, name or zone of this policy",
        did_you_mean(word, known) or "write an address like 10.20.0.5",
        code="unknown-name",
    )


def _held(names: Iterable[str], members: Mapping[str, frozenset[Range]]) -> list[Range]:
    return sorted(part for name in names for part in members.get(name, ()))


def _one_of(word: str, kind: str, held: Sequence[Range], own: Sequence[tuple[int, int]]) -> End:
    """Of each version the first host that is not the gateway itself."""
    numbers: dict[int, int] = {}
    for part in held:
        if part.version in numbers:
            continue
        size = part.last - part.first
        # The first and the last number of a network are no hosts.
        first, last = (part.first, part.last) if size < 3 else (part.first + 1, part.last - 1)
        number = next((at for at in range(first, min(last, first + 64) + 1) if (part.version, at) not in own), first)
        numbers[part.version] = number
    if not numbers:
        raise CannotAsk(f"the {kind} {word} has no address that is known here", "write an address", code="no-address")
    single = len(held) == 1 and held[0].first == held[0].last
    chosen = " and ".join(addresses.text_of(version, number) for version, number in sorted(numbers.items()))
    return End(numbers, word, note="" if single else f"{word} is more than one address; asked for {chosen}")
