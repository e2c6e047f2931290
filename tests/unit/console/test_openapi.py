"""The document of the API: whole, valid JSON Schema, and of the same endpoints that answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import schemathesis
from jsonschema import Draft202012Validator
from schemathesis.core.result import Ok

from appliance.console import openapi
from appliance.console.api import NOUNS
from appliance.console.registry import Endpoint, endpoints

LISTED = endpoints(NOUNS)
DOCUMENT: dict[str, Any] = json.loads(msgspec.json.encode(openapi.description(LISTED, "1")))


def operations() -> Iterator[tuple[Endpoint, dict[str, Any]]]:
    for one in LISTED:
        yield one, DOCUMENT["paths"][f"/api/v1{one.path}"][one.method.lower()]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        found: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            found = found[name]


def test_every_schema_is_json_schema() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for _, operation in operations():
        for parameter in operation["parameters"]:
            Draft202012Validator.check_schema(parameter["schema"])


def test_a_reader_of_others_understands_all_of_it() -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    understood = {(each.method.upper(), each.path) for each in found}
    assert understood == {(one.method, f"/api/v1{one.path}") for one in LISTED}


def test_operations_have_names_of_their_own_and_say_what_they_do() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(names) == len(set(names))
    for one, operation in operations():
        assert operation["summary"].endswith("."), (one.method, one.path)
        assert operation["x-permission"] == one.permission


@pytest.mark.parametrize("one", LISTED, ids=lambda one: f"{one.method} {one.path}")
def test_what_an_endpoint_takes_is_described(one: Endpoint) -> None:
    operation = DOCUMENT["paths"][f"/api/v1{one.path}"][one.method.lower()]
    places = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
    assert places == set(re.findall(r"\{(\w+)\}", one.path))
    headers = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
    assert ("If-Match" in headers) == one.match
    assert ("requestBody" in operation) == (one.body is not None)
    if one.permission:
        assert {"401", "403"} <= set(operation["responses"])
