"""The canonical form of a policy text: `reef fmt`.

Order, comments and what a person chose to write on one line (`[a, b]`, `{a: b}`) or as a block are kept.
Indent, spacing, quotes, blank lines and line ends become the same everywhere. What the text means does not
change: the values are those of libyaml, and the result is read again and compared before it is returned.

The text becomes a tree (`layout.py`), comments are attached to the entries they belong to, the tree is written.
"""

from __future__ import annotations

import msgspec

from appliance.policy.model import Span
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.written.layout import Branch, Entry, Leaf, Tree, attach_comments, tree_of
from appliance.policy.written.text import (
    Node,
    Report,
    Table,
    Word,
    check_characters,
    compose,
    refuse_size,
    unix_lines,
)

WIDTH = 110  # a one-line list or mapping that is longer becomes a block
INDENT = "  "


def fmt(text: str, file: str = "policy.yaml") -> str:
    """The canonical form of a text. Its keys and values are not judged, only that it is a mapping in strict YAML.

    Raises `PolicyError` when it is not.
    """
    text = unix_lines(text)
    node = _strict(text, file)
    root, leaves = tree_of(text)
    attach_comments(root, leaves, text)
    lines: list[str] = []
    _write_branch(root, "", lines)
    while lines and not lines[-1]:
        lines.pop()
    result = "\n".join(lines) + "\n"
    if _values(_strict(result, file)) != _values(node):
        span = Span(file, 1, 1)
        raise PolicyError(
            [Problem(span, "the canonical form would not mean the same", "leave it as it is and report this")]
        )
    return result


def _strict(text: str, file: str) -> Node:
    refuse_size(text, file)
    report = Report(file)
    check_characters(text, report)
    node = None if report.failed else compose(text, report)
    if node is not None and not isinstance(node, Table):
        report.error(node.at, "the text is not a mapping", "write `key: value` lines")
    if report.failed or node is None:
        raise PolicyError(report.problems())
    return node


def _values(node: Node) -> object:
    """What a node holds, without positions; the order of keys counts."""
    if isinstance(node, Word):
        return node.value
    if isinstance(node, Table):
        return [(key, _values(value)) for key, value in node.entries.items()]
    return [_values(item) for item in node.items]


def _write_branch(branch: Branch, indent: str, lines: list[str]) -> None:
    for number, entry in enumerate(branch.entries):
        above = _above(entry, branch)
        if number == 0:
            while above and not above[0]:
                above = above[1:]
        _write_comments(above, indent, lines)
        _write_entry(entry, branch, indent, lines)
    _write_comments(branch.foot, indent, lines)


def _above(entry: Entry, branch: Branch) -> list[str]:
    """The comments above an entry; for an item of a list also those of the mapping that begins on its line."""
    above = list(entry.above)
    if not branch.mapping and isinstance(entry.value, Branch) and not entry.value.flow:
        if entry.beside:
            above.append(entry.beside)
        inner = entry.value.entries[0]
        above.extend(line for line in _above(inner, entry.value) if line)
    return above


def _write_comments(comments: list[str], indent: str, lines: list[str]) -> None:
    for comment in comments:
        if comment:
            lines.append(indent + comment)
        elif lines and lines[-1]:
            lines.append("")


def _write_entry(entry: Entry, branch: Branch, indent: str, lines: list[str]) -> None:
    head = indent + (_one_line(entry.key) + ":" if entry.key is not None else "-")
    value = entry.value
    if isinstance(value, Leaf):
        literal = _literal(value)
        if literal is None:
            written = _one_line(value)
            lines.append(f"{head} {written}".rstrip() + _behind(entry.beside, entry.after))
        else:
            mark, content = literal
            lines.append(f"{head} {mark}" + _behind(entry.beside, entry.after))
            lines.extend(indent + INDENT + line if line else "" for line in content)
        return
    if value.flow:
        written = _flow(value)
        if len(head) + 1 + len(written) <= WIDTH or not value.entries:
            lines.append(f"{head} {written}" + _behind(entry.beside, entry.after))
            return
    if branch.mapping:
        lines.append(head + _behind(entry.beside, entry.after))
        _write_branch(_opened(value), indent + INDENT, lines)
        return
    # An item that is itself a block begins on the line of its dash; what stood above it is written already.
    inner: list[str] = []
    opened = _opened(value)
    first = opened.entries[0]
    opened.entries[0] = Entry(first.value, first.line, first.key, [], first.beside, first.after)
    if isinstance(first.value, Branch) and not opened.mapping:
        opened.entries[0].beside = ""
    _write_branch(opened, indent + INDENT, inner)
    if entry.after:
        _write_comments([entry.after], indent, lines)
    lines.append(f"{head} {inner[0].lstrip()}")
    lines.extend(inner[1:])


def _opened(branch: Branch) -> Branch:
    return msgspec.structs.replace(branch, flow=False, entries=list(branch.entries))


def _behind(*comments: str) -> str:
    said = " ".join(comment for comment in comments if comment)
    return f"  {said}" if said else ""


def _flow(tree: Tree) -> str:
    if isinstance(tree, Leaf):
        return _one_line(tree) or '""'
    if tree.mapping:
        inside = ", ".join(
            f"{_one_line(entry.key)}: {_flow(entry.value)}" for entry in tree.entries if entry.key is not None
        )
        return "{" + inside + "}"
    return "[" + ", ".join(_flow(entry.value) for entry in tree.entries) + "]"


def _one_line(leaf: Leaf) -> str:
    """A scalar on one line: plain where it was plain, else in double quotes."""
    if leaf.style == "" and "\n" not in leaf.value:
        return leaf.value
    escaped = leaf.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _literal(leaf: Leaf) -> tuple[str, list[str]] | None:
    """The mark and lines of a block scalar; None for what is better on one line."""
    value = leaf.value
    body = value.removesuffix("\n")
    odd = (
        not body or body[0] in " \n" or body.endswith("\n") or any(line != line.rstrip() for line in body.split("\n"))
    )
    if leaf.style not in ("|", ">") or odd:
        return None
    return ("|" if value.endswith("\n") else "|-"), body.split("\n")
