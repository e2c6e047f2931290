"""An authenticator in software: makes passkeys and answers challenges with real signatures, as browsers send them."""

from __future__ import annotations

import base64
import json
import os
import struct
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


class Authenticator:
    """One credential. `flags` are those it sets; `count` rises at each use unless it stays 0, as synced ones do."""

    def __init__(self, *, count: int = 0, flags: int = UP | UV) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = os.urandom(32)
        self.handle = b""
        self.count = count
        self.flags = flags
        self.aaguid = bytes(16)

    def create(self, options: dict[str, Any], origin: str, **changed: Any) -> dict[str, Any]:
        """The answer to `navigator.credentials.create`."""
        self.handle = unb64(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})
        data = self._data(changed.get("rp", options["rp"]["id"]), self.flags | AT)
        data += self.aaguid + struct.pack(">H", len(self.id)) + self.id + public
        client = self._client("webauthn.create", options, origin, **changed)
        attested = {
            "fmt": changed.get("fmt", "none"),
            "attStmt": changed.get("statement", {}),
            "authData": changed.get("data", data),
        }
        return {
            "id": b64(self.id),
            "rawId": b64(self.id),
            "type": "public-key",
            "response": {"clientDataJSON": b64(client), "attestationObject": b64(cbor2.dumps(attested))},
        }

    def get(self, options: dict[str, Any], origin: str, **changed: Any) -> dict[str, Any]:
        """The answer to `navigator.credentials.get`."""
        if self.count:
            self.count += 1
        client = self._client("webauthn.get", options, origin, **changed)
        data = self._data(changed.get("rp", options["rpId"]), changed.get("flags", self.flags))
        signed = changed.get("signer", self.key).sign(data + sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return {
            "id": b64(self.id),
            "rawId": b64(self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": b64(client),
                "authenticatorData": b64(data),
                "signature": b64(signed),
                "userHandle": b64(changed.get("handle", self.handle)),
            },
        }

    def _data(self, name: str, flags: int) -> bytes:
        return sha256(name.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _client(self, usual: str, options: dict[str, Any], origin: str, **changed: Any) -> bytes:
        return json.dumps(
            {
                "type": changed.get("kind", usual),
                "challenge": changed.get("challenge", options["challenge"]),
                "origin": origin,
                "crossOrigin": changed.get("cross", False),
            }
        ).encode()
