"""Files that are replaced whole."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from appliance.durable import replace


def test_the_new_content_is_whole_though_the_kernel_takes_it_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    replace(tmp_path / "file", b"first part, ", b"", b"second part")
    assert (tmp_path / "file").read_bytes() == b"first part, second part"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_content_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    replace(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_what_lies_under_the_temporary_name_is_not_written_through(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_bytes(b"mine")
    (tmp_path / "file.tmp").symlink_to(mine)
    replace(tmp_path / "file", b"new", mode=0o600)
    assert mine.read_bytes() == b"mine"
    assert (tmp_path / "file").read_bytes() == b"new" and not (tmp_path / "file").is_symlink()


def test_content_is_on_disk_before_its_name_is_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(descriptor: int) -> None:
        done.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        fsync(descriptor)

    def renamed(old: Path, new: Path) -> Path:
        done.append("rename")
        return rename(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    replace(tmp_path / "file", b"content")
    assert done == ["content", "rename", "directory"]
    done.clear()
    replace(tmp_path / "file", b"content", durable=False)
    assert done == ["rename"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_mode_is_the_one_asked_for_whatever_lay_there(tmp_path: Path, mode: int) -> None:
    leftover = tmp_path / "file.tmp"  # of a process that was killed
    leftover.write_bytes(b"x" * 100)
    leftover.chmod(0o666)
    mask = os.umask(0o077)
    try:
        replace(tmp_path / "file", b"content", mode=mode)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert (tmp_path / "file").read_bytes() == b"content"
