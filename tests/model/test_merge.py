"""Two drafts become one: what each side changed is in the result, and what both changed is told."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.drafts.edits import Edit, EditsError, applied, minimal
from appliance.drafts.merge import merge
from appliance.drafts.sheet import PieceCache, sheet
from appliance.policy.meant.parse import parse
from appliance.policy.written.edit import EditError
from tests.model.test_parse_again import BODIES, HEAD, HEADERS
from tests.policies import large_policy_text

TOP = "# the policy\nreef: 1\nsite: s\nzones: {lan: {interfaces: [lan0]}, dmz: {interfaces: [dmz0]}}\n\n"
QUIET = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class Item(msgspec.Struct, frozen=True):
    """A rule or object as it is written, with its comments."""

    name: str
    words: str
    shape: int
    remark: str = ""

    def rule(self) -> str:
        above = f"  # {self.remark}\n" if self.remark else ""
        keys = f"from: lan\n    to: dmz\n    action: deny\n    why: {self.words}\n"
        shapes = (
            f"  - id: {self.name}\n    {keys}",
            f"  - {{id: {self.name}, from: lan, to: dmz, action: deny, why: {self.words}}}\n",
            f"  - id: {self.name}  # beside\n    {keys}\n",
            f"  -\n    id: {self.name}\n    from: lan\n    to: dmz\n    action: deny\n    why: |\n"
            f"      # no comment\n      - id: x\n      {self.words}\n      # neither\n",
        )
        return above + shapes[self.shape]

    def object(self) -> str:
        return f"  {self.name}: {{addresses: [10.0.0.{len(self.words)}], description: {self.words}}}\n"


def text_of(rules: list[Item], objects: list[Item]) -> str:
    known = "".join(map(Item.object, objects))
    listed = "".join(map(Item.rule, rules))
    return f"{TOP}objects:\n{known}\nrules:  # all\n{listed}\nsettings: {{drift: report}}\n# the end\n"


def lines(text: str) -> list[str]:
    """Without blank ones: who stands last says how many of them end a section."""
    return [line for line in text.split("\n") if line.strip()]


WORDS = st.text("abcdef", min_size=1, max_size=6)


@st.composite
def changes(draw: st.DrawFn, base: list[Item], mine: frozenset[str], prefix: str) -> list[Item]:
    """The items with some of `mine` changed or taken away, and new ones behind some."""
    found: list[Item] = []
    for item in base:
        touched = draw(st.sampled_from(["stay", "stay", "change", "remark", "delete"])) if item.name in mine else ""
        if touched == "change":
            item = msgspec.structs.replace(item, words=item.words + draw(WORDS), shape=draw(st.integers(0, 3)))
        elif touched == "remark":
            item = msgspec.structs.replace(item, remark=item.remark + draw(WORDS))
        if touched != "delete":
            found.append(item)
        # A new one stands only behind what nobody takes away or adds to.
        if item.name in mine and touched in ("stay", "change") and draw(st.booleans()):
            found.append(Item(f"{prefix}-{item.name}", draw(WORDS), draw(st.integers(0, 3))))
    return found


@st.composite
def disjoint(draw: st.DrawFn) -> tuple[list[list[Item]], list[list[Item]]]:
    """(base, mine, theirs) of rules and of objects; nothing is changed by both."""
    found: list[list[list[Item]]] = []
    for kind in ("R", "o"):
        count = draw(st.integers(3, 9))
        base = [
            Item(f"{kind}{n}", draw(WORDS), draw(st.integers(0, 3)) if kind == "R" else 0, draw(st.just("") | WORDS))
            for n in range(count)
        ]
        owner = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        # The first stays: a section without entries is another test.
        mine = frozenset(item.name for item, own in zip(base, owner, strict=True) if own) - {base[0].name}
        theirs = frozenset(item.name for item in base[1:]) - mine
        found.append([base, draw(changes(base, mine, "M")), draw(changes(base, theirs, "T"))])
    return found[0], found[1]


def union(base: list[Item], mine: list[Item], theirs: list[Item]) -> list[Item]:
    """What both changed, by the plainest means: one item of the base after the other, with what stands behind it."""
    known = [{item.name: item for item in one} for one in (base, mine, theirs)]
    found: list[Item] = []
    for item in base:
        if item.name in known[1] and item.name in known[2]:
            own, other = known[1][item.name], known[2][item.name]
            found.append(own if other == item else other)
        for one in known[1:]:
            added = next((one[name] for name in (f"M-{item.name}", f"T-{item.name}") if name in one), None)
            if added is not None:
                found.append(added)
    return found


@QUIET
@given(disjoint())
def test_changes_of_different_entries_are_both_in_the_result(
    sides: tuple[list[list[Item]], list[list[Item]]],
) -> None:
    rules, objects = sides
    base, mine, theirs = [text_of(r, o) for r, o in zip(rules, objects, strict=True)]
    result = merge(base, mine, theirs)
    assert result.conflicts == ()
    assert lines(result.text) == lines(merge(base, theirs, mine).text), "the two sides may be exchanged"
    assert lines(result.text) == lines(text_of(union(*rules), union(*objects))), "and nothing else is different"
    policy, _ = parse(result.text, "merged.yaml", inherited={})
    assert [rule.id for rule in policy.rules] == [item.name for item in union(*rules)]


@QUIET
@given(st.lists(WORDS, min_size=1, max_size=12), st.data())
def test_lines_changed_in_place_are_merged_line_by_line(words: list[str], data: st.DataObject) -> None:
    items = [Item(f"R{n}", said, 0) for n, said in enumerate(words)]
    base = text_of(items, [])
    sides = [base.split("\n"), base.split("\n")]
    for item in items:
        side = sides[data.draw(st.integers(0, 1))]
        side[side.index(f"  - id: {item.name}") + data.draw(st.integers(1, 4))] += data.draw(
            st.sampled_from([" # a", "b"])
        )
    expected = [
        mine if mine != line else theirs
        for line, mine, theirs in zip(base.split("\n"), sides[0], sides[1], strict=True)
    ]
    result = merge(base, "\n".join(sides[0]), "\n".join(sides[1]))
    assert result.conflicts == ()
    assert result.text == "\n".join(expected)


@QUIET
@given(HEADERS, BODIES, BODIES, BODIES)
def test_any_text_is_merged_or_refused_and_with_itself_stays(
    header: str, one: list[str], two: list[str], three: list[str]
) -> None:
    """Texts in every odd shape: whole, cut by what is known, broken."""
    texts = [HEAD + header + "".join(body) for body in (one, two, three)]
    cache = PieceCache()
    for text in texts:
        assert merge(text, text, text).text == text
        try:
            cut = sheet(text, cache)
        except EditError:
            continue
        assert cut.preamble + "".join(section.text for section in cut.sections) == cut.text
        assert cut == sheet(text, cache) == sheet(text), "what is known of pieces changes nothing"
        for name, (above, body, end) in cut.places("rules").items():
            part = next(part for part in cut.section("rules").parts if part.name == name)  # type: ignore[union-attr]
            assert (cut.text[above:body], cut.text[body:end]) == (part.above, part.body)
    try:
        result = merge(texts[0], texts[1], texts[2], cache)
    except EditError:
        return
    assert result == merge(texts[0], texts[1], texts[2]), "nor in the merging"


def test_what_both_changed_is_told_and_mine_stays() -> None:
    items = [Item(f"R{n}", "w", 0) for n in range(4)]
    base = text_of(items, [])
    mine = text_of([items[0], Item("R1", "mine", 0), items[2], Item("N", "mine", 0)], [])
    other = [Item(name, "theirs", 0) for name in ("R0", "R1", "R3", "N")]
    theirs = text_of([*other[:2], items[2], *other[2:]], [])
    result = merge(base, mine, theirs)
    told = {(one.what, one.kind) for one in result.conflicts}
    assert told == {("rule R1", "changed"), ("rule R3", "removed"), ("rule N", "added")}
    one = next(one for one in result.conflicts if one.name == "R1")
    assert [one.base, one.mine, one.theirs] == [Item("R1", words, 0).rule() for words in ("w", "mine", "theirs")]
    assert result.text == text_of(
        [Item("R0", "theirs", 0), Item("R1", "mine", 0), items[2], Item("N", "mine", 0)], []
    )


def test_a_rule_that_one_side_moved_and_the_other_changed_is_both() -> None:
    items = [Item(f"R{n}", "w", 0) for n in range(4)]
    moved = [items[3], *items[:3]]
    changed = [*items[:3], Item("R3", "new", 0)]
    texts = [text_of(one, []) for one in (items, moved, changed)]
    assert merge(texts[0], texts[1], texts[2]) == merge(texts[0], texts[2], texts[1])
    assert merge(texts[0], texts[1], texts[2]).text == text_of([changed[3], *items[:3]], [])


def test_a_rule_that_both_moved_elsewhere_is_told() -> None:
    items = [Item(f"R{n}", "w", 0) for n in range(5)]
    mine = [items[4], *items[:4]]
    theirs = [items[0], items[4], *items[1:4]]
    result = merge(text_of(items, []), text_of(mine, []), text_of(theirs, []))
    assert [(one.what, one.kind, one.base, one.mine, one.theirs) for one in result.conflicts] == [
        ("rule R4", "moved", "R3", "", "R0")
    ]
    assert result.text == text_of(mine, [])


@pytest.mark.parametrize("empty", ["rules: []\n", "rules:\n", ""])
def test_the_first_rules_of_two_sides_are_both_there(empty: str) -> None:
    one, two = Item("R1", "a", 0), Item("R2", "b", 0)
    result = merge(TOP + empty, f"{TOP}rules:\n{one.rule()}", f"{TOP}rules:\n{two.rule()}")
    assert result.conflicts == ()
    policy, _ = parse(result.text, "merged.yaml", inherited={})
    assert [rule.id for rule in policy.rules] == ["R1", "R2"]


def test_a_rule_more_goes_into_a_list_that_the_other_side_indented_otherwise() -> None:
    base = f"{TOP}rules:\n  - id: R1\n    from: lan\n    to: dmz\n    action: deny\n"
    mine = f"{TOP}rules:\n- id: R1\n  from: lan\n  to: dmz\n  action: deny\n"
    theirs = base + "  - id: R2\n    from: dmz\n    to: lan\n    action: deny\n"
    expected = mine + "- id: R2\n  from: dmz\n  to: lan\n  action: deny\n"
    assert merge(base, mine, theirs).text == expected
    assert merge(base, mine, theirs).conflicts == ()


def test_sections_that_are_one_value_are_merged_whole() -> None:
    base = f"{TOP}settings: {{drift: report}}\n"
    mine, theirs = base.replace("report", "repair"), base.replace("drift: report", "history: 5")
    (conflict,) = merge(base, mine, theirs).conflicts
    assert (conflict.what, conflict.kind, conflict.theirs) == ("settings", "changed", "settings: {history: 5}\n")
    assert merge(base, mine, theirs).text == mine


def test_a_text_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(EditError, match="not closed"):
        merge("reef: 1\n", "reef: 2\n", "reef: ['1\n")


def test_ten_thousand_rules_are_merged() -> None:
    base = large_policy_text(10_000)
    mine, theirs = base.replace("why: need 17\n", "why: mine\n"), base.replace("why: need 18\n", "why: theirs\n")
    result = merge(base, mine, theirs)
    assert result.conflicts == ()
    assert result.text == mine.replace("why: need 18\n", "why: theirs\n")
    (edit,) = minimal(mine, result.text)
    assert (mine[edit.start : edit.end], edit.insert) == ("need 18", "theirs")


@QUIET
@given(st.lists(st.text("ab\n😀é", max_size=4), max_size=12), st.lists(st.text("ab\n😀é", max_size=4), max_size=12))
def test_minimal_edits_lead_from_one_text_to_the_other(one: list[str], two: list[str]) -> None:
    old, new = "".join(one), "".join(two)
    edits = minimal(old, new)
    assert applied(old, edits) == new
    assert all(a.end <= b.start for a, b in pairwise(edits))


def test_edits_count_in_the_units_of_a_browser() -> None:
    assert minimal("😀 a", "😀 b") == (Edit(3, 4, "b"),)
    assert applied("😀 a", [Edit(0, 2, "x")]) == "x a"
    with pytest.raises(EditsError, match="cuts a character"):
        applied("😀", [Edit(1, 2, "")])
    with pytest.raises(EditsError, match="overlaps"):
        applied("abc", [Edit(0, 2, ""), Edit(1, 3, "")])
