"""Which state of a resource somebody saw: entity tags and the conditions on them (RFC 9110, 8.8.3 and 13.1). Pure."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus

from appliance.console.problems import Problem

_TAG = re.compile(r'\s*(?:(W/)?"([\x21\x23-\x7e\x80-\xff]*)"|(\*))\s*(?:,|$)')
_NO_TAG = re.compile(r"[^\x21\x23-\x7e]")
_MOST = 32
WEAK = "W/"


def quoted(tag: str) -> str:
    """As a header has it: without what no tag has (RFC 9110, 8.8.3), since some come from who asks."""
    return f'"{_NO_TAG.sub("", tag)}"'


def of_bytes(data: bytes) -> str:
    """A weak tag for an answer that has no state of its own: what is the same bytes need not be sent again."""
    return f'{WEAK}"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'


def _listed(header: str) -> list[tuple[bool, str]] | None:
    """(weak, tag) of each tag of a header, "*" for any; None for what is no list of tags."""
    found: list[tuple[bool, str]] = []
    at = 0
    while at < len(header):
        one = _TAG.match(header, at)
        if one is None or len(found) >= _MOST:
            return None
        found.append((one[1] is not None, one[2] if one[3] is None else "*"))
        at = one.end()
    return found


def demand(header: str, tag: str) -> None:
    """If-Match against the state `tag`. Raises `Problem`: 428 without the header, 412 where it names another."""
    required(header)
    if any(known == "*" or (not weak and known == tag) for weak, known in _listed(header) or ()):
        return
    words = "somebody changed it since you saw it; look again, and then change what is there now"
    raise Problem(HTTPStatus.PRECONDITION_FAILED, words, code="version", headers={"ETag": quoted(tag)})


def required(header: str) -> None:
    """Raises `Problem` where nothing that can be compared was said."""
    if not header.strip():
        words = "say which state you saw: `If-Match` with the ETag of the answer that you changed"
        raise Problem(HTTPStatus.PRECONDITION_REQUIRED, words, code="precondition")
    if not _listed(header):
        raise Problem(HTTPStatus.BAD_REQUEST, "`If-Match` is a list of entity tags", code="bad-request")


def one(header: str) -> str:
    """The only tag of If-Match, "" for any. Raises `Problem` for several: a change is made of one state."""
    required(header)
    ((weak, tag), *more) = _listed(header) or [(False, "*")]
    if more or weak:
        raise Problem(HTTPStatus.BAD_REQUEST, "`If-Match` is one strong entity tag here", code="bad-request")
    return "" if tag == "*" else tag


def unchanged(header: str, tag: str) -> bool:
    """If-None-Match against the ETag of an answer, as it is sent: whether the client has it already."""
    bare = tag.removeprefix(WEAK).strip('"')
    return any(known in ("*", bare) for _, known in _listed(header) or ())
