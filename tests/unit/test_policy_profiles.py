"""Inspection profiles, feeds and suppressions: what the text says of them, and which signature does what."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import jsonschema
import pytest
import yaml

from appliance.policy.answering.plan import plan
from appliance.policy.compiling.reactions import (
    Direction,
    Reactions,
    Signature,
    directions,
    words_of_reaction,
    words_of_threshold,
)
from appliance.policy.meant.parse import parse
from appliance.policy.model import (
    EVERYTHING,
    SHED_FIRST,
    Policy,
    Profile,
    Range,
    Reaction,
    Signatures,
    Threshold,
)
from appliance.policy.problem import PolicyError, Problem
from appliance.policy.written.builtin import BUILT_IN_PROFILES, CERTAIN, HARM
from appliance.policy.written.categories import CATEGORIES
from appliance.policy.written.fmt import fmt
from appliance.policy.written.schema import json_schema
from dataplane.rules.classes import CLASSES

HEAD = """\
reef: 1
site: s
timezone: America/Belize
zones:
  internet: {interfaces: [wan0]}
  partner: {interfaces: [par0], role: partner}
  lan: {interfaces: [lan0], networks: [10.20.0.0/16]}
  dmz: {interfaces: [dmz0], role: dmz}
connections:
  wan0: {provider: Line, officer: "An Officer <noc@stand.example>"}
  par0: {provider: Line, officer: "An Officer <noc@stand.example>"}
objects:
  scanner: {addresses: [10.20.3.9]}
  mirrors: {names: [deb.example.org]}
"""
FEEDS = """\
feeds:
  own: {file: own.rules}
  open: {address: "https://rules.example.org/open.tar.gz", key: KEY=, trial: 14}
""".replace("KEY", 43 * "A")
NOW = 1_800_000_000.0


def read(*parts: str) -> tuple[Policy, tuple[Problem, ...]]:
    return parse(HEAD + FEEDS + "".join(parts), "s.yaml", inherited={}, now=NOW)


def profile(said: str) -> Profile:
    return read(f"profiles:\n  p: {said}\n")[0].profiles["p"]


def problems(*parts: str) -> list[str]:
    with pytest.raises(PolicyError) as caught:
        read(*parts)
    return [str(problem) for problem in caught.value.problems]


# --- what the text means ---------------------------------------------------------------------------------


def test_a_profile_that_says_nothing_is_careful() -> None:
    found = profile("")
    assert found == Profile("p", "fail-closed", 1 << 20, (), (), SHED_FIRST, (), span=found.span)


def test_every_key_of_a_profile_arrives() -> None:
    found = profile(
        "{unavailable: fail-open, depth: 256 KiB, feeds: [own, open], overload: [encrypted, files],"
        " actions: {severity 1 inbound: drop, category trojan-activity: reject, sid 20: alert, sid 116:58: off,"
        " feed own: pass, any outside: drop},"
        " thresholds: {sid 20: at most 1/hour per source, severity 3: every 100/minute,"
        " category a-b: once after 5/10 minutes per pair}}".replace("any outside", "any outbound")
    )
    assert found.unavailable == "fail-open" and found.depth == 262_144
    assert found.feeds == ("own", "open") and found.overload == ("encrypted", "files")
    assert found.reactions == (
        Reaction(Signatures(severity=1), "drop", "inbound"),
        Reaction(Signatures(category="trojan-activity"), "reject"),
        Reaction(Signatures(sid=20), "alert"),
        Reaction(Signatures(sid=58, gid=116), "off"),
        Reaction(Signatures(feed="own"), "pass"),
        Reaction(Signatures(), "drop", "outbound"),
    )
    assert found.thresholds == (
        Threshold(Signatures(sid=20), "at-most", 1, 3600, "source"),
        Threshold(Signatures(severity=3), "every", 100, 60, "rule"),
        Threshold(Signatures(category="a-b"), "once-after", 5, 600, "pair"),
    )


def test_a_category_that_nothing_brings_is_warned_of_with_the_nearest_one() -> None:
    found = read("profiles:\n  p: {actions: {category trojan-activty: drop, category attempted-dos: drop}}\n")[1]
    (warning,) = found
    assert warning.severity == "warning" and "`trojan-activty`" in warning.message
    assert warning.remedy.startswith("did you mean `trojan-activity`?")
    (warning,) = read("profiles:\n  p: {thresholds: {category q: every 100/minute}}\n")[1]
    assert "feed" in warning.remedy and "did you mean" not in warning.remedy


def test_the_categories_of_policies_are_those_that_rule_files_know() -> None:
    assert frozenset(CLASSES) == CATEGORIES
    assert set(HARM) <= CATEGORIES


@pytest.mark.parametrize(("said", "depth"), [("4096", 4096), ("1 MiB", 1 << 20), ("2 GiB", 2 << 30), ("all", 0)])
def test_a_depth_is_a_size_or_all(said: str, depth: int) -> None:
    assert profile(f"{{depth: {said}}}").depth == depth


def test_nothing_is_shed_when_the_text_says_nothing() -> None:
    assert profile("{overload: nothing}").overload == ()


def test_a_profile_begins_as_the_one_it_extends_and_says_some_things_anew() -> None:
    said = """\
profiles:
  later: {extends: first, actions: {sid 1: off}}
  first: {extends: strict, actions: {sid 1: pass, severity 3 inbound: drop}, depth: 64 KiB, unavailable: fail-open}
"""
    later = read(said)[0].profiles["later"]
    strict = BUILT_IN_PROFILES["strict"]
    assert later.unavailable == "fail-open" and later.depth == 65_536
    assert later.reactions[: len(strict.reactions)] == strict.reactions
    assert later.reactions[len(strict.reactions) :] == (
        Reaction(Signatures(severity=3), "drop", "inbound"),
        Reaction(Signatures(sid=1), "off"),
    )


def test_a_suppression_says_what_where_why_and_until_when() -> None:
    said = """\
suppressions:
  - {id: S-1, signatures: [sid 20, category x-y], host: scanner, owner: it, why: w, expires: 2099-03-31}
  - {id: S-2, signatures: feed own, source: 10.0.0.0/8, to: dmz, action: alert, profiles: strict, owner: it, why: w,
     expires: 2099-03-31T17:00, ticket: T-1}
"""
    one, other = read(said)[0].suppressions
    assert one.signatures == (Signatures(sid=20), Signatures(category="x-y"))
    assert one.either.ranges == (Range(4, 0x0A140309, 0x0A140309),)
    assert (one.source, one.destination, one.action) == (EVERYTHING, EVERYTHING, "off")
    assert one.expires_at == 4_078_706_400  # midnight in Belize
    assert other.expires_at == one.expires_at - 7 * 3600
    assert (other.action, other.destinations, other.profiles, other.ticket) == ("alert", ("dmz",), ("strict",), "T-1")


def test_an_expired_suppression_is_warned_of() -> None:
    said = "suppressions:\n  - {id: S-1, signatures: sid 20, host: scanner, owner: it, why: w, expires: 2020-01-01}\n"
    _, warnings = read(said)
    assert [str(warning) for warning in warnings if "S-1" in str(warning)] == [
        "s.yaml:19:5: warning: `S-1` expired on 2020-01-01; remove it, or give it a new end"
    ]


def test_feeds_arrive() -> None:
    feeds = read("")[0].feeds
    assert feeds["own"].file == "own.rules" and not feeds["own"].address
    assert feeds["open"].trial == 14 and feeds["open"].refresh == 24 and feeds["open"].key


# --- what is wrong in a text -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "where", "what"),
    [
        ("profiles:\n  p: {depth: 1}\n", "19:14", "`1` is out of bounds"),
        ("profiles:\n  p: {depth: 1 MB}\n", "19:14", "`1 MB` is not a number of bytes"),
        ("profiles:\n  p: {actions: {severity 0: drop}}\n", "19:17", "`severity 0` is no severity"),
        ("profiles:\n  p: {actions: {severity 1: block}}\n", "19:29", "`block` is not known here"),
        ("profiles:\n  p: {actions: {sid 0: drop}}\n", "19:17", "`sid 0` is no number"),
        ("profiles:\n  p: {actions: {sid 1: drop, sid 1:1: off}}\n", "19:30", "`sid 1:1` is said twice"),
        ("profiles:\n  p: {actions: {severity 1 sideways: drop}}\n", "19:17", "is not signatures"),
        ("profiles:\n  p: {actions: {feed oen: drop}}\n", "19:17", "there is no feed `oen`; did you mean `open`?"),
        ("profiles:\n  p: {feeds: [oen]}\n", "19:15", "there is no feed `oen`"),
        ("profiles:\n  p: {extends: strct}\n", "19:16", "there is no inspection profile `strct`; did you mean"),
        ("profiles:\n  p: {extends: q}\n  q: {extends: p}\n", "20:16", "extend each other: p -> q -> p"),
        ("profiles:\n  strict: {depth: all}\n", "19:3", "write `extends: strict`"),
        ("profiles:\n  p: {thresholds: {sid 1: 0/hour}}\n", "19:27", "is not a threshold"),
        ("profiles:\n  p: {thresholds: {sid 1: at most 0/hour}}\n", "19:27", "is out of bounds"),
        ("profiles:\n  p: {thresholds: {sid 1: every 5/31 days}}\n", "19:27", "is out of bounds"),
        ("profiles:\n  p: {overload: [files, nothing]}\n", "19:25", "`nothing` beside other words"),
        ("profiles:\n  p: {overload: [files, files]}\n", "19:25", "`files` is said twice"),
        (
            "suppressions:\n  - {id: S-1, signatures: sid 1, owner: it, why: w, expires: 2099-01-01}\n",
            "19:5",
            "where",
        ),
        (
            "suppressions:\n  - {id: S-1, signatures: sid 1, host: scanner, owner: it, why: w}\n",
            "19:5",
            "no `expires`",
        ),
        (
            "suppressions:\n  - {id: S-1, signatures: sid 1, host: scanner, why: w, expires: 2099-01-01}\n",
            "19:5",
            "no `owner`",
        ),
        (
            "suppressions:\n  - {id: S-1, signatures: sid 1, host: mirrors, owner: i, why: w, expires: 2099-01-01}\n",
            "19:40",
            "known only later",
        ),
        (
            "suppressions:\n  - {id: S-1, signatures: sid 1, from: lam, owner: i, why: w, expires: 2099-01-01}\n",
            "19:40",
            "there is no zone `lam`",
        ),
        (
            "suppressions:\n  - {id: S-1, signatures: sid 1, from: lan, profiles: x, owner: i, why: w,"
            " expires: 2099-01-01}\n",
            "19:55",
            "there is no inspection profile `x`",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(said: str, where: str, what: str) -> None:
    told = problems(said)
    assert len(told) == 1, told
    assert told[0].startswith(f"s.yaml:{where}: ") and what in told[0]


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("{}", "has no origin"),
        ('{file: a.rules, address: "https://a.example/b", key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}', "two"),
        ('{address: "https://a.example/b"}', "nothing says that what `f` gives is what was meant"),
        ('{address: "http://a.example/b", sha256: x}', "is not an https address"),
        ("{file: ../a.rules}", "is not a file or folder beneath"),
        ("{file: a.rules, refresh: 3}", "the feed `f` is a file"),
    ],
)
def test_a_feed_has_one_origin_and_what_makes_sure_of_it(said: str, what: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse(f"{HEAD}feeds:\n  f: {said}\n", "s.yaml", inherited={})
    assert what in str(caught.value.problems[0])


def test_ids_of_suppressions_are_ids_like_others() -> None:
    said = """\
suppressions:
  - {id: R-1, signatures: sid 20, host: scanner, owner: it, why: w, expires: 2099-03-31}
rules:
  - {id: R-1, from: lan, to: dmz, action: deny}
"""
    assert "the id `R-1` is taken (line 19)" in problems(said)[0]


def test_what_a_baseline_defines_a_site_extends_and_does_not_define_again() -> None:
    base = """\
reef: 1
baseline: base
feeds: {national: {file: national}}
profiles: {country: {extends: strict, feeds: national}}
"""
    text = HEAD.replace("site: s\n", "site: s\ninherits: base\n")
    found, _ = parse(text + "profiles: {p: {extends: country}}\n", "s.yaml", inherited={"base": base})
    assert found.profiles["p"].feeds == ("national",)
    with pytest.raises(PolicyError, match="the feed `national` is defined by the baseline `base`"):
        parse(text + "feeds: {national: {file: x}}\n", "s.yaml", inherited={"base": base})


# --- which signature does what ---------------------------------------------------------------------------

SAID = (
    Reaction(Signatures(sid=7), "pass"),
    Reaction(Signatures(category="c"), "drop", "inbound"),
    Reaction(Signatures(category="c"), "off"),
    Reaction(Signatures(feed="own"), "reject"),
    Reaction(Signatures(severity=1), "drop"),
    Reaction(Signatures(), "alert", "outbound"),
)


def test_the_most_particular_holds_in_whatever_order_it_is_said() -> None:
    asked: tuple[tuple[Signature, tuple[Direction, ...], str], ...] = (
        (Signature(7, category="c", severity=1), ("inbound",), "pass"),
        (Signature(8, category="c", severity=1), ("inbound",), "drop"),
        (Signature(8, category="c", severity=1), ("outbound",), "off"),
        (Signature(8, category="c", severity=1), (), "off"),
        (Signature(8, feed="own", severity=1), ("inside",), "reject"),
        (Signature(8, severity=1), ("outbound",), "drop"),
        (Signature(8, severity=2, action="drop"), ("outbound",), "alert"),
        (Signature(8, severity=2, action="drop"), ("inbound",), "drop"),
        (Signature(7, gid=116), ("inside",), "alert"),
        (Signature(8, category="c"), ("outbound", "inbound"), "drop"),
    )
    for order in permutations(SAID):
        reactions = Reactions(Profile("p", reactions=order))
        for signature, where, action in asked:
            assert reactions.action(signature, where) == action, (signature, where)


def test_a_signature_of_a_feed_that_a_profile_does_not_use_is_off() -> None:
    reactions = Reactions(Profile("p", feeds=("own",), reactions=SAID))
    assert reactions.action(Signature(7, feed="open")) == "off"
    assert reactions.action(Signature(7, feed="own")) == "pass"


def test_the_threshold_of_a_signature_is_the_most_particular_one() -> None:
    one = Threshold(Signatures(sid=7), "every", 2, 60)
    other = Threshold(Signatures(severity=1), "at-most", 1, 60)
    reactions = Reactions(Profile("p", thresholds=(other, one)))
    assert reactions.threshold(Signature(7, severity=1)) == one
    assert reactions.threshold(Signature(8, severity=1)) == other
    assert reactions.threshold(Signature(8, severity=2)) is None


@pytest.mark.parametrize(
    ("ends", "where"),
    [
        ("from: internet, to: dmz", ("inbound",)),
        ("from: lan, to: internet", ("outbound",)),
        ("from: lan, to: dmz", ("inside",)),
        ("from: lan, to: gateway", ("inside",)),
        ("from: gateway, to: internet", ("outbound",)),
        ("from: internet, to: partner", ("inbound", "outbound")),
        ("from: [lan, partner], to: dmz", ("inbound", "inside")),
        ("from: any, to: dmz", ("inbound", "inside")),
    ],
)
def test_the_direction_is_that_of_the_connection(ends: str, where: tuple[str, ...]) -> None:
    policy, _ = read(f"rules:\n  - {{id: R-1, {ends}, action: deny}}\n")
    assert directions(policy.rules[0], policy.zones) == where


def test_the_built_in_profiles_drop_what_the_handbook_says() -> None:
    handbook = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
    standard, strict = (Reactions(BUILT_IN_PROFILES[name]) for name in ("standard", "strict"))
    for category in HARM:
        assert f"`{category}`" in handbook
        assert strict.action(Signature(1, category=category)) == "drop"
        assert standard.action(Signature(1, category=category)) == ("drop" if category in CERTAIN else "alert")
    assert strict.action(Signature(1, category="misc-activity", severity=1)) == "alert"


# --- forms -----------------------------------------------------------------------------------------------

WHOLE = """\
profiles:
  p:
    extends: standard
    actions: {severity 1 inbound: drop, sid 116:58: off}
    thresholds: {sid 20: once after 5/10 minutes per pair}
    overload: [files]
suppressions:
  - {id: S-1, signatures: [sid 20, category x-y], host: scanner, owner: it, why: w, expires: 2099-03-31}
"""


def test_the_canonical_form_stays_what_it_is() -> None:
    text = fmt(HEAD + FEEDS + WHOLE)
    assert fmt(text) == text
    assert parse(text, "s.yaml", inherited={})[0] == read(WHOLE)[0]
    assert "severity 1 inbound: drop" in text


def _loaded(text: str) -> object:
    """As an editor reads it: YAML 1.2 knows `off` as a text."""
    return yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes texts only


def test_editors_know_the_keys() -> None:
    schema = json_schema()
    good = _loaded(HEAD + FEEDS + WHOLE)
    jsonschema.validate(good, schema)
    for said, key in (("severty 1", "actions"), ("severity 1 outside", "actions"), ("sid x", "thresholds")):
        bad = _loaded(HEAD + f"profiles: {{p: {{{key}: {{{said}: drop}}}}}}\n")
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_a_plan_says_what_changes_in_the_words_of_the_text() -> None:
    old = read(WHOLE)[0]
    new = read(
        WHOLE.replace("sid 116:58: off", "sid 116:58: drop").replace("expires: 2099-03-31", "expires: 2098-01-01")
    )[0]
    said = [change.words for change in plan(old, new)]
    assert any(words.startswith("profile p: actions ") and "sid 116:58: drop" in words for words in said)
    assert "suppression S-1: expires 2099-03-31 -> 2098-01-01" in said
    threshold = old.profiles["p"].thresholds[0]
    assert words_of_threshold(threshold) == "sid 20: once after 5/10 minutes per pair"
    assert words_of_reaction(old.profiles["p"].reactions[-2]) == "severity 1 inbound"
