"""An OpenID provider for tests: real keys, real signatures."""

from __future__ import annotations

import datetime
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from crypto.selfsigned import self_signed, server_context


class Signer:
    """Signs ID tokens and shows its public keys."""

    def __init__(self, kid: str = "one", bits: int = 2048) -> None:
        self.key = RSAKey.generate_key(bits, {"kid": kid, "use": "sig", "alg": "RS256"})

    def document(self) -> bytes:
        return json.dumps({"keys": [self.key.as_dict(private=False)]}).encode()

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode({"alg": "RS256", "kid": self.key.kid, **header}, claims, self.key)


class CurveSigner(Signer):
    """The same on P-256."""

    def __init__(self, kid: str = "two") -> None:
        self.key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})  # type: ignore[assignment]

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode({"alg": "ES256", "kid": self.key.kid, **header}, claims, self.key)


class FakeProvider:
    """A whole provider over TLS on loopback: discovery, keys, and a token end that checks what a client must send."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self.signer: Signer = CurveSigner()
        self.clock = clock
        self.codes: dict[str, dict[str, str]] = {}  # what was asked for with them
        self.changed: dict[str, Any] = {}  # claims that are otherwise
        self.metadata: dict[str, Any] = {}  # what discovery says otherwise
        self.asked: list[str] = []
        self.secret = ""
        key, certificate = self_signed(["127.0.0.1"], datetime.datetime.now(datetime.UTC))
        (folder / "provider.key").write_bytes(key)
        self.certificate = folder / "provider.pem"
        self.certificate.write_bytes(certificate)
        self._tls = server_context(folder / "provider.key", self.certificate)
        app = web.Application()
        app.add_routes(
            [
                web.get("/.well-known/openid-configuration", self._discovery),
                web.get("/keys", self._keys),
                web.post("/token", self._token),
                web.get("/away", self._away),
            ]
        )
        self._runner = web.AppRunner(app)
        self.issuer = ""

    async def __aenter__(self) -> FakeProvider:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.issuer = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def log_in(self, url: str) -> dict[str, str]:
        """A person logs in there: the query with which their browser comes back."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = f"code {len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    async def _discovery(self, _: web.Request) -> web.Response:
        self.asked.append("discovery")
        said = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return web.json_response(said | self.metadata)

    async def _keys(self, _: web.Request) -> web.Response:
        self.asked.append("keys")
        return web.Response(body=self.signer.document(), content_type="application/json")

    async def _away(self, _: web.Request) -> web.Response:
        raise web.HTTPFound(f"{self.issuer}/keys")

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self.codes.pop(str(form["code"]), None)
        verifier = sha256(str(form["code_verifier"]).encode()).digest()
        right = (
            asked is not None
            and form["grant_type"] == "authorization_code"
            and form["redirect_uri"] == asked["redirect_uri"]
            and urlsafe_b64encode(verifier).decode().rstrip("=") == asked["code_challenge"]
            and form.get("client_secret", "") == self.secret
        )
        if asked is None or not right:
            return web.json_response({"error": "invalid_grant"}, status=400)
        claims = {
            "iss": self.issuer, "aud": asked["client_id"], "sub": "u-1", "nonce": asked["nonce"],
            "iat": self.clock(), "exp": self.clock() + 300, "email": "amara@health.example", "email_verified": True,
        }  # fmt: skip
        return web.json_response({"id_token": self.signer.token(claims | self.changed), "token_type": "Bearer"})
