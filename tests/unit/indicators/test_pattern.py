"""STIX patterns: read as the standard says, bounded, and turned into what a gateway can look for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stix2patterns.exceptions import ParseException
from stix2patterns.v21.pattern import Pattern

from appliance.indicators import pattern, values
from appliance.indicators.pattern import Comparison, Joined, Observation, PatternError
from appliance.indicators.values import NotEnforceable, Value, ValueRefused


def found(text: str) -> list[tuple[str, str]]:
    return [(one.kind, one.text) for one in values.values_of(pattern.parse(text))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[ipv4-addr:value = '192.0.2.1']", [("address", "192.0.2.1")]),
        ("[ipv4-addr:value = '192.0.2.1/24']", [("network", "192.0.2.0/24")]),
        ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", [("network", "198.51.100.0/24")]),
        ("[ipv6-addr:value = '2001:DB8:0:0::1']", [("address", "2001:db8::1")]),
        ("[domain-name:value = 'EVIL.Example.']", [("domain", "evil.example")]),
        ("[domain-name:value IN ('a.example', 'b.example')]", [("domain", "a.example"), ("domain", "b.example")]),
        ("[domain-name:value = 'bücher.example']", [("domain", "xn--bcher-kva.example")]),
        ("[url:value = 'HTTP://Evil.example:80/a?b=\\'c\\'#d']", [("url", "http://evil.example/a?b='c'")]),
        ("[file:hashes.'SHA-256' = '" + "Ab" * 32 + "']", [("sha256", "ab" * 32)]),
        ("[file:hashes.MD5 = '" + "0" * 32 + "' OR file:name = 'x']", None),
        ("[file:hashes.MD5 = '" + "0" * 32 + "'] OR [ipv4-addr:value = '192.0.2.9']",
         [("md5", "0" * 32), ("address", "192.0.2.9")]),
        ("([ipv4-addr:value='192.0.2.1'] OR ([ipv4-addr:value='192.0.2.2']))",
         [("address", "192.0.2.1"), ("address", "192.0.2.2")]),
        ("[network-traffic:dst_ref.value = '192.0.2.1']", [("address", "192.0.2.1")]),
        ("[network-traffic:extensions.'tls-ext'.ja3 = '" + "a" * 32 + "']", [("ja3", "a" * 32)]),
        ("[x509-certificate:hashes.'SHA-1' = '" + "1" * 40 + "']", [("certificate", "1" * 40)]),
        ("[email-message:from_ref.value = 'Boss@Evil.example']", [("sender", "Boss@evil.example")]),
    ],
)  # fmt: skip
def test_values_are_found(text: str, wanted: list[tuple[str, str]] | None) -> None:
    if wanted is None:
        with pytest.raises(NotEnforceable):
            found(text)
    else:
        assert found(text) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = 443]", "AND"),
        ("[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = '192.0.2.2']", "FOLLOWEDBY"),
        ("[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES", "REPEATS"),
        ("([ipv4-addr:value = '192.0.2.1'] OR [ipv4-addr:value = '192.0.2.2']) WITHIN 5 SECONDS", "WITHIN"),
        ("[domain-name:value MATCHES '^(a+)+$']", "MATCHES"),
        ("[domain-name:value LIKE '%.example']", "LIKE"),
        ("[ipv4-addr:value != '192.0.2.1']", "!="),
        ("[ipv4-addr:value NOT = '192.0.2.1']", "NOT"),
        ("[windows-registry-key:key = 'HKLM']", "windows-registry-key:key"),
        ("[domain-name:value = 'localhost']", "localhost"),
        ("[url:value = 'javascript:alert(1)']", "URL"),
        ("[ipv4-addr:value = 'eight']", "eight"),
        ("[EXISTS ipv4-addr:value]", "EXISTS"),
    ],
)
def test_what_cannot_be_enforced_says_why(text: str, why: str) -> None:
    with pytest.raises(NotEnforceable, match=why.replace("!", r"\!")):
        found(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "[", "[]", "ipv4-addr:value = '1'", "[ipv4-addr:value = ]", "[ipv4-addr = '1']", "[a:b = 'c'",
        "[a:b = 'c'] AND", "[a:b IN ()]", "[a:b IN ('c',)]", "[a:b = 'c']]", "[a:b LIKE 5]", "[a:b = h'zz']",
        "[a:b = 'c] ", "[a:b = 'c'] WITHIN SECONDS", "[a:b[ = 'c']", "[NOT a:b = 'c']", "[a:b = 1e]",
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(PatternError, match="character"):
        pattern.parse(text)


def test_and_binds_tighter_than_or_and_that_than_followedby() -> None:
    one, two, three, four = (f"[a:b = '{number}']" for number in range(4))
    whole = pattern.parse(f"{one} FOLLOWEDBY {two} OR {three} AND {four}")
    assert isinstance(whole, Joined)
    assert whole.by == "FOLLOWEDBY"
    right = whole.parts[1]
    assert isinstance(right, Joined)
    assert right.by == "OR"
    assert isinstance(right.parts[1], Joined)
    assert right.parts[1].by == "AND"


def test_what_is_larger_than_a_pattern_may_be_costs_nothing() -> None:
    with pytest.raises(PatternError, match="at most"):
        pattern.parse("[a:b = '" + "x" * (10 << 20) + "']")
    with pytest.raises(PatternError, match="in one another"):
        pattern.parse("(" * 1_000 + "[a:b = 'c']" + ")" * 1_000)
    with pytest.raises(PatternError, match="comparisons and values"):
        pattern.parse("[" + " OR ".join("a:b=1" for _ in range(4_000)) + "]")
    with pytest.raises(NotEnforceable, match="values"):
        found("[ipv4-addr:value IN (" + ",".join(f"'10.0.{n >> 8}.{n & 255}'" for n in range(2_000)) + ")]")


_TEXTS = st.text(alphabet="ab'\\ .[]", max_size=4).map(lambda text: text.replace("\\", "\\\\").replace("'", "\\'"))
_CONSTANTS = st.one_of(
    _TEXTS.map(lambda text: f"'{text}'"),
    st.integers(-9, 99).map(str),
    st.sampled_from(["true", "false", "1.5", "t'2020-01-01T00:00:00Z'", "h'ab'"]),
)
_PATHS = st.sampled_from(["ipv4-addr:value", "file:hashes.'SHA-256'", "a:b[*].c", "x:y[1]", "n:src_ref.value"])
_WORDS = st.sampled_from(["LIKE", "MATCHES", "ISSUBSET", "NOT LIKE"])
_COMPARISONS = st.one_of(
    st.tuples(_PATHS, st.sampled_from(["=", "!=", "<", ">=", "NOT ="]), _CONSTANTS).map(" ".join),
    st.tuples(_PATHS, _WORDS, _TEXTS.map("'{}'".format)).map(" ".join),
    st.tuples(_PATHS, st.lists(_CONSTANTS, min_size=1).map(", ".join)).map(" IN (".join).map("{})".format),
    _PATHS.map("EXISTS {}".format),
)  # fmt: skip
_EXPRESSIONS = st.recursive(
    _COMPARISONS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map("".join), inner.map("({})".format)
    ),
    max_leaves=4,
)
_QUALIFIERS = st.sampled_from(["", "", " WITHIN 5 SECONDS", " REPEATS 2 TIMES"])
_PATTERNS = st.recursive(
    st.tuples(_EXPRESSIONS.map("[{}]".format), _QUALIFIERS).map("".join),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" AND ", " OR ", " FOLLOWEDBY "]), inner).map("".join),
        st.tuples(inner.map("({})".format), _QUALIFIERS).map("".join),
    ),
    max_leaves=3,
)


@settings(max_examples=150, deadline=None)
@given(_PATTERNS, st.integers(0, 200), st.sampled_from(["", "", "", "]", "'", "(", " AND", "x", "["]))
def test_what_the_standards_own_parser_takes_is_taken_and_nothing_else(text: str, at: int, spoilt: str) -> None:
    if spoilt:
        at %= len(text) + 1
        text = text[:at] + spoilt + text[at:]
    try:
        Pattern(text)
        theirs = True
    except ParseException:
        theirs = False
    try:
        pattern.parse(text)
        ours = True
    except PatternError:
        ours = False
    assert ours == theirs, text


def test_escapes_mean_what_they_say() -> None:
    whole = pattern.parse(r"[a:b = 'it\'s a \\n'  AND a:c = 2]")
    assert isinstance(whole, Observation)
    assert isinstance(whole.of, pattern.Both)
    first = whole.of.parts[0]
    assert isinstance(first, Comparison)
    assert first.constants == (r"it's a \n",)


def test_values_have_one_form_each() -> None:
    assert values.value("certificate", "AA:" * 19 + "AA") == Value("certificate", "aa" * 20)
    assert values.value("ja4", "T13D1516H2_8DAAF6152771_B186095E22B6").text == "t13d1516h2_8daaf6152771_b186095e22b6"
    for kind, text in (("ja4", "t13"), ("sha256", "ab"), ("sender", "@a.example"), ("domain", "a..example"),
                       ("domain", "1.2.3.4"), ("url", "http://"), ("url", "http://[::1"),
                       ("address", "10.0.0.256")):  # fmt: skip
        with pytest.raises(ValueRefused):
            values.value(kind, text)  # type: ignore[arg-type]
