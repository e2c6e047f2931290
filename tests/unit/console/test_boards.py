"""Texts that people work at are read when their rows are asked for, and no more are kept than there is room for."""

from __future__ import annotations

import pytest

from appliance.console.boards import Board, Shelf, after
from appliance.control.messages.changes import Draft, DraftChecked
from appliance.drafts.edits import Edit, EditsError
from appliance.drafts.grid import RowCache, grid
from tests.policies import large_policy_text

TEXT = large_policy_text(40)


def board(text: str, cache: RowCache) -> Board:
    return Board(text, {}, {}, grid(text, {}, cache))


def checked(version: int) -> DraftChecked:
    draft = Draft("d", "ana", "", 1, version, 0.0, 0.0, True, 0)
    return DraftChecked(draft, True, (), (), None, 40, 0.0)


def test_what_was_typed_is_put_into_the_text_in_its_order() -> None:
    shelf = Shelf(3, board(TEXT, RowCache()), 0.0)
    at = TEXT.index("R-7")
    assert shelf.add((Edit(at, at, "A"),), checked(4))
    assert shelf.add((Edit(at + 1, at + 1, "B"),), checked(5))
    assert (shelf.version, shelf.newest) == (3, 5)
    assert after(shelf.board.text, shelf.typed) == TEXT.replace("R-7", "ABR-7", 1)
    with pytest.raises(EditsError):
        after("", shelf.typed)


def test_a_newer_version_leaves_the_rows_of_those_before_it() -> None:
    cache = RowCache()
    shelf = Shelf(1, board(TEXT, cache), 0.0)
    first = shelf.board
    shelf.add((Edit(0, 0, "# x\n"),), checked(2))
    shelf.add((Edit(0, 0, "# y\n"),), checked(3))
    shelf.put(2, board("# x\n" + TEXT, cache))
    assert [one.checked.draft.version for one in shelf.typed] == [3]
    known = shelf.past(1)
    assert known is not None
    assert known.grid.rules == first.grid.rules
    assert shelf.past(7) is None
    for version in range(3, 8):
        shelf.put(version, board("# x\n" + TEXT, cache))
    assert shelf.past(1) is None
    assert len(shelf.grids) == 4


def test_who_types_too_much_without_a_look_is_not_followed() -> None:
    shelf = Shelf(1, board(TEXT, RowCache()), 0.0)
    assert not shelf.add((Edit(0, 0, "x" * (2 << 20)),), checked(2))


def test_a_sweep_forgets_rules_of_no_text_that_is_kept() -> None:
    cache = RowCache()
    first = grid(TEXT, {}, cache)
    second = grid(TEXT.replace("owner: ", "owner: other-"), {}, cache)
    before = len(cache)
    cache.sweep([second])
    assert len(cache) < before
    assert len(cache.pieces.known) <= len(cache)
    again = grid(TEXT.replace("owner: ", "owner: other-"), {}, cache)
    assert all(one is other for one, other in zip(again.rules, second.rules, strict=True))
    assert any(one is not other for one, other in zip(grid(TEXT, {}, cache).rules, first.rules, strict=True))


def test_a_rule_is_read_once_for_all_texts_that_have_it() -> None:
    cache = RowCache()
    first = grid(TEXT, {}, cache)
    second = grid(TEXT.replace("reef: 1", "reef: 1\n# a comment"), {}, cache)
    assert all(one is other for one, other in zip(first.rules, second.rules, strict=True))


def test_a_text_that_rests_is_the_same_when_it_is_looked_at_again() -> None:
    text = TEXT + "# una línea más: ñ, 漢, \U0001f41f\n"
    known = board(text, RowCache())
    for _ in range(2):
        known.rest()
        assert known.rests
        assert known.text == text
        assert not known.rests
