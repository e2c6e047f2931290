"""The trail on disk: what was appended is there after every kill, and damage is named."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.durable import write_all
from appliance.records import trail as trails
from appliance.records.merkle import Edge, check_consistency, consistency_proof, leaf_hashes
from appliance.records.trail import SEGMENT, Trail, TrailError


def named(first: int, count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(first, first + count)]


def root_of(entries: list[bytes]) -> bytes:
    edge = Edge()
    edge.add(leaf_hashes(entries))
    return edge.root()


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.integers(0, 3 * SEGMENT // 2), max_size=4), reopen=st.integers(0, 4))
def test_what_was_appended_is_there_in_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[int], reopen: int
) -> None:
    folder = tmp_path_factory.mktemp("trail")
    trail, whole = Trail(folder), list[bytes]()
    for number, count in enumerate(batches):
        new = named(len(whole), count)
        trail.append(new, {"policyd": number})
        whole += new
        if number == reopen:
            trail.close()
            trail = Trail(folder)
        assert trail.size == len(whole)
        assert trail.root() == root_of(whole)
        assert trail.head.read == {"policyd": number}
    assert list(trail.entries(0, len(whole))) == whole
    middle = len(whole) // 2
    assert list(trail.entries(middle, middle + 3)) == whole[middle : middle + 3]
    trail.close()
    shutil.rmtree(folder)


def test_a_grown_trail_continues_what_it_was(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    trail.append(named(0, 5000))
    before = trail.root()
    trail.append(named(5000, 1234))
    check_consistency(5000, 6234, before, trail.root(), consistency_proof(trail.read_hashes, 5000, 6234))
    trail.close()


class Killed(BaseException):
    """The process ended here."""


# Every call by which the trail changes a file.
CHANGES = ["write_all", "replace", "os.fdatasync", "sync"]


@pytest.mark.parametrize("step", range(12))
@pytest.mark.parametrize("half", [False, True])
def test_a_kill_at_any_step_leaves_the_trail_as_it_was_or_as_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, half: bool
) -> None:
    trail = Trail(tmp_path)
    first, second = named(0, SEGMENT - 10), named(SEGMENT - 10, 600)
    trail.append(first, {"policyd": 7})
    seen = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def changing(*arguments: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == step + 1:
                if half and real is write_all:
                    os.write(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise Killed
            return real(*arguments, **named)

        return changing

    with monkeypatch.context() as patch:
        for name in CHANGES:
            if name.startswith("os."):
                patch.setattr(os, name[3:], counted(getattr(os, name[3:])))
            else:
                patch.setattr(trails, name, counted(getattr(trails, name)))
        try:
            trail.append(second, {"policyd": 9})
            killed = False
        except Killed:
            killed = True
    trail.close()
    assert killed == (seen == step + 1)
    again = Trail(tmp_path)
    if again.head.read["policyd"] == 7:
        assert killed
        assert again.size == len(first)
        again.append(second, {"policyd": 9})
    assert list(again.entries(0, again.size)) == first + second
    assert again.root() == root_of(first + second)
    again.close()


def test_a_full_disk_changes_nothing_and_the_next_append_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = Trail(tmp_path)
    trail.append(named(0, 300))
    with monkeypatch.context() as patch:

        def full(descriptor: int, data: bytes) -> None:
            os.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(trails, "write_all", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                trail.append(named(300, 10))
            assert trail.size == 300
            assert trail.root() == root_of(named(0, 300))
    trail.append(named(300, 10))
    assert list(trail.entries(0, 310)) == named(0, 310)
    assert trail.root() == root_of(named(0, 310))
    trail.close()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "head").unlink(), "head is missing"),
        (lambda folder: (folder / "head").write_bytes(b"{"), "head is damaged"),
        (lambda folder: os.truncate(folder / "entries" / "0000000000", 500), "ends before entry"),
        (lambda folder: (folder / "entries" / "0000000000").unlink(), "is missing"),
        (lambda folder: os.truncate(folder / "hashes" / "0", 64), "shorter than 300 entries"),
        (lambda folder: flip(folder / "hashes" / "0", 290 * 32), "do not lead to the root"),
        (lambda folder: flip(folder / "hashes" / "1", 5), "do not lead to the root"),
    ],
)
def test_damage_is_named_and_nothing_is_built_on_it(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    trail = Trail(tmp_path)
    trail.append(named(0, 300))
    trail.close()
    damage(tmp_path)
    with pytest.raises(TrailError, match=words):
        Trail(tmp_path)


def test_what_was_disposed_of_is_empty_and_its_proof_still_holds(tmp_path: Path) -> None:
    trail = Trail(tmp_path)
    whole = named(0, SEGMENT + 100)
    trail.append(whole)
    assert trail.empty(0, frozenset({3, 5})) == 2
    assert trail.empty(0, frozenset({3, 5})) == 0
    assert trail.empty(1, frozenset({SEGMENT + 1})) == 1
    trail.append(named(SEGMENT + 100, 5))
    trail.close()
    again = Trail(tmp_path)
    found = list(again.entries(0, again.size))
    assert [number for number, entry in enumerate(found) if not entry] == [3, 5, SEGMENT + 1]
    assert found[4] == whole[4]
    assert found[-5:] == named(SEGMENT + 100, 5)
    assert again.root() == root_of(named(0, SEGMENT + 105))
    again.close()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(bytes(data))
