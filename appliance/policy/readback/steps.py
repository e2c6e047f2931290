"""Reading one rule as the kernel would, for every packet of a state at once: matches narrow the state or split it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from appliance.policy.readback import expressions as nft
from appliance.policy.readback import packets
from appliance.policy.readback.expressions import Expression, Verdict
from appliance.policy.readback.kernel import Element, KernelChain, KernelTable
from appliance.policy.readback.packets import EVERY, Interval, Place, Product, common, joined, narrowed
from appliance.policy.readback.registers import (
    Byte,
    Condition,
    Literals,
    Outcome,
    Value,
    among,
    compare,
    constant,
    masked,
    read_field,
)

NOTHING_SET: Literals = frozenset()
WORD = 4
FULL_MARK = 0xFFFFFFFF
MARK = ("ct", "mark")
TAG = ("meta", "mark")
# Fields of a `Place`.
_ENDS = {"iifname": 1, "iif": 1, "oifname": 2, "oif": 2}
_NAT_SAID = 0x3  # flags that only say what registers are given


class Deed(msgspec.Struct, frozen=True):
    """How a packet's way through a base chain ends. `mark` is (value, known bits) of the connection afterwards."""

    verdict: str  # accept, drop, reject, queue, dnat, snat, masquerade, redirect
    counters: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    mark: tuple[int, int] = (0, 0xFFFFFFFF)
    target: tuple[str, ...] = ()  # of a translation; the queues
    tag: tuple[int, int] | None = None  # the packet's own mark, as `mark`, where it was written


class State(msgspec.Struct):
    """A packet on its way: which ones it may be, under which conditions, and what was done."""

    product: Product = EVERY
    literals: Literals = NOTHING_SET
    mark: tuple[int, int] = (0, 0xFFFFFFFF)
    counters: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    registers: dict[int, Value] = {}
    verdict: Verdict | None = None
    deed: Deed | None = None
    tag: tuple[int, int] | None = None  # the packet's own mark; None where nothing is known of it


class Steps:
    """Reads the rules of one table. `own` is whether it may write packets' marks; `live` are the sets whose elements
    come and go while the table stays, `links` the numbers of interfaces; `unknown` collects what is met and not
    understood."""

    def __init__(
        self, table: KernelTable, live: frozenset[str], links: Mapping[str, int], *, own: bool = False
    ) -> None:
        self.table = table
        self._own = own
        self.live = live
        self.unknown: dict[str, None] = {}
        self._links = {"": 0, **links}
        self._place = Place("", "", "", 4)
        self._asked: set[int] = set()  # fields of the place that were asked for
        self._indices: dict[str, dict[bytes, Element]] = {}

    # --- rules --------------------------------------------------------------------------------------

    def ends(self, chain: KernelChain, number: int, state: State) -> list[State]:
        """Where one rule leads: the parts of `state` that it matches, each with its verdict. They are disjoint."""
        ends = [altered(state, state.product, state.literals)]
        for place, expression in enumerate(chain.rules[number]):
            following: list[State] = []
            for each in ends:
                if each.verdict is not None or each.deed is not None:
                    following.append(each)
                else:
                    following += self._step(chain, (number, place), expression, each)
            ends = following
            if not ends:
                break
        return ends

    def _step(
        self, chain: KernelChain, where: tuple[int, int], expression: Expression, state: State
    ) -> Iterator[State] | list[State]:
        match expression:
            case nft.Load():
                return self._load(expression, state)
            case nft.Compare():
                value = self._value(state, expression.register)
                return self._held(state, compare(value, expression.operator, expression.data, state.product))
            case nft.Between():
                return self._between(expression, state)
            case nft.Lookup():
                return self._lookup(chain, expression, state)
            case nft.Bitwise():
                value = self._value(state, expression.source)
                return self._put(state, expression.register, masked(value, expression.mask, expression.xor))
            case nft.Swap():
                value = self._value(state, expression.source)
                swapped = msgspec.structs.replace(value, little=not value.little)
                return self._put(state, expression.register, swapped)
            case nft.Immediate():
                return self._put(state, expression.register, constant(expression.data))
            case nft.Decide():
                state.verdict = expression.verdict
            case nft.Count():
                if expression.kind != "counter":
                    self.strange(chain.name, f"feeds an {expression.kind}")
                elif expression.name:
                    state.counters = (*state.counters, expression.name)
            case nft.Log():
                state.prefixes = (*state.prefixes, expression.prefix)
            case nft.Store():
                self._store(chain, expression, state)
            case nft.Limited():
                words = self._limit(chain, expression, state)
                return self._held(state, Outcome(state.product, words, expression.inverse))
            case nft.Remember() | nft.Offload():
                if isinstance(expression, nft.Remember) and expression.set not in self.live:
                    self.strange(chain.name, f"fills the set {expression.set}")
            case nft.Reject():
                state.deed = Deed("reject", state.counters, state.prefixes, state.mark)
            case nft.Queue():
                words = (f"{expression.first}+{expression.total}", "bypass" if expression.bypass else "")
                state.deed = Deed("queue", state.counters, state.prefixes, state.mark, words, state.tag)
            case nft.Translate():
                state.deed = self._translate(expression, state)
            case nft.Unknown():
                return self._unknown(chain, where, expression.words, state)
        return [state]

    def _unknown(self, chain: KernelChain, where: tuple[int, int], words: str, state: State) -> list[State]:
        """What is not understood may match or not; nothing is claimed of what comes behind it."""
        self.strange(chain.name, words)
        asked: Condition = ("something unknown", chain.name, *map(str, where))
        return self._held(state, Outcome(state.product, asked))

    def strange(self, chain: str, words: str) -> None:
        self.unknown[f"{self.table}, chain {chain}: {words}"] = None

    def _load(self, expression: nft.Load, state: State) -> list[State]:
        if expression.field[0] == "meta" and expression.field[1] in _ENDS:
            self._asked.add(_ENDS[expression.field[1]])
        if expression.field in (("meta", "iif"), ("meta", "oif")):
            name = self._place.entering if expression.field[1] == "iif" else self._place.leaving
            if name in self._links:
                return self._put(state, expression.register, constant(self._links[name].to_bytes(WORD, "little")))
        if expression.field == TAG and state.tag is not None:
            return self._put(state, expression.register, Value("mark", WORD, *state.tag, little=True))
        alternatives = read_field(
            expression.field, expression.length, self._place, state.mark, state.product[packets.PROTOCOL]
        )
        found: list[State] = []
        for protocols, value in alternatives or ():
            product: Product | None = state.product
            if protocols is not None:
                product = narrowed(state.product, packets.PROTOCOL, protocols)
            if product is not None:
                each = state if len(alternatives or ()) == 1 else altered(state, product, state.literals)
                each.product = product
                each.registers = {**state.registers, _slot(expression.register): value}
                found.append(each)
        return found

    def _value(self, state: State, register: int) -> Value:
        return state.registers.get(_slot(register), Value("asked", 4, words=("a register that nothing filled",)))

    @staticmethod
    def _put(state: State, register: int, value: Value) -> list[State]:
        state.registers = {**state.registers, _slot(register): value}
        return [state]

    @staticmethod
    def _held(state: State, outcome: Outcome) -> list[State]:
        """The state with what a match leaves of it."""
        if outcome.product is None:
            return []
        state.product = outcome.product
        if outcome.condition is not None:
            if (outcome.condition, not outcome.holds) in state.literals:
                return []
            state.literals = state.literals | {(outcome.condition, outcome.holds)}
        return [state]

    def _between(self, expression: nft.Between, state: State) -> list[State]:
        value = self._value(state, expression.register)
        if value.kind == "constant":
            data = value.data.to_bytes(value.width, "big")[: len(expression.first)]
            inside = expression.first <= data <= expression.last
            return [state] if inside != expression.inverse else []
        first, last = int.from_bytes(expression.first, "big"), int.from_bytes(expression.last, "big")
        intervals: tuple[Interval, ...] = ((first, last),)
        if expression.inverse:
            intervals = packets.without(intervals, (0, (1 << len(expression.first) * Byte) - 1))
        words = ("outside" if expression.inverse else "in", expression.first.hex(), expression.last.hex())
        return self._held(state, among(value, intervals, state.product, words))

    def _store(self, chain: KernelChain, expression: nft.Store, state: State) -> None:
        if expression.field == MARK:
            state.mark = _bits(self._value(state, expression.source))
        elif expression.field == TAG and self._own:
            state.tag = _bits(self._value(state, expression.source))
        elif expression.field != ("meta", "key 12"):  # nftrace: somebody watches
            self.strange(chain.name, f"writes {' '.join(expression.field)}")

    def _limit(self, chain: KernelChain, expression: nft.Limited, state: State) -> Condition:
        owner = chain.name.split("/")[0]
        per = ""
        if expression.keyed:
            value = self._value(state, expression.source)
            per = {packets.SOURCE: "source", packets.DESTINATION: "destination"}.get(value.axis, "?")
        return ("over the limit", owner, expression.words, per)

    def _translate(self, expression: nft.Translate, state: State) -> Deed:
        target: list[str] = []
        for pair in (expression.address, expression.port):
            if pair[0] >= 0:
                ends = [self._value(state, register) for register in pair]
                target.append("-".join(_said(end) for end in ends))
            else:
                target.append("")
        if expression.flags & ~_NAT_SAID:
            target.append(f"flags {expression.flags & ~_NAT_SAID:#x}")
        return Deed(expression.kind, state.counters, state.prefixes, state.mark, tuple(target))

    # --- sets and maps ------------------------------------------------------------------------------

    def _lookup(self, chain: KernelChain, expression: nft.Lookup, state: State) -> Iterator[State] | list[State]:
        held = self.table.sets.get(expression.set)
        if held is None:
            raise nft.Malformed(f"{self.table}: a look-up in the set {expression.set}, which is not there")
        values = self._keys(state, expression.source, held.key_length)
        if expression.set in self.live or (held.live and not held.verdicts):
            words: Condition = ("in the set", expression.set, *(_asked_of(value) for value in values))
            return self._held(state, Outcome(state.product, words, not expression.inverse))
        elements = held.elements
        if held.strange:
            return self._unknown(chain, (0, 0), held.strange, state)
        if expression.register < 0:
            return self._member(chain, expression, state, values, elements)
        return self._mapped(expression, state, values, elements)

    def _keys(self, state: State, register: int, length: int) -> list[Value]:
        """The fields of a key: each begins at a register of four bytes."""
        values: list[Value] = []
        slot, end = _slot(register), _slot(register) + -(-length // WORD)
        while slot < end:
            value = state.registers.get(slot, Value("asked", WORD, words=("a register that nothing filled",)))
            values.append(value)
            slot += max(1, -(-value.width // WORD))
        return values

    def _member(
        self, chain: KernelChain, expression: nft.Lookup, state: State, values: list[Value], elements: list[Element]
    ) -> Iterator[State] | list[State]:
        if len(values) == 1 and values[0].kind not in ("constant", "mark"):
            value = values[0]
            order = value.little
            numbers = joined([_numbers(each.first, each.last, little=order) for each in elements])
            if expression.inverse:
                numbers = packets.without(numbers, (0, (1 << value.width * Byte) - 1))
            words = ("not in" if expression.inverse else "in", expression.set)
            return self._held(state, among(value, numbers, state.product, words))
        found = list(self._matching(state, values, elements))
        if not expression.inverse:
            return [each for each, _ in found]
        if not found:
            return [state]
        if any(each.product == state.product and each.literals == state.literals for each, _ in found):
            return []
        return self._unknown(chain, (0, 0), f"everything outside the set {expression.set} of several fields", state)

    def _mapped(
        self, expression: nft.Lookup, state: State, values: list[Value], elements: list[Element]
    ) -> Iterator[State]:
        if all(value.kind == "constant" for value in values):
            elements = self._constant(expression.set, values, elements)
        for each, data in self._matching(state, values, elements):
            if isinstance(data, Verdict):
                each.verdict = data
            elif data is not None:
                each.registers = {**each.registers, _slot(expression.register): constant(data)}
            yield each

    def _constant(self, name: str, values: list[Value], elements: list[Element]) -> list[Element]:
        """The element of a map whose key is wholly known, where the map has no intervals."""
        index = self._indices.get(name)
        if index is None:
            index = self._indices[name] = {each.first: each for each in elements if each.first == each.last}
        if len(index) != len(elements):
            return elements
        key = b"".join(
            value.data.to_bytes(value.width, "big").ljust(-(-value.width // WORD) * WORD, b"\0") for value in values
        )
        found = index.get(key[: len(next(iter(index)))] if index else key)
        return [] if found is None else [found]

    def _matching(
        self, state: State, values: list[Value], elements: list[Element]
    ) -> Iterator[tuple[State, Verdict | bytes | None]]:
        """The part of the state for every element."""
        offsets: list[tuple[Value, int, int]] = []
        at = 0
        for value in values:
            offsets.append((value, at, at + value.width))
            at += -(-value.width // WORD) * WORD
        plain = all(
            value.kind == "axis" and value.mask == -1 and not value.shift and value.unit == 1 for value in values
        )
        base = state.product
        for element in elements:
            if plain:
                product = list(base)
                for value, begin, end in offsets:
                    interval = (
                        int.from_bytes(element.first[begin:end], "big"),
                        int.from_bytes(element.last[begin:end], "big"),
                    )
                    if product[value.axis] is None:
                        product[value.axis] = (interval,)
                    else:
                        product[value.axis] = common(product[value.axis], (interval,))
                        if not product[value.axis]:
                            break
                else:
                    yield altered(state, tuple(product), state.literals), element.data
                continue
            each: list[State] = [altered(state, base, state.literals)]
            for value, begin, end in offsets:
                each = self._part(each, value, element.first[begin:end], element.last[begin:end])
            for one in each:
                yield one, element.data

    def _part(self, states: list[State], value: Value, first: bytes, last: bytes) -> list[State]:
        found: list[State] = []
        for each in states:
            if first == last:
                outcome = compare(value, "==", first, each.product)
            elif value.kind in ("constant", "mark"):
                data = value.data.to_bytes(value.width, "big")
                outcome = Outcome(each.product if first <= data <= last else None)
            else:
                words = ("in", first.hex(), last.hex())
                outcome = among(value, (_numbers(first, last, little=value.little),), each.product, words)
            found += self._held(each, outcome)
        return found


def _slot(register: int) -> int:
    """The place of a register in words of four bytes: 1-4 are four words each, 8 and more one word each."""
    return register * WORD if register < 5 else register - WORD


def _numbers(first: bytes, last: bytes, *, little: bool) -> Interval:
    if little and first == last:
        number = int.from_bytes(first, "little")
        return number, number
    return int.from_bytes(first, "big"), int.from_bytes(last, "big")


def _asked_of(value: Value) -> str:
    names = {
        packets.SOURCE: "source",
        packets.DESTINATION: "destination",
        packets.KEY: "port",
        packets.ORIGINAL: "original",
    }
    if value.kind == "axis":
        return names.get(value.axis, str(value.axis))
    return " ".join(value.words) or value.kind


def _said(value: Value) -> str:
    return value.data.to_bytes(value.width, "big").hex() if value.kind == "constant" else _asked_of(value)


def altered(state: State, product: Product, literals: Literals) -> State:
    return State(product, literals, state.mark, state.counters, state.prefixes, state.registers, tag=state.tag)


def _bits(value: Value) -> tuple[int, int]:
    """What a register puts into a mark: its value, and the bits that are known of it."""
    if value.kind == "mark" or (value.kind == "constant" and value.width == WORD):
        data = value.data
        if value.kind == "constant" and not value.little:
            data = int.from_bytes(value.data.to_bytes(WORD, "big"), "little")
        return data & value.known & FULL_MARK, value.known & FULL_MARK
    return 0, 0
