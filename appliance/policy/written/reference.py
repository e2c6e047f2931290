"""The key reference of the handbook, from the same declarations as the parser and the JSON Schema.

A handbook holds one block for each record between `<!-- keys: Rule -->` and `<!-- end -->`; `renew` fills them.
"""

from __future__ import annotations

import re

from appliance.policy.written import (
    consoletext,
    document,
    exports,
    indicatortext,
    kinds,
    noticetext,
    prevention,
    recordtext,
)
from appliance.policy.written.keys import Record
from appliance.policy.written.kinds import Choice, Flag, Kind, Many, Named, Number, Part, Parts, Shape
from appliance.policy.written.schema import declared
from appliance.policy.written.services import WELL_KNOWN

_BLOCK = re.compile(r"(<!-- keys: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

RECORDS: dict[str, type[Record]] = {
    name.removesuffix("Text"): found
    for name, found in (
        vars(prevention)
        | vars(exports)
        | vars(indicatortext)
        | vars(noticetext)
        | vars(recordtext)
        | vars(consoletext)
        | vars(document)
    ).items()
    if isinstance(found, type) and issubclass(found, Record) and name.endswith("Text")
}


def renew(handbook: str) -> str:
    """The handbook with every block of keys as it is declared now. Raises KeyError for a record that is not there."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{_block(block[2])}\n{block[3]}", handbook)


def _block(name: str) -> str:
    return _services() if name == "WellKnownServices" else table(RECORDS[name])


def table(record: type[Record]) -> str:
    """One record as a table in Markdown: key, what it is, what may be written, example."""
    common = declared(document.DocumentText) if record in (document.SiteText, document.BaselineText) else {}
    lines = ["| key | what it is | value | default |", "|---|---|---|---|"]
    for key, known in declared(record).items():
        if key in common:
            continue
        declaration = known.declaration
        words = _cell(declaration.words)
        if declaration.example:
            words += f"; example: {_code(f'{key}: {declaration.example}')}"
        default = "**required**" if known.required else _cell(declaration.default or "-")
        lines.append(f"| `{key}` | {words} | {_cell(_shape(declaration.shape))} | {default} |")
    return "\n".join(lines) + "\n"


def _services() -> str:
    lines = ["| name | stands for |", "|---|---|"]
    lines.extend(f"| `{name}` | {', '.join(f'`{word}`' for word in words)} |" for name, words in WELL_KNOWN.items())
    return "\n".join(lines) + "\n"


def _shape(shape: Shape) -> str:
    if isinstance(shape, Many):
        return f"{_shape(shape.kind)}; one or a list"
    if isinstance(shape, Part):
        short = f", or its `{shape.shorthand}` alone" if shape.shorthand else ""
        return f"{_title(shape.record)}{short}"
    if isinstance(shape, Parts):
        return f"list of {_title(shape.record)}"
    if isinstance(shape, Named):
        keys = "signatures" if shape.name in (kinds.SIGNATURES, kinds.REACTING) else "names"
        return f"{keys}, each with {_shape(shape.value)}"
    if isinstance(shape, Kind | Choice | Number | Flag):
        return shape.words
    raise TypeError(shape)


def _title(record: type) -> str:
    name = record.__name__.removesuffix("Text")
    return f"[{name}](#{_TITLES[name].lower().replace(' ', '-')})"


# The heading of the handbook that explains a record.
_TITLES = {
    "Zone": "Zones",
    "Protect": "Protection",
    "Bridge": "Bridges",
    "Connection": "Connections",
    "Object": "Objects",
    "Schedule": "Schedules",
    "Person": "People and groups",
    "Group": "People and groups",
    "Profile": "Profiles",
    "Feed": "Feeds",
    "Suppression": "Suppressions",
    "Bans": "Bans",
    "AutomaticBan": "Bans",
    "Detections": "Detections",
    "Exemption": "Detections",
    "Alerts": "Alerts and consumers",
    "Retention": "Alerts and consumers",
    "Pseudonyms": "Alerts and consumers",
    "Consumer": "Alerts and consumers",
    "Push": "Alerts and consumers",
    "Indicators": "Indicators",
    "IndicatorSource": "Indicators",
    "Never": "Indicators",
    "Audit": "The audit trail",
    "Witness": "The audit trail",
    "RecordRetention": "The audit trail",
    "Notices": "Notices",
    "Console": "The console",
    "ConsolePerson": "The console",
    "ConsoleOidc": "The console",
    "Invariant": "Invariants",
    "Risk": "Risks",
    "Rule": "Rules",
    "SourceNat": "Address translation",
    "DestinationNat": "Address translation",
    "Nat": "Address translation",
    "Publish": "Published services",
    "Route": "Routes",
    "Settings": "Settings",
}


def _code(words: str) -> str:
    return f"`{_cell(words)}`"


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
