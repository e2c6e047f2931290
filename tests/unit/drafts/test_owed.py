"""Who is owed which notice, and that each is kept once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.drafts import owed
from appliance.drafts.noticebook import MOST_KEPT, NoticeBook
from appliance.drafts.owed import Owed
from appliance.policy.console import Person
from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy

TEXT = """\
reef: 1
site: clinic
timezone: America/Belize
zones:
  lan: {interfaces: [lan0], networks: [10.20.0.0/16]}
  dmz: {interfaces: [dmz0], networks: [10.21.0.0/24]}
rules:
  - {id: R-1, from: lan, to: dmz, service: https, action: allow, why: w, owner: it@x.example, expires: 2027-03-31}
  - {id: R-2, from: lan, to: dmz, service: ssh, action: allow, why: w, owner: eva@x.example, review: 2027-03-20}
  - {id: R-3, from: lan, to: dmz, service: dns, action: allow, why: w, owner: eva@x.example}
"""


def policy(text: str = TEXT) -> Policy:
    return parse(text, "site.yaml", inherited={})[0]


def at(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (at(2027, 3, 1), []),
        (at(2027, 3, 10), [("review", "rule R-2", "eva@x.example")]),
        (at(2027, 3, 20), [("expires", "rule R-1", "it@x.example"), ("review", "rule R-2", "eva@x.example")]),
        (at(2027, 4, 3), [("ended", "rule R-1", "it@x.example"), ("review", "rule R-2", "eva@x.example")]),
        (at(2027, 4, 20), [("review", "rule R-2", "eva@x.example")]),
    ],
)
def test_an_owner_is_told_before_an_end_and_a_review(now: float, said: list[tuple[str, str, str]]) -> None:
    assert [(one.kind, one.subject, one.owner) for one in owed.dated(policy(), now)] == said


def test_who_owned_it_and_who_owns_it_are_told_of_a_change() -> None:
    new = TEXT.replace("service: ssh", "service: tcp/2222").replace(
        "service: dns, action: allow, why: w, owner: eva@x.example", "service: dns, action: deny, why: w, owner: joe"
    )
    found = {one.owner: one for one in owed.proposed(7, "ssh elsewhere", "amara", "abc", policy(), policy(new))}
    assert set(found) == {"eva@x.example", "joe"}
    assert found["eva@x.example"].words == "amara proposes “ssh elsewhere”: rule R-2 changed, rule R-3 changed"
    assert found["joe"].words == "amara proposes “ssh elsewhere”: rule R-3 changed"
    assert {one.key for one in found.values()} == {"proposed 7 abc"}
    assert not list(owed.applied(3, "ben", "nothing", policy(), policy()))
    back = owed.rolled_back(3, "not confirmed in time", policy(), policy(new))
    assert {one.words.partition(":")[0] for one in back} == {"taken back (not confirmed in time)"}


def test_a_person_is_their_address_their_name_or_their_login() -> None:
    eva = Person("eva", "Eva Ito", "Eva@X.example", ("reader",))
    assert owed.names_of(eva, "eva") == {"eva", "eva ito", "eva@x.example"}
    assert owed.names_of(None, "root") == {"root"}


def notice(key: str, owner: str = "Eva@x.example") -> Owed:
    return Owed(key, owner, "applied", "generation 3", "words", generation=3)


def test_a_notice_is_kept_once_for_each_owner_also_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "notices.db"
    book = NoticeBook(path, print)
    assert book.fresh()
    assert len(book.add([notice("a"), notice("a", "joe"), notice("a")], ["a"])) == 2
    book.close()
    book = NoticeBook(path, print)
    assert book.done("a") and not book.done("b") and not book.fresh()
    assert [one.key for one in book.add([notice("a"), notice("b")])] == ["b"]
    assert [one.owner for one in book.of({"eva@x.example"}, 10)] == ["Eva@x.example", "Eva@x.example"]
    assert len(book.of(None, 10)) == 3
    book.close()


def test_what_somebody_has_seen_is_new_no_more(tmp_path: Path) -> None:
    book = NoticeBook(tmp_path / "notices.db", print)
    book.add([notice("a"), notice("b")])
    newest = book.of(None, 1)[0].number
    assert book.unseen({"eva@x.example"}, "eva") == (0, 2)
    book.see("eva", newest)
    book.see("eva", 1)
    assert book.unseen({"eva@x.example"}, "eva") == (newest, 0)
    assert book.unseen({"eva@x.example"}, "joe") == (0, 2)
    book.close()


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    book = NoticeBook(tmp_path / "notices.db", print)
    book.add([notice(str(number)) for number in range(MOST_KEPT + 10)])
    found = book.of(None, 2 * MOST_KEPT)
    assert len(found) <= MOST_KEPT + 1
    assert found[0].number == MOST_KEPT + 10
    book.close()
