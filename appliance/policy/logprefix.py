"""The prefix that a rule's log statement writes, and how to read it back.

    <rule id> SP <action> SP <from> SP <to> SP

`action` is allow, deny or reject. `from` and `to` are zone names; `-` stands for a rule that serves more
than one zone (the reader then takes the zone of the packet's interface) and for the default, whose id is
`default`. None of the words holds a space. The kernel keeps at most 127 bytes (NF_LOG_PREFIXLEN - 1), so a
prefix that would be longer gives `-` for both zones; ids are bounded so that this always fits.
"""

from __future__ import annotations

import msgspec

NFLOG_GROUP = 1
MAX_PREFIX = 127
DEFAULT_RULE = "default"
QUARANTINE = "quarantine"
INDICATOR = "indicator"
# Ids that the ruleset itself uses for what it counts; no rule of a text may have one.
RESERVED = frozenset({"default", "invalid", "pinhole", "antispoofing", "banned", "indicator", "quarantine"})
UNSAID = "-"


class LogPrefix(msgspec.Struct, frozen=True):
    """Which rule wrote a log record. `source` and `destination` are zones, "" where the prefix does not say."""

    rule: str
    action: str
    source: str = ""
    destination: str = ""


def build(rule: str, action: str, sources: tuple[str, ...] = (), destinations: tuple[str, ...] = ()) -> str:
    """The prefix for `rule`, which serves `sources` and `destinations`. Raises ValueError if it cannot fit."""
    source = sources[0] if len(sources) == 1 else UNSAID
    destination = destinations[0] if len(destinations) == 1 else UNSAID
    for words in ((rule, action, source, destination), (rule, action, UNSAID, UNSAID)):
        prefix = " ".join(words) + " "
        if len(prefix.encode()) <= MAX_PREFIX:
            break
    else:
        raise ValueError(f"rule id {rule!r} is too long for a log prefix of {MAX_PREFIX} bytes")
    if any(not word or any(letter.isspace() or letter == '"' for letter in word) for word in words):
        raise ValueError(f"log prefix {prefix!r} holds an empty word, a space or a quotation mark")
    return prefix


def parse(prefix: str) -> LogPrefix | None:
    """What `build` wrote, or None when the prefix is not of this grammar (another table's log statement)."""
    words = prefix.rstrip("\0").split(" ")
    if len(words) != 5 or words[4] != "" or not all(words[:4]):
        return None
    rule, action, source, destination, _ = words
    if action not in ("allow", "deny", "reject"):
        return None
    return LogPrefix(
        rule=rule,
        action=action,
        source="" if source == UNSAID else source,
        destination="" if destination == UNSAID else destination,
    )
