"""The flow log: what is written is read again, what is cut off or damaged is told, a key that is gone closes it."""

from __future__ import annotations

import errno
import os
import random
import struct
import zlib
from collections import Counter
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from appliance.events import flowfile
from appliance.events.flowfile import Block, Damage
from crypto.flowkeys import FlowKeys, SealBroken, seal, unseal
from ctypes_ext.flowtable import Columns, FlowTable, FlowTableError, Seen
from ctypes_ext.replay import Heads
from dataplane import flowlog
from dataplane.flowlog import FlowLog

NOW = 1_774_000_000.0
KEY = bytes(range(32))
HOUR = 3600


def seen(number: int, **changes: object) -> Seen:
    """The flow of a host; equal numbers are equal flows."""
    made: dict[str, object] = {
        "source": IPv4Address(0x0A010000 + number),
        "destination": IPv4Address("198.51.100.80"),
        "protocol": 6,
        "port": 443,
        "rule": "R-7",
        "action": "allow",
        "from_zone": "lan",
        "to_zone": "internet",
        "minute": int(NOW) // 60,
        "bytes": 1000,
        "packets": 10,
    }
    return Seen(**(made | changes))  # type: ignore[arg-type]


def opened(directory: Path, *, rows: int = 1024) -> FlowLog:
    log = FlowLog(directory, lambda _: KEY, rows=rows)
    log.days = 30
    return log


def told(directory: Path) -> tuple[list[Block], list[Damage]]:
    items = [item for path in flowfile.files(directory) for item in flowfile.read(path)]
    return [item for item in items if isinstance(item, Block)], [item for item in items if isinstance(item, Damage)]


def flows(directory: Path) -> int:
    return sum(block.flows for block in told(directory)[0])


def columns_of(block: Block) -> Columns:
    addresses = flowfile.addresses_of(block, lambda _, closed, beside: unseal(KEY, closed, beside))
    return Columns(flowfile.heads_of(block), flowfile.body_of(block), addresses)


def test_alike_flows_of_an_hour_are_one_row() -> None:
    table = FlowTable(16)
    for _ in range(5):
        assert table.add(seen(1))
    table.add(seen(1, minute=int(NOW) // 60 + 90))  # the next hour but one
    table.add(seen(1, action="deny", rule="default"))
    held = table.sum()
    assert (held.rows, held.flows, held.lost) == (3, 7, 0)


def test_what_finds_no_room_is_counted() -> None:
    table = FlowTable(4)
    added = [table.add(seen(number)) for number in range(10)]
    assert added == [True] * 4 + [False] * 6
    assert (table.sum().rows, table.sum().lost) == (4, 6)


def test_columns_merge_into_the_same_table_again() -> None:
    rng = random.Random(1)
    table, again = FlowTable(4096), FlowTable(4096)
    for number in range(3000):
        version = rng.choice((4, 6))
        host = IPv4Address(rng.randrange(2**32)) if version == 4 else IPv6Address(rng.randrange(2**128))
        other = IPv4Address(rng.randrange(2**32)) if version == 4 else IPv6Address(rng.randrange(2**128))
        translated = {"asked": host, "asked_port": rng.randrange(65536)} if rng.random() < 0.2 else {}
        table.add(
            seen(
                0,
                source=host,
                destination=other,
                port=rng.choice((53, 443, rng.randrange(65536))),
                protocol=rng.choice((1, 6, 17, 132)),
                rule=f"R-{number % 7}",
                action=rng.choice(("allow", "deny", "reject")),
                minute=int(NOW) // 60 + rng.randrange(500),
                count=rng.choice((1, 1, 2, 900)),
                bytes=rng.randrange(1 << rng.randrange(1, 63)),
                **translated,
            )
        )
    held, first = table.sum(), table.take()
    again.merge(first)
    assert again.sum() == held
    second = again.take()
    assert second == first  # sorted, rounded once: the same bytes
    assert table.sum().rows == 0


@pytest.mark.parametrize("part", ["heads", "body", "addresses"])
def test_columns_that_are_none_are_refused(part: str) -> None:
    table = FlowTable(64)
    for number in range(40):
        table.add(seen(number, port=number))
    whole = table.take()
    good = {"heads": whole.heads, "body": whole.body, "addresses": whole.addresses}
    for end in range(len(good[part])):
        with pytest.raises(FlowTableError):
            FlowTable(64).merge(Columns(**(good | {part: good[part][:end]})))


def test_a_file_holds_no_address(tmp_path: Path) -> None:
    log = opened(tmp_path)
    host = IPv6Address("2001:db8::dead:beef:cafe")
    for number in range(50):
        log.table.add(seen(number, source=host + number, destination=host))
    log.write(NOW)
    [block] = told(tmp_path)[0]
    inflated = flowfile.heads_of(block) + flowfile.body_of(block) + flowfile.pack(block)
    assert host.packed[-6:] not in inflated
    assert b"lan" in flowfile.heads_of(block)  # zones and rules are no persons
    with pytest.raises(SealBroken):
        flowfile.addresses_of(block, lambda _, closed, beside: unseal(bytes(32), closed, beside))
    with pytest.raises(SealBroken):  # a block of another day
        flowfile.addresses_of(block, lambda _, closed, beside: unseal(KEY, closed, beside + b"x"))
    assert host.packed[-6:] in columns_of(block).addresses


def test_a_power_cut_in_the_middle_of_a_block_costs_that_block_only(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for minute in range(3):
        log.table.add(seen(minute))
        log.write(NOW + 60 * minute)
    [path] = flowfile.files(tmp_path)
    whole = path.read_bytes()
    ends = [sum(block.size for block in told(tmp_path)[0][: index + 1]) for index in range(3)]
    for cut in range(ends[1] + 1, len(whole)):
        path.write_bytes(whole[:cut])
        blocks, damage = told(tmp_path)
        assert (sum(block.flows for block in blocks), [(one.offset, one.bytes) for one in damage]) == (
            2,
            [(ends[1], cut - ends[1])],
        )
    # What comes back up cuts it off, says so, and goes on in the same file.
    log = opened(tmp_path)
    assert [words for words in log.words() if "were not written whole" in words]
    log.table.add(seen(7))
    log.write(NOW + 240)
    assert flowfile.files(tmp_path) == [path]
    assert (flows(tmp_path), told(tmp_path)[1]) == (3, [])


def test_a_damaged_block_is_passed_over_and_the_next_one_read(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for number in range(3):
        log.table.add(seen(number))
        log.write(NOW)
    [path] = flowfile.files(tmp_path)
    data = bytearray(path.read_bytes())
    second = told(tmp_path)[0][0].size
    rng = random.Random(2)
    for _ in range(50):
        at = second + rng.randrange(told(tmp_path)[0][0].size)
        damaged = bytearray(data)
        damaged[at] ^= 1 << rng.randrange(8)
        items = list(flowfile.blocks(bytes(damaged), "x"))
        assert [type(item) for item in items] == [Block, Damage, Block]


def test_a_full_disk_makes_it_wait_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path)
    log.table.add(seen(1))
    log.write(NOW)
    written = os.write

    def full(descriptor: int, data: bytes) -> int:
        written(descriptor, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("appliance.durable.os.write", full)
    for number in range(3):
        log.table.add(seen(number))
        log.write(NOW)
    assert (flows(tmp_path), told(tmp_path)[1]) == (1, [])
    assert ["no room" in words for words in log.words()] == [True]
    monkeypatch.undo()
    log.write(NOW)
    assert flows(tmp_path) == 4
    assert ["room on the disk again" in words for words in log.words()] == [True]


def test_without_a_key_nothing_is_written_and_the_loss_is_said_later(tmp_path: Path) -> None:
    keys: dict[int, bytes] = {}
    log = FlowLog(tmp_path, keys.get, rows=4)
    log.days = 30
    for number in range(10):
        log.table.add(seen(number))
        log.write(NOW)
    assert flowfile.files(tmp_path) == []
    keys[int(NOW) // 86400] = KEY
    log.write(NOW)
    [block] = told(tmp_path)[0]
    assert (block.flows, block.lost) == (4, 6)
    assert any("flows not logged: 6" in words for words in log.words())


def test_an_hour_that_is_over_becomes_a_small_file(tmp_path: Path) -> None:
    log = opened(tmp_path)
    begin = int(NOW) // HOUR * HOUR
    for minute in range(50):
        for number in range(20):
            log.table.add(seen(number, minute=begin // 60 + minute))
        log.write(begin + 60 * minute)
    [path] = flowfile.files(tmp_path)
    size = path.stat().st_size
    log.table.add(seen(99, minute=begin // 60 + 61))
    log.write(begin + HOUR + 60)
    log.finish(begin + HOUR + 120)
    closed, current = flowfile.files(tmp_path)
    assert (closed.suffix, current.suffix) == (flowfile.CLOSED, flowfile.OPEN)
    [block] = [item for item in flowfile.read(closed) if isinstance(item, Block)]
    assert (block.rows, block.flows) == (20, 1000)
    assert closed.stat().st_size < size / 20
    assert flows(tmp_path) == 1001
    assert closed.stat().st_mode & 0o777 == 0o640


def test_old_files_go_and_so_does_everything_where_nothing_is_kept(tmp_path: Path) -> None:
    log = opened(tmp_path)
    for day in (0, 20, 40):
        log.table.add(seen(day))
        log.write(NOW + 86400 * day)
        log.finish(NOW + 86400 * day)
    log.keep(NOW + 86400 * 40)
    assert len(flowfile.files(tmp_path)) == 2
    log.days = None  # what the policy says is not known: nothing is taken away
    log.keep(NOW + 86400 * 400)
    assert len(flowfile.files(tmp_path)) == 2
    log.days = 0
    log.keep(NOW + 86400 * 40)
    assert flowfile.files(tmp_path) == []


def test_the_bound_takes_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowlog, "TOTAL_BYTES", 700)
    log = opened(tmp_path)
    for hour in range(6):
        log.table.add(seen(hour))
        log.write(NOW + HOUR * hour)
        log.finish(NOW + HOUR * hour)
    log.keep(NOW + HOUR * 6)
    left = flowfile.files(tmp_path)
    assert sum(path.stat().st_size for path in left[:-1]) <= 700
    assert flowfile.hour_of(left[-1]) == int(NOW) // HOUR + 5
    assert any("to keep the bound" in words for words in log.words())


def test_a_flood_makes_many_files_and_the_bound_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flowlog, "FILE_BYTES", 2000)
    monkeypatch.setattr(flowlog, "TOTAL_BYTES", 20_000)
    log = opened(tmp_path)
    monkeypatch.setattr(log, "_close_others", lambda current: None)  # files are closed more slowly than they come
    for number in range(120):
        for one in range(20):
            log.table.add(seen(20 * number + one))
        log.write(NOW)
        log.keep(NOW)
    found = flowfile.files(tmp_path)
    assert [int(path.stem.partition("-")[2]) for path in found] == sorted(int(path.stem[10:]) for path in found)
    assert max(path.stat().st_size for path in found) < 4000
    assert sum(path.stat().st_size for path in found) < 24_000
    assert not any(isinstance(item, Damage) for path in found for item in flowfile.read(path))


def test_a_disk_that_fails_keeps_the_rows_and_nothing_from_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = opened(tmp_path)
    log.table.add(seen(1))
    with monkeypatch.context() as broken:
        broken.setattr(flowlog, "write_all", _fails)
        log.write(NOW)
    assert list(log.words()) == ["the flow log waits: the disk says: Input/output error"]
    log.write(NOW)
    assert flows(tmp_path) == 1


def _fails(descriptor: int, data: bytes) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_headers_that_lie_make_no_more_work_than_the_file_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = flowfile.MAGIC + struct.pack("<IIIIQQ6I", 1, 1, 1, 1, 1, 1, 200_000, 1, 1, 1, 1, 1) + bytes(4)
    data = header * 4000 + bytes(100_000)
    summed = 0
    crc32 = zlib.crc32

    def counted(part: bytes, start: int = 0) -> int:
        nonlocal summed
        summed += len(part)
        return crc32(part, start)

    monkeypatch.setattr("appliance.events.flowfile.zlib.crc32", counted)
    assert list(flowfile.blocks(data, "t")) == [Damage("t", 0, len(data))]
    assert summed < 5 * len(data)


def test_what_is_no_file_or_beyond_all_bounds_is_not_read(tmp_path: Path) -> None:
    huge, pipe, link = (flowfile.path_of(tmp_path, 1, number, flowfile.CLOSED) for number in range(3))
    with huge.open("wb") as file:
        file.truncate(flowfile.MAX_FILE + 1)
    assert list(flowfile.read(huge)) == list(flowfile.headers(huge)) == [Damage(str(huge), 0, flowfile.MAX_FILE + 1)]
    os.mkfifo(pipe)
    link.symlink_to("/etc/passwd")
    for path in (pipe, link):
        with pytest.raises(OSError, match=r"no file|symbolic"):
            flowfile.read(path)


def test_sizes_are_rounded_by_less_than_one_in_32() -> None:
    for exact in (0, 1, 63, 64, 65, 1000, 123_456_789, 2**40 + 12345):
        table = FlowTable(2)
        table.add(seen(1, bytes=exact))
        first = table.take()
        FlowTable(2).merge(first)
        assert len(first.body) < 40


def test_names_are_those_that_were_seen() -> None:
    table = FlowTable(8)
    table.add(seen(1))
    table.add(seen(2, rule="default", action="deny", from_zone="", to_zone="gateway"))
    heads = Heads(table.take().heads)
    assert Counter(heads.names) == Counter(["lan", "internet", "R-7", "", "gateway", "default"])
    assert heads.rows == 2


def test_keys_are_made_once_and_destroyed_when_asked(tmp_path: Path) -> None:
    keys = FlowKeys(tmp_path / "flow")
    made = {day: keys.make(day) for day in (100, 101, 102)}
    assert len(set(made.values())) == 3
    assert FlowKeys(tmp_path / "flow").get(101) == made[101]
    assert keys.forget(102) == 2
    assert [keys.get(day) for day in (100, 101, 102)] == [None, None, made[102]]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "flow").iterdir()} == {0o600}
    keys.make(600)  # more than a year later
    assert keys.days() == [600]
    closed = seal(made[102], b"addresses", b"day")
    assert unseal(made[102], closed, b"day") == b"addresses"
