"""The API described in OpenAPI 3.1, from the same values that answer it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from appliance.console.problems import PROBLEM, ProblemBody
from appliance.console.registry import EVENTS, JSON, LARGEST, Endpoint, is_list
from appliance.console.who.cookies import SESSION

PREFIX = "/api/v1"
_REF = "#/components/schemas/{name}"
_SENTENCE = re.compile(r".*?[.!?](?= |$)|.*")
_TAG = {"type": "string", "pattern": r'^(\*|"[\x21\x23-\x7e]{1,128}")$'}
_KEY = {"type": "string", "pattern": r"^[\x21-\x7e]{1,128}$"}


def _types(endpoints: Iterable[Endpoint]) -> list[Any]:
    """Every type that has to be described, in the order of their use."""
    found: list[Any] = [ProblemBody]
    for one in endpoints:
        found += one.places.values()
        if one.query is not None:
            found += [field.type for field in msgspec.structs.fields(one.query)]
        if one.takes_json:
            found.append(one.body)
        if one.answers is not None and not isinstance(one.answers, str):
            found.append(one.answers)
    return found


def _bound(schema: Any) -> None:
    """Whole numbers are those that every reader of JSON takes exactly."""
    if isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema.setdefault("minimum", -LARGEST)
            schema.setdefault("maximum", LARGEST)
        for each in schema.values():
            _bound(each)
    elif isinstance(schema, list | tuple):
        for each in schema:
            _bound(each)


class _Schemas:
    """The schemas of many types, made together so that each has one name."""

    def __init__(self, types: list[Any]) -> None:
        self._types = types
        self._made, self.components = msgspec.json.schema_components(types, ref_template=_REF)
        for schema in (*self._made, *self.components.values()):
            _bound(schema)

    def of(self, type_: Any) -> dict[str, Any]:
        return self._made[self._types.index(type_)]


def _parameter(name: str, where: str, schema: dict[str, Any], words: str = "") -> dict[str, Any]:
    described = {"description": words} if words else {}
    return {"name": name, "in": where, "required": where == "path", **described, "schema": schema}


def _parameters(one: Endpoint, schemas: _Schemas) -> list[dict[str, Any]]:
    found = [_parameter(name, "path", schemas.of(type_)) for name, type_ in one.places.items()]
    for field in msgspec.structs.fields(one.query) if one.query is not None else ():
        schema = schemas.of(field.type)
        if field.default is not msgspec.NODEFAULT and isinstance(field.default, str | int | float | bool):
            schema = {**schema, "default": field.default}
        listed = {"style": "form", "explode": True} if is_list(field.type) else {}
        found.append({**_parameter(field.encode_name, "query", schema), **listed, "required": field.required})
    if one.match:
        words = "the ETag of what is changed, as it was seen"
        found.append({**_parameter("If-Match", "header", _TAG, words), "required": True})
    if one.changes and one.permission:
        words = "the same key and request are done once, and answered alike for a day"
        found.append(_parameter("Idempotency-Key", "header", _KEY, words))
    if one.answers == EVENTS:
        words = "the last event that came: go on behind it"
        found.append(_parameter("Last-Event-ID", "header", {"type": "string"}, words))
    return found


def _refusals(one: Endpoint) -> dict[str, Any]:
    problem = {"$ref": "#/components/responses/Problem"}
    # Also what stands before every endpoint: who asks, how often, and whether the gateway's processes answer.
    statuses = {400, 404, 409, 422, 429, 503}
    if one.permission:
        statuses |= {401, 403}
    if one.changes:
        statuses |= {403, 408}
    if one.body is not None:
        statuses |= {413, 415}
    if one.match:
        statuses |= {412, 428}
    if one.changes and not one.match:
        statuses |= {412}
    return {str(status): problem for status in sorted(statuses)}


def _answer(one: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if one.tagged:
        headers["ETag"] = {"description": "The state of this", "schema": {"type": "string"}}
    if one.paged:
        headers["Link"] = {"description": "The next page (RFC 8288)", "schema": {"type": "string"}}
    answer: dict[str, Any] = {"description": _first(one.summary), **({"headers": headers} if headers else {})}
    if isinstance(one.answers, str):
        answer["content"] = {one.answers: {"schema": {"type": "string"}}}
    elif one.answers is not None:
        answer["content"] = {JSON: {"schema": schemas.of(one.answers)}}
    same = {"304": {"description": "What `If-None-Match` names is what is there"}}
    unchanged = {} if one.changes or one.tagged else same
    return {str(one.status): answer, **unchanged}


def _first(words: str) -> str:
    """The first sentence."""
    sentences: list[str] = _SENTENCE.findall(" ".join(words.split()))
    return sentences[0]


def _operation(one: Endpoint, schemas: _Schemas) -> dict[str, Any]:
    more = " ".join(one.summary.split()).removeprefix(_first(one.summary)).strip()
    operation: dict[str, Any] = {
        "operationId": f"{one.noun}_{one.handler.__name__}",
        "tags": [one.noun],
        "summary": _first(one.summary),
        **({"description": more} if more else {}),
        "parameters": _parameters(one, schemas),
        "responses": {**_answer(one, schemas), **_refusals(one)},
        "x-permission": one.permission,
    }
    if one.body is not None:
        schema = schemas.of(one.body) if one.takes_json else {"type": "string"}
        operation["requestBody"] = {"required": True, "content": {one.takes: {"schema": schema}}}
    if not one.permission:
        operation["security"] = []
    return operation


def description(endpoints: Iterable[Endpoint], version: str) -> dict[str, Any]:
    """The document."""
    listed = tuple(endpoints)
    schemas = _Schemas(_types(listed))
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        paths.setdefault(f"{PREFIX}{one.path}", {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Reef",
            "version": version,
            "description": "What the console of a gateway can do. What changes something needs a token, or a session "
            "with the header `X-Reef: 1`. Errors are RFC 9457 with a stable `code`.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": []}],
        "tags": [{"name": noun} for noun in dict.fromkeys(one.noun for one in listed)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": SESSION},
            },
            "responses": {
                "Problem": {
                    "description": "Why not (RFC 9457)",
                    "content": {PROBLEM: {"schema": schemas.of(ProblemBody)}},
                }
            },
            "schemas": schemas.components,
        },
    }
