"""A change that is asked for twice with one key is made once, also when the console dies in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.console.idempotency import Answers, Claimed, Kept, digest_of, opened
from appliance.console.problems import Problem

KEPT = Kept(200, {"ETag": '"7"'}, b"{}")
DIGEST = digest_of("POST", "/api/v1/things", "", b"{}")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def claimed(answers: Answers, key: str = "k", person: str = "amara", digest: bytes = DIGEST) -> Claimed:
    found = answers.claim(person, key, digest)
    assert isinstance(found, Claimed)
    return found


def refused(answers: Answers, key: str = "k", digest: bytes = DIGEST) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        answers.claim("amara", key, digest)
    return caught.value.status, caught.value.code


def test_the_second_time_it_is_answered_as_the_first(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.db", Clock())
    claimed(answers).done(KEPT)
    assert answers.claim("amara", "k", DIGEST) == KEPT
    claimed(answers, person="ben")  # a key belongs to a person
    assert refused(answers, digest=digest_of("POST", "/api/v1/things", "", b"[]")) == (422, "key-used")
    answers.close()


def test_while_it_is_answered_and_after_a_kill_nothing_is_done_again(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.db", Clock())
    claimed(answers)
    assert refused(answers) == (409, "in-progress")
    answers.close()
    again = Answers(tmp_path / "answers.db", Clock())
    assert refused(again) == (409, "outcome-unknown")
    again.close()


def test_what_was_refused_may_be_tried_again(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.db", Clock())
    claimed(answers).free()
    claimed(answers)
    answers.close()


def test_keys_are_forgotten_after_a_day_and_bounded(tmp_path: Path) -> None:
    clock = Clock()
    answers = Answers(tmp_path / "answers.db", clock)
    for number in range(1_005):
        clock.now += 0.001
        claimed(answers, f"k{number}").done(KEPT)
    claimed(answers, "k0")  # the oldest of so many went
    assert answers.claim("amara", "k1004", DIGEST) == KEPT
    clock.now += 86_401
    claimed(answers, "k1004")
    answers.close()


def test_a_key_is_words_of_ascii(tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers.db", Clock())
    for key in ("a b", "ä", "x" * 129, "a\n"):
        assert refused(answers, key) == (400, "bad-request")
    answers.close()


def test_a_destroyed_store_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(b"no database" * 1000)
    said: list[str] = []
    answers = opened(path, Clock(), said.append)
    claimed(answers).done(KEPT)
    assert said
    answers.close()
