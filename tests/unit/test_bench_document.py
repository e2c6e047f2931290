"""docs/performance.md: one bench written anew leaves the others as they are."""

from __future__ import annotations

from pathlib import Path

from tests.bench.document import renewed, section, sections

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"


def test_one_section_is_written_anew_and_the_others_stay() -> None:
    whole = DOCUMENT.read_text(encoding="utf-8")
    before = sections(whole)
    assert {"apply", "inspect", "gate"} <= set(before)
    anew = section("The XDP gate", "gate", ["- 2 cores", "- load 0.1"], "| a |\n|---|\n| b |\n")
    after = sections(renewed(whole, {"gate": anew}))
    assert after.pop("gate") == anew
    before.pop("gate")
    assert after == before


def test_a_bench_that_is_new_finds_its_place() -> None:
    whole = renewed("", {"b": section("B", "b", [], "| b |\n"), "c": section("C", "c", [], "| c |\n")})
    anew = renewed(whole, {"a": section("A", "a", [], "| a |\n")})
    assert [line for line in anew.splitlines() if line.startswith("## ")] == ["## A", "## B", "## C"]
    assert renewed(anew, {}) == anew
