"""What may be written at a place of a text: keys, words and names, from the declarations that the reader itself uses.
Pure. The text may be as broken as one is while it is typed: only its lines and brackets are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from appliance.policy.meant.uses import NAMING
from appliance.policy.written import kinds
from appliance.policy.written.builtin import BUILT_IN_PROFILES
from appliance.policy.written.document import BaselineText, DocumentText, RuleText, SiteText
from appliance.policy.written.keys import Record
from appliance.policy.written.kinds import Choice, Flag, Many, Named, Part, Parts, Shape
from appliance.policy.written.schema import declared
from appliance.policy.written.services import WELL_KNOWN
from appliance.policy.written.text import Word

MOST = 50  # suggestions of one answer
_FAR = 20_000  # lines that are looked at above
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^\s"'\[\]{},#][^:#\[\]{},]*?))\s*:(?=\s|$)""")
_WORD = re.compile(r"[^\s,\[\]{}\"']*")


class Suggestion(msgspec.Struct, frozen=True):
    """`insert` is what is written; `kind`: key, word, zone, object, service, schedule, person, group, profile, feed,
    rule."""

    label: str
    kind: str
    detail: str = ""
    insert: str = ""


class Completion(msgspec.Struct, frozen=True):
    """Suggestions for what stands from `start` to `end` (UTF-16 code units)."""

    start: int
    end: int
    items: tuple[Suggestion, ...]


class Vocabulary:
    """What is defined, by what a key names (`uses.NAMING`)."""

    def __init__(self, documents: Sequence[DocumentText], rules: Iterable[str] = ()) -> None:
        found: dict[str, dict[str, Suggestion]] = {}

        def add(naming: str, kind: str, label: str, detail: str = "") -> None:
            found.setdefault(naming, {}).setdefault(label, Suggestion(label, kind, detail, label))

        for document in documents:
            for one in document.objects:
                held = [w.value for said in (one.networks, one.addresses, one.ranges, one.names) for w in said]
                held += [f"file {one.file.value}"] if one.file is not None else [w.value for w in one.members]
                add("object", "object", _said(one.name), ", ".join(held))
            for named, words in document.services:
                add("service", "service", named.value, ", ".join(word.value for word in words))
            for schedule in document.schedules:
                add("schedule", "schedule", _said(schedule.name), ", ".join(w.value for w in schedule.times))
            for person in document.people:
                add("people", "person", _said(person.name), _said(person.full_name))
            for group in document.groups:
                members = ", ".join(word.value for word in group.members)
                add("people", "group", f"group:{_said(group.name)}", members)
            for profile in document.profiles:
                add("profile", "profile", _said(profile.name), _said(getattr(profile, "description", None)))
            for feed in document.feeds:
                add("feed", "feed", _said(feed.name))
            for zone in document.zones if isinstance(document, SiteText) else ():
                add("zone", "zone", _said(zone.name), ", ".join(word.value for word in zone.networks))
        for name, literals in WELL_KNOWN.items():
            add("service", "service", name, ", ".join(literals))
        for name in BUILT_IN_PROFILES:
            add("profile", "profile", name, "built in")
        for ident in rules:
            add("rule", "rule", ident)
        add("zone", "word", "any", "every zone")
        add("zone", "word", "gateway", "the gateway itself")
        self._known = {naming: tuple(one.values()) for naming, one in found.items()}

    def of(self, naming: str) -> tuple[Suggestion, ...]:
        parts = {
            "address": ("object",),
            "never": ("zone", "object"),
            "asset": ("zone", "object"),
            "listen": ("zone",),
            "hairpin": ("zone",),
        }.get(naming, (naming,))
        return tuple(one for part in parts for one in self._known.get(part, ()))


def complete(text: str, at: int, vocabulary: Vocabulary) -> Completion:
    """What may stand at a place of a text (`at` in UTF-16 code units)."""
    before = _head(text, at)
    line_start = before.rfind("\n") + 1
    prefix = before[line_start:]
    line_end = text.find("\n", len(before))
    rest = text[len(before) : len(text) if line_end < 0 else line_end]
    path = _path(before[:line_start].split("\n")[:-1], prefix)
    if path is None:
        return Completion(at, at, ())
    steps, key, partial, used = path
    document = BaselineText if re.search(r"^baseline:", text, re.MULTILINE) else SiteText
    items = _suggestions(document, steps, key, used, vocabulary)
    behind = _WORD.match(rest)
    end = at + _units(behind.group() if behind is not None else "")
    return Completion(at - _units(partial), end, tuple(_fitting(items, partial)))


def of_key(key: str, prefix: str, vocabulary: Vocabulary) -> tuple[Suggestion, ...]:
    """What may stand under a key of a rule. Empty for a key that there is not."""
    if key not in declared(RuleText):
        return ()
    return tuple(_fitting(_values(RuleText, key, vocabulary), prefix))


def _fitting(items: Iterable[Suggestion], partial: str) -> list[Suggestion]:
    low = partial.lower()
    known = list(items)
    first = [one for one in known if one.label.lower().startswith(low)]
    inside = [one for one in known if low and low in one.label.lower() and one not in first]
    return (first + inside)[:MOST]


# --- what a place is ---------------------------------------------------------------------------------------


def _suggestions(
    document: type[Record], steps: Sequence[str], key: str | None, used: set[str], vocabulary: Vocabulary
) -> Iterator[Suggestion]:
    """Those of a place: below `steps` a key of a mapping (`key` None), or a value of `key`."""
    shape: Shape | None = Part(document)
    holder: tuple[type[msgspec.Struct], str] | None = None
    for step in [*steps, *([] if key is None else [key])]:
        shape, holder = _below(shape, step, holder)
        if shape is None:
            return
    if key is not None:
        if isinstance(shape, Part) and shape.shorthand:
            yield from _values(shape.record, shape.shorthand, vocabulary)
        if holder is not None and not isinstance(shape, Part | Parts | Named):
            yield from _values(holder[0], holder[1], vocabulary)
        return
    if isinstance(shape, Part) and issubclass(shape.record, Record):
        for name, known in declared(shape.record).items():
            if name not in used:
                yield Suggestion(name, "key", known.declaration.words, f"{name}: ")
    elif holder is not None and not isinstance(shape, Parts | Named):
        yield from _values(holder[0], holder[1], vocabulary)


def _below(
    shape: Shape | None, step: str, holder: tuple[type[msgspec.Struct], str] | None
) -> tuple[Shape | None, tuple[type[msgspec.Struct], str] | None]:
    """One step down: a key, or "-" for an item of a list."""
    if step == "-":
        if isinstance(shape, Parts):
            return Part(shape.record), holder
        if isinstance(shape, Part) and shape.shorthand:
            return _below(_below(shape, shape.shorthand, None)[0], step, (shape.record, shape.shorthand))
        return (shape.kind, holder) if isinstance(shape, Many) else (None, None)
    if isinstance(shape, Named):
        return shape.value, holder
    if isinstance(shape, Part) and issubclass(shape.record, Record):
        known = declared(shape.record).get(step)
        if known is not None:
            return known.declaration.shape, (shape.record, step)
    return None, None


def _values(record: type[msgspec.Struct], key: str, vocabulary: Vocabulary) -> Iterator[Suggestion]:
    if not issubclass(record, Record):
        return
    known = declared(record)[key]
    shape = known.declaration.shape
    kind = shape.kind if isinstance(shape, Many) else shape
    if isinstance(kind, Choice):
        meanings: Mapping[str, str] = dict(zip(kind.values, kind.meanings, strict=False))
        for word in kind.values:
            yield Suggestion(word, "word", meanings.get(word, ""), word)
    elif isinstance(kind, Flag):
        yield from (Suggestion(word, "word", "", word) for word in ("yes", "no"))
    naming = NAMING.get(record, {}).get(known.field, "service" if key == "services" else "")
    if naming:
        yield from vocabulary.of(naming)
    elif isinstance(kind, kinds.Kind) and known.declaration.example and not isinstance(shape, Many):
        example = known.declaration.example
        yield Suggestion(example, "word", f"for example; {known.declaration.words}", example)


# --- where a place is --------------------------------------------------------------------------------------


def _path(above: list[str], prefix: str) -> tuple[list[str], str | None, str, set[str]] | None:
    """(the keys and "-" above the place, the key whose value it is of or None, what is written of the word, the keys
    that the mapping has already). None inside a comment or a quoted text."""
    column = len(prefix) - len(prefix.lstrip(" "))
    content = prefix[column:]
    steps: list[str] = []
    dash = -1
    inner: list[str] = []
    while content == "-" or content.startswith("- "):
        dash = column if dash < 0 else dash
        inner.append("-")
        spaces = len(content) - len(content[1:].lstrip(" "))
        column += spaces
        content = content[spaces:]
    flow = _flow(content)
    if flow is None:
        return None
    keys, key, partial, used = flow
    if not inner and not keys and key is None and not content.startswith(("[", "{")):
        # A line of its own: a key here, or an item whose dash is not written yet. Its column says where.
        column = len(prefix) - len(partial)
    steps = _above(above, dash if dash >= 0 else column, bool(inner), used if not keys else set(), column)
    steps += inner + keys
    return steps, key, partial, used


def _above(lines: list[str], column: int, listed: bool, used: set[str], own: int) -> list[str]:
    """The keys and dashes that a line of this column is below, outermost first. Adds the keys beside it to `used`."""
    found: list[str] = []
    beside = not listed
    for line in reversed(lines[-_FAR:]):
        content = line.lstrip(" ")
        if not content or content.startswith("#"):
            continue
        at = len(line) - len(content)
        start = at
        dashes = 0
        while content == "-" or content.startswith("- "):
            spaces = len(content) - len(content[1:].lstrip(" "))
            dashes += 1
            at += spaces
            content = content[spaces:]
        match = _KEY.match(content)
        name = next((part for part in match.groups() if part is not None), "") if match is not None else ""
        if beside and name and at == own:
            used.add(name)
        if dashes and start < column <= at:
            # It is in an item that begins here.
            found.extend(["-"] * dashes)
            column, listed, beside = start, True, False
        elif name and not dashes and (at < column or (listed and at == column)):
            found.append(name)
            column, listed, beside = at, False, False
        elif dashes and name and at < column:
            found.extend([name, *["-"] * dashes])
            column, listed, beside = start, True, False
        if column == 0 and own and not listed:
            break
    return found[::-1]


def _flow(content: str) -> tuple[list[str], str | None, str, set[str]] | None:
    """What a line says up to the place: the steps into its brackets, the key whose value is written, the word so far,
    and the keys of the innermost braces."""
    steps: list[str] = []
    opened: list[tuple[str, int, set[str]]] = []  # the bracket, how many steps there were, its keys
    key: str | None = None
    partial = ""
    used: set[str] = set()
    at = 0
    while at < len(content):
        character = content[at]
        if character == "#" and (at == 0 or content[at - 1] == " "):
            return None
        listed = bool(opened) and opened[-1][0] == "["  # `group:` is no key there
        match = _KEY.match(content, at) if key is None and not partial.strip() and not listed else None
        if match is not None and character not in "[{":
            key = next(part for part in match.groups() if part is not None)
            used.add(key)
            at, partial = match.end(), ""
            continue
        if character in "\"'" and not partial.strip():
            end = content.find(character, at + 1)
            if end < 0:
                return None
            partial, at = content[at + 1 : end], end + 1
            continue
        if character in "[{" and not partial.strip():
            opened.append((character, len(steps), used))
            steps += [] if key is None else [key]
            steps += ["-"] if character == "[" else []
            key, partial, used = None, "", set()
        elif character in "]}" and opened:
            _, length, used = opened.pop()
            del steps[length:]
            key, partial = None, ""
        elif character == "," and opened:
            key, partial = None, ""
        else:
            partial += character
        at += 1
    return steps, key, partial.lstrip(" "), used


def _head(text: str, at: int) -> str:
    """The text before a place in UTF-16 code units."""
    if text.isascii():
        return text[:at]
    return text.encode("utf-16-le", "surrogatepass")[: 2 * at].decode("utf-16-le", "ignore")


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _said(word: Word | None) -> str:
    return "" if word is None else word.value
