"""Pages as bytes, with the headers that keep browsers from doing anything but what is meant."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from appliance.console.who.pages.words import LANGUAGES, Words

_FILES = Path(__file__).parent / "files"
_PAGES = ("login", "invitation", "refused", "going")
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
}


class Paper:
    """All templates are read when it is made: afterwards nothing is opened."""

    def __init__(self) -> None:
        found = Environment(
            loader=FileSystemLoader(_FILES), autoescape=True, undefined=StrictUndefined, auto_reload=False,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._pages = {name: found.get_template(f"{name}.html") for name in _PAGES}
        found.get_template("base.html")
        self._assets = {
            "page.css": ((_FILES / "page.css").read_bytes(), "text/css"),
            "page.js": ((_FILES / "page.js").read_bytes(), "text/javascript"),
        }

    def page(
        self,
        kind: str,
        words: Words,
        name: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        trouble: str = "",
        other: bool = False,
        **values: object,
    ) -> web.Response:
        """`trouble` is what went wrong, `name` the gateway's. `other`: the page can be had in another language."""
        language = next(one for one in LANGUAGES if one != words.language)
        # Where somebody wanted to go is not forgotten with the language.
        going = {"next": values["next"]} if values.get("next", "/") != "/" else {}
        query = f"?{urlencode({'lang': language, **going})}" if other else ""
        body = self._pages[kind].render(words=words, name=name, trouble=trouble, other=query, **values)
        return web.Response(status=status, text=body, content_type="text/html", headers=HEADERS)

    def asset(self, name: str) -> web.Response:
        """A style or a script of these pages."""
        body, kind = self._assets[name]
        headers = {**HEADERS, "Cache-Control": "no-cache"}
        return web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)
