"""The typed client of the console's API, made from its OpenAPI document: appliance/client/api.py.

usage: tools/client.py [--check]      --check: write nothing, end with 1 when the file is not what would be written
"""

from __future__ import annotations

import json
import keyword
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "appliance" / "client" / "api.py"
_JSON = "application/json"
_EVENTS = "text/event-stream"
_HEAD = '''# fmt: off
# ruff: noqa: E501
"""The API of the console, typed. Made by tools/client.py from the OpenAPI document; do not edit."""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.client.asking import Answered, Asker, place
'''


def document() -> dict[str, Any]:
    """What the console of this checkout serves."""
    from appliance.console import openapi
    from appliance.console.api import NOUNS
    from appliance.console.registry import endpoints

    found: dict[str, Any] = json.loads(msgspec.json.encode(openapi.description(endpoints(NOUNS), "")))
    return found


def class_name(reference: str) -> str:
    return re.sub(r"\W+", "_", reference.rpartition("/")[2]).strip("_")


def type_of(schema: dict[str, Any]) -> str:
    """A JSON Schema as a type."""
    if "$ref" in schema:
        return class_name(schema["$ref"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(type_of(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return f"Literal[{', '.join(repr(one) for one in schema['enum'])}]"
    match schema.get("type"):
        case "array":
            if "prefixItems" in schema:
                return f"tuple[{', '.join(type_of(one) for one in schema['prefixItems'])}]"
            return f"tuple[{type_of(schema.get('items') or {})}, ...]"
        case "object":
            return f"dict[str, {type_of(schema.get('additionalProperties') or {})}]"
        case "string":
            return "bytes" if schema.get("contentEncoding") == "base64" else "str"
        case kind:
            return {"integer": "int", "number": "float", "boolean": "bool", "null": "None"}.get(str(kind), "object")


def _tag(schema: dict[str, Any]) -> tuple[str, str]:
    """The member that says which struct it is, and what it says."""
    for name, one in schema.get("properties", {}).items():
        values = one.get("enum", ())
        if len(values) == 1 and isinstance(values[0], str) and name in schema.get("required", ()):
            return name, values[0]
    return "", ""


def struct(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """The lines of a component."""
    field, value = _tag(schema)
    tagged = f", tag_field={field!r}, tag={value!r}" if field else ""
    yield f"class {class_name(name)}(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True{tagged}):"
    words = " ".join(schema.get("description", "").split())
    if words:
        yield f'    """{words}"""'
        yield ""
    members: list[str] = []
    for key, one in schema.get("properties", {}).items():
        if key != field:
            members += _member(key, one, schema)
    yield from members or ([] if words else ["    pass"])


def _spelled(name: str) -> str:
    """A name that Python takes."""
    return name if name.isidentifier() and not keyword.iskeyword(name) else re.sub(r"\W", "_", name) + "_"


def _asked(parameter: dict[str, Any]) -> str:
    """A parameter of a query, as one of a function; what is not required may be left out."""
    type_ = type_of(parameter["schema"])
    if parameter["required"]:
        return f"{_spelled(parameter['name'])}: {type_}"
    return f"{_spelled(parameter['name'])}: {type_.removesuffix(' | None')} | None = None"


def _member(key: str, schema: dict[str, Any], whole: dict[str, Any]) -> Iterator[str]:
    name = _spelled(key)
    plain = name == key
    type_ = type_of(schema)
    named = "" if plain else f"name={key!r}"
    if key in whole.get("required", ()):
        yield f"    {name}: {type_}" + ("" if plain else f" = msgspec.field({named})")
        return
    default = schema.get("default", ...)
    if default is ... or (isinstance(default, dict) and default) or (isinstance(default, list) and default):
        type_, said = f"{type_} | msgspec.UnsetType", "msgspec.UNSET"
    elif isinstance(default, dict):
        yield f"    {name}: {type_} = msgspec.field({', '.join(filter(None, (named, 'default_factory=dict')))})"
        return
    else:
        said = "()" if default == [] else repr(default)
    yield f"    {name}: {type_} = " + (said if plain else f"msgspec.field({named}, default={said})")


def method(path: str, verb: str, operation: dict[str, Any]) -> Iterator[str]:
    """The lines of an operation."""
    answers = next(one for status, one in operation["responses"].items() if status.startswith("2"))
    media = next(iter(answers.get("content", {})), "")
    if media == _EVENTS:
        return
    places = [one for one in operation["parameters"] if one["in"] == "path"]
    query = [one for one in operation["parameters"] if one["in"] == "query"]
    headers = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
    taken = [f"{one['name']}: {type_of(one['schema'])}" for one in places]
    sent: list[str] = []
    body = operation.get("requestBody", {}).get("content", {})
    for kind, one in body.items():
        taken.append(f"body: {type_of(one['schema']) if kind == _JSON else 'bytes'}")
        sent += ["body=body"] + ([] if kind == _JSON else [f"media_type={kind!r}"])
    named = [_asked(one) for one in query]
    named += ["if_match: str"] if "If-Match" in headers else []
    named += ['idempotency_key: str = ""'] if "Idempotency-Key" in headers else []
    if query:
        pairs = ", ".join(f"{name!r}: {_spelled(name)}" for name in (one["name"] for one in query))
        sent.insert(0, f"query={{{pairs}}}")
    sent += ["if_match=if_match"] * ("If-Match" in headers)
    sent += ["idempotency_key=idempotency_key"] * ("Idempotency-Key" in headers)
    value = "None" if not media else type_of(answers["content"][media]["schema"]) if media == _JSON else "bytes"
    parameters = ", ".join(["self", *taken, *(["*"] if named else []), *sorted(named, key=lambda one: "=" in one)])
    where = re.sub(r"\{(\w+)\}", lambda found: f"{{place({found[1]})}}", path)
    spelled = f'f"{where}"' if places else f'"{where}"'
    yield f"    def {operation['operationId']}({parameters}) -> Answered[{value}]:"
    yield f'        """{operation["summary"]}"""'
    call = "_nothing" if not media else "_json" if media == _JSON else "_raw"
    arguments = [repr(verb.upper()), spelled, *([value] if call == "_json" else []), *sent]
    yield f"        return self.{call}({', '.join(arguments)})"
    yield ""


def text(found: dict[str, Any]) -> str:
    """The file."""
    lines = [_HEAD]
    for name, schema in found["components"]["schemas"].items():
        lines += ["", *struct(name, schema), ""]
    lines += ["", "class Api(Asker):", f'    """{found["info"]["description"]}"""', ""]
    for path, operations in found["paths"].items():
        for verb, operation in operations.items():
            lines += method(path, verb, operation)
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    sys.path.insert(0, str(ROOT))
    made = text(document())
    if arguments == ["--check"]:
        if not FILE.exists() or FILE.read_text() != made:
            print(f"{FILE.relative_to(ROOT)} is not what the API is now; run tools/client.py", file=sys.stderr)
            return 1
        return 0
    FILE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
