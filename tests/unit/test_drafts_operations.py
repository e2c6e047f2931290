"""A form changes a text: only the lines that it is about are different, and comments stay."""

from __future__ import annotations

import time
from difflib import ndiff
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.drafts.edits import applied
from appliance.drafts.operations import Operation, OperationError, SetKeys, operate
from appliance.drafts.sheet import PieceCache
from appliance.drafts.written import scalar
from appliance.policy.meant.parse import parse
from appliance.policy.written.edit import EditError
from appliance.policy.written.text import Items, Report, Table, Word, compose
from tests.model.test_parse_again import BODIES, HEAD, HEADERS
from tests.policies import large_policy_text

TEXT = """\
reef: 1
site: s
zones: {lan: {interfaces: [lan0]}, dmz: {interfaces: [dmz0]}}
objects:  # what there is
  # the records
  records: {addresses: [10.0.0.1]}  # one
  others:
    addresses:
      - 10.0.0.2  # two

rules:
  # all about R-1
  - id: R-1  # first
    from: lan
    to: dmz
    service:  # what it needs
      - tcp/443  # secure
      # plain
      - tcp/80
    why: |
      two

      # lines
    action: deny  # never

  - {id: R-2, from: lan, to: dmz, source: records, action: deny, log: end}
  # about R-3
  - id: R-3
    from: lan
    to: dmz
    action: deny
    people:
# the end of rules
settings: {drift: report}
"""


def make(text: str, *operations: dict[str, Any]) -> str:
    done = operate(text, [msgspec.convert(one, Operation) for one in operations])
    assert applied(text, done.edits) == done.text
    return done.text


def difference(old: str, new: str) -> tuple[list[str], list[str]]:
    """The lines that are no longer there, and those that are new."""
    said = list(ndiff(old.split("\n"), new.split("\n")))
    return [line[2:] for line in said if line[0] == "-"], [line[2:] for line in said if line[0] == "+"]


@pytest.mark.parametrize(
    ("rule", "keys", "gone", "new"),
    [
        ("R-1", {"action": "allow"}, ["    action: deny  # never"], ["    action: allow  # never"]),
        ("R-1", {"log": "end"}, [], ["    log: end"]),
        ("R-1", {"service": ["tcp/80", "udp/53"]}, ["      - tcp/443  # secure"], ["      - udp/53"]),
        ("R-1", {"service": None}, TEXT.split("\n")[15:19], []),
        ("R-1", {"why": "a: b"}, TEXT.split("\n")[19:23], ['    why: "a: b"']),
        ("R-1", {"source": ["::1", "2001:db8::"]}, [], ['    source: ["::1", "2001:db8::"]']),
        ("R-1", {"from": ["lan", "dmz"]}, ["    from: lan"], ["    from: [lan, dmz]"]),
        ("R-1", {"id": "R-9"}, ["  - id: R-1  # first"], ["  - id: R-9  # first"]),
        ("R-3", {"people": ["a.b", "group:c"]}, ["    people:"], ["    people: [a.b, group:c]"]),
        ("R-3", {"people": []}, ["    people:"], []),
        (
            "R-2",
            {"source": None, "why": "x, y", "log": ""},
            ["  - {id: R-2, from: lan, to: dmz, source: records, action: deny, log: end}"],
            ['  - {id: R-2, from: lan, to: dmz, action: deny, why: "x, y"}'],
        ),
        ("R-1", {"action": "deny", "to": ["dmz"], "log": None}, [], []),
    ],
)
def test_a_key_is_set_and_every_other_line_stays(
    rule: str, keys: dict[str, Any], gone: list[str], new: list[str]
) -> None:
    after = make(TEXT, {"op": "set", "rule": rule, "keys": keys})
    assert difference(TEXT, after) == (gone, new)


def test_a_rule_is_put_in_moved_copied_and_taken_away_with_its_comments() -> None:
    new = {"op": "insert", "after": "R-2", "yaml": "id: R-5\nfrom: lan\nto: dmz\naction: deny\n"}
    written = "  - id: R-5\n    from: lan\n    to: dmz\n    action: deny\n"
    after = make(TEXT, new)
    assert after == TEXT.replace("log: end}\n", f"log: end}}\n{written}")
    assert make(after, {"op": "delete", "rules": ["R-5"]}) == TEXT
    first = make(TEXT, {"op": "move", "rules": ["R-3"], "after": ""})
    block = TEXT[TEXT.index("  # about R-3") : TEXT.index("# the end")]
    assert first == TEXT.replace(block, "").replace("rules:\n", f"rules:\n{block}")
    assert make(first, {"op": "move", "rules": ["R-3"]}) == TEXT
    copied = make(TEXT, {"op": "copy", "rule": "R-3", "id": "R-4"})
    assert copied == TEXT.replace(
        "# the end", block.replace("  # about R-3\n", "").replace("R-3", "R-4") + "# the end"
    )
    replaced = make(TEXT, {"op": "replace", "rule": "R-2", "yaml": new["yaml"]})
    assert replaced == TEXT.replace(next(line for line in TEXT.split("\n") if "R-2" in line) + "\n", written)


def test_many_changes_are_one() -> None:
    after = make(
        TEXT,
        {"op": "copy", "rule": "R-1", "id": "R-8", "after": ""},
        {"op": "set", "rule": "R-8", "keys": {"action": "reject", "log": "both"}},
        {"op": "delete", "rules": ["R-1", "R-2", "R-3"]},
        {"op": "object", "name": "more", "yaml": "addresses:\n  - 10.0.0.9\n"},
        {"op": "object", "name": "records", "yaml": "{addresses: [10.0.0.7]}"},
        {"op": "object", "name": "others", "yaml": None},
        {"op": "object", "section": "schedules", "name": "night", "yaml": "22:00-06:00"},
    )
    policy, _ = parse(after, "t.yaml", inherited={})
    assert [(rule.id, rule.action) for rule in policy.rules] == [("R-8", "reject")]
    assert set(policy.objects) == {"records", "more"}
    assert "  # the records\n  records: {addresses: [10.0.0.7]}\n  more:\n    addresses:\n      - 10.0.0.9\n" in after
    assert after.endswith("settings: {drift: report}\n\nschedules:\n  night: 22:00-06:00\n")


@pytest.mark.parametrize("empty", ["rules: []  # none\n", "rules:\n", ""])
def test_the_first_rule_and_the_last(empty: str) -> None:
    text = f"reef: 1\nsite: s\n{empty}"
    filled = make(text, {"op": "insert", "yaml": "- id: R-1\n  from: any\n  to: any\n  action: deny"})
    assert [rule.id for rule in parse(filled, "t.yaml", inherited={})[0].rules] == ["R-1"]
    emptied = make(filled, {"op": "delete", "rules": ["R-1"]})
    assert parse(emptied, "t.yaml", inherited={})[0].rules == ()


@pytest.mark.parametrize(
    ("operation", "said", "remedy"),
    [
        ({"op": "set", "rule": "R-11", "keys": {}}, "no rule `R-11`", "did you mean `R-1`?"),
        ({"op": "set", "rule": "R-1", "keys": {"sevrice": "x"}}, "no key `sevrice`", "did you mean `service`?"),
        ({"op": "set", "rule": "R-1", "keys": {"action": None}}, "`action` cannot be left out", ""),
        ({"op": "set", "rule": "R-1", "keys": {"action": ["a", "b"]}}, "`action` is one value", "give one text"),
        ({"op": "set", "rule": "R-1", "keys": {"id": "R-2"}}, "a rule `R-2` already", "give it another id"),
        ({"op": "copy", "rule": "R-1", "id": "R-2"}, "a rule `R-2` already", ""),
        ({"op": "insert", "yaml": "from: lan"}, "has no id", "write `- id"),
        ({"op": "insert", "yaml": "- 'a", "after": "R-1"}, "not closed", ""),
        ({"op": "insert", "yaml": "id: R-7", "after": "R-22"}, "no rule `R-22` to stand behind", "did you mean"),
        ({"op": "delete", "rules": ["R-2", "x"]}, "no rule `x`", ""),
        ({"op": "move", "rules": ["R-1"], "after": "R-1"}, "cannot stand behind itself", ""),
        ({"op": "object", "name": "a b", "yaml": "x"}, "`a b` is not a name", ""),
        ({"op": "object", "name": "recrods", "yaml": None}, "does not define `recrods`", "did you mean `records`?"),
        ({"op": "object", "name": "r", "yaml": "a: [\n"}, "`r`: ", ""),
    ],
)
def test_what_cannot_be_made_is_said_with_what_would_be_right(
    operation: dict[str, Any], said: str, remedy: str
) -> None:
    first = {"op": "set", "rule": "R-1", "keys": {"log": "end"}}
    with pytest.raises(OperationError) as error:
        make(TEXT, first, operation)
    assert said in str(error.value)
    assert remedy in error.value.remedy
    assert error.value.number == 1


def test_lines_of_windows_become_plain_ones_and_the_edits_say_so() -> None:
    text = TEXT.replace("\n", "\r\n").removesuffix("\r\n")
    assert make(text, {"op": "delete", "rules": ["R-2"]}) == make(TEXT, {"op": "delete", "rules": ["R-2"]})


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(HEADERS, BODIES, st.sampled_from(["R-1", "R-3", "R-4", "R-5", "R-10"]), st.data())
def test_in_any_text_only_the_lines_of_the_rule_change(
    header: str, body: list[str], rule: str, data: st.DataObject
) -> None:
    text = HEAD + header + "".join(body)
    changes: list[tuple[str, str | list[str] | None]] = [
        ("service", ["tcp/1", "udp/2"]), ("why", "# x"), ("log", None), ("to", ["dmz"]),
    ]  # fmt: skip
    key, words = data.draw(st.sampled_from(changes))
    operation = SetKeys(rule, {key: words})
    try:
        done = operate(text, [operation])
    except EditError:
        return
    assert applied(text, done.edits) == done.text
    assert operate(done.text, [operation]).edits == (), "once more changes nothing"
    report = Report("t.yaml")
    before, after = compose(text, Report("t.yaml")), compose(done.text, report)
    assert isinstance(before, Table) and isinstance(after, Table)
    assert {k for k in before.entries if values(before.entries[k]) != values(after.entries[k])} <= {"rules"}
    old, new = before.entries["rules"], after.entries["rules"]
    assert isinstance(old, Items) and isinstance(new, Items)
    for one, two in zip(old.items, new.items, strict=True):
        first, second = values(one), values(two)
        if not isinstance(first, dict) or first.get("id") != rule:
            assert first == second
            continue
        expected = {**first, key: words} if words is not None else {k: v for k, v in first.items() if k != key}
        assert {k: listed(v) for k, v in second.items()} == {k: listed(v) for k, v in expected.items()}


def values(node: Any) -> Any:
    if isinstance(node, Word):
        return node.value
    if isinstance(node, Items):
        return [values(one) for one in node.items]
    return {key: values(one) for key, one in node.entries.items()}


def listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


@settings(max_examples=150, deadline=None)
@given(st.text("ab :#-,[]{}'\"\\|>&*!%@`?\n~é😀", min_size=1, max_size=8), st.booleans())
def test_a_value_reads_as_it_was_given(value: str, flow: bool) -> None:
    report = Report("value")
    node = compose(f"k: [{scalar(value, flow=True)}]" if flow else f"k: {scalar(value)}", report)
    assert isinstance(node, Table) and not report.found
    assert values(node) == {"k": [value] if flow else value}


def test_one_key_among_thousands_of_rules_costs_little_once_the_text_is_known() -> None:
    text, cache = large_policy_text(5_000), PieceCache()
    begin = time.process_time()
    operate(text, [SetKeys("R-5", {"log": "end"})], cache)
    first = time.process_time() - begin
    seconds: list[float] = []
    for number in range(5):
        begin = time.process_time()
        done = operate(text, [SetKeys(f"R-{900 * number + 7}", {"log": "end"})], cache)
        seconds.append(time.process_time() - begin)
        assert len(done.edits) == 1
    assert min(seconds) < first / 2


@pytest.mark.parametrize("odd", ["a\x19b", "\0", "\ufeff", "\ud800", "a\tb", "\u2028"])
@pytest.mark.parametrize("key", ["why", "service"])
def test_a_character_that_may_not_stand_in_a_policy_is_refused(key: str, odd: str) -> None:
    """Somebody pastes it into a form, or into a table."""
    value = odd if key == "why" else ["tcp/443", odd]
    with pytest.raises(OperationError, match="character"):
        operate(TEXT, [SetKeys("R-1", {key: value})])
