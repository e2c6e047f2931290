"""Packets to inspection by the old NFQUEUE target, where the kernel's nftables cannot queue by itself.

A table of its own, behind the generation's filter and before the chain that reads what was judged: what carries the
flag of a queue in its mark goes there. libnftables cannot say the target, so the messages are made here. That an
absent table lets nothing pass uninspected, the generation sees to (`hooks.py`).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator

from appliance.control.kernel.netlink import (
    NLM_F_CREATE,
    DumpInterrupted,
    NetlinkError,
    attribute,
    attribute_map,
    nested,
    string,
    text,
    u32,
)
from appliance.control.kernel.nfnetlink import NFTABLES, Netfilter, Statement, body
from appliance.control.kernel.readback import MSG_GETCHAIN, MSG_GETRULE, MSG_GETTABLE
from appliance.policy.compiling.bundle import FLAG_QUEUE_CLOSED, FLAG_QUEUE_OPEN, QUEUES_CLOSED, QUEUES_OPEN
from appliance.policy.readback.kernel import Snapshot, read
from appliance.policy.readback.oldqueue import BYPASS, PRIORITY, REVISION, TABLE, TARGET, wrong

XT_QUEUE = "xt-queue"  # the capability
MSG_NEWTABLE, MSG_DELTABLE, MSG_NEWCHAIN, MSG_NEWRULE = 0, 2, 3, 6
_NLM_F_APPEND = 0x800
_HOOKS = {"input": 1, "forward": 2, "output": 3}
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS = 1, 2, 4
_ELEMENT, _NAME, _DATA = 1, 1, 2
_ACCEPT = 1
_META_MARK = 3
_DIFFERS = 1  # NFT_CMP_NEQ
_REGISTER = 1  # NFT_REG_1
_QUEUE_INFO = struct.Struct("=HHHH")  # xt_NFQ_info_v3: first queue, how many, flags; padded as the kernel wants it

Log = Callable[[str], None]


def statements() -> Iterator[Statement]:
    """The messages that make the table."""
    yield Statement(MSG_NEWTABLE, string(1, TABLE), NLM_F_CREATE)
    for name, hook in _HOOKS.items():
        place = nested(_CHAIN_HOOK, u32(_HOOK_NUMBER, hook), u32(_HOOK_PRIORITY, PRIORITY))
        chain = string(_CHAIN_TABLE, TABLE) + string(_CHAIN_NAME, name) + place
        chain += u32(_CHAIN_POLICY, _ACCEPT) + string(_CHAIN_TYPE, "filter")
        yield Statement(MSG_NEWCHAIN, chain, NLM_F_CREATE)
        for flag, queues, flags in ((FLAG_QUEUE_CLOSED, QUEUES_CLOSED, 0), (FLAG_QUEUE_OPEN, QUEUES_OPEN, BYPASS)):
            rule = string(_RULE_TABLE, TABLE) + string(_RULE_CHAIN, name)
            rule += nested(_RULE_EXPRESSIONS, *_flagged(flag), _target(queues, flags))
            yield Statement(MSG_NEWRULE, rule, NLM_F_CREATE | _NLM_F_APPEND)


def _flagged(flag: int) -> Iterator[bytes]:
    """The packet's mark has this flag."""
    yield _expression("meta", u32(1, _REGISTER), u32(2, _META_MARK))
    mask, zero = (nested(kind, attribute(1, value.to_bytes(4, "little"))) for kind, value in ((4, flag), (5, 0)))
    yield _expression("bitwise", u32(1, _REGISTER), u32(2, _REGISTER), u32(3, 4), mask, zero)
    yield _expression("cmp", u32(1, _REGISTER), u32(2, _DIFFERS), nested(3, attribute(1, bytes(4))))


def _target(queues: tuple[int, int], flags: int) -> bytes:
    first, last = queues
    info = _QUEUE_INFO.pack(first, last - first + 1, flags, 0)
    return _expression("target", string(1, TARGET), u32(2, REVISION), attribute(3, info))


def _expression(name: str, *parts: bytes) -> bytes:
    return nested(_ELEMENT, string(_NAME, name), nested(_DATA, *parts))


def missing(netfilter: Netfilter) -> str:
    """Why this kernel does not take such a table, "" where it does. Nothing is left behind."""
    try:
        netfilter.check(statements())
    except NetlinkError as error:
        return str(error)
    return ""


class XtQueue:
    """The table in the kernel."""

    def __init__(self, netfilter: Netfilter, log: Log) -> None:
        self._netfilter = netfilter
        self._log = log

    def ensure(self) -> bool:
        """Have the table as it must be; whether it was not. Raises `NetlinkError`.

        Nobody takes it away: that drops what is queued, and a packet without a flag in its mark does not stop there.
        """
        found = self._wrong()
        if not found:
            return False
        if found != _ABSENT:
            self._log(f"the table inet {TABLE} is made anew: {found}")
        # Adding what is there already makes nothing, so that the deletion never fails.
        fresh = [Statement(MSG_NEWTABLE, string(1, TABLE), NLM_F_CREATE), Statement(MSG_DELTABLE, string(1, TABLE))]
        self._netfilter.transact([*fresh, *statements()])
        return True

    def _wrong(self) -> str:
        """What is not as it must be, or ""."""
        named = body(string(1, TABLE))
        for _ in range(8):
            try:
                _, table = self._netfilter.get(NFTABLES | MSG_GETTABLE, named)
                header = named[:4]
                chains, rules = (
                    tuple(
                        header + data
                        for _, data in self._netfilter.dump(NFTABLES | kind, named)
                        if text(attribute_map(data).get(1, b"")) == TABLE
                    )
                    for kind in (MSG_GETCHAIN, MSG_GETRULE)
                )
            except DumpInterrupted:
                continue
            except NetlinkError as error:
                if error.errno != errno.ENOENT:
                    raise
                return _ABSENT
            held = read(Snapshot("", 0.0, 0, (header + table,), chains, rules, (), ()))
            return "; ".join(wrong(held["inet", TABLE]))
        raise NetlinkError(errno.EAGAIN, "the tables change faster than they can be read")


_ABSENT = "it is not there"
