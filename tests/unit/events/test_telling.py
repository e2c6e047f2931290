"""What consumers do is on the trail, and no consumer can fill it."""

from __future__ import annotations

from appliance.events.api.access import Told
from appliance.events.telling import Telling


class Lines:
    """What a process would write."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, words: str) -> None:
        self.said.append(words)

    def audit(
        self, actor: str, action: str, object_: str, *, origin: str, detail: dict[str, str], durable: bool
    ) -> None:
        numbers = " ".join(f"{name}={value}" for name, value in detail.items())
        self.said.append(f"{actor} {action} {object_} {numbers} {origin}".strip())


def test_the_first_is_told_at_once_and_the_others_as_a_sum() -> None:
    now = [0.0]
    lines = Lines()
    telling = Telling(lines, lambda: now[0])
    for _ in range(1000):
        telling.tell(Told("refused", "csirt", "an object above TLP:GREEN"))
    assert lines.said == ["consumer csirt export.refuse an object above TLP:GREEN times=1"]
    now[0] = 61.0
    telling.tick()
    telling.tick()
    assert lines.said[1:] == ["consumer csirt export.refuse an object above TLP:GREEN times=999"]
    now[0] = 200.0
    telling.tick()
    telling.tell(Told("refused", "csirt", "an object above TLP:GREEN"))
    assert len(lines.said) == 3, "after a quiet minute it is told at once again"


def test_strangers_are_one_thing_whatever_they_say() -> None:
    lines = Lines()
    telling = Telling(lines, lambda: 0.0)
    for number in range(5000):
        telling.tell(Told("guessing", "", f"guess {number}", f"192.0.2.{number % 256}", number))
    telling.flush()
    assert lines.said[0] == "a stranger export.guess guess 0 times=1 192.0.2.0"
    assert lines.said[1] == "a stranger export.guess guess 4999 times=4999 192.0.2.135"
    assert len(lines.said) == 2


def test_a_consumer_with_many_words_is_bounded_too() -> None:
    lines = Lines()
    telling = Telling(lines, lambda: 0.0)
    for number in range(5000):
        telling.tell(Told("refused", "csirt", f"object {number}"))
    assert len(lines.said) <= 1002


def test_what_was_given_out_is_told_as_it_comes_and_slowness_is_no_audit() -> None:
    lines = Lines()
    telling = Telling(lines, lambda: 0.0)
    telling.tell(Told("export", "csirt", "EVE", count=7))
    telling.tell(Told("export", "csirt", "EVE", count=9))
    telling.tell(Told("slow", "", "took too long", "192.0.2.1"))
    assert lines.said == [
        "consumer csirt export.give EVE events=7",
        "consumer csirt export.give EVE events=9",
        "192.0.2.1 took too long",
    ]
