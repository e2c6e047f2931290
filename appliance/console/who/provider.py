"""Log-ins by an OpenID Connect provider: authorization code with PKCE (RFC 7636), as RFC 9700 wants it done.

What the policy names is asked, and nothing else: no redirects are followed, certificates are checked, what comes back
is bounded. The provider says who somebody is; whether they may come in says the policy.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec

from appliance.console.who import secret, tickets
from appliance.console.who.desk import At, Desk
from appliance.console.who.entering import Refused
from appliance.policy.console import Oidc, Person
from crypto.idtoken import Keys, Unbelieved, check
from crypto.web import TlsContext

CALLBACK = "/login/provider/callback"
_STATE = "provider"
_SECONDS = 600.0  # for who has to find their phone
_MOST_BYTES = 256 << 10
_TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
_FRESH = 3600.0  # seconds for which what the provider says of itself is taken
_AGAIN = 60.0  # seconds between two looks for new keys
_PAUSE = 5.0  # seconds between two times that it is asked in vain
_AT_ONCE = 8
_SECRET = "oidc-secret"  # noqa: S105 - the name of a file


class Metadata(msgspec.Struct, frozen=True):
    """OpenID Connect Discovery, as far as it is asked for."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    authorization_response_iss_parameter_supported: bool = False


class _Tokens(msgspec.Struct, frozen=True):
    id_token: str


class Provider:
    """`context` says whose certificates are believed; in `folder` an administrator may put the client's secret."""

    def __init__(
        self,
        desk: Desk,
        folder: Path,
        context: Callable[[], TlsContext],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._folder = folder
        self._context = context
        self._ticks = ticks
        self._metadata: Metadata | None = None
        self._keys: Keys | None = None
        self._asked = 0.0  # monotonic
        self._looked = 0.0
        self._paused = 0.0
        self._active = 0

    async def begin(self, at: At) -> tuple[str, str]:
        """Where the browser goes, and the cookie it comes back with. Raises `Refused`."""
        settings, browser = self._settings(), secret.new()
        try:
            metadata = await self._known(settings)
        except Unbelieved as error:
            raise self._refused(at, error) from error
        state = tickets.written(self._desk.tickets.make(_STATE, browser, seconds=_SECONDS))
        query = {
            "response_type": "code",
            "client_id": settings.client,
            "redirect_uri": self._desk.origin + CALLBACK,
            "scope": "openid email profile",
            "state": state,
            "nonce": _derived("nonce", browser),
            "code_challenge": _text(sha256(_derived("verifier", browser).encode()).digest()),
            "code_challenge_method": "S256",
        }
        joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(query)}", browser

    async def finish(self, query: dict[str, str], browser: str, at: At) -> Person:
        """Who came back. Raises `Refused`."""
        settings = self._settings()
        state = tickets.read(query.get("state", ""))
        if not browser or self._desk.tickets.take(state, _STATE, browser) is None:
            raise self._refused(at, Unbelieved("it answers no log-in that this browser began"))
        if self._active >= _AT_ONCE:
            raise Refused("wait", 1.0)
        self._active += 1
        try:
            claims = await self._claims(settings, query, browser)
            person = self._person(settings, claims)
        except Unbelieved as error:
            raise self._refused(at, error) from error
        finally:
            self._active -= 1
        return person

    def _settings(self) -> Oidc:
        found = self._desk.settings.oidc
        if found is None:
            raise Refused("provider")
        return found

    def _refused(self, at: At, error: Unbelieved) -> Refused:
        self._desk.fail("provider", "", at)
        self._desk.trail(f"a log-in by the provider from {at.address} was refused: {error}")
        return Refused("provider")

    async def _claims(self, settings: Oidc, query: dict[str, str], browser: str) -> dict[str, Any]:
        metadata = await self._known(settings)
        # RFC 9207: the answer of another provider must not be taken to this one.
        issuer = query.get("iss", "" if metadata.authorization_response_iss_parameter_supported else settings.issuer)
        if issuer != settings.issuer:
            raise Unbelieved("the answer is of another issuer")
        if "error" in query or not query.get("code"):
            raise Unbelieved(f"the provider said {query.get('error', 'nothing')[:64]!r}")
        form = {
            "grant_type": "authorization_code",
            "code": query["code"],
            "redirect_uri": self._desk.origin + CALLBACK,
            "client_id": settings.client,
            "code_verifier": _derived("verifier", browser),
            **self._secret(),
        }
        try:
            token = msgspec.json.decode(await self._fetch(metadata.token_endpoint, form), type=_Tokens).id_token
        except msgspec.DecodeError as error:
            raise Unbelieved(f"{metadata.token_endpoint} gave no ID token: {error}") from error
        claims = await self._signed(metadata, token)
        nonce = _derived("nonce", browser)
        check(claims, issuer=settings.issuer, client=settings.client, nonce=nonce, now=self._desk.clock())
        return claims

    def _secret(self) -> dict[str, str]:
        """For providers that want one of every client."""
        try:
            return {"client_secret": (self._folder / _SECRET).read_text().strip()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Unbelieved(f"{self._folder / _SECRET}: {error}") from error

    def _person(self, settings: Oidc, claims: dict[str, Any]) -> Person:
        value = claims.get(settings.claim)
        if not isinstance(value, str) or not value:
            raise Unbelieved(f"the token has no claim {settings.claim}")
        # An address that nobody looked at is what its owner says: with it anybody would be anybody.
        if settings.claim == "email" and claims.get("email_verified") is not True:
            raise Unbelieved("the provider does not say that it has verified the address")
        person = self._desk.person(value)
        if person is None:
            raise Unbelieved(f"{value[:100]!r} is nobody of the policy")
        return person

    # --- what the provider says of itself ---------------------------------------------------------------------------

    async def _known(self, settings: Oidc) -> Metadata:
        now = self._ticks()
        known = self._metadata
        if known is not None and known.issuer == settings.issuer and now - self._asked < _FRESH:
            return known
        if now < self._paused:
            raise Unbelieved("the provider was asked just now, in vain")
        place = f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        self._paused = now + _PAUSE  # strangers make no flood of questions to it
        try:
            found = msgspec.json.decode(await self._fetch(place), type=Metadata)
        except msgspec.DecodeError as error:
            raise Unbelieved(f"{place}: {error}") from error
        if found.issuer != settings.issuer:
            raise Unbelieved(f"{place} is of the issuer {found.issuer[:100]!r}")
        for one in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            if urlsplit(one).scheme != "https" or not urlsplit(one).hostname:
                raise Unbelieved(f"{place} names {one[:100]!r}, which is no https")
        self._metadata, self._keys, self._asked, self._paused = found, None, now, 0.0
        return found

    async def _signed(self, metadata: Metadata, token: str) -> dict[str, Any]:
        """What it says, by the keys that are known or, now and then, by new ones: providers change theirs."""
        if self._keys is not None:
            try:
                return self._keys.claims(token)
            except Unbelieved:
                if self._ticks() - self._looked < _AGAIN:
                    raise
        self._looked = self._ticks()
        self._keys = Keys(await self._fetch(metadata.jwks_uri))
        return self._keys.claims(token)

    async def _fetch(self, url: str, form: dict[str, str] | None = None) -> bytes:
        """Raises `Unbelieved`."""
        method = "GET" if form is None else "POST"
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session,
                session.request(
                    method, url, data=form, ssl=self._context(), allow_redirects=False,
                    headers={"Accept": "application/json"},
                ) as response,
            ):  # fmt: skip
                if response.status != 200:
                    raise Unbelieved(f"{url} answers {response.status}")
                body = await response.content.read(_MOST_BYTES + 1)
                while not response.content.at_eof() and len(body) <= _MOST_BYTES:
                    body += await response.content.read(_MOST_BYTES + 1)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Unbelieved(f"{url}: {error or type(error).__name__}") from error
        if len(body) > _MOST_BYTES:
            raise Unbelieved(f"{url} answers more than {_MOST_BYTES} bytes")
        return body


def _derived(what: str, browser: str) -> str:
    """The nonce and the verifier of a log-in. Only the browser's cookie makes them, so nothing is kept here, and who
    sees the one in a URL learns nothing of the other."""
    return _text(sha256(f"{what} {browser}".encode()).digest())


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
