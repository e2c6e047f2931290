"""How a request is refused: RFC 9457 everywhere, and TAXII's error message where TAXII asks for that. Pure."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from aiohttp import web

TAXII = "application/taxii+json;version=2.1"
PROBLEM = "application/problem+json"
TAXII_PATH = "/taxii2"


class Problem(Exception):
    """A request that is not answered as it was asked. `words` are for a person."""

    def __init__(self, status: HTTPStatus, words: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.headers = headers or {}


def bad(words: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, words)


def not_found(words: str) -> Problem:
    """There is none, or it is not for who asks: they are told the same."""
    return Problem(HTTPStatus.NOT_FOUND, words)


def forbidden(words: str) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, words)


def wait(words: str, seconds: int) -> Problem:
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, words, {"Retry-After": str(seconds)})


def speaks_taxii(path: str) -> bool:
    return path == TAXII_PATH or path.startswith(f"{TAXII_PATH}/")


def body(status: int, words: str, path: str) -> tuple[bytes, str]:
    """The bytes and the media type in which a refusal is told."""
    title = HTTPStatus(status).phrase
    if speaks_taxii(path):
        # TAXII 2.1, section 3.6.1
        return msgspec.json.encode({"title": title, "description": words, "http_status": str(status)}), TAXII
    return msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": words}), PROBLEM


def response(problem: Problem, path: str) -> web.Response:
    content, media_type = body(problem.status, problem.words, path)
    headers = {"Content-Type": media_type, **problem.headers}
    return web.Response(status=problem.status, body=content, headers=headers)


_WORDS = {
    404: "nothing is here",
    405: "this can be asked for by other methods only",
    413: "the request is larger than the gateway takes",
}


def of_http(error: web.HTTPException, path: str) -> web.Response:
    """A refusal of the HTTP library, in our form."""
    kept = {name: value for name, value in error.headers.items() if name in ("Allow", "Retry-After")}
    content, media_type = body(error.status, _WORDS.get(error.status, error.reason), path)
    return web.Response(status=error.status, body=content, headers={**kept, "Content-Type": media_type})
