"""What a text defines by name, as rows: what each holds, where it is written, how often it is named. Pure."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from appliance.drafts.sheet import PieceCache, sheet
from appliance.policy.written.document import BaselineText, DocumentText
from appliance.policy.written.edit import EditError
from appliance.policy.written.text import LINE_SHIFT, Word

Defined = Literal["object", "service", "schedule", "person", "group", "profile", "feed"]
SECTIONS: Mapping[str, Defined] = {
    "objects": "object",
    "services": "service",
    "schedules": "schedule",
    "people": "person",
    "groups": "group",
    "profiles": "profile",
    "feeds": "feed",
}


class ObjectRow(msgspec.Struct, frozen=True):
    """`words` are what it holds, `uses` counts the rules, and whatever else has a name, that name it themselves.
    `yaml` is what stands behind its name, "" where that is not in lines of its own; `inherited` the baseline that
    defines it."""

    name: str
    kind: Defined
    words: tuple[str, ...]
    uses: int
    line: int
    description: str
    yaml: str
    inherited: str


def objects(
    text: str, documents: Sequence[DocumentText], rules: Mapping[str, int], cache: PieceCache | None = None
) -> tuple[ObjectRow, ...]:
    """The definitions of the first document, whose text is `text`, and of the baselines behind it. `rules` counts the
    rules that name something."""
    rows = [row for document in documents for row in _rows(document)]
    counted = Counter(rules)
    for row in rows:
        counted.update(word.removeprefix("group:") for word in row.words)
    written = _written(text, cache)
    return tuple(
        msgspec.structs.replace(
            row,
            uses=counted[row.name],
            line=row.line if row.inherited else written.get((row.kind, row.name), (row.line, ""))[0],
            yaml="" if row.inherited else written.get((row.kind, row.name), (0, ""))[1],
        )
        for row in rows
    )


def _written(text: str, cache: PieceCache | None) -> dict[tuple[Defined, str], tuple[int, str]]:
    """The line of each definition of a text, and what stands behind its name."""
    try:
        cut = sheet(text, cache)
    except EditError:
        return {}
    found: dict[tuple[Defined, str], tuple[int, str]] = {}
    line = cut.preamble.count("\n") + 1
    for section in cut.sections:
        if section.name in SECTIONS:
            at = line + (section.above + section.head + section.gap).count("\n")
            for part in section.parts:
                place = at + part.above.count("\n")
                found[SECTIONS[section.name], part.name] = place, _value(part.body)
                at += part.text.count("\n")
        line += section.text.count("\n")
    return found


def _value(body: str) -> str:
    head, _, below = body.partition("\n")
    beside = head.partition(":")[2].strip()
    return beside if beside and not beside.startswith("#") else textwrap.dedent(below).rstrip("\n")


def _rows(document: DocumentText) -> Iterator[ObjectRow]:
    origin = document.baseline.value if isinstance(document, BaselineText) else ""

    def row(kind: Defined, name: Word | None, held: Iterable[Word], description: Word | None = None) -> ObjectRow:
        said = "" if name is None else name.value
        line = 0 if name is None else (name.at >> LINE_SHIFT) + 1
        words = tuple(word.value for word in held)
        return ObjectRow(said, kind, words, 0, line, "" if description is None else description.value, "", origin)

    for one in document.objects:
        lists = (one.networks, one.addresses, one.ranges, one.names, one.members, (one.file,) if one.file else ())
        yield row("object", one.name, [word for words in lists for word in words], one.description)
    for name, held in document.services:
        yield row("service", name, held)
    for schedule in document.schedules:
        yield row("schedule", schedule.name, schedule.times, schedule.description)
    for person in document.people:
        said = [word for word in (person.full_name, person.email) if word is not None]
        yield row("person", person.name, said, person.description)
    for group in document.groups:
        yield row("group", group.name, group.members, group.description)
    for profile in document.profiles:
        yield row("profile", profile.name, [profile.extends] if profile.extends is not None else [])
    for feed in document.feeds:
        yield row("feed", feed.name, [])
