"""What the policy has rules do, from its text to the columns of actions that the engine asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from appliance.control.messages.gateway import NameBook
from appliance.policy.compiling import reactions as said
from appliance.policy.compiling.bundle import RuleInfo
from appliance.policy.model import AddressSet, Profile, Range, Reaction, Signatures, Suppression, Threshold
from ctypes_ext.engine import LoadedRule
from ctypes_ext.reactions import ACTIONS, Reactions
from dataplane.feeds import Key
from dataplane.reacting import Known, Spoken, column, of_zones, react
from dataplane.rulefiles import load

TROJAN = "A Network Trojan was detected"
CATEGORIES = {TROJAN: "trojan-activity", "Misc activity": "misc-activity"}


def loaded(
    sid: int, category: str = TROJAN, severity: int = 1, *, action: str = "alert", tells: bool = True
) -> LoadedRule:
    return LoadedRule(sid, 1, 1, severity, action, category, "a message", tells)  # type: ignore[arg-type]


def actions(
    rules: list[LoadedRule],
    *reactions: Reaction,
    directions: tuple[said.Direction, ...] = (),
    feeds: Mapping[Key, str] | None = None,
    on_trial: frozenset[Key] = frozenset(),
) -> list[str]:
    known = Known(CATEGORIES, feeds or {}, on_trial)
    profile = said.Reactions(Profile("p", reactions=reactions))
    words = {number: word for word, number in ACTIONS.items()}
    return [words[number] for number in column(Spoken(rules, known), profile, directions, on_trial)]


def test_the_most_particular_word_holds_for_each_rule() -> None:
    rules = [loaded(1), loaded(2), loaded(3, "Misc activity", 3), loaded(4, "Nobody's class", 2)]
    assert actions(
        rules,
        Reaction(Signatures(category="trojan-activity"), "drop"),
        Reaction(Signatures(sid=2), "alert"),
        Reaction(Signatures(severity=3), "off"),
        Reaction(Signatures(severity=2), "reject"),
    ) == ["drop", "alert", "off", "reject"]


def test_feeds_and_directions_are_told_apart() -> None:
    rules = [loaded(1), loaded(2)]
    reaction = Reaction(Signatures(feed="csirt"), "drop", "inbound")
    feeds = {(1, 2): "csirt"}
    assert actions(rules, reaction, directions=("inbound",), feeds=feeds) == ["alert", "drop"]
    assert actions(rules, reaction, directions=("outbound",), feeds=feeds) == ["alert", "alert"]


def test_what_is_on_trial_stops_nothing() -> None:
    rules = [loaded(1, action="drop"), loaded(2), loaded(3)]
    reaction = Reaction(Signatures(), "reject")
    trial = frozenset({(1, 1), (1, 2)})
    assert actions(rules, reaction, on_trial=trial) == ["alert", "alert", "reject"]


def test_rules_that_only_mark_connections_are_left_alone() -> None:
    assert actions([loaded(1, tells=False)], Reaction(Signatures(), "drop")) == ["alert"]


def test_a_zone_without_networks_is_what_is_in_no_other() -> None:
    networks = {"lan": ["10.0.0.0/8"], "dmz": ["10.0.0.0/16", "192.168.0.0/24"]}
    ten, end = 10 << 24, 2**32 - 1
    assert of_zones(["lan"], networks) == [(4, ten, ten + 2**24 - 1)]
    outside = of_zones(["internet"], networks)
    assert outside == [
        (4, 0, ten - 1),
        (4, ten + 2**24, (192 << 24 | 168 << 16) - 1),
        (4, (192 << 24 | 168 << 16) + 256, end),
        (6, 0, 2**128 - 1),
    ]


class Recorded(Reactions):
    """Says what it was filled with."""

    filled: list[tuple[object, ...]]

    def suppress(self, rules, action, until, **conditions) -> None:  # type: ignore[no-untyped-def]
        super().suppress(rules, action, until, **conditions)
        self.filled.append((list(rules), action, until, conditions))

    def threshold(self, column, rules, kind, count, seconds, per) -> None:  # type: ignore[no-untyped-def]
        super().threshold(column, rules, kind, count, seconds, per)
        self.filled.append((column, list(rules), kind, count, seconds, per))


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    path = tmp_path / "own.rules"
    path.write_text(
        "".join(
            f'alert tcp any any -> any any (msg:"m{sid}"; content:"x{sid}"; classtype:{kind}; sid:{sid};)\n'
            for sid, kind in ((1, "trojan-activity"), (2, "misc-activity"), (3, "trojan-activity"))
        )
    )
    return path


def test_suppressions_and_thresholds_reach_the_engine(rules_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dataplane.reacting.Reactions", Recorded)
    monkeypatch.setattr(Recorded, "filled", [], raising=False)
    scanner = AddressSet(ranges=(Range(4, 5, 6),))
    book = NameBook(
        1,
        "site",
        (),
        (RuleInfo("R-1", 7, "allow", inspect="strict", directions=("inbound",)),),
        profiles=(
            Profile("strict", thresholds=(Threshold(Signatures(category="trojan-activity"), "at-most", 1, 60),)),
        ),
        suppressions=(
            Suppression("S-1", (Signatures(sid=2),), either=scanner, profiles=("strict",), expires_at=99),
            Suppression(
                "S-2", (Signatures(severity=1),), sources=("lan",), source=AddressSet(ranges=(Range(4, 1, 2),))
            ),
            Suppression("S-3", (Signatures(sid=77),), expires_at=99),  # a rule that is not loaded
        ),
        networks={"lan": ("10.0.0.0/8",)},
    )
    found = load([rules_file])
    react(found.rules, book, Known(found.categories, {}, frozenset()), book.networks)
    assert Recorded.filled == [
        (1, [0, 2], "at-most", 1, 60, "rule"),
        ([1], "off", 99, {"client": (), "server": (), "either": [(4, 5, 6)], "columns": [1]}),
    ]  # S-2 asks for hosts that do not lie in its zone
