"""Narrowed rules against brute force: nothing seen is lost, nothing is gained, and the edited text says the same."""

from __future__ import annotations

import random

import pytest

from appliance.policy import addresses
from appliance.policy.addresses import text_of
from appliance.policy.answering.covering import cover_addresses, cover_services, size
from appliance.policy.answering.tighten import Seen, Suggestion, matches, narrowed, tighten
from appliance.policy.boxes import PORT_PROTOCOLS
from appliance.policy.meant.parse import parse
from appliance.policy.model import EVERYTHING, AddressSet, Policy, Range, Rule, ServiceEntry
from appliance.policy.written.services import words_of_entry

HEAD = """\
reef: 1
site: s
zones:
  lan: {interfaces: [lan0], networks: [10.20.0.0/16, 2001:db8:20::/48]}
  dmz: {interfaces: [dmz0], networks: [10.21.0.0/24, 2001:db8:21::/48]}
  out: {interfaces: [out0], role: backbone}
objects:
  records: {addresses: [10.21.0.10]}
  servers: {networks: [10.21.0.16/29]}
  pair: {addresses: [10.21.0.40, 10.21.0.41]}
  named: {names: [www.example.org]}
services:
  shop: [tcp/8080, tcp/8443]
rules:
"""


def policy_of(rule: str) -> tuple[Policy, str]:
    text = HEAD + rule
    policy, _ = parse(text, "p.yaml", inherited={})
    return policy, text


def rule_text(
    *, source: str = "", destination: str = "", service: str = "", origin: str = "any", to: str = "any"
) -> str:
    lines = [f"  - id: R-1  # the one\n    from: {origin}\n    to: {to}\n"]
    lines += [f"    source: {source}\n"] if source else []
    lines += [f"    destination: {destination}\n"] if destination else []
    lines += [f"    service: {service}\n"] if service else []
    return "".join(lines) + "    action: allow\n    owner: it\n    why: a test\n"


def plainly(rule: Rule, one: Seen) -> bool:
    """Whether a rule without DNS names holds what was seen, in the plainest words."""
    if one.origin not in rule.sources and "any" not in rule.sources:
        return False
    if one.target not in rule.destinations and "any" not in rule.destinations:
        return False
    for where, number in ((rule.source, one.source), (rule.destination, one.destination)):
        if not where.dynamic and not any(
            part.version == one.version and part.first <= number <= part.last for part in where.ranges
        ):
            return False
    for entry in rule.services:
        if entry.protocol is None:
            return True
        if entry.protocol == one.protocol:
            if one.protocol in PORT_PROTOCOLS:
                if entry.ports[0] <= one.port <= entry.ports[1]:
                    return True
            elif one.protocol not in (1, 58) or entry.icmp[0] <= one.port <= entry.icmp[1]:
                return True
    return False


def random_seen(dice: random.Random, spread: int) -> Seen:
    protocol = dice.choice([6, 6, 6, 17, 1, 50])
    port = dice.choice([443, 80, 8080, 8443, 53, dice.randrange(65536)]) if protocol in (6, 17) else 0
    if protocol == 1:
        port = dice.choice([8, 13])
    source = (10 << 24 | 20 << 16) + dice.randrange(spread)
    destination = (10 << 24 | 21 << 16) + dice.choice([10, 16, 17, 18, 20, 21, 22, 40, 41, dice.randrange(256)])
    return Seen(4, source, destination, protocol, port, "lan", dice.choice(["dmz", "dmz", "out"]))


RULES = [
    rule_text(),
    rule_text(origin="[lan, dmz]", to="[dmz, out]"),
    rule_text(source="10.20.0.0/16", destination="[10.21.0.0/24]", service="tcp"),
    rule_text(source="[10.20.0.0-10.20.5.7, 10.20.9.1]", destination="[servers, records]", service="[tcp, udp/53]"),
    rule_text(destination="not 10.21.0.20", service="[tcp/1-1023, tcp/8000-9000, icmp, udp]"),
    rule_text(destination="named", service="[tcp/443 from 1024-65535, tcp/80]"),
]


@pytest.mark.parametrize("number", range(len(RULES)))
@pytest.mark.parametrize("spread", [3, 40, 4000])
def test_a_narrowed_rule_matches_everything_seen_and_nothing_that_the_rule_did_not(number: int, spread: int) -> None:
    policy, text = policy_of(RULES[number])
    rule = policy.rules[0]
    for seed in range(12):
        dice = random.Random(f"{number} {spread} {seed}")
        seen = [random_seen(dice, spread) for _ in range(dice.choice([1, 5, 60]))]
        suggestion = tighten(rule, seen, policy)
        smaller = suggestion.narrowed
        held = [one for one in seen if plainly(rule, one)]
        assert suggestion.flows == len(held)
        assert all(plainly(smaller, one) and matches(smaller, one) for one in held)
        probes = [*seen, *(random_seen(dice, 70_000) for _ in range(200))]
        assert not any(plainly(smaller, one) and not plainly(rule, one) for one in probes)
        assert not addresses.without(smaller.source.ranges, rule.source.ranges)
        assert not addresses.without(smaller.destination.ranges, rule.destination.ranges)
        the_text_says_it(text, suggestion)


def the_text_says_it(text: str, suggestion: Suggestion) -> None:
    """The edited text parses to the narrowed rule, and every line outside of it stayed."""
    if not suggestion.changes:
        return
    edited = narrowed(text, suggestion.rule, suggestion.changes)
    policy, _ = parse(edited, "p.yaml", inherited={})
    read, meant = policy.rules[0], suggestion.narrowed
    assert set(read.sources) == set(meant.sources)
    assert set(read.destinations) == set(meant.destinations)
    assert (read.source, read.destination) == (meant.source, meant.destination)
    assert {words_of_entry(entry) for entry in read.services} == {words_of_entry(entry) for entry in meant.services}
    assert edited.startswith(HEAD) and "# the one" in edited and edited.endswith("    why: a test\n")


def test_any_becomes_the_addresses_that_were_seen() -> None:
    policy, text = policy_of(rule_text(origin="lan", to="dmz"))
    # Fourteen that no wider prefix would hold alone.
    seen = [
        Seen(4, (10 << 24 | 20 << 16) + 300 * n, (10 << 24 | 21 << 16) + 10, 6, 443, "lan", "dmz") for n in range(14)
    ]
    suggestion = tighten(policy.rules[0], seen * 2, policy)
    changes = {change.field: change for change in suggestion.changes}
    assert set(changes) == {"source", "destination", "service"}
    assert changes["source"].after == tuple(text_of(4, one.source) for one in seen)
    assert (changes["source"].before, changes["source"].values) == (("any",), 14)
    assert changes["destination"].after == ("records",)
    assert changes["service"].after == ("https",)
    assert suggestion.flows == 28
    assert "    destination: records\n    service: https\n" in narrowed(text, suggestion.rule, suggestion.changes)


def test_a_rule_that_is_tight_already_or_matched_nothing_is_left_alone() -> None:
    policy, _ = policy_of(
        rule_text(origin="lan", to="dmz", source="10.20.0.5", destination="records", service="https")
    )
    one = Seen(4, 10 << 24 | 20 << 16 | 5, 10 << 24 | 21 << 16 | 10, 6, 443, "lan", "dmz")
    assert tighten(policy.rules[0], [one], policy).changes == ()
    policy, _ = policy_of(rule_text())
    assert tighten(policy.rules[0], [], policy).changes == ()


def test_what_changes_by_itself_is_not_pinned_down() -> None:
    """DNS names resolve to other addresses tomorrow, and people sit elsewhere."""
    people = "people: {ana: {}}\n" + HEAD.removeprefix("reef: 1\n")
    text = "reef: 1\n" + people + rule_text(destination="named").replace("    action", "    people: ana\n    action")
    policy, _ = parse(text, "p.yaml", inherited={})
    one = Seen(4, 10 << 24 | 20 << 16 | 5, 93 << 24, 6, 443, "lan", "out")
    fields = [change.field for change in tighten(policy.rules[0], [one], policy).changes]
    assert "source" not in fields and "destination" not in fields


@pytest.mark.parametrize("most", [1, 4, 16])
def test_addresses_are_covered_in_few_words_that_add_little(most: int) -> None:
    for seed in range(40):
        dice = random.Random(seed)
        seen = {
            (version, base + dice.randrange(dice.choice([8, 300, 1 << 20])))
            for version, base in ((4, 10 << 24), (6, 0x20010DB8 << 96))
            for _ in range(dice.choice([0, 1, 30]))
        }
        cover = cover_addresses(seen, EVERYTHING.ranges, {}, most)
        held = cover.meant.ranges
        assert all(addresses.intersection(held, (Range(version, n, n),)) for version, n in seen)
        assert len(cover.words) <= max(most, len({version for version, _ in seen}))
        said = addresses.normal([addresses.literal(word) for word in cover.words])
        assert said == held
        exact = addresses.normal([Range(version, n, n) for version, n in seen])
        if len({addresses.words_of(part) for part in exact}) <= most and all(
            "-" not in addresses.words_of(p) for p in exact
        ):
            assert held == exact  # nothing is added where there is no need


def test_names_are_said_only_for_what_was_mostly_seen() -> None:
    objects = {"half": AddressSet((Range(4, 0, 3),)), "wide": AddressSet((Range(4, 0, 255),))}
    assert cover_addresses({(4, 0), (4, 1)}, EVERYTHING.ranges, objects, 16).words == ("half",)
    assert cover_addresses({(4, 9)}, EVERYTHING.ranges, objects, 16).words == ("0.0.0.9",)
    named = {"web": (ServiceEntry(6, (443, 443)), ServiceEntry(6, (80, 80)))}
    everything = (ServiceEntry(None),)
    assert cover_services({(6, 443)}, everything, named, 16).words == ("tcp/443",)
    assert cover_services({(6, 443), (6, 80)}, everything, named, 16).words == ("web",)


def test_many_addresses_take_no_time_that_grows_with_their_square() -> None:
    dice = random.Random(1)
    seen = {(4, dice.randrange(1 << 32)) for _ in range(20_000)}
    cover = cover_addresses(seen, EVERYTHING.ranges, {}, 16)
    assert len(cover.words) <= 16
    assert size(cover.meant.ranges) <= 1 << 32
