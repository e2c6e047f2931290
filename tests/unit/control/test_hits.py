"""The history of hits: nothing is lost or counted twice, and nothing is claimed to be watched that was not."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.control.deciding import hitstore, watching
from appliance.control.deciding.hitstore import CLOCK, RESTART, HitStore
from appliance.control.deciding.watching import DAY, Moment, Reading
from appliance.control.messages.hits import HitList, RuleHits
from appliance.policy.answering.meaning import meanings
from appliance.policy.meant.parse import ParseCache, parse

ROOT = Path(__file__).parents[3]
START = 1_800_000_000.0
BOOT = "boot-1/1"


class Box:
    """A gateway's counters and clocks, and its history."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hits.db"
        self.words: list[str] = []
        self.store = self.open()
        self.at, self.uptime, self.origin = START, 100.0, BOOT
        self.counters: dict[str, tuple[int, int]] = {"R-1": (0, 0), "R-2": (0, 0)}

    def open(self) -> HitStore:
        return HitStore(self.path, self.words.append, patience=0)

    def again(self) -> None:
        """policyd starts again."""
        self.store.close()
        self.store = self.open()

    def boot(self, away: float = 120.0) -> None:
        self.at += away
        self.uptime, self.origin = 5.0, self.origin + "+"
        self.counters = dict.fromkeys(self.counters, (0, 0))

    def hit(self, rule: str, packets: int = 1) -> None:
        before = self.counters[rule]
        self.counters[rule] = (before[0] + packets, before[1] + 60 * packets)

    def read(self, after: float = 60.0, meanings: dict[str, str] | None = None) -> None:
        self.at += after
        self.uptime += after
        self.store.record(Reading(self.at, self.uptime, self.origin, dict(self.counters), meanings))

    def history(self, days: float = 90) -> HitList:
        return self.store.history(1, int(days * DAY))

    def rule(self, name: str, days: float = 90) -> RuleHits:
        return next(one for one in self.history(days).rules if one.id == name)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_hits_are_added_and_dated(box: Box) -> None:
    box.read()
    box.hit("R-1", 3)
    box.read()
    first = box.at
    box.read(2 * DAY)
    box.hit("R-1", 2)
    box.read()
    found = box.rule("R-1")
    assert (found.hits, found.bytes, found.recent) == (5, 300, 5)
    assert (found.first, found.last) == (first, box.at)
    assert box.rule("R-2").hits == 0 and box.rule("R-2").last == 0
    assert box.rule("R-1", 0.5).recent == 2
    for _ in range(3):  # asked again, after more hits and from the disk: the same
        box.hit("R-1")
        box.read()
        recent = box.rule("R-1").recent
        box.again()
        assert box.rule("R-1").recent == recent
    assert box.rule("R-1").recent == 8


def test_a_restart_of_the_reader_loses_nothing_and_repeats_nothing(box: Box) -> None:
    box.hit("R-1")
    box.read()
    box.again()
    box.hit("R-1", 4)
    box.read(3600)
    assert box.rule("R-1").hits == 5
    # The kernel counted while nobody read: that time was watched.
    assert box.rule("R-1").watched == pytest.approx(3600)
    assert [gap.why for gap in box.history().gaps] == ["the history begins there"]


def test_after_a_boot_counters_begin_again_and_the_time_between_is_a_gap(box: Box) -> None:
    box.hit("R-1", 10)
    box.read()
    box.read(1000)
    before = box.at
    box.boot(500)
    box.hit("R-1", 12)  # more than before the boot: only the origin tells
    box.read(60)
    box.read(1000)
    found = box.rule("R-1")
    assert found.hits == 22
    assert found.watched == pytest.approx(2000)
    gap = box.history().gaps[-1]
    assert (gap.begin, gap.end, gap.why) == (before, before + 560, RESTART)


def test_a_table_that_was_replaced_by_hand_is_noticed_by_counters_that_fell(box: Box) -> None:
    box.hit("R-1", 10)
    box.read()
    box.counters["R-1"] = (4, 240)
    box.read()
    assert box.rule("R-1").hits == 14


def test_a_rule_that_was_away_comes_back_with_its_history_and_a_counter_of_its_own(box: Box) -> None:
    box.hit("R-2", 7)
    box.read()
    gone = box.counters.pop("R-2")
    box.read(1000)
    assert [one.id for one in box.history().rules] == ["R-1"]
    box.counters["R-2"] = gone  # by chance the same number
    box.read(0)
    box.read(500)
    found = box.rule("R-2")
    assert found.hits == 14
    assert found.watched == pytest.approx(500)  # and not while it was away; before, it was read once only


def test_another_wording_keeps_the_history_and_begins_to_be_watched_anew(box: Box) -> None:
    wide, tight = {"R-1": "aa", "R-2": "bb"}, {"R-1": "cc", "R-2": "bb"}
    box.hit("R-1", 5)
    box.read(meanings=wide)
    box.read(1000)
    box.hit("R-1", 2)
    box.read(0, meanings=tight)  # counted under the old wording
    box.hit("R-1", 1)
    box.read(300)
    found = box.rule("R-1")
    assert (found.hits, found.worded_hits, found.worded) == (8, 1, box.at - 300)
    assert found.watched == pytest.approx(300)
    assert box.rule("R-2").watched == pytest.approx(1300)
    box.read(0, meanings=wide)  # taken back: both times of this wording count
    box.read(200)
    found = box.rule("R-1")
    assert found.watched == pytest.approx(1200)
    assert found.worded_hits == 7


def test_a_meaning_that_becomes_known_later_is_no_other_wording(box: Box) -> None:
    box.read()
    box.read(1000, meanings={"R-1": "aa", "R-2": "bb"})
    assert box.rule("R-1").watched == pytest.approx(1000)


@pytest.mark.parametrize("jump", [20 * 365 * DAY, -400 * DAY, 7200.0, -30.0])
def test_a_clock_that_is_set_neither_adds_to_what_was_watched_nor_takes_from_it(box: Box, jump: float) -> None:
    box.read()
    box.read(1000)
    box.hit("R-1", 3)
    box.read(1000)
    box.at += jump
    box.hit("R-1", 1)
    box.read(500)
    found = box.rule("R-1")
    assert found.hits == 4
    assert found.watched == pytest.approx(2500, abs=1)
    assert found.last == box.at
    assert found.first == pytest.approx(box.at - 500, abs=1)
    assert found.recent == 4
    box.at -= jump
    box.read(500)
    assert box.rule("R-1").watched == pytest.approx(3000, abs=1)
    assert box.rule("R-1").last == pytest.approx(box.at - 500, abs=1)


def test_a_boot_with_a_clock_behind_leaves_nothing_in_the_future(box: Box) -> None:
    box.hit("R-1")
    box.read(meanings={"R-1": "aa", "R-2": "bb"})
    box.read(1000)
    box.boot(-30 * DAY)
    box.read(60)
    found = box.rule("R-1")
    assert found.last <= box.at and found.worded <= box.at
    assert found.recent == 1
    # Nothing of the time before the boot can be placed: it is not claimed.
    assert box.history().watched == pytest.approx(0, abs=61)
    assert all(gap.begin <= box.at for gap in box.history().gaps)


def test_slewing_is_no_jump() -> None:
    before = Moment(START, 100.0, BOOT)
    assert watching.jump(before, Moment(START + 86400.5, 86500.0, BOOT)) == 0
    assert watching.jump(before, Moment(START + 10, 105.0, BOOT)) == pytest.approx(5)


def test_what_is_old_is_folded_and_then_forgotten(box: Box) -> None:
    for _ in range(2100):
        box.hit("R-1")
        box.read(DAY)
        if box.at > START + 10 * DAY:
            box.counters.pop("R-2", None)
    with sqlite3.connect(box.path) as db:
        (days,) = db.execute("SELECT count(*) FROM day").fetchone()
        (spells,) = db.execute("SELECT count(*) FROM spell").fetchone()
    assert days <= 100 + 1830 / 30 + 3
    assert spells == 1  # R-2 is forgotten with its last spell
    assert box.rule("R-1").hits == 2100
    assert box.rule("R-1", 50).recent == pytest.approx(50, abs=1)
    assert box.rule("R-1", 1000).recent == pytest.approx(1000, abs=31)


def test_a_damaged_file_is_kept_aside_and_the_history_begins_again(box: Box) -> None:
    box.read()
    box.store.close()
    box.path.write_bytes(b"no database" * 1000)
    box.store = box.open()
    box.read()
    assert box.rule("R-1").hits == 0
    assert box.path.with_name("hits.db.damaged").read_bytes().startswith(b"no database")
    assert "begins again" in box.words[0]


def test_a_file_whose_rows_do_not_fit_together_is_kept_aside_too(box: Box) -> None:
    box.hit("R-1")
    box.read()
    box.store.close()
    with sqlite3.connect(box.path) as db:
        db.execute("DELETE FROM rule")
    box.store = box.open()
    box.read()
    assert box.path.with_name("hits.db.damaged").exists()


def test_a_reading_that_cannot_be_kept_is_kept_with_the_next(box: Box) -> None:
    box.hit("R-1", 2)
    box.read()
    other = sqlite3.connect(box.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # somebody has it open to write: as a full disk, the transaction fails
    box.hit("R-1", 3)
    with pytest.raises(sqlite3.OperationalError):
        box.read()
    assert box.rule("R-1").hits == 2
    other.execute("ROLLBACK")
    other.close()
    box.read()
    assert box.rule("R-1").hits == 5


def test_intervals_against_moments() -> None:
    dice = random.Random(7)
    for _ in range(300):
        many = [
            [(begin, begin + dice.randrange(6)) for begin in (dice.randrange(30) for _ in range(dice.randrange(5)))]
            for _ in range(2)
        ]
        one, other = (watching.union([(float(a), float(b)) for a, b in some]) for some in many)
        held = [{t for a, b in some for t in range(a, b)} for some in many]
        assert watching.length(one) == len(held[0])
        assert watching.length(watching.common(one, other)) == len(held[0] & held[1])
        assert watching.length(watching.gaps(one, 0, 40)) == 40 - len(held[0])


KILLED = """
import sys, time
from pathlib import Path
from appliance.control.deciding.hitstore import HitStore
from appliance.control.deciding.watching import Reading
store = HitStore(Path(sys.argv[1]), print)
for n in range(1, 1_000_000):
    counters = {f"R-{i}": (n * i, n * i * 60) for i in range(1, 200)}
    store.record(Reading(1_800_000_000.0 + n, 100.0 + n, "boot", counters))
    print(n, flush=True)
"""


def test_killed_at_any_moment_the_history_is_a_whole_reading(tmp_path: Path) -> None:
    """kill -9: every rule has the hits of one and the same reading, and at least of the last that was told."""
    path = tmp_path / "hits.db"
    dice = random.Random(3)
    for turn in range(6):
        path.unlink(missing_ok=True)
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert child.stdout is not None
        told = 0
        wanted = dice.randrange(1, 12)
        while told < wanted:
            told = int(child.stdout.readline())
        time.sleep(dice.random() * 0.01)  # not to wait for anything: to be killed in the middle of something
        child.send_signal(signal.SIGKILL)
        rest = [int(line) for line in child.stdout.read().split()]
        child.wait(10)
        told = max([told, *rest])
        store = HitStore(path, print)
        found = store.history(1, DAY)
        store.close()
        readings = {one.hits // int(one.id[2:]) for one in found.rules}
        assert len(readings) == 1 and len(found.rules) == 199, turn
        assert readings.pop() in (told, told + 1)
        assert all(one.hits % int(one.id[2:]) == 0 for one in found.rules)


def test_a_full_store_makes_room_and_goes_on(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.counters = {f"R-{number}": (0, 0) for number in range(2000)}
    for _ in range(90):
        for rule in box.counters:
            box.hit(rule)
        box.read(DAY)
    (pages,) = box.store._db.execute("PRAGMA page_count").fetchone()
    monkeypatch.setattr(hitstore, "_PAGES", pages)
    box.again()  # from now on the file may not grow
    box.counters |= {f"R-{number}": (0, 0) for number in range(2000, 4000)}
    box.read(200 * DAY)  # new rules find no room, but the days of old are to be folded into months
    box.hit("R-3999", 7)
    box.read()
    assert box.rule("R-3999").hits == 7
    assert box.rule("R-1").hits == 90


TEXT = """\
reef: 1
site: s
zones:
  lan: {{interfaces: [lan0]}}
  dmz: {{interfaces: [dmz0]}}
objects:
  servers: {{networks: [{network}]}}
schedules:
  office: {times}
people:
  ana: {{}}
  ben: {{}}
groups:
  staff: [{staff}]
rules:
  - {{id: R-1, from: lan, to: dmz, destination: servers, action: allow, owner: it, why: "{why}", log: {log}}}
  - {{id: R-2, from: lan, to: dmz, when: office, people: group:staff, service: tcp/22, action: deny}}
"""
AS_IT_WAS = {"network": "10.0.0.0/24", "times": "mon-fri 08:00-17:00", "staff": "ana", "why": "w", "log": "none"}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({}, set()),
        ({"why": "another reason", "log": "end"}, set()),
        ({"network": "10.0.0.0/25"}, {"R-1"}),
        ({"times": "mon-fri 08:00-18:00"}, {"R-2"}),
        ({"staff": "ana, ben"}, {"R-2"}),
    ],
)
def test_a_rule_means_something_else_when_what_it_names_does(change: dict[str, str], changed: set[str]) -> None:
    cache = ParseCache()
    old, new = (
        parse(TEXT.format(**values), "p.yaml", inherited={}, cache=cache)[0]
        for values in (AS_IT_WAS, AS_IT_WAS | change)
    )
    before, after = meanings(old).digests, meanings(new).digests
    assert {rule for rule in before if before[rule] != after[rule]} == changed
    assert meanings(new, meanings(old)).digests == after  # what is the same rule is not looked at again


def test_gaps_say_why(box: Box) -> None:
    box.read()
    box.read(1000)
    box.boot(300)
    box.read()
    assert {gap.why for gap in box.history().gaps} <= {RESTART, CLOCK, "the history begins there"}
