"""The page: files as they were built, packed as browsers take them, with the headers that hold a page in."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

from appliance.console.bundle import POLICY, Bundle, read
from tests.unit.console.serving import Served, serving

SCRIPT = b"const reef = 1;\n" * 100


def built(folder: Path) -> Path:
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(b"<!doctype html><title>Reef</title>")
    (folder / "assets" / "main-abc.js").write_bytes(SCRIPT)
    (folder / "assets" / "main-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "reef.svg").write_bytes(b"<svg/>")
    return folder


def asked(folder: Path, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    async def get(served: Served) -> tuple[int, bytes, dict[str, str]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with served.session.get(f"{served.url}{path}", headers=named) as answer:
            return answer.status, await answer.read(), {key.lower(): value for key, value in answer.headers.items()}

    async def run() -> tuple[int, bytes, dict[str, str]]:
        async with serving(routes=Bundle(read(folder)).routes()) as served:
            return await get(served)

    return asyncio.run(run())


def test_every_path_of_a_view_is_the_page(tmp_path: Path) -> None:
    built(tmp_path)
    for path in ("/", "/rules", "/drafts/d-1/rules"):
        status, body, headers = asked(tmp_path, path)
        assert (status, body) == (200, b"<!doctype html><title>Reef</title>")
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["content-security-policy"] == POLICY
        assert headers["cache-control"] == "no-cache"


def test_a_page_may_run_only_what_is_ours(tmp_path: Path) -> None:
    _, _, headers = asked(built(tmp_path), "/")
    rules = dict(rule.partition(" ")[::2] for rule in headers["content-security-policy"].split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["require-trusted-types-for"] == "'script'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    # A promise for years, and not for the address by which this test comes.
    assert "strict-transport-security" not in headers


def test_assets_are_kept_for_ever_and_packed(tmp_path: Path) -> None:
    built(tmp_path)
    status, body, headers = asked(tmp_path, "/assets/main-abc.js", Accept_Encoding="gzip")
    assert (status, body, headers["content-encoding"]) == (200, SCRIPT, "gzip")
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    status, body, headers = asked(tmp_path, "/assets/main-abc.js", Accept_Encoding="identity")
    assert (status, body) == (200, SCRIPT)
    assert "content-encoding" not in headers
    assert asked(tmp_path, "/assets/main-abc.js", If_None_Match=headers["etag"], Accept_Encoding="identity")[0] == 304


def test_what_is_not_there_is_not_there(tmp_path: Path) -> None:
    built(tmp_path / "static")
    (tmp_path / "secret").write_text("secret")
    for path in ("/assets/other.js", "/api/v1/nothing", "/api/v2/status"):
        assert asked(tmp_path / "static", path)[0] == 404
    for path in ("/..%2fsecret", "/%2e%2e/secret", "/assets/..%2f..%2fsecret"):
        body = asked(tmp_path / "static", path)[1]
        assert b"secret" not in body


def test_a_bundle_that_was_not_built_says_so(tmp_path: Path) -> None:
    status, body, headers = asked(tmp_path / "static", "/")
    assert (status, headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert b"tools/web.py build" in body
    assert headers["content-security-policy"] == POLICY
