"""Requests that a foreign page makes a browser send: told apart before anything is done. Pure.

A cookie and a certificate are shown by the browser whoever wrote the page; a token is not. `SameSite=Strict` keeps
the cookie at home already; this holds where a browser does not.
"""

from __future__ import annotations

from collections.abc import Mapping

HEADER = "X-Reef"


def why_not(headers: Mapping[str, str], host: str) -> str:
    """Why a request that changes something is not taken; "" when it comes from our own page.

    `host` is what the client calls the gateway.
    """
    if headers.get(HEADER) != "1":
        return f"a change needs the header `{HEADER}: 1`, which no foreign page can send"
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return "" if site == "same-origin" else f"a change from another place ({site[:20]}) is not taken"
    origin = headers.get("Origin")
    if origin is None:
        return "a change needs `Sec-Fetch-Site` or `Origin`, or a token"
    return "" if origin == f"https://{host}" else "a change from another origin is not taken"
