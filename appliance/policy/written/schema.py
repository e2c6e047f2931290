"""Reads nodes into document values, and says the same rules as a JSON Schema.

Both are driven by the declarations in `document.py`; there is no second list of keys.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from appliance.policy.written.document import BaselineText, SiteText
from appliance.policy.written.keys import Key, Record
from appliance.policy.written.kinds import (
    Choice,
    Flag,
    Kind,
    Many,
    Named,
    Number,
    Part,
    Parts,
    Scalar,
    Shape,
    did_you_mean,
)
from appliance.policy.written.text import Items, Node, Report, Table, Word

R = typing.TypeVar("R", bound=Record)
Reader = Callable[[Node, str, Report], Any]  # node, the words for it -> value, or None after a report


class Declared(msgspec.Struct, frozen=True):
    """One key of a record, ready for use."""

    key: str  # as written in the text
    field: str
    declaration: Key
    required: bool
    read: Reader


@functools.cache
def declared(record: type[Record]) -> dict[str, Declared]:
    """Every key of a record, by its name in the text, in the order of the declaration."""
    hints = typing.get_type_hints(record, include_extras=True)
    found: dict[str, Declared] = {}
    for field in msgspec.structs.fields(record):
        for extra in getattr(hints[field.name], "__metadata__", ()):
            if isinstance(extra, Key):
                name = extra.name or field.name
                found[name] = Declared(name, field.name, extra, field.required, _reader(extra.shape))
    return found


def decode(node: Node, record: type[R], report: Report, words: str = "the policy") -> R | None:
    """A record read from a mapping; None, and a problem, when it is not one. See `Record` for `flawed`."""
    return _read_part(node, words, report, record, None)


def decode_item(node: Node, record: type[R], report: Report, section: str) -> R | None:
    """One item of a list section, read as `decode` reads it inside the whole."""
    return _read_part(node, _item_words(node, section), report, record, None)


def _read_part(
    node: Node, words: str, report: Report, record: type[R], name: Word | None, shorthand: str = ""
) -> R | None:
    keys = declared(record)
    values: dict[str, Any] = {}
    before = len(report.found)
    if type(node) is Table:
        for key, child in node.entries.items():
            known = keys.get(key)
            if known is None:
                guess = did_you_mean(key, list(keys))
                report.error(node.keys[key], f"{words} has no key `{key}`", guess or f"the keys are {_listed(keys)}")
                continue
            value = known.read(child, key, report)
            if value is not None:
                values[known.field] = value
    elif shorthand:
        value = keys[shorthand].read(node, words.strip("`"), report)
        if value is not None:
            values[keys[shorthand].field] = value
    elif name is None:
        report.error(node.at, f"{words} is not a mapping", f"write `key: value` lines; the keys are {_listed(keys)}")
        return None
    elif not _is_empty(node) or _required(record):
        report.error(node.at, f"{words} is not a mapping", f"write `{{key: value}}`; the keys are {_listed(keys)}")
    for field in _required(record):
        if field not in values:
            known = next(known for known in keys.values() if known.field == field)
            if type(node) is Table and known.key not in node.entries:
                _report_missing(known, node.at, words, report)
            values[field] = () if isinstance(known.declaration.shape, Many) else Word("", node.at)
    return record(at=node.at, name=name, flawed=len(report.found) != before, **values)


def _is_empty(node: Node) -> bool:
    """Whether nothing was written: `key:` with no value."""
    return type(node) is Word and not node.value


@functools.cache
def _required(record: type[Record]) -> tuple[str, ...]:
    return tuple(known.field for known in declared(record).values() if known.required)


def _report_missing(known: Declared, at: int, words: str, report: Report) -> None:
    example = known.declaration.example or "..."
    message = f"{words} has no `{known.key}`: {known.declaration.words}"
    report.error(at, message, f"write for example `{known.key}: {example}`")


def _listed(keys: dict[str, Declared]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _reader(shape: Shape) -> Reader:
    if isinstance(shape, Many):
        return functools.partial(_read_many, shape.kind.wrong)
    if isinstance(shape, Part):
        part = shape

        def read_part(node: Node, words: str, report: Report) -> Any:
            return _read_part(node, f"`{words}`", report, part.record, None, part.shorthand)

        return read_part
    if isinstance(shape, Parts):
        return functools.partial(_read_parts, shape)
    if isinstance(shape, Named):
        return functools.partial(_read_named, shape)
    return functools.partial(_read_scalar, shape.wrong)


Judge = Callable[[str], tuple[str, str] | None]


def _read_scalar(wrong: Judge, node: Node, words: str, report: Report) -> Word | None:
    if type(node) is not Word:
        what = "a list" if isinstance(node, Items) else "a mapping"
        report.error(node.at, f"`{words}` is {what}", "write one value")
        return None
    if not node.value:
        report.error(node.at, f"`{words}` is empty", "write a value, or leave the key out")
        return None
    said = wrong(node.value)
    if said is not None:
        report.error(node.at, f"`{words}`: {said[0]}", said[1])
        return None
    return node


def _read_many(wrong: Judge, node: Node, words: str, report: Report) -> tuple[Word, ...] | None:
    if type(node) is Word:
        one = _read_scalar(wrong, node, words, report)
        return None if one is None else (one,)
    if type(node) is Table:
        report.error(node.at, f"`{words}` is a mapping", "write one value, or a list: `[a, b]`")
        return None
    assert isinstance(node, Items)
    found = [_read_scalar(wrong, item, words, report) for item in node.items]
    if not found:
        report.error(node.at, f"`{words}` is an empty list", "write a value, or leave the key out")
        return None
    return tuple([word for word in found if word is not None])


def _item_words(node: Node, section: str) -> str:
    """How a problem names one item of a list: by its id where it has one."""
    if isinstance(node, Table):
        ident = node.entries.get("id")
        if isinstance(ident, Word) and ident.value:
            return f"`{ident.value}`"
    return f"an item of `{section}`"


def _read_parts(shape: Parts, node: Node, words: str, report: Report) -> tuple[Any, ...] | None:
    if type(node) is not Items:
        if _is_empty(node):
            return ()
        report.error(node.at, f"`{words}` is not a list", "begin each item with `- ` on its own line")
        return None
    record = typing.cast(type[Record], shape.record)
    found = [decode_item(item, record, report, words) for item in node.items]
    return tuple(item for item in found if item is not None)


def _read_named(shape: Named, node: Node, words: str, report: Report) -> tuple[Any, ...] | None:
    if type(node) is not Table:
        if _is_empty(node):
            return ()
        report.error(node.at, f"`{words}` is not a mapping", "write `name: value` lines")
        return None
    found: list[Any] = []
    value = shape.value
    for key, child in node.entries.items():
        at = node.keys[key]
        said = shape.name.wrong(key)
        if said is not None:
            report.error(at, said[0], said[1])
            continue
        name = Word(key, at)
        if isinstance(value, Part):
            record = typing.cast(type[Record], value.record)
            part = _read_part(child, f"`{key}`", report, record, name, value.shorthand)
            if part is not None:
                found.append(part)
        else:
            wrong = value.kind.wrong if isinstance(value, Many) else value.wrong
            read = _read_many if isinstance(value, Many) else _read_scalar
            words_or_none = read(wrong, child, key, report)
            if words_or_none is not None:
                found.append((name, words_or_none))
    return tuple(found)


# --- the same, as a JSON Schema -----------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a policy text, for editors: completion, hover words, checking."""
    definitions: dict[str, Any] = {}
    site = _record_schema(SiteText, definitions)
    baseline = _record_schema(BaselineText, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Reef policy",
        "description": "The policy of one site, or a baseline that sites inherit.",
        "if": {"required": ["baseline"]},
        "then": baseline,
        "else": site,
        "$defs": definitions,
    }


def _record_schema(record: type[Record], definitions: dict[str, Any]) -> dict[str, Any]:
    name = record.__name__.removesuffix("Text")
    if name not in definitions:
        definitions[name] = {}
        keys = declared(record)
        definitions[name] = {
            "type": "object",
            "description": _summary(record),
            "properties": {key: _key_schema(known, definitions) for key, known in keys.items()},
            "required": [key for key, known in keys.items() if known.required],
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}


def _summary(record: type[Record]) -> str:
    return (record.__doc__ or "").split("\n\n")[0].replace("\n", " ").strip()


def _key_schema(known: Declared, definitions: dict[str, Any]) -> dict[str, Any]:
    key = known.declaration
    words = key.words + (f" (default: {key.default})" if key.default else "")
    schema = {"description": words, **_shape_schema(key.shape, definitions)}
    if key.example:
        schema["examples"] = [key.example]
    return schema


def _scalar_schema(kind: Scalar) -> dict[str, Any]:
    schema = kind.schema()
    if isinstance(kind, Choice) and kind.values == ("1",):
        return {"enum": ["1", 1]}
    if isinstance(kind, Kind) and kind.example and not isinstance(kind, Flag | Number):
        schema["examples"] = [kind.example]
    return schema


def _shape_schema(shape: Shape, definitions: dict[str, Any]) -> dict[str, Any]:
    if isinstance(shape, Many):
        one = _scalar_schema(shape.kind)
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    if isinstance(shape, Part):
        record = typing.cast(type[Record], shape.record)
        whole = _record_schema(record, definitions)
        if not shape.shorthand:
            return whole
        short = declared(record)[shape.shorthand].declaration.shape
        return {"anyOf": [_shape_schema(short, definitions), whole]}
    if isinstance(shape, Parts):
        record = typing.cast(type[Record], shape.record)
        return {"type": ["array", "null"], "items": _record_schema(record, definitions)}
    if isinstance(shape, Named):
        return {
            "type": ["object", "null"],
            "propertyNames": {"pattern": f"^(?:{shape.name.pattern})$"},
            "additionalProperties": _shape_schema(shape.value, definitions),
        }
    return _scalar_schema(shape)
