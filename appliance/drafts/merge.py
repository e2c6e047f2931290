"""Two texts that grew out of one become one: by rule, object, service … as `sheet.py` cuts them. Pure.

What only one side changed, added, took away or moved is so in the result. What both changed the same way is no
conflict; where they differ the result has what is `mine`, and a `Conflict` says what the other two had. Comments stay
with what they belong to. Nothing here judges what the result means: parse and prove it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from appliance.drafts.conflict import Conflict, Kind
from appliance.drafts.edits import rising
from appliance.drafts.sheet import Part, PieceCache, Section, Sheet, sheet


class MergeResult(msgspec.Struct, frozen=True):
    text: str
    conflicts: tuple[Conflict, ...] = ()


def merge(base: str, mine: str, theirs: str, cache: PieceCache | None = None) -> MergeResult:
    """`mine` with what `theirs` changed since `base`. Raises `EditError` when one of them is no YAML."""
    if mine == theirs or base == theirs:
        return MergeResult(mine)
    if base == mine:
        return MergeResult(theirs)
    cache = PieceCache() if cache is None else cache
    conflicts: list[Conflict] = []
    sheets = [sheet(text, cache) for text in (base, mine, theirs)]
    return MergeResult(_sheets(sheets[0], sheets[1], sheets[2], conflicts), tuple(conflicts))


def _sheets(base: Sheet, mine: Sheet, theirs: Sheet, conflicts: list[Conflict]) -> str:
    named = [{section.name: section for section in one.sections} for one in (base, mine, theirs)]
    merged: dict[str, Section] = {}
    for name in {**named[1], **named[2], **named[0]}:
        section = _section(name, *[one.get(name) for one in named], conflicts=conflicts)
        if section is not None:
            merged[name] = section
    order, _ = _order([*named[0]], [*named[1]], [*named[2]], merged)
    preamble, _ = _choose(base.preamble, mine.preamble, theirs.preamble)
    return preamble + "".join([merged[name].text for name in order])


def _section(
    name: str,
    base: Section | None,
    mine: Section | None,
    theirs: Section | None,
    *,
    conflicts: list[Conflict],
) -> Section | None:
    texts = ["" if one is None else one.text for one in (base, mine, theirs)]
    chosen, clash = _choose(*texts)
    if not clash:
        return next((one for one in (mine, theirs, base) if one is not None and one.text == chosen), None)
    known = [one for one in (base, mine, theirs) if one is not None]
    if any(one.whole for one in known):
        conflicts.append(Conflict(name, "", _kind(texts), *texts))
        return mine
    # One that is not there has no entries; its head is the other's.
    like = mine or theirs or known[0]
    empty = msgspec.structs.replace(like, parts=(), above="", gap="", foot="")
    aligned = [empty if one is None else _aligned(one, like.column) for one in (base, mine, theirs)]
    if None in aligned:
        conflicts.append(Conflict(name, "", _kind(texts), *texts))
        return mine
    before, own, other = [one for one in aligned if one is not None]
    parts = _parts(name, before, own, other, conflicts)
    if not parts and (mine is None or theirs is None):
        return None
    return Section(
        name,
        above=_choose(before.above, own.above, other.above)[0],
        head=_head(bool(parts), before, own, other),
        gap=_choose(before.gap, own.gap, other.gap)[0],
        parts=parts,
        foot=_choose(before.foot, own.foot, other.foot)[0],
        whole=False,
        column=like.column,
    )


def _head(filled: bool, base: Section, mine: Section, theirs: Section) -> str:
    """The line of the section's name: one that says `[]` only where nothing stands below."""
    head, _ = _choose(base.head, mine.head, theirs.head)
    fitting = [one for one in (mine, theirs, base) if bool(one.parts) == filled]
    if any(one.head == head for one in fitting) or not fitting:
        return head
    return fitting[0].head


def _aligned(section: Section, column: int) -> Section | None:
    """The section with its entries at another column; None where a line stands in the way."""
    shift = column - section.column
    if not shift or not section.parts:
        return section
    parts: list[Part] = []
    for part in section.parts:
        moved = [_shifted(text, shift) for text in (part.above, part.body, part.below)]
        if moved[1] is None:
            return None
        above, body, below = [text if text is not None else "" for text in moved]
        parts.append(Part(part.name, above, body, below))
    return msgspec.structs.replace(section, parts=tuple(parts), column=column)


def _shifted(text: str, shift: int) -> str | None:
    """Every line by `shift` columns; None when one has not so many spaces to give."""
    lines = text.splitlines(keepends=True)
    if shift > 0:
        return "".join([" " * shift + line if line.strip() else line for line in lines])
    if any(line.strip() and not line.lstrip().startswith("#") and line[:-shift].strip() for line in lines):
        return None
    return "".join(
        [line[min(-shift, len(line) - len(line.lstrip(" "))) :] if line.strip() else line for line in lines]
    )


# --- entries -----------------------------------------------------------------------------------------------


def _parts(name: str, base: Section, mine: Section, theirs: Section, conflicts: list[Conflict]) -> tuple[Part, ...]:
    named = [{part.name: part for part in one.parts} for one in (base, mine, theirs)]
    kept: dict[str, Part] = {}
    for key in {**named[1], **named[2], **named[0]}:
        three = [one.get(key) for one in named]
        part = _part(name, key, three, conflicts)
        if part is not None:
            kept[key] = part
    order, moved = _order([*named[0]], [*named[1]], [*named[2]], kept)
    for key in moved:
        conflicts.append(Conflict(name, key, "moved", *[_before([*one], key) for one in named]))
    return tuple([kept[key] for key in order])


def _before(names: Sequence[str], name: str) -> str:
    at = names.index(name)
    return names[at - 1] if at else ""


def _part(section: str, name: str, three: Sequence[Part | None], conflicts: list[Conflict]) -> Part | None:
    bodies = ["" if part is None else part.body for part in three]
    body, clash = _choose(*bodies)
    aboves = ["" if part is None else part.above for part in three]
    above, unlike = _choose(*aboves)
    belows = ["" if part is None else part.below for part in three]
    below, _ = _choose(*belows)
    if clash or (unlike and body):
        texts = [above + body for above, body in zip(aboves, bodies, strict=True)]
        conflicts.append(Conflict(section, name, _kind(bodies), *texts))
    if not body:
        return None
    if three[1] is None and three[2] is not None:
        # Mine has none of it, so nothing of mine stands above and below it either.
        above, below = aboves[2], belows[2]
    return Part(name, above, body, below)


def _kind(three: Sequence[str]) -> Kind:
    base, mine, theirs = three
    if not base:
        return "added"
    return "changed" if mine and theirs else "removed"


def _choose(base: str, mine: str, theirs: str) -> tuple[str, bool]:
    """What holds of three, and whether both sides changed it and not alike."""
    if mine == theirs or base == theirs:
        return mine, False
    if base == mine:
        return theirs, False
    return mine, True


# --- order -------------------------------------------------------------------------------------------------


def _order(
    base: Sequence[str], mine: Sequence[str], theirs: Sequence[str], kept: Mapping[str, object]
) -> tuple[list[str], list[str]]:
    """The order of what is kept: mine, with what the other side moved or added where it stands there: behind what it
    stands behind, and behind what mine has added there. And what both moved, to different places."""
    own = [name for name in mine if name in kept]
    other = [name for name in theirs if name in kept]
    shared = set(own) & set(other) & set(base)
    by_mine, by_theirs = _moved(base, own, shared), _moved(base, other, shared)
    order = [name for name in own if name not in by_theirs or name in by_mine]
    known, old = set(order), set(base)
    if [name for name in other if name not in known]:
        order = _woven(order, other, known, old)
    common = [name for name in other if name in shared]
    expected = [name for name in own if name in shared]
    both = [name for name in base if name in by_mine and name in by_theirs]
    return order, [name for name in both if _before(common, name) != _before(expected, name)]


def _woven(order: list[str], other: Sequence[str], known: set[str], old: set[str]) -> list[str]:
    """The order with what only the other side has."""
    following: dict[str, list[str]] = {}  # what comes behind a name, "" for what comes first
    last = ""
    for name in other:
        if name in known:
            last = name
        else:
            following.setdefault(last, []).append(name)
    found: list[str] = []
    waiting: list[str] = []
    for name in ["", *order]:
        if waiting and (name in old or name in following):
            found.extend(waiting)
            waiting = []
        if name:
            found.append(name)
        waiting.extend(following.get(name, ()))
    return found + waiting


def _moved(base: Sequence[str], names: Sequence[str], shared: set[str]) -> set[str]:
    """What stands elsewhere among the shared ones than it did."""
    place = {name: number for number, name in enumerate(name for name in base if name in shared)}
    numbers = [place[name] for name in names if name in shared]
    if numbers == sorted(numbers):
        return set()
    stayed = set(rising(numbers))
    return {name for at, name in enumerate(name for name in names if name in shared) if at not in stayed}
