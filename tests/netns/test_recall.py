"""Connections that inspection handed back, recalled in a real kernel: which, and while others are answered."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

import msgspec
import pytest

from appliance.control.kernel.conntrack import (
    CT_NEW,
    CTA_MARK,
    CTA_STATUS,
    CTA_TIMEOUT,
    CTA_TUPLE_ORIG,
    CTA_TUPLE_REPLY,
    Address,
    Conntrack,
    Tuple,
    encode_tuple,
)
from appliance.control.kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, u32
from appliance.control.kernel.nfnetlink import CTNETLINK, Netfilter, body
from appliance.control.kernel.recall import AT_ONCE, Recaller, flags_of, recall
from appliance.policy.compiling.bundle import (
    FLAG_QUEUE_CLOSED,
    FLAG_QUEUE_OPEN,
    FLAGS_QUEUE,
    Bundle,
    RuleInfo,
    generation_mark,
)
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.model import Profile
from tests.netns.wire import Wire

GENERATION = 3
STAMP = generation_mark(GENERATION)
SEEN, ASSURED, CONFIRMED = 1 << 1, 1 << 2, 1 << 3
BUNDLE = Bundle(
    site="s",
    generation=GENERATION,
    parent=0,
    author="a",
    reason="",
    created=0.0,
    text="",
    inherited={},
    ruleset=Ruleset(),
    rules=(
        RuleInfo("R-1", 1, "allow", inspect="closed"),
        RuleInfo("R-2", 2, "allow", inspect="open"),
        RuleInfo("R-3", 3, "allow"),
    ),
    profiles=(Profile("closed", "fail-closed"), Profile("open", "fail-open")),
    requires=("xt-queue",),
)


@pytest.fixture
def netfilter() -> Iterator[Netfilter]:
    with Wire(raw=False) as wire:
        # A namespace tracks connections once somebody asks for them.
        wire.run("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }")
        wire.run("nft", "add rule inet t c ct state new counter")
        with wire.inside():
            made = Netfilter()
        with made:
            yield made


def put(netfilter: Netfilter, count: int, mark: int, version: int = 4, first: int = 0) -> None:
    """So many connections with this mark."""
    for number in range(first, first + count):
        ends: tuple[Address, Address] = IPv4Address(0x0A000001 + number), IPv4Address(0xCB007101)
        if version == 6:
            ends = IPv6Address((0x20010DB8 << 96) + number + 2), IPv6Address((0x20010DB8 << 96) + 1)
        there, back = Tuple(*ends, 17, 1000, 53), Tuple(ends[1], ends[0], 17, 53, 1000)
        what = encode_tuple(CTA_TUPLE_ORIG, there) + encode_tuple(CTA_TUPLE_REPLY, back) + u32(CTA_MARK, mark)
        what += u32(CTA_TIMEOUT, 600) + u32(CTA_STATUS, SEEN | ASSURED | CONFIRMED)
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        netfilter.execute(CTNETLINK | CT_NEW, body(what, family=family), NLM_F_CREATE | NLM_F_EXCL)


def marks(netfilter: Netfilter) -> Counter[int]:
    return Counter(flow.mark for flow in Conntrack(netfilter).flows())


def test_connections_of_rules_that_inspect_get_the_flag_of_their_profile_again(netfilter: Netfilter) -> None:
    put(netfilter, 3, STAMP | 1)
    put(netfilter, 4, STAMP | 2, version=6)
    put(netfilter, 5, STAMP | 3, first=100)
    pair = 0x00C00000
    put(netfilter, 2, STAMP | pair | 1, first=200)
    assert list(recall(netfilter, BUNDLE))[-1] == 9
    assert marks(netfilter) == {
        STAMP | 1 | FLAG_QUEUE_CLOSED: 3,
        STAMP | 2 | FLAG_QUEUE_OPEN: 4,
        STAMP | 3: 5,
        STAMP | pair | 1 | FLAG_QUEUE_CLOSED: 2,
    }


def test_what_was_never_handed_back_or_belongs_to_another_generation_is_left_alone(netfilter: Netfilter) -> None:
    others = {STAMP | 1 | FLAG_QUEUE_CLOSED: 2, generation_mark(GENERATION + 1) | 1: 2, 1: 2, 0: 2}
    for number, (mark, count) in enumerate(others.items()):
        put(netfilter, count, mark, first=10 * number)
    assert set(recall(netfilter, BUNDLE)) <= {0}
    assert marks(netfilter) == others


def test_no_more_are_changed_between_two_breaths_than_is_said(netfilter: Netfilter) -> None:
    put(netfilter, 2 * AT_ONCE + 7, STAMP | 1)
    steps = list(recall(netfilter, BUNDLE))
    assert steps[-1] == 2 * AT_ONCE + 7
    assert max(after - before for before, after in zip([0, *steps], steps, strict=False)) <= AT_ONCE
    assert marks(netfilter) == {STAMP | 1 | FLAG_QUEUE_CLOSED: 2 * AT_ONCE + 7}


def test_a_kernel_that_queues_nothing_recalls_nothing(netfilter: Netfilter) -> None:
    put(netfilter, 2, STAMP | 1)
    without = msgspec.structs.replace(BUNDLE, requires=())
    assert flags_of(without) == {}
    assert list(recall(netfilter, without)) == []
    assert marks(netfilter) == {STAMP | 1: 2}


def test_another_generation_ends_a_recall_and_others_are_answered_meanwhile() -> None:
    with Wire(raw=False) as wire:
        wire.run("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }")
        wire.run("nft", "add rule inet t c ct state new counter")
        with wire.inside():
            with Netfilter() as made:
                put(made, 3 * AT_ONCE, STAMP | 1)
            running: list[Bundle | None] = [BUNDLE]
            settled: list[bool] = []
            recaller = Recaller(lambda: running[0], lambda: settled.append(True), lambda _: None)

            async def both() -> int:
                going = asyncio.create_task(recaller.answer())
                for _ in range(4):  # it is at work, and gives way
                    await asyncio.sleep(0)
                assert not going.done()
                running[0] = None
                return (await going).flows

            assert asyncio.run(both()) < 3 * AT_ONCE
            running[0] = BUNDLE
            settled.clear()
            asyncio.run(recaller.answer())
            assert settled == [True]
            with Netfilter() as made:
                assert all(mark & FLAGS_QUEUE for mark in marks(made))
