"""Checkpoints as signed notes: the examples of the specifications, and everything that is none."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.records.checkpoint import (
    COSIGNATURE,
    Checkpoint,
    Key,
    Note,
    NoteError,
    Signature,
    cosignature,
    cosigned_message,
    open_checkpoint,
    parse_checkpoint,
    parse_key,
    parse_note,
)
from crypto.notes import sign_checkpoint

# The example of C2SP tlog-checkpoint and tlog-cosignature.
EXAMPLE = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u2014 witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
# A verifier key with a known id: the checksum database of Go.
SUM = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
ORIGIN = "reef/0123456789abcdef"
LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
KEY = Key(ORIGIN, LOG.public_key().public_bytes_raw())
WITNESS_KEY = Key("witness.example/w1", WITNESS.public_key().public_bytes_raw(), COSIGNATURE)
POINT = Checkpoint(ORIGIN, 1234, bytes(range(32)))


def note(*more: Signature) -> bytes:
    signed = Signature(KEY.name, KEY.id, sign_checkpoint(LOG, ORIGIN, POINT.size, POINT.root))
    return Note(POINT.text(), (signed, *more)).encode()


def cosigned(seconds: int, text: str = POINT.text()) -> Signature:
    return cosignature(WITNESS_KEY, seconds, WITNESS.sign(cosigned_message(seconds, text)))


def test_the_example_of_the_specification_is_read_and_written_back() -> None:
    parsed = parse_note(EXAMPLE.encode())
    assert parsed.encode() == EXAMPLE.encode()
    assert [signature.name for signature in parsed.signatures] == [
        "example.com/behind-the-sofa",
        "witness.example.com/w1",
    ]
    point = parse_checkpoint(parsed.text)
    assert (point.origin, point.size) == ("example.com/behind-the-sofa", 20852163)
    assert point.text() == parsed.text
    assert int.from_bytes(parsed.signatures[1].blob[:8], "big") == 1679315147


def test_a_public_verifier_key_has_the_id_that_its_owner_gave_it() -> None:
    key = parse_key(SUM)
    assert key.id.hex() == "033de0ae"
    assert key.encode() == SUM
    with pytest.raises(NoteError, match="copied wrong"):
        parse_key(SUM.replace("033de0ae", "033de0af"))


def test_a_signed_checkpoint_opens_with_its_key_and_its_witness() -> None:
    opened = open_checkpoint(note(cosigned(1_700_000_000)), KEY, [WITNESS_KEY])
    assert opened.checkpoint == POINT
    assert [(one.witness, one.time) for one in opened.cosigned] == [("witness.example/w1", 1_700_000_000)]


def test_signatures_of_strangers_are_passed_over() -> None:
    stranger = Signature(KEY.name, b"abcd", b"x" * 64)
    assert open_checkpoint(note(stranger), KEY).cosigned == ()
    with pytest.raises(NoteError, match="did not sign"):
        open_checkpoint(Note(POINT.text(), (stranger,)).encode(), KEY)


@pytest.mark.parametrize("at", range(0, len(POINT.text()), 7))
def test_a_changed_letter_of_a_checkpoint_is_found(at: int) -> None:
    whole = bytearray(note())
    whole[at] ^= 1
    with pytest.raises(NoteError):
        open_checkpoint(bytes(whole), KEY)


def test_a_witness_vouches_for_its_own_text_and_time_only() -> None:
    other = cosigned(1_700_000_000, Checkpoint(ORIGIN, 1235, POINT.root).text())
    with pytest.raises(NoteError, match="cosignature"):
        open_checkpoint(note(other), KEY, [WITNESS_KEY])
    right = cosigned(1_700_000_000)
    later = Signature(right.name, right.id, (1_700_000_001).to_bytes(8, "big") + right.blob[8:])
    with pytest.raises(NoteError, match="cosignature"):
        open_checkpoint(note(later), KEY, [WITNESS_KEY])


def test_a_signature_of_another_kind_of_key_counts_for_nothing() -> None:
    """The same key and name as a log's and as a witness's have two ids, so that one never passes for the other."""
    as_log = Key(WITNESS_KEY.name, WITNESS_KEY.public)
    assert as_log.id != WITNESS_KEY.id
    assert open_checkpoint(note(Signature(as_log.name, as_log.id, b"x" * 72)), KEY, [WITNESS_KEY]).cosigned == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n",
        "origin\n1\n",
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "origin\n1\n" + base64.b64encode(bytes(32)).decode(),
        "origin\n1\n!" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n1\n" + base64.b64encode(bytes(32)).decode() + "\n\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n\n",
        b"text\n\n- name AAAAAAAA\n",
        "text\n\n\u2014 na me AAAAAAAA\n".encode(),
        "text\n\n\u2014 name AAAA\n".encode(),
        "te\x07xt\n\n\u2014 name AAAAAAAA\n".encode(),
        b"\xff\n\n",
        "text\n\n\u2014 name AAAAAAAA".encode(),
        b"x" * (1 << 17),
        ("text\n\n" + "\u2014 name AAAAAAAA\n" * 65).encode(),
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteError):
        parse_note(data)


@pytest.mark.parametrize("origin", ["", "two words", "reef generation 1\0", "a\nb", "a+b", "-x"])
def test_the_key_of_the_records_signs_nothing_but_checkpoints(origin: str) -> None:
    with pytest.raises(ValueError, match="checkpoint"):
        sign_checkpoint(LOG, origin, 1, bytes(32))
    with pytest.raises(ValueError, match="checkpoint"):
        sign_checkpoint(LOG, ORIGIN, 1, bytes(31))
