"""Cuts the `rules:` section of a text into its items by line structure, without reading YAML.

An item begins with `-` at the indent of the first one. That a cut is right is not believed but known: a
piece was an item of a text that was read whole, or it is read on its own and must be exactly one item; and
the rest of the text must have `rules:` as an empty key where the pieces were. Whatever does not fit is read
whole, so that the result is always that of the plain reading.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container

import msgspec

_HEADER = re.compile(r"rules:(?: +#[^\n]*| *)\n(?: *(?:#[^\n]*)?\n)*( *)(?=-[ \n])")


class Cut(msgspec.Struct, frozen=True):
    """`before` ends with the line above the first item; a piece is whole lines; `lines` counts those of all pieces.

    `line` is the line (from 0) of `rules:`, `first` that of the first item.
    """

    before: str
    pieces: list[str]
    after: str
    line: int
    first: int
    lines: int

    @property
    def rest(self) -> str:
        """The text without its rules, every line where it was."""
        return self.before + "\n" * self.lines + self.after


def cut(text: str, known: Container[str], count: int = 0) -> Cut | None:
    """The pieces of the `rules:` section. None when there is nothing to cut.

    A piece that is `known` is not looked at again. With `count` it is known how many pieces there are.
    """
    start = 0 if text.startswith("rules:") else text.find("\nrules:") + 1
    header = _HEADER.match(text, start)
    if header is None:
        return None
    indent = len(header.group(1))
    opening = " " * indent + "-"
    begin = header.start(1)
    parts = text[begin + len(opening) :].split("\n" + opening)
    pieces: list[str] = []
    after = ""
    last = len(parts) - 1
    for number, part in enumerate(parts):
        piece = f"{opening}{part}\n" if number < last else opening + part
        if number >= count - 1 if count else piece not in known:
            if part[:1] not in (" ", "\n", ""):
                return None  # `-x` is no item
            end = _ends(indent).search(piece)
            if end is not None:
                after = piece[end.start() :]
                if number < last:
                    after += opening + ("\n" + opening).join(parts[number + 1 :])
                pieces.append(piece[: end.start()])
                break
        pieces.append(piece)
    first = text.count("\n", 0, begin)
    line = text.count("\n", 0, start)
    return Cut(text[:begin], pieces, after, line, first, sum([piece.count("\n") for piece in pieces]))


@functools.cache
def _ends(indent: int) -> re.Pattern[str]:
    """A line that ends a list at this indent: what is indented less, or as much and is no item."""
    less = rf"^ {{0,{indent - 1}}}[^ #\n]|" if indent else ""
    return re.compile(rf"{less}^ {{{indent}}}(?![ #\n]|-[ \n])[^\n]", re.MULTILINE)
