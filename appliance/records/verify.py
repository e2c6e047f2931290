"""Is a log what its checkpoint says? Read whole, by whoever has its files, a checkpoint and a key; nothing is asked
of the gateway. Every entry is hashed anew; what was changed, removed, added or put elsewhere is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256

import msgspec

from appliance.events import record
from appliance.records.checkpoint import Opened
from appliance.records.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    Edge,
    Hashes,
    ProofError,
    check_consistency,
    consistency_proof,
    perfect_root,
)
from appliance.records.retention import DISPOSED, ranges
from appliance.records.tiles import Source, TileError, entries_of, place, widths

MOST_PROBLEMS = 20
_PART = 128  # bundles that a worker takes at once
_ALONE = 256  # bundles up to which no workers are worth it
_MARK = f'"action":"{DISPOSED}"'.encode()


class Verdict(msgspec.Struct, frozen=True):
    """What was found. `disposed` entries ended as certificates in the log say. No problem: it is what it says."""

    entries: int
    disposed: int
    problems: tuple[str, ...]


class _Part(msgspec.Struct, frozen=True):
    """Of some bundles: the roots of the whole ones, the hashes of the last that is not, what else was seen."""

    roots: list[bytes]
    rest: list[bytes]
    empty: list[int]
    certified: list[str]
    problems: list[str]


class _Certificate(msgspec.Struct, frozen=True):
    audit: record.Audit


_certificate = msgspec.json.Decoder(_Certificate)


def verify(source: Source, opened: Opened, earlier: Sequence[Opened] = ()) -> Verdict:
    """Read the log of a checkpoint whole; it must continue the earlier ones too."""
    size, root = opened.checkpoint.size, opened.checkpoint.root
    roots: list[bytes] = []
    rest: list[bytes] = []
    empty: list[int] = []
    certified: list[str] = []
    problems: list[str] = []
    for part in _parts(source, size):
        roots += part.roots
        rest = part.rest or rest
        empty += part.empty
        certified += part.certified
        problems += part.problems
    edge = Edge.over(roots, rest)
    if edge.size == size and edge.root() != root:
        problems.append(f"the {size} entries do not lead to the root of the checkpoint: the log was rewritten")
    if not problems:
        levels = _levels(roots)

        def hashes(level: int, start: int, stop: int) -> Sequence[bytes]:
            if level:
                return levels[level - 1][start:stop]
            return _leaves(source, start, stop, size)

        problems += [words for point in earlier if (words := _continues(hashes, opened, point))]
    ended = _uncertified(empty, certified)
    if ended:
        problems.append(f"{len(ended)} entries are empty and no certificate says why, the first is {ended[0]}")
    return Verdict(size, len(empty), tuple(problems[:MOST_PROBLEMS]))


def _parts(source: Source, size: int) -> Iterator[_Part]:
    numbers = list(widths(size))
    cut = [numbers[at : at + _PART] for at in range(0, len(numbers), _PART)]
    if len(numbers) <= _ALONE or (os.cpu_count() or 1) == 1:
        yield from (check(source, size, part) for part in cut)
        return
    with ProcessPoolExecutor() as pool:
        yield from pool.map(check, [source] * len(cut), [size] * len(cut), cut)


def check(source: Source, size: int, numbers: Sequence[tuple[int, int]]) -> _Part:
    """Hash the entries of some bundles and hold them to the hashes beside them."""
    part = _Part([], [], [], [], [])
    for number, width in numbers:
        try:
            stored = source.hashes(0, number, width)
            entries = entries_of(source.bundle(number, width))
        except TileError as error:
            part.problems.append(f"entries from {number * TILE_WIDTH} on: {error}")
            continue
        hashes = [sha256(b"\0" + entry).digest() for entry in entries]
        if b"" in entries or b"".join(hashes) != stored:
            _compare(source, size, part, number, entries, hashes, stored)
        if width == TILE_WIDTH and len(hashes) == width:
            part.roots.append(perfect_root(hashes))
        else:
            part.rest.extend(hashes)
        part.certified.extend(_certificates(entries))
    return part


def _compare(
    source: Source, size: int, part: _Part, number: int, entries: list[bytes], hashes: list[bytes], stored: bytes
) -> None:
    """Say which entries are not what they were. Of one that was disposed of the hash stands in for it."""
    first = number * TILE_WIDTH
    width = min(TILE_WIDTH, size - first)
    was = [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)]
    if len(entries) != width or len(was) != width:
        part.problems.append(
            f"{place('entries', number, width)}: {len(entries)} entries and {len(was)} hashes where {width} are due: "
            f"some of the entries {first} to {first + width - 1} were removed or added"
        )
        return
    for at, entry in enumerate(entries):
        if not entry:
            part.empty.append(first + at)
            hashes[at] = was[at]
        elif hashes[at] != was[at]:
            part.problems.append(f"entry {first + at} {_what(source, size, number, was, hashes, at)}")


def _what(source: Source, size: int, number: int, was: list[bytes], now: list[bytes], at: int) -> str:
    if now[at] in was:
        return f"stands where it did not: it was entry {number * TILE_WIDTH + was.index(now[at])}"
    try:
        above = _above(source, size, number)
    except TileError:
        return "is not what its hash says"
    if above and above == perfect_root(now):
        return "is as it was, but its hash was changed"
    return "was changed"


def _above(source: Source, size: int, number: int) -> bytes:
    """The hash of a whole bundle, as the level above has it; b"" of one that is not whole."""
    tile, at = divmod(number, TILE_WIDTH)
    width = min(TILE_WIDTH, size // TILE_WIDTH - tile * TILE_WIDTH)
    return source.hashes(1, tile, width)[at * HASH_BYTES : (at + 1) * HASH_BYTES] if at < width else b""


def _certificates(entries: Iterable[bytes]) -> Iterator[str]:
    for entry in entries:
        if _MARK in entry:
            try:
                audit = _certificate.decode(entry).audit
            except msgspec.DecodeError:
                continue
            if audit.action == DISPOSED and audit.process == "recordd":
                yield audit.detail.get("entries", "")


def _uncertified(empty: Iterable[int], certified: Iterable[str]) -> list[int]:
    allowed = sorted(pair for words in certified for pair in ranges(words))
    found, at, last = [], 0, -1
    for number in empty:
        while at < len(allowed) and allowed[at][0] <= number:
            last, at = max(last, allowed[at][1]), at + 1
        if number > last:
            found.append(number)
    return found


# --- earlier checkpoints ----------------------------------------------------------------------------------


def _levels(roots: list[bytes]) -> list[list[bytes]]:
    """The hashes of every tile level above the entries."""
    levels = [roots]
    while len(levels[-1]) >= TILE_WIDTH:
        row = levels[-1]
        whole = len(row) - len(row) % TILE_WIDTH
        levels.append([perfect_root(row[at : at + TILE_WIDTH]) for at in range(0, whole, TILE_WIDTH)])
    return levels


def _leaves(source: Source, start: int, stop: int, size: int) -> list[bytes]:
    """Hashes of entries, as they were just found to be right."""
    found = b""
    for number in range(start // TILE_WIDTH, (stop + TILE_WIDTH - 1) // TILE_WIDTH):
        first = number * TILE_WIDTH
        tile = source.hashes(0, number, min(TILE_WIDTH, size - first))
        found += tile[max(start - first, 0) * HASH_BYTES : (stop - first) * HASH_BYTES]
    return [found[at : at + HASH_BYTES] for at in range(0, len(found), HASH_BYTES)]


def _continues(hashes: Hashes, opened: Opened, earlier: Opened) -> str:
    old, new = earlier.checkpoint, opened.checkpoint
    if old.size == 0:
        return ""
    if old.size > new.size:
        return f"an earlier checkpoint has {old.size} entries, this one {new.size}: the log was cut off"
    try:
        check_consistency(old.size, new.size, old.root, new.root, consistency_proof(hashes, old.size, new.size))
    except ProofError as error:
        return f"it does not continue the checkpoint of {old.size} entries: {error}"
    return ""
