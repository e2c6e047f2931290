"""The store of generations: whole or absent, and only what was confirmed is booted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from appliance.control.applying.generations import Entry, Kept, State, Store, StoreError, boot_candidate
from appliance.policy.compiling.bundle import digest


def body(generation: int) -> bytes:
    return f"bundle {generation} ".encode() * 50


def keep(store: Store, generation: int, *states: State) -> None:
    data = body(generation)
    store.keep(
        Kept(generation, generation - 1, "author", f"why {generation}", 1.0, digest(data), 3, b"signature"), data
    )
    for state in states:
        store.record(Entry(generation, state, 2.0, "somebody", "a note"))


def test_a_kept_generation_comes_back_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, 1, "pending", "confirmed")
    store.settle()
    store.close()
    again = Store(tmp_path)
    assert again.read(1) == (body(1), b"signature")
    assert (again.confirmed, again.pending, again.last) == (1, 0, 1)
    assert again.damaged == []
    summary = again.summary(1)
    assert (summary.state, summary.confirmed_by, summary.reason) == ("confirmed", "somebody", "why 1")


def test_states_follow_the_journal(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, 1, "pending", "confirmed")
    keep(store, 2, "pending", "rolled-back")
    keep(store, 3, "pending", "failed")
    keep(store, 4, "pending", "confirmed")
    keep(store, 5)
    keep(store, 6, "pending")
    states = {summary.generation: summary.state for summary in store.history(10)}
    assert states == {1: "superseded", 2: "rolled-back", 3: "failed", 4: "confirmed", 5: "failed", 6: "running"}
    assert (store.confirmed, store.pending, store.last) == (4, 6, 6)
    assert [summary.generation for summary in store.history(2)] == [6, 5]


def test_a_torn_journal_line_never_took_effect(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, 1, "pending", "confirmed")
    keep(store, 2, "pending", "confirmed")
    store.close()
    journal = tmp_path / "journal"
    whole = journal.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    for cut in range(len(whole) - last + 1, len(whole)):
        journal.write_bytes(whole[:cut])
        torn = Store(tmp_path)
        assert (torn.confirmed, torn.pending) == (1, 2)
        assert len(torn.damaged) == 1
        torn.record(Entry(2, "rolled-back", 3.0))
        torn.close()
        healed = Store(tmp_path)
        assert (healed.confirmed, healed.pending, healed.damaged) == (1, 0, [])
        healed.close()


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, 1, "pending", "confirmed")
    keep(store, 2, "pending", "confirmed")
    store.close()
    path = tmp_path / "generations" / "00000002.generation"
    whole = path.read_bytes()
    chance = random.Random(1)
    for _ in range(200):
        place = chance.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :])
        damaged = Store(tmp_path)
        # Whatever was hit, what is booted is a whole confirmed generation: 2 only if its bundle is intact.
        boot = boot_candidate(damaged, lambda data, signature: signature == b"signature")
        damaged.close()
        assert boot in (1, 2)
        if boot == 2:
            assert damaged.read(2)[0] == body(2)


def test_what_is_not_signed_is_not_booted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, 1, "pending", "confirmed")
    keep(store, 2, "pending", "confirmed")
    assert boot_candidate(store, lambda data, _: data == body(1)) == 1
    assert "not signed" in store.damaged[0]
    assert boot_candidate(store, lambda *_: False) == 0


def test_half_written_files_are_swept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, 1, "pending", "confirmed")
    store.close()
    (tmp_path / "generations" / "00000002.tmp").write_bytes(b"half")
    again = Store(tmp_path)
    assert list((tmp_path / "generations").glob("*.tmp")) == []
    assert list(again.kept) == [1]


def test_retiring_compresses_and_pruning_forgets_but_never_what_boots(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for generation in range(1, 11):
        keep(store, generation, "pending", "confirmed" if generation in (2, 3) else "rolled-back")
    size = (tmp_path / "generations" / "00000005.generation").stat().st_size
    store.retire(5)
    assert (tmp_path / "generations" / "00000005.generation").stat().st_size < size
    assert store.read(5)[0] == body(5)
    gone = store.prune(3, ())
    assert gone == (7, 6, 5, 4, 2, 1)
    assert sorted(store.kept) == [3, 8, 9, 10]
    store.close()
    again = Store(tmp_path)
    assert (sorted(again.kept), again.confirmed, again.last) == ([3, 8, 9, 10], 3, 10)


def test_a_number_is_never_used_twice_after_pruning(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, 1, "pending", "confirmed")
    keep(store, 2, "pending", "failed")
    store.forget(2)
    assert store.last == 2


def test_an_unknown_generation_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="generation 9 cannot be read"):
        Store(tmp_path).read(9)
