"""What the console reads of people and strangers: tables, lines of logs, headers, tokens of a provider, mangled."""

from __future__ import annotations

import json
import random
import time

import pytest

from appliance.asking.loglines import LineError, parse_line
from appliance.console import conditional, forgery
from appliance.console.problems import Problem
from appliance.console.who.device import words_of
from appliance.console.who.pages import asked, words
from appliance.console.who.tickets import Tickets, read, written
from appliance.drafts.csvrules import CsvError, changes, table
from appliance.drafts.operations import operate
from appliance.events import record
from appliance.policy.written.edit import EditError
from appliance.serving.packing import encoding, preferences
from crypto.idtoken import Keys, Unbelieved
from tests.fuzz.test_control import Budget, mangled, rounds
from tests.unit.test_drafts_csv import KNOWN, TEXT
from tests.unit.test_why_lines import NOW, dropped
from tests.unit.who.provider import CurveSigner, Signer

SECONDS = 1.0  # each, in CI
LINES = (
    record.encode(dropped()),
    b"2026-11-21T22:24:46 DENY R-6 lan -> internet 10.20.0.12:4000 -> 198.51.100.25:25 smtp(tcp/25)",
    b"reef:R-6 IN=lan0 OUT=wan0 SRC=10.20.0.12 DST=198.51.100.25 LEN=60 PROTO=TCP SPT=40000 DPT=25 SYN",
)
HEADERS = (b'W/"7", "8"', b"*", b"gzip;q=0.5, br;q=1.0, *;q=0", b"en-GB,es;q=0.7,*;q=0.1", b"https://gateway.example:8444",
           b"/rules?draft=d-1&rule=R-6", b"Mozilla/5.0 (X11; Linux) Firefox/130.0")  # fmt: skip


@pytest.mark.soak
def test_a_mangled_table_is_read_or_told_what_is_wrong(budget: Budget) -> None:
    chance, go_on = random.Random(11), rounds(budget(SECONDS))
    seed = table(KNOWN, {}).encode()
    while go_on():
        data = mangled(chance, seed)
        try:
            found = changes(data, KNOWN, whole=chance.random() < 0.5)
        except CsvError as error:
            assert error.problems
            continue
        try:
            operate(TEXT, found)
        except EditError as error:
            assert error.remedy or str(error)


@pytest.mark.soak
def test_a_mangled_line_is_a_question_or_none(budget: Budget) -> None:
    chance, go_on = random.Random(12), rounds(budget(SECONDS))
    while go_on():
        line = mangled(chance, chance.choice(LINES)).decode(errors="replace")
        try:
            parse_line(line, NOW)
        except LineError as error:
            assert str(error)


@pytest.mark.soak
def test_a_mangled_header_says_something_or_nothing(budget: Budget) -> None:
    chance, go_on = random.Random(13), rounds(budget(SECONDS))
    tickets = Tickets(time.time)
    ticket = written(tickets.make("log-in", "browser", b"x")).encode()
    while go_on():
        text = mangled(chance, chance.choice((*HEADERS, ticket))).decode(errors="surrogateescape")
        conditional.unchanged(text, '"7"')
        for refuses in (lambda said: conditional.demand(said, "7"), conditional.required):
            try:
                refuses(text)
            except Problem as problem:
                assert problem.status in (400, 412, 428)
        assert encoding(text) in ("", "gzip", "br", "zstd")
        assert all(0 <= quality <= 1 for _, _, quality in preferences(text))
        words.chosen(text, text)
        assert len(words_of(text)) < 40
        place = asked.place(text)
        assert place.startswith("/")
        assert not place.startswith(("//", "/\\"))
        forgery.why_not({"X-Reef": "1", "Origin": text}, "gateway.example:8444")
        if text != ticket.decode():
            assert tickets.read(read(text), "another", "browser") is None


@pytest.mark.soak
@pytest.mark.parametrize("signer", [Signer(), CurveSigner()], ids=["rsa", "curve"])
def test_a_mangled_token_says_nothing_that_was_not_signed(signer: Signer, budget: Budget) -> None:
    chance, go_on = random.Random(14), rounds(budget(SECONDS))
    claims = {"sub": "u-1", "nonce": "n"}
    token, document = signer.token(claims).encode(), signer.document()
    while go_on():
        try:
            found = Keys(document).claims(mangled(chance, token).decode(errors="replace"))
        except Unbelieved:
            continue
        assert found == claims
    for _ in range(50):
        try:
            Keys(mangled(chance, document)).claims(token.decode())
        except Unbelieved:
            continue


def test_what_is_mangled_is_worth_it() -> None:
    """Unmangled, each is understood."""
    assert parse_line(LINES[0].decode(), NOW) and parse_line(LINES[2].decode(), NOW)
    assert changes(table(KNOWN, {}).encode(), KNOWN, whole=True) == []
    assert json.loads(LINES[0])["event_type"] == "drop"
