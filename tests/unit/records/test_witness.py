"""Checkpoints to a witness and what its answers mean, and a trail that forked."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.control.messages.audit import WitnessSaid
from appliance.policy.records import Witness as Named
from appliance.records.checkpoint import NoteError, Opened, open_checkpoint
from appliance.records.merkle import Edge, leaf_hashes
from appliance.records.witness import parse_request, request
from appliance.records.witnessing import Witnesses
from tests.unit.records.logs import KEY, audited, signed
from tests.witness import Witness

ENTRIES = audited(700)


class Log:
    """A log in memory as recordd has it, and one witness of it."""

    def __init__(self, folder: Path, entries: list[bytes]) -> None:
        self.hashes: dict[int, list[bytes]] = {}
        for level, new in enumerate(Edge().add(leaf_hashes(entries))):
            self.hashes.setdefault(level, []).extend(new)
        self.told: list[str] = []
        self.entries = entries
        self.witnesses = Witnesses(folder, self.read, self.told.append)

    def read(self, level: int, start: int, stop: int) -> list[bytes]:
        return self.hashes[level][start:stop]

    def carry(self, witness: Witness, newest: Opened) -> tuple[str, bool] | None:
        """One round; what recordd heard, None when nothing was to be posted."""
        self.witnesses.follow((Named("w1", witness.key.encode(), "https://w.example/"),))
        posts = self.witnesses.posts(newest).posts
        if not posts:
            return None
        assert posts[0].address == "https://w.example/add-checkpoint"
        status, body = witness.add_checkpoint(posts[0].body)
        heard = self.witnesses.said(WitnessSaid("w1", status, body))
        return heard.words, heard.again


def test_a_request_reads_back_as_it_was_written() -> None:
    note = signed(ENTRIES[:5]).note.encode()
    body = request(3, [bytes(32), bytes(range(32))], note)
    assert body.startswith(b"old 3\n")
    asked = parse_request(body)
    assert (asked.old, asked.proof, asked.note) == (3, (bytes(32), bytes(range(32))), note)


@pytest.mark.parametrize(
    "body", [b"", b"old 1\n", b"new 1\n\nx", b"old 01\n\nx", b"old 1\n!\n\nx", b"old 1\n" + b"QQ==\n" * 64 + b"\nx"]
)
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(NoteError):
        parse_request(body)


def test_a_witness_cosigns_what_continues_what_it_saw(tmp_path: Path) -> None:
    log, witness = Log(tmp_path, ENTRIES), Witness(KEY)
    for size in (1, 256, 300, 700):
        newest = signed(ENTRIES[:size])
        log.witnesses._offered.clear()  # as after its two seconds
        assert log.carry(witness, newest) == ("", False)
        opened = open_checkpoint(log.witnesses.cosigned(), KEY, [witness.key])
        assert opened.checkpoint == newest.checkpoint
        assert [one.witness for one in opened.cosigned] == [witness.key.name]
        log.witnesses._offered.clear()
        assert log.carry(witness, newest) is None  # it has that one
    assert log.told == []


def test_two_witnesses_of_one_checkpoint_stand_side_by_side(tmp_path: Path) -> None:
    log = Log(tmp_path, ENTRIES)
    first, second = Witness(KEY), Witness(KEY, "witness.example/w2", 2)
    newest = signed(ENTRIES)
    log.carry(first, newest)
    log.witnesses.follow((Named("w2", second.key.encode(), "https://w.example/"),))
    [post] = log.witnesses.posts(newest).posts
    log.witnesses.said(WitnessSaid("w2", *second.add_checkpoint(post.body)))
    opened = open_checkpoint(log.witnesses.cosigned(), KEY, [first.key, second.key])
    assert {one.witness for one in opened.cosigned} == {first.key.name, second.key.name}


def test_a_gateway_that_forgot_how_a_witness_stands_learns_it_from_its_answer(tmp_path: Path) -> None:
    log, witness = Log(tmp_path / "one", ENTRIES), Witness(KEY)
    (tmp_path / "one").mkdir()
    assert log.carry(witness, signed(ENTRIES[:300])) == ("", False)
    (tmp_path / "two").mkdir()
    again = Log(tmp_path / "two", ENTRIES)
    newest = signed(ENTRIES)
    assert again.carry(witness, newest) == ("", True)
    assert again.carry(witness, newest) == ("", False)
    assert witness.last == newest.checkpoint
    assert again.told == []


def test_how_a_witness_stands_is_kept_over_a_restart(tmp_path: Path) -> None:
    witness = Witness(KEY)
    Log(tmp_path, ENTRIES).carry(witness, signed(ENTRIES[:300]))
    again = Log(tmp_path, ENTRIES)
    assert again.carry(witness, signed(ENTRIES)) == ("", False)
    [listed] = again.witnesses.listed().witnesses
    assert (listed.size, listed.words) == (700, "")


def test_a_rewritten_trail_gets_no_cosignature_and_it_is_told(tmp_path: Path) -> None:
    witness = Witness(KEY)
    Log(tmp_path, ENTRIES).carry(witness, signed(ENTRIES[:300]))
    forged = [*ENTRIES[:100], b"never was", *ENTRIES[101:]]
    log = Log(tmp_path, forged)
    heard = log.carry(witness, signed(forged))
    assert heard is not None
    assert "does not continue the 300 entries" in heard[0]
    assert len(log.told) == 1
    assert witness.last.size == 300


def test_a_trail_that_was_cut_off_is_told(tmp_path: Path) -> None:
    witness = Witness(KEY)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    Log(tmp_path / "one", ENTRIES).carry(witness, signed(ENTRIES))
    log = Log(tmp_path / "two", ENTRIES[:400])
    heard = log.carry(witness, signed(ENTRIES[:400]))
    assert heard is not None
    assert "one of them was cut off" in heard[0]
    assert "w1" in log.told[0]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"", "is no cosignature"),
        (200, b"nonsense", "is no cosignature"),
        (404, b"", "does not know this trail"),
        (403, b"", "does not take the trail's key"),
        (500, b"", "status 500"),
        (0, b"it cannot be reached: no route", ""),
    ],
)
def test_a_bad_answer_is_believed_in_nothing(tmp_path: Path, status: int, body: bytes, words: str) -> None:
    log, witness = Log(tmp_path, ENTRIES), Witness(KEY)
    log.witnesses.follow((Named("w1", witness.key.encode(), "https://w.example/"),))
    log.witnesses.posts(signed(ENTRIES))
    heard = log.witnesses.said(WitnessSaid("w1", status, body))
    assert words in heard.words
    assert log.witnesses.cosigned() == b""
    [listed] = log.witnesses.listed().witnesses
    assert listed.size == 0
    assert listed.words


def test_a_cosignature_of_somebody_else_is_none(tmp_path: Path) -> None:
    log, witness, other = Log(tmp_path, ENTRIES), Witness(KEY), Witness(KEY, "witness.example/w1", 9)
    log.witnesses.follow((Named("w1", witness.key.encode(), "https://w.example/"),))
    [post] = log.witnesses.posts(signed(ENTRIES)).posts
    heard = log.witnesses.said(WitnessSaid("w1", *other.add_checkpoint(post.body)))
    assert "not signed with its key" in heard.words
    assert log.witnesses.cosigned() == b""
