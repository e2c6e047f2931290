"""How a request is refused: RFC 9457, with a code that programs can rely on. Pure."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from appliance.control.messages.gateway import Finding, Refused

PROBLEM = "application/problem+json"

# What a daemon's refusal is in HTTP; whatever is not here is a conflict with what is there.
_STATUS = {
    HTTPStatus.BAD_REQUEST: ("bad-request", "format"),
    HTTPStatus.FORBIDDEN: ("not-allowed", "nobody", "zones", "own-proposal"),
    HTTPStatus.NOT_FOUND: ("unknown", "not-banned", "no-list", "unknown-set", "nothing-pending", "nothing-runs"),
    HTTPStatus.PRECONDITION_FAILED: ("version", "digest"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too-large",),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        "policy", "bad-address", "bad-value", "bad-words", "bad-element", "overlap", "everybody", "own", "number",
        "numbers", "cap", "too-many",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: ("away", "store"),
}  # fmt: skip
_OF_CODE = {code: status for status, codes in _STATUS.items() for code in codes}
# A confirm that came by a connection from before the change: the browser comes back by a new one.
_OLD_CONNECTION = "session"
OLD_CONNECTION = "old-connection"


class ProblemBody(msgspec.Struct, frozen=True):
    """Why a request was refused. `code` is stable, `detail` is for people; `findings` say where in a text."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    findings: tuple[Finding, ...] = ()


class Problem(Exception):
    """A request that is not answered as it was asked. `words` are for a person, `code` for a program."""

    def __init__(
        self,
        status: HTTPStatus,
        words: str,
        *,
        code: str,
        findings: tuple[Finding, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(words)
        self.status = status
        self.words = words
        self.code = code
        self.findings = findings
        self.headers = headers or {}


def body(problem: Problem) -> bytes:
    return msgspec.json.encode(
        ProblemBody(
            "about:blank", problem.status.phrase, problem.status, problem.words, problem.code, problem.findings
        )
    )


def of_refusal(refused: Refused) -> Problem:
    """What a daemon refused."""
    if refused.code == _OLD_CONNECTION:
        headers = {"Connection": "close"}
        return Problem(HTTPStatus.CONFLICT, refused.message, code=OLD_CONNECTION, headers=headers)
    status = _OF_CODE.get(refused.code, HTTPStatus.CONFLICT)
    headers = {"Retry-After": "5"} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Problem(status, refused.message, code=refused.code, findings=refused.findings, headers=headers)


def bad(words: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, words, code="bad-request")


def not_found(words: str) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, words, code="unknown")


def forbidden(words: str, code: str = "not-allowed") -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, words, code=code)


def unauthorized() -> Problem:
    headers = {"WWW-Authenticate": 'Bearer realm="reef"'}
    words = "log in, or show a token: `Authorization: Bearer reef_…`"
    return Problem(HTTPStatus.UNAUTHORIZED, words, code="unauthorized", headers=headers)


def away(words: str) -> Problem:
    """A process of the gateway does not answer."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, words, code="away", headers={"Retry-After": "5"})


def store() -> Problem:
    """The console cannot write what it keeps."""
    words = "the console cannot write down what it keeps of people; is the disk full? Nothing was changed"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, words, code="store", headers={"Retry-After": "5"})


UNANSWERED = "unanswered"


def unanswered(process: str) -> Problem:
    """A process of the gateway has a request and does not answer it."""
    words = f"{process} does not answer. If this was to change something, see whether it did before you ask again"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, words, code=UNANSWERED, headers={"Retry-After": "5"})


def wait(words: str, seconds: int) -> Problem:
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, words, code="too-often", headers={"Retry-After": str(seconds)})


_WORDS = {
    404: "nothing is here",
    405: "this can be asked for by other methods only",
    413: "the request is larger than the console takes",
}


def of_http(status: int, reason: str, allow: str = "") -> Problem:
    """A refusal of the HTTP library, in our form."""
    found = HTTPStatus(status)
    code = {404: "unknown", 405: "method", 413: "too-large"}.get(status, "bad-request")
    return Problem(found, _WORDS.get(status, reason), code=code, headers={"Allow": allow} if allow else {})
