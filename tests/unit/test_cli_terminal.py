"""The words, tables and carets that the `reef` command prints."""

from __future__ import annotations

import io
import json
import unicodedata
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.commands.failure import Failure
from appliance.commands.problems import SHOWN, excerpt, show_failure, show_findings, summary
from appliance.commands.terminal import Terminal, cells, cut, escape, escape_json
from appliance.commands.words import count, duration, parse_duration, parse_moment, size, took
from appliance.control.messages.gateway import Finding


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(
    environ: dict[str, str] | None = None, *, json: bool = False, tty: bool = False
) -> tuple[Terminal, io.StringIO, io.StringIO]:
    out, err = (Tty(), Tty()) if tty else (io.StringIO(), io.StringIO())
    return Terminal(out, err, json=json, environ=environ or {}), out, err


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain words", "plain words"),
        ("été 東京", "été 東京"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x9b2J", "\\x9b2J"),
        ("gnp\u202egpj", "gnp\\u202egpj"),
        ("\x00\x7f\u2028\ud800", "\\x00\\x7f\\u2028\\ud800"),
    ],
)
def test_control_characters_become_visible(raw: str, shown: str) -> None:
    assert escape(raw) == shown


@given(st.text())
def test_nothing_escaped_holds_a_control_or_reordering_character(raw: str) -> None:
    shown = escape(raw)
    assert all(unicodedata.category(letter) not in {"Cc", "Cs", "Zl", "Zp"} for letter in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(), st.integers(1, 40))
def test_a_cut_text_fits(raw: str, width: int) -> None:
    assert cells(cut(escape(raw), width)) <= width


def test_a_table_without_a_terminal_is_aligned_and_whole() -> None:
    page, out, _ = terminal()
    page.table(("rule", "packets"), [("R-1", "5"), ("R-1000", "12 345")], right={1})
    assert out.getvalue() == "RULE    PACKETS\nR-1           5\nR-1000   12 345\n"


def test_wide_letters_keep_a_table_aligned() -> None:
    page, out, _ = terminal()
    page.table(("zone", "of"), [("東京", "a"), ("lan", "b")])
    assert [line.index(last) for line, last in zip(out.getvalue().split("\n")[1:], "ab", strict=False)] == [4, 6]
    assert cells("東京") == 4


def test_a_table_on_a_terminal_holds_the_same_cells_and_no_markup() -> None:
    page, out, _ = terminal({"NO_COLOR": "1"}, tty=True)
    page.table(("rule", "why"), [("R-1", "[bold]not markup[/bold] \x1b[2J")])
    shown = out.getvalue()
    assert "[bold]not markup[/bold] \\x1b[2J" in shown
    assert "\x1b[2J" not in shown


def test_an_empty_table_says_so() -> None:
    page, out, _ = terminal()
    page.table(("rule",), [], empty="no rules")
    assert out.getvalue() == "(no rules)\n"


@pytest.mark.parametrize(
    ("environ", "tty", "coloured"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
    ],
)
def test_colour_only_where_it_is_wanted(environ: dict[str, str], tty: bool, coloured: bool) -> None:
    page, out, err = terminal(environ, tty=tty)
    page.line("words", "red")
    page.note("words", "red")
    assert ("\x1b[31m" in out.getvalue()) is coloured
    assert ("\x1b[31m" in err.getvalue()) is coloured


TEXT = "reef: 1\nsite: x\nrules:\n  - id: R-1\n    from: lann\n"


def test_a_problem_shows_its_line_and_a_caret_under_the_whole_word() -> None:
    page, _, err = terminal()
    finding = Finding("p.yaml", 5, 11, "unknown zone `lann`", "zones here are lan, dmz")
    show_findings(page, [finding], {"p.yaml": TEXT})
    assert err.getvalue() == (
        "p.yaml:5:11: unknown zone `lann`; zones here are lan, dmz\n"
        "     5 |     from: lann\n"
        "                   ^~~~\n"
    )  # fmt: skip


def test_a_caret_stays_under_its_place_after_wide_letters_and_controls() -> None:
    rows = excerpt(Finding("p", 1, 4, "x"), ["東\x1b bad"], 80)
    source, underline = rows[1][0], rows[2][0]
    assert source == "     1 | 東\\x1b bad"
    assert cells(source[: source.index("bad")]) == underline.index("^")
    assert underline.strip() == "^~~"


@given(st.text(max_size=3000), st.integers(-3, 4000), st.integers(0, 4))
def test_any_place_in_any_line_gives_short_safe_rows(line: str, column: int, number: int) -> None:
    rows = excerpt(Finding("f", number, column, "m"), line.split("\n"), 80)
    assert len(rows) in {1, 3}
    for text, _ in rows:
        assert cells(text) <= 80 + 10
        assert escape(text) == text


def test_many_problems_are_cut_and_counted_unless_all_are_asked_for() -> None:
    findings = [Finding("p", 0, 0, f"problem {index}") for index in range(1000)]
    page, _, err = terminal()
    show_findings(page, findings, {})
    assert err.getvalue().count("problem ") == SHOWN
    assert err.getvalue().endswith("… and 950 more (--all shows them)\n")
    page, _, err = terminal()
    show_findings(page, findings, {}, everything=True)
    assert err.getvalue().count("problem ") == 1000


def test_warnings_never_hide_an_error() -> None:
    findings = [Finding("p", 1, 1, "beware", severity="warning")] * 60 + [Finding("p", 9, 1, "wrong")]
    page, _, err = terminal()
    show_findings(page, findings, {})
    assert err.getvalue().startswith("p:9:1: wrong\n")
    assert summary(findings) == "1 error, 60 warnings"


def test_a_failure_is_one_line_for_people_and_one_object_for_programs() -> None:
    failure = Failure("policyd\x1b is away", "start it", code=3, name="away")
    page, out, err = terminal()
    show_failure(page, failure)
    assert (out.getvalue(), err.getvalue()) == ("", "reef: policyd\\x1b is away; start it\n")
    page, out, err = terminal(json=True)
    show_failure(page, failure)
    said = json.loads(out.getvalue())["error"]
    assert (said["code"], said["remedy"], said["findings"], err.getvalue()) == ("away", "start it", [], "")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0:00"),
        (7.4, "0:07"),
        (118, "1:58"),
        (3599, "59:59"),
        (7500, "2 h 05 min"),
        (270000, "3 d 3 h"),
        (-5, "0:00"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_sizes_counts_and_measured_times() -> None:
    assert [size(amount) for amount in (0, 999, 1000, 999_949, 999_951, 10**12, 10**18)] == [
        "0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.0 TB", "1000.0 PB",
    ]  # fmt: skip
    assert (count(1, "rule"), count(2, "rule"), count(0, "policy", "policies")) == ("1 rule", "2 rules", "0 policies")
    assert (took(0.0042), took(0.3149)) == ("4 ms", "0.31 s")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800), ("0", 0)]
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5", "1.5h", "five", "٣", "1" * 30, "2h30m"])
def test_what_is_no_duration_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match="90s, 15m or 2h"):
        parse_duration(text)


def test_moments_are_read_as_ago_today_and_date() -> None:
    now = datetime(2026, 11, 21, 17, 30).timestamp()
    assert parse_moment("15m", now) == now - 900
    assert parse_moment("17:05", now) == datetime(2026, 11, 21, 17, 5).timestamp()
    assert parse_moment("17:05:09", now) == datetime(2026, 11, 21, 17, 5, 9).timestamp()
    assert parse_moment("2026-11-20", now) == datetime(2026, 11, 20).timestamp()
    assert parse_moment("2026-11-20T17:05+00:00", now) == datetime.fromisoformat("2026-11-20T17:05+00:00").timestamp()
    for wrong in ("yesterday", "25:00", "2026-13-01", ""):
        with pytest.raises(ValueError, match="how long ago"):
            parse_moment(wrong, now)


@given(st.text() | st.text(alphabet=[*'\x00\x1b\x7f\x9b\u202e\u2028\u2066\ufeff\U000e0041"\\\n ab']))
def test_json_says_the_same_and_nothing_that_a_terminal_obeys(words: str) -> None:
    said = escape_json(json.dumps({"host": words}, ensure_ascii=False))
    assert json.loads(said) == {"host": words}
    assert escape(said) == said


def test_json_for_programs_holds_no_control_sequence_of_a_packet() -> None:
    printed, out, _ = terminal(json=True)
    printed.record({"hostname": "\x9b2J\u202egpj.exe"})
    printed.data({"hostname": "\x9b2J\u202egpj.exe"})
    assert all(letter == "\n" or (letter.isascii() and letter.isprintable()) for letter in out.getvalue())
    assert json.loads(out.getvalue().splitlines()[0]) == {"hostname": "\x9b2J\u202egpj.exe"}
