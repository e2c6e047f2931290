"""Logged flows decided under two policies, in C (`reef/replay.h`). Every call into C releases the GIL."""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import msgspec

from ctypes_ext._replay import ffi, lib

Address = IPv4Address | IPv6Address
KINDS = ("denied", "allowed", "elsewhere", "refused", "another-rule")
ACTIONS = ("allow", "deny", "reject")
AXES = ("service", "source", "destination")
NO_ZONE = -1
BY_DEFAULT, SPOOFED, NO_RULE, NOT_BY_RULES = -1, -2, -3, -4


class ReplayError(Exception):
    """A policy or columns cannot be used; says which and why."""


class BadColumns(ReplayError):
    """The bytes are no columns of a flow log."""


class ChangeFound(msgspec.Struct, frozen=True):
    """Flows that are decided otherwise in the same way; zones and rules as numbers, see `reef/replay.h`."""

    kind: str
    from_zone: int
    to_zone: int
    to_zone_now: int
    rule: int
    rule_now: int
    action: str
    action_now: str
    protocol: int
    port: int
    source: Address
    destination: Address
    first: int
    last: int
    rows: int
    flows: int
    bytes: int
    packets: int


class DetailFound(msgspec.Struct, frozen=True):
    address: Address
    protocol: int
    port: int
    flows: int


class ReplaySum(msgspec.Struct, frozen=True):
    rows: int
    flows: int
    unsure: int
    unlike_log: int
    details_lost: int
    changes_lost: int
    changes: int


def _check(status: int, what: str) -> None:
    if status == lib.REEF_OK:
        return
    words = f"{what}: {ffi.string(lib.reef_status_text(status)).decode()}"
    raise BadColumns(words) if status == lib.REEF_FORMAT else ReplayError(words)


class LoweredPolicy:
    """A policy as the words of `appliance/policy/answering/classifier.py`. Belongs to one replay."""

    def __init__(self, words: array[int]) -> None:
        out = ffi.new("reef_policy **")
        status = lib.reef_policy_new(ffi.from_buffer("uint64_t[]", words), len(words), out)
        if status != lib.REEF_OK:
            raise ReplayError(f"policy: {ffi.string(lib.reef_status_text(status)).decode()}")
        self.c = ffi.gc(out[0], lib.reef_policy_free)


class Heads:
    """What a block names and in which runs its rows lie, without an address."""

    def __init__(self, data: bytes) -> None:
        out = ffi.new("reef_flow_heads **")
        _check(lib.reef_flow_heads_decode(data, len(data), out), "heads")
        self.c = ffi.gc(out[0], lib.reef_flow_heads_free)
        self.rows: int = self.c.rows
        # The names lie in one piece, each with its NUL.
        last = self.c.name[self.c.names - 1]
        length = last - self.c.name[0] + len(ffi.string(last))
        self.names = bytes(ffi.buffer(self.c.name[0], length)).decode(errors="replace").split("\0")


class Replay:
    """`running` and `candidate` decide what is fed; what differs is counted."""

    def __init__(self, running: LoweredPolicy, candidate: LoweredPolicy) -> None:
        self._policies = running, candidate  # the C side borrows them
        out = ffi.new("reef_replay **")
        seed = (secrets.randbits(64), secrets.randbits(64))
        _check(lib.reef_replay_new(running.c, candidate.c, seed, out), "replay")
        self._c = ffi.gc(out[0], lib.reef_replay_free)

    def wants(self, heads: Heads, zones: array[int]) -> bool:
        """Whether any flow of the block could be decided otherwise; `zones` of the block's names."""
        return bool(lib.reef_replay_wants(self._c, heads.c, ffi.from_buffer("int32_t[]", zones)))

    def feed(
        self, heads: Heads, body: bytes, addresses: bytes, zones: array[int], rules: array[int], *, everything: bool
    ) -> None:
        """Decide the rows of a block. `everything`: also where the policies are the same. Raises `ReplayError`."""
        out = ffi.new("reef_flow_body **")
        _check(lib.reef_flow_body_decode(heads.c, body, len(body), addresses, len(addresses), out), "columns")
        decoded = ffi.gc(out[0], lib.reef_flow_body_free)
        status = lib.reef_replay_rows(
            self._c,
            heads.c,
            decoded,
            ffi.from_buffer("int32_t[]", zones),
            ffi.from_buffer("int32_t[]", rules),
            everything,
        )
        ffi.release(decoded)
        if status == lib.REEF_NOMEM:
            raise ReplayError("the tables of a zone pair need more memory than a replay may take")
        _check(status, "replay")

    def sum(self) -> ReplaySum:
        s = ffi.new("reef_replay_sum *")
        lib.reef_replay_sum_up(self._c, s)
        return ReplaySum(
            s.rows, s.flows, s.unsure_flows, s.unlike_log_flows, s.details_lost, s.changes_lost, s.changes
        )

    def changes(self) -> list[ChangeFound]:
        return [self._change(lib.reef_replay_change(self._c, index)) for index in range(self.sum().changes)]

    def _change(self, c: Any) -> ChangeFound:
        return ChangeFound(
            kind=KINDS[c.kind],
            from_zone=getattr(c, "from"),
            to_zone=c.to,
            to_zone_now=c.to_now,
            rule=c.rule,
            rule_now=c.rule_now,
            action=ACTIONS[c.action],
            action_now=ACTIONS[c.action_now],
            protocol=c.protocol,
            port=c.port,
            source=_address(c.version, c.source),
            destination=_address(c.version, c.destination),
            first=c.first,
            last=c.last,
            rows=c.rows,
            flows=c.flows,
            bytes=c.bytes,
            packets=c.packets,
        )

    def details(self, change: int, axis: str, most: int) -> tuple[int, list[DetailFound]]:
        """How many services, sources or destinations a change has, and the `most` frequent of them."""
        out = ffi.new("reef_detail[]", most)
        count = int(lib.reef_replay_details(self._c, change, AXES.index(axis), out, most))
        return count, [
            DetailFound(_address(out[i].version, out[i].address), out[i].protocol, out[i].port, out[i].flows)
            for i in range(min(count, most))
        ]


def _address(version: int, field: Any) -> Address:
    make: Callable[[bytes], Address] = IPv4Address if version == 4 else IPv6Address
    return make(bytes(ffi.buffer(field))[: 4 if version == 4 else 16])
