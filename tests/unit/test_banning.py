"""Whom the gateway bans by itself, for how long, and whom never: the pure part, and the text that says it."""

from __future__ import annotations

import pytest

from appliance.cli import spelled_out
from appliance.policy import addresses, banning
from appliance.policy.answering.plan import plan
from appliance.policy.banning import Offence, Spared
from appliance.policy.meant.parse import parse
from appliance.policy.model import AutomaticBan, Banning, Signatures
from appliance.policy.problem import PolicyError
from dataplane.detections.finding import KIND

TEXT = """\
reef: 1
site: s
zones:
  lan: {interfaces: [lan0], networks: [10.20.0.0/16]}
  internet: {interfaces: [wan0]}
connections: {wan0: {provider: p, officer: "O. O. <o@s.example>"}}
objects: {partners: {networks: [192.0.2.0/24]}}
"""
BANS = """\
bans:
  allow: [partners, 198.51.100.7]
  automatic:
    - id: B-1
      after: [port-scan, sid 2019401, severity 1]
      from: internet
      confidence: high
      for: [1 hour, 1 day, 30 days]
      memory: 90 days
      owner: soc@s.example
      why: no business here
    - {id: B-2, after: guessing, owner: a@s.example, why: tests}
  most: 5
"""


def bans(text: str = BANS) -> Banning:
    return parse(TEXT + text, "s.yaml", inherited={})[0].bans


def problems(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        bans(text)
    return "\n".join(map(str, caught.value.problems))


def test_the_text_means_what_it_says() -> None:
    found = bans()
    assert [addresses.words_of(part) for part in found.allow.ranges] == ["192.0.2.0/24", "198.51.100.7"]
    first, second = found.automatic
    assert (first.findings, first.sources, first.lasts) == (("port-scan",), ("internet",), (3600, 86_400, 2_592_000))
    assert first.signatures == (Signatures(sid=2019401), Signatures(severity=1))
    assert (second.sources, second.confidence, second.lasts, second.memory) == ((), "medium", (3600,), 2_592_000)
    assert (found.most, found.rate) == (5, 60)


def test_nothing_is_banned_by_itself_unless_a_text_says_so() -> None:
    assert bans("") == Banning()
    assert banning.chosen(Banning(), Offence("203.0.113.9", finding="port-scan", zone="internet")) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bans: {allow: [any]}", "this allows everybody"),
        ("bans: {automatic: [{id: B-1, after: port-scans, owner: o, why: w}]}", "port-scan"),
        ("bans: {automatic: [{id: B-1, after: beacon, owner: o, why: w}]}", "`host-scan`, `guessing`"),
        ("bans: {automatic: [{id: B-1, after: feed x, owner: o, why: w}]}", "an alert does not say its feed"),
        ("bans: {automatic: [{id: B-1, after: port-scan, for: 400 days, owner: o, why: w}]}", "out of bounds"),
        ("bans: {automatic: [{id: B-1, after: port-scan, from: wan, owner: o, why: w}]}", "there is no zone `wan`"),
        ("bans: {automatic: [{id: B-1, after: port-scan}]}", "owner"),
    ],
)
def test_what_would_be_wrong_is_refused_with_a_remedy(text: str, words: str) -> None:
    assert words in problems(text)


def test_two_of_one_id_are_refused() -> None:
    one = "{id: B-1, after: port-scan, owner: o, why: w}"
    assert "the id `B-1` is taken" in problems(f"bans: {{automatic: [{one}, {one}]}}")


def test_every_detection_that_can_ban_is_one() -> None:
    from appliance.policy.meant.bantext import DETECTIONS

    assert set(KIND) > DETECTIONS


def test_a_plan_says_who_will_be_banned_by_itself() -> None:
    before, after = (parse(TEXT + text, "s.yaml", inherited={})[0] for text in ("", BANS))
    said = "\n".join(change.words for change in plan(before, after))
    assert "automatic ban B-1 is new: after port-scan, sid 2019401, severity 1" in said
    assert "192.0.2.0/24" in said
    assert "most 1000 -> 5" in said


def offence(**what: object) -> Offence:
    return Offence(**{"address": "203.0.113.9", "zone": "internet", **what})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        ({"finding": "port-scan", "confidence": "high"}, "B-1"),
        ({"finding": "port-scan", "confidence": "medium"}, ""),
        ({"finding": "port-scan", "confidence": "high", "zone": "partner"}, ""),
        ({"finding": "guessing", "confidence": "medium", "zone": "partner"}, "B-2"),
        ({"finding": "guessing", "confidence": "low"}, ""),
        ({"finding": "beacon", "confidence": "high"}, ""),
        ({"sid": 2019401, "severity": 3}, "B-1"),
        ({"sid": 2019401, "gid": 2, "severity": 3}, ""),
        ({"sid": 7, "severity": 1}, "B-1"),
        ({"sid": 7, "severity": 2}, ""),
        ({"sid": 7, "severity": 1, "zone": "partner"}, ""),
    ],
)
def test_the_first_that_fits_is_chosen(what: dict[str, object], rule: str) -> None:
    found = banning.chosen(bans(), offence(**what))
    assert (found.id if found else "") == rule


def test_a_class_of_signatures_is_meant_by_its_name() -> None:
    found = Banning(automatic=(AutomaticBan("B-1", signatures=(Signatures(category="attempted-admin"),)),))
    assert banning.chosen(found, offence(sid=1, category="attempted-admin")) is not None
    assert banning.chosen(found, offence(sid=1, category="policy-violation")) is None


def test_who_comes_again_is_banned_for_longer() -> None:
    first = bans().automatic[0]
    assert [banning.lasting(first, earlier) for earlier in (0, 1, 2, 3, 40)] == [3600, 86_400, *3 * [2_592_000]]


@pytest.mark.parametrize(
    ("author", "possible"),
    [
        ("detection port-scan", True),
        ("detection beacon", False),
        ("signature 1:2019401", True),
        ("signature 1:7", True),  # of severity 1, for all that its number says
        ("signature 1:", False),
        ("root", False),
    ],
)
def test_an_author_is_believed_only_for_what_the_policy_bans(author: str, possible: bool) -> None:
    assert banning.of_author(bans().automatic[0], author) is possible


def test_a_signature_by_number_is_no_other() -> None:
    numbered = AutomaticBan("B-9", signatures=(Signatures(sid=5),))
    assert banning.of_author(numbered, "signature 1:5")
    assert not banning.of_author(numbered, "signature 1:6")
    assert not banning.of_author(AutomaticBan("B-9"), "signature 1:6")


def test_what_is_spared_is_said() -> None:
    own = Spared(addresses.literal("10.20.0.1"), "an address of the gateway")
    wide = Spared(addresses.literal("192.0.2.0/24"), "on the allow-list of the policy")
    found = banning.held([wide, own], addresses.literal("10.20.0.0/24"))
    assert found is not None
    words = banning.said(found, addresses.literal("10.20.0.0/24"))
    assert words == "10.20.0.0/24 holds 10.20.0.1, which is an address of the gateway"
    inner = addresses.literal("192.0.2.9")
    assert banning.around([own, wide], inner) == wide
    assert banning.said(wide, inner) == "192.0.2.9 is in 192.0.2.0/24, which is on the allow-list of the policy"
    assert banning.around([own], addresses.literal("10.20.0.0/24")) is None
    assert banning.held([wide, own], addresses.literal("2001:db8::/32")) is None


def test_own_networks_are_those_that_do_not_leave_the_house() -> None:
    networks = {
        "lan": (addresses.literal("10.20.0.0/16"),),
        "partner": (addresses.literal("192.0.2.0/24"),),
        "all": (addresses.literal("0.0.0.0/0"),),
    }
    found = banning.inside(networks, ["partner"])
    assert [(addresses.words_of(one.part), one.why) for one in found] == [("10.20.0.0/16", "in the zone lan")]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(3600, "1 hour"), (86_400, "1 day"), (2_592_000, "30 days"), (90 * 60, "90 minutes"), (61, "61 seconds")],
)
def test_a_length_of_time_is_said_shortly(seconds: int, words: str) -> None:
    assert banning.length(seconds) == words


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ban 203.0.113.9 --for 1h", "ban add 203.0.113.9 --for 1h"),
        ("--lab ban --json ban 2001:db8::9", "--lab ban --json ban add 2001:db8::9"),
        ("allow 192.0.2.0/24", "allow add 192.0.2.0/24"),
        ("ban", "ban"),
        ("ban list", "ban list"),
        ("ban --json", "ban --json"),
        ("ban remove 192.0.2.1", "ban remove 192.0.2.1"),
        ("log --host 192.0.2.1", "log --host 192.0.2.1"),
    ],
)
def test_the_verb_add_need_not_be_typed(typed: str, meant: str) -> None:
    assert spelled_out(typed.split()) == meant.split()
