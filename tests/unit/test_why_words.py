"""What `why` says besides the decision: when a schedule changes, what ends, who is where, and what is no rule's."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from appliance.asking.ends import end_of
from appliance.asking.refusal import CannotAsk
from appliance.commands.followed import Kernel
from appliance.control.messages.why import Traced
from appliance.policy import addresses
from appliance.policy.answering.misses import next_change
from appliance.policy.answering.nearly import Rulebook
from appliance.policy.answering.reach import NOWHERE, Hop, reach
from appliance.policy.answering.why import Answer, Question, Situation, as_person, of_text, why
from appliance.policy.decide import Packet
from appliance.policy.model import (
    AddressSet,
    Dynamic,
    InterfaceAddress,
    Object,
    Person,
    Policy,
    Range,
    Rule,
    Schedule,
    ServiceEntry,
    Zone,
)

WEEKDAYS = tuple((day * 1440 + 450, day * 1440 + 1020) for day in range(5))
NOW = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())  # a Friday


def at(words: str) -> int:
    return int(datetime.fromisoformat(words).timestamp())


@pytest.mark.parametrize(
    ("zone", "spans", "moment", "said"),
    [
        ("UTC", WEEKDAYS, "2026-11-20T12:00+00:00", "Fri 2026-11-20 17:00 UTC"),
        ("UTC", WEEKDAYS, "2026-11-20T17:00+00:00", "Mon 2026-11-23 07:30 UTC"),
        # Clocks go back on 25 October 2026 in Berlin, and forward on 28 March 2027.
        ("Europe/Berlin", WEEKDAYS, "2026-10-24T12:00+02:00", "Mon 2026-10-26 07:30 CET"),
        ("Europe/Berlin", WEEKDAYS, "2027-03-27T12:00+01:00", "Mon 2027-03-29 07:30 CEST"),
        # 02:30 does not come on that Sunday: the window begins when the clock has jumped.
        ("Europe/Berlin", ((6 * 1440 + 150, 6 * 1440 + 240),), "2027-03-28T00:00+01:00", "Sun 2027-03-28 03:00 CEST"),
        ("America/Belize", ((0, 10080),), "2026-11-20T12:00+00:00", ""),
    ],
)
def test_a_schedule_says_when_it_changes(
    zone: str, spans: tuple[tuple[int, int], ...], moment: str, said: str
) -> None:
    assert next_change(Schedule("s", zone, spans), at(moment)) == said


def test_a_schedule_that_is_over_does_not_come_again() -> None:
    over = Schedule("s", "UTC", WEEKDAYS, last="2026-01-31")
    assert next_change(over, NOW) == ""
    begins = Schedule("s", "UTC", WEEKDAYS, first="2027-06-01")
    assert next_change(begins, NOW) == "Tue 2027-06-01 07:30 UTC"


def network(words: str) -> Range:
    return addresses.network(words)


def number(words: str) -> int:
    return addresses.address(words)[1]


def policy(*rules: Rule, **more: object) -> Policy:
    known: dict[str, object] = {
        "site": "test",
        "zones": {
            "lan": Zone("lan", ("lan0",), (network("10.1.0.0/16"),), (InterfaceAddress("lan0", "10.1.0.1/16"),)),
            "wan": Zone("wan", ("wan0",), (), (InterfaceAddress("wan0", "203.0.113.2/24"),)),
        },
        "rules": rules,
        "people": {"h.officer": Person("h.officer"), "j.doe": Person("j.doe")},
        "dynamics": {
            "group_staff": Dynamic("group_staff", "group", ("h.officer",)),
            "person_j.doe": Dynamic("person_j.doe", "person", ("j.doe",)),
            "dns_mirror": Dynamic("dns_mirror", "dns", ("mirror.example",)),
        },
        "objects": {
            "office": Object("office", AddressSet((network("10.1.5.0/24"),))),
            "nothing": Object("nothing", AddressSet()),
            "first": Object("first", AddressSet((network("10.1.0.0/24"),))),
        },
    }
    return Policy(**(known | more))  # type: ignore[arg-type]


def permit(**fields: object) -> Rule:
    known: dict[str, object] = {"id": "R-1", "sources": ("lan",), "destinations": ("wan",), "action": "allow"}
    return Rule(**(known | fields))  # type: ignore[arg-type]


def packet(
    source: str = "10.1.5.7", destination: str = "198.51.100.9", entering: str = "lan0", **more: int
) -> Packet:
    known = {"protocol": 6, "source_port": 49152, "destination_port": 443} | more
    version = 6 if ":" in source else 4
    return Packet(version, entering, "", number(source), number(destination), **known)


def asked(about: Policy, what: Packet, **changed: object) -> Answer:
    situation = msgspec.structs.replace(of_text(about, NOW), **changed)
    return why(Rulebook(about), Question(what), situation)


def test_the_nearest_address_is_said_first() -> None:
    rule = permit(source=AddressSet((network("10.1.1.0/24"), network("10.1.5.8/32"), network("10.9.0.0/16"))))
    (near,) = asked(policy(rule), packet()).near
    assert near.words == "R-1 would allow it, but 10.1.5.7 is not in its source (10.1.5.8, 10.1.1.0/24, 10.9.0.0/16)"


def test_a_rule_without_an_address_of_this_version_says_so() -> None:
    rule = permit(source=AddressSet((network("2001:db8::/32"),)), said_source=("six",))
    (near,) = asked(policy(rule), packet()).near
    assert near.words == "R-1 would allow it, but its source six has no IPv4 address"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"enabled": False}, "it is disabled"),
        ({"expires": "2026-10-01", "expires_at": NOW - 5}, "it expired 2026-10-01"),
        ({"people": ("group_staff",)}, "nobody of group staff is behind 10.1.5.7"),
        ({"people": ("person_j.doe",)}, "nobody of j.doe is behind 10.1.5.7"),
        ({"services": (ServiceEntry(6, (80, 88)),)}, "destination port 443 is not in 80-88"),
        ({"services": (ServiceEntry(6, source_ports=(67, 67)),)}, "source port 49152 is not in 67"),
        ({"services": (ServiceEntry(17, (53, 53)),)}, "tcp/443 is not in its service udp/53"),
        ({"sources": ("wan",)}, "it is from wan, not from lan"),
        ({"destinations": ("lan", "gateway")}, "it is to lan, gateway, not to wan"),
        ({"destination": AddressSet((), ("dns_mirror",))},
         "198.51.100.9 is not in its destination (the addresses of mirror.example)"),
    ],
)  # fmt: skip
def test_every_field_says_what_missed(fields: dict[str, object], said: str) -> None:
    answer = asked(policy(permit(**fields)), packet())
    assert (answer.rule, answer.action, answer.near_count) == ("default", "deny", 1)
    assert answer.near[0].words == f"R-1 would allow it, but {said}"


def test_a_limit_and_an_order_are_said() -> None:
    limited = asked(policy(permit()), packet(), over=frozenset({"R-1"}))
    assert limited.near[0].words == "R-1 would allow it, but its limit is exceeded"
    hidden = asked(policy(permit(id="R-0", action="deny"), permit()), packet())
    assert (hidden.rule, hidden.near[0].words) == ("R-0", "R-1 would allow it, but it comes after R-0")


def test_someone_else_at_the_same_address_is_not_that_person() -> None:
    about = policy(permit(people=("group_staff",)), permit(id="R-2", people=("person_j.doe",)))
    situation = of_text(about, NOW)
    here = Range(4, number("10.1.5.7"), number("10.1.5.7"))
    logged_in = msgspec.structs.replace(situation, members={"person_j.doe": frozenset({here})})
    question = Question(packet())
    assert why(Rulebook(about), question, logged_in).rule == "R-2"
    officer = as_person(about, logged_in, 4, here.first, "h.officer")
    assert why(Rulebook(about), question, officer).rule == "R-1"
    assert not officer.members["person_j.doe"]


@pytest.mark.parametrize(
    ("about", "rule", "action"),
    [
        (packet(destination="10.1.0.1", entering="", source="10.1.0.1"), "loopback", "allow"),
        (packet("2001:db8::1", "ff02::1", protocol=58, icmp_type=135, source_port=0, destination_port=0),
         "link", "allow"),
    ],
)  # fmt: skip
def test_what_needs_no_rule_is_allowed_by_none(about: Packet, rule: str, action: str) -> None:
    here = Hop("")
    answer = asked(policy(), about, hop=lambda version, address: here)
    assert (answer.rule, answer.action) == (rule, action)


def test_no_route_is_no_rule() -> None:
    answer = asked(policy(permit()), packet(), hop=lambda _, address: Hop("lan0" if address >> 24 == 10 else NOWHERE))
    assert (answer.rule, answer.action, answer.near) == ("no-route", "deny", ())
    assert "no route leads to 198.51.100.9" in [step.words for step in answer.steps]


def test_a_ban_of_the_destination_comes_after_the_rules() -> None:
    bans = ((network("198.51.100.0/24"), " by root"),)
    assert asked(policy(permit()), packet(), bans=bans).rule == "banned"
    assert asked(policy(), packet(), bans=bans).rule == "default", "what is denied never comes so far"


def test_what_the_kernel_cannot_inspect_is_told_as_it_is_done() -> None:
    rule = permit(inspect="strict")
    answer = asked(policy(rule), packet(), enforced={"R-1": "deny"}, omitted={"R-1": "inspection needs nft queue"})
    assert (answer.rule, answer.action) == ("R-1", "deny")
    assert "inspection needs nft queue; so it is denied" in [step.words for step in answer.steps]
    assert asked(policy(rule), packet()).action == "allow"


def test_a_text_knows_the_way_by_its_own_words() -> None:
    about = policy()
    assert reach(about, 4, number("10.1.0.1")) == Hop("")
    assert reach(about, 4, number("10.1.9.9")) == Hop("lan0")
    assert reach(about, 4, number("8.8.8.8")) == Hop("wan0"), "the zone that names no networks"


OWN = ((4, number("10.1.0.1")),)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("10.1.5.7", "10.1.5.7"), ("office", "10.1.5.1"), ("first", "10.1.0.2"), ("gateway", "10.1.0.1"),
        ("j.doe", "10.1.7.7"), ("mirror.example", "192.0.2.80"), ("lan", "10.1.0.2"),
    ],
)  # fmt: skip
def test_ends_are_named_as_people_name_them(word: str, found: str) -> None:
    members = {
        "person_j.doe": frozenset({network("10.1.7.7/32")}),
        "dns_mirror": frozenset({network("192.0.2.80/32")}),
    }
    end = end_of(word, policy(), members, OWN)
    assert end.numbers == {4: number(found)}
    assert bool(end.note) == (word in ("office", "first", "lan"))
    assert end.person == ("j.doe" if word == "j.doe" else "")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("ofice", "did you mean `office`"),
        ("10.1.5", "is not an IPv4 address"),
        ("10.1.5.0/24", "is not an IPv4 address"),
        ("nothing", "has no address that is known here"),
        ("j.doe", "it is not known where j.doe is"),
        ("h.officer", "it is not known where h.officer is"),
        ("mirror.example", "has no address that is known here"),
        ("", "is no address"),
    ],
)
def test_an_end_that_is_nobody_is_said(word: str, said: str) -> None:
    with pytest.raises(CannotAsk) as failure:
        end_of(word, policy(), {}, OWN)
    assert said in f"{failure.value} {failure.value.remedy}"


def traced(**fields: object) -> Traced:
    known: dict[str, object] = {
        "seen": True, "entering": "lan0", "leaving": "wan0", "source": "10.1.5.7", "destination": "198.51.100.9",
        "protocol": 6, "source_port": 49152, "destination_port": 443, "verdict": "allow", "rule": "R-1",
        "leaves_from": "10.1.5.7", "leaves_to": "198.51.100.9", "leaves_to_port": 443,
    }  # fmt: skip
    return Traced(**(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, ()),
        ({"verdict": "deny", "rule": "default"}, ("the policy says allow, the kernel deny",
                                                 "the policy names R-1, the kernel default")),
        ({"rule": "R-9"}, ("the policy names R-1, the kernel R-9",)),
        ({"rule": ""}, ("the policy names R-1, the kernel no rule",)),
        ({"rule": "pinhole"}, ()),
        ({"leaves_to_port": 8443}, ("the policy sends it to 198.51.100.9:443, the kernel to 198.51.100.9:8443",)),
        ({"leaves_from": "203.0.113.2"}, ("by the policy it leaves from 10.1.5.7, in the kernel from 203.0.113.2",)),
        ({"verdict": "", "rule": ""},
         ("the policy says allow by R-1, but the kernel dropped it while routing",)),
    ],
)  # fmt: skip
def test_what_differs_is_said(fields: dict[str, object], said: tuple[str, ...]) -> None:
    assert Kernel("", traced(**fields)).differences(asked(policy(permit()), packet())) == said


def test_a_rule_whose_limit_the_kernel_left_is_known() -> None:
    from appliance.policy.model import Rate

    about = policy(permit(rate=Rate(1, 60)), permit(id="R-2"))
    assert Kernel("", traced(skipped=("R-1", "R-2"))).exceeded(about) == {"R-1"}


def test_of_text_knows_nobody() -> None:
    situation: Situation = of_text(policy(), NOW)
    assert (situation.members, situation.bans, situation.own) == (
        {}, (), {("lan0", 4): number("10.1.0.1"), ("wan0", 4): number("203.0.113.2")},
    )  # fmt: skip
