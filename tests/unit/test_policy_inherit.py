"""Baselines: what they give, where their rules stand, and that nothing below can weaken them."""

from __future__ import annotations

import pytest

from appliance.policy.meant.parse import parse
from appliance.policy.model import Policy
from appliance.policy.problem import PolicyError

SITE = """reef: 1
site: clinic
inherits: [health]
zones:
  internet: {interfaces: [wan0], external: no}
  wards: {interfaces: [lan0]}
  server: {interfaces: [dmz0], role: dmz}
rules:
  - {id: R-1, from: wards, to: server, service: records, when: day, action: allow, owner: it, why: w}
publish:
  - {id: P-1, from: internet, address: 192.0.2.1, service: https, to: 10.0.0.1, zone: server, owner: it, why: w}
"""
HEALTH = """reef: 1
baseline: health
inherits: [country]
services: {records: [tcp/8443]}
schedules: {day: "06:00-20:00"}
settings: {history: 700}
first: [{id: H-1, from: role:internet, to: role:internal, action: deny}]
last: [{id: H-9, from: role:voice, to: any, action: deny}, {id: H-8, from: any, to: any, action: deny}]
"""
COUNTRY = """reef: 1
baseline: country
settings: {history: 900, drift: report}
objects: {hosts: {addresses: [10.0.0.1]}}
people: {a: }
groups: {g: a}
profiles: {p: }
first: [{id: C-1, from: any, to: any, service: telnet, action: deny}]
last: [{id: C-9, from: any, to: [any, gateway], action: reject}]
locked: {zones.*.antispoofing: yes, settings.confirm_within: 300, "zones.role:dmz.antispoofing": yes}
"""


def policy(site: str = SITE, health: str = HEALTH, country: str = COUNTRY) -> Policy:
    return parse(site, "clinic.yaml", inherited={"health": health, "country": country})[0]


def refused(site: str = SITE, health: str = HEALTH, country: str = COUNTRY) -> list[str]:
    with pytest.raises(PolicyError) as error:
        policy(site, health, country)
    return [str(problem) for problem in error.value.problems]


def test_the_outermost_baseline_is_the_very_first_and_the_very_last() -> None:
    rules = policy().rules
    assert [rule.id for rule in rules] == ["C-1", "H-1", "R-1", "P-1", "H-8", "C-9"]
    assert [rule.origin for rule in rules] == [
        "baseline-first",
        "baseline-first",
        "site",
        "site",
        "baseline-last",
        "baseline-last",
    ]


def test_roles_become_the_zones_of_the_site() -> None:
    by_id = {rule.id: rule for rule in policy().rules}
    assert by_id["H-1"].sources == ("internet",)
    assert by_id["H-1"].destinations == ("wards",)
    assert "H-9" not in by_id  # nobody has the role voice


def test_any_with_the_gateway_is_said_zone_by_zone() -> None:
    assert policy().rules[-1].destinations == ("internet", "wards", "server", "gateway")


def test_the_nearest_setting_holds_and_a_lock_above_all() -> None:
    settings = policy().settings
    assert (settings.history, settings.drift, settings.confirm_within) == (700, "report", 300)
    assert policy(SITE + "settings: {history: 50}\n").settings.history == 50
    assert policy(SITE + "settings: {confirm_within: 300}\n").settings.confirm_within == 300


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("publish:", "settings: {confirm_within: 5}\npublish:", "`settings.confirm_within` is locked at `300`"),
        (
            "{interfaces: [lan0]}",
            "{interfaces: lan0, antispoofing: no}",
            "`zones.wards.antispoofing` is locked at `yes`",
        ),
        ("role: dmz}", "role: dmz, antispoofing: no}", "`zones.server.antispoofing` is locked at `yes`"),
        ("id: R-1", "id: C-1", "the id `C-1` belongs to an inherited rule (country.yaml:8)"),
        ("id: P-1", "id: H-9", "the id `H-9` belongs to an inherited rule (health.yaml:8)"),
        (
            "zones:",
            "services: {records: ssh}\nzones:",
            "`records` is defined by the baseline `health` (health.yaml:4:12)",
        ),
        (
            "zones:",
            "objects: {hosts: {networks: 10.0.0.0/8}}\nzones:",
            "the object `hosts` is defined by the baseline",
        ),
        ("zones:", "schedules: {day: sat}\nzones:", "`day` is defined by the baseline `health` (health.yaml:5:13)"),
        ("zones:", "people: {a: }\nzones:", "the person `a` is defined by the baseline `country`"),
        ("zones:", "groups: {g: a}\nzones:", "the group `g` is defined by the baseline `country`"),
        ("zones:", "profiles: {p: }\nzones:", "the profile `p` is defined by the baseline `country`"),
        ("[health]", "[health, helth]", "there is no baseline `helth`; did you mean `health`?"),
    ],
)
def test_what_would_weaken_a_baseline_is_refused_at_its_line(old: str, new: str, said: str) -> None:
    assert old in SITE
    (only,) = refused(SITE.replace(old, new, 1))
    assert said in only
    assert only.startswith("clinic.yaml:")


def test_an_inner_baseline_cannot_weaken_an_outer_one() -> None:
    (only,) = refused(health=HEALTH + "locked: {settings.confirm_within: 10}\n")
    assert only.startswith("health.yaml:9:35: `settings.confirm_within` is locked at `300` by the baseline `country`")


def test_circles_of_baselines_are_refused() -> None:
    (only,) = refused(country=COUNTRY + "inherits: [health]\n")
    assert only == (
        "country.yaml:11:12: the baselines inherit each other: health -> country -> health; remove one of them"
    )


def test_a_baseline_used_twice_counts_once() -> None:
    assert policy(SITE.replace("[health]", "[country, health]")) == policy()


def test_a_problem_of_a_baseline_is_told_at_its_own_line() -> None:
    (only,) = refused(country=COUNTRY.replace("service: telnet", "service: telnt"))
    assert only == "country.yaml:8:48: there is no service `telnt`; did you mean `telnet`?"
