"""Passkeys: real ones are believed; from elsewhere, for elsewhere, copied, replayed or broken ones are not."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from crypto import webauthn
from crypto.webauthn import Passkey, Rejected, Relying
from tests.unit.who.authenticator import BE, BS, UP, UV, Authenticator, b64, unb64

ORIGIN = "https://gateway.example:8444"
HERE = Relying("gateway.example", (ORIGIN,))


def made(device: Authenticator, **changed: Any) -> Passkey:
    challenge = webauthn.challenge()
    options = webauthn.creation(HERE, b"h" * 32, "amara", "Amara Diaz", challenge)
    return webauthn.created(HERE, device.create(options, changed.pop("origin", ORIGIN), **changed), challenge)


def use(device: Authenticator, key: Passkey, **changed: Any) -> webauthn.Asserted:
    challenge = changed.pop("expected", webauthn.challenge())
    answer = device.get(webauthn.request(HERE, challenge), changed.pop("origin", ORIGIN), **changed)
    return webauthn.asserted(HERE, answer, challenge, key.public, key.count, key.eligible)


def test_what_a_browser_is_asked_for() -> None:
    options = webauthn.creation(HERE, b"h" * 32, "amara", "Amara Diaz", b"c" * 32, [b"known"])
    assert options["rp"]["id"] == "gateway.example"
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["attestation"] == "none"
    assert options["excludeCredentials"][0]["id"] == b64(b"known")
    asked = webauthn.request(HERE, b"c" * 32)
    assert asked["userVerification"] == "required" and asked["rpId"] == "gateway.example"
    assert not asked.get("allowCredentials"), "who logs in names nobody"


@pytest.mark.parametrize("count", [0, 1, 77])
def test_a_passkey_is_made_and_used(count: int) -> None:
    device = Authenticator(count=count)
    key = made(device)
    assert (key.id, key.count, key.eligible, key.backed_up) == (device.id, count, False, False)
    assert use(device, key).count == (count + 1 if count else 0)
    answer = device.get(webauthn.request(HERE, b"c" * 32), ORIGIN)
    assert webauthn.used(answer) == (device.id, b"h" * 32)


def test_a_passkey_that_was_copied_to_a_cloud_is_known_as_such() -> None:
    device = Authenticator(flags=UP | UV | BE)
    key = made(device)
    assert key.eligible and not key.backed_up
    device.flags |= BS
    assert use(device, key).backed_up
    with pytest.raises(Rejected, match="copied"):
        use(device, key, flags=UP | UV)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"origin": "https://gateway.example.evil.example"}, "origin"),
        ({"origin": "http://gateway.example:8444"}, "origin"),
        ({"rp": "evil.example"}, "RP ID"),
        ({"kind": "webauthn.get"}, "type"),
        ({"challenge": b64(b"x" * 32)}, "challenge"),
        ({"cross": True}, "page within a page"),
        ({"fmt": "tpm"}, "not asked for"),
        ({"fmt": "packed", "statement": {"alg": -7, "sig": b"s", "x5c": [b"c"]}}, "not asked for"),
        ({"fmt": "packed", "statement": {"alg": -7, "sig": b"s"}}, "[Ss]ignature|verif"),
        ({"data": b"short"}, "malformed|shorter|bytes"),
    ],
)
def test_a_registration_that_is_not_for_us_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(Rejected, match=said):
        made(Authenticator(), **changed)


def test_a_registration_without_the_person_being_verified_is_refused() -> None:
    with pytest.raises(Rejected, match="verif"):
        made(Authenticator(flags=UP))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"origin": "https://evil.example"}, "origin"),
        ({"rp": "evil.example"}, "RP ID"),
        ({"kind": "webauthn.create"}, "type"),
        ({"challenge": b64(b"x" * 32)}, "challenge"),
        ({"flags": UP}, "verif"),
        ({"flags": UV}, "present"),
        ({"cross": True}, "page within a page"),
        ({"signer": ec.generate_private_key(ec.SECP256R1())}, "signature"),
    ],
)
def test_an_assertion_that_is_not_for_us_is_refused(changed: dict[str, Any], said: str) -> None:
    device = Authenticator()
    key = made(device)
    with pytest.raises(Rejected, match=said):
        use(device, key, **changed)


def test_a_counter_that_does_not_grow_is_a_copy() -> None:
    device = Authenticator(count=5)
    key = made(device)
    device.count = 4  # the next use says 5, as before
    with pytest.raises(Rejected, match="count"):
        use(device, key)


@given(st.recursive(st.none() | st.text(max_size=9) | st.integers() | st.binary(max_size=9).map(b64),
                    lambda inner: st.dictionaries(
                        st.sampled_from(["id", "rawId", "type", "response", "clientDataJSON", "attestationObject",
                                         "authenticatorData", "signature", "userHandle"]), inner)))  # fmt: skip
def test_what_is_no_answer_is_refused_and_nothing_else_happens(answer: Any) -> None:
    given = answer if isinstance(answer, dict) else {"id": answer}
    with pytest.raises(Rejected):
        webauthn.created(HERE, given, b"c" * 32)
    with pytest.raises(Rejected):
        webauthn.asserted(HERE, given, b"c" * 32, b"p", 0, False)


@given(st.integers(0, 200), st.integers(0, 255), st.sampled_from(["attestationObject", "clientDataJSON"]))
def test_a_registration_with_a_byte_changed_is_refused_or_is_no_other_key(at: int, byte: int, part: str) -> None:
    """Attestation `none` signs nothing: what must not happen is anything but `Rejected`, or a key of another name."""
    challenge = b"c" * 32
    answer = DEVICE.create(webauthn.creation(HERE, b"h" * 32, "a", "A", challenge), ORIGIN)
    data = bytearray(unb64(answer["response"][part]))
    data[at % len(data)] = byte
    answer["response"][part] = b64(bytes(data))
    try:
        found = webauthn.created(HERE, answer, challenge)
    except Rejected:
        return
    assert 0 < len(found.id) <= webauthn.MAX_ID and found.public


DEVICE = Authenticator()
SIGNED = ("authenticatorData", "clientDataJSON", "signature")


@given(
    st.integers(0, 400), st.integers(1, 255), st.sampled_from(["authenticatorData", "clientDataJSON", "signature"])
)
def test_an_assertion_with_a_byte_changed_is_refused(at: int, change: int, part: str) -> None:
    answer = DEVICE.get(webauthn.request(HERE, b"c" * 32), ORIGIN)
    data = bytearray(unb64(answer["response"][part]))
    data[at % len(data)] ^= change
    answer["response"][part] = b64(bytes(data))
    with pytest.raises(Rejected):
        webauthn.asserted(HERE, answer, b"c" * 32, KEY.public, 0, False)


KEY = made(DEVICE)
