"""The page itself: files that were built with it, given as they are, and what a browser may do with them.

Nothing comes from another host and nothing is inline, so the policy can forbid both. Names of what lies in `assets/`
carry the hash of what they hold: a browser asks for them once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

import msgspec
from aiohttp import web

from appliance.console import conditional, problems
from appliance.serving.packing import preferences

STATIC = Path(__file__).parent / "static"
INDEX = "index.html"
ASSETS = "assets/"
_PACKED = {".br": "br", ".gz": "gzip"}  # the best first
_HTML = "text/html; charset=utf-8"
_TYPES = {
    ".html": _HTML,
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
# What is no page: a path below these that is not there is not there.
_NO_PAGE = ("api/", ASSETS)

# What a page of the console may do: its own scripts and styles, its own API, and nothing of anybody else.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types svelte-trusted-html",
    )
)
PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self), "
    "clipboard-write=(self), camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), hid=(), "
    "midi=(), accelerometer=(), gyroscope=(), magnetometer=(), display-capture=(), browsing-topics=()",
    "X-Frame-Options": "DENY",
}
_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Reef</title></head>
<body><h1>The console's pages were not built</h1>
<p>The gateway works, and so do <code>reef</code> and the API below <code>/api/v1/</code>. In a checkout
<code>tools/web.py build</code> builds the pages (<code>make run</code> does it by itself); an installed package has
them already. Start the console again afterwards.</p>
</body></html>
"""


class File(msgspec.Struct, frozen=True):
    """One file: its bytes, and the same packed, by encoding."""

    media_type: str
    tag: str
    forever: bool
    plain: bytes
    packed: dict[str, bytes] = {}


def read(folder: Path) -> dict[str, File]:
    """Every file of a bundle by its path; empty where none was built. Raises OSError."""
    found: dict[str, File] = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if not path.is_file() or path.suffix in _PACKED:
            continue
        name = path.relative_to(folder).as_posix()
        data = path.read_bytes()
        packed = {
            how: beside.read_bytes()
            for suffix, how in _PACKED.items()
            if (beside := path.with_name(path.name + suffix)).is_file()
        }
        digest = hashlib.blake2b(data, digest_size=12).hexdigest()
        media_type = _TYPES.get(path.suffix, "application/octet-stream")
        found[name] = File(media_type, digest, name.startswith(ASSETS), data, packed)
    return found


class Bundle:
    """Answers browsers that ask for the page or its parts."""

    def __init__(self, files: Mapping[str, File]) -> None:
        self._files = files

    def routes(self) -> list[web.RouteDef]:
        """Last of all: they answer every path that nobody else does."""
        return [web.get("/{path:.*}", self.answer)]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        found = self._files.get(path)
        if found is None:
            if path.startswith(_NO_PAGE):
                raise problems.not_found("nothing is here")
            found = self._files.get(INDEX)  # the page finds out by itself which view that is
        if found is None:
            headers = {**PAGE_HEADERS, "Content-Type": _HTML}
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=_NOT_BUILT, headers=headers)
        return _sent(request, found)


def _sent(request: web.Request, found: File) -> web.Response:
    how = _chosen(request.headers.get("Accept-Encoding", ""), found)
    tag = conditional.quoted(f"{found.tag}-{how}" if how else found.tag)
    headers = {
        **(PAGE_HEADERS if found.media_type == _HTML else {}),
        "Content-Type": found.media_type,
        "Cache-Control": _FOREVER if found.forever else _ASK_AGAIN,
        "Vary": "Accept-Encoding",
        "ETag": tag,
    }
    if conditional.unchanged(request.headers.get("If-None-Match", ""), tag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    if how:
        headers["Content-Encoding"] = how
    return web.Response(body=found.packed[how] if how else found.plain, headers=headers)


def _chosen(header: str, found: File) -> str:
    """How it is packed for this client; "" for not at all."""
    wanted = {value for value, _, quality in preferences(header) if quality > 0}
    return next((how for how in found.packed if how in wanted or "*" in wanted), "")
