"""Keys and signatures of generations."""

from __future__ import annotations

from pathlib import Path

import pytest

from crypto.signing import KeyFileError, load_or_create, verify

DIGEST = "ab" * 32


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    key = load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create(path).public == key.public


def test_a_signature_is_of_one_digest_by_one_key(tmp_path: Path) -> None:
    key, other = load_or_create(tmp_path / "a"), load_or_create(tmp_path / "b")
    signature = key.sign(DIGEST)
    assert verify(key.public, DIGEST, signature)
    assert not verify(key.public, "cd" * 32, signature)
    assert not verify(other.public, DIGEST, signature)
    assert not verify(key.public, DIGEST, bytes(64))
    assert not verify(b"short", DIGEST, signature)


@pytest.mark.parametrize("wrong", ["", "ab", "AB" * 32, "zz" * 32, DIGEST + "\n"])
def test_only_digests_are_signed(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ValueError, match="no SHA-256 digest"):
        load_or_create(tmp_path / "a").sign(wrong)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    load_or_create(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="open to others"):
        load_or_create(path)
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(KeyFileError, match="no private key"):
        load_or_create(path)
