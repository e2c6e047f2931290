"""Changes of one rule in a text, which leave every other line as it is: for the console and the command line.

A rule is named by its id and given as a person writes it: an item of a list (`- id: R-7 ...`) or a mapping.
The comment lines directly above a rule belong to it. Nothing here judges what a rule means: parse the result.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

import msgspec

from appliance.policy.written.kinds import did_you_mean
from appliance.policy.written.layout import Branch, Entry, Leaf, last_of, tree_of
from appliance.policy.written.text import Items, Report, Table, check_characters, compose, unix_lines


class EditError(ValueError):
    """The change cannot be made; `remedy` says what would be right."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class _Place(msgspec.Struct, frozen=True):
    """Where a rule stands: lines from 0, `last` is the first behind it; `above` is where its comments begin."""

    id: str
    above: int
    first: int
    last: int
    indent: int


def rule(text: str, ident: str) -> str:
    """A rule or published service as it is written, without its indent and the comments above. Raises `EditError`."""
    lines = unix_lines(text).split("\n")
    _, _, place = _place_of(text, ident)
    return textwrap.dedent("\n".join(lines[place.first : place.last])) + "\n"


def replace(text: str, ident: str, new: str) -> str:
    """The text with another rule, or published service, in the place of one. Raises `EditError`."""
    lines = unix_lines(text).split("\n")
    _, _, place = _place_of(text, ident)
    lines[place.first : place.last] = item(new, place.indent)
    return "\n".join(lines)


def with_keys(written: str, words: Mapping[str, Sequence[str]]) -> str:
    """A rule (as `rule` gives it) with other words under some of its keys; keys that are not there are added where
    they belong. Raises `EditError`."""
    head = "rules:\n"
    text = head + unix_lines(written)
    for key in sorted(words, key=_ORDER.index):
        text = _with_key(text, key, words[key])
    return text.removeprefix(head)


# Where a key belongs that is not there: behind the last of these before it that is.
_ORDER = ("id", "from", "to", "source", "destination", "service")
_WIDTH = 100


def _with_key(text: str, key: str, words: Sequence[str]) -> str:
    section = tree_of(text)[0].entries[0].value
    found = section.entries[0].value if isinstance(section, Branch) and section.entries else None
    if not isinstance(found, Branch) or not found.mapping:
        raise EditError("this is not one rule", "write `- id: ...` and its keys below")
    entries = {entry.key.value: entry for entry in found.entries if entry.key is not None}
    margin = " " * found.entries[0].key.column if found.entries[0].key is not None else ""
    line = _key_line(key, words, "" if found.flow else margin)
    if key in entries:
        name = entries[key].key
        assert name is not None
        return text[: name.first] + line + text[last_of(entries[key].value, text) + 1 :]
    above = [entries[name] for name in _ORDER[: _ORDER.index(key)] if name in entries]
    if not above:
        raise EditError(f"the rule has no key before `{key}`", "write `id`, `from` and `to` first")
    end = last_of(above[-1].value, text) + 1
    if found.flow:
        return f"{text[:end]}, {line}{text[end:]}"
    end = text.find("\n", end)  # a comment behind the value stays there
    end = len(text) if end < 0 else end
    return f"{text[:end]}\n{margin}{line}{text[end:]}"


def _key_line(key: str, words: Sequence[str], margin: str) -> str:
    """`key: word`, `key: [a, b]` or, where that is too long for a line and `margin` is not "", a list below it."""
    safe = [f'"{word}"' if word[0] == ":" or word[-1] == ":" else word for word in words]
    line = f"{key}: {safe[0]}" if len(safe) == 1 else f"{key}: [{', '.join(safe)}]"
    if len(line) <= _WIDTH or not margin:
        return line
    return f"{key}:" + "".join(f"\n{margin}  - {word}" for word in safe)


def delete(text: str, ident: str) -> str:
    """The text without a rule or published service and the comments directly above it. Raises `EditError`."""
    lines = unix_lines(text).split("\n")
    section, places, place = _place_of(text, ident)
    del lines[place.above : place.last]
    if len(places) == 1:
        # An empty section is one without a value; what is left of it would be a key with nothing below.
        header = next(number for number, line in enumerate(lines) if line.startswith(f"{section}:"))
        lines[header] = lines[header].replace(f"{section}:", f"{section}: []", 1)
    return "\n".join(lines)


def insert(text: str, new: str, *, after: str = "") -> str:
    """The text with a new rule behind the rule `after`, or as the first. Raises `EditError`."""
    text = unix_lines(text)
    lines = text.split("\n")
    places = _places(text)
    if after:
        place = _find(places, after)
        lines[place.last : place.last] = item(new, place.indent)
    elif places:
        lines[places[0].above : places[0].above] = item(new, places[0].indent)
    else:
        header = next((number for number, line in enumerate(lines) if line.startswith("rules:")), None)
        if header is None:
            while lines and not lines[-1].strip():
                lines.pop()
            lines += ["", "rules:", *item(new, 2), ""]
        else:
            lines[header] = lines[header].replace("rules: []", "rules:", 1)
            lines[header + 1 : header + 1] = item(new, 2)
    return "\n".join(lines)


def _find(places: list[_Place], ident: str) -> _Place:
    for place in places:
        if place.id == ident:
            return place
    guess = did_you_mean(ident, [place.id for place in places])
    raise EditError(f"there is no rule `{ident}` in the text", guess or "name the id of one of its rules")


def published(text: str, ident: str) -> bool:
    """Whether that is the id of a published service of the text. Raises `EditError` for a text that is none."""
    return any(place.id == ident for place in _places(text, "publish"))


def _place_of(text: str, ident: str) -> tuple[str, list[_Place], _Place]:
    """The section that a rule or published service stands in, and its place."""
    rules = _places(text)
    if not any(place.id == ident for place in rules):
        services = _places(text, "publish")
        if any(place.id == ident for place in services):
            return "publish", services, _find(services, ident)
    return "rules", rules, _find(rules, ident)


def _places(text: str, section_name: str = "rules") -> list[_Place]:
    """Every item of a section of the text, in order. Raises `EditError`."""
    text = unix_lines(text)
    report = Report("policy.yaml")
    check_characters(text, report)
    node = None if report.failed else compose(text, report)
    if not isinstance(node, Table) or report.failed:
        said = report.problems()
        raise EditError(str(said[0]) if said else "the text is not a policy", "correct the text first")
    root, _ = tree_of(text)
    section = next(
        (entry.value for entry in root.entries if entry.key is not None and entry.key.value == section_name), None
    )
    if not isinstance(section, Branch):
        return []
    if section.flow and section.entries:
        raise EditError(
            f"`{section_name}` is written on one line", "bring the text into its canonical form with `reef fmt`"
        )
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    found: list[_Place] = []
    for entry in section.entries:
        first = entry.line
        while not lines[first].lstrip().startswith("-"):
            first -= 1  # the dash stands alone above
        above = first
        while above > 0 and lines[above - 1].lstrip().startswith("#"):
            above -= 1
        last = bisect_right(starts, last_of(entry.value, text))
        found.append(_Place(_id(entry), above, first, last, section.column))
    return found


def _id(entry: Entry) -> str:
    if isinstance(entry.value, Branch):
        for inner in entry.value.entries:
            if inner.key is not None and inner.key.value == "id" and isinstance(inner.value, Leaf):
                return inner.value.value
    return ""


def item(new: str, indent: int) -> list[str]:
    """The lines of a rule at an indent. Raises `EditError` when it is not exactly one."""
    body = textwrap.dedent(unix_lines(new)).strip("\n").rstrip()
    report = Report("rule")
    check_characters(body, report)
    node = None if report.failed else compose(body, report)
    if report.failed or node is None:
        said = report.problems()
        raise EditError(str(said[0]) if said else "the rule is empty", "write `- id: ...` and its keys below")
    if isinstance(node, Table) and not body.lstrip().startswith("{"):
        body = "- " + body.replace("\n", "\n  ")
    elif isinstance(node, Table):
        body = "- " + body
    elif not (isinstance(node, Items) and len(node.items) == 1 and isinstance(node.items[0], Table)):
        raise EditError("this is not one rule", "write `- id: ...` and its keys below")
    margin = " " * indent
    return [margin + line if line.strip() else "" for line in body.split("\n")]
