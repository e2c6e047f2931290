"""The kinds of value a policy key can hold.

Each kind says three things about itself: which words it accepts (`wrong`), how a JSON Schema says so
(`schema`), and how the handbook says so (`words`). What a word *means* (does the zone exist, what are the
addresses) is decided later, by `meant/names.py`; a kind only knows how it may be written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from typing import Any

import msgspec

from appliance.policy.limits import MAX_NAME, MAX_WORDS

MAX_COMPARED = 200  # names that a guess compares with
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_.ABCDEFGHIJKLMNOPQRSTUVWXYZ"

NAME = rf"[A-Za-z][A-Za-z0-9_.-]{{0,{MAX_NAME - 1}}}"


def did_you_mean(word: str, known: Collection[str]) -> str:
    """ "did you mean `lan`?" or "": the beginning of a remedy."""
    if len(known) <= MAX_COMPARED:
        close = get_close_matches(word, list(known), n=1, cutoff=0.6)
        return f"did you mean `{close[0]}`?" if close else ""
    # Comparing with thousands of names is dear. Most slips are one letter: those are looked up.
    names = set(known)
    found = next((slip for slip in _slips(word) if slip in names), "")
    return f"did you mean `{found}`?" if found else ""


def _slips(word: str) -> Iterator[str]:
    """Every word that is one letter away: two exchanged, one too many, one wrong, one missing."""
    if len(word) > MAX_NAME:
        return
    halves = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    yield from (left + right[1] + right[0] + right[2:] for left, right in halves if len(right) > 1)
    yield from (left + right[1:] for left, right in halves if right)
    yield from (left + letter + right for left, right in halves for letter in _LETTERS)
    yield from (left + letter + right[1:] for left, right in halves if right for letter in _LETTERS)


class Kind(msgspec.Struct, frozen=True):
    """A scalar: words that `pattern` (whole word) accepts."""

    words: str
    pattern: str
    remedy: str
    example: str = ""
    longest: int = MAX_WORDS

    def wrong(self, value: str) -> tuple[str, str] | None:
        """None, or what is wrong with a value and what would be right."""
        if len(value) > self.longest:
            return f"{len(value)} characters", f"at most {self.longest}"
        if _compiled(self.pattern).fullmatch(value) is None:
            return f"`{shown(value)}` is not {self.words}", self.remedy
        return None

    def schema(self) -> dict[str, Any]:
        # An editor (YAML 1.2, core schema) reads 8443 as a number and, where any text may stand, true as a boolean.
        pattern = _compiled(self.pattern)
        types = ["string"]
        if pattern.fullmatch("8443"):
            types.append("integer")
            if pattern.fullmatch("any text"):
                types.extend(("number", "boolean"))
        return {
            "type": types if len(types) > 1 else "string",
            "pattern": f"^(?:{self.pattern})$",
            "maxLength": self.longest,
        }


class Choice(msgspec.Struct, frozen=True):
    """One of a few words."""

    values: tuple[str, ...]
    meanings: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        return " or ".join(f"`{value}`" for value in self.values)

    def wrong(self, value: str) -> tuple[str, str] | None:
        if value in self.values:
            return None
        guess = did_you_mean(value, list(self.values))
        return f"`{shown(value)}` is not known here", " ".join(filter(None, (guess, f"write {self.words}")))

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.values)}


class Number(msgspec.Struct, frozen=True):
    """A whole number in decimal."""

    lowest: int
    highest: int
    unit: str = ""

    @property
    def words(self) -> str:
        return f"a number from {self.lowest} to {self.highest}" + (f" ({self.unit})" if self.unit else "")

    def wrong(self, value: str) -> tuple[str, str] | None:
        if re.fullmatch("[0-9]{1,12}", value) is None or not self.lowest <= int(value) <= self.highest:
            return f"`{shown(value)}` is not {self.words}", f"write for example `{self.lowest}`"
        return None

    def schema(self) -> dict[str, Any]:
        # Editors read an unquoted 120 as a number, a quoted one as a string; both mean the same here.
        return {
            "anyOf": [
                {"type": "integer", "minimum": self.lowest, "maximum": self.highest},
                {"type": "string", "pattern": "^[0-9]{1,12}$"},
            ]
        }


class Flag(msgspec.Struct, frozen=True):
    """`yes` or `no`."""

    words: str = "`yes` or `no`"

    def wrong(self, value: str) -> tuple[str, str] | None:
        if value in ("yes", "no"):
            return None
        return f"`{shown(value)}` is neither `yes` nor `no`", "write `yes` or `no`"

    def schema(self) -> dict[str, Any]:
        return {"enum": ["yes", "no"]}


Scalar = Kind | Choice | Number | Flag


class Many(msgspec.Struct, frozen=True):
    """One value, or a list of them."""

    kind: Scalar

    @property
    def words(self) -> str:
        return f"{self.kind.words}, or a list of them"


class Part(msgspec.Struct, frozen=True):
    """A mapping with known keys. `shorthand` names the key that a plain value stands for."""

    record: type[msgspec.Struct]
    shorthand: str = ""


class Parts(msgspec.Struct, frozen=True):
    """A list of mappings with known keys."""

    record: type[msgspec.Struct]


class Named(msgspec.Struct, frozen=True):
    """A mapping from names that the author chooses to values of one kind."""

    name: Kind
    value: Many | Part | Scalar


Shape = Scalar | Many | Part | Parts | Named

_patterns: dict[str, re.Pattern[str]] = {}


def _compiled(pattern: str) -> re.Pattern[str]:
    found = _patterns.get(pattern)
    if found is None:
        found = _patterns[pattern] = re.compile(pattern)
    return found


def shown(value: str) -> str:
    """A value as an error message quotes it: short, on one line."""
    flat = value.replace("\n", " ")
    return flat if len(flat) <= 60 else flat[:57] + "..."


TEXT = Kind("a text", r"[\s\S]*\S[\s\S]*", "write a few words", "web access for staff")
LONG_TEXT = Kind("a text", r"[\s\S]*\S[\s\S]*", "write a few words", longest=10_000)
NAME_KIND = Kind(
    "a name", NAME, f"letters, digits, `_`, `.` and `-`, a letter first, at most {MAX_NAME}", "lan", MAX_NAME
)
ID = Kind(
    "an id",
    r"[A-Za-z][A-Za-z0-9_.-]{0,47}",
    "letters, digits, `_`, `.` and `-`, a letter first, at most 48, for example `R-7`",
    "R-7",
    48,
)
INTERFACE = Kind(
    "the name of a network interface",
    r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}",
    "at most 15 letters, digits, `_`, `.`, `-`, as `ip link` shows it",
    "lan0",
    15,
)
ZONE_WORD = Kind(
    "a zone",
    rf"{NAME}|role:[a-z]+",
    "write a zone's name, `any`, `gateway`, or `role:<role>`",
    "lan",
    MAX_NAME + 8,
)
ADDRESS_WORD = Kind(
    "an address, a network, a range or the name of an object",
    r"(?:not )?[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}|(?:not )?::[0-9A-Fa-f:./-]{0,99}",
    "write for example `10.20.0.5`, `2001:db8::/32`, `10.0.0.1-10.0.0.9`, an object's name, or `not <one of these>`",
    "records",
    104,
)
ADDRESS = Kind(
    "an IP address", r"[0-9A-Fa-f.:]{2,45}", "write for example `10.20.0.5` or `2001:db8::5`", "10.20.0.5", 45
)
NETWORK = Kind(
    "a network",
    r"[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?",
    "write for example `10.20.0.0/16` or `2001:db8::/32`",
    "10.20.0.0/16",
    49,
)
INTERFACE_ADDRESS = Kind(
    "an address with its prefix length",
    r"[0-9A-Fa-f.:]{2,45}/[0-9]{1,3}",
    "write for example `10.20.0.1/16`",
    "10.20.0.1/16",
    49,
)
RANGE = Kind(
    "a range of addresses",
    r"[0-9A-Fa-f.:]{2,45} ?- ?[0-9A-Fa-f.:]{2,45}",
    "write for example `10.0.0.10-10.0.0.20`",
    "10.0.0.10-10.0.0.20",
    100,
)
HOST_NAME = Kind(
    "a DNS name",
    r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    "write a full name, for example `updates.example.org`",
    "updates.example.org",
    253,
)
FILE_NAME = Kind(
    "a file beside the policy",
    r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,4}",
    "write a relative path without `..`, for example `lists/blocked.txt`",
    "lists/blocked.txt",
    200,
)
RULE_FILE = Kind(
    "a file or folder beneath the gateway's folder of rules",
    FILE_NAME.pattern,
    "write a relative path without `..`, for example `own.rules`",
    "own.rules",
    200,
)
SERVICE_WORD = Kind(
    "a service",
    r"[A-Za-z0-9][A-Za-z0-9_./-]{0,63}(?: from [0-9]{1,5}(?:-[0-9]{1,5})?)?",
    "write for example `tcp/443`, `udp/5060-5070`, `icmp/echo-request`, `esp`, or the name of a service",
    "tcp/443",
    84,
)
PORTS = Kind(
    "a port or a range of ports",
    r"[0-9]{1,5}(?:-[0-9]{1,5})?",
    "write for example `8443` or `1024-65535`",
    "8443",
    11,
)
SCHEDULE_TIME = Kind(
    "times of a week",
    r"[A-Za-z0-9:,. -]{1,200}",
    "write for example `mon-fri 07:30-17:00`, `sat,sun`, or `22:00-06:00`",
    "mon-fri 07:30-17:00",
    200,
)
TIMEZONE = Kind(
    "a time zone",
    r"[A-Za-z][A-Za-z0-9_+/-]{0,63}",
    "write a name of the IANA database, for example `America/Belize`",
    "America/Belize",
    64,
)
DATE = Kind(
    "a date", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "write year-month-day, for example `2027-03-31`", "2027-03-31", 10
)
MOMENT = Kind(
    "a date or a minute",
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2})?",
    "write for example `2027-03-31` (the end of that day) or `2027-03-31T17:00`",
    "2027-03-31",
    16,
)
OFFICER = Kind(
    "a person with a mail address",
    r"[^<>\n]{1,100} <[^\s<>@]{1,64}@[^\s<>@]{1,253}>",
    'write "Name <mail@example>"',
    "H. Officer <noc@health.example>",
    420,
)
MAIL = Kind(
    "a mail address",
    r"[^\s<>@]{1,64}@[^\s<>@]{1,253}",
    "write for example `it@health.example`",
    "it@health.example",
    318,
)
PHONE = Kind(
    "a telephone number", r"\+?[0-9][0-9 ()./-]{2,40}", 'write for example "+501 555 0100"', "+501 555 0100", 42
)
PERSON_ID = Kind(
    "a person's id",
    NAME,
    "letters, digits, `_`, `.` and `-`, a letter first, for example `h.officer`",
    "h.officer",
    MAX_NAME,
)
PEOPLE_WORD = Kind(
    "a person or a group",
    rf"group:{NAME}|{NAME}",
    "write a person's id, or `group:<name>`",
    "group:staff",
    MAX_NAME + 6,
)
RATE = Kind(
    "a rate",
    r"[0-9]{1,7}/(?:second|minute|hour|day)(?: burst [0-9]{1,7})?(?: per (?:source|destination|rule))?",
    "write for example `100/second`, or `100/second burst 20 per source`",
    "100/second burst 20 per source",
    80,
)
FLOOD = Kind(
    "a flood limit",
    r"[0-9]{1,7}/second(?: burst [0-9]{1,7})?",
    "write for example `200/second`, or `200/second burst 400`",
    "200/second burst 400",
    40,
)
CONNECTIONS = Kind(
    "a bound on connections",
    r"[0-9]{1,7}(?: per (?:source|destination|rule))?",
    "write for example `50 per source`",
    "50 per source",
    40,
)
NEVER = Kind(
    "a direction",
    # No word holds a comma: where one could, the ways to read a row of words double with each.
    r"[^\s,]+(?: *, *[^\s,]+)* *-> *[^\s,]+(?: *, *[^\s,]+)*",
    "write for example `internet -> lan`",
    "internet -> lan",
    400,
)
_SIGNATURES = (
    rf"sid [0-9]{{1,10}}(?::[0-9]{{1,10}})?|category [a-z0-9][a-z0-9_-]{{0,63}}|severity [0-9]{{1,3}}|feed {NAME}"
)
_WHICH = "`sid 2019401`, `category trojan-activity`, `severity 1` or `feed <name>`"
SIGNATURES = Kind("signatures", _SIGNATURES, f"write for example {_WHICH}", "sid 2019401", 80)
REACTING = Kind(
    "signatures",
    rf"(?:{_SIGNATURES}|any)(?: (?:inbound|outbound|inside))?",
    f"write for example {_WHICH}; behind it `inbound`, `outbound` or `inside` where the direction matters",
    "severity 1 inbound",
    90,
)
OFFENCE = Kind(
    "a detection or signatures",
    rf"port-scan|host-scan|guessing|{_SIGNATURES}",
    "write `port-scan`, `host-scan`, `guessing`, or signatures like `sid 2019401`, `category attempted-admin`, "
    "`severity 1`",
    "port-scan",
    80,
)
LASTING = Kind(
    "a length of time",
    r"[0-9]{1,4} (?:minute|hour|day)s?",
    "write for example `30 minutes`, `1 hour` or `7 days`",
    "1 hour",
    20,
)
LEARNING = Kind(
    "a number of days, or a length of time",
    r"[0-9]{1,3}|[0-9]{1,4} (?:second|minute|hour|day)s?",
    "write for example `14`, `14 days` or `12 hours`",
    "14",
    20,
)
THRESHOLD = Kind(
    "a threshold",
    r"(?:at most|every|once after) [0-9]{1,6}/(?:[0-9]{1,5} )?(?:second|minute|hour|day)s?"
    r"(?: per (?:source|destination|pair|rule))?",
    "write for example `at most 1/hour per source`, `every 100/minute` or `once after 5/10 minutes per pair`",
    "at most 1/hour per source",
    60,
)
COUNT_IN = Kind(
    "a count in a time",
    r"[0-9]{1,6}/(?:[0-9]{1,5} )?(?:second|minute|hour|day)s?",
    "write for example `15/5 minutes`, or `20/hour`",
    "15/5 minutes",
    40,
)
SIZE = Kind(
    "a number of bytes",
    r"[0-9]{1,9}(?: (?:KiB|MiB|GiB))?|all",
    "write for example `1 MiB`, `256 KiB`, or `all`",
    "1 MiB",
    16,
)
HTTPS = Kind(
    "an https address",
    r"https://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]{0,600}",
    "write for example `https://rules.example.org/feed.tar.gz`",
    "https://rules.example.org/feed.tar.gz",
    800,
)
ISSUER = Kind(
    "the address of an OpenID Connect provider",
    r"https://[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%/-]{0,200})?",
    "write for example `https://login.example.org`",
    "https://login.example.org",
    470,
)
CLIENT = Kind(
    "a client's id",
    r"[A-Za-z0-9._~:/@-]{1,200}",
    "write it as the provider gave it",
    "reef",
    200,
)
ZONE_NAME = Kind("the name of a zone", NAME, "write a zone's name", "lan", MAX_NAME)
LISTEN = Kind(
    "a zone or an address of the gateway",
    rf"{NAME}|[0-9A-Fa-f.:]{{2,45}}",
    "write a zone's name, or for example `10.20.0.1`",
    "management",
    MAX_NAME,
)
HOURS = Kind(
    "hours of the day",
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:[01][0-9]|2[0-3]):[0-5][0-9]",
    "write for example `22:00-06:00`",
    "22:00-06:00",
    11,
)
CREDENTIAL = Kind(
    "a file of the gateway's folder `credentials`",
    r"[A-Za-z][A-Za-z0-9_.-]{0,47}",
    "letters, digits, `_`, `.` and `-`, a letter first, at most 48",
    "csirt",
    48,
)
WITNESS_KEY = Kind(
    "a verifier key",
    r"[^\s+]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{40,60}",
    "write NAME+ID+KEY, as the witness gave it",
    "witness.example/w1+92960a29+BAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    300,
)
WARNING_LIST = Kind(
    "a file of the gateway's folder `never-block`",
    FILE_NAME.pattern,
    "write a relative path without `..`, for example `top-sites.json`",
    "top-sites.json",
    200,
)
MARKED = Kind(
    "a kind of event or a zone",
    rf"alerts|audit|notices|telemetry|zone {NAME}",
    "write `alerts`, `audit`, `notices`, `telemetry` or `zone <name>`",
    "zone guest",
    MAX_NAME + 5,
)
REQUESTS = Kind(
    "a rate of requests",
    r"[0-9]{1,7}/second(?: burst [0-9]{1,7})?",
    "write for example `50/second`, or `50/second burst 100`",
    "50/second burst 100",
    40,
)
SYSLOG = Kind(
    "a host and its port",
    r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f.:]{2,45}\]):[0-9]{1,5}",
    "write for example `siem.example.org:6514` or `[2001:db8::5]:6514`",
    "siem.example.org:6514",
    262,
)
TOKEN_DIGEST = Kind(
    "the digest of a token",
    r"sha256:[0-9a-fA-F]{64}",
    "write `sha256:` and its 64 hexadecimal digits, as whoever has the token makes it; never the token itself",
    "",
    71,
)
SHA256 = Kind("a SHA-256 digest", r"[0-9a-fA-F]{64}", "write its 64 hexadecimal digits", "", 64)
PUBLIC_KEY = Kind(
    "an Ed25519 public key in base64", r"[A-Za-z0-9+/]{43}=", "write its 44 characters of base64", "", 44
)
LOCK_PATH = Kind(
    "a value that can be locked",
    r"[A-Za-z_*][A-Za-z0-9_.*:-]{0,120}",
    "write for example `settings.drift` or `zones.*.antispoofing`",
    "zones.*.antispoofing",
    128,
)
