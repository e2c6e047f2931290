"""Rule numbers: small, permanent for a rule's id on this gateway, carried in the conntrack mark.

A number once given is never given to another rule, so an old connection or log record never names the
wrong one. Kept in one file of policyd's, beside what every running generation says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.durable import replace
from appliance.policy.compiling.bundle import MAX_RULE_NUMBER, RuleInfo
from appliance.policy.model import DestinationNat, Policy, Rule, SourceNat

T = TypeVar("T", Rule, SourceNat, DestinationNat)


class OutOfNumbers(Exception):
    """Every number was given once. Says what to do."""

    def __init__(self) -> None:
        super().__init__(
            f"this gateway has given all {MAX_RULE_NUMBER} rule numbers; rules keep their number when they keep "
            "their id, so change rules rather than renaming them (start afresh: remove numbers.json of policyd)"
        )


class Numbers:
    """The numbers given so far."""

    def __init__(self, path: Path, log: Callable[[str], None]) -> None:
        self._path = path
        self._given: dict[str, int] = {}
        self._last = 0
        # The rules of the last policy as they came and with their numbers: an unchanged rule stays the same object,
        # which is how the compiler knows it again.
        self._known: dict[int, tuple[Rule, Rule]] = {}
        try:
            self._given = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            log(f"{path}: {error}; the numbers are taken from the running generation")
        self._last = max(self._given.values(), default=0)

    def learn(self, rules: Iterable[RuleInfo]) -> None:
        """Take over what a generation says, should the file be lost."""
        for rule in rules:
            self._given.setdefault(rule.id, rule.number)
            self._last = max(self._last, rule.number)

    def number(self, policy: Policy) -> Policy:
        """The policy with every rule's number. Raises `OutOfNumbers`, OSError when new ones cannot be kept."""
        before = len(self._given)
        known: dict[int, tuple[Rule, Rule]] = {}
        rules: list[Rule] = []
        for rule in policy.rules:
            pair = self._known.get(id(rule))
            if pair is None or pair[0] is not rule:
                pair = (rule, self._numbered(rule))
            known[id(rule)] = pair
            rules.append(pair[1])
        numbered = msgspec.structs.replace(
            policy,
            rules=tuple(rules),
            source_nat=tuple(map(self._numbered, policy.source_nat)),
            destination_nat=tuple(map(self._numbered, policy.destination_nat)),
            bridges={
                name: msgspec.structs.replace(bridge, number=self._number(name))
                for name, bridge in policy.bridges.items()
            },
        )
        self._known = known
        if len(self._given) != before:
            self._save()
        return numbered

    def _numbered(self, rule: T) -> T:
        return msgspec.structs.replace(rule, number=self._number(rule.id))

    def _number(self, ident: str) -> int:
        number = self._given.get(ident)
        if number is None:
            if self._last >= MAX_RULE_NUMBER:
                raise OutOfNumbers
            self._last = number = self._last + 1
            self._given[ident] = number
        return number

    def _save(self) -> None:
        replace(self._path, msgspec.json.encode(self._given))
