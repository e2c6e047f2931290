"""STIX 2.1 patterning: the grammar, read into a small tree. Whether a gateway can act on it is `values.py`.

Patterns come from outside: their length, depth and number of parts are bounded, and nothing of them is ever run.
Source: OASIS STIX 2.1, part 9. No regular expression of a pattern (MATCHES, LIKE) is compiled.
"""

from __future__ import annotations

import base64
import re
from typing import Literal

import msgspec

MAX_LENGTH = 64 << 10
MAX_DEPTH = 32
MAX_PARTS = 5_000  # comparisons and constants

Constant = str | int | float | bool | bytes
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS"]


class PatternError(ValueError):
    """Not a pattern: the text says where and what would be right."""


class Comparison(msgspec.Struct, frozen=True, gc=False):
    """`path` operator constants, as in `ipv4-addr:value = '192.0.2.1'`. EXISTS has no constants."""

    kind: str  # of the object: "ipv4-addr"
    path: str  # without quotes: "value", "hashes.SHA-256", "dst_ref.value", "body_multipart[*].body_raw_ref.name"
    operator: Operator
    constants: tuple[Constant, ...]
    negated: bool = False


class Either(msgspec.Struct, frozen=True):
    """One of its parts is enough."""

    parts: tuple[Comparison | Either | Both, ...]


class Both(msgspec.Struct, frozen=True):
    """All of its parts, of one observation."""

    parts: tuple[Comparison | Either | Both, ...]


class Observation(msgspec.Struct, frozen=True):
    """What stands in brackets, and how often or when: `qualified` is those words."""

    of: Comparison | Either | Both
    qualified: tuple[str, ...] = ()


class Joined(msgspec.Struct, frozen=True):
    """Several observations."""

    by: Literal["AND", "OR", "FOLLOWEDBY"]
    parts: tuple[Observation | Joined, ...]
    qualified: tuple[str, ...] = ()


Expression = Comparison | Either | Both
Pattern = Observation | Joined

# Nearly every pattern in the world is this one.
_PLAIN = re.compile(r"\s*\[\s*([a-z0-9-]+):([\w.-]+|hashes\.'[\w-]+')\s*=\s*'([^'\\]*)'\s*\]\s*", re.ASCII)

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*\n|/\*.*?\*/)
    |(?P<text>'(?:[^'\\]|\\['\\])*')
    |(?P<special>[tbh]'(?:[^'\\]|\\['\\])*')
    |(?P<number>[+-]?(?:\d+\.\d*|\.\d+|\d+)(?![\w-]))
    |(?P<sign>!=|<>|<=|>=|==|[=<>\[\](),:.*])
    |(?P<word>[A-Za-z_][\w-]*)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LONGEST_NUMBER = 30
_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[012])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?Z", re.ASCII
)
_SIGNS = {"==": "=", "<>": "!="}
_COMPARES = ("=", "!=", "<", "<=", ">", ">=")
_TAKES_TEXT = ("LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET")


class _Token(msgspec.Struct, frozen=True, gc=False):
    kind: str
    text: str
    at: int


def parse(text: str) -> Pattern:
    """The tree of a pattern. Raises `PatternError`."""
    if len(text) > MAX_LENGTH:
        raise PatternError(f"the pattern has {len(text):,} characters; {MAX_LENGTH:,} are read at most")
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        kind, path, value = plain.groups()
        return Observation(Comparison(kind, path.replace("'", ""), "=", (value,)))
    return _Reader(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise PatternError(f"character {at + 1}: {text[at : at + 20]!r} begins nothing that a pattern may have")
        kind = match.lastgroup or ""
        if kind != "space":
            word = match.group()
            found.append(_Token(kind, _SIGNS.get(word, word) if kind == "sign" else word, at))
        at = match.end()
    found.append(_Token("end", "the end", len(text)))
    return found


class _Reader:
    """Recursive descent; AND binds tighter than OR, and OR than FOLLOWEDBY, as the standard has it."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0
        self._parts = 0

    # --- tokens -------------------------------------------------------------------------------------

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        """Go on if this sign or word is next."""
        if self._token.kind in ("sign", "word") and self._token.text == text:
            self._next += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong(f"{text!r}")

    def _wrong(self, wanted: str) -> PatternError:
        return PatternError(f"character {self._token.at + 1}: {self._token.text[:40]!r} where {wanted} should be")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PatternError(f"more than {MAX_DEPTH} brackets in one another")

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise PatternError(f"more than {MAX_PARTS:,} comparisons and values")

    # --- observations -------------------------------------------------------------------------------

    def whole(self) -> Pattern:
        found = self._joined(("FOLLOWEDBY", "OR", "AND"))
        if self._token.kind != "end":
            raise self._wrong("the end, AND, OR or FOLLOWEDBY")
        return found

    def _joined(self, words: tuple[str, ...]) -> Pattern:
        if not words:
            return self._observation()
        parts = [self._joined(words[1:])]
        while self._take(words[0]):
            parts.append(self._joined(words[1:]))
        return parts[0] if len(parts) == 1 else Joined(words[0], tuple(parts))  # type: ignore[arg-type]

    def _observation(self) -> Pattern:
        self._deeper()
        found: Pattern
        if self._take("("):
            found = self._joined(("FOLLOWEDBY", "OR", "AND"))
            self._expect(")")
        else:
            self._expect("[")
            found = Observation(self._either())
            self._expect("]")
        self._depth -= 1
        while (said := self._qualifier()) is not None:
            found = msgspec.structs.replace(found, qualified=(*found.qualified, said))
        return found

    def _qualifier(self) -> str | None:
        if self._take("WITHIN"):
            seconds = self._plain_number()
            self._expect("SECONDS")
            return f"WITHIN {seconds} SECONDS"
        if self._take("REPEATS"):
            times = self._plain_number()
            self._expect("TIMES")
            return f"REPEATS {times} TIMES"
        if self._take("START"):
            start = self._moment()
            self._expect("STOP")
            return f"START {start} STOP {self._moment()}"
        return None

    def _moment(self) -> str:
        if self._token.kind != "special" or self._token.text[0] != "t":
            raise self._wrong("a time like t'2026-01-01T00:00:00Z'")
        return str(self._constant())

    def _plain_number(self) -> str:
        if self._token.kind != "number":
            raise self._wrong("a number")
        self._next += 1
        return self._tokens[self._next - 1].text

    # --- comparisons --------------------------------------------------------------------------------

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._take("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Expression:
        parts = [self._comparison()]
        while self._take("AND"):
            parts.append(self._comparison())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _comparison(self) -> Expression:
        self._count()
        if self._take("("):
            self._deeper()
            found = self._either()
            self._expect(")")
            self._depth -= 1
            return found
        if self._take("EXISTS"):
            kind, path = self._object_path()
            return Comparison(kind, path, "EXISTS", ())
        kind, path = self._object_path()
        return self._compared(kind, path, self._take("NOT"))

    def _compared(self, kind: str, path: str, negated: bool) -> Comparison:
        for sign in _COMPARES:
            if self._take(sign):
                ordered = sign not in ("=", "!=")
                if ordered and self._token.text in ("true", "false"):
                    raise self._wrong("a value that is more or less than others")
                return Comparison(kind, path, sign, (self._constant(),), negated)  # type: ignore[arg-type]
        for word in _TAKES_TEXT:
            if self._take(word):
                if self._token.kind != "text":
                    raise self._wrong("a string in single quotes")
                return Comparison(kind, path, word, (self._constant(),), negated)  # type: ignore[arg-type]
        if self._take("IN"):
            self._expect("(")
            constants = [self._constant()]
            while self._take(","):
                constants.append(self._constant())
            self._expect(")")
            return Comparison(kind, path, "IN", tuple(constants), negated)
        raise self._wrong("one of = != < <= > >= IN LIKE MATCHES ISSUBSET ISSUPERSET")

    def _object_path(self) -> tuple[str, str]:
        if self._token.kind != "word":
            raise self._wrong("an object path like ipv4-addr:value")
        kind = self._token.text
        self._next += 1
        self._expect(":")
        steps = [self._step()]
        while True:
            if self._take("."):
                steps.append("." + self._step())
            elif self._take("["):
                steps.append(f"[{self._index()}]")
            else:
                return kind, "".join(steps)

    def _step(self) -> str:
        token = self._token
        if token.kind not in ("word", "text"):
            raise self._wrong("the name of a property")
        self._next += 1
        return token.text if token.kind == "word" else _unescaped(token.text)

    def _index(self) -> str:
        token = self._token
        if token.text != "*" and token.kind != "number":
            raise self._wrong("* or a number")
        self._next += 1
        self._expect("]")
        return token.text

    def _constant(self) -> Constant:
        self._count()
        token = self._token
        self._next += 1
        if token.kind == "text":
            return _unescaped(token.text)
        if token.kind == "number" and len(token.text) <= _LONGEST_NUMBER:
            return float(token.text) if "." in token.text else int(token.text)
        if token.kind == "special":
            return _special(token)
        if token.kind == "word" and token.text in ("true", "false"):
            return token.text == "true"
        self._next -= 1
        raise self._wrong("a value: 'text', a number, true or false")


def _unescaped(quoted: str) -> str:
    return _ESCAPED.sub(r"\1", quoted[1:-1])


def _special(token: _Token) -> Constant:
    """t'time' as its text, h'hexadecimal' and b'base64' as bytes."""
    kind, inside = token.text[0], _unescaped(token.text[1:])
    try:
        if kind == "h":
            return bytes.fromhex(inside)
        if kind == "b":
            return base64.b64decode(inside, validate=True)
    except ValueError:
        raise PatternError(f"character {token.at + 1}: {token.text[:40]!r} is not what its letter says") from None
    if _TIME.fullmatch(inside) is None:
        raise PatternError(f"character {token.at + 1}: {token.text[:40]!r} is no time like 2026-01-01T00:00:00Z")
    return inside
