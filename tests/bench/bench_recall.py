"""Recall: 100,000 connections that inspection handed back get their queue flag again, beside one message for each."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

from appliance.control.kernel.conntrack import (
    CT_NEW,
    CTA_MARK,
    CTA_MARK_MASK,
    CTA_STATUS,
    CTA_TIMEOUT,
    CTA_TUPLE_ORIG,
    CTA_TUPLE_REPLY,
    Conntrack,
    Flow,
    Tuple,
    encode_tuple,
)
from appliance.control.kernel.netlink import NLM_F_ACK, NLM_F_CREATE, u32
from appliance.control.kernel.nfnetlink import CTNETLINK, Netfilter, body
from appliance.control.kernel.recall import recall
from appliance.policy.compiling.bundle import FLAG_QUEUE_CLOSED, FLAGS_QUEUE, Bundle, RuleInfo, generation_mark
from appliance.policy.compiling.ruleset import Ruleset
from appliance.policy.model import Profile
from ctypes_ext import sandbox
from ctypes_ext.nftables import Nftables
from tests.bench.table import Row

GENERATION = 3
SEEN, ASSURED, CONFIRMED = 1 << 1, 1 << 2, 1 << 3
# A namespace tracks connections once somebody asks for them.
TRACKING = "table inet t { chain c { type filter hook input priority 0; ct state new counter; }; }"


def main(*, quick: bool) -> list[Row]:
    count = 10_000 if quick else 100_000
    bundle = Bundle(
        site="bench",
        generation=GENERATION,
        parent=0,
        author="bench",
        reason="",
        created=0.0,
        text="",
        inherited={},
        ruleset=Ruleset(),
        rules=(RuleInfo("R-1", 1, "allow", inspect="p"),),
        profiles=(Profile("p"),),
        requires=("queue",),
    )
    with _namespace(), Netfilter() as netfilter:
        Nftables().run(TRACKING)
        _fill(netfilter, count)
        begun = last = time.perf_counter()
        longest = 0.0
        for _ in recall(netfilter, bundle):
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
        taken = time.perf_counter() - begun
        begun = time.perf_counter()
        flows = Conntrack(netfilter).flows()
        assert len(flows) == count and all(flow.mark & FLAG_QUEUE_CLOSED for flow in flows)
        for flow in flows:
            _one(netfilter, flow)
        plain = time.perf_counter() - begun
    beside = f"read, then one message each: {plain:.2f} s"
    return [
        Row(f"{count:,} connections recalled", f"{taken:.2f} s", beside, plain / taken),
        Row("longest time in which applyd answers nobody", f"{longest * 1e3:.1f} ms"),
    ]


def _one(netfilter: Netfilter, flow: Flow) -> None:
    what = encode_tuple(CTA_TUPLE_ORIG, flow.original) + u32(CTA_MARK, FLAG_QUEUE_CLOSED)
    message = body(what + u32(CTA_MARK_MASK, FLAGS_QUEUE), family=socket.AF_INET)
    netfilter.execute(CTNETLINK | CT_NEW, message, NLM_F_ACK)


def _fill(netfilter: Netfilter, count: int) -> None:
    mark = generation_mark(GENERATION) | 1
    for number in range(count):
        client, server = IPv4Address(0x0A000001 + number), IPv4Address(0xCB007101)
        what = encode_tuple(CTA_TUPLE_ORIG, Tuple(client, server, 17, 1000, 53))
        what += encode_tuple(CTA_TUPLE_REPLY, Tuple(server, client, 17, 53, 1000))
        what += u32(CTA_MARK, mark) + u32(CTA_TIMEOUT, 600) + u32(CTA_STATUS, SEEN | ASSURED | CONFIRMED)
        netfilter.execute(CTNETLINK | CT_NEW, body(what, family=socket.AF_INET), NLM_F_CREATE)


@contextlib.contextmanager
def _namespace() -> Iterator[None]:
    """A network namespace of this thread's own."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        sandbox.unshare(sandbox.CLONE_NEWNET)
        yield
    finally:
        sandbox.setns(home, sandbox.CLONE_NEWNET)
        os.close(home)
