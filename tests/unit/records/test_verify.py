"""What a stranger finds who has the files of a log, a checkpoint and a key."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.events import record
from appliance.records.checkpoint import Opened
from appliance.records.merkle import HASH_BYTES, TILE_WIDTH
from appliance.records.tiles import CHECKPOINT, KEY, Folder, entries_of, place
from appliance.records.trail import LENGTH_BYTES
from appliance.records.verify import verify
from crypto.notes import pem_public
from tests.unit.records.logs import KEY as LOG
from tests.unit.records.logs import audited, exported, signed

SIZE = 256 * 3 + 77
ENTRIES = audited(SIZE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    exported(ENTRIES, tmp_path)
    return tmp_path


def found(folder: Path, opened: Opened | None = None) -> tuple[str, ...]:
    return verify(Folder(folder), opened or signed(ENTRIES)).problems


def rewrite(path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Change the entries of a bundle as somebody would who can write files."""
    entries = change(entries_of(path.read_bytes()))
    path.write_bytes(b"".join(len(one).to_bytes(LENGTH_BYTES, "big") + one for one in entries))


def test_an_untouched_log_is_what_its_checkpoint_says(folder: Path) -> None:
    verdict = verify(Folder(folder), signed(ENTRIES))
    assert verdict.problems == ()
    assert (verdict.entries, verdict.disposed) == (SIZE, 0)


@pytest.mark.parametrize("index", [0, 255, 256, 600, SIZE - 1])
@pytest.mark.parametrize("bit", [0, 7, 100])
def test_one_flipped_bit_is_found_and_its_entry_named(folder: Path, index: int, bit: int) -> None:
    number = index // TILE_WIDTH
    path = folder / place("entries", number, min(TILE_WIDTH, SIZE - number * TILE_WIDTH))

    def flip(entries: list[bytes]) -> list[bytes]:
        entry = bytearray(entries[index % TILE_WIDTH])
        entry[bit // 8] ^= 1 << bit % 8
        return [*entries[: index % TILE_WIDTH], bytes(entry), *entries[index % TILE_WIDTH + 1 :]]

    rewrite(path, flip)
    problems = found(folder)
    assert problems[0].startswith(f"entry {index} ")
    assert "was changed" in problems[0] or "is not what its hash says" in problems[0]


def test_a_removed_entry_is_found(folder: Path) -> None:
    rewrite(folder / place("entries", 1, TILE_WIDTH), lambda entries: entries[:9] + entries[10:])
    assert "255 entries and 256 hashes where 256 are due" in found(folder)[0]
    assert "256 to 511 were removed or added" in found(folder)[0]


def test_an_added_entry_is_found(folder: Path) -> None:
    rewrite(folder / place("entries", 0, TILE_WIDTH), lambda entries: [*entries, b"one more"])
    assert "257 entries" in found(folder)[0]


def test_two_entries_that_changed_places_are_named(folder: Path) -> None:
    rewrite(
        folder / place("entries", 2, TILE_WIDTH), lambda entries: [entries[0], entries[2], entries[1], *entries[3:]]
    )
    assert found(folder)[:2] == (
        "entry 513 stands where it did not: it was entry 514",
        "entry 514 stands where it did not: it was entry 513",
    )


def test_a_changed_hash_beside_right_entries_is_told_from_a_changed_entry(folder: Path) -> None:
    path = folder / place("0", 1, TILE_WIDTH)
    data = bytearray(path.read_bytes())
    data[5 * HASH_BYTES] ^= 1
    path.write_bytes(bytes(data))
    assert found(folder) == ("entry 261 is as it was, but its hash was changed",)


def test_a_log_that_was_rewritten_whole_does_not_lead_to_the_root(tmp_path: Path) -> None:
    forged = [*ENTRIES[:300], b'{"what":"never was"}', *ENTRIES[301:]]
    exported(forged, tmp_path)
    assert found(tmp_path) == (
        f"the {SIZE} entries do not lead to the root of the checkpoint: the log was rewritten",
    )


def test_a_missing_bundle_is_named(folder: Path) -> None:
    (folder / place("entries", 2, TILE_WIDTH)).unlink()
    assert "entries from 512 on" in found(folder)[0]


def test_a_later_log_continues_an_earlier_checkpoint_and_a_forked_one_does_not(tmp_path: Path) -> None:
    early = [signed(ENTRIES[:count]) for count in (1, 255, 256, 300, 768, SIZE)]
    now = exported(ENTRIES, tmp_path)
    assert verify(Folder(tmp_path), now, early).problems == ()
    fork = signed([*ENTRIES[:299], b"another"])
    problems = verify(Folder(tmp_path), now, [fork]).problems
    assert len(problems) == 1
    assert "does not continue the checkpoint of 300 entries" in problems[0]
    longer = signed([*ENTRIES, b"more"])
    assert "the log was cut off" in verify(Folder(tmp_path), now, [longer]).problems[0]


def test_a_checkpoint_of_before_is_checked_against_the_files_of_now(folder: Path) -> None:
    assert found(folder, signed(ENTRIES[:300])) == ()
    assert found(folder, signed(ENTRIES[:512])) == ()


def test_what_was_disposed_of_needs_a_certificate(tmp_path: Path) -> None:
    certificate = certified("3-5 300")
    whole = [*ENTRIES, certificate]
    opened = exported(whole, tmp_path / "right", frozenset({3, 4, 5, 300}))
    verdict = verify(Folder(tmp_path / "right"), opened)
    assert verdict.problems == ()
    assert verdict.disposed == 4
    opened = exported(whole, tmp_path / "wrong", frozenset({3, 4, 5, 6, 300}))
    assert verify(Folder(tmp_path / "wrong"), opened).problems == (
        "1 entries are empty and no certificate says why, the first is 6",
    )


def certified(words: str) -> bytes:
    event = record.audit(
        "recordd", "recordd", "record.dispose", "access", seconds=1_700_000_000.0, detail={"entries": words}
    )
    return record.encode(event)[:-1]


def test_a_large_log_is_read_by_several_processes_with_the_same_result(tmp_path: Path) -> None:
    whole = audited(256 * 300)
    opened = exported(whole, tmp_path)
    assert verify(Folder(tmp_path), opened, [signed(whole[:50_000])]).problems == ()
    rewrite(tmp_path / place("entries", 280, TILE_WIDTH), lambda entries: [b"x", *entries[1:]])
    assert verify(Folder(tmp_path), opened).problems[0] == f"entry {280 * 256} was changed"


def test_openssl_alone_checks_the_signature_of_a_checkpoint(folder: Path, tmp_path: Path) -> None:
    """As docs/audit.md tells a stranger."""
    assert shutil.which("openssl"), "the records are checked with openssl: `make deps` installs it"
    note = (folder / CHECKPOINT).read_bytes()
    text, _, lines = note.partition(b"\n\n")
    encoded = re.findall(rb" ([A-Za-z0-9+/=]+)\n", lines)[0]
    (tmp_path / "text").write_bytes(text + b"\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(encoded)[4:])
    (tmp_path / "key.pem").write_text(pem_public(LOG.public))
    assert (folder / KEY).read_text() == f"{LOG.encode()}\n"
    check = [
        *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(tmp_path / "key.pem"), "-rawin"),
        *("-in", str(tmp_path / "text"), "-sigfile", str(tmp_path / "signature")),
    ]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    (tmp_path / "text").write_bytes(text + b" \n")
    assert subprocess.run(check, capture_output=True, check=False).returncode != 0
