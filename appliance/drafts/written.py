"""One rule, or published service, as it is written: other values under some of its keys, every other line as it is.
Pure. What a value means is not judged: parse the result.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from appliance.policy.written.document import PublishText, RuleText
from appliance.policy.written.edit import EditError
from appliance.policy.written.kinds import Many, did_you_mean
from appliance.policy.written.layout import Branch, Entry, Leaf, Tree, last_of, tree_of
from appliance.policy.written.schema import declared
from appliance.policy.written.text import Items, Node, Report, Table, Word, check_characters, compose, unix_lines

_WIDTH = 100
_RECORDS = {"rules": RuleText, "publish": PublishText}
Value = str | Sequence[str] | None


def with_values(body: str, section: str, values: Mapping[str, Value]) -> str:
    """The lines of an item with other values; None takes a key away. Raises `EditError`."""
    keys = declared(_RECORDS[section])
    for key in sorted(values, key=lambda key: list(keys).index(key) if key in keys else 0):
        if key not in keys:
            raise EditError(f"a rule has no key `{key}`", did_you_mean(key, list(keys)) or _listed(keys))
        value = values[key]
        many = isinstance(keys[key].declaration.shape, Many)
        if value is not None and not isinstance(value, str) and not many:
            raise EditError(f"`{key}` is one value, not a list", "give one text")
        if value is None or value == "" or value == []:
            if keys[key].required:
                raise EditError(f"`{key}` cannot be left out", keys[key].declaration.words)
            body = _without(body, key)
        else:
            body = _with(body, key, [value] if isinstance(value, str) else list(value), list(keys))
    return body


def unfit(value: str) -> tuple[str, str] | None:
    """Why a value may stand nowhere in a policy, and what to do; None where it may."""
    report = Report("value")
    check_characters(value, report)
    return next(((problem.message, problem.remedy) for _, problem in report.found), None)


def scalar(value: str, *, flow: bool = False) -> str:
    """A value as it is written: plain where that reads as the same, else in double quotes. Raises `EditError`."""
    wrong = unfit(value)
    if wrong is not None:
        raise EditError(*wrong)
    report = Report("value")
    line = f"[{value}]" if flow else f"k: {value}"
    if value and "\n" not in value and value == value.strip():
        node = compose(line, report)
        inner: Node | None = None
        if isinstance(node, Table) and not flow:
            inner = node.entries.get("k")
        elif isinstance(node, Items) and flow and len(node.items) == 1:
            inner = node.items[0]
        if isinstance(inner, Word) and inner.value == value and not report.found:
            return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _listed(keys: Mapping[str, object]) -> str:
    return f"the keys are {', '.join(keys)}"


def _mapping(body: str) -> tuple[str, Branch]:
    """The body in a document of its own, and its mapping there."""
    text = f"x:\n{body}"
    tree, _ = tree_of(text)
    section = tree.entries[0].value
    found = section.entries[0].value if isinstance(section, Branch) and section.entries else None
    if not isinstance(found, Branch) or not found.mapping:
        raise EditError("this is not one rule", "write `- id: ...` and its keys below")
    return text, found


def _entry(mapping: Branch, key: str) -> Entry | None:
    return next((entry for entry in mapping.entries if entry.key is not None and entry.key.value == key), None)


def _without(body: str, key: str) -> str:
    text, mapping = _mapping(body)
    entry = _entry(mapping, key)
    if entry is None or entry.key is None:
        return body
    end = _behind(entry, text)
    number = mapping.entries.index(entry)
    if mapping.flow:
        if number + 1 < len(mapping.entries):
            following = mapping.entries[number + 1].key
            assert following is not None
            return (text[: entry.key.first] + text[following.first :]).removeprefix("x:\n")
        return (text[: _behind(mapping.entries[number - 1], text)] + text[end:]).removeprefix("x:\n")
    start = text.rfind("\n", 0, entry.key.first) + 1
    end = text.find("\n", end - 1) + 1 or len(text)
    return (text[:start] + text[end:]).removeprefix("x:\n")


def _behind(entry: Entry, text: str) -> int:
    """The index behind a key and its value."""
    assert entry.key is not None
    if isinstance(entry.value, Leaf) and not entry.value.value and not entry.value.style:
        return text.index(":", entry.key.last) + 1
    return last_of(entry.value, text) + 1


def _with(body: str, key: str, words: list[str], order: Sequence[str]) -> str:
    text, mapping = _mapping(body)
    entry = _entry(mapping, key)
    if entry is not None and _said(entry.value) == words:
        return body
    first = mapping.entries[0].key
    assert first is not None
    margin = "" if mapping.flow else " " * first.column
    if entry is None:
        return _added(text, mapping, key, words, order, margin).removeprefix("x:\n")
    assert entry.key is not None
    value = entry.value
    colon = text.index(":", entry.key.last) + 1
    if isinstance(value, Leaf) and not value.value and not value.style:
        return (text[:colon] + _value(key, words, margin) + text[colon:]).removeprefix("x:\n")
    begin, end = (value.first, last_of(value, text) + 1)
    if isinstance(value, Branch) and not value.flow:
        changed = _block(text, value, words)
        return changed.removeprefix("x:\n")
    if "#" in text[begin:end] and "\n" in text[begin:end] and isinstance(value, Branch):
        raise EditError(f"the list under `{key}` has comments in it", "change it in the text")
    return (text[:colon] + _value(key, words, margin) + text[end:]).removeprefix("x:\n")


def _said(value: Tree) -> list[str] | None:
    if isinstance(value, Leaf):
        return [value.value]
    return [entry.value.value for entry in value.entries if isinstance(entry.value, Leaf)]


def _value(key: str, words: list[str], margin: str) -> str:
    """What stands behind `key:`: ` word`, ` [a, b]` or, where that is too long for its line, a list below it."""
    if len(words) == 1:
        return f" {scalar(words[0], flow=not margin)}"
    line = f" [{', '.join([scalar(word, flow=True) for word in words])}]"
    if len(line) + len(key) + 1 <= _WIDTH or not margin:
        return line
    return "".join(f"\n{margin}  - {scalar(word)}" for word in words)


def _added(text: str, mapping: Branch, key: str, words: list[str], order: Sequence[str], margin: str) -> str:
    """A key more, behind the last of those before it in the order of the handbook."""
    earlier = [e for e in mapping.entries if e.key is not None and e.key.value in order[: order.index(key)]]
    if not earlier:
        raise EditError(f"the rule has no key before `{key}`", "write `id`, `from` and `to` first")
    above = max(earlier, key=lambda entry: order.index(entry.key.value) if entry.key is not None else 0)
    end = _behind(above, text)
    line = f"{key}:{_value(key, words, margin)}"
    if mapping.flow:
        return f"{text[:end]}, {line}{text[end:]}"
    end = text.find("\n", end - 1)  # a comment behind the value stays there
    return f"{text[:end]}\n{margin}{line}{text[end:]}"


def _block(text: str, value: Branch, words: list[str]) -> str:
    """Another list in the place of one with an item a line: the lines of what stays stay, with their comments."""
    lines: dict[str, str] = {}
    begin = text.rfind("\n", 0, value.first) + 1
    at = begin
    for entry in value.entries:
        end = text.find("\n", last_of(entry.value, text)) + 1 or len(text)
        if isinstance(entry.value, Leaf):
            lines.setdefault(entry.value.value, text[at:end])
        at = end
    margin = " " * value.column
    new = "".join([lines.get(word) or f"{margin}- {scalar(word)}\n" for word in dict.fromkeys(words)])
    return text[:begin] + new + text[at:]


def entry_lines(name: str, yaml: str, column: int) -> str:
    """The lines of one entry of a mapping section: `name: value`, or `name:` and the lines of its value below."""
    body = textwrap.dedent(unix_lines(yaml)).strip("\n").rstrip()
    report = Report("value")
    node = compose(body, report) if body else None
    if report.failed or node is None:
        said = report.problems()
        raise EditError(f"`{name}`: {said[0]}" if said else f"`{name}` is empty", "write its keys and values")
    margin = " " * column
    lines = body.split("\n")
    if len(lines) == 1 and (lines[0][0] in "[{" or isinstance(node, Word)):
        return f"{margin}{name}: {lines[0]}\n"
    return f"{margin}{name}:\n" + "".join(f"{margin}  {line}\n" if line.strip() else "\n" for line in lines)
