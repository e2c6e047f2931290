"""What the policy has the loaded rules do: its profiles, feeds, trials and suppressions as columns of actions.

Column 0 is what is looked at and never stopped: there every rule does what it says itself. Each other column is a
profile for connections of certain directions (`appliance.policy.compiling.reactions.Variant`).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import NamedTuple

from appliance.control.messages.gateway import NameBook
from appliance.policy.compiling import reactions as said
from appliance.policy.model import EVERYTHING, AddressSet, Signatures, Suppression, Threshold
from ctypes_ext.engine import LoadedRule, Rules
from ctypes_ext.reactions import ACTIONS, Range, Reactions
from dataplane.feeds import Key

_WHOLE = {4: (0, 2**32 - 1), 6: (0, 2**128 - 1)}
_STOPS = ("drop", "reject")


class Known(NamedTuple):
    """What is known of rules besides their text.

    `categories` is the name of the class that words stand for, `feeds` the feed that a signature came with.
    """

    categories: Mapping[str, str]
    feeds: Mapping[Key, str]
    on_trial: frozenset[Key]


class Spoken:
    """The rules of a set, as profiles speak of them."""

    def __init__(self, loaded: Sequence[LoadedRule], known: Known) -> None:
        self.loaded = loaded
        self._known = known
        self.all = [self._signature(rule) for rule in self.loaded]

    def _signature(self, rule: LoadedRule) -> said.Signature:
        return said.Signature(
            rule.sid,
            rule.gid,
            self._known.categories.get(rule.category, ""),
            rule.severity,
            self._known.feeds.get((rule.gid, rule.sid), ""),
            rule.action,
        )

    def meant(self, by: Iterable[Signatures]) -> list[int]:
        """The places of the rules that these words mean."""
        tests = list(by)
        return [place for place, one in enumerate(self.all) if any(_is_meant(one, words) for words in tests)]


def react(rules: Rules, book: NameBook, known: Known, networks: Mapping[str, Sequence[str]]) -> Reactions:
    """The reactions of these rules under the policy of `book`; `networks` are those of its zones.

    Raises `ctypes_ext.engine.EngineError`.
    """
    signatures = Spoken([rules[index] for index in range(len(rules))], known)
    variants, of_rule = said.variants((*book.rules, *(bridge.rule for bridge in book.bridges)))
    profiles = {profile.name: profile for profile in book.profiles}
    asked = [said.Reactions(profiles[variant.profile]) for variant in variants]
    columns = [bytes(ACTIONS[rule.action] for rule in signatures.loaded)]
    for variant, reactions in zip(variants, asked, strict=True):
        columns.append(column(signatures, reactions, variant.directions, known.on_trial))
    made = Reactions(rules, len(columns), b"".join(columns))
    made.profile_of(_by_number(of_rule))
    for number, variant in enumerate(variants, 1):
        profile = profiles[variant.profile]
        made.limits(number, profile.depth, profile.overload)
    for number, reactions in enumerate(asked, 1):
        _thresholds(made, number, signatures, reactions)
    for suppression in book.suppressions:
        places = signatures.meant(suppression.signatures)
        held = [number for number, one in enumerate(variants, 1) if one.profile in suppression.profiles]
        if places and (held or not suppression.profiles):
            _suppress(made, places, suppression, held, networks)
    return made


def column(
    signatures: Spoken, reactions: said.Reactions, directions: Sequence[said.Direction], on_trial: frozenset[Key]
) -> bytes:
    """The action of each rule.

    What is on trial stops nothing; a rule that never tells does only what it says itself: it marks connections for
    others.
    """
    found = bytearray()
    action = _remembered(reactions, directions)
    for rule, signature in zip(signatures.loaded, signatures.all, strict=True):
        does = action(signature) if rule.tells else rule.action
        if does in _STOPS and (rule.gid, rule.sid) in on_trial:
            does = "alert"
        found.append(ACTIONS[does])
    return bytes(found)


def _remembered(reactions: said.Reactions, directions: Sequence[said.Direction]) -> Callable[[said.Signature], str]:
    """Most of thirty thousand signatures are alike but for their number, and few numbers are spoken of."""
    answers: dict[tuple[str, int, str, str], str] = {}

    def action(signature: said.Signature) -> str:
        if reactions.names(signature):
            return reactions.action(signature, directions)
        alike = (signature.category, signature.severity, signature.feed, signature.action)
        found = answers.get(alike)
        if found is None:
            found = answers[alike] = reactions.action(signature, directions)
        return found

    return action


def _thresholds(made: Reactions, column: int, signatures: Spoken, reactions: said.Reactions) -> None:
    if not reactions.has_thresholds:
        return
    by_threshold: dict[Threshold, list[int]] = {}
    for place, signature in enumerate(signatures.all):
        threshold = reactions.threshold(signature)
        if threshold is not None:
            by_threshold.setdefault(threshold, []).append(place)
    for threshold, places in by_threshold.items():
        made.threshold(column, places, threshold.kind, threshold.count, threshold.seconds, threshold.per)


def _by_number(of_rule: Mapping[int, int]) -> array[int]:
    found = array("H", bytes(2 * (max(of_rule, default=-1) + 1)))
    for number, column in of_rule.items():
        found[number] = column
    return found


def _is_meant(signature: said.Signature, words: Signatures) -> bool:
    if words.sid:
        return (signature.gid, signature.sid) == (words.gid, words.sid)
    if words.category:
        return signature.category == words.category
    if words.feed:
        return signature.feed == words.feed
    return not words.severity or signature.severity == words.severity


# --- addresses ------------------------------------------------------------------------------------------------


def _suppress(
    made: Reactions,
    places: Sequence[int],
    suppression: Suppression,
    columns: Sequence[int],
    networks: Mapping[str, Sequence[str]],
) -> None:
    """The engine asks for addresses alone: a zone is its networks; one without any is what is in no other's."""
    client, server = _ranges(suppression.source), _ranges(suppression.destination)
    if suppression.sources:
        client = _both(client, of_zones(suppression.sources, networks))
    if suppression.destinations:
        server = _both(server, of_zones(suppression.destinations, networks))
    if client == [] or server == []:
        return  # nothing is in both: it never holds
    made.suppress(
        places,
        suppression.action,
        suppression.expires_at,
        client=client or (),
        server=server or (),
        either=_ranges(suppression.either) or (),
        columns=columns,
    )


def _ranges(addresses: AddressSet) -> list[Range] | None:
    """None: any."""
    if addresses == EVERYTHING:
        return None
    return [(part.version, part.first, part.last) for part in addresses.ranges]


def of_zones(zones: Iterable[str], networks: Mapping[str, Sequence[str]]) -> list[Range]:
    found: list[Range] = []
    for zone in zones:
        own = networks.get(zone, ())
        if own:
            found += _parsed(own)
        else:
            found += _rest(_parsed(one for other in networks.values() for one in other))
    return found


def _parsed(networks: Iterable[str]) -> list[Range]:
    parsed = (ip_network(network) for network in networks)
    return [(one.version, int(one.network_address), int(one.broadcast_address)) for one in parsed]


def _rest(ranges: Sequence[Range]) -> list[Range]:
    """What is in none of them."""
    found: list[Range] = []
    for version, (lowest, highest) in _WHOLE.items():
        at = lowest
        for _, first, last in sorted(one for one in ranges if one[0] == version):
            if first > at:
                found.append((version, at, first - 1))
            at = max(at, last + 1)
        if at <= highest:
            found.append((version, at, highest))
    return found


def _both(one: Sequence[Range] | None, other: Sequence[Range]) -> list[Range]:
    if one is None:
        return list(other)
    return [
        (version, max(first, low), min(last, high))
        for version, first, last in one
        for kind, low, high in other
        if kind == version and max(first, low) <= min(last, high)
    ]
