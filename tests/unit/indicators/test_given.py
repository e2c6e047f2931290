"""What consumers gave, in the trail: at once, then as sums."""

from __future__ import annotations

from typing import Any

from appliance.control.messages.indicators import IndicatorsTaken
from appliance.indicators.given import Given


class Trail:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.entries: list[tuple[str, str, dict[str, str]]] = []

    def write(self, actor: str, action: str, object_: str, **more: Any) -> None:
        assert not more["durable"]
        self.entries.append((actor, action, more["detail"]))


def test_the_first_is_written_at_once_and_what_follows_as_a_sum() -> None:
    trail = Trail()
    given = Given(trail.write, lambda: trail.now)
    given.add("csirt", IndicatorsTaken(0, 0, 5))  # all known: no news
    assert trail.entries == []
    for _ in range(1_000):
        given.add("csirt", IndicatorsTaken(2, 1, 7))
    given.add("other", IndicatorsTaken(1, 0, 0))
    give = "indicator.give"
    assert trail.entries == [
        ("consumer csirt", give, {"new": "2", "changed": "1"}),
        ("consumer other", give, {"new": "1", "changed": "0"}),
    ]
    trail.now += 61
    given.tick()
    given.tick()
    assert trail.entries[2:] == [("consumer csirt", give, {"new": "1998", "changed": "999"})]
    given.add("csirt", IndicatorsTaken(1, 0, 0))
    given.flush()
    given.flush()
    assert trail.entries[3:] == [("consumer csirt", give, {"new": "1", "changed": "0"})]
