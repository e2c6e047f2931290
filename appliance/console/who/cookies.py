"""The cookies of the console. `__Host-`: for this very host, only by TLS, for every path; no script can read them."""

from __future__ import annotations

from typing import Literal

from aiohttp import web

SESSION = "__Host-reef"
BROWSER = "__Host-reef-browser"  # who began a log-in; says nothing of anybody
PROVIDER = "__Host-reef-provider"
LANGUAGE = "__Host-reef-language"


def give(
    response: web.StreamResponse,
    name: str,
    value: str,
    *,
    seconds: int | None = None,
    same_site: Literal["Strict", "Lax"] = "Strict",
) -> None:
    """For as long as the browser runs, or for so many seconds."""
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite=same_site)


def take_away(response: web.StreamResponse, name: str) -> None:
    response.del_cookie(name, path="/", secure=True, httponly=True, samesite="Strict")
