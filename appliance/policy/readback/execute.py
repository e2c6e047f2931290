"""Reading a table as the kernel would, for every first packet at once.

A chain becomes a row of items: so many packets, under such conditions, meet this deed; or go on further down. Jumps,
verdict maps and maps of values are followed; what a chain does is found once for all who come to it alike.
"""

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

DEPTH = 24  # nested jumps; the kernel allows 16
ITEMS = 3_000_000  # of one place, before the reader gives up
NOTHING_SET: Literals = frozenset()
_WORD = 4
_FULL = 0xFFFFFFFF
_MARK = ("ct", "mark")
_NAT_SAID = 0x3  # flags that only say what registers are given
_DECISIONS = {nft.ACCEPT: "accept", nft.DROP: "drop"}


class TooMuch(Exception):
    """The table is too tangled to be followed: says where."""


class Deed(msgspec.Struct, frozen=True):
    """How a packet's way through a base chain ends. `mark` is (value, known bits) of the connection afterwards."""

    verdict: str  # accept, drop, reject, queue, dnat, snat, masquerade, redirect
    counters: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    mark: tuple[int, int] = (0, 0xFFFFFFFF)
    target: tuple[str, ...] = ()  # of a translation


class Item(msgspec.Struct, gc=False):
    """`deed` None: goes on `skip` items further instead."""

    product: Product
    literals: Literals
    deed: Deed | None
    skip: int = 0


class Block(msgspec.Struct):
    """What a chain does. `closed`: nothing comes out at its end; `loose` are the bits of the mark that may be others
    for what does."""

    items: list[Item]
    closed: bool
    loose: int = 0


class Way(msgspec.Struct):
    """A chain while it is read: its items, the places of those that leave it, the mark it was entered with."""

    mark: tuple[int, int]
    items: list[Item] = []
    places: list[int] = []
    loose: int = 0
    left: bool = False  # whether somebody comes out at its end

    def leave(self, product: Product, literals: Literals, mark: tuple[int, int]) -> None:
        self.places.append(len(self.items))
        self.items.append(Item(product, literals, None))
        self.out(mark)

    def out(self, mark: tuple[int, int]) -> None:
        self.left = True
        self.loose |= (mark[0] ^ self.mark[0]) & mark[1] | self.mark[1] & ~mark[1]


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


class Reader:
    """Reads the chains of one table. `live` are the sets whose elements come and go while the table stays, `links` the
    numbers of interfaces; `unknown` collects what is met and not understood."""

    def __init__(self, table: KernelTable, live: frozenset[str], links: Mapping[str, int]) -> None:
        self.table = table
        self.live = live
        self._links = {"": 0, **links}
        self.unknown: dict[str, None] = {}
        self._blocks: dict[object, Block] = {}
        self._asks: dict[str, frozenset[str]] = {}
        self._deeds: dict[object, Deed | None] = {}
        self._place = Place("", "", "", 4)
        self._indices: dict[str, dict[bytes, Element]] = {}

    def read(self, base: KernelChain, place: Place) -> list[Item]:
        """The items of a base chain at a place; its policy is the last. Raises `TooMuch`, `Malformed`."""
        self._place = place
        block = self.block(base.name, State(), 0)
        end = Deed("accept" if base.hook is not None and base.hook.policy else "drop")
        return block.items if block.closed else [*block.items, Item(EVERY, NOTHING_SET, end)]

    # --- chains -------------------------------------------------------------------------------------

    def block(self, name: str, state: State, depth: int) -> Block:
        """What chain `name` does with the packets of `state`."""
        if depth > DEPTH:
            raise TooMuch(f"{self.table}: jumps deeper than {DEPTH} at chain {name}")
        straight = self._straight(name, state)
        if straight is not None:
            return Block([Item(state.product, state.literals, straight)], closed=True)
        return self._kept(name, state, depth)

    def _straight(self, name: str, state: State) -> Deed | None:
        """What a chain does that asks a packet for nothing but its mark: most chains of rules. None for others."""
        key = (name, state.mark, state.counters, state.prefixes)
        if key in self._deeds:
            return self._deeds[key]
        self._deeds[key] = None  # while it is being found; a kernel has no loops
        chain = self.table.chains.get(name)
        found = None if chain is None else self._walk(chain, state)
        self._deeds[key] = found
        return found

    def _walk(self, chain: KernelChain, state: State) -> Deed | None:
        mark, counters, prefixes = state.mark, state.counters, state.prefixes
        for rule in chain.rules:
            value: tuple[int, int] | None = None
            for each in rule:
                if isinstance(each, nft.Count) and each.kind == "counter":
                    if each.name:
                        counters = (*counters, each.name)
                elif isinstance(each, nft.Load) and each.field == _MARK:
                    value = mark
                elif isinstance(each, nft.Bitwise) and value is not None and len(each.mask) == _WORD:
                    keep, turn = int.from_bytes(each.mask, "little"), int.from_bytes(each.xor, "little")
                    value = ((value[0] & keep) ^ turn, value[1] | ~keep & _FULL)
                elif isinstance(each, nft.Store) and value is not None and each.field == _MARK:
                    mark = (value[0] & value[1], value[1])
                elif isinstance(each, nft.Log):
                    prefixes = (*prefixes, each.prefix)
                elif isinstance(each, nft.Compare) and value is not None and len(each.data) == _WORD:
                    wanted = int.from_bytes(each.data, "little")
                    if value[1] != _FULL or each.operator not in ("==", "!="):
                        return None
                    if (value[0] == wanted) != (each.operator == "=="):
                        break
                elif isinstance(each, nft.Decide):
                    verdict = each.verdict
                    if verdict.code in _DECISIONS:
                        return Deed(_DECISIONS[verdict.code], counters, prefixes, mark)
                    if verdict.code != nft.GOTO:
                        return None
                    return self._straight(verdict.chain, State(EVERY, NOTHING_SET, mark, counters, prefixes))
                else:
                    return None
        return None

    def _kept(self, name: str, state: State, depth: int) -> Block:
        asks = self.asks(name)
        place = self._place
        seen = (place.entering if "in" in asks else None, place.leaving if "out" in asks else None, place.version)
        key = (name, seen, state.product, state.literals, state.mark, state.counters, state.prefixes)
        block = self._blocks.get(key)
        if block is None:
            chain = self.table.chains.get(name)
            if chain is None:
                raise nft.Malformed(f"{self.table}: a jump to the chain {name}, which is not there")
            block = self._blocks[key] = self._chain(chain, 0, state, depth)
        return block

    def asks(self, name: str) -> frozenset[str]:
        """Which interfaces a chain, or one that it leads to, asks for: "in", "out"."""
        known = self._asks.get(name)
        if known is not None:
            return known
        self._asks[name] = frozenset()  # while it is being found; a kernel has no loops
        found: set[str] = set()
        chain = self.table.chains.get(name)
        for raw, rule in zip(chain.raw, chain.rules, strict=True) if chain is not None else ():
            if b"meta\0" in raw:
                for each in rule:
                    if isinstance(each, nft.Load) and each.field[0] == "meta":
                        found |= {"iifname": {"in"}, "iif": {"in"}, "oifname": {"out"}, "oif": {"out"}}.get(
                            each.field[1], set()
                        )
            last = rule[-1] if rule else None  # a verdict is the last of a rule
            if isinstance(last, nft.Decide) and last.verdict.chain:
                found |= self.asks(last.verdict.chain)
            elif isinstance(last, nft.Lookup) and last.register == 0 and len(found) < 2:
                for target in self._targets(last.set):
                    found |= self.asks(target)
        self._asks[name] = frozenset(found)
        return self._asks[name]

    def _targets(self, name: str) -> set[str]:
        held = self.table.sets.get(name)
        if held is None or not held.verdicts:
            return set()
        return {each.data.chain for each in held.elements if isinstance(each.data, Verdict) and each.data.chain}

    def _chain(self, chain: KernelChain, begin: int, state: State, depth: int) -> Block:
        way = Way(state.mark, [], [])
        closed = False
        for number in range(begin, len(chain.rules)):
            following = self._rule(chain, number, state, depth, way)
            if following is None:
                closed = not way.left
                break
            state = following
            if state.verdict is not None:  # everything that is left returns
                way.out(state.mark)
                break
            if len(way.items) > ITEMS:
                raise TooMuch(f"{self.table}: chain {chain.name} has more than {ITEMS} cases")
        else:
            way.out(state.mark)
        end = len(way.items)
        while way.places and way.places[-1] == end - 1:  # nothing lies between it and the end
            end = way.places.pop()
        del way.items[end:]
        for place in way.places:
            way.items[place].skip = end - place
        return Block(way.items, closed, way.loose)

    def _rule(self, chain: KernelChain, number: int, state: State, depth: int, way: Way) -> State | None:
        """Read one rule. The state for the next one; None when nothing gets there; with a verdict, it returns."""
        for end in self._ends(chain, number, state):
            every = end.product == state.product and end.literals == state.literals
            verdict = end.verdict
            if end.deed is None and verdict is not None and verdict.code in _DECISIONS:
                end.deed = Deed(_DECISIONS[verdict.code], end.counters, end.prefixes, end.mark)
            if end.deed is not None:
                way.items.append(Item(end.product, end.literals, end.deed))
                if every:
                    return None
            elif verdict is None or verdict.code in (nft.CONTINUE, nft.BREAK):
                state = _after(state, end, every)
            elif verdict.code in (nft.JUMP, nft.GOTO):
                inner = self.block(verdict.chain, _entering(end), depth + 1)
                way.items += inner.items
                if inner.closed:
                    if every:
                        return None
                    continue
                mark = (end.mark[0] & ~inner.loose, end.mark[1] & ~inner.loose)
                if verdict.code == nft.JUMP:
                    end.mark, end.counters, end.prefixes = mark, state.counters, state.prefixes
                    state = _after(state, end, every)
                elif every:
                    return _returning(state, mark)
                else:
                    way.leave(end.product, end.literals, mark)
            elif verdict.code == nft.RETURN:
                if every:
                    return _returning(state, end.mark)
                state = self._return(chain, number, state, end, depth, way)
            else:
                self._strange(chain.name, f"verdict {verdict.code}")
        return state

    def _return(self, chain: KernelChain, number: int, state: State, end: State, depth: int, way: Way) -> State:
        """Some packets leave the chain here; the state of those that go on."""
        extra = end.literals - state.literals
        if len(extra) != 1:
            way.leave(end.product, end.literals, end.mark)
            return state
        ((asked, holds),) = extra
        other = _with(state, end.product, state.literals | {(asked, not holds)})
        way.out(end.mark)
        if end.product == state.product:
            return other
        # Of these packets those go on for which the condition does not hold; then all of them leave.
        rest = self._chain(chain, number + 1, other, depth)
        way.items += rest.items
        way.loose |= rest.loose
        way.leave(end.product, state.literals, end.mark)
        return state

    # --- rules --------------------------------------------------------------------------------------

    def _ends(self, chain: KernelChain, number: int, state: State) -> list[State]:
        """Where one rule leads: the parts of `state` that it matches, each with its verdict. They are disjoint."""
        ends = [_with(state, state.product, state.literals)]
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
                    self._strange(chain.name, f"feeds an {expression.kind}")
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
                    self._strange(chain.name, f"fills the set {expression.set}")
            case nft.Reject():
                state.deed = Deed("reject", state.counters, state.prefixes, state.mark)
            case nft.Queue():
                words = (f"{expression.first}+{expression.total}", "bypass" if expression.bypass else "")
                state.deed = Deed("queue", state.counters, state.prefixes, state.mark, words)
            case nft.Translate():
                state.deed = self._translate(expression, state)
            case nft.Unknown():
                return self._unknown(chain, where, expression.words, state)
        return [state]

    def _unknown(self, chain: KernelChain, where: tuple[int, int], words: str, state: State) -> list[State]:
        """What is not understood may match or not; nothing is claimed of what comes behind it."""
        self._strange(chain.name, words)
        asked: Condition = ("something unknown", chain.name, *map(str, where))
        return self._held(state, Outcome(state.product, asked))

    def _strange(self, chain: str, words: str) -> None:
        self.unknown[f"{self.table}, chain {chain}: {words}"] = None

    def _load(self, expression: nft.Load, state: State) -> list[State]:
        name = {("meta", "iif"): self._place.entering, ("meta", "oif"): self._place.leaving}.get(expression.field)
        if name in self._links:
            return self._put(state, expression.register, constant(self._links[name].to_bytes(_WORD, "little")))
        alternatives = read_field(
            expression.field, expression.length, self._place, state.mark, state.product[packets.PROTOCOL]
        )
        found: list[State] = []
        for protocols, value in alternatives or ():
            product: Product | None = state.product
            if protocols is not None:
                product = narrowed(state.product, packets.PROTOCOL, protocols)
            if product is not None:
                each = state if len(alternatives or ()) == 1 else _with(state, product, state.literals)
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
        if expression.field == ("ct", "mark"):
            value = self._value(state, expression.source)
            full = 0xFFFFFFFF
            if value.kind == "mark" or (value.kind == "constant" and value.width == _WORD):
                data = value.data
                if value.kind == "constant" and not value.little:
                    data = int.from_bytes(value.data.to_bytes(_WORD, "big"), "little")
                state.mark = (data & value.known & full, value.known & full)
            else:
                state.mark = (0, 0)
        elif expression.field != ("meta", "key 12"):  # nftrace: somebody watches
            self._strange(chain.name, f"writes {' '.join(expression.field)}")

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
        slot, end = _slot(register), _slot(register) + -(-length // _WORD)
        while slot < end:
            value = state.registers.get(slot, Value("asked", _WORD, words=("a register that nothing filled",)))
            values.append(value)
            slot += max(1, -(-value.width // _WORD))
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
            value.data.to_bytes(value.width, "big").ljust(-(-value.width // _WORD) * _WORD, b"\0") for value in values
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
            at += -(-value.width // _WORD) * _WORD
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
                    yield _with(state, tuple(product), state.literals), element.data
                continue
            each: list[State] = [_with(state, base, state.literals)]
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
    return register * _WORD if register < 5 else register - _WORD


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


def _with(state: State, product: Product, literals: Literals) -> State:
    return State(product, literals, state.mark, state.counters, state.prefixes, state.registers)


def _entering(end: State) -> State:
    """What a chain is entered with: nothing of the registers is read in another chain."""
    return State(end.product, end.literals, end.mark, end.counters, end.prefixes)


def _returning(state: State, mark: tuple[int, int]) -> State:
    found = _with(state, state.product, state.literals)
    found.mark = mark
    found.verdict = Verdict(nft.RETURN)
    return found


def _after(state: State, end: State, every: bool) -> State:
    """The state behind a rule without a verdict: what it did to all, or may have done to some."""
    found = _with(state, state.product, state.literals)
    found.registers = {}
    if every:
        found.mark, found.counters, found.prefixes = end.mark, end.counters, end.prefixes
    elif end.mark != state.mark:
        alike = ~(end.mark[0] ^ state.mark[0]) & end.mark[1] & state.mark[1]
        found.mark = (state.mark[0] & alike, alike)
    return found
