"""The Merkle tree of RFC 9162, section 2.1, with SHA-256: hashes, proofs made and proofs checked. Pure.

A tree is read through `Hashes`, eight levels at a time, as C2SP's tlog-tiles cuts it: the hash `index` of tile level
`level` is that of the 256**level leaves from index * 256**level on. Only whole subtrees have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Protocol

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
EMPTY_ROOT = sha256(b"").digest()


class ProofError(Exception):
    """The proof does not show what it should; the text says how."""


class Hashes(Protocol):
    """Reads the hashes `start` to `stop` (exclusive) of a tile level; they are all there."""

    def __call__(self, level: int, start: int, stop: int) -> Sequence[bytes]: ...


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\0" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    return [sha256(b"\0" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [
            sha256(b"\1" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)
        ]
    return hashes[0]


# --- a tree that grows ------------------------------------------------------------------------------------


class Edge:
    """The right edge of a tree: of each tile level the hashes that are in no whole tile yet. Its size is bounded."""

    def __init__(self, size: int = 0, hashes: Hashes | None = None) -> None:
        """An empty tree, or one of `size` leaves that is read from `hashes`."""
        self.size = size
        self._levels: list[list[bytes]] = [[]]
        level, whole = 0, size
        while whole and hashes is not None:
            first = whole - whole % TILE_WIDTH
            self._level(level)[:] = hashes(level, first, whole)
            level, whole = level + 1, whole >> TILE_HEIGHT

    @classmethod
    def over(cls, tiles: Sequence[bytes], rest: Sequence[bytes]) -> Edge:
        """The tree of whole tiles of leaves with these roots, and of the leaf hashes `rest` behind them."""
        above, edge = cls(), cls()
        above.add(tiles)
        edge._levels = [list(rest), *above._levels]
        edge.size = len(tiles) * TILE_WIDTH + len(rest)
        return edge

    def _level(self, level: int) -> list[bytes]:
        while len(self._levels) <= level:
            self._levels.append([])
        return self._levels[level]

    def add(self, leaves: Sequence[bytes]) -> list[list[bytes]]:
        """Append leaf hashes; the new hashes of each tile level, the leaves first."""
        self.size += len(leaves)
        new: list[list[bytes]] = []
        coming: Sequence[bytes] = leaves
        level = 0
        while coming:
            new.append(list(coming))
            row = self._level(level)
            row += coming
            whole = len(row) - len(row) % TILE_WIDTH
            coming = [perfect_root(row[at : at + TILE_WIDTH]) for at in range(0, whole, TILE_WIDTH)]
            del row[:whole]
            level += 1
        return new

    def root(self) -> bytes:
        """The root of the whole tree: the subtrees of its binary digits, folded from the smallest."""
        root: bytes | None = None
        for row in self._levels:
            stop = len(row)
            while stop:
                width = stop & -stop
                peak = perfect_root(row[stop - width : stop])
                root = peak if root is None else node_hash(peak, root)
                stop -= width
        return EMPTY_ROOT if root is None else root


# --- subtrees and proofs ----------------------------------------------------------------------------------


def subtree_root(hashes: Hashes, start: int, stop: int) -> bytes:
    """MTH(D[start:stop]) of RFC 9162, 2.1.1; `start` is a multiple of what is split into."""
    width = stop - start
    if width == 0:
        return EMPTY_ROOT
    if width & (width - 1) == 0:
        height = width.bit_length() - 1
        level = height // TILE_HEIGHT
        shift = level * TILE_HEIGHT
        return perfect_root(hashes(level, start >> shift, stop >> shift))
    split = start + _split(width)
    return node_hash(subtree_root(hashes, start, split), subtree_root(hashes, split, stop))


def _split(width: int) -> int:
    """The largest power of two below `width`, which is at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


def inclusion_proof(hashes: Hashes, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 9162, 2.1.3.1. Raises ValueError for a leaf that is not in the tree."""
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not in a tree of {size}")
    proof: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        split = start + _split(stop - start)
        if index < split:
            proof.append(subtree_root(hashes, split, stop))
            stop = split
        else:
            proof.append(subtree_root(hashes, start, split))
            start = split
    proof.reverse()
    return proof


def consistency_proof(hashes: Hashes, old: int, new: int) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 9162, 2.1.4.1; empty for an empty or the same tree. Raises ValueError."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {old} is not the beginning of one of {new}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, stop = 0, new
    while stop != old:
        split = start + _split(stop - start)
        if old <= split:
            proof.append(subtree_root(hashes, split, stop))
            stop = split
        else:
            proof.append(subtree_root(hashes, start, split))
            start = split
    if start:
        proof.append(subtree_root(hashes, start, stop))
    proof.reverse()
    return proof


# --- proofs checked ---------------------------------------------------------------------------------------


def check_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162, 2.1.3.2: the leaf with hash `leaf` is number `index` of the tree. Raises `ProofError`."""
    _of_hashes((leaf, *proof))
    if not 0 <= index < size:
        raise ProofError(f"entry {index} cannot be in a tree of {size}")
    number, last, found = index, size - 1, leaf
    for part in proof:
        if last == 0:
            raise ProofError("the proof is longer than the tree is high")
        if number & 1 or number == last:
            found = node_hash(part, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, part)
        number, last = number >> 1, last >> 1
    if last:
        raise ProofError("the proof is shorter than the tree is high")
    if found != root:
        raise ProofError(f"entry {index} is not in the tree with this root")


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """RFC 9162, 2.1.4.2: the tree of `new` leaves begins with that of `old`. Raises `ProofError`."""
    if not 0 < old <= new:
        raise ProofError(f"a tree of {old} proves nothing about one of {new}")
    if old == new:
        if proof:
            raise ProofError("nothing is to be proved between trees of one size")
        if old_root != new_root:
            raise ProofError(f"two trees of {old} entries have different roots: one of them was made up")
        return
    parts = list(proof)
    if old & (old - 1) == 0:
        parts.insert(0, old_root)
    if not parts:
        raise ProofError("the proof is empty")
    _of_hashes(parts)
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    of_old = of_new = parts[0]
    for part in parts[1:]:
        if last == 0:
            raise ProofError("the proof is longer than the tree is high")
        if number & 1 or number == last:
            of_old, of_new = node_hash(part, of_old), node_hash(part, of_new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            of_new = node_hash(of_new, part)
        number, last = number >> 1, last >> 1
    if last:
        raise ProofError("the proof is shorter than the tree is high")
    if of_old != old_root:
        raise ProofError(f"the tree of {new} does not begin with that of {old}: what was there was changed")
    if of_new != new_root:
        raise ProofError(f"the proof does not lead to the root of {new}")


def _of_hashes(parts: Iterable[bytes]) -> None:
    if any(len(part) != HASH_BYTES for part in parts):
        raise ProofError(f"a hash has {HASH_BYTES} bytes")
