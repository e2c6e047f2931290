"""Entity tags: who changes something says which state they saw."""

from __future__ import annotations

import pytest

from appliance.console.conditional import demand, of_bytes, unchanged
from appliance.console.problems import Problem


@pytest.mark.parametrize("header", ['"7"', '"6", "7"', "*", ' "7" ', '"a,b","7"'])
def test_the_state_that_was_seen_may_be_changed(header: str) -> None:
    demand(header, "7")


@pytest.mark.parametrize(
    ("header", "status"),
    [("", 428), (" ", 428), ('"6"', 412), ('W/"7"', 412), ('"77"', 412), ("7", 400), ('"7', 400), ("(", 400)],
)
def test_another_is_refused(header: str, status: int) -> None:
    with pytest.raises(Problem) as caught:
        demand(header, "7")
    assert caught.value.status == status


def test_what_a_client_has_already_is_not_sent_again() -> None:
    tag = of_bytes(b"text")
    assert unchanged(tag, tag)
    assert unchanged(f'"other", {tag}', tag)
    assert unchanged(tag.removeprefix("W/"), tag)  # compared weakly, RFC 9110, 13.1.2
    assert not unchanged(of_bytes(b"other"), tag)
    assert not unchanged("", tag)


def test_a_long_header_is_no_work() -> None:
    assert not unchanged('"a",' * 100_000, '"b"')


def test_a_state_that_who_asks_names_makes_no_header_of_its_own() -> None:
    with pytest.raises(Problem) as refused:
        demand('"7"', 'a\r\nSet-Cookie: b"c\u00dc')
    assert refused.value.headers["ETag"] == '"aSet-Cookie:bc"'
