"""What runs says of inspection, as rows."""

from __future__ import annotations

from appliance.console.api.inspection import view
from appliance.control.messages.gateway import NameBook
from appliance.policy.compiling.bundle import RuleInfo
from appliance.policy.meant.parse import parse

TEXT = """\
reef: 1
site: s
zones:
  lan: {interfaces: [lan0], networks: [10.0.0.0/8]}
  dmz: {interfaces: [dmz0], networks: [192.168.0.0/16]}
feeds:
  et: {address: https://rules.example.org/et.tar.gz, checksum: https://rules.example.org/et.sha256, trial: 7}
profiles:
  careful:
    extends: strict
    actions: {severity 1 inbound: drop}
    description: for servers
suppressions:
  - {id: S-1, signatures: sid 5, host: 10.1.2.3, from: lan, owner: it, why: loud, expires: 2099-01-05}
rules:
  - {id: R-1, from: lan, to: dmz, action: allow, inspect: careful, owner: o, why: w}
"""


def test_profiles_feeds_and_suppressions_are_told_in_words() -> None:
    policy, _ = parse(TEXT, "t.yaml", inherited={})
    book = NameBook(
        3,
        "s",
        (),
        (RuleInfo("R-1", 1, "allow", inspect="careful"), RuleInfo("R-2", 2, "allow")),
        profiles=(policy.profiles["careful"],),
        feeds=tuple(policy.feeds.values()),
        suppressions=policy.suppressions,
    )
    found = view(book)
    assert found.generation == 3
    (profile,) = found.profiles
    assert (profile.name, profile.rules, profile.description) == ("careful", ("R-1",), "for servers")
    assert "severity 1 inbound: drop" in profile.reactions
    (feed,) = found.feeds
    assert (feed.name, feed.origin, feed.trial) == ("et", "https://rules.example.org/et.tar.gz", 7)
    (silent,) = found.suppressions
    assert (silent.id, silent.signatures, silent.owner) == ("S-1", ("sid 5",), "it")
    assert silent.conditions == ("host 10.1.2.3", "from lan")
    assert silent.expires_at > 4_000_000_000
