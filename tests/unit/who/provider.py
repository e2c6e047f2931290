"""An OpenID provider for tests: real keys, real signatures."""

from __future__ import annotations

import json
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey


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

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "two", "use": "sig", "alg": "ES256"})  # type: ignore[assignment]

    def token(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode({"alg": "ES256", "kid": self.key.kid, **header}, claims, self.key)
