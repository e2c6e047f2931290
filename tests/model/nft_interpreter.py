"""A small interpreter of the nftables subset that the compiler emits.

It reads a `Ruleset`'s own strings and runs packets through them as the kernel would: hooks in their order,
conntrack with mark, direction and address translation, verdict maps, jumps. Anything it does not know is an
error, so nothing that is emitted goes unread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network

from appliance.policy.compiling.ruleset import Chain, Ruleset, Set

Value = int | str
Interval = tuple[Value, Value]

SYMBOLS: dict[str, int] = {
    "tcp": 6,
    "udp": 17,
    "icmp": 1,
    "ipv6-icmp": 58,
    "ipv4": 2,
    "ipv6": 10,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "mld-listener-reduction": 132,
    "mld2-listener-report": 143,
}
WORDS = frozenset({"original", "reply", "new", "established", "related", "invalid", "untracked", "dnat", "exists"})
TOKEN = re.compile(r'"[^"]*"|@th,0,16|[{},]|[^\s{},"]+')
VERDICTS = frozenset({"accept", "drop", "return", "jump", "goto"})
EXPRESSIONS = sorted(
    (
        tuple(words.split())
        for words in (
            "ct original ip saddr", "ct original ip6 saddr", "ct reply ip saddr", "ct reply ip6 saddr",
            "ct original ip daddr", "ct original ip6 daddr", "ct original proto-src", "ct reply proto-src",
            "ct mark", "ct state", "ct direction", "ct status", "meta l4proto", "meta nfproto", "meta time",
            "meta mark",
            "iifname", "oifname", "iif", "oif", "ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr", "ip6 hoplimit",
            "udp dport", "th dport", "th sport", "icmp type", "icmp code", "icmpv6 type", "icmpv6 code", "@th,0,16",
            "fib saddr . iif oif",
        )
    ),
    key=len,
    reverse=True,
)  # fmt: skip


class UnknownStatement(Exception):
    """The ruleset holds something that this interpreter does not know."""


@dataclass
class Tuple5:
    source: int
    destination: int
    source_port: int
    destination_port: int


@dataclass
class Connection:
    """A conntrack entry: `reply` is what answers look like, so its source is the real destination."""

    version: int
    protocol: int
    original: Tuple5
    reply: Tuple5
    icmp: tuple[int, int] = (0, 0)
    mark: int = 0
    seen: bool = False  # a packet of it has passed: it is confirmed
    answered: bool = False


@dataclass
class Frame:
    """A packet on its way, as the expressions read it."""

    version: int
    protocol: int
    source: int
    destination: int
    source_port: int = 0
    destination_port: int = 0
    icmp: tuple[int, int] = (0, 0)
    hoplimit: int = 64
    iif: str = ""
    oif: str = ""
    state: str = "new"
    direction: str = "original"
    connection: Connection | None = None
    reverse: str = ""  # the interface that routing gives for the source
    mark: int = 0  # the packet's own


@dataclass
class Outcome:
    """`verdict` accept, drop or queue (with `bypass`); counters that rose; log prefixes written; a reject's words."""

    verdict: str = ""
    counters: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    reject: str = ""
    bypass: bool = False
    translation: tuple[str, int, tuple[int, int]] | None = None


@lru_cache(maxsize=100_000)
def interval(word: str) -> Interval:
    """A constant as the closed interval it stands for."""
    if word.startswith('"'):
        return word.strip('"'), word.strip('"')
    if word in SYMBOLS:
        return SYMBOLS[word], SYMBOLS[word]
    if word in WORDS:
        return word, word
    if "/" in word:
        network = ip_network(word)
        return int(network[0]), int(network[-1])
    if "-" in word:
        first, last = word.split("-")
        return interval(first)[0], interval(last)[1]
    if word.startswith("0x") or word.isdigit():
        return int(word, 0), int(word, 0)
    address = int(ip_address(word))
    return address, address


def within(value: Value, part: Interval) -> bool:
    first, last = part
    if isinstance(value, str) or isinstance(first, str) or isinstance(last, str):
        return value == first
    return first <= value <= last


class Machine:
    """A loaded ruleset. `members` are the elements of live sets; `over` the rules whose limit is exceeded."""

    def __init__(
        self,
        ruleset: Ruleset,
        *,
        now: int = 0,
        members: dict[str, list[str]] | None = None,
        over: frozenset[str] = frozenset(),
    ) -> None:
        self.ruleset = ruleset
        self.now = now
        self.over = over
        self.elements = {
            name: self._elements(declared, (members or {}).get(name, [])) for name, declared in ruleset.sets.items()
        }
        self.programs = {
            name: [TOKEN.findall(rule) for rule in chain.rules] for name, chain in ruleset.chains.items()
        }
        for chain in ruleset.chains.values():
            self._known_base(chain)

    @staticmethod
    def _known_base(chain: Chain) -> None:
        if chain.base and not re.fullmatch(
            r"type (filter|nat) hook (prerouting|input|forward|output|postrouting) "
            r"priority (raw|filter|dstnat|srcnat|-?\d+); policy (accept|drop);",
            chain.base,
        ):
            raise UnknownStatement(chain.base)

    @staticmethod
    def _elements(declared: Set, live: list[str]) -> list[tuple[tuple[Interval, ...], str]]:
        elements = dict.fromkeys(live, "") if declared.live else declared.elements
        parsed = [(tuple(interval(word) for word in key.split(" . ")), value) for key, value in elements.items()]
        if "interval" not in declared.flags and any(first != last for key, _ in parsed for first, last in key):
            raise UnknownStatement(f"an interval in a set of single values: {declared.key}")
        return parsed

    def run(self, base: str, frame: Frame) -> Outcome:
        """One base chain. The verdict is the chain's policy when no rule gives one."""
        outcome = Outcome()
        if base not in self.ruleset.chains:
            outcome.verdict = "accept"
            return outcome
        policy = "drop" if "policy drop" in self.ruleset.chains[base].base else "accept"
        verdict = self._chain(base, frame, outcome, 0)
        outcome.verdict = policy if verdict in ("", "return") else verdict
        return outcome

    def _chain(self, name: str, frame: Frame, outcome: Outcome, depth: int) -> str:
        if depth > 16:
            raise UnknownStatement(f"jumps deeper than 16 at {name}")
        for tokens in self.programs[name]:
            verdict = _Rule(self, name, tokens, frame, outcome).run()
            word, _, target = verdict.partition(" ")
            if word == "jump":
                inner = self._chain(target, frame, outcome, depth + 1)
                if inner not in ("", "return"):
                    return inner
            elif word == "goto":
                return self._chain(target, frame, outcome, depth)
            elif word:
                return word
        return ""


class _Rule:
    """One rule, read from left to right; a match that fails ends it."""

    def __init__(self, machine: Machine, chain: str, tokens: list[str], frame: Frame, outcome: Outcome) -> None:
        self.machine = machine
        self.chain = chain
        self.tokens = tokens
        self.frame = frame
        self.outcome = outcome
        self.at = 0

    def unknown(self) -> UnknownStatement:
        here = self.tokens[self.at : self.at + 3]
        return UnknownStatement(f"chain {self.chain}: {' '.join(self.tokens)!r} at {here}")

    def take(self, *words: str) -> bool:
        if tuple(self.tokens[self.at : self.at + len(words)]) == words:
            self.at += len(words)
            return True
        return False

    def word(self) -> str:
        if self.at >= len(self.tokens):
            raise self.unknown()
        self.at += 1
        return self.tokens[self.at - 1]

    def need(self, *words: str) -> None:
        if not self.take(*words):
            raise self.unknown()

    def run(self) -> str:
        while self.at < len(self.tokens):
            verdict = self.statement()
            if verdict is None:
                return ""
            if verdict:
                if self.at < len(self.tokens):
                    raise self.unknown()
                return verdict
        return ""

    def statement(self) -> str | None:
        """A verdict, "" to go on, or None when a match failed."""
        if self.tokens[self.at] in VERDICTS:
            return self.verdict()
        if self.take("counter", "name"):
            name = self.word()
            if name not in self.machine.ruleset.counters:
                raise UnknownStatement(f"counter {name} is not declared")
            self.outcome.counters.append(name)
            return ""
        if self.take("log", "prefix"):
            self.outcome.logs.append(self.word().strip('"'))
            self.need("group", "1")
            return ""
        if self.take("limit", "rate"):
            return self.limit(over=self.take("over"))
        if self.take("ct", "count"):
            over = self.take("over")
            self.word()
            return "" if self.exceeded() == over else None
        if self.take("add"):
            return self.metered()
        if self.take("ct", "mark", "set", "ct", "mark"):
            return self.set_mark()
        if self.take("meta", "mark", "set"):
            return self.set_packet_mark()
        if self.take("queue"):
            return self.queue()
        if self.take("reject", "with"):
            self.outcome.reject = " ".join(self.tokens[self.at :])
            if self.outcome.reject not in ("tcp reset", "icmpx admin-prohibited"):
                raise self.unknown()
            self.at = len(self.tokens)
            return "drop"
        if self.tokens[self.at] in ("dnat", "snat", "masquerade"):
            return self.translate()
        return self.match()

    def verdict(self) -> str:
        word = self.word()
        return f"{word} {self.word()}" if word in ("jump", "goto") else word

    def limit(self, *, over: bool) -> str | None:
        if not re.fullmatch(r"\d+/(second|minute|hour|day|week)", self.word()):
            raise self.unknown()
        self.need("burst")
        self.word()
        self.need("packets")
        return "" if self.exceeded() == over else None

    def metered(self) -> str | None:
        """`add @set { key limit … }`: the limit is kept per key; which are exceeded the test says."""
        name = self.word().removeprefix("@")
        if "dynamic" not in self.machine.ruleset.sets[name].flags:
            raise self.unknown()
        self.need("{")
        values = self.expression()
        result = None if values is None else self.statement()
        while not self.take("}"):
            self.at += 1
        return result

    def exceeded(self) -> bool:
        rule = self.chain.removeprefix("r_").split("/")[0]
        return rule in self.machine.over

    def set_mark(self) -> str | None:
        keep = int(self.word(), 0) if self.take("and") else 0xFFFFFFFF
        new = int(self.word(), 0) if self.take("or") else 0
        if self.frame.connection is None:
            return None
        self.frame.connection.mark = self.frame.connection.mark & keep | new
        return ""

    def set_packet_mark(self) -> str | None:
        if not self.take("ct", "mark"):
            self.frame.mark = int(self.word(), 0)
            return ""
        if self.frame.connection is None:
            return None
        self.frame.mark = self.frame.connection.mark
        return ""

    def queue(self) -> str:
        self.outcome.bypass = self.take("flags", "bypass")
        self.need("to")
        if self.word() != ("4-7" if self.outcome.bypass else "0-3"):
            raise self.unknown()
        return "queue"

    def translate(self) -> str:
        kind = self.word()
        address, ports = 0, (0, 0)
        if kind == "masquerade":
            if self.take("to"):
                first, last = interval(self.word().removeprefix(":"))
                ports = int(first), int(last)
        else:
            self.word()
            self.need("to")
            text = self.word()
            bracketed = re.fullmatch(r"\[([^]]*)\](?::([\d-]+))?", text)
            plain = bracketed or re.fullmatch(r"([\d.]+)(?::([\d-]+))?", text)
            if plain is None:
                raise self.unknown()
            address = int(ip_address(plain[1]))
            if plain[2]:
                first, last = interval(plain[2])
                ports = int(first), int(last)
        self.outcome.translation = (kind, address, ports)
        return "accept"

    def match(self) -> str | None:
        values = self.expression()
        if self.take("vmap"):
            return self.verdict_map(values)
        operator = self.word() if self.tokens[self.at] in ("==", "!=", ">=", "<") else "=="
        holds = self.compare(operator, values)
        return "" if values is not None and holds else None

    def verdict_map(self, values: tuple[Value, ...] | None) -> str | None:
        entries = self.entries()
        if values is None:
            return None
        found = [verdict for key, verdict in entries if all(map(within, values, key))]
        if len(found) > 1:
            raise UnknownStatement(f"{self.chain}: {values} is in more than one element of a map")
        return found[0] if found else None

    def entries(self) -> list[tuple[tuple[Interval, ...], str]]:
        if not self.take("{"):
            return self.machine.elements[self.word().removeprefix("@")]
        entries: list[tuple[tuple[Interval, ...], str]] = []
        while not self.take("}"):
            key = interval(self.word())
            self.need(":")
            entries.append(((key,), self.verdict()))
            self.take(",")
        return entries

    def compare(self, operator: str, values: tuple[Value, ...] | None) -> bool:
        listed: list[tuple[Interval, ...]]
        if self.take("{"):
            listed = []
            while not self.take("}"):
                listed.append((interval(self.word()),))
                self.take(",")
        elif self.tokens[self.at].startswith("@"):
            name = self.word().removeprefix("@")
            listed = [key for key, _ in self.machine.elements[name]]
        else:
            listed = [(interval(self.word()),)]
        if values is None:
            return False
        if operator in (">=", "<"):
            limit = listed[0][0][0]
            value = values[0]
            if isinstance(limit, str) or isinstance(value, str):
                raise self.unknown()
            return value >= limit if operator == ">=" else value < limit
        inside = any(all(map(within, values, key)) for key in listed)
        return inside == (operator == "==")

    def expression(self) -> tuple[Value, ...] | None:
        """The values of a concatenation; None where the packet has no such field (the kernel breaks off the rule)."""
        values: list[Value] = []
        lacking = False
        while True:
            value = self.field()
            if self.take("and"):
                word = self.word()
                mask = int(ip_address(word)) if ":" in word else int(word, 0)
                value = value & mask if isinstance(value, int) else None
            if value is None:
                lacking = True
            else:
                values.append(value)
            if not self.take("."):
                return None if lacking else tuple(values)

    def field(self) -> Value | None:
        for words in EXPRESSIONS:
            if self.take(*words):
                return self.read(words)
        raise self.unknown()

    def read(self, words: tuple[str, ...]) -> Value | None:
        frame = self.frame
        if words[0] == "ct":
            return self.read_connection(words)
        if words[0] in ("ip", "ip6"):
            if (words[0] == "ip") != (frame.version == 4):
                return None
            return {"saddr": frame.source, "daddr": frame.destination, "hoplimit": frame.hoplimit}[words[1]]
        if words[0] in ("icmp", "icmpv6"):
            if frame.protocol != {"icmp": 1, "icmpv6": 58}[words[0]]:
                return None
            return frame.icmp[0] if words[1] == "type" else frame.icmp[1]
        if words == ("udp", "dport"):
            return frame.destination_port if frame.protocol == 17 else None
        plain: dict[tuple[str, ...], Value | None] = {
            ("meta", "l4proto"): frame.protocol,
            ("meta", "mark"): frame.mark,
            ("meta", "nfproto"): 2 if frame.version == 4 else 10,
            ("meta", "time"): self.machine.now,
            ("iifname",): frame.iif or None,
            ("oifname",): frame.oif or None,
            ("iif",): frame.iif or None,
            ("oif",): frame.oif or None,
            ("th", "sport"): frame.source_port,
            ("th", "dport"): frame.destination_port,
            ("@th,0,16",): frame.icmp[0] * 256 + frame.icmp[1] if frame.protocol in (1, 58) else frame.source_port,
            ("fib", "saddr", ".", "iif", "oif"): "exists" if frame.reverse == frame.iif else "",
        }
        return plain[words]

    def read_connection(self, words: tuple[str, ...]) -> Value | None:
        frame, connection = self.frame, self.frame.connection
        if words == ("ct", "state"):
            return frame.state
        if connection is None:
            return None
        if words == ("ct", "mark"):
            return connection.mark
        if words == ("ct", "direction"):
            return frame.direction
        if words == ("ct", "status"):
            return "dnat" if connection.reply.source != connection.original.destination else ""
        side = connection.original if words[1] == "original" else connection.reply
        if words[2] in ("ip", "ip6"):
            if (words[2] == "ip") != (connection.version == 4):
                return None
            return side.source if words[3] == "saddr" else side.destination
        return side.source_port
