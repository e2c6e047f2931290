"""What a bundle may hold, whoever signed it: rules of this gateway's own table, sysctls of the network.

The strings of a `Ruleset` become a batch of nft commands. keyd signs what policyd asks for, so the signature alone
does not keep a policyd that was taken over from writing `include "/a/file"`, another table, or two commands for one.
Here no string can end the statement it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from appliance.policy.compiling.bundle import Bundle
from appliance.policy.compiling.ruleset import Flowtable, Ruleset, Set

TABLE = "reef"
# Everything of one kind is looked through in one go, joined by what no string may hold.
_JOINT = "\0"
_NOT_NAME = re.compile(r"[^A-Za-z0-9_./\-\0]")
_NOT_ELEMENT = re.compile(r"[^A-Za-z0-9_.:/ \"\-\0]")
_NOT_RULE = re.compile(r"[^ !\"&'()*+,\-./0-9:<=>@A-Z\[\]^_a-z{|}\0]")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_TYPE = re.compile(r"(?:type|typeof) [a-z0-9_]+(?: [a-z0-9_]+)*(?: \. [a-z0-9_]+(?: [a-z0-9_]+)*)*|[a-z0-9_]+")
_WORD = re.compile(r"[a-z]+")
_OPTION = re.compile(r"(?:size [0-9]+|timeout [0-9]+[smhd]|gc-interval [0-9]+[smhd]);")
_BASE = re.compile(
    r"type (?:filter|nat|route) hook [a-z]+ priority (?:[a-z]+|-?[0-9]+)(?: [+-] [0-9]+)?; policy (?:accept|drop);"
)
_DEVICE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_QUOTED = re.compile(r'"[^"]*"')
_BRACES = re.compile(r"\{[^{}]*\}")
# What a line in the block of a chain may begin with and is no rule.
_NO_RULE = re.compile(r"\0\s*(?:include|define|redefine|undefine|type|policy|devices?|comment|elements|flags)\b")
_SYSCTL = re.compile(r"net(?:\.[a-z0-9_]+)+|net(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+")
_VALUE = re.compile(r"[0-9][0-9 \t]{0,63}")
_SHOWN = 80


class ShapeError(ValueError):
    """The bundle holds what none from a policy does."""


def check(bundle: Bundle) -> None:
    """Raises `ShapeError` naming the first string that has no place in a bundle."""
    _check_ruleset(bundle.ruleset)
    _every(_SYSCTL, bundle.sysctls, "a setting of the network")
    _every(_VALUE, bundle.sysctls.values(), "the value of a setting")
    for held in bundle.quarantines:
        _every(_NAME, (held.zone,), "a name")
        _every(_DEVICE, held.interfaces, "an interface")
    for bridge in bundle.bridges:
        _every(_NAME, (bridge.name,), "a name")
        _every(_DEVICE, bridge.between, "an interface")


def _check_ruleset(ruleset: Ruleset) -> None:
    if ruleset.table != TABLE:
        raise ShapeError(f"the table {ruleset.table[:_SHOWN]!r} is not this gateway's")
    names = (*ruleset.counters, *ruleset.sets, *ruleset.chains, *ruleset.flowtables)
    if _NOT_NAME.search(_joined(names)) is not None or not all(names):
        _every(_NAME, names, "a name")
    for declared in ruleset.sets.values():
        _check_set(declared)
    _check_rules(tuple(rule for chain in ruleset.chains.values() for rule in chain.rules))
    _every(_BASE, filter(None, (chain.base for chain in ruleset.chains.values())), "a hook")
    for flowtable in ruleset.flowtables.values():
        _check_flowtable(flowtable)


def _check_set(declared: Set) -> None:
    _every(_TYPE, (declared.key, *filter(None, (declared.data,))), "a type")
    _every(_WORD, declared.flags, "a flag")
    _every(_OPTION, declared.options, "an option of a set")
    for words in (declared.elements, declared.elements.values()):
        joined = _joined(words)
        if _NOT_ELEMENT.search(joined) is not None or '"' in joined:
            for word in words:
                if _NOT_ELEMENT.search(word) or '"' in _QUOTED.sub("", word):
                    raise ShapeError(f"{word[:_SHOWN]!r} is not an element of a set")


def _check_rules(rules: tuple[str, ...]) -> None:
    joined = _JOINT + _joined(rules)
    if _NOT_RULE.search(joined) or _NO_RULE.search(joined):
        for rule in rules:
            if _NOT_RULE.search(rule) or _NO_RULE.match(_JOINT + rule):
                raise ShapeError(f"{rule[:_SHOWN]!r} is not a rule")
    for rule in rules:
        if "{" in rule or "}" in rule or '"' in rule:
            bare = _QUOTED.sub("", rule)
            found = 1
            while found:
                bare, found = _BRACES.subn("", bare)
            if any(sign in bare for sign in '{}"'):
                raise ShapeError(f"{rule[:_SHOWN]!r} does not end where it should")


def _check_flowtable(flowtable: Flowtable) -> None:
    _every(_DEVICE, flowtable.devices, "an interface")
    _every(_WORD, (flowtable.priority,), "a priority")


def _joined(words: Collection[str]) -> str:
    joined = _JOINT.join(words)
    if joined.count(_JOINT) != max(len(words) - 1, 0):
        raise ShapeError("a string of the ruleset holds a NUL")
    return joined


def _every(pattern: re.Pattern[str], words: Iterable[str], what: str) -> None:
    for word in words:
        if pattern.fullmatch(word) is None:
            raise ShapeError(f"{word[:_SHOWN]!r} is not {what}")
