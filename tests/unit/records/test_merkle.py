"""The Merkle tree against its definition in RFC 9162, and its proofs against every way to bend them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.records.merkle import (
    EMPTY_ROOT,
    TILE_HEIGHT,
    Edge,
    ProofError,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
    subtree_root,
)


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, as it stands there."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\0" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return sha256(b"\1" + mth(entries[:k]) + mth(entries[k:])).digest()


class Tree:
    """A tree in memory that is read as the trail's is."""

    def __init__(self, entries: Sequence[bytes], batches: Sequence[int] = ()) -> None:
        self.edge = Edge()
        self.levels: dict[int, list[bytes]] = {}
        hashed = leaf_hashes(entries)
        at = 0
        for width in (*batches, len(entries)):
            for level, new in enumerate(self.edge.add(hashed[at : at + width])):
                self.levels.setdefault(level, []).extend(new)
            at += width

    def __call__(self, level: int, start: int, stop: int) -> list[bytes]:
        found = self.levels[level][start:stop]
        assert len(found) == stop - start, "a hash was read that no whole subtree has"
        return found


def named(count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(count)]


@given(st.integers(0, 1100), st.lists(st.integers(0, 400), max_size=6))
def test_the_root_is_what_the_rfc_says_however_the_entries_came(size: int, batches: list[int]) -> None:
    entries = named(size)
    tree = Tree(entries, batches)
    assert tree.edge.size == size
    assert tree.edge.root() == mth(entries)
    assert Edge(size, tree).root() == mth(entries)
    assert subtree_root(tree, 0, size) == mth(entries)
    for level, hashes in tree.levels.items():
        width = 1 << TILE_HEIGHT * level
        assert hashes == [mth(entries[at * width : (at + 1) * width]) for at in range(size // width)]


def test_a_tree_of_three_levels_of_tiles_has_the_right_root_and_proofs() -> None:
    size = (1 << 16) + 300
    entries = named(size)
    tree = Tree(entries, [1000] * 60)
    root = mth(entries)
    assert sorted(tree.levels) == [0, 1, 2]
    assert tree.edge.root() == root
    for index in (0, 255, 256, 65535, 65536, size - 1):
        check_inclusion(index, size, leaf_hash(entries[index]), inclusion_proof(tree, index, size), root)
    for old in (1, 256, 65535, 65536, 65537, size):
        check_consistency(old, size, mth(entries[:old]), root, consistency_proof(tree, old, size))


@given(st.data())
def test_every_entry_is_proved_and_nothing_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 700))
    index = data.draw(st.integers(0, size - 1))
    entries = named(size)
    tree, root, leaf = Tree(entries), mth(entries), leaf_hash(entries[index])
    proof = inclusion_proof(tree, index, size)
    check_inclusion(index, size, leaf, proof, root)
    other = data.draw(st.integers(0, size + 3).filter(lambda number: number != index))
    bent = data.draw(st.sampled_from(["leaf", "root", "index", "part", "longer", "shorter", "size"]))
    if bent in ("part", "shorter") and not proof:
        bent = "leaf"
    changed = list(proof)
    if bent == "part":
        at = data.draw(st.integers(0, len(proof) - 1))
        changed[at] = flipped(changed[at], data.draw(st.integers(0, 255)))
    elif bent == "longer":
        changed.append(leaf)
    elif bent == "shorter":
        changed.pop(data.draw(st.integers(0, len(proof) - 1)))
    with pytest.raises(ProofError):
        check_inclusion(
            other if bent == "index" else index,
            # Twice the size needs a longer path.
            size * 2 if bent == "size" else size,
            flipped(leaf, 7) if bent == "leaf" else leaf,
            changed,
            flipped(root, 7) if bent == "root" else root,
        )


@given(st.data())
def test_growth_is_proved_and_a_change_of_what_was_there_is_not(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 700))
    old = data.draw(st.integers(1, new))
    entries = named(new)
    tree = Tree(entries)
    before, after = mth(entries[:old]), mth(entries)
    proof = consistency_proof(tree, old, new)
    check_consistency(old, new, before, after, proof)
    rewritten = list(entries)
    rewritten[data.draw(st.integers(0, old - 1))] = b"what never was"
    with pytest.raises(ProofError):
        check_consistency(old, new, before, mth(rewritten), consistency_proof(Tree(rewritten), old, new))
    with pytest.raises(ProofError):
        check_consistency(old, new, flipped(before, 3), after, proof)
    with pytest.raises(ProofError):
        check_consistency(old, new, before, after, [*proof, before])
    if proof:
        with pytest.raises(ProofError):
            check_consistency(old, new, before, after, proof[:-1])


def test_an_empty_tree_has_the_root_of_nothing_and_proves_nothing() -> None:
    assert Edge().root() == EMPTY_ROOT == sha256(b"").digest()
    assert consistency_proof(Tree(named(5)), 0, 5) == []
    with pytest.raises(ProofError):
        check_consistency(0, 5, EMPTY_ROOT, mth(named(5)), [])
    with pytest.raises(ValueError, match="not in a tree"):
        inclusion_proof(Tree([]), 0, 0)


def flipped(data: bytes, bit: int) -> bytes:
    return bytes([*data[: bit // 8], data[bit // 8] ^ (1 << bit % 8), *data[bit // 8 + 1 :]])
