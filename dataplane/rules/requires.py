"""requires: a rule says for which engine it is. Where that is not this one it is passed over, not refused."""

from __future__ import annotations

import re

from dataplane.rules.problem import Refused

VERSION = (7, 0, 10)  # the release whose rule language this is

_TESTS = {
    "<": lambda ours, theirs: ours < theirs,
    ">": lambda ours, theirs: ours > theirs,
    "<=": lambda ours, theirs: ours <= theirs,
    ">=": lambda ours, theirs: ours >= theirs,
}
_VERSION = re.compile(r"\s*(<=|>=|<|>)\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?")


def met(value: str, keywords: frozenset[str]) -> bool:
    """Is this engine what the rule asks for? Raises `Refused` where the words are not understood."""
    for piece in value.split(","):
        word, _, argument = piece.strip().partition(" ")
        argument = argument.strip()
        if word == "version":
            if not any(_all(part) for part in argument.split("|")):
                return False
        elif word == "feature":
            return False  # features name parts of another program
        elif word == "keyword":
            if argument not in keywords:
                return False
        else:
            return False  # what is asked for is not known, so it is not there
    return True


def _all(text: str) -> bool:
    """All comparisons of one alternative."""
    position, holds = 0, True
    text = text.strip()
    if not text:
        raise Refused("the version is missing")
    while position < len(text):
        found = _VERSION.match(text, position)
        if not found:
            raise Refused(f"a version must be like >= 7.0.3 < 8, not {text!r}")
        theirs = (int(found[2]), int(found[3] or 0), int(found[4] or 0))
        holds = holds and _TESTS[found[1]](VERSION, theirs)
        position = found.end()
        while position < len(text) and text[position].isspace():
            position += 1
    return holds
