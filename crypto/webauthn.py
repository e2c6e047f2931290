"""Passkeys (WebAuthn level 2): what a browser is asked for, and whether its answer is to be believed.

The person is always verified by the device (fingerprint, face, PIN), the credential is discoverable, so that nobody
types a name, and no attestation is asked for: which make of key somebody has is not our business, and a chain of
strangers' certificates is nothing to parse in the process that talks to the network.
"""

from __future__ import annotations

import base64
import secrets
import struct
from collections.abc import Iterable
from typing import Any

import msgspec
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import (
    options_to_json_dict,
    parse_attestation_object,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

CHALLENGE_BYTES = 32
MAX_ID = 1023  # bytes of a credential's id (WebAuthn 5.8.3)
_MAX_KEY = 2048  # bytes of a public key
_TIMEOUT = 120_000  # milliseconds, for the browser
_ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
# What py_webauthn and cryptography raise for bytes that are no answer; to the caller they are all the same.
_MALFORMED = (WebAuthnException, ValueError, TypeError, LookupError, AttributeError, struct.error, RecursionError)


class Rejected(Exception):
    """The answer is not believed; the text says why, for the log."""


class Relying(msgspec.Struct, frozen=True):
    """Who asks: the name that passkeys are bound to (RP ID), and the origins that pages of it have."""

    name: str
    origins: tuple[str, ...]


class Passkey(msgspec.Struct, frozen=True):
    """A new credential. `public` is its key as COSE. `eligible`: it may be copied to other devices."""

    id: bytes
    public: bytes
    count: int
    eligible: bool
    backed_up: bool


class Asserted(msgspec.Struct, frozen=True):
    """What became of a credential that was used."""

    count: int
    backed_up: bool


def challenge() -> bytes:
    return secrets.token_bytes(CHALLENGE_BYTES)


def creation(
    relying: Relying, handle: bytes, login: str, words: str, challenge: bytes, known: Iterable[bytes] = ()
) -> dict[str, Any]:
    """What `navigator.credentials.create` is asked (its JSON form). `handle` is what the device keeps for the person,
    and says nothing about them; `known` are credentials that they have already."""
    return options_to_json_dict(
        generate_registration_options(
            rp_id=relying.name,
            rp_name=f"Reef {relying.name}",
            user_id=handle,
            user_name=login,
            user_display_name=words or login,
            challenge=challenge,
            timeout=_TIMEOUT,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                require_resident_key=True,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(one) for one in known],
            supported_pub_key_algs=_ALGORITHMS,
        )
    )


def request(relying: Relying, challenge: bytes) -> dict[str, Any]:
    """What `navigator.credentials.get` is asked (its JSON form): any passkey of this name."""
    return options_to_json_dict(
        generate_authentication_options(
            rp_id=relying.name,
            challenge=challenge,
            timeout=_TIMEOUT,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
    )


def challenge_of(answer: dict[str, Any]) -> bytes:
    """The challenge that an answer says it is to. Raises `Rejected`."""
    try:
        encoded = answer["response"]["clientDataJSON"]
        if not isinstance(encoded, str):
            raise Rejected("clientDataJSON is no text")
        client = parse_client_data_json(_decode(encoded))
    except _MALFORMED as error:
        raise Rejected(f"clientDataJSON cannot be read: {error}") from error
    if client.cross_origin:
        raise Rejected("the answer was made in a page within a page")
    return client.challenge


def created(relying: Relying, answer: dict[str, Any], challenge: bytes) -> Passkey:
    """The credential that was made for `challenge`. Raises `Rejected`."""
    challenge_of(answer)
    try:
        given = parse_registration_credential_json(answer)
        form = parse_attestation_object(given.response.attestation_object)
        # A browser that was asked for none sends none, or what a key signed with itself; never a certificate.
        if form.fmt not in ("none", "packed") or form.att_stmt.x5c is not None:
            raise Rejected(f"attestation {str(form.fmt)[:32]!r} was not asked for")
        found = verify_registration_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=relying.name,
            expected_origin=list(relying.origins),
            require_user_verification=True,
            supported_pub_key_algs=_ALGORITHMS,
        )
    except _MALFORMED as error:
        raise Rejected(str(error) or type(error).__name__) from error
    if not 0 < len(found.credential_id) <= MAX_ID or len(found.credential_public_key) > _MAX_KEY:
        raise Rejected("the credential's id or key is too long")
    eligible = found.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    return Passkey(
        found.credential_id, found.credential_public_key, found.sign_count, eligible, found.credential_backed_up
    )


def used(answer: dict[str, Any]) -> tuple[bytes, bytes]:
    """(id of the credential, handle of the person) that an answer names; nothing of it is verified yet. Raises
    `Rejected`."""
    try:
        given = parse_authentication_credential_json(answer)
    except _MALFORMED as error:
        raise Rejected(str(error) or type(error).__name__) from error
    return given.raw_id, given.response.user_handle or b""


def asserted(
    relying: Relying, answer: dict[str, Any], challenge: bytes, public: bytes, count: int, eligible: bool
) -> Asserted:
    """Whether the holder of `public` answered this challenge here, with the person verified. A counter that did not
    grow is a copy of the key; that a key may be copied is fixed when it is made. Raises `Rejected`."""
    challenge_of(answer)
    try:
        found = verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=relying.name,
            expected_origin=list(relying.origins),
            credential_public_key=public,
            credential_current_sign_count=count,
            require_user_verification=True,
        )
    except _MALFORMED as error:
        raise Rejected(str(error) or type(error).__name__) from error
    if (found.credential_device_type is CredentialDeviceType.MULTI_DEVICE) != eligible:
        raise Rejected("the credential says otherwise than before whether it may be copied")
    return Asserted(found.new_sign_count, found.credential_backed_up)


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
