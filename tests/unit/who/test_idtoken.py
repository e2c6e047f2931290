"""ID tokens: who signed, for whom, when, for which log-in."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.idtoken import Keys, Unbelieved, check
from tests.unit.who.provider import CurveSigner, Signer

SIGNER = Signer()
NOW = 1_800_000_000.0
GOOD: dict[str, Any] = {
    "iss": "https://login.example", "aud": "reef", "sub": "u-1", "nonce": "n-1", "iat": NOW - 5, "exp": NOW + 300,
}  # fmt: skip


def held(claims: dict[str, Any]) -> None:
    check(claims, issuer="https://login.example", client="reef", nonce="n-1", now=NOW)


@pytest.mark.parametrize("signer", [SIGNER, CurveSigner()])
def test_a_good_token_is_believed(signer: Signer) -> None:
    claims = Keys(signer.document()).claims(signer.token(GOOD))
    assert claims["sub"] == "u-1"
    held(claims)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"iss": "https://login.example/"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "other"}, "somebody else"),
        ({"aud": ["other"]}, "somebody else"),
        ({"aud": ["reef", "other"]}, "for several"),
        ({"aud": ["reef", "other"], "azp": "other"}, "asked for it"),
        ({"azp": "other"}, "asked for it"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": None}, "exp is no time"),
        ({"exp": True}, "exp is no time"),
        ({"exp": "tomorrow"}, "exp is no time"),
        ({"iat": NOW + 61}, "future"),
        ({"iat": NOW - 601}, "old"),
        ({"nbf": NOW + 61}, "future"),
        ({"nonce": "n-2"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": ""}, "who it is of"),
    ],
)
def test_a_token_that_is_not_for_this_log_in_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Unbelieved, match=said):
        held({**GOOD, **changed})


def test_clocks_may_differ_by_a_minute() -> None:
    held({**GOOD, "exp": NOW - 30, "iat": NOW + 30})


def test_a_forged_token_is_refused() -> None:
    keys, other = Keys(SIGNER.document()), Signer()
    with pytest.raises(Unbelieved):
        keys.claims(other.token(GOOD))  # the same name of a key, another key
    with pytest.raises(Unbelieved):
        keys.claims(Signer("three").token(GOOD))
    head, body, signature = SIGNER.token(GOOD).split(".")
    _, evil, _ = other.token({**GOOD, "sub": "u-2"}).split(".")
    for forged in (f"{head}.{evil}.{signature}", f"{head}.{body}.", f"{head}.{body}", "", "a.b.c", "x" * 20_000):
        with pytest.raises(Unbelieved):
            keys.claims(forged)


def test_a_token_without_a_signature_or_under_a_shared_secret_is_refused() -> None:
    """`alg: none`, and a public key taken for the secret of an HMAC: the two old ways in."""
    keys = Keys(SIGNER.document())
    signing = ".".join(_part(one) for one in ({"alg": "HS256", "kid": "one"}, GOOD))
    secret = SIGNER.key.as_pem(private=False)
    with pytest.raises(Unbelieved):
        keys.claims(f"{signing}.{_encoded(hmac.digest(secret, signing.encode(), 'sha256'))}")
    with pytest.raises(Unbelieved):
        keys.claims(".".join([_part({"alg": "none"}), _part(GOOD), ""]))


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _part(value: dict[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys":[]}', b'{"keys":[1]}', b'{"keys":[{"kty":"oct","k":"AAAA"}]}',
     b'{"keys":[{"kty":"RSA"}]}', b'{"keys":{}}'],
)  # fmt: skip
def test_what_holds_no_keys_is_refused(document: bytes) -> None:
    with pytest.raises(Unbelieved):
        Keys(document)


@pytest.mark.filterwarnings("ignore:Key size")
def test_a_weak_key_and_one_for_encryption_sign_nothing() -> None:
    weak = Signer(bits=1024)
    with pytest.raises(Unbelieved):
        Keys(weak.document()).claims(weak.token(GOOD))
    document = json.loads(SIGNER.document())
    document["keys"][0]["use"] = "enc"
    with pytest.raises(Unbelieved):
        Keys(json.dumps(document).encode())


@given(st.integers(0, 2000), st.sampled_from("AZaz09-_."))
def test_a_token_with_a_letter_changed_says_nothing_else(at: int, letter: str) -> None:
    token = SIGNER.token(GOOD)
    changed = token[: at % len(token)] + letter + token[at % len(token) + 1 :]
    try:
        claims = Keys(SIGNER.document()).claims(changed)
    except Unbelieved:
        return
    assert claims == GOOD
