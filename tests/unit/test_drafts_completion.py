"""What may be written is suggested where it may be, in texts that are half written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.drafts.completion import Vocabulary, complete, of_key
from appliance.drafts.grid import RowCache, grid
from appliance.policy.written.document import RuleText, SiteText
from appliance.policy.written.schema import declared

SITE = (Path(__file__).resolve().parents[2] / "examples" / "ministry-health.yaml").read_text()
KNOWN = grid(SITE, {}, RowCache())
assert KNOWN.site is not None
WORDS = Vocabulary([KNOWN.site], [rule.id for rule in KNOWN.rules])
RULE = "reef: 1\nsite: s\nrules:\n  # first\n  - id: R-1\n    from: lan\n"


def labels(text: str) -> list[str]:
    """What is suggested at the bar."""
    at = text.index("|")
    said = complete(text.replace("|", ""), at, WORDS)
    return [one.label for one in said.items]


@pytest.mark.parametrize(
    ("text", "some", "none"),
    [
        ("reef: 1\n|", {"rules", "objects", "settings"}, {"reef", "id"}),
        ("reef: 1\nru|", {"rules"}, {"objects"}),
        (RULE + "    |", {"to", "service", "action"}, {"id", "from", "rules"}),
        (RULE + "    se|\n    action: deny\n", {"service"}, {"action"}),
        (RULE + "    to: |", {"lan", "dmz", "internet", "any", "gateway"}, {"records"}),
        (RULE + "    to: [lan, i|]", {"internet"}, {"lan", "records"}),
        (RULE + "    action: |", {"allow", "deny", "reject"}, {"lan"}),
        (RULE + "    source: re|", {"records"}, {"lan"}),
        (RULE + "    service:\n      - tcp/1\n      - |", {"web", "https", "dns"}, {"records"}),
        (RULE + "    service: htt|", {"https", "http"}, {"dns"}),
        (RULE + "    people: [group:|", {"group:staff"}, {"h.officer"}),
        (RULE + "    when: |", {"office"}, {"lan"}),
        (RULE + "    inspect: |", {"strict", "standard"}, {"lan"}),
        (RULE + "    enabled: |", {"yes", "no"}, set()),
        (RULE + "    expires: |", {"2027-03-31"}, set()),
        (RULE + "  - |", {"id", "from"}, {"rules"}),
        (RULE + "  - {id: R-2, from: lan, |", {"to", "action"}, {"from"}),
        (RULE + "  - {id: R-2, from: l|", {"lan"}, {"dmz"}),
        (RULE + "# at the margin\n|", {"objects", "nat"}, {"rules", "action"}),
        ("rules:\n- id: R-1\n  |", {"from", "to"}, {"id"}),
        ("rules:\n- id: R-1\n- |", {"id", "from"}, set()),
        ("objects:\n  a: {|", {"networks", "members"}, {"rules"}),
        ("objects:\n  a: {members: [|", {"records", "clinics"}, {"lan"}),
        ("objects:\n  a:\n    |", {"networks", "addresses"}, {"rules"}),
        ("nat:\n  source:\n    - id: N-1\n      out: |", {"internet"}, {"records"}),
        ("settings: {drift: |", {"report", "repair"}, set()),
        ("zones:\n  lan:\n    role: |", {"dmz", "guest"}, set()),
        ("invariants:\n  - {id: I-1, never: a, except: [|", {"R-7", "R-12"}, {"lan"}),
        ("groups:\n  a: [|", {"h.officer"}, set()),
        ("services:\n  a: [|", {"https"}, set()),
        ("baseline: b\n|", {"first", "last", "locked"}, {"rules"}),
        (RULE + "    why: because |", set(), {"lan", "id"}),
        (RULE + "    to: lan # l|", set(), {"lan"}),
        ("nothing: |", set(), {"lan"}),
    ],
)
def test_suggestions_fit_the_place(text: str, some: set[str], none: set[str]) -> None:
    said = set(labels(text))
    assert some <= said
    assert not none & said
    assert some or not said


def test_the_word_that_is_being_written_is_replaced_whole() -> None:
    text = RULE + "    why: 😀\n    source: recxx, more"
    said = complete(text, len(text) - len("xx, more") + 1, WORDS)  # the smiley has two units
    assert (said.start, said.end) == (len(text) + 1 - len("recxx, more"), len(text) + 1 - len(", more"))
    assert [one.label for one in said.items] == ["records"]
    (records,) = said.items
    assert (records.kind, records.detail) == ("object", "10.21.0.10, 2001:db8:21::10")


def test_every_key_that_the_reader_knows_is_suggested() -> None:
    assert set(labels("|")) <= set(declared(SiteText))
    assert set(labels("x: 1\n|")) == set(list(declared(SiteText))[:50])
    assert set(labels("rules:\n  - |")) == set(declared(RuleText))


def test_a_field_of_a_form_is_completed_without_a_text() -> None:
    assert [one.label for one in of_key("source", "cl", WORDS)] == ["clinics"]
    assert {one.label for one in of_key("action", "", WORDS)} == {"allow", "deny", "reject"}
    assert of_key("nothing", "", WORDS) == ()


@settings(max_examples=200, deadline=None)
@given(st.text("rules:\n- {}[],#'\" id😀|", max_size=80), st.integers(0, 80))
def test_any_text_is_completed_without_harm(text: str, at: int) -> None:
    said = complete(text, at, WORDS)
    assert 0 <= said.start <= said.end
