"""Contents: bytes that a buffer must or must not hold, and what says where."""

from __future__ import annotations

import re

from ctypes_ext.ruleset import BUFFERS, Word
from dataplane.rules import codes
from dataplane.rules.draft import Block, Condition, Draft
from dataplane.rules.problem import Refused
from dataplane.rules.values import encoded, quoted, whole

OFFSET_MAX = 65535
DISTANCE_MAX = 1024 * 1024

_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPED = {":", ";", "\\", '"'}


def pattern(text: str) -> bytes:
    """The bytes of a content: text with \\ before : ; \\ and ", and |hex| pieces. Raises `Refused`."""
    if "|" not in text:
        return encoded(_plain(text))
    parts = text.split("|")
    if not len(parts) % 2:
        raise Refused("a | is missing: hex stands between two of them")
    out = b""
    for index, part in enumerate(parts):
        if index % 2:
            try:
                out += bytes.fromhex(part.replace(" ", ""))
            except ValueError:
                raise Refused(f"|{part}| is not hex, two digits for each byte") from None
        elif part:
            out += encoded(_plain(part))
    return out


def _plain(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    character = found[1]
    if character not in _ESCAPED:
        raise Refused(f'\\{character} is not an escape: only : ; \\ and " are escaped')
    return str(character)


def add(draft: Draft, block: Block, text: bytes, flags: int = 0) -> Condition:
    """A content at the end of a block; it becomes the one that modifiers speak of."""
    if not text:
        raise Refused("is empty")
    condition = Condition(codes.CONTENT, flags=flags, text=text)
    block.conditions.append(condition)
    draft.previous = (block, condition)
    draft.last = block
    return condition


def content(draft: Draft, value: str) -> None:
    text, negated = quoted(value, negation=True)
    add(draft, draft.block(), pattern(text), codes.NEGATED if negated else 0)


def _previous(draft: Draft) -> Condition:
    if draft.previous is None:
        raise Refused("needs a content before it")
    return draft.previous[1]


def nocase(draft: Draft, value: str) -> None:
    condition = _previous(draft)
    if condition.flags & codes.NOCASE:
        raise Refused("says nocase twice of one content")
    condition.flags |= codes.NOCASE


def rawbytes(draft: Draft, value: str) -> None:
    condition = _previous(draft)
    if draft.active is not None:
        raise Refused("only contents of the payload have raw bytes; a sticky buffer is set")
    condition.flags |= codes.RAWBYTES


def _absolute(condition: Condition, flag: int) -> None:
    """Depth and offset say the same of a content only once, and not together with distance, within and startswith."""
    if condition.flags & codes.STARTSWITH:
        raise Refused("cannot stand with startswith")
    if condition.flags & flag:
        raise Refused("is said twice of one content")
    if condition.flags & (codes.DISTANCE | codes.WITHIN):
        raise Refused("cannot stand with distance or within: those count from the match before")
    if condition.flags & codes.NEGATED and condition.flags & codes.FAST_PATTERN:
        raise Refused("cannot stand on a negated content that is the fast_pattern")
    if condition.flags & codes.FAST_PATTERN_ONLY:
        raise Refused("cannot stand on a content with fast_pattern:only")


def depth(draft: Draft, value: str) -> None:
    condition = _previous(draft)
    _absolute(condition, codes.DEPTH)
    condition.b, variable = draft.number(value, 1, OFFSET_MAX, "depth")
    if variable:
        condition.flags |= codes.B_VARIABLE
    elif condition.b < len(condition.text):
        raise Refused(f"is {condition.b}, but the content has {len(condition.text)} bytes and never fits")
    condition.flags |= codes.DEPTH


def offset(draft: Draft, value: str) -> None:
    condition = _previous(draft)
    _absolute(condition, codes.OFFSET)
    condition.a, variable = draft.number(value, 0, OFFSET_MAX, "offset")
    if variable:
        condition.flags |= codes.A_VARIABLE
    condition.flags |= codes.OFFSET


def _relative(draft: Draft, flag: int) -> Condition:
    condition = _previous(draft)
    if condition.flags & codes.STARTSWITH:
        raise Refused("cannot stand with startswith")
    if condition.flags & flag:
        raise Refused("is said twice of one content")
    if condition.flags & (codes.DEPTH | codes.OFFSET):
        raise Refused("cannot stand with depth or offset: those count from the beginning of the buffer")
    if condition.flags & codes.NEGATED and condition.flags & codes.FAST_PATTERN:
        raise Refused("cannot stand on a negated content that is the fast_pattern")
    if condition.flags & codes.FAST_PATTERN_ONLY:
        raise Refused("cannot stand on a content with fast_pattern:only")
    block = draft.previous[0] if draft.previous is not None else None
    before = block.conditions[-2] if block is not None and len(block.conditions) > 1 else None
    if before is not None and before.op == codes.CONTENT and before.flags & codes.FAST_PATTERN_ONLY:
        raise Refused("counts from a content with fast_pattern:only, whose place is not looked for")
    condition.flags |= flag
    return condition


def distance(draft: Draft, value: str) -> None:
    condition = _relative(draft, codes.DISTANCE)
    condition.c, variable = draft.number(value, -DISTANCE_MAX, DISTANCE_MAX, "distance")
    if variable:
        condition.flags |= codes.C_VARIABLE


def within(draft: Draft, value: str) -> None:
    condition = _relative(draft, codes.WITHIN)
    condition.e, variable = draft.number(value, -DISTANCE_MAX, DISTANCE_MAX, "within")
    if variable:
        condition.flags |= codes.E_VARIABLE
    elif condition.e < len(condition.text):
        raise Refused(f"is {condition.e}, but the content has {len(condition.text)} bytes and never fits")


def startswith(draft: Draft, value: str) -> None:
    condition = _previous(draft)
    if condition.flags & codes.STARTSWITH:
        raise Refused("is said twice of one content")
    if condition.flags & codes.POSITIONED:
        raise Refused("cannot stand with depth, offset, distance or within")
    condition.flags |= codes.STARTSWITH | codes.DEPTH
    condition.b = len(condition.text)


def endswith(draft: Draft, value: str) -> None:
    condition = _previous(draft)
    if condition.flags & codes.ENDSWITH:
        raise Refused("is said twice of one content")
    condition.flags |= codes.ENDSWITH


def fast_pattern(draft: Draft, value: str) -> None:
    condition = _previous(draft)
    flags = condition.flags
    if draft.fast_pattern is not None:
        raise Refused("one content of a rule can be the fast_pattern")
    if flags & codes.NEGATED and flags & codes.POSITIONED:
        raise Refused("cannot be a negated content with depth, offset, distance or within")
    draft.fast_pattern = condition
    condition.flags |= codes.FAST_PATTERN
    if not value:
        return
    if value == "only":
        if flags & codes.POSITIONED:
            raise Refused("only cannot stand with depth, offset, distance or within")
        condition.flags |= codes.FAST_PATTERN_ONLY
        return
    first, comma, second = value.partition(",")
    if not comma:
        raise Refused(f"takes nothing, only, or OFFSET,LENGTH; not {value!r}")
    start, length = whole(first, 0, OFFSET_MAX, "the offset"), whole(second, 1, OFFSET_MAX, "the length")
    if start + length > len(condition.text):
        raise Refused(f"{start},{length} goes beyond the {len(condition.text)} bytes of the content")
    condition.flags |= codes.FAST_PATTERN_CHOP
    condition.d = length << 32 | start


def moved(draft: Draft, word: Word) -> None:
    """The old modifiers (http_uri …): the content before belongs to another buffer than the payload."""
    if draft.previous is None or draft.previous[0] is not draft.payload:
        raise Refused("needs a content of the payload before it")
    if draft.active is not None:
        raise Refused("cannot stand with a sticky buffer: write the sticky buffer before the content instead")
    block, condition = draft.previous
    if condition.flags & codes.RAWBYTES:
        raise Refused("cannot stand on a content with rawbytes")
    block.conditions.remove(condition)
    target = draft.of(word)
    target.conditions.append(condition)
    draft.previous = (target, condition)
    draft.last = target


def replace(draft: Draft, value: str) -> None:
    text, _ = quoted(value)
    condition = _previous(draft)
    raw = pattern(text)
    if draft.previous is None or draft.previous[0] is not draft.payload:
        raise Refused("only replaces contents of the payload")
    if condition.flags & codes.NEGATED:
        raise Refused("a negated content is never found, so nothing can be replaced")
    if len(raw) != len(condition.text):
        raise Refused(f"must be as long as its content: {len(condition.text)} bytes, not {len(raw)}")
    raise Refused("replacing bytes of traffic is not supported: drop or reject instead", unsupported=True)


def settle_ends(condition: Condition) -> None:
    """The end of depth counts from the beginning of the buffer, as the matcher has it."""
    if condition.flags & (codes.DEPTH | codes.OFFSET) == codes.DEPTH | codes.OFFSET and not condition.flags & (
        codes.A_VARIABLE | codes.B_VARIABLE
    ):
        condition.b += condition.a


URI = BUFFERS["http.uri"]
