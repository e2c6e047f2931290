"""What the taps keep: nothing unless the policy says so, within its bounds and its days."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.control.messages.gateway import NameBook
from ctypes_ext.engine import Options, Worker
from dataplane.keeping import Keeping

DAY = 86_400.0


def book(**settings: object) -> NameBook:
    return NameBook(generation=1, site="s", zones=(), rules=(), **settings)  # type: ignore[arg-type]


def put(folder: Path, name: str, *, days_old: float, now: float, size: int = 10) -> Path:
    part = folder / name[:2]
    part.mkdir(parents=True, exist_ok=True)
    file = part / name
    file.write_bytes(bytes(size))
    os.utime(file, (now - days_old * DAY,) * 2)
    return file


def test_nothing_is_opened_before_the_policy_asks(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    worker = Worker(Options())
    keeping.follow([worker], None)
    keeping.follow([worker], book())
    keeping.tidy(0.0)
    assert list(tmp_path.iterdir()) == []
    assert keeping.words() == []


def test_it_follows_the_policy_and_says_so_once(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    worker = Worker(Options())
    for _ in range(2):
        keeping.follow([worker], book(keep_files="rules", keep_evidence=True))
    assert keeping.words() == ["kept of traffic: files: rules; packets: of connections with alerts"]
    assert {folder.name for folder in tmp_path.iterdir()} == {"files", "evidence"}
    keeping.follow([worker], book())
    assert keeping.words() == ["kept of traffic: files: none; packets: none"]


def test_workers_that_come_later_keep_the_same(tmp_path: Path) -> None:
    keeping = Keeping(tmp_path)
    workers = [Worker(Options()) for _ in range(3)]
    keeping.follow(workers[:1], book(keep_files="all"))
    keeping.follow(workers, book(keep_files="all"))
    assert keeping.words() == ["kept of traffic: files: all; packets: none"]
    assert [worker._store is not None for worker in workers] == [True] * 3
    assert len({worker._store for worker in workers}) == 3, "each has a door of its own"


def test_what_an_earlier_policy_kept_goes_after_its_days(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    old = put(tmp_path / "files", "ab00", days_old=8, now=now)
    fresh = put(tmp_path / "files", "ab01", days_old=6, now=now)
    keeping = Keeping(tmp_path)
    keeping.follow([Worker(Options())], book(keep_days=7))
    for _ in range(256):
        keeping.tidy(now)
    assert not old.exists()
    assert fresh.exists()
    assert keeping.words() == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")
    keeping = Keeping(tmp_path)
    keeping.follow([Worker(Options())], book(keep_files="all"))
    [words] = keeping.words()
    assert words.startswith("nothing is kept of traffic: ")
