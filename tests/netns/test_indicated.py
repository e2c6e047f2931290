"""Addresses of indicators in the kernel: in force at once, over a kill of applyd, never against our own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.control.applying.indicated import ANEW
from appliance.control.messages import gateway as messages
from appliance.control.messages.bans import Allow, Allowed
from appliance.control.messages.indicators import Enforce, Enforced, Held
from tests.netns.stand import Stand, policy, rule, until

EVIL = "203.0.113.66"


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand() as running:
        running.sh("ip addr add 10.20.0.1/16 dev lan0; ip addr add 203.0.113.2/24 dev wan0")
        running.apply(policy(rule("R-1")))
        yield running


def ask(stand: Stand, request: Enforce) -> Enforced | messages.Refused:
    return stand.ask_as("alertd", request, Enforced)


def held(stand: Stand, *addresses: str, whole: bool = False) -> Enforced:
    answer = ask(stand, Enforce(block=tuple(map(Held, addresses)), whole=whole))
    assert isinstance(answer, Enforced)
    return answer


def in_kernel(stand: Stand, name: str) -> str:
    return stand.sh(f"nft list set inet reef_indicators {name}")


def tables(stand: Stand) -> str:
    return stand.sh("nft list tables")


def test_nothing_is_there_until_something_is_in_force_and_after_it(stand: Stand) -> None:
    assert held(stand, whole=True) == Enforced(0, 0)
    assert "reef_indicators" not in tables(stand)
    assert held(stand, EVIL, "192.0.2.0/24", "192.0.2.128/25", "2001:db8:66::1").block == 4
    assert EVIL in in_kernel(stand, "block_v4")
    assert "192.0.2.0/24" in in_kernel(stand, "block_net_v4")
    assert "2001:db8:66::1" in in_kernel(stand, "block_v6")
    answer = ask(stand, Enforce(release=(EVIL, "192.0.2.0/24", "2001:db8:66::1", "198.51.100.1")))
    assert answer == Enforced(1, 0)
    assert "192.0.2.128/25" in in_kernel(stand, "block_net_v4")  # the smaller one was named by itself
    assert ask(stand, Enforce(release=("192.0.2.128/25",))) == Enforced(0, 0)
    assert "reef_indicators" not in tables(stand)


def test_what_must_not_be_blocked_is_refused_and_the_rest_holds(stand: Stand) -> None:
    held(stand, whole=True)
    answer = held(stand, "10.20.3.4", "0.0.0.0/0", "203.0.113.2", "203.0.113.0/24", EVIL, "nonsense")
    assert answer.block == 1
    assert [address for address, _ in answer.refused] == [
        "10.20.3.4",
        "0.0.0.0/0",
        "203.0.113.2",
        "203.0.113.0/24",
        "nonsense",
    ]
    assert "zone lan" in dict(answer.refused)["10.20.3.4"]
    told = ask(stand, Enforce(tell=(Held("10.20.3.4"),)))
    assert told == Enforced(1, 1)  # to be told of is harmless


def test_an_address_is_in_one_mode(stand: Stand) -> None:
    held(stand, EVIL, whole=True)
    assert ask(stand, Enforce(tell=(Held(EVIL),))) == Enforced(0, 1)
    assert EVIL not in in_kernel(stand, "block_v4")
    assert EVIL in in_kernel(stand, "tell_v4")
    assert held(stand, EVIL) == Enforced(1, 0)


def test_whom_the_operators_allow_passes(stand: Stand) -> None:
    held(stand, EVIL, whole=True)
    stand.ask(Allow((EVIL,), 0, "a partner", "noc"), Allowed)
    until(lambda: EVIL in in_kernel(stand, "allow_v4"), "the allow-list is in the table")


def test_they_hold_over_a_kill_until_everything_is_said_again(stand: Stand) -> None:
    held(stand, EVIL, whole=True)
    stand.kill("applyd")
    stand.restart("applyd")
    assert EVIL in in_kernel(stand, "block_v4")
    refused = ask(stand, Enforce(block=(Held("198.51.100.9"),)))
    assert isinstance(refused, messages.Refused)
    assert refused.code == ANEW
    assert EVIL in in_kernel(stand, "block_v4")
    assert held(stand, "198.51.100.9", whole=True).block == 1
    assert EVIL not in in_kernel(stand, "block_v4")


def test_a_table_that_somebody_took_away_comes_back(stand: Stand) -> None:
    held(stand, EVIL, whole=True)
    stand.sh("nft delete table inet reef_indicators")
    refused = ask(stand, Enforce(block=(Held("198.51.100.9"),)))
    assert isinstance(refused, messages.Refused)
    assert held(stand, EVIL, whole=True).block == 1
    assert EVIL in in_kernel(stand, "block_v4")


def test_they_end_by_themselves(stand: Stand) -> None:
    answer = ask(stand, Enforce(block=(Held(EVIL, 0.4), Held("192.0.2.0/24", 0.4)), whole=True))
    assert isinstance(answer, Enforced)
    assert answer.block == 2
    until(lambda: "reef_indicators" not in tables(stand), "what ended is gone, and the table with it")


def test_nobody_else_may_ask(stand: Stand) -> None:
    answer = stand.ask_as("watchd", Enforce(block=(Held(EVIL),)), Enforced)
    assert isinstance(answer, messages.Refused)
