"""pcre: Perl-compatible expressions with Suricata's modifiers."""

from __future__ import annotations

import re

from ctypes_ext.ruleset import BUFFERS, NUMBERS, check_expression
from dataplane.rules import codes
from dataplane.rules.draft import Condition, Draft
from dataplane.rules.problem import Refused
from dataplane.rules.values import encoded, quoted

_WHOLE = re.compile(r"/(.*(?<!(?<!\\)\\))/([^\"]*)", re.DOTALL)

_OPTIONS = {
    letter: NUMBERS[f"PCRE2_{name}"]
    for letter, name in {
        "i": "CASELESS", "m": "MULTILINE", "s": "DOTALL", "x": "EXTENDED",
        "A": "ANCHORED", "E": "DOLLAR_ENDONLY", "G": "UNGREEDY",
    }.items()
}  # fmt: skip

_BUFFERS = {
    "U": "http.uri", "I": "http.uri.raw", "H": "http.header", "D": "http.header.raw", "M": "http.method",
    "C": "http.cookie", "P": "http.request_body", "Q": "file.data", "V": "http.user_agent",
    "W": "http.host", "Z": "http.host.raw", "Y": "http.stat_msg", "S": "http.stat_code",
}  # fmt: skip


def pcre(draft: Draft, value: str) -> None:
    text, negated = quoted(value, negation=True)
    found = _WHOLE.fullmatch(text)
    if not found:
        raise Refused("must be /EXPRESSION/MODIFIERS within quotes")
    expression, letters = found[1], found[2]
    letters, comma, captures = letters.partition(",")
    if comma or re.search(r"\(\?P?<(?:flow|pkt|alert)_", expression):
        _captures(captures)
    options, flags, buffer = 0, codes.NEGATED if negated else 0, ""
    for letter in letters:
        option = _OPTIONS.get(letter)
        if option is not None:
            options |= option
        elif letter == "R":
            flags |= codes.RELATIVE
        elif letter == "B":
            if draft.active is not None:
                raise Refused("the modifier B speaks of raw bytes of the payload; a sticky buffer is set")
            flags |= codes.RAWBYTES
        elif letter == "O":
            pass  # Suricata's own match limits: the engine's hold for every expression
        elif letter in _BUFFERS:
            if buffer and buffer != _BUFFERS[letter]:
                raise Refused(f"the modifiers ask for two buffers: {buffer} and {_BUFFERS[letter]}")
            buffer = _BUFFERS[letter]
        else:
            raise Refused(f"the modifier {letter} is not known")
    if buffer == "http.host" and not options & _OPTIONS["i"]:
        _lower(expression)
    raw = encoded(expression)
    wrong = check_expression(raw, options)
    if wrong:
        raise Refused(f"the expression does not compile: {wrong}")
    condition = Condition(codes.PCRE, options, flags=flags, text=raw)
    if buffer:
        _into(draft, buffer, condition)
    else:
        draft.add(condition)


def _into(draft: Draft, buffer: str, condition: Condition) -> None:
    """The old modifiers that name a buffer."""
    word = BUFFERS.get(buffer)
    if word is None:
        raise Refused(f"the buffer {buffer} is not known to this engine", unsupported=True)
    active = draft.active
    if active is not None and active.buffer != word.number:
        raise Refused(f"the modifier names {buffer}, but another sticky buffer is set: pkt_data; ends it")
    draft.require("http")
    draft.last = draft.block() if active is not None else draft.of(word)
    draft.last.conditions.append(condition)


def _lower(expression: str) -> None:
    """http.host holds lower case only: an upper-case letter outside an escape never matches."""
    if re.search(r"(?<!\\)[A-Z]", expression):
        raise Refused("the modifier W looks at the host in lower case: write the expression in lower case")


def _captures(text: str) -> None:
    raise Refused("captures into variables (flow:, pkt:, alert:) are not supported", unsupported=True)
