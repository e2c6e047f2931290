"""A policy text as a person laid it out: values with their style, and the comments that belong to them.

`fmt.py` writes such a tree. The reader of policies (`text.py`) does not need it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import msgspec
import yaml
from yaml.cyaml import CBaseLoader


class Leaf(msgspec.Struct):
    """A scalar. `style` is "" for plain, ' or " for quoted, | or > for block; `first`, `last` index the text."""

    value: str
    style: str
    line: int
    column: int
    first: int
    last: int


class Entry(msgspec.Struct):
    """An item of a sequence, or with `key` an entry of a mapping, and the comments that belong to it."""

    value: Tree
    line: int
    key: Leaf | None = None
    above: list[str] = []  # comments on lines of their own; "" is a blank line
    beside: str = ""  # the comment behind the key, where the value follows on the next lines
    after: str = ""  # the comment behind the value


class Branch(msgspec.Struct):
    """A sequence or mapping. `flow` ones are written on one line: `[a, b]`, `{a: b}`."""

    entries: list[Entry]
    mapping: bool
    flow: bool
    first: int
    last: int
    line: int
    column: int
    unfolded: bool = False  # was written on one line and cannot stay so
    foot: list[str] = []  # comments behind the last entry, indented like the entries


Tree = Leaf | Branch


class Comment(msgspec.Struct, frozen=True):
    """A comment, or with empty `words` a blank line."""

    index: int
    line: int
    column: int
    words: str
    own_line: bool


class _Place(msgspec.Struct, frozen=True):
    """An entry of a block with the branches it is in, outermost first."""

    entry: Entry
    inside: tuple[Branch, ...]


def tree_of(text: str) -> tuple[Branch, list[Leaf]]:
    """The tree of a text that `text.compose` accepts as a mapping, and its scalars in order."""
    loader = CBaseLoader(text)
    leaves: list[Leaf] = []
    stack: list[tuple[Branch, Leaf | None]] = []
    key: Leaf | None = None
    try:
        while True:
            event: Any = loader.get_event()
            node: Tree
            if isinstance(event, yaml.ScalarEvent):
                node = _leaf(event)
                leaves.append(node)
                if key is None and stack[-1][0].mapping:
                    key = node
                    continue
            elif isinstance(event, yaml.CollectionStartEvent):
                stack.append((_branch(event), key))
                key = None
                continue
            elif isinstance(event, yaml.CollectionEndEvent):
                branch, key = stack.pop()
                branch.last = _index(event.end_mark)
                if not stack:
                    return branch, leaves
                node = branch
            else:
                continue
            line = node.line if key is None else key.line
            stack[-1][0].entries.append(Entry(node, line, key))
            key = None
    finally:
        loader.dispose()


def _leaf(event: Any) -> Leaf:
    mark = event.start_mark
    style = event.style if event.style in ("'", '"', "|", ">") else ""
    return Leaf(event.value, style, mark.line, mark.column, mark.index, _index(event.end_mark))


def _branch(event: Any) -> Branch:
    mark = event.start_mark
    mapping = isinstance(event, yaml.MappingStartEvent)
    return Branch([], mapping, bool(event.flow_style), mark.index, mark.index, mark.line, mark.column)


def _index(mark: Any) -> int:
    index: int = mark.index
    return index


def attach_comments(root: Branch, leaves: list[Leaf], text: str) -> None:
    """Gives every comment of the text to the entry it belongs to; unfolds one-line forms that hold comments."""
    comments = _comments(text, leaves)
    root.flow = False
    _unfold(root, [comment.index for comment in comments if comment.words])
    places: list[_Place] = []
    kept: list[tuple[int, int]] = []
    _collect(root, (), places, kept)
    lines = [place.entry.line for place in places]
    steps: list[tuple[int, int, Comment | Entry]] = []
    for number, place in enumerate(places):
        if number == 0 or lines[number - 1] != lines[number]:
            steps.append((place.entry.line, 1, place.entry))
    for comment in comments:
        if comment.own_line and not (not comment.words and any(a <= comment.index < b for a, b in kept)):
            steps.append((comment.line, 0, comment))
        elif not comment.own_line:
            _put_beside(places, bisect_right(lines, comment.line), root, comment)
    blank = False
    for line, _, step in sorted(steps, key=lambda step: step[:2]):
        if isinstance(step, Comment) and not step.words:
            blank = True
            continue
        target = (
            step.above if isinstance(step, Entry) else _above_or_foot(places, bisect_right(lines, line), root, step)
        )
        if blank:
            target.append("")
        blank = False
        if isinstance(step, Comment):
            target.append(step.words)


def _comments(text: str, leaves: list[Leaf]) -> list[Comment]:
    """Every comment and every blank line that is not part of a scalar."""
    found: list[Comment] = []
    spans: list[tuple[int, int]] = []
    for leaf in leaves:
        first, last = leaf.first, leaf.last
        if leaf.style in ("|", ">"):
            # The rest of the line behind | may hold a comment; the content begins on the next. What is blank
            # behind the content belongs to what follows.
            first = text.find("\n", first) + 1 or len(text)
            last = first + len(text[first:last].rstrip())
        spans.append((first, last))
    starts = [first for first, _ in spans]
    index = 0
    for number, line in enumerate(text.split("\n")):
        if not line.strip():
            if not _covered(index, starts, spans):
                found.append(Comment(index, number, 0, "", True))
        else:
            at = line.find("#")
            while at >= 0:
                if (at == 0 or line[at - 1] == " ") and not _covered(index + at, starts, spans):
                    words = line[at:].rstrip()
                    found.append(Comment(index + at, number, at, _spaced(words), not line[:at].strip()))
                    break
                at = line.find("#", at + 1)
        index += len(line) + 1
    return found


def _spaced(words: str) -> str:
    """`#word` becomes `# word`."""
    return f"# {words[1:]}" if words[1:2].isalnum() else words


def _covered(index: int, starts: list[int], spans: list[tuple[int, int]]) -> bool:
    number = bisect_right(starts, index) - 1
    return number >= 0 and spans[number][0] <= index < spans[number][1]


def _unfold(branch: Branch, indices: list[int]) -> None:
    """Makes blocks of the one-line forms that hold comments."""
    if branch.flow:
        number = bisect_right(indices, branch.first)
        if number == len(indices) or indices[number] >= branch.last or not branch.entries:
            return
        branch.flow = False
        branch.unfolded = True
    for entry in branch.entries:
        if isinstance(entry.value, Branch):
            _unfold(entry.value, indices)


def _collect(branch: Branch, above: tuple[Branch, ...], places: list[_Place], kept: list[tuple[int, int]]) -> None:
    """The entries of blocks in the order of the text, and the spans of one-line forms that stay."""
    inside = (*above, branch)
    for entry in branch.entries:
        places.append(_Place(entry, inside))
        if isinstance(entry.value, Branch):
            if entry.value.flow:
                kept.append((entry.value.first, entry.value.last))
            else:
                _collect(entry.value, inside, places, kept)


def _above_or_foot(places: list[_Place], number: int, root: Branch, comment: Comment) -> list[str]:
    """Where a comment on its own line belongs: above the next entry, or, when it is indented like the entries
    of a block that ends here, at the foot of that block."""
    following = places[number].inside if number < len(places) else ()
    margin = following[-1].column if following else root.column
    if number:
        for branch in reversed(places[number - 1].inside):
            if any(branch is other for other in following):
                break
            indented = margin < comment.column and branch.column <= comment.column
            if comment.index < branch.last if branch.unfolded else indented:
                return branch.foot
    return places[number].entry.above if number < len(places) else root.foot


def _put_beside(places: list[_Place], number: int, root: Branch, comment: Comment) -> None:
    """Behind the key or the value that ends on the comment's line."""
    if not number:
        places[0].entry.above.append(comment.words)
        return
    entry = places[number - 1].entry
    if isinstance(entry.value, Branch) and not entry.value.flow:
        if entry.beside:
            entry.above.append(comment.words)
        entry.beside = entry.beside or comment.words
    elif entry.after:
        places[number - 1].inside[-1].foot.append(comment.words)
    else:
        entry.after = comment.words


def last_of(tree: Tree, text: str) -> int:
    """The index of the last character of a value."""
    if isinstance(tree, Leaf):
        return max(tree.first, tree.first + len(text[tree.first : tree.last].rstrip()) - 1)
    if tree.flow or not tree.entries:
        return tree.last - 1
    last = tree.entries[-1]
    end = last_of(last.value, text)
    return max(end, last.key.last - 1) if last.key is not None else end
