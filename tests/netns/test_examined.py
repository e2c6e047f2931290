"""The daemons: after an apply, at `reef doctor` and on drift, whether the kernel runs what the policy means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.control.messages import gateway as messages
from appliance.control.messages.readback import Runs
from tests.netns.stand import Stand, policy, rule, until

TEXT = policy(rule("R-1"), rule("R-2", "tcp/80", source="10.20.0.7", destination="203.0.113.9"))
REPORT = TEXT + "settings: {drift: report}\n"


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand() as found:
        yield found


def runs(stand: Stand) -> Runs | None:
    return stand.ask(messages.Status(), messages.StatusReport).runs


def compared(stand: Stand, generation: int) -> Runs:
    """The comparison of a generation, made by the daemons themselves."""
    until(lambda: (found := runs(stand)) is not None and found.generation == generation, "it is compared")
    found = runs(stand)
    assert found is not None
    return found


def test_what_runs_is_compared_after_every_apply_and_at_doctor(stand: Stand) -> None:
    assert runs(stand) is None
    for text in (TEXT, REPORT):
        applied = stand.apply(text)
        found = compared(stand, applied.generation)
        assert found.equal, (found.differences, found.unknown)
        assert found.places > 10
        assert found.cases > 10
        assert any("XDP" in words for words in found.unread)
    report = stand.ask(messages.Doctor(), messages.DoctorReport)
    assert report.runs is not None
    assert report.runs.equal
    assert report.runs.at > found.at


def test_a_drift_that_is_only_reported_is_told_with_the_traffic_it_opened(stand: Stand) -> None:
    applied = stand.apply(REPORT)
    assert compared(stand, applied.generation).equal
    stand.sh("nft insert rule inet reef decide_forward iifname lan0 oifname wan0 tcp dport 23 accept")
    report = stand.ask(messages.Doctor(), messages.DoctorReport)
    assert report.runs is not None
    assert not report.runs.equal
    opened = [each for each in report.runs.differences if ":23 by lan0 -> wan0 (lan -> internet)" in each]
    # It stands before anti-spoofing and before the rules, and takes from both.
    assert any("the kernel says allow by no rule, the policy deny by default" in each for each in opened), opened
    assert any("the policy deny by antispoofing" in each for each in opened), opened


def test_a_repaired_drift_leaves_word_of_what_it_opened(stand: Stand) -> None:
    applied = stand.apply(TEXT)
    assert compared(stand, applied.generation).equal
    stand.sh("nft insert rule inet reef decide_forward iifname lan0 oifname wan0 tcp dport 23 accept")
    until(lambda: (found := runs(stand)) is not None and bool(found.drifted), "the drift is told")
    found = runs(stand)
    assert found is not None
    assert any(":23 by lan0 -> wan0" in each for each in found.drifted), found.drifted
    assert found.equal, found.differences
    assert "somebody changed the ruleset, and meanwhile: tcp" in stand.words()
