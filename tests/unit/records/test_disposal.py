"""Records end with their retention, with certificates, unless somebody holds them; a wrong clock ends none."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from appliance.events import record
from appliance.policy.records import RecordRetention
from appliance.records.disposal import Disposal
from appliance.records.merkle import Edge, leaf_hashes
from appliance.records.retention import Hold, over, ranges, spelled
from appliance.records.trail import SEGMENT, Trail
from appliance.records.verify import verify
from tests.unit.records.logs import Memory, audited, signed

DAY = 86_400
BEGUN = 1_700_000_000.0
RULES = RecordRetention(administration=10 * DAY, enforcement=DAY, access=DAY, assets=DAY)


def said(action: str, object_: str, detail: dict[str, str]) -> bytes:
    return record.encode(record.audit("recordd", "recordd", action, object_, seconds=BEGUN, detail=detail))[:-1]


def made(folder: Path, entries: list[bytes]) -> tuple[Trail, Disposal]:
    trail = Trail(folder / "trail")
    trail.append(entries)
    return trail, Disposal(trail, folder / "records.json", said)


def disposed(trail: Trail, disposal: Disposal, now: float) -> int:
    return sum(disposal.dispose(segment, RULES, now) for segment in range(disposal.segments()))


def test_what_is_over_goes_with_a_certificate_and_the_log_still_verifies(tmp_path: Path) -> None:
    bans, changes = audited(300), audited(10, "policy.apply")
    trail, disposal = made(tmp_path, [*bans, *changes])
    assert disposed(trail, disposal, BEGUN + DAY + 100.5) == 101  # one ban a second
    found = list(trail.entries(0, trail.size))
    assert [number for number, entry in enumerate(found) if not entry] == list(range(101))
    certificate = msgspec.json.decode(found[-1])["audit"]
    assert (certificate["action"], certificate["object"]) == ("record.dispose", "enforcement")
    assert certificate["detail"]["entries"] == "0-100"
    assert certificate["detail"]["count"] == "101"
    whole = [*bans, *changes, found[-1]]
    edge = Edge()
    edge.add(leaf_hashes(whole))
    assert trail.root() == edge.root()
    verdict = verify(Memory(whole, frozenset(range(101))), signed(whole))
    assert (verdict.problems, verdict.disposed) == ((), 101)
    assert disposed(trail, disposal, BEGUN + DAY + 100.5) == 0
    trail.close()


def test_certificates_and_holds_themselves_stay(tmp_path: Path) -> None:
    trail, disposal = made(tmp_path, audited(5))
    assert disposed(trail, disposal, BEGUN + 100 * DAY) == 5
    assert disposed(trail, disposal, BEGUN + 1000 * DAY) == 0
    trail.close()


def test_what_is_held_stays_until_it_is_released(tmp_path: Path) -> None:
    trail, disposal = made(tmp_path, audited(SEGMENT + 20))
    disposal.hold(Hold("case-7", '"object 7"', "eva", "a court asks", BEGUN))
    with pytest.raises(ValueError, match="there is a hold 'case-7' already"):
        disposal.hold(Hold("case-7", "", "eva", "", BEGUN))
    assert disposed(trail, disposal, BEGUN + 100 * DAY) == SEGMENT + 19
    assert b"object 7" in next(trail.entries(7, 8))
    again = Disposal(trail, tmp_path / "records.json", said)
    assert [hold.name for hold in again.holds()] == ["case-7"]
    again.release("case-7")
    with pytest.raises(ValueError, match="there is no hold"):
        again.release("case-7")
    assert disposed(trail, again, BEGUN + 100 * DAY) == 1
    trail.close()


def test_a_hold_of_everything_holds_everything(tmp_path: Path) -> None:
    trail, disposal = made(tmp_path, audited(50))
    disposal.hold(Hold("all", "", "eva", "the auditors come", BEGUN))
    assert disposed(trail, disposal, BEGUN + 100 * DAY) == 0
    trail.close()


def test_a_clock_set_forward_by_years_disposes_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"wall": BEGUN, "steady": 50.0}
    monkeypatch.setattr(time, "time", lambda: clock["wall"])
    monkeypatch.setattr(time, "monotonic", lambda: clock["steady"])
    trail, disposal = made(tmp_path, audited(50))
    clock["wall"] += 10 * 365 * DAY
    clock["steady"] += 3600
    assert disposal.moment() == BEGUN + 7200
    assert disposed(trail, disposal, disposal.moment()) == 0
    again = Disposal(trail, tmp_path / "records.json", said)
    assert again.moment() == BEGUN + 7200
    clock["wall"] = BEGUN + 3600  # it is set right again
    assert again.moment() == BEGUN + 3600
    trail.close()


def test_an_entry_that_cannot_be_read_stays() -> None:
    seconds = msgspec.structs.asdict(RULES)
    assert over(b"", seconds, BEGUN * 2, ()) == ""
    assert over(b"{", seconds, BEGUN * 2, ()) == ""
    assert over(audited(1)[0], seconds, BEGUN + 2 * DAY, ()) == "enforcement"
    assert over(audited(1)[0], seconds, BEGUN - DAY, ()) == ""


def test_ranges_in_words_read_back() -> None:
    numbers = [1, 2, 3, 7, 9, 10]
    [(words, held)] = spelled(numbers)
    assert (words, held) == ("1-3 7 9-10", numbers)
    assert list(ranges(words)) == [(1, 3), (7, 7), (9, 10)]
    many = spelled(range(0, 1000, 2))
    assert all(len(words) < 2000 for words, _ in many)
    assert [number for _, held in many for number in held] == list(range(0, 1000, 2))
    assert list(ranges("x 3-y -4 5")) == [(5, 5)]
