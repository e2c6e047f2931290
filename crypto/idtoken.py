"""ID tokens of OpenID Connect: signed by whom the policy trusts, for this gateway, now, and for this very log-in."""

from __future__ import annotations

import hmac
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

MAX_TOKEN = 16 << 10  # bytes
_ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519")
_LEEWAY = 60  # seconds by which clocks may differ
_OLDEST = 600  # seconds: it was made for this log-in, which takes no longer
_MOST_KEYS = 32
_RSA_BITS = 2048


class Unbelieved(Exception):
    """The token, or the keys it should be signed with, are not to be believed; the text says why, for the log."""


class Keys:
    """The keys of a provider, from its JWKS document. Raises `Unbelieved`."""

    def __init__(self, document: bytes) -> None:
        try:
            read = msgspec.json.decode(document, type=dict[str, Any])
            listed = read.get("keys")
            if not isinstance(listed, list) or not 0 < len(listed) <= _MOST_KEYS:
                raise Unbelieved(f"a document of keys has from 1 to {_MOST_KEYS} of them")
            # Secret keys, and those that encrypt, are none of ours: who could choose them could choose the algorithm.
            wanted = [
                one
                for one in listed
                if isinstance(one, dict) and one.get("kty") in ("RSA", "EC", "OKP") and one.get("use", "sig") == "sig"
            ]
            found = KeySet.import_key_set({"keys": wanted})
        except (JoseError, ValueError, TypeError, LookupError) as error:
            raise Unbelieved(f"the keys cannot be read: {error}") from error
        self._keys = KeySet([one for one in found if _strong(one)])

    def claims(self, token: str) -> dict[str, Any]:
        """What a token says that one of these keys signed. Raises `Unbelieved`."""
        if len(token) > MAX_TOKEN:
            raise Unbelieved("the token is too long")
        try:
            return dict(jwt.decode(token, self._keys, algorithms=_ALGORITHMS).claims)
        except (JoseError, ValueError, TypeError, LookupError, RecursionError) as error:
            raise Unbelieved(f"the token: {error}") from error


def check(claims: dict[str, Any], *, issuer: str, client: str, nonce: str, now: float) -> None:
    """OpenID Connect Core 3.1.3.7 for claims that `Keys.claims` gave. Raises `Unbelieved`."""
    if claims.get("iss") != issuer:
        raise Unbelieved("it is of another issuer")
    audience = claims.get("aud")
    meant = audience if isinstance(audience, list) else [audience]
    if client not in meant:
        raise Unbelieved("it is for somebody else")
    if len(meant) > 1 and "azp" not in claims:
        raise Unbelieved("it is for several, and does not say who asked for it")
    if claims.get("azp", client) != client:
        raise Unbelieved("somebody else asked for it")
    made, ends = _moment(claims, "iat"), _moment(claims, "exp")
    if ends + _LEEWAY <= now:
        raise Unbelieved("it has expired")
    if made - _LEEWAY > now or ("nbf" in claims and _moment(claims, "nbf") - _LEEWAY > now):
        raise Unbelieved("it is of the future: do the clocks differ?")
    if made + _OLDEST < now:
        raise Unbelieved("it is old")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise Unbelieved("it answers another question (nonce)")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise Unbelieved("it does not say who it is of")


def _moment(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unbelieved(f"{name} is no time")
    return float(value)


def _strong(key: Key) -> bool:
    if isinstance(key, RSAKey):
        return bool(key.raw_value.key_size >= _RSA_BITS)
    return isinstance(key, ECKey | OKPKey)
