"""What becomes of a proposal: which steps are open, whose approvals count, what its digest is of."""

from __future__ import annotations

import msgspec
import pytest

from appliance.drafts.states import OPEN_TO, Given, Record, State, digest_of, holding, shown_state
from appliance.policy.console import Person

RECORD = Record(1, "t", "w", "", "amara", 3, "d1", "open", 1.0, 1.0)
PEOPLE = (
    Person("amara", "Amara", "a@x.example", ("editor", "approver")),
    Person("ben", "Ben", "b@x.example", ("approver",)),
    Person("cleo", "Cleo", "c@x.example", ("approver",)),
    Person("eve", "Eve", "e@x.example", ("reader",)),
)


def given(*people: str, digest: str = "d1") -> list[Given]:
    return [Given(float(at), person, "", digest) for at, person in enumerate(people)]


@pytest.mark.parametrize(
    ("approvals", "counts"),
    [
        (given("ben"), ("ben",)),
        (given("ben", "ben"), ("ben",)),  # once each
        (given("ben", "cleo"), ("ben", "cleo")),
        (given("amara"), ()),  # who wrote it
        (given("eve"), ()),  # who has no such role
        (given("mallory"), ()),  # whom the policy does not name
        (given("ben", digest="d0"), ()),  # of the text before
        ([*given("ben", digest="d0"), *given("ben")], ("ben",)),
    ],
)
def test_only_others_who_may_count_and_only_for_this_text(approvals: list[Given], counts: tuple[str, ...]) -> None:
    assert holding(approvals, "d1", frozenset({"amara"}), PEOPLE) == counts


def test_what_people_are_told_follows_from_approvals() -> None:
    planned = msgspec.structs.replace(RECORD, at=9.0)
    assert [shown_state(RECORD, count, 2) for count in (0, 1, 2, 3)] == [
        "proposed",
        "proposed",
        "approved",
        "approved",
    ]
    assert [shown_state(planned, count, 1) for count in (0, 1)] == ["proposed", "scheduled"]
    assert shown_state(RECORD, 0, 0) == "approved"  # nobody needs to
    done = msgspec.structs.replace(RECORD, state="confirmed")
    assert shown_state(done, 0, 5) == "confirmed"


@pytest.mark.parametrize("state", ["confirmed", "rejected", "withdrawn", "applied"])
def test_what_is_decided_stays_so(state: State) -> None:
    assert {deed for deed, states in OPEN_TO.items() if state in states} == {"comment"}


def test_what_was_not_confirmed_may_be_tried_again_and_what_is_stale_amended() -> None:
    assert "rolled-back" in OPEN_TO["apply"]
    assert "stale" not in OPEN_TO["apply"]
    assert "stale" in OPEN_TO["amend"]


def test_a_digest_is_of_the_text_and_of_its_lists_each_in_its_place() -> None:
    digests = [
        digest_of("text", {}),
        digest_of("text", {"a": "1"}),
        digest_of("text", {"a": "2"}),
        digest_of("text", {"b": "1"}),
        digest_of("text", {"a": "", "1": ""}),
        digest_of("texta1", {}),
        digest_of("text", {"a1": ""}),
        digest_of("text", {"a": "1", "b": "2"}),
    ]
    assert len(set(digests)) == len(digests)
    assert digest_of("text", {"b": "2", "a": "1"}) == digest_of("text", {"a": "1", "b": "2"})
