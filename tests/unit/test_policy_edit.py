"""A change of one rule leaves every other line of the text as it is."""

from __future__ import annotations

import pytest
import yaml

from appliance.policy.written import edit
from appliance.policy.written.edit import EditError

TEXT = """\
reef: 1
site: s
zones: {lan: {interfaces: [lan0]}}
rules:
  # all about R-1
  - id: R-1  # first
    from: lan
    to: lan
    why: |
      two

      lines
    action: deny

  - {id: R-2, from: lan, to: lan, action: deny}
  # about R-3
  - id: R-3
    from: lan
    to: lan
    action: deny
    people:
# the end of rules
settings: {drift: report}
"""
NEW = "id: R-9\nfrom: lan\nto: lan\naction: reject\nwhy: |\n  some\n\n  words\n"
WRITTEN = """\
  - id: R-9
    from: lan
    to: lan
    action: reject
    why: |
      some

      words
"""


def test_a_rule_is_given_as_it_is_written() -> None:
    assert edit.rule(TEXT, "R-2") == "- {id: R-2, from: lan, to: lan, action: deny}\n"
    assert edit.rule(TEXT, "R-1").startswith("- id: R-1  # first\n  from: lan\n")
    assert edit.rule(TEXT, "R-1").endswith("    lines\n  action: deny\n")
    assert edit.rule(TEXT, "R-3").endswith("  people:\n")


@pytest.mark.parametrize("ident", ["R-1", "R-2", "R-3"])
def test_a_rule_replaced_by_itself_changes_nothing(ident: str) -> None:
    assert edit.replace(TEXT, ident, edit.rule(TEXT, ident)) == TEXT


def test_replacing_changes_only_the_rule() -> None:
    assert edit.replace(TEXT, "R-2", NEW) == TEXT.replace(
        "  - {id: R-2, from: lan, to: lan, action: deny}\n", WRITTEN
    )


def test_deleting_takes_the_comment_of_the_rule_along() -> None:
    start, end = TEXT.index("  # about R-3"), TEXT.index("# the end")
    assert edit.delete(TEXT, "R-3") == TEXT[:start] + TEXT[end:]
    assert edit.delete(TEXT, "R-2") == TEXT.replace("  - {id: R-2, from: lan, to: lan, action: deny}\n", "")


def test_inserting_behind_a_rule_and_at_the_top() -> None:
    assert edit.insert(TEXT, NEW, after="R-2") == TEXT.replace("  # about R-3", WRITTEN + "  # about R-3")
    assert edit.insert(TEXT, "- " + NEW.replace("\n", "\n  ")) == TEXT.replace(
        "  # all about R-1", WRITTEN + "  # all about R-1"
    )
    assert edit.delete(edit.insert(TEXT, NEW, after="R-1"), "R-9") == TEXT


def test_the_last_rule_goes_and_the_first_comes() -> None:
    one = "reef: 1\nrules:\n  - {id: R-1}\nsettings: {}\n"
    none = edit.delete(one, "R-1")
    assert none == "reef: 1\nrules: []\nsettings: {}\n"
    assert edit.insert(none, "{id: R-1}") == one
    assert edit.insert("reef: 1\n", "{id: R-1}") == "reef: 1\n\nrules:\n  - {id: R-1}\n"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda: edit.rule(TEXT, "R-11"), "there is no rule `R-11`"),
        (lambda: edit.replace(TEXT, "R-1", "- a\n- b\n"), "this is not one rule"),
        (lambda: edit.replace(TEXT, "R-1", "id: [x\n"), "a list `\\[` that is not closed"),
        (lambda: edit.insert(TEXT, ""), "the text is empty"),
        (lambda: edit.insert("a: b: c\n", NEW), "a second `: ` in one line"),
        (lambda: edit.delete("rules: [{id: R-1}]\n", "R-1"), "written on one line"),
    ],
)
def test_what_cannot_be_done_is_said(act: object, said: str) -> None:
    assert callable(act)
    with pytest.raises(EditError, match=said) as refused:
        act()
    assert refused.value.remedy


KEYED = {
    "block": (
        "- id: R-1  # first\n  from: lan  # staff\n  to: dmz\n  service:\n    - https\n    - ssh\n  action: allow\n",
        "",
    ),
    "flow": ("- {id: R-1, from: lan, to: dmz, action: allow}\n", "from: lan, to: dmz, source: 10.0.0.1, service"),
    "order": (
        "- to: dmz\n  from: lan\n  # why\n  why: |\n    two\n\n    lines\n  id: R-1\n  action: allow\n",
        "    lines\n  id: R-1\n",
    ),
    "quoted": (
        '- "id": R-1\n  "from": [lan,\n    dmz]\n  to: "dmz"  # there\n',
        '  to: "dmz"  # there\n  source: 10.0.0.1\n',
    ),
}
MANY = [f"10.20.{number}.0/24" for number in range(16)]


@pytest.mark.parametrize("layout", KEYED)
@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["10.0.0.1", "::1", "fe80::"], MANY])
def test_other_words_under_a_key_leave_the_other_keys_as_they_were(layout: str, addresses: list[str]) -> None:
    written = KEYED[layout][0]
    changed = edit.with_keys(written, {"service": ["https"], "source": addresses})
    before, after = yaml.safe_load(written)[0], yaml.safe_load(changed)[0]
    assert after.pop("service") == "https"
    assert after.pop("source") == (addresses if len(addresses) > 1 else addresses[0])
    before.pop("service", None)
    assert after == before
    # Once more with the same words is the same text.
    assert edit.with_keys(changed, {"service": ["https"], "source": addresses}) == changed
    for comment in ("# first", "# staff", "# there", "# why"):
        assert (comment in written) == (comment in changed)


def test_a_new_key_stands_where_it_belongs() -> None:
    text = edit.with_keys(KEYED["quoted"][0], {"source": ["10.0.0.1"]})
    assert KEYED["quoted"][1] in text
    assert KEYED["flow"][1] in edit.with_keys(KEYED["flow"][0], {"source": ["10.0.0.1"], "service": ["https"]})
    with pytest.raises(EditError, match="no key before"):
        edit.with_keys("- {action: allow}\n", {"source": ["10.0.0.1"]})
    with pytest.raises(EditError, match="not one rule"):
        edit.with_keys("- R-1\n", {"source": ["10.0.0.1"]})


PUBLISHING = TEXT.replace(
    "settings:", "publish:\n  # the portal\n  - id: P-1\n    from: lan\n    to: 10.0.0.1\nsettings:"
)


def test_a_published_service_is_edited_where_it_stands() -> None:
    assert edit.published(PUBLISHING, "P-1") and not edit.published(PUBLISHING, "R-1")
    narrowed = edit.replace(PUBLISHING, "P-1", edit.with_keys(edit.rule(PUBLISHING, "P-1"), {"source": ["10.9.9.9"]}))
    assert narrowed == PUBLISHING.replace("    to: 10.0.0.1\n", "    to: 10.0.0.1\n    source: 10.9.9.9\n")
    assert edit.delete(PUBLISHING, "P-1") == TEXT.replace("settings:", "publish: []\nsettings:")
