"""Which zones may reach which, by rules that are in force."""

from __future__ import annotations

from appliance.control.deciding.crossing import crossings
from appliance.policy.meant.parse import parse

TEXT = """\
reef: 1
site: clinic
timezone: UTC
zones:
  lan: {interfaces: [lan0], networks: [10.20.0.0/16]}
  dmz: {interfaces: [dmz0], networks: [10.21.0.0/24]}
rules:
  - {id: R-1, from: lan, to: dmz, service: https, action: allow, why: w, owner: o}
  - {id: R-2, from: lan, to: [dmz, gateway], service: ssh, action: allow, why: w, owner: o}
  - {id: R-3, from: dmz, to: lan, service: https, action: deny, why: w, owner: o}
  - {id: R-4, from: dmz, to: lan, service: ssh, action: allow, enabled: no, why: w, owner: o}
  - {id: R-5, from: dmz, to: lan, service: ssh, action: allow, expires: 2027-03-31, why: w, owner: o}
  - {id: R-6, from: gateway, to: any, service: ntp, action: allow, why: w, owner: o}
"""
IN_2027, IN_2028 = 1_798_800_000.0, 1_830_000_000.0


def reached(now: float) -> dict[tuple[str, str], int]:
    policy, _ = parse(TEXT, "site.yaml", inherited={})
    found = crossings(policy, 7, now)
    assert (found.generation, found.total) == (7, len(found.pairs))
    return {(pair.source, pair.destination): pair.rules for pair in found.pairs}


def test_every_pair_has_the_rules_that_allow_something_there() -> None:
    assert reached(IN_2027) == {
        ("lan", "dmz"): 2,
        ("lan", "gateway"): 1,
        ("dmz", "lan"): 1,
        ("gateway", "lan"): 1,
        ("gateway", "dmz"): 1,
    }


def test_a_rule_that_ended_lets_nobody_reach_anything() -> None:
    assert ("dmz", "lan") not in reached(IN_2028)
