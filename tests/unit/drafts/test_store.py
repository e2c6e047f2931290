"""Drafts and proposals on disk: the same after every reopening and every kill, and never more than their bounds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from appliance.drafts import store as bounds
from appliance.drafts.book import Body, Book
from appliance.drafts.database import NAME, Database
from appliance.drafts.edits import Edit, applied
from appliance.drafts.states import Record
from appliance.drafts.store import DraftStore, Kept, StoreRefused
from appliance.drafts.undoing import after, step

RECORD = Record(0, "title", "why", "T-1", "amara", 3, "digest", "open", 1.0, 1.0)


class Disk:
    """The file, opened anew whenever a test wants to see what is really there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.said: list[str] = []
        self.reopen()

    def reopen(self) -> None:
        self.database = Database(self.directory / NAME, self.said.append)
        self.drafts, self.book = DraftStore(self.database), Book(self.database)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def changed(store: DraftStore, kept: Kept, edit: Edit, label: str = "", at: float = 0.0) -> Kept:
    return store.changed(kept, step(kept.text, (edit,), label, at), applied(kept.text, (edit,)))


def back(store: DraftStore, kept: Kept) -> Kept:
    found = store.step(kept.draft.id, kept.place)
    assert found is not None
    return store.moved(kept, kept.place - 1, after(kept.text, found.backward))


def again(store: DraftStore, kept: Kept) -> Kept:
    found = store.step(kept.draft.id, kept.place + 1)
    assert found is not None
    return store.moved(kept, kept.place + 1, after(kept.text, found.forward))


@pytest.mark.parametrize("seed", range(5))
def test_what_is_read_back_is_what_was_there(disk: Disk, seed: int) -> None:
    """Typing, other changes, undo and redo in any order; a few of the texts are long enough to be written whole."""
    chance = random.Random(seed)
    kept = disk.drafts.open("amara", "a draft", 3, "begin\n", "begin\n", {"list.txt": "1\n"})
    clock = 0.0
    for _ in range(120):
        deed = chance.choice(("type", "type", "type", "change", "long", "back", "again"))
        if deed == "back" and kept.draft.undo:
            kept = back(disk.drafts, kept)
        elif deed == "again" and kept.draft.redo:
            kept = again(disk.drafts, kept)
        else:
            clock += chance.choice((0.1, 10.0))
            at = chance.randint(0, len(kept.text))
            words = "x" * 70_000 if deed == "long" and len(kept.text) < 200_000 else chance.choice("abc\n")
            kept = changed(disk.drafts, kept, Edit(at, at, words), "typing" if deed == "type" else deed, clock)
        if chance.random() < 0.2:
            disk.reopen()
        assert disk.drafts.load(kept.draft.id) == kept
    while kept.draft.undo:
        kept = back(disk.drafts, kept)
    assert kept.text == "begin\n"  # fewer steps were made than are kept
    assert disk.drafts.load(kept.draft.id) == kept


def test_versions_only_grow(disk: Disk) -> None:
    kept = disk.drafts.open("amara", "", 1, "text", "text", {})
    kept = changed(disk.drafts, kept, Edit(0, 0, "a"))
    kept = again(disk.drafts, back(disk.drafts, kept))
    assert kept.draft.version == 4
    kept = changed(disk.drafts, back(disk.drafts, kept), Edit(0, 0, "b"))
    assert kept.draft.version == 6
    assert (kept.draft.undo, kept.draft.redo, kept.text) == (1, 0, "btext")


def test_drafts_are_bounded(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_TEXT", 1_000)
    with pytest.raises(StoreRefused, match="at most"):
        disk.drafts.open("amara", "", 1, "é" * 501, "", {})
    for number in range(bounds.MOST_DRAFTS):
        kept = disk.drafts.open("amara", str(number), 1, "text", "text", {})
    with pytest.raises(StoreRefused, match="drop one first"):
        disk.drafts.open("amara", "", 1, "text", "", {})
    disk.drafts.open("ben", "", 1, "text", "", {})
    with pytest.raises(StoreRefused, match="at most"):
        changed(disk.drafts, kept, Edit(0, 0, "x" * 1_000))
    assert disk.drafts.load(kept.draft.id) == kept
    disk.drafts.drop(kept.draft.id)
    with pytest.raises(StoreRefused, match="there is no draft"):
        disk.drafts.load(kept.draft.id)
    assert disk.database.read("SELECT count(*) FROM text")[0][0] == bounds.MOST_DRAFTS
    assert disk.database.read("SELECT count(*) FROM origin")[0][0] == bounds.MOST_DRAFTS


def test_steps_are_bounded_and_the_text_is_whole_all_the_same(disk: Disk) -> None:
    kept = disk.drafts.open("amara", "", 1, "", "", {})
    for number in range(bounds.MOST_STEPS + 50):
        kept = changed(disk.drafts, kept, Edit(0, 0, f"{number} "))
    assert kept.draft.undo == bounds.MOST_STEPS
    disk.reopen()
    assert disk.drafts.load(kept.draft.id) == kept
    while kept.draft.undo:
        kept = back(disk.drafts, kept)
    assert kept.text == "".join(f"{number} " for number in reversed(range(50)))


def test_a_proposal_is_kept_with_everything_said_of_it(disk: Disk) -> None:
    body = Body("text", "base", {"list.txt": "1\n"})
    record = disk.book.propose(RECORD, body)
    assert record == msgspec.structs.replace(RECORD, number=1)
    disk.book.comment(1, "ben", "why?", "R-1")
    disk.book.approve(record, "ben", "fine")
    disk.book.amend(record, Body("other", "base", {}), "d2", 4, "cleo", "better")
    disk.book.schedule(1, 99.0, 0, "dee", "then")
    disk.reopen()
    record = disk.book.record(1)
    assert (record.digest, record.base, record.at, record.confirm, record.planner) == ("d2", 4, 99.0, 0, "dee")
    assert disk.book.body(1) == Body("other", "base", {})
    assert disk.book.writers(record) == {"amara", "cleo"}
    assert [(one.person, one.digest) for one in disk.book.given(1)] == [("ben", "digest")]
    assert [(one.person, one.words, one.rule) for one in disk.book.comments(1)] == [("ben", "why?", "R-1")]
    assert [step.action for step in disk.book.history(1)] == ["propose", "approve", "amend", "schedule"]
    assert [one.number for one in disk.book.pending(100.0)] == [1]
    assert disk.book.pending(98.0) == ()
    disk.book.turned(1, "applied", "dee", "apply", "generation 7", generation=7)
    assert [(one.generation, one.at) for one in disk.book.pending(0.0)] == [(7, 0.0)]


def test_proposals_are_bounded_and_their_numbers_never_come_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.drafts.book.MOST_KEPT", 3)
    monkeypatch.setattr("appliance.drafts.book.MOST_OPEN", 2)
    body = Body("text", "base", {})
    for _ in range(6):
        record = disk.book.propose(RECORD, body)
        disk.book.turned(record.number, "rejected", "ben", "reject", "no")
    assert [one.number for one in disk.book.all()] == [6, 5, 4, 3]
    assert disk.database.read("SELECT count(*) FROM body")[0][0] == 4
    disk.book.propose(RECORD, body)
    disk.book.propose(RECORD, body)
    with pytest.raises(StoreRefused, match="are open"):
        disk.book.propose(RECORD, body)
    with pytest.raises(StoreRefused, match="no proposal 1"):
        disk.book.record(1)
    monkeypatch.setattr("appliance.drafts.book._MOST_SAID", 2)
    disk.book.comment(8, "ben", "1", "")
    disk.book.comment(8, "ben", "2", "")
    with pytest.raises(StoreRefused, match="enough"):
        disk.book.comment(8, "ben", "3", "")


WRITER = """
import sys
from pathlib import Path
from tests.unit.drafts.test_store import Disk, Edit, RECORD, Body, changed
disk = Disk(Path(sys.argv[1]))
kept = disk.drafts.open("amara", "", 1, "", "", {})
print(kept.draft.id, flush=True)
number = 0
while True:
    number += 1
    kept = changed(disk.drafts, kept, Edit(len(kept.text), len(kept.text), f"{number}\\n"), "typing", number * 2.9)
    record = disk.book.propose(RECORD, Body(kept.text, "", {}))
    disk.book.turned(record.number, "withdrawn", "amara", "withdraw")
    print(number, flush=True)
"""


def test_a_kill_takes_nothing_that_was_answered(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=environment, text=True
    ) as writer:
        assert writer.stdout is not None
        ident = writer.stdout.readline().strip()
        answered = 0
        while answered < 100:
            answered = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        answered = max([answered, *(int(line) for line in writer.stdout.read().split("\n")[:-1] if line)])
    disk = Disk(tmp_path)
    kept = disk.drafts.load(ident)
    lines = kept.text.split("\n")[:-1]
    assert lines == [str(number) for number in range(1, len(lines) + 1)]
    assert answered <= len(lines) <= answered + 1
    assert answered <= disk.book.all()[0].number <= answered + 1
    assert disk.said == []


def test_a_damaged_file_is_put_aside_and_told(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.drafts.open("amara", "", 1, "text", "", {})
    disk.database.close()
    (tmp_path / NAME).write_bytes(b"no database" * 1_000)
    disk.reopen()
    assert disk.drafts.all() == ()
    assert len(disk.said) == 1
    assert (tmp_path / f"{NAME}.damaged").exists()
