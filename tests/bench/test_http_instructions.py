"""Instructions per request and response of the HTTP/1 parser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.bench.core import program
from tests.bench.instructions import count

CONVERSATIONS = 2000


def test_request_and_response(hold: Callable[[str, float], None]) -> None:
    command: list[str | Path] = [program("bench_http"), str(CONVERSATIONS)]
    hold("http: instructions per request and response", count(command, inside="conversations") / CONVERSATIONS)
