"""One packet followed through the kernel: nftables' own trace, from a table that lives only for it.

The table belongs to this process's netlink socket (`flags owner`), so the kernel takes it away when the process dies,
however it dies. It marks packets of one narrow description for tracing, a few at most, and is gone after the first
one or when the time is over. What the kernel then says, chain by chain, is read here: the verdict, the rule, and the
packet as it left. A probe is dropped behind the last decision, before its connection is entered anywhere.
"""

from __future__ import annotations

import asyncio
import errno
import struct
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from appliance.control.kernel.conntrack import Conntrack, Tuple
from appliance.control.kernel.netlink import attribute_map, text
from appliance.control.kernel.nfnetlink import NFTABLES, Netfilter
from appliance.control.messages.why import MOST_PROBE_SECONDS, MOST_SECONDS, Trace, Traced, Tracing
from appliance.policy.boxes import PORT_PROTOCOLS, icmp_protocol
from appliance.policy.compiling.bundle import INDICATORS_TABLE, MARK_RULE, QUARANTINE_TABLE, RuleInfo
from appliance.policy.logprefix import DEFAULT_RULE, INDICATOR, QUARANTINE
from ctypes_ext.nftables import Nftables, NftablesError

TABLE = "reef_trace"
GROUP_NFTRACE = 9
MSG_TRACE = 17
_SETTLED = 0.3  # seconds without a further event after which a packet has come to its end
_WAITING = 4  # who wait for one trail at most: policyd has few connections here, and others need them
_EVENTS = 4000  # of one packet; a trail that is longer says no more
# linux/netfilter/nf_tables.h
_TABLE, _CHAIN, _HANDLE, _TYPE, _VERDICT, _ID, _NETWORK, _TRANSPORT = 1, 2, 3, 4, 5, 6, 8, 9
_IIF, _OIF, _MARK, _NFPROTO, _POLICY = 10, 12, 14, 15, 16
_TYPE_POLICY, _TYPE_RULE = 1, 3
_DROP, _ACCEPT, _QUEUE = 0, 1, 3
# Where packets are let go: before bans and connection tracking, and behind address translation.
_FIRST, _LAST = -400, 250
# What drops before the rules.
_BESIDE = {
    "reef_ban": "banned",
    INDICATORS_TABLE: INDICATOR,
    QUARANTINE_TABLE: QUARANTINE,
}
_NAT_CHAINS = frozenset({"prerouting_nat", "postrouting_nat"})
Address = IPv4Address | IPv6Address


class TraceRefused(Exception):
    """Nothing is traced; `code` and the words say why."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


class Header(msgspec.Struct, frozen=True):
    """What a packet says of itself in one hook."""

    version: int
    source: str
    destination: str
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0
    icmp_id: int = 0


class Event(msgspec.Struct, frozen=True):
    """One line of a trace. `verdict` is the kernel's code, negative for a jump, a return or the next rule."""

    id: int
    table: str
    chain: str
    verdict: int
    header: Header | None
    entering: int
    leaving: int
    mark: int


def parse_event(data: bytes) -> Event:
    """An event from nftables' attributes."""
    fields = attribute_map(data)
    kind = _number(fields.get(_TYPE))
    code = fields.get(_POLICY) if kind == _TYPE_POLICY else attribute_map(fields.get(_VERDICT, b"")).get(1)
    return Event(
        id=_number(fields.get(_ID)),
        table=text(fields.get(_TABLE, b"")),
        chain=text(fields.get(_CHAIN, b"")),
        verdict=_plain(struct.unpack("!i", code)[0]) if code and len(code) == 4 else -1,
        header=_header(fields.get(_NETWORK, b""), fields.get(_TRANSPORT, b"")),
        entering=_number(fields.get(_IIF)),
        leaving=_number(fields.get(_OIF)),
        mark=_number(fields.get(_MARK)),
    )


def _plain(code: int) -> int:
    """A verdict without the number of its queue or of its error, which stand above it (NF_VERDICT_MASK)."""
    return code if -16 <= code < 0 else code & 0xFF


def _header(network: bytes, transport: bytes) -> Header | None:
    if len(network) >= 20 and network[0] >> 4 == 4:
        version, protocol = 4, network[9]
        source, destination = network[12:16], network[16:20]
    elif len(network) >= 40 and network[0] >> 4 == 6:
        version, protocol = 6, network[6]
        source, destination = network[8:24], network[24:40]
    else:
        return None
    header = Header(version, str(ip_address(source)), str(ip_address(destination)), protocol)
    if protocol in PORT_PROTOCOLS and len(transport) >= 4:
        ports = struct.unpack_from("!HH", transport)
        return msgspec.structs.replace(header, source_port=ports[0], destination_port=ports[1])
    if protocol == icmp_protocol(version) and len(transport) >= 2:
        number = int.from_bytes(transport[4:6], "big")
        return msgspec.structs.replace(header, icmp_type=transport[0], icmp_code=transport[1], icmp_id=number)
    return header


def _number(payload: bytes | None) -> int:
    return int.from_bytes(payload, "big") if payload else 0


def table(asked: Trace) -> str:
    """The table that marks what is asked for, as nft commands. Raises `TraceRefused`."""
    family = "ip" if asked.version == 4 else "ip6"
    try:
        ends = ip_address(asked.source), ip_address(asked.destination)
    except ValueError as error:
        raise TraceRefused("bad-address", str(error)) from error
    # A scope id may hold anything, nftables' own words too.
    scoped = "%" in asked.source + asked.destination
    if scoped or {each.version for each in ends} != {asked.version} or not 0 <= asked.protocol <= 255:
        raise TraceRefused("bad-request", "addresses and protocol of the packet do not fit together")
    match = [f"{family} saddr {ends[0]} {family} daddr {ends[1]} meta l4proto {asked.protocol}"]
    if asked.protocol in PORT_PROTOCOLS:
        match += [f"th sport {asked.source_port & 0xFFFF}"] if asked.source_port >= 0 else []
        match += [f"th dport {asked.destination_port & 0xFFFF}"] if asked.destination_port >= 0 else []
    elif asked.protocol == icmp_protocol(asked.version) and asked.icmp_type >= 0:
        kind = "icmp" if asked.version == 4 else "icmpv6"
        match.append(f"{kind} type {asked.icmp_type & 0xFF}")
        if asked.icmp_type in (8, 128) and asked.source_port >= 0:
            match.append(f"{kind} id {asked.source_port & 0xFFFF}")
    words = " ".join(match)
    where, entering = "output", ""
    if asked.entering:
        if not all(letter.isalnum() or letter in "._-@+" for letter in asked.entering):
            raise TraceRefused("bad-interface", f"{asked.entering!r} is no interface")
        where, entering = "prerouting", f'iifname "{asked.entering}" '
    few = "" if asked.probe else "limit rate 1/second burst 3 packets "
    chains = [_chain("begins", where, _FIRST, [f"{entering}{words} {few}meta nftrace set 1"])]
    if asked.probe and not asked.deliver:
        chains += _kept(asked, family, words)
    body = "\n".join(chains)
    return f"table inet {TABLE} {{\n  flags owner;\n{body}\n}}\n"


def _chain(name: str, hook: str, priority: int, rules: Sequence[str]) -> str:
    lines = "\n".join(f"    {rule}" for rule in rules)
    return f"  chain {name} {{\n    type filter hook {hook} priority {priority}; policy accept;\n{lines}\n  }}"


def _kept(asked: Trace, family: str, words: str) -> list[str]:
    """What keeps a probe, and the gateway's refusal of it, from anybody's line. Its mark tells the rule."""
    began = f"ct original {family} saddr {asked.source} ct original {family} daddr {asked.destination}"
    began += f" meta l4proto {asked.protocol}"
    if asked.source_port >= 0 and asked.protocol in (*PORT_PROTOCOLS, 1, 58):
        began += f" ct original proto-src {asked.source_port}"
    ends = [f"{began} meta mark set ct mark", f"{began} drop", f"{words} drop"]
    chains = [_chain("delivered", "input", _LAST, ends), _chain("leaves", "postrouting", _LAST, ends)]
    refusals = []
    if asked.protocol == 6:
        refusals.append(f"{family} daddr {asked.source} tcp dport {asked.source_port} tcp flags & rst == rst drop")
    if asked.protocol in (6, 17):
        errors, inner = ("icmp type", 224) if asked.version == 4 else ("icmpv6 type", 384)
        refusals.append(
            f"{family} daddr {asked.source} {errors} destination-unreachable @th,{inner},16 {asked.source_port} drop"
        )
    if refusals:
        chains.append(_chain("refusals", "output", _LAST, refusals))
    return chains


class Tracer:
    """One trace at a time. `finished` is called whenever the table is gone again."""

    def __init__(self, conntrack: Conntrack, links: Callable[[], dict[int, str]]) -> None:
        self._conntrack = conntrack
        self._links = links
        self._number = 0
        self._asked: Trace | None = None
        self._events: list[Event] = []
        self._done = asyncio.Event()
        self._waiting = 0
        self._netfilter: Netfilter | None = None
        self._nft: Nftables | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._latest = 0.0  # by the loop's clock: then the table goes, whatever still comes
        self._traced: Traced | None = None
        self._rules: Mapping[int, RuleInfo] = {}

    def begin(self, asked: Trace, rules: Sequence[RuleInfo]) -> Tracing:
        """Have the kernel watch. Raises `TraceRefused`."""
        if self._netfilter is not None:
            raise TraceRefused("busy", "another trace runs; try again when it has ended")
        commands = table(asked)
        self._number += 1
        self._asked, self._events, self._traced = asked, [], None
        self._rules = {info.number: info for info in rules}
        self._done = asyncio.Event()
        self._netfilter = Netfilter((GROUP_NFTRACE,))
        self._nft = Nftables()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._netfilter.fileno(), self._read)
        most = MOST_PROBE_SECONDS if asked.probe else MOST_SECONDS
        self._latest = loop.time() + min(max(asked.seconds, 1), most)
        self._timer = loop.call_at(self._latest, self.end)
        try:
            self._nft.run(commands)
        except NftablesError as error:
            self.end()
            raise TraceRefused("kernel", f"the kernel does not trace: {error}") from error
        return Tracing(self._number)

    async def trail(self, number: int) -> Traced:
        """What became of the packet. Raises `TraceRefused` for another trace than the last."""
        if number != self._number or (self._asked is None and self._traced is None):
            raise TraceRefused("no-trace", f"trace {number} is over")
        if self._waiting >= _WAITING:
            raise TraceRefused("busy", f"{_WAITING} wait for that trace already")
        self._waiting += 1
        try:
            await self._done.wait()
        finally:
            self._waiting -= 1
        if number != self._number or self._traced is None:
            raise TraceRefused("no-trace", f"trace {number} is over")
        return self._traced

    def end(self) -> None:
        """Take the table away, and say what was seen."""
        if self._netfilter is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        asyncio.get_running_loop().remove_reader(self._netfilter.fileno())
        self._netfilter.close()
        self._netfilter = None
        # The socket that owns the table closes with its context, and the kernel takes the table away.
        self._nft = None
        self._traced = self._read_out()
        self._asked = None
        self._done.set()

    def _read(self) -> None:
        assert self._netfilter is not None and self._timer is not None and self._asked is not None
        try:
            waiting = self._netfilter.receive()
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            return
        known = len(self._events)
        for kind, _, data in waiting:
            if kind != NFTABLES | MSG_TRACE:
                continue
            event = parse_event(data)
            if self._events and event.id != self._events[0].id:
                continue
            if not self._events and not (event.table == TABLE and event.chain == "begins"):
                continue  # somebody else traces, too
            if len(self._events) < _EVENTS:
                self._events.append(event)
        if len(self._events) > known:  # what comes of other packets puts nothing off
            self._timer.cancel()
            # Nothing comes after a drop.
            left = 0.0 if any(event.verdict == _DROP for event in self._events) else _SETTLED
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(min(loop.time() + left, self._latest), self.end)

    def _read_out(self) -> Traced:
        if not self._events or self._asked is None:
            return Traced(seen=False)
        found = read_trail(self._events, self._rules, self._links())
        begun = self._events[0].header
        kept = self._asked.probe and not self._asked.deliver
        return found if kept or begun is None else self._connected(found, begun)

    def _connected(self, found: Traced, begun: Header) -> Traced:
        """What connection tracking knows of a packet that went on: its translation, and who decided when it began."""
        wanted = _tuple_of(begun)
        known = self._conntrack.lookup(wanted) if found.verdict == "allow" else None
        if known is None:
            return found
        first, answers = known.original, known.reply
        origin = (str(first.source), first.source_port, str(first.destination), first.destination_port)
        info = self._rules.get(known.mark & MARK_RULE)
        ported = first.protocol in PORT_PROTOCOLS
        return msgspec.structs.replace(
            found,
            rule=info.id if info is not None else found.rule,
            origin=origin if wanted != first else None,
            leaves_from=str(answers.destination),
            leaves_to=str(answers.source),
            leaves_to_port=answers.source_port if ported else 0,
        )


def _tuple_of(begun: Header) -> Tuple:
    source, destination = ip_address(begun.source), ip_address(begun.destination)
    if begun.protocol == icmp_protocol(begun.version):
        return Tuple(source, destination, begun.protocol, begun.icmp_id, begun.icmp_type << 8 | begun.icmp_code)
    return Tuple(source, destination, begun.protocol, begun.source_port, begun.destination_port)


def read_trail(events: Sequence[Event], rules: Mapping[int, RuleInfo], links: Mapping[int, str]) -> Traced:
    """What one packet's events say. Pure."""
    first = events[0]
    if first.header is None:  # the kernel says every hook's first event with the packet's headers
        return Traced(seen=False)
    begun = first.header
    verdict, rule = _verdict(events, rules)
    leaving = next((event.leaving for event in reversed(events) if event.leaving), 0)
    last = next(
        (event.header for event in events if event.header and event.table == TABLE and event.chain != "begins"), None
    )
    filtered = next(
        (
            event.header
            for event in reversed(events)
            if event.header and event.chain in ("forward", "input", "output")
        ),
        None,
    )
    went = last or filtered or begun
    allowed = verdict == "allow"
    names = dict.fromkeys(event.chain for event in events if event.table == "reef" and event.chain)
    tried = dict.fromkeys(found for name in names if (found := _rule_of(name)))
    return Traced(
        seen=True,
        entering=links.get(first.entering, "") if first.entering else "",
        leaving=links.get(leaving, ""),
        version=begun.version,
        source=begun.source,
        destination=begun.destination,
        protocol=begun.protocol,
        source_port=begun.source_port,
        destination_port=begun.destination_port,
        icmp_type=begun.icmp_type,
        icmp_code=begun.icmp_code,
        verdict=verdict,
        rule=rule,
        # Only behind source NAT is it known what the packet leaves from.
        leaves_from=last.source if allowed and last is not None else "",
        leaves_to=went.destination,
        leaves_to_port=went.destination_port,
        path=tuple(names),
        skipped=tuple(name for name in tried if name != rule),
    )


def _verdict(events: Sequence[Event], rules: Mapping[int, RuleInfo]) -> tuple[str, str]:
    """The verdict and the rule. Of what is accepted the connection's mark tells the rule, where it shows."""
    named = ""
    verdict = ""
    for event in events:
        if event.table not in ("reef", TABLE) and event.verdict == _DROP:
            return "deny", _BESIDE.get(event.table) or f"other {event.table} {event.chain}"
        if event.table == TABLE and event.chain != "begins" and event.mark:
            info = rules.get(event.mark & MARK_RULE)
            named = info.id if info is not None else named
        if event.table != "reef" or event.chain in _NAT_CHAINS:
            continue
        named = _rule_of(event.chain) or named
        if event.verdict in (_ACCEPT, _QUEUE):
            verdict = "allow"
        elif event.verdict == _DROP:
            verdict = "reject" if event.chain == "rejected" else "deny"
    if verdict == "allow" and not any(event.chain in ("accepted", "accepted_again", "inspected") for event in events):
        # Rules that were tried and did not hold name nothing: the mark alone does.
        marks = [event.mark & MARK_RULE for event in events if event.table == TABLE and event.mark]
        named = rules[marks[-1]].id if marks and marks[-1] in rules else ""
    return verdict, named


def _rule_of(chain: str) -> str:
    """The rule that a chain decides for: of `r_R-7/1` it is R-7."""
    stem = chain.partition("/")[0]
    if stem.startswith("r_"):
        return stem.removeprefix("r_")
    if stem.startswith("spoof_"):
        return "antispoofing"
    return {"default_deny": DEFAULT_RULE, "invalid": "invalid"}.get(stem, "")


def clear() -> None:
    """Take away what an earlier process may have left: a kernel that knows no owners keeps tables."""
    Nftables().run(f"table inet {TABLE}\ndelete table inet {TABLE}\n")
