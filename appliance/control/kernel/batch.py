"""A batch of nft commands as text: how long it is, and whose statement it was that the kernel refused."""

from __future__ import annotations

import re

_LOCATION = re.compile(r"^\S*?:(\d+):\d+-\d+: ", re.MULTILINE)
_OWN_CHAIN = re.compile(r"\bchain (?:inet \S+ )?([^\s{]+)|\brule inet \S+ (\S+)")
_RULE_CHAIN = re.compile(r"[a-z]_(.+)")
_QUOTE = 160  # characters of a refused statement that are shown


class KernelRefused(Exception):
    """The kernel or nft refused the transaction; the old generation runs on, untouched.

    `rule` is the id of the rule whose statement it was, "" when it belongs to none; `statement` the line.
    """

    def __init__(self, message: str, rule: str = "", statement: str = "") -> None:
        self.rule = rule
        self.statement = statement
        owner = f"rule {rule}: " if rule else ""
        shown = f" (in `{statement[:_QUOTE]}`)" if statement else ""
        super().__init__(f"the kernel refuses the ruleset: {owner}{message}{shown}")


def statements(batch: str) -> int:
    """How many statements a transaction has: lines that are more than braces."""
    return sum(1 for line in batch.splitlines() if line.strip(" \t{}"))


def locate(batch: str, message: str) -> KernelRefused:
    """Which statement of `batch` nft's `message` (with path:line:columns) speaks of, and whose it is."""
    place = _LOCATION.search(message)
    words = _LOCATION.sub("", message).splitlines()[0].removeprefix("Error: ")
    if place is None:
        return KernelRefused(words)
    lines = batch.splitlines()
    number = min(int(place[1]), len(lines)) - 1
    statement = lines[number].strip()
    for line in reversed(lines[: number + 1]):
        owner = _OWN_CHAIN.search(line)
        if owner:
            chain = _RULE_CHAIN.fullmatch(owner[1] or owner[2])
            return KernelRefused(words, chain[1] if chain else "", statement)
    return KernelRefused(words, "", statement)
