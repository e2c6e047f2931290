"""Passphrases and one-time codes."""

from __future__ import annotations

import base64

import pytest

from crypto import passphrase, totp

RFC = base64.b32encode(b"12345678901234567890").decode()  # RFC 6238, appendix B


def test_a_passphrase_is_known_again_and_another_is_not() -> None:
    kept = passphrase.keep("correct horse battery")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "correct" not in kept
    assert passphrase.matches("correct horse battery", kept)
    assert not passphrase.matches("correct horse batterY", kept)
    assert not passphrase.matches("x" * 100_000, kept)
    assert not passphrase.matches("", kept)
    assert not passphrase.matches("correct horse battery", "$argon2id$nonsense")
    assert passphrase.keep("correct horse battery") != kept, "no salt"


@pytest.mark.parametrize(("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")])
def test_the_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert totp.matches(RFC, code, seconds) == seconds // 30
    assert totp.matches(RFC, f"{code[:3]} {code[3:]}", seconds) == seconds // 30


def test_a_code_is_good_around_its_time_and_once() -> None:
    step = totp.matches(RFC, "287082", 59)
    assert totp.matches(RFC, "287082", 59 + 30) == step
    assert totp.matches(RFC, "287082", 59 + 61) == -1
    assert totp.matches(RFC, "287082", 59, last=step) == -1


@pytest.mark.parametrize("code", ["", "28708", "2870822", "28708x", "٢٨٧٠٨٢"])
def test_what_is_no_code_is_none(code: str) -> None:
    assert totp.matches(RFC, code, 59) == -1


def test_a_secret_is_new_and_an_app_can_take_it_in() -> None:
    one, other = totp.secret(), totp.secret()
    assert one != other and totp.is_secret(one) and not totp.is_secret("short") and not totp.is_secret("1!")
    assert totp.uri(one, "amara", "gateway.example").startswith("otpauth://totp/gateway.example:amara?")
