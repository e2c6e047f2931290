"""Two other ways to say what a policy decides, which share nothing with the box algebra: an SMT solver (Z3) and
binary decision diagrams (CUDD). Both are written from `decide.py`, rule by rule; neither knows boxes.

A packet is version, zones, addresses, protocol, ports, ICMP type and code, a person, a moment, and one boolean for
each DNS name on each side and for each limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dd.cudd
import z3

from appliance.policy.boxes import ICMP, ICMPV6, PORT_PROTOCOLS
from appliance.policy.model import ANY, GATEWAY, AddressSet, Policy, Range, Rule, ServiceEntry
from appliance.policy.schedule import HORIZON_DAYS, windows

DEFAULT = "default"


class Words:
    """The numbers of zones and people of some policies."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        policies = list(policies)
        names = [zone.name for policy in policies for zone in policy.zones.values() if zone.interfaces]
        self.zones = [GATEWAY, *dict.fromkeys(names)]
        dynamics = [item for policy in policies for item in policy.dynamics.values() if item.kind != "dns"]
        self.people = ["", *dict.fromkeys(name for item in dynamics for name in item.names)]

    def zone_numbers(self, names: Iterable[str]) -> list[int]:
        found = {self.zones.index(name) for name in names if name in self.zones}
        if ANY in names:
            found.update(range(1, len(self.zones)))
        return sorted(found)

    def people_numbers(self, stems: Iterable[str], policy: Policy) -> list[int]:
        return sorted({self.people.index(name) for stem in stems for name in policy.dynamics[stem].names})


class Smt:
    """First match as formulas over bit vectors."""

    def __init__(self, policies: Iterable[Policy], now: int) -> None:
        self.words = Words(policies)
        self.now = now
        self.six = z3.Bool("six")
        self.source, self.destination = z3.BitVec("source", 128), z3.BitVec("destination", 128)
        self.zone = [z3.BitVec("from", 9), z3.BitVec("to", 9)]
        self.protocol, self.person = z3.BitVec("protocol", 8), z3.BitVec("person", 16)
        self.port, self.source_port = z3.BitVec("port", 16), z3.BitVec("source port", 16)
        self.kind, self.code = z3.BitVec("type", 8), z3.BitVec("code", 8)
        self.second = z3.BitVec("second", 32)
        small = [z3.ULT(value, 1 << 32) for value in (self.source, self.destination)]
        self.packet = z3.And(
            z3.Or(self.six, z3.And(*small)),
            z3.Or(self.zone[0] != 0, self.zone[1] != 0),
            *(z3.ULT(zone, len(self.words.zones)) for zone in self.zone),
            z3.ULT(self.person, len(self.words.people)),
            z3.ULE(self.second, HORIZON_DAYS * 86400),
        )

    def rule(self, rule: Rule, policy: Policy) -> Any:
        """Whether a rule holds."""
        parts = [
            z3.Or(*(zone == number for number in self.words.zone_numbers(names)))
            for zone, names in zip(self.zone, (rule.sources, rule.destinations), strict=True)
        ]
        parts += [
            self._address("source", self.source, rule.source),
            self._address("destination", self.destination, rule.destination),
            z3.Or(*(self._service(entry) for entry in rule.services)),
        ]
        if rule.people:
            people = self.words.people_numbers(rule.people, policy)
            parts.append(z3.Or(*(self.person == number for number in people)))
        if rule.when:
            on = windows(policy.schedules[rule.when], self.now, self.now + HORIZON_DAYS * 86400 + 1)
            parts.append(z3.Or(*(self._between(self.second, a - self.now, b - self.now - 1) for a, b in on)))
        if rule.expires_at:
            parts.append(z3.ULT(self.second, max(rule.expires_at - self.now, 0)))
        if rule.rate or rule.connections:
            parts.append(z3.Not(z3.Bool(f"over {rule.id} {rule.rate} {rule.connections}")))
        return z3.And(*parts)

    @staticmethod
    def _between(value: Any, first: int, last: int) -> Any:
        return z3.And(z3.UGE(value, first), z3.ULE(value, last))

    def _address(self, side: str, value: Any, where: AddressSet) -> Any:
        parts = [
            z3.And(self.six if part.version == 6 else z3.Not(self.six), self._between(value, part.first, part.last))
            for part in where.ranges
        ]
        return z3.Or(*parts, *(z3.Bool(f"{side} {name}") for name in where.dynamic))

    def _service(self, entry: ServiceEntry) -> Any:
        if entry.protocol is None:
            return z3.BoolVal(True)
        parts = [self.protocol == entry.protocol]
        if entry.protocol in PORT_PROTOCOLS:
            parts += [self._between(self.port, *entry.ports), self._between(self.source_port, *entry.source_ports)]
        elif entry.protocol in (ICMP, ICMPV6):
            parts += [self.six == (entry.protocol == ICMPV6), self._between(self.kind, *entry.icmp)]
            if entry.code is not None:
                parts.append(self.code == entry.code)
        return z3.And(*parts)

    def possible(self, *formulas: Any) -> bool:
        solver = z3.Solver()
        solver.add(self.packet, *formulas)
        return bool(solver.check() == z3.sat)

    def reached(self, policy: Policy) -> list[str]:
        """The rules that decide some packet, asked one after the other of one solver."""
        solver = z3.Solver()
        solver.add(self.packet)
        found = []
        for rule in policy.rules:
            if not rule.enabled:
                continue
            holds = self.rule(rule, policy)
            solver.push()
            solver.add(holds)
            if solver.check() == z3.sat:
                found.append(rule.id)
            solver.pop()
            solver.add(z3.Not(holds))
        return found

    def action_is(self, policy: Policy, action: str, without: str = "") -> Any:
        """Whether a policy does `action`."""
        answer: Any = z3.BoolVal(action == "deny")
        for rule in reversed(policy.rules):
            if rule.enabled and rule.id != without:
                answer = z3.If(self.rule(rule, policy), z3.BoolVal(rule.action == action), answer)
        return answer

    def decides(self, policy: Policy, rule_id: str) -> Any:
        """Whether a packet is decided by a rule."""
        above: list[Any] = []
        for rule in policy.rules:
            if rule.id == rule_id:
                return z3.And(self.rule(rule, policy), *(z3.Not(item) for item in above))
            if rule.enabled:
                above.append(self.rule(rule, policy))
        raise KeyError(rule_id)


class Diagrams:
    """First match as binary decision diagrams, of policies without schedules and expiries."""

    WIDTHS = (
        ("from", 9), ("to", 9), ("six", 1), ("protocol", 8), ("port", 16), ("source port", 16), ("person", 10),
        ("destination", 128), ("source", 128),
    )  # fmt: skip

    def __init__(self, policies: Iterable[Policy]) -> None:
        policies = list(policies)
        self.words = Words(policies)
        self.bdd = dd.cudd.BDD()
        self.bdd.configure(reordering=False)
        for name, width in self.WIDTHS:
            for bit in range(width):
                self.bdd.declare(f"{name} {bit}")
        atoms = {atom for policy in policies for rule in policy.rules for atom in self._atoms(rule)}
        for atom in sorted(atoms):
            self.bdd.declare(atom)
        self._known: dict[tuple[str, int, int], Any] = {}
        people, zones = len(self.words.people), len(self.words.zones)
        self.packet = (
            self.between("person", 0, people - 1)
            & self.between("from", 0, zones - 1)
            & self.between("to", 0, zones - 1)
            & ~(self.between("from", 0, 0) & self.between("to", 0, 0))
            & (self.between("six", 1, 1) | self.between("source", 0, 2**32 - 1))
            & (self.between("six", 1, 1) | self.between("destination", 0, 2**32 - 1))
        )

    @staticmethod
    def _atoms(rule: Rule) -> list[str]:
        found = [f"source {name}" for name in rule.source.dynamic]
        found += [f"destination {name}" for name in rule.destination.dynamic]
        return found + ([f"over {rule.id}"] if rule.rate or rule.connections else [])

    def between(self, name: str, first: int, last: int) -> Any:
        """first <= value <= last, most significant bit first."""
        found = self._known.get((name, first, last))
        if found is None:
            width = dict(self.WIDTHS)[name]
            found = self._at_least(name, first, width) & ~self._at_least(name, last + 1, width)
            self._known[name, first, last] = found
        return found

    def _at_least(self, name: str, bound: int, width: int) -> Any:
        if bound >> width:
            return self.bdd.false
        found = self.bdd.true
        for bit in range(width):  # the least significant one first
            variable = self.bdd.var(f"{name} {width - 1 - bit}")
            found = variable & found if bound >> bit & 1 else variable | found
        return found

    def any_of(self, parts: Iterable[Any]) -> Any:
        found = self.bdd.false
        for part in parts:
            found |= part
        return found

    def rule(self, rule: Rule, policy: Policy) -> Any:
        """Whether a rule holds."""
        found = self.any_of(self.between("from", n, n) for n in self.words.zone_numbers(rule.sources))
        found &= self.any_of(self.between("to", n, n) for n in self.words.zone_numbers(rule.destinations))
        found &= self.any_of(self._service(entry) for entry in rule.services)
        if rule.people:
            people = self.words.people_numbers(rule.people, policy)
            found &= self.any_of(self.between("person", n, n) for n in people)
        if rule.rate or rule.connections:
            found &= ~self.bdd.var(f"over {rule.id}")
        return found & self._address("source", rule.source) & self._address("destination", rule.destination)

    def _address(self, side: str, where: AddressSet) -> Any:
        parts = [self._range(side, part) for part in where.ranges]
        return self.any_of([*parts, *(self.bdd.var(f"{side} {name}") for name in where.dynamic)])

    def _range(self, side: str, part: Range) -> Any:
        six = int(part.version == 6)
        return self.between("six", six, six) & self.between(side, part.first, part.last)

    def _service(self, entry: ServiceEntry) -> Any:
        if entry.protocol is None:
            return self.bdd.true
        found = self.between("protocol", entry.protocol, entry.protocol)
        if entry.protocol in PORT_PROTOCOLS:
            return found & self.between("port", *entry.ports) & self.between("source port", *entry.source_ports)
        if entry.protocol in (ICMP, ICMPV6):
            six = int(entry.protocol == ICMPV6)
            kinds = (
                self.between("port", kind << 8 | (entry.code or 0), kind << 8 | (entry.code or 0))
                if entry.code is not None
                else self.between("port", kind << 8, kind << 8 | 255)
                for kind in range(entry.icmp[0], entry.icmp[1] + 1)
            )
            return found & self.between("six", six, six) & self.any_of(kinds)
        return found

    def reached(self, policy: Policy) -> list[str]:
        """The rules that decide some packet."""
        left, found = self.packet, []
        for rule in policy.rules:
            if not rule.enabled:
                continue
            holds = self.rule(rule, policy)
            if left & holds != self.bdd.false:
                found.append(rule.id)
            left &= ~holds
        return found

    def allowed(self, policy: Policy) -> Any:
        """The packets that a policy allows."""
        found = self.bdd.false
        for rule in reversed(policy.rules):
            if rule.enabled:
                holds = self.rule(rule, policy)
                found = found | holds if rule.action == "allow" else found & ~holds
        return found & self.packet
