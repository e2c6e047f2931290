"""What is said of the part that is not TAXII, in OpenAPI 3.1. Pure. TAXII has its own standard."""

from __future__ import annotations

from typing import Any

from appliance.events.api import eve
from appliance.events.api.lists import INDICATORS
from appliance.events.api.problems import PROBLEM

_NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
_MOMENT = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"}


def _parameter(name: str, schema: dict[str, Any], words: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": words, "schema": schema}


_PLACES = [
    _parameter("after", _NUMBER, "events behind this number; without it, behind what was acknowledged last"),
    _parameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}, f"at most so many (and {eve.MAX_PAGE})"
    ),
    _parameter("since", _MOMENT, "events of then or later"),
    _parameter("until", _MOMENT, "events before then"),
    _parameter("ack", _NUMBER, "the client durably has everything up to this number"),
    _parameter("wait", {"type": "integer", "minimum": 0, "maximum": eve.MAX_WAIT}, "seconds to wait for something"),
]
_KINDS = _parameter(
    "kinds",
    {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,63}(,[a-z][a-z0-9_-]{0,63}){0,63}$"},
    "EVE event types, with commas between them",
)
_CURSOR = {
    name: {"description": words, "required": True, "schema": {"type": "integer"}}
    for name, words in ((eve.CURSOR, "the number to ask behind next"), (eve.LAST, "the newest number"))
}


def _answer(
    summary: str,
    media_type: str,
    parameters: list[dict[str, Any]],
    *,
    headers: dict[str, Any] | None = None,
    refused: tuple[str, ...] = (),
) -> dict[str, Any]:
    schema = {"type": "object"} if media_type == "application/json" else {"type": "string"}
    problem = {"$ref": "#/components/responses/Problem"}
    return {
        "get": {
            "summary": summary,
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": summary,
                    "content": {media_type: {"schema": schema}},
                    **({"headers": headers} if headers else {}),
                },
                **dict.fromkeys(("400", "401", "429", "503", *refused), problem),
            },
        }
    }


def description(site: str) -> dict[str, Any]:
    """The document that /openapi.json serves."""
    number = {
        "name": "Last-Event-ID",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    }
    uuid = {
        "name": "event", "in": "path", "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    }  # fmt: skip
    kind = {"name": "kind", "in": "path", "required": True, "schema": {"type": "string", "enum": list(INDICATORS)}}
    days = _parameter("days", {"type": "integer", "minimum": 1, "maximum": 3660}, "banned in the last so many days")
    after = _parameter("after", _NUMBER, "events behind this number; without it those that come")
    table = "text/csv"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Reef gateway {site}",
            "version": "1",
            "description": "Alerts and indicators of this gateway. TAXII 2.1 is below /taxii2/.",
        },
        "security": [{"token": []}],
        "paths": {
            "/eve": _answer(
                "Events as lines of EVE JSON", eve.NDJSON, [*_PLACES, _KINDS], headers=_CURSOR, refused=("409",)
            ),
            "/intelmq": _answer(
                "Alerts in IntelMQ's harmonisation", eve.NDJSON, _PLACES, headers=_CURSOR, refused=("403", "409")
            ),
            "/lists/alerts.csv": _answer(
                "Alerts as a table", table, _PLACES, headers=_CURSOR, refused=("403", "409")
            ),
            "/lists/banned.txt": _answer("Addresses that were banned", "text/plain", [days], refused=("403",)),
            "/lists/{kind}.txt": _answer("Indicators in force", "text/plain", [kind], refused=("403", "404")),
            "/live": _answer("Events as they come", "text/event-stream", [after, _KINDS, number]),
            "/misp/manifest.json": _answer("MISP feed", "application/json", [], refused=("403",)),
            "/misp/hashes.csv": _answer("MISP feed, digests of values", table, [], refused=("403",)),
            "/misp/{event}.json": _answer("MISP feed, an event", "application/json", [uuid], refused=("403", "404")),
            "/openapi.json": _answer("This document", "application/json", []),
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "Problem": {
                    "description": "Why not (RFC 9457)",
                    "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
            "schemas": {
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                    },
                }
            },
        },
    }
