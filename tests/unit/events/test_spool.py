"""The spool: what was appended is read, in order and whole, whatever happened to the end of the file."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.events import cursor, record
from appliance.events.reader import Reader
from appliance.events.segments import blocks, pack, segments
from appliance.events.spool import Spool, SpoolError, SpoolLimits

SMALL = SpoolLimits(segment=2048, total=8192, sync_after=0.0, sync_bytes=1 << 20)


def line(number: int, size: int = 0) -> bytes:
    return b'{"n":%d,"x":"%s"}\n' % (number, b"x" * size)


def append(spool: Spool, first: int, count: int, size: int = 0) -> None:
    spool.append(b"".join(line(number, size) for number in range(first, first + count)), count)


def everything(directory: Path) -> tuple[list[bytes], int]:
    """All lines, and how many were lost before or between them."""
    reader = Reader(directory)
    lines: list[bytes] = []
    lost = 0
    while (batch := reader.read()) is not None:
        lines += batch.lines
        lost += batch.lost
    return lines, lost


def test_what_is_appended_is_read_in_order_over_segments(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(segment=500))
    for first in range(0, 100, 5):
        append(spool, first, 5)
    spool.close()
    lines, lost = everything(tmp_path)
    assert lines == [line(number).rstrip() for number in range(100)]
    assert lost == 0
    assert len(segments(tmp_path)) > 3


def test_a_reopened_spool_goes_on_where_it_was(tmp_path: Path) -> None:
    for first in (0, 10, 20):
        spool = Spool(tmp_path)
        assert spool.next_serial == first
        append(spool, first, 10)
        spool.close()
    assert everything(tmp_path) == ([line(number).rstrip() for number in range(30)], 0)


def test_cut_at_every_byte_of_the_tail_only_whole_blocks_are_left(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "whole")
    for first in range(0, 12, 3):
        append(spool, first, 3)
    spool.close()
    [(_, path)] = segments(tmp_path / "whole")
    data = path.read_bytes()
    ends = [block.end for block in blocks(path)]
    assert len(ends) == 4
    for size in range(len(data) + 1):
        directory = tmp_path / f"cut-{size}"
        directory.mkdir()
        (directory / path.name).write_bytes(data[:size])
        kept = 3 * sum(end <= size for end in ends)
        assert everything(directory)[0] == [line(number).rstrip() for number in range(kept)]
        spool = Spool(directory)
        assert spool.next_serial == kept
        append(spool, 100, 1)
        spool.close()
        assert everything(directory) == ([line(n).rstrip() for n in (*range(kept), 100)], 0)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_byte_costs_at_most_the_rest_of_its_segment(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("damaged")
    spool = Spool(directory, SpoolLimits(segment=300))
    for first in range(0, 40, 4):
        append(spool, first, 4)
    spool.close()
    known = segments(directory)
    victim = data.draw(st.integers(0, len(known) - 1))
    path = known[victim][1]
    content = bytearray(path.read_bytes())
    if not content:
        return
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    lines, lost = everything(directory)
    appended = [line(number).rstrip() for number in range(40)]
    assert [text for text in lines if text not in appended] == []
    assert lines == sorted(lines, key=appended.index)
    last = victim == len(known) - 1
    assert len(lines) + lost == 40 or last  # behind the damaged end nothing says how much there was


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 30)),
            st.tuples(st.just("reopen"), st.just(0)),
            st.tuples(st.just("read"), st.integers(1, 20)),
            st.tuples(st.just("restart reader"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_a_reader_gets_each_record_once_or_is_told_of_it(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("spool")
    place = directory / cursor.DIRECTORY / "alertd"
    limits = SpoolLimits(segment=600, total=2000)
    spool = Spool(directory, limits)
    reader = Reader(directory, cursor=place)
    reader.commit()
    next_number, lost, dropped = 0, 0, 0
    got: list[bytes] = []
    for step, amount in steps:
        if step == "append":
            append(spool, next_number, amount)
            next_number += amount
        elif step == "reopen":
            spool.close()
            dropped += spool.dropped_unread
            spool = Spool(directory, limits)
        elif step == "restart reader":
            reader = Reader(directory, cursor=place)
        else:
            for _ in range(amount):
                if (batch := reader.read()) is None:
                    break
                got += batch.lines
                lost += batch.lost
            reader.commit()
    while (batch := reader.read()) is not None:
        got += batch.lines
        lost += batch.lost
    spool.close()
    numbers = [text for text in got if text.startswith(b'{"n":')]
    notices = [text for text in got if b"events dropped unread" in text]
    assert numbers == sorted(set(numbers), key=lambda text: int(text[5 : text.index(b",")]))
    assert len(numbers) + lost >= next_number  # notices that were dropped count as lost, too
    assert len(numbers) <= next_number
    assert bool(notices) <= (dropped + spool.dropped_unread > 0)
    assert sum(path.stat().st_size for _, path in segments(directory)) <= limits.total + 2 * limits.segment + 1000


def test_the_bound_drops_the_oldest_and_says_what_nobody_had_read(tmp_path: Path) -> None:
    cursor.store(tmp_path / cursor.DIRECTORY / "alertd", 5)
    spool = Spool(tmp_path, SMALL)
    for first in range(5, 405, 5):
        append(spool, first, 5, size=60)
    assert spool.dropped_unread > 0
    spool.close()
    lines, _ = everything(tmp_path)
    assert any(b"events dropped unread" in text for text in lines)
    reader = Reader(tmp_path, cursor=tmp_path / cursor.DIRECTORY / "alertd")
    batch = reader.read()
    assert batch is not None
    assert batch.lost == segments(tmp_path)[0][0] - 5


def test_what_every_reader_had_is_dropped_without_a_word(tmp_path: Path) -> None:
    cursor.store(tmp_path / cursor.DIRECTORY / "alertd", 10**6)
    spool = Spool(tmp_path, SMALL)
    assert spool.next_serial == 10**6  # a place behind the end: those numbers are never given again
    for first in range(0, 400, 5):
        append(spool, first, 5, size=60)
        cursor.store(tmp_path / cursor.DIRECTORY / "alertd", spool.next_serial)
    assert spool.dropped_unread == 0
    assert segments(tmp_path)[0][0] > 10**6
    spool.close()


def test_readers_stand_where_they_stood(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    append(spool, 0, 4)
    places = {name: tmp_path / cursor.DIRECTORY / name for name in ("alertd", "console")}
    first = Reader(tmp_path, cursor=places["alertd"])
    assert first.read() is not None
    first.commit()
    append(spool, 4, 2)
    spool.close()
    again = Reader(tmp_path, cursor=places["alertd"]).read()
    assert again is not None
    assert again.lines == (line(4).rstrip(), line(5).rstrip())
    assert everything(tmp_path)[0] == [line(number).rstrip() for number in range(6)]
    assert cursor.cursors(tmp_path) == {"alertd": 4}
    (tmp_path / cursor.DIRECTORY / "broken").write_text("no number")
    assert cursor.cursors(tmp_path) == {"alertd": 4}


def test_a_full_disk_loses_lines_counts_them_and_says_so_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    append(spool, 0, 2)
    real = os.pwrite
    calls = 0

    def full(fd: int, data: bytes, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls % 2:  # the first part still fits
            return real(fd, data[:7], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    append(spool, 2, 3)
    append(spool, 5, 4)
    assert spool.lost == 7
    monkeypatch.undo()
    append(spool, 9, 1)
    append(spool, 10, 1)
    spool.close()
    lines, lost = everything(tmp_path)
    assert lines[:2] == [line(0).rstrip(), line(1).rstrip()]
    notice = record.decode(lines[2])
    assert notice.engine is not None
    assert notice.engine["message"].startswith("events lost: 7;")
    assert lines[3:] == [line(9).rstrip(), line(10).rstrip()]
    assert lost == 7


def test_a_file_that_grows_under_the_reader_is_followed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, SpoolLimits(segment=200))
    reader = Reader(tmp_path)
    seen: list[bytes] = []
    for number in range(20):
        append(spool, number, 1)
        batch = reader.read()
        assert batch is not None
        seen += batch.lines
        assert reader.read() is None
    spool.close()
    assert seen == [line(number).rstrip() for number in range(20)]
    late = Reader(tmp_path)
    late.seek_end()
    assert late.read() is None
    assert late.next_serial == 20


def test_a_block_half_written_is_not_read_before_it_is_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    append(spool, 0, 1)
    spool.close()
    [(_, path)] = segments(tmp_path)
    reader = Reader(tmp_path)
    assert reader.read() is not None
    block = pack(1, 1, line(1))
    with path.open("ab", buffering=0) as file:
        for at in range(len(block)):
            assert reader.read() is None
            file.write(block[at : at + 1])
    batch = reader.read()
    assert batch is not None
    assert batch.lines == (line(1).rstrip(),)


WRITER = """
import sys
from pathlib import Path
from appliance.events.spool import Spool, SpoolLimits
spool = Spool(Path(sys.argv[1]), SpoolLimits(segment=4096))
number = spool.next_serial
while True:
    spool.append(b'{"n":%d}\\n' % number, 1)
    number += 1
    if number % 50 == 0:
        spool.sync()
        print(number, flush=True)
"""


def test_killed_writers_leave_an_unbroken_row(tmp_path: Path) -> None:
    told = 0
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
        )
        assert writer.stdout is not None
        for _ in range(5):
            told = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    lines, lost = everything(tmp_path)
    assert lost == 0
    assert lines == [b'{"n":%d}' % number for number in range(len(lines))]
    assert len(lines) >= told


def test_a_spool_that_cannot_be_opened_says_where_and_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match=r"file.*(Not a directory|File exists)"):
        Spool(tmp_path / "file")
