"""Rule files: what is read beside them, what is kept compiled, and when it is compiled again."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataplane import rulefiles
from dataplane.rulefiles import RulesError, load, variables_of
from dataplane.rulewatch import home_networks


def rules(folder: Path, count: int, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "many.rules"
    lines = [
        f'alert tcp any any -> any any (msg:"{n}"; content:"needle {n}"; sid:{n};)\n' for n in range(1, count + 1)
    ]
    file.write_text("".join(lines) + more)
    return file


def test_a_large_set_is_compiled_once(tmp_path: Path) -> None:
    file, cache = rules(tmp_path / "rules", 300), tmp_path / "cache"
    first = load([file], {}, cache)
    second = load([file], {}, cache)
    assert (first.cached, second.cached) == (False, True)
    assert (first.loaded, second.loaded, len(second.rules)) == (300, 300, 300)


def test_what_changes_a_set_makes_it_anew(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    listed = 'alert tcp any any -> any any (msg:"l"; filemd5:bad.md5; sid:999;)\n'
    file = rules(tmp_path / "rules", 300, listed)
    (file.parent / "bad.md5").write_text("d41d8cd98f00b204e9800998ecf8427e\n")
    assert not load([file], {}, cache).cached
    assert load([file], {}, cache).cached
    assert not load([file], {"HOME_NET": "10.0.0.0/8"}, cache).cached, "another variable"
    (file.parent / "bad.md5").write_text("00000000000000000000000000000000\n")
    assert not load([file], {}, cache).cached, "another list"
    (file.parent / "classification.config").write_text("config classification: mine,My Own,1\n")
    assert not load([file], {}, cache).cached, "another class"
    for kept in cache.iterdir():
        kept.write_bytes(b"damaged")
    assert load([file], {}, cache).loaded == 301


def test_small_sets_and_old_ones_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    load([rules(tmp_path / "small", 3)], {}, cache)
    assert not cache.exists()
    monkeypatch.setattr(rulefiles, "_KEPT", 2)
    for count in range(201, 206):
        load([rules(tmp_path / "rules", count)], {}, cache)
    assert len(list(cache.glob("*.image"))) == 2
    assert len(list(cache.glob("*.prepared"))) == 2


def test_a_list_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("d41d8cd98f00b204e9800998ecf8427e\n")
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "x.rules").write_text('alert http any any -> any any (msg:"x"; filemd5:../secret; sid:1;)\n')
    loaded = load([folder])
    assert (loaded.loaded, [problem.keyword for problem in loaded.refused]) == (0, ["filemd5"])


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"nowhere\.rules: No such file"):
        load([tmp_path / "nowhere.rules"])
    with pytest.raises(RulesError, match="no rule files in this folder"):
        load([tmp_path])
    for words in ("HOME_NET", "=x", "a b=c", "X="):
        with pytest.raises(RulesError, match="write NAME=VALUE"):
            variables_of([words])
    assert variables_of(["A=1", "B = [1,2]".replace(" = ", "=")]) == {"A": "1", "B": "[1,2]"}


def test_nothing_is_at_home_before_the_policy_is_known() -> None:
    assert home_networks(None) == {}
