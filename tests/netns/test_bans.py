"""Bans hold in the kernel at once, over restarts and applies; who is allowed passes; nobody is banned by itself where
the policy does not say so, and never who must not be."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.control.messages import gateway as messages
from appliance.control.messages.bans import Allow, Allowed, AllowList, BanFound, Disallow
from appliance.events import view
from appliance.events.record import ALERTS, BANNED, Event
from tests.netns.stand import POLICY, Stand, policy, rule, until

BANS = """\
settings: {nameservers: [192.0.2.53]}
bans:
  allow: [198.51.100.7]
  automatic:
    - id: B-1
      after: [port-scan, sid 2019401]
      for: [1 hour, 1 day]
      owner: soc@stand.example
      why: no business here
  most: 3
  rate: 100
"""
SCANNER = "203.0.113.66"


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Stand() as running:
        running.sh("ip addr add 10.20.0.1/16 dev lan0; ip addr add 203.0.113.2/24 dev wan0")
        running.apply(policy(rule("R-1")))
        yield running


def found(address: str, author: str = "detection port-scan", rule: str = "B-1", words: str = "1 of 9.") -> BanFound:
    return BanFound(address, rule, author, words)


def asked(stand: Stand, request: messages.Request) -> messages.BanEntry | str:
    """The ban that came of it, or the code of the refusal."""
    answer = stand.ask_as("watchd", request, messages.BanList)
    return answer.code if isinstance(answer, messages.Refused) else answer.bans[0]


def bans(stand: Stand) -> dict[str, messages.BanEntry]:
    return {entry.address: entry for entry in stand.ask(messages.Bans(), messages.BanList).bans}


def in_kernel(stand: Stand, name: str) -> str:
    return stand.sh(f"nft list set inet reef_ban {name}")


def told(stand: Stand) -> list[Event]:
    events = view.past(Path(stand.instance.events), view.Selection(types=("alert",)))
    of_bans = (ALERTS, BANNED)  # a line that nobody registered is told, too, when a test takes its time
    return [event for event in events if event.alert and (event.alert["gid"], event.alert["signature_id"]) == of_bans]


def automatic(stand: Stand) -> None:
    stand.apply(policy(rule("R-1"), head=POLICY + BANS))


def test_a_ban_survives_a_kill_and_an_apply(stand: Stand) -> None:
    ban = messages.Ban((SCANNER, "192.0.2.0/24"), 3600, "a test", owner="soc")
    entry = stand.ask(ban, messages.BanList).bans[0]
    assert (entry.reason, entry.owner, entry.until - entry.since) == ("a test", "soc", 3600)
    stand.ask(Allow(("192.0.2.9",), 0, "our monitoring", "noc"), Allowed)
    stand.kill("applyd")
    assert SCANNER in in_kernel(stand, "ban_v4")
    stand.sh("nft delete table inet reef_ban")  # as after a boot
    stand.restart("applyd")
    stand.apply(policy(rule("R-1"), rule("R-2", "tcp/80")))
    assert bans(stand).keys() == {SCANNER, "192.0.2.0/24"}
    assert SCANNER in in_kernel(stand, "ban_v4")
    assert "192.0.2.0/24" in in_kernel(stand, "ban_net_v4")
    assert "192.0.2.9" in in_kernel(stand, "allow_v4")
    assert stand.ask(AllowList(), Allowed).entries[0].reason == "our monitoring"


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("0.0.0.0/0", "everybody", "everybody"),
        ("0.0.0.0-255.255.255.255", "everybody", "everybody"),
        ("::/0", "everybody", "everybody"),
        ("0.0.0.0/1", "own", "holds 10.20.0.1, which is an address of the gateway"),
        ("10.20.0.0/24", "own", "holds 10.20.0.1, which is an address of the gateway"),
        ("203.0.113.2", "own", "203.0.113.2 is an address of the gateway"),
        ("192.0.2.0/24", "own", "holds 192.0.2.53, which is a resolver of the gateway"),
        ("198.51.100.7", "allowed", "198.51.100.7 is on the allow-list of the policy"),
        ("203.0.113.300", "bad-address", "203.0.113.300"),
    ],
)
def test_what_must_not_be_banned_is_refused_with_the_reason(
    stand: Stand, address: str, code: str, words: str
) -> None:
    automatic(stand)
    refused = stand.refusal(messages.Ban((SCANNER, address)))
    assert refused.code == code
    assert words in refused.message
    assert bans(stand) == {}


def test_a_host_of_the_site_can_be_banned_by_a_person_and_never_by_itself(stand: Stand) -> None:
    automatic(stand)
    assert asked(stand, found("10.20.0.66")) == "spared"
    tried = stand.ask(messages.TryBan(("10.20.0.66", "10.20.0.1")), messages.BanTried)
    assert tried.inside == (("10.20.0.66", "10.20.0.66 is in 10.20.0.0/16, which is in the zone lan"),)
    assert [(address, code) for address, code, _ in tried.refused] == [("10.20.0.1", "own")]
    assert bans(stand) == {}, "nobody is banned by asking"
    assert stand.ask(messages.Ban(("10.20.0.66",)), messages.BanList).bans[0].address == "10.20.0.66"


def test_everybody_is_not_allowed_either(stand: Stand) -> None:
    assert stand.refusal(Allow(("0.0.0.0/0",), 0, "oops")).code == "everybody"
    assert stand.refusal(Disallow(("192.0.2.1",))).code == "not-allowed-now"


def test_who_is_allowed_for_a_while_is_no_longer_afterwards(stand: Stand) -> None:
    stand.ask(Allow(("192.0.2.8",), 600, "ten minutes"), Allowed)
    stand.ask(Allow(("192.0.2.9",), 2, "two seconds"), Allowed)
    until(lambda: "192.0.2.9" not in in_kernel(stand, "allow_v4"), "it ends")
    assert "192.0.2.8" in in_kernel(stand, "allow_v4")
    until(lambda: "192.0.2.9" not in {one.address for one in stand.ask(AllowList(), Allowed).entries}, "so told")


def test_the_allow_list_of_the_policy_comes_and_goes_with_it(stand: Stand) -> None:
    automatic(stand)
    assert "198.51.100.7" in in_kernel(stand, "allow_v4")
    assert "192.0.2.53" in in_kernel(stand, "allow_v4")
    entries = {entry.address: entry.origin for entry in stand.ask(AllowList(), Allowed).entries}
    assert (entries["198.51.100.7"], entries["192.0.2.53"], entries["10.20.0.1"]) == ("policy", "gateway", "gateway")
    stand.apply(policy(rule("R-1")))
    assert "198.51.100.7" not in in_kernel(stand, "allow_v4")
    assert "10.20.0.1" in in_kernel(stand, "allow_v4")


def test_nobody_is_banned_by_itself_where_the_policy_does_not_say_so(stand: Stand) -> None:
    assert asked(stand, found(SCANNER)) == "not-automatic"
    automatic(stand)
    assert asked(stand, found(SCANNER, "detection beacon")) == "not-automatic"
    assert asked(stand, found(SCANNER, "signature 1:7")) == "not-automatic"
    assert asked(stand, found(SCANNER, rule="B-2")) == "not-automatic"
    assert bans(stand) == {}


def test_only_who_sees_traffic_may_ask_for_it(stand: Stand) -> None:
    automatic(stand)
    for name in ("namesd", "gated", "verdictd", "policyd"):
        answer = stand.ask_as(name, found(SCANNER), messages.BanList)
        assert isinstance(answer, messages.Refused)
        assert answer.code == "not-allowed"
    refused = stand.ask_as("watchd", messages.Ban((SCANNER,)), messages.BanList)
    assert isinstance(refused, messages.Refused)


def test_a_ban_by_itself_explains_itself_and_is_undone_by_one_command(stand: Stand) -> None:
    automatic(stand)
    entry = asked(stand, found(SCANNER, words="It tried 40 ports of 10.20.0.12."))
    assert isinstance(entry, messages.BanEntry)
    assert (entry.by, entry.owner) == ("detection port-scan", "soc@stand.example")
    assert entry.until - entry.since == 3600
    assert SCANNER in in_kernel(stand, "ban_v4")
    until(lambda: told(stand), "the event")
    event = told(stand)[0]
    assert event.alert is not None
    assert event.src_ip == SCANNER
    for part in ("1 hour", "B-1", "40 ports", "reef unban 203.0.113.66", "reef allow 203.0.113.66"):
        assert part in event.alert["signature"]
    # Found once more while it is banned, nothing happens.
    assert asked(stand, found(SCANNER)) == entry
    assert len(told(stand)) == 1
    stand.ask(messages.Unban((SCANNER,)), messages.BanList)
    assert SCANNER not in in_kernel(stand, "ban_v4")


def test_who_comes_again_is_banned_for_longer_over_a_restart_too(stand: Stand) -> None:
    automatic(stand)
    kept = stand.instance.state_of("applyd") / "bans.json"
    assert isinstance(asked(stand, found(SCANNER)), messages.BanEntry)
    stand.stop("applyd")
    lines = msgspec.json.decode(kept.read_bytes())
    lines["bans"][0]["until"] = time.time() - 1  # an hour later
    kept.write_bytes(msgspec.json.encode(lines))
    stand.restart("applyd")
    assert bans(stand) == {}
    again = asked(stand, found(SCANNER, "signature 1:2019401"))
    assert isinstance(again, messages.BanEntry)
    assert (again.by, again.until - again.since) == ("signature 1:2019401", 86_400)
    # A person who takes it back has it forgotten.
    stand.ask(messages.Unban((SCANNER,)), messages.BanList)
    first = asked(stand, found(SCANNER))
    assert isinstance(first, messages.BanEntry)
    assert first.until - first.since == 3600


def test_they_are_no_more_than_the_policy_lets_there_be(stand: Stand) -> None:
    automatic(stand)
    outcomes = [asked(stand, found(f"203.0.113.{number}")) for number in range(100, 105)]
    assert [outcome if isinstance(outcome, str) else "" for outcome in outcomes] == ["", "", "", *2 * ["too-many"]]
    assert len(bans(stand)) == 3
    assert stand.words().count("nobody more is banned by itself for now") == 1
    # A person still can.
    assert stand.ask(messages.Ban(("203.0.113.104",)), messages.BanList).bans[0].address == "203.0.113.104"


def test_nor_do_they_begin_faster_than_it_lets(stand: Stand) -> None:
    stand.apply(policy(rule("R-1"), head=POLICY + BANS.replace("rate: 100", "rate: 2")))
    outcomes = [asked(stand, found(f"203.0.113.{number}")) for number in range(100, 103)]
    assert [outcome if isinstance(outcome, str) else "" for outcome in outcomes] == ["", "", "too-many"]


@pytest.mark.parametrize("address", ["198.51.100.7", "192.0.2.53", "203.0.113.2", "nobody", "192.0.2.0/24"])
def test_who_must_not_be_is_never_banned_by_itself(stand: Stand, address: str) -> None:
    automatic(stand)
    assert asked(stand, found(address)) in ("spared", "bad-address")
    assert bans(stand) == {}


def test_damaged_bans_do_not_keep_the_gateway_from_starting(stand: Stand) -> None:
    stand.stop("applyd")
    (stand.instance.state_of("applyd") / "bans.json").write_bytes(b'{"bans": [{]')
    stand.restart("applyd")
    assert "the bans cannot be read and are not in force" in stand.words()
    assert bans(stand) == {}
